/** What a compiled Go test says of its tests with -test.v=test2json. */

export interface Verdicts {
  /** Tests that have no tests of their own, and of those that have, only failures that none of these explains. */
  readonly passed: readonly string[]
  readonly failed: readonly string[]
  readonly skipped: readonly { readonly name: string; readonly reason: string }[]
  /** Those that ran and have no verdict: the program ended before. */
  readonly unfinished: readonly string[]
  /** Tests that no other one has begun, and that did not wait for others when the program ended. */
  readonly begun: readonly string[]
}

/** Characters of a reason that are shown. */
const REASON_LENGTH_MAX = 200

/** The mark before lines of the testing package's own. */
const MARK = '\x16'

export function parseVerdicts(output: string): Verdicts {
  const verdicts = new Map<string, string>()
  const begun: string[] = []
  const paused = new Set<string>()
  const reasons = new Map<string, string>()
  let lastMessage = ''
  for (const line of output.split('\n')) {
    const [, begins] = new RegExp(`${MARK}=== RUN +(\\S+)`).exec(line) ?? []
    if (begins !== undefined) begun.push(begins)
    const [, pauses] = new RegExp(`${MARK}=== PAUSE +(\\S+)`).exec(line) ?? []
    if (pauses !== undefined) paused.add(pauses)
    const [, continues] = new RegExp(`${MARK}=== CONT +(\\S+)`).exec(line) ?? []
    if (continues !== undefined) paused.delete(continues)
    const [, verdict, name] = new RegExp(`(?:^|${MARK}) *--- (PASS|FAIL|SKIP): (\\S+) \\(`).exec(line) ?? []
    if (verdict !== undefined && name !== undefined) {
      verdicts.set(name, verdict)
      if (verdict === 'SKIP') reasons.set(name, lastMessage)
    }
    const [, message] = /^ +\S+\.go:\d+: (.*)$/.exec(line) ?? []
    // Not what libraries log by way of the test.
    if (message !== undefined && !/^[IWEF]\d{4} /.test(message)) lastMessage = message.slice(0, REASON_LENGTH_MAX)
  }
  const those = (verdict: string): string[] => [...verdicts].filter(([, v]) => v === verdict).map(([name]) => name)
  const isParentOf = (name: string, others: readonly string[]): boolean => others.some((other) => other.startsWith(`${name}/`))
  const failed = those('FAIL')
  const unfinished = begun.filter((name) => !verdicts.has(name) && !paused.has(name))
  return {
    passed: those('PASS').filter((name) => !isParentOf(name, begun)),
    failed: failed.filter((name) => !isParentOf(name, failed)),
    skipped: those('SKIP').map((name) => ({ name, reason: reasons.get(name) ?? '' })),
    unfinished: unfinished.filter((name) => !isParentOf(name, unfinished)),
    begun: begun.filter((name) => !name.includes('/') && !paused.has(name)),
  }
}
