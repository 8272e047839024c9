/** The adapters that verbs which keep running share: log, clock, randomness, signals, readiness, how to start oneself. */
import { execFile } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { isSea } from 'node:sea'
import { systemClock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import { createLog, type Log, type LogLevel } from '#base/log.ts'
import { systemRandom } from '#base/random.ts'
import type { SpawnPty } from '#cri/index.ts'
import { exitFormat } from './exit-line.ts'
import { SYSTEM_PATH } from './find-program.ts'
import type { FlagValues } from './flags.ts'
import { notifySystemd } from './notify-systemd.ts'
import { keepWatchdog, watchdogPeriodMs } from './watchdog.ts'

export const clock = systemClock
export const random = systemRandom

/** The format of the log from here on, the last line of a failed verb included. */
export function logFormat(values: FlagValues): 'text' | 'json' {
  const format = values['log-format'] ?? (process.stderr.isTTY ? 'text' : 'json')
  exitFormat.isJson = format === 'json'
  return exitFormat.isJson ? 'json' : 'text'
}

export function logFor(values: FlagValues): Log {
  const format = logFormat(values)
  return createLog({ format, level: values['log-level'] as LogLevel, nowMs: () => clock.nowMs(), write: (line) => void process.stderr.write(`${line}\n`) })
}

/** Within the ten seconds that the contract gives; what is not done by then is as safe as after a power cut. */
const STOP_MS_MAX = 9_000
const SYSTEMCTL_MS_MAX = 2_000

/** Ends a stop that hangs. */
const lastResort = { cancel: () => {} }

function endAfter(ms: number, log: Log): void {
  lastResort.cancel()
  lastResort.cancel = clock.after(ms, () => {
    log.error('bug: stopping takes too long, ending', { seconds: ms / 1_000 })
    process.exit(1)
  })
}

/** A stop that takes longer on purpose, so many seconds of it: systemd, too, is asked to wait. */
export function stopTakes(seconds: number, log: Log): void {
  const ms = seconds * 1_000 + STOP_MS_MAX
  endAfter(ms, log)
  notify(`EXTEND_TIMEOUT_USEC=${ms * 1_000}\nSTATUS=the machine goes down: pods have up to ${seconds} s`, log)
}

/** Aborted by the first SIGTERM or SIGINT; the second ends the process at once. */
export function stopSignal(log: Log): AbortSignal {
  const stop = new AbortController()
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      if (stop.signal.aborted) process.exit(1)
      log.info('stopping', { signal: name })
      endAfter(STOP_MS_MAX, log)
      stop.abort()
    })
  }
  return stop.signal
}

/** What never should happen: the truth is on disk, so a restart is safer than going on. */
export function failLoudly(log: Log): void {
  process.on('uncaughtException', (error) => {
    log.error('bug: uncaught exception, ending', { error, stack: error.stack })
    process.exit(1)
  })
  process.on('unhandledRejection', (reason) => {
    const error = reason instanceof Error ? reason : new Error(String(reason))
    log.error('bug: unhandled rejection, ending', { error, stack: error.stack })
    process.exit(1)
  })
}

/** The command that runs another verb of this program. */
export function selfCommand(verb: string): string[] {
  return isSea() ? [process.execPath, verb] : [process.execPath, process.argv[1] ?? '', verb]
}

export const notifyReady = (log: Log): void => notify('READY=1\nSTATUS=', log)

/** From the start, if the unit asks for it. Throws UsageError. */
export function watched(log: Log, signal: AbortSignal): void {
  keepWatchdog(watchdogPeriodMs(process.env, process.pid), { clock, signal, tell: () => notify('WATCHDOG=1', log) })
}

/** What `systemctl status` shows while it takes its time. */
export const notifyStatus = (status: string, log: Log): void => notify(`STATUS=${status}`, log)

/** sd_notify(3): tells systemd, where it asked to be told. */
function notify(state: string, log: Log): void {
  const socket = process.env['NOTIFY_SOCKET']
  if (!socket) return
  try {
    notifySystemd(socket, state)
  } catch (error) {
    log.warn('systemd could not be told how skiff is', { error: asError(error) })
  }
}

/**
 * Whom the kernel ends when memory runs out: pods, before the one that looks after them. What is started from here inherits it, but for containers,
 * each of which has its own. Without CAP_SYS_RESOURCE it cannot be lowered, and stays what it is: what is returned tells so, once skiff has
 * started; a start that fails has one thing to say.
 */
export function setOomScore(score: number, log: Log, path = '/proc/self/oom_score_adj'): () => void {
  try {
    writeFileSync(path, String(score))
    return () => {}
  } catch (error) {
    return () => log.warn('when memory runs out the kernel may end skiff before pods: it may not set its own OOM score', { score, error: asError(error) })
  }
}

/** systemd has begun to switch the machine off, or to boot it anew. False where there is no systemd, or it does not answer. */
export function isMachineGoingDown(): Promise<boolean> {
  if (!existsSync('/run/systemd/system')) return Promise.resolve(false)
  return new Promise((resolve) => {
    // Exits with 1 for all but `running`.
    execFile('systemctl', ['is-system-running'], { env: { PATH: SYSTEM_PATH }, timeout: SYSTEMCTL_MS_MAX }, (_error, stdout) => resolve(stdout.trim() === 'stopping'))
  })
}

/** node-pty, at the first exec with a terminal. */
export function loadPty(): SpawnPty {
  const pty = isSea() ? (require('node-pty') as { spawn: unknown }) : (createRequire(process.argv[1] ?? '/')('node-pty') as { spawn: unknown })
  return pty.spawn as SpawnPty
}
declare const require: (name: string) => unknown
