/** /livez, /readyz, /healthz: all checks, or one by name; `?verbose` lists them, `?exclude=` leaves some out. */
import type { ApiResponse } from '#api/client/transport.ts'
import type { Query } from '../http/query.ts'
import { textResponse } from '../http/response.ts'
import { noSuchResource } from '../http/status.ts'
import { Metric, printMetrics, quoteLabel } from '#base/metrics.ts'

export interface HealthCheck {
  name: string
  /** Also asked for /livez; others only for /readyz and /healthz. */
  live: boolean
  /** Asked only for /readyz. */
  readyOnly?: boolean
  /** Undefined: fine. Otherwise what is wrong, without secrets: the check's own path shows it. */
  problem(): string | undefined | Promise<string | undefined>
}

export type Probe = 'livez' | 'readyz' | 'healthz'

const ALWAYS: readonly HealthCheck[] = ['ping', 'log'].map((name) => ({ name, live: true, problem: () => undefined }))

/** Results so far, for /metrics/slis (KEP-3466). */
export class HealthHistory {
  readonly #last = new Metric('kubernetes_healthcheck', 'gauge', 'This metric records the result of a single healthcheck.')
  readonly #total = new Metric('kubernetes_healthchecks_total', 'counter', 'This metric records the results of all healthcheck.')

  note(probe: Probe, name: string, isFine: boolean): void {
    const labels = `name="${quoteLabel(name)}",type="${probe}"`
    this.#last.set(labels, isFine ? 1 : 0)
    this.#total.add(`name="${quoteLabel(name)}",status="${isFine ? 'success' : 'error'}",type="${probe}"`)
  }

  print(): Buffer { return printMetrics([this.#last, this.#total]) }
}

export interface HealthParts { checks: readonly HealthCheck[]; isStopping: boolean; history: HealthHistory; log: (text: string) => void }

export async function health(probe: Probe, single: string | undefined, parts: HealthParts, query: Query): Promise<ApiResponse> {
  const all = checksOf(probe, parts)
  const problemOf = async (check: HealthCheck): Promise<string | undefined> => {
    const problem = await check.problem()
    parts.history.note(probe, check.name, problem === undefined)
    return problem
  }
  if (single !== undefined) {
    const check = all.find((c) => c.name === single)
    if (!check) throw noSuchResource()
    const problem = await problemOf(check)
    return problem === undefined ? textResponse('ok') : textResponse(`internal server error: ${problem}\n`, 500)
  }
  const excluded = new Set(query.all('exclude'))
  const lines: string[] = []
  const failures: string[] = []
  for (const check of all) {
    if (excluded.delete(check.name)) {
      lines.push(`[+]${check.name} excluded: ok`)
      continue
    }
    const problem = await problemOf(check)
    // Anyone may read this page; what is wrong is for those who may ask the check itself.
    lines.push(problem === undefined ? `[+]${check.name} ok` : `[-]${check.name} failed: reason withheld`)
    if (problem !== undefined) failures.push(`${check.name}: ${problem}`)
  }
  if (excluded.size > 0) lines.push(`warn: some health checks cannot be excluded: no matches for ${[...excluded].sort().map((name) => JSON.stringify(name)).join(',')}`)
  if (failures.length > 0) {
    parts.log(`${probe} check failed: ${failures.join('; ')}`)
    return textResponse(`${lines.join('\n')}\n${probe} check failed\n`, 500)
  }
  return textResponse(query.has('verbose') ? `${lines.join('\n')}\n${probe} check passed\n` : 'ok')
}

export function checksOf(probe: Probe, { checks, isStopping }: Pick<HealthParts, 'checks' | 'isStopping'>): HealthCheck[] {
  const shown = checks.filter((c) => (probe === 'livez' ? c.live : probe === 'readyz' || c.readyOnly !== true))
  const stopping: HealthCheck = { name: 'shutdown', live: false, problem: () => (isStopping ? 'process is shutting down' : undefined) }
  return [...ALWAYS, ...shown, ...(probe === 'readyz' ? [stopping] : [])]
}
