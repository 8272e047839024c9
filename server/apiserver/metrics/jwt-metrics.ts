/** How the keys of each issuer of JWTs were fetched, and how long its tokens take: upstream's metrics (KEP-3331). What is told of an issuer goes with it. */
import { createHash } from 'node:crypto'
import type { Clock } from '#base/clock.ts'
import { Metric } from '#base/metrics.ts'

/** Seconds; upstream's. */
const LATENCY_BOUNDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

type Result = 'success' | 'failure'

/** `keySet`: the hash of the last one as its issuer sent it; `atMs`: when it was asked last with each result. */
interface Fetches { keySet?: string; atMs: Partial<Record<Result, number>> }

const hashOf = (text: string | Buffer): string => `sha256:${createHash('sha256').update(text).digest('hex')}`

export class JwtMetrics {
  readonly #clock: Clock
  readonly #server: string
  readonly #fetches = new Map<string, Fetches>()
  readonly #latency = new Metric('apiserver_authentication_jwt_authenticator_latency_seconds', 'histogram', 'Latency of jwt authentication operations in seconds. This is the time spent authenticating a token for cache miss only (i.e. when the token is not found in the cache).', LATENCY_BOUNDS)

  /** `serverName`: tells servers of one cluster apart; shown as a hash, as upstream's identity is. */
  constructor({ clock, serverName }: { clock: Clock; serverName: string }) {
    this.#clock = clock
    this.#server = `apiserver_id_hash="${hashOf(serverName)}"`
  }

  fetched(issuer: string, keySet: Buffer): void { this.#asked(issuer, 'success').keySet = hashOf(keySet) }

  failed(issuer: string): void { this.#asked(issuer, 'failure') }

  authenticated(issuer: string, result: Result, tookMs: number): void {
    this.#latency.observe(`jwt_issuer_hash="${hashOf(issuer)}",result="${result}"`, tookMs / 1000)
  }

  /** Of the others no keys are fetched any more. */
  keep(issuers: ReadonlySet<string>): void {
    for (const issuer of this.#fetches.keys()) if (!issuers.has(issuer)) this.#fetches.delete(issuer)
  }

  all(): readonly Metric[] {
    const times = new Metric('apiserver_authentication_jwt_authenticator_jwks_fetch_last_timestamp_seconds', 'gauge', 'Timestamp of the last successful or failed JWKS fetch split by result, api server identity and jwt issuer for the JWT authenticator.')
    const sets = new Metric('apiserver_authentication_jwt_authenticator_jwks_fetch_last_key_set_info', 'gauge', 'Information about the last JWKS fetched by the JWT authenticator with hash as label, split by api server identity and jwt issuer.')
    for (const [issuer, { keySet, atMs }] of [...this.#fetches].map(([url, fetches]) => [hashOf(url), fetches] as const).sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (keySet !== undefined) sets.set(`${this.#server},hash="${keySet}",jwt_issuer_hash="${issuer}"`, 1)
      for (const [result, ms] of Object.entries(atMs)) times.set(`${this.#server},jwt_issuer_hash="${issuer}",result="${result}"`, ms / 1000)
    }
    return [sets, times, this.#latency]
  }

  #asked(issuer: string, result: Result): Fetches {
    const fetches = this.#fetches.get(issuer) ?? { atMs: {} }
    fetches.atMs[result] = this.#clock.nowMs()
    this.#fetches.set(issuer, fetches)
    return fetches
  }
}
