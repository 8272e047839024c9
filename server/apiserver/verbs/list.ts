/**
 * GET of a collection. Whole lists are gathered from the watch cache's buffers; a page of an older state, or a list at an
 * exact older revision, is read from the store.
 */
import type { ApiResponse } from '#api/client/transport.ts'
import { hasCode } from '#base/errors.ts'
import { apiVersionOf } from '#api/types/index.ts'
import { forbidden as forbiddenField, invalid as invalidField, notSupported, type FieldError } from '../field-error.ts'
import { negotiateObject } from '../http/negotiate.ts'
import { badRequest, expired, futureRevision, invalid, StatusError, tooOld } from '../http/status.ts'
import { JSON_TYPE } from '../http/response.ts'
import { prefixOf, storageKey } from '../storage/keys.ts'
import { renderList } from '../table/render.ts'
import type { Entry, KindCache } from '../watch/kind-cache.ts'
import { parseSelection, type Selection } from '../watch/selection.ts'
import { cacheOf, scopeOf, type Call } from './call.ts'
import { decodeContinue, encodeContinue, INCONSISTENT, type ContinueToken } from './continue-token.ts'
import { joinEntries, wholeList } from './list-bytes.ts'
import { watch } from './watch.ts'

/** What is answered, before it is printed. */
export interface Listed {
  entries: readonly Entry[]
  revision: number
  continue: string
  remaining: number | undefined
}

interface ListOptions {
  limit: number
  token: ContinueToken | undefined
  /** Undefined: the newest. */
  revision: number | undefined
  match: 'newest' | 'not-older' | 'exact'
}

const EXPIRED_CONTINUE = 'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.'
/** How long a list waits for a revision it was promised; upstream's blockTimeout. */
const FRESH_WAIT_MS = 3_000
/** Keys read from the store at a time when a selector leaves some out. */
const STORE_PAGE = 500

export async function list(call: Call): Promise<ApiResponse> {
  const { query, row, info } = call
  if (query.flag('watch') || info.watchPath) return watch(call)
  const format = negotiateObject(call.headers['accept'])
  const selection = parseSelection(row, info.namespace, query.text('labelSelector'), fieldSelectorOf(call))
  const options = parseListOptions(call)
  const listed = await gather(call, selection, options)
  return format.as === 'object' && format.encoding === 'json' && !row.storedAs ? printList(call, selection, listed) : renderList(call, listed, format)
}

/** A watch path with a name (`/watch/pods/x`) is a field selector. */
export function fieldSelectorOf(call: Call): string {
  const text = call.query.text('fieldSelector')
  return call.info.name === '' ? text : [`metadata.name=${call.info.name}`, ...(text === '' ? [] : [text])].join(',')
}

function parseListOptions(call: Call): ListOptions {
  const { query } = call
  const errors: FieldError[] = []
  const text = query.text('resourceVersion')
  const match = query.text('resourceVersionMatch')
  const next = query.text('continue')
  const limit = query.integer('limit') ?? 0
  if (query.has('sendInitialEvents')) errors.push(forbiddenField('sendInitialEvents', 'sendInitialEvents is forbidden for list'))
  if (match !== '') {
    if (text === '') errors.push(forbiddenField('resourceVersionMatch', 'resourceVersionMatch is forbidden unless resourceVersion is provided'))
    if (next !== '') errors.push(forbiddenField('resourceVersionMatch', 'resourceVersionMatch is forbidden when continue is provided'))
    if (match !== 'Exact' && match !== 'NotOlderThan') errors.push(notSupported('resourceVersionMatch', match, ['Exact', 'NotOlderThan', '']))
    if (match === 'Exact' && text === '0') errors.push(forbiddenField('resourceVersionMatch', 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'))
  }
  if (limit < 0) errors.push(invalidField('limit', limit, 'must be greater than or equal to 0'))
  if (errors.length > 0) throw invalid({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', errors)
  const revision = parseRevision(text)
  if (next !== '') {
    if (text !== '' && text !== '0') throw badRequest('specifying resource version is not allowed when using continue')
    const token = decodeContinue(next)
    return { limit, token, revision: token.revision === INCONSISTENT ? undefined : token.revision, match: token.revision === INCONSISTENT ? 'newest' : 'exact' }
  }
  if (revision === undefined) return { limit, token: undefined, revision, match: 'newest' }
  // Upstream: a limit with a plain resourceVersion asks for exactly that state, so that pages fit together.
  const exact = match === 'Exact' || (match === '' && limit > 0 && revision > 0)
  return { limit: revision === 0 ? 0 : limit, token: undefined, revision, match: exact ? 'exact' : 'not-older' }
}

/** Undefined for ''. Throws a 400 for what is not a number. */
export function parseRevision(text: string): number | undefined {
  if (text === '') return undefined
  if (!/^\d{1,16}$/.test(text)) throw badRequest(`resourceVersion: Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`)
  return Number(text)
}

export async function gather(call: Call, selection: Selection, options: ListOptions): Promise<Listed> {
  const cache = await cacheOf(call.parts, call.row)
  if (options.revision !== undefined && options.revision > cache.revision()) await waitForRevision(call, options.revision)
  const prefix = prefixOf(scopeOf(call.row), selection.namespace)
  const after = options.token && prefix + options.token.after
  // Nothing of the kind changed since: the present state is the one asked for.
  const isCurrent = options.match !== 'exact' || cache.positionAfter(options.revision ?? 0) === cache.ringEnd
  if (!isCurrent) return gatherFromStore(call, cache, selection, options, prefix, after)
  const revision = options.match === 'exact' && options.revision !== undefined ? options.revision : cache.revision()
  const found = fromCache(cache, call, selection, after)
  const matching = selection.matches ? found.filter(selection.matches) : found
  if (options.limit === 0 || matching.length <= options.limit) return { entries: matching, revision, continue: '', remaining: undefined }
  const entries = matching.slice(0, options.limit)
  return {
    entries, revision, remaining: selection.matches ? undefined : matching.length - entries.length,
    continue: encodeContinue({ revision, after: (entries.at(-1)?.key ?? prefix).slice(prefix.length) }),
  }
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
    const page = await storePage(call, options, prefix, after, revision)
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

async function storePage(call: Call, options: ListOptions, prefix: string, after: string | undefined, revision: number): ReturnType<Call['parts']['store']['list']> {
  try {
    return await call.parts.store.list({ prefix, revision, limit: STORE_PAGE, ...(after !== undefined && { after }) })
  } catch (error) {
    if (hasCode(error, 'STORE_FUTURE_REVISION')) throw futureRevision(revision, call.parts.store.revision())
    if (!hasCode(error, 'STORE_COMPACTED')) throw error
    if (!options.token) throw tooOld(revision, call.parts.store.compactRevision())
    throw new StatusError({ ...expired(EXPIRED_CONTINUE).body, continue: encodeContinue({ revision: INCONSISTENT, after: options.token.after }) })
  }
}

/** Throws 504 when the revision does not come. */
export async function waitForRevision(call: Call, revision: number): Promise<void> {
  const { store, clock } = call.parts
  const until = clock.monotonicMs() + FRESH_WAIT_MS
  while (store.revision() < revision) {
    if (clock.monotonicMs() >= until) throw futureRevision(revision, store.revision())
    await clock.sleep(100, call.signal)
  }
}

async function printList(call: Call, selection: Selection, listed: Listed): Promise<ApiResponse> {
  const head = Buffer.from(`${listHead(call, listed)},"items":[`)
  const cache = await cacheOf(call.parts, call.row)
  const isWhole = !selection.matches && listed.continue === '' && listed.entries.length > 0 && listed.revision === cache.revision()
  const items = isWhole ? wholeList(call.parts, cache, selection.namespace, listed.entries) : joinEntries(listed.entries)
  return { status: 200, headers: { 'content-type': JSON_TYPE }, body: [head, ...items, LIST_END] }
}

const LIST_END = Buffer.from(']}\n')

/** `{"kind":"PodList","apiVersion":"v1","metadata":{...}` without the closing brace. */
function listHead(call: Call, listed: Listed): string {
  return JSON.stringify({ kind: `${call.row.ref.kind}List`, apiVersion: apiVersionOf(call.row.ref), metadata: listMeta(listed) }).slice(0, -1)
}

export function listMeta(listed: Listed): Record<string, unknown> {
  return {
    resourceVersion: String(listed.revision),
    ...(listed.continue !== '' && { continue: listed.continue }),
    ...(listed.continue !== '' && listed.remaining !== undefined && { remainingItemCount: listed.remaining }),
  }
}
