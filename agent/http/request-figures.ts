/** Requests to the kubelet API, counted and timed under upstream's names. Paths and methods that are not known ones count as `other`: they are the client's choice. */
import type { Clock } from '#base/clock.ts'
import { createCounter } from '../kubelet/stats/counter.ts'
import { createHistogram, DEFAULT_BOUNDS } from '../kubelet/stats/histogram.ts'
import { metricsText } from '../kubelet/stats/metrics-text.ts'

export interface RequestFigures {
  /** A request has come; what is returned is called once it is over. */
  begin(method: string, segments: readonly string[]): () => void
  metrics(): string
}

const PATHS = new Set(['healthz', 'pods', 'stats', 'metrics', 'metrics/cadvisor', 'metrics/probes', 'metrics/resource', 'metrics/slis', 'run', 'exec', 'attach', 'portForward', 'containerLogs', 'configz', 'runningpods', 'logs', 'statusz', 'flagz'])
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'TRACE', 'OPTIONS', 'CONNECT'])
/** Upstream's list; its `portforward` is no path. */
const LONG_RUNNING = new Set(['exec', 'attach'])

export function createRequestFigures(clock: Clock): RequestFigures {
  const total = createCounter()
  const durations = createHistogram({ name: 'kubelet_http_requests_duration_seconds', help: '[ALPHA] Duration in seconds to serve http requests', bounds: DEFAULT_BOUNDS, labels: ['long_running', 'method', 'path', 'server_type'] })
  const inFlight = new Map<string, { labels: Readonly<Record<string, string>>; value: number }>()
  return {
    begin(method, [first = '', second]) {
      const root = first === 'metrics' && second !== undefined ? `${first}/${second}` : first
      const path = PATHS.has(root) ? root : 'other'
      const labels = { long_running: String(LONG_RUNNING.has(path)), method: METHODS.has(method) ? method : 'other', path, server_type: 'readwrite' }
      const beganMs = clock.monotonicMs()
      const key = `${labels.method} ${path}`
      const now = inFlight.get(key) ?? { labels, value: 0 }
      inFlight.set(key, now)
      now.value++
      total.add(labels)
      let isOver = false
      return () => {
        if (isOver) return
        isOver = true
        now.value--
        durations.observe((clock.monotonicMs() - beganMs) / 1000, labels)
      }
    },
    metrics: () => metricsText([
      { name: 'kubelet_http_inflight_requests', help: '[ALPHA] Number of the inflight http requests', type: 'gauge', samples: [...inFlight.values()] },
      durations.family(),
      { name: 'kubelet_http_requests_total', help: '[ALPHA] Number of the http requests received since the server started', type: 'counter', samples: total.samples() },
    ]),
  }
}
