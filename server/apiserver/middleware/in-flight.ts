/** Upstream's limits on requests in flight; watches, logs, exec and the like do not count. */
import { tooManyRequests } from '../http/status.ts'

/** Upstream's --max-requests-inflight and --max-mutating-requests-inflight. */
export const IN_FLIGHT_LIMITS = { readOnly: 400, mutating: 200 }

export class InFlight {
  readonly #limits: { readOnly: number; mutating: number }
  readOnly = 0
  mutating = 0

  constructor(limits = IN_FLIGHT_LIMITS) { this.#limits = limits }

  /** Throws 429 when full. The returned function gives the place back. */
  enter(method: string): () => void {
    const kind = method === 'GET' || method === 'HEAD' || method === 'OPTIONS' ? 'readOnly' : 'mutating'
    if (this[kind] >= this.#limits[kind]) throw tooManyRequests('Too many requests, please try again later.', 1)
    this[kind]++
    return () => { this[kind]-- }
  }
}
