/** Requests to the API server, counted and timed under client-go's names. */
import type { ApiRequest, ApiResponse, Transport } from '#api/client/transport.ts'
import type { Clock } from '#base/clock.ts'
import { createCounter } from '../kubelet/stats/counter.ts'
import { createHistogram } from '../kubelet/stats/histogram.ts'
import type { MetricFamily } from '../kubelet/stats/metrics-text.ts'

export interface RestFigures {
  /** The same transport, counted. `host`: of the server that is asked now. */
  counted<T extends Transport>(transport: T, host: () => string): T
  metrics(): MetricFamily[]
}

const BOUNDS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60]

export function createRestFigures(clock: Clock): RestFigures {
  const total = createCounter()
  const durations = createHistogram({ name: 'rest_client_request_duration_seconds', help: '[ALPHA] Request latency in seconds. Broken down by verb, and host.', bounds: BOUNDS, labels: ['host', 'verb'] })
  return {
    counted: (transport, host) => ({
      ...transport,
      async request(request: ApiRequest): Promise<ApiResponse> {
        const beganMs = clock.monotonicMs()
        let code = '<error>'
        try {
          const response = await transport.request(request)
          code = String(response.status)
          return response
        } finally {
          const labels = { host: host(), verb: request.method }
          total.add({ code, host: labels.host, method: request.method })
          durations.observe((clock.monotonicMs() - beganMs) / 1000, labels)
        }
      },
    }),
    metrics: () => [
      durations.family(),
      { name: 'rest_client_requests_total', help: '[ALPHA] Number of HTTP requests, partitioned by status code, method, and host.', type: 'counter', samples: total.samples() },
    ],
  }
}
