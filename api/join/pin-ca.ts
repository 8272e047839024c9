/** Which cluster a joiner is about to trust: the CA of a server that answers, checked against the token. */
import { backoffMs } from '#base/backoff.ts'
import type { Clock } from '#base/clock.ts'
import { CodedError, asError, hasCode } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import { certificatePem } from '#base/x509/index.ts'
import type { JoinToken } from '../token/token.ts'
import { probeServer } from './probe.ts'
import { clockProblem, decideTrust } from './trust.ts'

const RETRY = { baseMs: 1_000, maxMs: 30_000, jitter: 0.3 }
/** How often a wrong clock is looked at again. */
const CLOCK_LOOK_MS = 5_000

/** The CA of the first server that answers and is what the token says; waits for servers and for the clock. Rejects with `JOIN_CA_MISMATCH`. PEM. */
export async function pinCa(servers: readonly string[], token: JoinToken, { clock, random, log, signal }: { clock: Clock; random: Random; log: Log; signal: AbortSignal }): Promise<string> {
  let said = ''
  const say = (problem: string, message: string) => {
    // The same problem once: a board may wait for days.
    if (problem !== said) log.warn(message)
    said = problem
  }
  for (let failures = 1; ; failures++) {
    for (const server of servers) {
      let facts
      try {
        facts = await probeServer(server, clock, signal)
      } catch (error) {
        if (!hasCode(error, 'JOIN_UNREACHABLE')) throw error
        const { message } = asError(error)
        say(message, `${message}; trying again`)
        continue
      }
      const trust = decideTrust(facts.chain, token.caHash, server)
      if (!trust.ok) throw new CodedError('JOIN_CA_MISMATCH', trust.message)
      const wrongClock = clockProblem(clock.nowMs(), trust.ca, facts)
      if (wrongClock === undefined) return certificatePem(trust.ca.der)
      say(`clock ${wrongClock.kind}`, wrongClock.message)
      failures = 0
    }
    await clock.sleep(failures === 0 ? CLOCK_LOOK_MS : backoffMs(RETRY, failures, random), signal)
  }
}
