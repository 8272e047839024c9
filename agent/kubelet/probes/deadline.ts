/** A signal that aborts after a time or with another signal; `end` lets go of both. */
import type { Clock } from '#base/clock.ts'

export interface Deadline { readonly signal: AbortSignal; readonly expired: boolean; end(): void }

export function createDeadline(clock: Pick<Clock, 'after'>, ms: number, outer?: AbortSignal): Deadline {
  const own = new AbortController()
  let expired = false
  const cancel = clock.after(ms, () => {
    expired = true
    own.abort(new Error('context deadline exceeded'))
  })
  const onAbort = () => own.abort(outer?.reason)
  if (outer?.aborted) onAbort()
  else outer?.addEventListener('abort', onAbort, { once: true })
  return {
    signal: own.signal,
    get expired() { return expired },
    end() {
      cancel()
      outer?.removeEventListener('abort', onAbort)
    },
  }
}
