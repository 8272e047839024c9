/** ListOptions from the query, checked as upstream checks them, and what lists and watches share. */
import { forbidden as forbiddenField, notSupported, type FieldError } from '../field-error.ts'
import { goQuote } from '../go-quote.ts'
import { badRequest, futureRevision, invalid } from '../http/status.ts'
import { nameSelected, parseSelection, type Selection } from '../watch/selection.ts'
import type { Call } from './call.ts'
import { decodeContinue, INCONSISTENT, type ContinueToken } from './continue-token.ts'

const UINT64_MAX = 2n ** 64n - 1n

/** How long a list waits for a revision it was promised; upstream's blockTimeout. */
const FRESH_WAIT_MS = 3_000

export interface ListOptions {
  limit: number
  token: ContinueToken | undefined
  /** Undefined: the newest. */
  revision: number | undefined
  match: 'newest' | 'not-older' | 'exact'
}

/** What the query selects. A watch path with a name (`/watch/pods/x`) is a field selector. */
export function selectionOf({ query, row, info }: Call): Selection {
  const fields = query.text('fieldSelector')
  if (info.name !== '' && fields !== '' && nameSelected(fields) !== info.name) throw badRequest("fieldSelector metadata.name doesn't match requested name")
  return parseSelection(row, info.namespace, {
    labels: query.text('labelSelector'), shard: query.text('shardSelector'),
    fields: info.name === '' || fields !== '' ? fields : `metadata.name=${info.name}`,
  })
}

export function parseListOptions(call: Call): ListOptions {
  const { query } = call
  const errors: FieldError[] = []
  const text = query.text('resourceVersion')
  const match = query.text('resourceVersionMatch')
  const next = query.text('continue')
  const limit = Math.max(0, query.integer('limit') ?? 0)
  // A list has no use for it, but upstream reads all options before it looks at any.
  query.integer('timeoutSeconds')
  if (match !== '') {
    if (text === '') errors.push(forbiddenField('resourceVersionMatch', 'resourceVersionMatch is forbidden unless resourceVersion is provided'))
    if (next !== '') errors.push(forbiddenField('resourceVersionMatch', 'resourceVersionMatch is forbidden when continue is provided'))
    if (match !== 'Exact' && match !== 'NotOlderThan') errors.push(notSupported('resourceVersionMatch', match, ['Exact', 'NotOlderThan', '']))
    if (match === 'Exact' && text === '0') errors.push(forbiddenField('resourceVersionMatch', 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'))
  }
  if (query.has('sendInitialEvents')) errors.push(forbiddenField('sendInitialEvents', 'sendInitialEvents is forbidden for list'))
  if (errors.length > 0) throw invalid({ group: 'meta.k8s.io', kind: 'ListOptions' }, '', errors)
  if (next !== '') {
    // Whatever the token is of: one that was made for another list begins elsewhere, but is no danger.
    const token = decodeContinue(next)
    if (text !== '' && text !== '0') throw badRequest('specifying resource version is not allowed when using continue')
    return { limit, token, revision: token.revision === INCONSISTENT ? undefined : token.revision, match: token.revision === INCONSISTENT ? 'newest' : 'exact' }
  }
  const revision = parseRevision(text)
  if (revision === undefined) return { limit, token: undefined, revision, match: 'newest' }
  // Upstream: a limit with a plain resourceVersion asks for exactly that state, so that pages fit together.
  const exact = match === 'Exact' || (match === '' && limit > 0 && revision > 0)
  return { limit: revision === 0 ? 0 : limit, token: undefined, revision, match: exact ? 'exact' : 'not-older' }
}

/** Undefined for ''. Throws a 400 for what is not a number. */
export function parseRevision(text: string): number | undefined {
  if (text === '') return undefined
  const problem = revisionProblem(text)
  if (problem !== undefined) throw badRequest(`invalid resource version: ${problem}`)
  return Number(text)
}

/** Undefined: a number of 64 bits. */
export function revisionProblem(text: string): string | undefined {
  const problem = !/^\d{1,64}$/.test(text) ? 'invalid syntax' : BigInt(text) > UINT64_MAX ? 'value out of range' : undefined
  return problem === undefined ? undefined : `resourceVersion: Invalid value: ${goQuote(text)}: strconv.ParseUint: parsing ${goQuote(text)}: ${problem}`
}

/** For a message: as it was sent, where a number here does not hold it. */
export function asAsked(call: Call, revision: number): number | bigint {
  const text = call.query.text('resourceVersion')
  return Number(text) === revision ? BigInt(text) : revision
}

/** Throws 504 when the revision does not come. */
export async function waitForRevision(call: Call, revision: number, isExact = false): Promise<void> {
  const { store, clock } = call.parts
  const until = clock.monotonicMs() + FRESH_WAIT_MS
  // Another server may have it already.
  await store.catchUp()
  while (store.revision() < revision) {
    if (clock.monotonicMs() >= until) throw futureRevision(asAsked(call, revision), store.revision(), isExact)
    await clock.sleep(100, call.signal)
  }
}
