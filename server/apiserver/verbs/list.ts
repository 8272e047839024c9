/**
 * GET of a collection. Whole lists are gathered from the watch cache's buffers; a page of an older state, or a list at an
 * exact older revision, is read from the store.
 */
import type { ApiResponse } from '#api/client/transport.ts'
import { hasCode } from '#base/errors.ts'
import { negotiateObject } from '../http/negotiate.ts'
import { expired, futureRevision, StatusError } from '../http/status.ts'
import { prefixOf, storageKey } from '../storage/keys.ts'
import type { Listed } from '../table/listed.ts'
import { listFormOf } from '../table/list-form.ts'
import { renderYamlList } from '../table/render.ts'
import type { Entry, KindCache } from '../watch/kind-cache.ts'
import type { Selection } from '../watch/selection.ts'
import { cacheOf, scopeOf, type Call, type Parts } from './call.ts'
import { encodeContinue, INCONSISTENT, type ContinueToken } from './continue-token.ts'
import { asAsked, parseListOptions, selectionOf, waitForRevision, type ListOptions } from './list-options.ts'
import { joinEntries, printList, wholeList } from './list-bytes.ts'
import { watch } from './watch.ts'

const EXPIRED_CONTINUE = 'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.'
const EXPIRED_LIST = 'The resourceVersion for the provided list is too old.'
/** Keys read from the store at a time when a selector leaves some out. */
const STORE_PAGE = 500

export async function list(call: Call): Promise<ApiResponse> {
  const { query, row, info } = call
  if (query.flag('watch') || info.watchPath) return watch(call)
  const format = negotiateObject(call.headers['accept'], call.row.model)
  const selection = selectionOf(call)
  const options = parseListOptions(call)
  const found = await gather(call, selection, options)
  const listed = selection.shard === '' ? found : { ...found, shard: selection.shard }
  if (format.encoding === 'yaml') return renderYamlList(call, listed, format)
  const form = listFormOf(call, listed, format)
  const cache = await cacheOf(call.parts, row)
  const isWhole = !selection.matches && !options.token && listed.continue === '' && listed.entries.length > 0 && listed.revision === cache.revision()
  return printList(form, isWhole ? wholeList(call.parts, cache, selection.namespace, listed.entries, form.items) : joinEntries(listed.entries, form.items))
}

export async function gather(call: Call, selection: Selection, options: ListOptions): Promise<Listed> {
  if (options.token || options.limit > 0) assertYoung(call.parts, options)
  // "0" is any state; an exact one, or one that is here already, needs no newer one. All else is what was acknowledged last, whoever wrote it.
  if (options.revision === undefined) await call.parts.store.catchUp()
  const cache = await cacheOf(call.parts, call.row)
  if (options.revision !== undefined && options.revision > cache.revision()) await waitForRevision(call, options.revision, options.match === 'exact')
  const prefix = prefixOf(scopeOf(call.row), selection.namespace)
  const after = options.token && prefix + options.token.after
  // Nothing of the kind changed since: the present state is the one asked for.
  const isCurrent = options.match !== 'exact' || cache.positionAfter(options.revision ?? 0) === cache.ringEnd
  if (!isCurrent) return gatherFromStore(call, cache, selection, options, prefix, after)
  const revision = options.match === 'exact' && options.revision !== undefined ? options.revision : cache.revision()
  const found = fromCache(cache, call, selection, after)
  if (options.limit === 0) return { entries: selection.matches ? found.filter(selection.matches) : found, revision, continue: '', remaining: undefined }
  const { entries, rest } = pageOf(found, options.limit, selection.matches)
  if (rest === 0) return { entries, revision, continue: '', remaining: undefined }
  return {
    entries, revision, remaining: selection.matches ? undefined : rest,
    continue: encodeContinue({ revision, after: (entries.at(-1)?.key ?? prefix).slice(prefix.length) }),
  }
}

/** Throws a 410 where the state that a token is of is too old. */
function assertYoung({ listAges, store, clock }: Parts, { token, revision }: ListOptions): void {
  const nowMs = clock.monotonicMs()
  if (token && revision !== undefined && listAges.isOver(nowMs, revision)) throw continueExpired(token)
  listAges.note(nowMs, store.revision())
}

/** With a token that goes on from the same key at the newest state. */
const continueExpired = (token: ContinueToken): StatusError => new StatusError({ ...expired(EXPIRED_CONTINUE).body, continue: encodeContinue({ revision: INCONSISTENT, after: token.after }) })

/** `rest`: how many come after the page, whether they match or not: whoever reads on finds out. */
function pageOf(found: readonly Entry[], limit: number, matches: Selection['matches']): { entries: Entry[]; rest: number } {
  const entries: Entry[] = []
  let at = 0
  for (; at < found.length && entries.length < limit; at++) {
    const entry = found[at] as Entry
    if (!matches || matches(entry)) entries.push(entry)
  }
  return { entries, rest: found.length - at }
}

function fromCache(cache: KindCache, call: Call, selection: Selection, after: string | undefined): Entry[] {
  const isOne = selection.name !== undefined && (selection.namespace !== '' || !call.row.ref.namespaced) && after === undefined
  if (!isOne) return cache.list(selection.namespace, after)
  const entry = cache.get(storageKey(scopeOf(call.row), selection.namespace, selection.name ?? ''))
  return entry ? [entry] : []
}

async function gatherFromStore(call: Call, cache: KindCache, selection: Selection, options: ListOptions, prefix: string, from: string | undefined): Promise<Listed> {
  const revision = options.revision ?? cache.revision()
  const entries: Entry[] = []
  let after = from
  for (;;) {
    const page = await storePage(call, cache, options, prefix, after, revision)
    for (const [i, item] of page.items.entries()) {
      after = item.key
      const entry = cache.entry(item)
      if (!selection.matches || selection.matches(entry)) entries.push(entry)
      if (options.limit === 0 || entries.length < options.limit) continue
      const left = page.items.length - 1 - i + page.remaining
      if (left === 0) break
      return { entries, revision, continue: encodeContinue({ revision, after: item.key.slice(prefix.length) }), remaining: selection.matches ? undefined : left }
    }
    if (!page.more) return { entries, revision, continue: '', remaining: undefined }
  }
}

async function storePage(call: Call, cache: KindCache, options: ListOptions, prefix: string, after: string | undefined, revision: number): ReturnType<Call['parts']['store']['list']> {
  try {
    return await cache.page({ prefix, revision, limit: STORE_PAGE, ...(after !== undefined && { after }) })
  } catch (error) {
    if (hasCode(error, 'STORE_FUTURE_REVISION')) throw futureRevision(asAsked(call, revision), call.parts.store.revision(), true)
    if (!hasCode(error, 'STORE_COMPACTED')) throw error
    if (!options.token) throw expired(EXPIRED_LIST)
    throw continueExpired(options.token)
  }
}
