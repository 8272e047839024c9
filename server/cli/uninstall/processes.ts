/** Stops the skiff that works with this data directory: found by what it says of itself, never by a name alone. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { CodedError, hasCode } from '#base/errors.ts'
import { identify, isAlive, signalProcess, type ProcessIdentity } from '#cri/runc/process-identity.ts'
import { readOwnFlags } from '../config-file.ts'
import { clock } from '../environment.ts'
import { parseFlags } from '../flags.ts'
import { AGENT_FLAGS, SERVER_FLAGS } from '../verb-flags.ts'
import type { Removal } from './removal.ts'

export interface RunningSkiff { pid: number; command: string; identity: ProcessIdentity }

/** Its own promise is 10 s. */
const STOP_MS_MAX = 15_000
const LOOK_MS = 50

/** In this mount namespace: another one's data directory of the same name is another directory. */
export function findRunning({ dataDir }: Pick<Removal, 'dataDir'>): RunningSkiff[] {
  const own = readlinkSync('/proc/self/ns/mnt')
  const found: RunningSkiff[] = []
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry)
    if (!Number.isInteger(pid) || pid === process.pid) continue
    try {
      if (readlinkSync(`/proc/${pid}/ns/mnt`) !== own || !isSkiff(pid)) continue
      const argv = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1)
      const at = argv.findIndex((a) => a === 'server' || a === 'agent')
      // From source the script's name comes before the verb; flags never do.
      if (at < 1 || at > 2 || dataDirOf(argv[at] === 'agent' ? 'agent' : 'server', argv.slice(at + 1), environmentOf(pid)) !== resolve(dataDir)) continue
      const identity = identify(pid)
      if (identity) found.push({ pid, command: `skiff ${argv[at] ?? ''}`, identity })
    } catch (error) {
      // It ended while being looked at, or its flags are not ones that skiff would run with.
      if (!['ENOENT', 'ESRCH', 'EACCES', 'USAGE'].some((code) => hasCode(error, code))) throw error
    }
  }
  return found
}

export async function stopRunning(removal: Removal): Promise<void> {
  const running = findRunning(removal)
  for (const { identity } of running) signalProcess(identity, 'SIGTERM')
  for (const { pid, command, identity } of running) {
    const deadlineMs = clock.monotonicMs() + STOP_MS_MAX
    while (isAlive(identity) && clock.monotonicMs() < deadlineMs) await clock.sleep(LOOK_MS)
    signalProcess(identity, 'SIGKILL')
    while (isAlive(identity)) {
      if (clock.monotonicMs() > deadlineMs + STOP_MS_MAX) throw new CodedError('STILL_RUNNING', `${command} (process ${pid}) does not end after SIGKILL`)
      await clock.sleep(LOOK_MS)
    }
    removal.say(`stopped ${command} (process ${pid})`)
  }
}

/** The same program as this one by name, or node with skiff's source. */
function isSkiff(pid: number): boolean {
  const name = basename(readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, ''))
  return name === basename(process.execPath) || /^skiff(\.new|-linux-\w+)?$/.test(name)
}

function dataDirOf(verb: 'server' | 'agent', argv: string[], env: Record<string, string>): string {
  const flags = verb === 'server' ? SERVER_FLAGS : AGENT_FLAGS
  return resolve(String(parseFlags(verb, flags, { argv, env, readConfig: readOwnFlags(flags) }).values['data-dir']))
}

function environmentOf(pid: number): Record<string, string> {
  const lines = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').filter((l) => l.startsWith('SKIFF_'))
  return Object.fromEntries(lines.map((l) => [l.slice(0, l.indexOf('=')), l.slice(l.indexOf('=') + 1)]))
}
