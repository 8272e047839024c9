/** How webhooks of authentication and authorization are asked again: upstream's back-off, for failures that may pass. */
import type { Clock } from '#base/clock.ts'
import { hasCode } from '#base/errors.ts'
import type { Random } from '#base/random.ts'
import type { WebhookCall, WebhookClient } from './webhook-client.ts'

/** `--authentication-webhook-retry` defaults. */
const BACKOFF = { firstMs: 500, factor: 1.5, jitter: 0.2, steps: 5 } as const

/** Rejects with the last failure. */
export async function callWithRetry(webhooks: WebhookClient, call: WebhookCall, clock: Clock, random: Random): Promise<unknown> {
  let waitMs: number = BACKOFF.firstMs
  for (let step = 1; ; step++) {
    try {
      return await webhooks.call(call)
    } catch (error) {
      if (step === BACKOFF.steps || call.signal.aborted || !mayPass(error)) throw error
    }
    await clock.sleep(waitMs * (1 + random.next() * BACKOFF.jitter), call.signal)
    waitMs *= BACKOFF.factor
  }
}

/** The server has trouble of its own, or the connection broke; that nobody listens will not change so soon. */
function mayPass(error: unknown): boolean {
  if (!hasCode(error, 'WEBHOOK_FAILED')) return false
  const { details, message } = error as { details?: { status?: unknown }; message?: string }
  const status = typeof details?.status === 'number' ? details.status : 0
  return status === 429 || status >= 500 || /connection reset by peer$|: EOF$/.test(message ?? '')
}

/** One answer may be for several requests that wait for it: none of them ends it by leaving. Each attempt has its time. */
export const EVERYBODYS: AbortSignal = new AbortController().signal
