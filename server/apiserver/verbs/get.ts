/** GET of one object: the stored bytes with a head spliced on. */
import type { ApiResponse } from '#api/client/transport.ts'
import { negotiateObject } from '../http/negotiate.ts'
import { badRequest, futureRevision, notFound } from '../http/status.ts'
import { renderObject } from '../table/render.ts'
import type { Call } from './call.ts'
import { readKey, storedResponse } from './stored.ts'

export async function get(call: Call): Promise<ApiResponse> {
  const format = negotiateObject(call.headers['accept'], call.row.model)
  const wanted = call.query.text('resourceVersion')
  if (wanted !== '' && !/^\d{1,16}$/.test(wanted)) throw badRequest(`resourceVersion: Invalid value: ${JSON.stringify(wanted)}: strconv.ParseUint: parsing ${JSON.stringify(wanted)}: invalid syntax`)
  // What is read is always the newest state, which satisfies any resourceVersion that exists.
  if (Number(wanted) > call.parts.store.revision()) throw futureRevision(Number(wanted), call.parts.store.revision())
  const kv = await readKey(call.parts, call.row, call.info.namespace, call.info.name)
  if (!kv) throw notFound(call.row.ref, call.info.name)
  return renderObject(call, storedResponse(call.row, kv.value, kv.modRevision), format)
}
