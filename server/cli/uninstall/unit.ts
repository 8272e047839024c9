/** The systemd unit that scripts/up.sh installs: it would start again what is stopped. */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { resolve } from 'node:path'
import { hasCode } from '#base/errors.ts'
import { mustRun, systemExec } from '#cni/index.ts'
import { readOwnFlags } from '../config-file.ts'
import { parseFlags } from '../flags.ts'
import { SERVER_FLAGS } from '../verb-flags.ts'
import type { Removal } from './removal.ts'

const UNIT = '/etc/systemd/system/skiff.service'

export async function removeUnit({ dataDir, say }: Removal): Promise<void> {
  if (!existsSync(UNIT) || !isOf(dataDir, readFileSync(UNIT, 'utf8'))) return
  if (existsSync('/run/systemd/system')) await mustRun(systemExec, ['systemctl', 'disable', '--now', 'skiff'])
  rmSync(UNIT, { force: true })
  if (existsSync('/run/systemd/system')) await mustRun(systemExec, ['systemctl', 'daemon-reload'])
  say(`removed ${UNIT}`)
}

function isOf(dataDir: string, unit: string): boolean {
  const argv = /^ExecStart=\S+ server(.*)$/m.exec(unit)?.[1]?.split(' ').filter((a) => a !== '')
  if (!argv) return false
  try {
    return resolve(String(parseFlags('server', SERVER_FLAGS, { argv, env: {}, readConfig: readOwnFlags(SERVER_FLAGS) }).values['data-dir'])) === resolve(dataDir)
  } catch (error) {
    // Somebody edited it: not ours to judge, and left there.
    if (hasCode(error, 'USAGE')) return false
    throw error
  }
}
