/** What an answer is to the request metrics. */
import { isBodyStream, type ApiRequest, type ApiResponse } from '#api/client/transport.ts'
import type { Query } from '../http/query.ts'
import type { PathInfo, ResourceInfo } from '../http/request-info.ts'
import { isLongRunning, reportedVerb } from '../request-verb.ts'
import type { Rows } from '../rows.ts'
import type { ApiMetrics } from './api-metrics.ts'
import type { Answered } from './request-metrics.ts'

export interface AnsweredRequest { request: Pick<ApiRequest, 'method' | 'headers'>; info: ResourceInfo | PathInfo | undefined; query: Query; response: ApiResponse; ms: number }

export function countAnswer(metrics: ApiMetrics, rows: Rows, { request, info, query, response, ms }: AnsweredRequest): void {
  const answer: Answered = { verb: request.method, subresource: '', scope: '', dryRun: false, code: response.status, seconds: ms / 1000, bytes: undefined }
  if (info?.kind !== 'resource') return metrics.requests.answered(undefined, answer)
  const isLong = isLongRunning(info, query)
  answer.verb = reportedVerb(request, info, query)
  answer.subresource = info.subresource
  answer.scope = info.name !== '' || answer.verb === 'POST' ? 'resource' : info.namespace !== '' ? 'namespace' : 'cluster'
  answer.dryRun = query.has('dryRun')
  if (isLong) answer.seconds = undefined
  else if (request.method === 'GET') answer.bytes = bytesOf(response)
  metrics.requests.answered(rows.find(info.group, info.version, info.resource), answer)
}

function bytesOf({ body }: ApiResponse): number | undefined {
  if (isBodyStream(body)) return undefined
  return Buffer.isBuffer(body) ? body.length : body.reduce((n, chunk) => n + chunk.length, 0)
}
