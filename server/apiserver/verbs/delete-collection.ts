/** DELETE on a collection: each object by itself, as upstream; answers with the list of what was deleted. */
import type { ApiResponse } from '#api/client/transport.ts'
import { negotiateObject } from '../http/negotiate.ts'
import { StatusError } from '../http/status.ts'
import { listFormOf } from '../table/list-form.ts'
import { renderYamlList } from '../table/render.ts'
import type { Entry } from '../watch/kind-cache.ts'
import type { Call } from './call.ts'
import { deleteObject, parseDeleteOptions, warnOfOrphans } from './delete-object.ts'
import { gather } from './list.ts'
import { joinEntries, printList } from './list-bytes.ts'
import { parseListOptions, selectionOf } from './list-options.ts'

/** Deletions in flight at a time: their store writes share syncs. */
const WORKERS = 16

export async function deleteCollection(call: Call): Promise<ApiResponse> {
  const format = negotiateObject(call.headers['accept'], call.row.model)
  const selection = selectionOf(call)
  const listOptions = parseListOptions(call)
  const options = parseDeleteOptions(call)
  warnOfOrphans(call, options)
  const listed = await gather(call, selection, listOptions)
  const { entries } = listed
  const gone: (Entry | undefined)[] = []
  let next = 0
  await Promise.all(Array.from({ length: Math.min(WORKERS, entries.length) }, async () => {
    for (let i = next++; i < entries.length; i = next++) {
      const entry = entries[i] as Entry
      const one: Call = { ...call, info: { ...call.info, namespace: entry.namespace, name: entry.name } }
      try {
        await deleteObject(one, options)
        gone[i] = entry
      } catch (error) {
        // Gone by another's hand meanwhile: what was wanted is so.
        if (!(error instanceof StatusError && error.body.code === 404)) throw error
      }
    }
  }))
  const answer = { ...listed, entries: gone.filter((entry) => entry !== undefined), ...(selection.shard !== '' && { shard: selection.shard }) }
  if (format.encoding === 'yaml') return renderYamlList(call, answer, format)
  const form = listFormOf(call, answer, format)
  return printList(form, joinEntries(answer.entries, form.items))
}
