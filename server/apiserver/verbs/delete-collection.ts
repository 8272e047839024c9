/** DELETE on a collection: each object by itself, as upstream; answers with the list of what was deleted. */
import type { ApiResponse } from '#api/client/transport.ts'
import { JSON_TYPE } from '../http/response.ts'
import { StatusError } from '../http/status.ts'
import { apiVersionOf } from '#api/types/index.ts'
import { parseSelection } from '../watch/selection.ts'
import type { Call } from './call.ts'
import { deleteObject, parseDeleteOptions } from './delete-object.ts'
import { gather } from './list.ts'
import { fieldSelectorOf } from './list-options.ts'
import { joinEntries } from './list-bytes.ts'

/** Deletions in flight at a time: their store writes share syncs. */
const WORKERS = 16

export async function deleteCollection(call: Call): Promise<ApiResponse> {
  const options = parseDeleteOptions(call)
  const selection = parseSelection(call.row, call.info.namespace, call.query.text('labelSelector'), fieldSelectorOf(call))
  const { entries, revision } = await gather(call, selection, { limit: 0, token: undefined, revision: undefined, match: 'newest' })
  const deleted: { value: Buffer; revision: number }[] = []
  let next = 0
  await Promise.all(Array.from({ length: Math.min(WORKERS, entries.length) }, async () => {
    for (let i = next++; i < entries.length; i = next++) {
      const entry = entries[i]
      if (!entry) return
      const one: Call = { ...call, info: { ...call.info, namespace: entry.namespace, name: entry.name } }
      try {
        deleted.push(await deleteObject(one, options))
      } catch (error) {
        // Gone by another's hand meanwhile: what was wanted is so.
        if (!(error instanceof StatusError && error.body.code === 404)) throw error
      }
    }
  }))
  const head = JSON.stringify({ kind: `${call.row.ref.kind}List`, apiVersion: apiVersionOf(call.row.ref), metadata: { resourceVersion: String(revision) } }).slice(0, -1)
  return { status: 200, headers: { 'content-type': JSON_TYPE }, body: [Buffer.from(`${head},"items":[`), ...joinEntries(deleted), Buffer.from(']}\n')] }
}
