/** Kernel settings under /proc/sys of the network namespace that `exec` runs in. */
import { mustRun, type Exec } from './exec.ts'

/** Paths below /proc/sys/net/ipv4 to values. Only what differs is written. A path that does not exist is an error, told by the shell. */
export async function ensureSysctls(exec: Exec, wanted: Readonly<Record<string, string>>): Promise<void> {
  const names = Object.keys(wanted)
  const values = (await mustRun(exec, ['cat', ...names.map((n) => `${ROOT}/${n}`)])).trim().split('\n')
  const wrong = names.filter((name, i) => values[i] !== wanted[name])
  if (wrong.length === 0) return
  await mustRun(exec, ['sh', '-s'], { input: `set -e\n${wrong.map((n) => `echo ${wanted[n] ?? ''} > ${ROOT}/${n}`).join('\n')}\n` })
}

const ROOT = '/proc/sys/net/ipv4'
