/** What clients within the server ask of it, counted and timed under client-go's names. */
import type { Transport } from '#api/client/transport.ts'
import type { Clock } from '#base/clock.ts'
import { Metric, quoteLabel } from '#base/metrics.ts'

const SECONDS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60]

export class RestClientMetrics {
  readonly #clock: Clock
  readonly #host: string
  readonly #total = new Metric('rest_client_requests_total', 'counter', 'Number of HTTP requests, partitioned by status code, method, and host.')
  readonly #seconds = new Metric('rest_client_request_duration_seconds', 'histogram', 'Request latency in seconds. Broken down by verb, and host.', SECONDS)

  /** `host`: where a client of another process would ask. */
  constructor(clock: Clock, host: string) {
    this.#clock = clock
    this.#host = quoteLabel(host)
  }

  /** The same transport, counted. */
  of(transport: Transport): Transport {
    return {
      request: async (asked) => {
        const beganMs = this.#clock.monotonicMs()
        let code = '<error>'
        try {
          const answer = await transport.request(asked)
          code = String(answer.status)
          return answer
        } finally {
          this.#total.add(`code="${code}",host="${this.#host}",method="${asked.method}"`)
          this.#seconds.observe(`host="${this.#host}",verb="${asked.method}"`, (this.#clock.monotonicMs() - beganMs) / 1000)
        }
      },
    }
  }

  all(): readonly Metric[] { return [this.#total, this.#seconds] }
}
