/** GET with watch=true: what was, then what happens. */
import type { ApiResponse } from '#api/client/transport.ts'
import { hasCode } from '#base/errors.ts'
import { forbidden as forbiddenField, notSupported, type FieldError } from '../field-error.ts'
import { negotiateObject } from '../http/negotiate.ts'
import { invalid, statusObject, tooOld } from '../http/status.ts'
import { encoderFor } from '../table/render.ts'
import type { Framing } from '../watch/encoder.ts'
import type { CacheEvent, KindCache } from '../watch/kind-cache.ts'
import { entryFilter, parseSelection } from '../watch/selection.ts'
import { Watcher } from '../watch/watcher.ts'
import { cacheOf, type Call } from './call.ts'
import { fieldSelectorOf, parseRevision, waitForRevision } from './list-options.ts'

/** Without timeoutSeconds a watch lives half an hour to an hour, spread so that they do not all return at once. */
const MIN_TIMEOUT_MS = 1_800_000
/** A client may ask for longer than this, but does not get it. */
const TIMEOUT_SECONDS_MAX = 86_400

export async function watch(call: Call): Promise<ApiResponse> {
  const { query, row, info, parts } = call
  const format = negotiateObject(call.headers['accept'], call.row.model)
  const selection = parseSelection(row, info.namespace, query.text('labelSelector'), fieldSelectorOf(call))
  const revision = parseRevision(query.text('resourceVersion'))
  const initialEvents = parseInitialEvents(call)
  const seconds = query.integer('timeoutSeconds') ?? 0
  const cache = await cacheOf(parts, row)
  if (initialEvents === true && revision !== undefined && revision > cache.revision()) await waitForRevision(call, revision)
  const matches = entryFilter(selection)
  // From here to the Watcher nothing waits: snapshot, position and following are of one moment.
  const encoder = encoderFor(call, format)
  const { framing } = encoder.objects
  const start = startOf(cache, revision, initialEvents)
  if ('tooOld' in start) return errorStream(tooOld(start.tooOld, parts.store.compactRevision()), framing)
  const watcher = new Watcher({
    cache, clock: parts.clock, encoder: encoder.objects, bookmarkOf: encoder.bookmarkOf, matches,
    initial: start.snapshot ? (selection.matches ? cache.list(selection.namespace).filter(selection.matches) : cache.list(selection.namespace)) : [],
    initialEndRevision: initialEvents === true && query.flag('allowWatchBookmarks') ? cache.revision() : undefined,
    backlog: start.backlog, position: start.position,
    bookmarks: query.flag('allowWatchBookmarks'),
    timeoutMs: seconds > 0 ? Math.min(seconds, TIMEOUT_SECONDS_MAX) * 1000 : Math.round((parts.minWatchTimeoutMs ?? MIN_TIMEOUT_MS) * (1 + parts.random.next())),
    signal: call.signal, sent: parts.metrics.watches.sentOf(row),
  })
  return { status: 200, headers: { 'content-type': framing.contentType, 'cache-control': 'no-cache, private' }, body: watcher }
}

type Start =
  | { snapshot: boolean; backlog: readonly CacheEvent[]; position: number }
  | { tooOld: number }

function startOf(cache: KindCache, revision: number | undefined, initialEvents: boolean | undefined): Start {
  const wantsSnapshot = initialEvents ?? (revision === undefined || revision === 0)
  if (wantsSnapshot || revision === undefined || revision === 0) return { snapshot: wantsSnapshot, backlog: [], position: cache.ringEnd }
  const position = cache.positionAfter(revision)
  if (position !== undefined) return { snapshot: false, backlog: [], position }
  try {
    return { snapshot: false, backlog: cache.history(revision), position: cache.ringEnd }
  } catch (error) {
    if (hasCode(error, 'STORE_COMPACTED')) return { tooOld: revision }
    throw error
  }
}

function parseInitialEvents(call: Call): boolean | undefined {
  const { query } = call
  const errors: FieldError[] = []
  const wanted = query.optionalFlag('sendInitialEvents')
  const match = query.text('resourceVersionMatch')
  if (match !== '' && wanted === undefined) errors.push(forbiddenField('resourceVersionMatch', 'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided'))
  if (wanted !== undefined && match === '') errors.push(forbiddenField('resourceVersionMatch', 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'))
  if (wanted !== undefined && match !== '' && match !== 'NotOlderThan') errors.push(notSupported('resourceVersionMatch', match, ['NotOlderThan']))
  if (query.text('continue') !== '' && wanted !== undefined) errors.push(forbiddenField('continue', 'continue is forbidden for watch'))
  if (errors.length > 0) throw invalid({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', errors)
  return wanted
}

/** A refusal that clients of watches expect inside the stream. */
function errorStream(error: ReturnType<typeof tooOld>, framing: Framing): ApiResponse {
  return { status: 200, headers: { 'content-type': framing.contentType }, body: framing.error(statusObject(error.body)) }
}
