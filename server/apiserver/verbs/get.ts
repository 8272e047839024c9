/** GET of one object: the stored bytes with a head spliced on, from the watch cache where there is one. */
import type { ApiResponse } from '#api/client/transport.ts'
import { negotiateObject } from '../http/negotiate.ts'
import { badRequest, futureRevision, notFound } from '../http/status.ts'
import { storageKey } from '../storage/keys.ts'
import { renderObject } from '../table/render.ts'
import { scopeOf, type Call } from './call.ts'
import { revisionProblem } from './list-options.ts'
import { entryResponse, readKey, storedResponse } from './stored.ts'

export async function get(call: Call): Promise<ApiResponse> {
  const format = negotiateObject(call.headers['accept'], call.row.model)
  if (call.query.flag('export')) throw badRequest('the export parameter, deprecated since v1.14, is no longer supported')
  const wanted = call.query.text('resourceVersion')
  const problem = wanted === '' ? undefined : revisionProblem(wanted)
  if (problem !== undefined) throw badRequest(problem)
  // "0" is any state that is at hand.
  if (wanted === '' || Number(wanted) > call.parts.store.revision()) await call.parts.store.catchUp()
  if (Number(wanted) > call.parts.store.revision()) throw futureRevision(BigInt(wanted), call.parts.store.revision())
  return renderObject(call, fromCache(call) ?? (await fromStore(call)), format)
}

/** What somebody watches is at hand already. Undefined: nobody does, or the row is a view. */
function fromCache(call: Call): ApiResponse | undefined {
  const { row, info, parts } = call
  const cache = row.storedAs ? undefined : parts.caches.ready(scopeOf(row), row.custom?.form)
  if (!cache?.isCurrent) return undefined
  const entry = cache.get(storageKey(scopeOf(row), info.namespace, info.name))
  if (!entry) throw notFound(row.ref, info.name)
  return entryResponse(row, entry)
}

async function fromStore(call: Call): Promise<ApiResponse> {
  const kv = await readKey(call.parts, call.row, call.info.namespace, call.info.name)
  if (!kv) throw notFound(call.row.ref, call.info.name)
  return storedResponse(call.row, kv.value, kv.modRevision)
}
