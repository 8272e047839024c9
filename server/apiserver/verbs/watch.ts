/** GET with watch=true: what was, then what happens. */
import type { ApiResponse } from '#api/client/transport.ts'
import { hasCode } from '#base/errors.ts'
import { forbidden as forbiddenField, notSupported, type FieldError } from '../field-error.ts'
import { negotiateObject } from '../http/negotiate.ts'
import { invalid, statusObject, tooOld } from '../http/status.ts'
import type { ItemForm } from '../table/list-form.ts'
import { watchFormOf } from '../table/render.ts'
import type { Framing, WatchForm } from '../watch/encoder.ts'
import type { Backlog, Entry, KindCache } from '../watch/kind-cache.ts'
import { entryFilter } from '../watch/selection.ts'
import { Watcher } from '../watch/watcher.ts'
import { cacheOf, type Call } from './call.ts'
import { wholePieces } from './list-bytes.ts'
import { parseRevision, selectionOf, waitForRevision } from './list-options.ts'

/** Without timeoutSeconds a watch lives half an hour to an hour, spread so that they do not all return at once. */
const MIN_TIMEOUT_MS = 1_800_000
/** A client may ask for longer than this, but does not get it. */
const TIMEOUT_SECONDS_MAX = 86_400

export async function watch(call: Call): Promise<ApiResponse> {
  const { query, row, parts } = call
  const format = negotiateObject(call.headers['accept'], call.row.model)
  const selection = selectionOf(call)
  const revision = parseRevision(query.text('resourceVersion'))
  const initialEvents = parseInitialEvents(call, revision)
  const seconds = query.integer('timeoutSeconds') ?? 0
  if (initialEvents === true && revision === undefined) await parts.store.catchUp()
  const cache = await cacheOf(parts, row)
  if (initialEvents === true && revision !== undefined && revision > cache.revision()) await waitForRevision(call, revision)
  const matches = entryFilter(selection)
  // From here to the Watcher nothing waits: snapshot, position and following are of one moment.
  const form = watchFormOf(call, format)
  const { framing } = form.objects
  const start = startOf(cache, revision, initialEvents)
  if ('tooOld' in start) return errorStream(tooOld(start.tooOld, parts.store.compactRevision()), framing)
  const present = start.snapshot ? cache.list(selection.namespace) : []
  const inPieces = !selection.matches && isLasting(form) && present.length > 0
  const watcher = new Watcher({
    cache, clock: parts.clock, form, matches,
    initial: inPieces ? [] : selection.matches ? present.filter(selection.matches) : present,
    initialPieces: inPieces ? wholePieces(parts, cache, selection.namespace, present, addedItems(form)) : undefined,
    initialEndRevision: initialEvents === true && query.flag('allowWatchBookmarks') ? cache.revision() : undefined,
    backlog: start.backlog, position: start.position, afterRevision: start.snapshot ? 0 : (revision ?? 0),
    bookmarks: query.flag('allowWatchBookmarks'),
    timeoutMs: seconds > 0 ? Math.min(seconds, TIMEOUT_SECONDS_MAX) * 1000 : Math.round((parts.minWatchTimeoutMs ?? MIN_TIMEOUT_MS) * (1 + parts.random.next())),
    signal: call.signal, sent: parts.metrics.watches.sentOf(row),
  })
  return { status: 200, headers: { 'content-type': framing.contentType, 'cache-control': 'no-cache, private' }, body: watcher }
}

/** A table's first event is not as the others, and its ages go on. */
const isLasting = (form: WatchForm): boolean => form.first === form.objects

/** Each object as the event that says it is there. */
const addedItems = ({ objects }: WatchForm): ItemForm<Entry> & { key: string } => ({
  key: `ADDED ${objects.key}`, separator: '', parts: (entry) => [objects.framing.event('ADDED', objects.object(entry, entry.revision))],
})

type Start =
  | { snapshot: boolean; backlog: Backlog | undefined; position: number }
  | { tooOld: number }

function startOf(cache: KindCache, revision: number | undefined, initialEvents: boolean | undefined): Start {
  if (initialEvents === true || revision === undefined || revision === 0) return { snapshot: initialEvents === true, backlog: undefined, position: cache.ringEnd }
  const position = cache.positionAfter(revision)
  if (position !== undefined) return { snapshot: false, backlog: undefined, position }
  try {
    return { snapshot: false, backlog: cache.history(revision, cache.revision()), position: cache.ringEnd }
  } catch (error) {
    if (hasCode(error, 'STORE_COMPACTED')) return { tooOld: revision }
    throw error
  }
}

/** Without a resourceVersion, or with "0", a watch begins with what is there (upstream's SetListOptionsDefaults). */
function parseInitialEvents(call: Call, revision: number | undefined): boolean | undefined {
  const { query } = call
  const errors: FieldError[] = []
  const wanted = query.optionalFlag('sendInitialEvents')
  const match = query.text('resourceVersionMatch')
  if (wanted !== undefined && match !== 'NotOlderThan') errors.push(forbiddenField('resourceVersionMatch', 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'))
  if (match !== '') {
    if (wanted === undefined) errors.push(forbiddenField('resourceVersionMatch', 'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided'))
    if (match !== 'NotOlderThan') errors.push(notSupported('resourceVersionMatch', match, ['NotOlderThan']))
    if (query.text('continue') !== '') errors.push(forbiddenField('resourceVersionMatch', 'resourceVersionMatch is forbidden when continue is provided'))
  }
  if (errors.length > 0) throw invalid({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', errors)
  return wanted ?? (revision === undefined || revision === 0 ? true : undefined)
}

/** A refusal that clients of watches expect inside the stream. */
function errorStream(error: ReturnType<typeof tooOld>, framing: Framing): ApiResponse {
  return { status: 200, headers: { 'content-type': framing.contentType }, body: framing.error(statusObject(error.body)) }
}
