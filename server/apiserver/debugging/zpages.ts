/** `/statusz` and `/flagz` of the API server. */
import type { ApiResponse } from '#api/client/transport.ts'
import { ZPAGE_TYPES, zpageAnswer, type Zpage } from '#api/http/zpages.ts'
import type { Random } from '#base/random.ts'
import { printYaml } from '../decode/print-yaml.ts'
import { jsonResponse } from '../http/response.ts'
import { notAcceptable } from '../http/status.ts'
import { warningHeader } from '../http/warnings.ts'

/** Throws 406. */
export function zpageResponse(page: Zpage, accept: string | undefined, random: Random): ApiResponse {
  const answer = zpageAnswer('apiserver', page, accept, random)
  if (!answer) throw notAcceptable(ZPAGE_TYPES)
  if (answer.type === 'text/plain') return { status: 200, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: Buffer.from(answer.text) }
  const response = answer.type === 'application/json' ? jsonResponse(answer.object) : { status: 200, headers: { 'content-type': answer.type }, body: printYaml(answer.object) }
  if (answer.warning !== undefined) response.headers['warning'] = warningHeader(answer.warning)
  return response
}
