/**
 * The one line with which a failed verb ends: text for people, JSON where the log is JSON, so that whoever reads lines by
 * machine can read the last one, too.
 */
import { hasCode } from '#base/errors.ts'

/** What the log turned out to be; a verb sets it as soon as its flags are parsed. Until then only an explicit wish counts. */
export const exitFormat: { isJson: boolean | undefined } = { isJson: undefined }

export interface ExitSources { argv: readonly string[]; env: Readonly<Record<string, string | undefined>>; nowMs: number }

export function exitLine(error: Error, { argv, env, nowMs }: ExitSources): string {
  // One line, whatever a tool underneath said.
  const message = error.message.trim().replaceAll(/\s*\n\s*/g, ' | ')
  if (!(exitFormat.isJson ?? asksForJson(argv, env))) return `skiff: ${message}`
  return JSON.stringify({ time: new Date(nowMs).toISOString(), level: 'error', msg: message, exitCode: exitCodeOf(error) })
}

/** 2: wrong usage or config; 1: failed while running. */
export function exitCodeOf(error: unknown): 1 | 2 {
  return hasCode(error, 'USAGE') ? 2 : 1
}

/** For flags that could not be parsed: what somebody plainly asked for. */
function asksForJson(argv: readonly string[], env: ExitSources['env']): boolean {
  if (argv.some((a) => a.startsWith('--log-format='))) return argv.includes('--log-format=json')
  const at = argv.indexOf('--log-format')
  return (at < 0 ? env['SKIFF_LOG_FORMAT'] : argv[at + 1]) === 'json'
}
