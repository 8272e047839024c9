/** `/healthz` and what is below it, and `/metrics/slis`, as k8s.io/apiserver's healthz answers for the kubelet. */
import type { HealthCheck } from '../kubelet/streams.ts'
import { metricsText, type MetricFamily } from '../kubelet/stats/metrics-text.ts'

export interface HealthPage { status: number; text: string }

export interface Health {
  /** `below`: the segment after `/healthz`. Undefined: there is no such check. */
  page(below: string | undefined, query: URLSearchParams): HealthPage | undefined
  /** How the checks went that were asked for. */
  metrics(): string
  reset(): void
}

/** `always`: names of checks that say no more than that somebody answers. */
export function createHealth(checks: () => readonly HealthCheck[], always: readonly string[] = ['ping', 'log']): Health {
  const results = new Map<string, { isWell: boolean; success: number; error: number }>()
  const note = ({ name, problem }: HealthCheck): void => {
    const { success = 0, error = 0 } = results.get(name) ?? {}
    const isWell = problem === undefined
    results.set(name, { isWell, success: success + (isWell ? 1 : 0), error: error + (isWell ? 0 : 1) })
  }
  return {
    page(below, query) {
      const all = [...always.map((name): HealthCheck => ({ name, problem: undefined })), ...checks()]
      if (below !== undefined) {
        const check = all.find(({ name }) => name === below)
        return check && (check.problem === undefined ? { status: 200, text: 'ok' } : { status: 500, text: `internal server error: ${check.problem}\n` })
      }
      const excluded = new Set(query.getAll('exclude'))
      const asked = all.filter(({ name }) => !excluded.has(name))
      for (const check of asked) note(check)
      const unknown = [...excluded].filter((name) => !all.some((c) => c.name === name)).toSorted()
      const lines = [
        ...all.map(({ name, problem }) => (excluded.has(name) ? `[+]${name} excluded: ok` : problem === undefined ? `[+]${name} ok` : `[-]${name} failed: reason withheld`)),
        ...(unknown.length > 0 ? [`warn: some health checks cannot be excluded: no matches for ${unknown.map((name) => JSON.stringify(name)).join(', ')}`] : []),
      ].join('\n')
      if (asked.some(({ problem }) => problem !== undefined)) return { status: 500, text: `${lines}\nhealthz check failed\n` }
      return { status: 200, text: query.has('verbose') ? `${lines}\nhealthz check passed\n` : 'ok' }
    },
    metrics: () => metricsText(families(results)),
    reset: () => results.clear(),
  }
}

function families(results: ReadonlyMap<string, { isWell: boolean; success: number; error: number }>): MetricFamily[] {
  const entries = [...results].toSorted(([a], [b]) => (a < b ? -1 : 1))
  const samples = entries.flatMap(([name, result]) => (['error', 'success'] as const).filter((status) => result[status] > 0).map((status) => ({ labels: { name, status, type: 'healthz' }, value: result[status] })))
  return [
    { name: 'kubernetes_healthcheck', help: '[STABLE] This metric records the result of a single healthcheck.', type: 'gauge', samples: entries.map(([name, { isWell }]) => ({ labels: { name, type: 'healthz' }, value: isWell ? 1 : 0 })) },
    { name: 'kubernetes_healthchecks_total', help: '[STABLE] This metric records the results of all healthcheck.', type: 'counter', samples },
  ]
}
