/** /livez, /readyz, /healthz: all checks, or one by name; `?verbose` lists them, `?exclude=` leaves some out. */
import type { ApiResponse } from '#api/client/transport.ts'
import type { Query } from '../http/query.ts'
import { textResponse } from '../http/response.ts'
import { noSuchResource } from '../http/status.ts'

export interface HealthCheck {
  name: string
  /** Also asked for /livez; others only for /readyz and /healthz. */
  live: boolean
  /** Undefined: fine. Otherwise what is wrong, without secrets. */
  problem(): string | undefined
}

const PING: HealthCheck = { name: 'ping', live: true, problem: () => undefined }

export function health(probe: string, single: string | undefined, checks: readonly HealthCheck[], isStopping: boolean, query: Query): ApiResponse {
  const all = [PING, ...checks.filter((c) => c.live || probe !== 'livez')]
  if (probe === 'readyz') all.push({ name: 'shutdown', live: false, problem: () => (isStopping ? 'process is shutting down' : undefined) })
  if (single !== undefined) {
    const check = all.find((c) => c.name === single)
    if (!check) throw noSuchResource()
    const problem = check.problem()
    return problem === undefined ? textResponse('ok') : textResponse(`internal server error: ${problem}\n`, 500)
  }
  const excluded = new Set(query.all('exclude'))
  const lines: string[] = []
  let failed = false
  for (const check of all) {
    const problem = excluded.has(check.name) ? undefined : check.problem()
    failed ||= problem !== undefined
    lines.push(problem !== undefined ? `[-]${check.name} failed: ${problem}` : `[+]${check.name} ${excluded.has(check.name) ? 'excluded: ok' : 'ok'}`)
  }
  if (failed) return textResponse(`${lines.join('\n')}\n${probe} check failed\n`, 500)
  return textResponse(query.has('verbose') ? `${lines.join('\n')}\n${probe} check passed\n` : 'ok')
}
