/**
 * What clients did and saw, written down so that it can be judged without knowing who served it. All times are of one
 * clock, in milliseconds.
 *
 * An object's content is the set of tokens in it, sorted and joined with '+'. Each write brings a token nobody else
 * uses, so a content names the write that made it, and a write that happens twice shows.
 */
export type Content = string

export type Action =
  | { kind: 'get'; key: string }
  | { kind: 'create'; key: string; token: string }
  /** Replaces the content. `expected`: only if this is still the content (by its resourceVersion). */
  | { kind: 'put'; key: string; token: string; expected?: Content }
  /** Adds a token to whatever is there: a patch, read and written by the server. */
  | { kind: 'add'; key: string; token: string }
  | { kind: 'delete'; key: string; expected?: Content }
  /** `notOlderThan`: an older state than the newest will do, but not older than this revision. */
  | { kind: 'list'; notOlderThan?: number }

export type Outcome =
  /** Of get: undefined where there is no such object. */
  | { kind: 'seen'; content: Content | undefined; revision?: number }
  /** Of create, put and add: what the answer says is stored now. */
  | { kind: 'stored'; content: Content; revision: number }
  | { kind: 'deleted' }
  | { kind: 'listed'; objects: Readonly<Record<string, { content: Content; revision: number }>>; revision: number }
  /** AlreadyExists for create, Conflict for what expected something else. */
  | { kind: 'conflict' }
  | { kind: 'missing' }
  /** No answer, or one that does not tell: it may have happened, may happen later, or never. */
  | { kind: 'unknown' }

export interface Operation {
  client: string
  server: string
  callMs: number
  /** Infinity where the outcome is unknown. */
  returnMs: number
  /** Keys that are judged together; lists are of a cell. */
  cell: string
  action: Action
  outcome: Outcome
}

export interface WatchedChange { type: 'ADDED' | 'MODIFIED' | 'DELETED'; key: string; content: Content; revision: number }

/** What one watching client was told, in order, over all its connections to whichever server. */
export type WatchRecord =
  /** It (re)lists: what it knew before is forgotten. */
  | { kind: 'listed'; server: string; objects: Readonly<Record<string, { content: Content; revision: number }>>; revision: number }
  /** A stream begins; it continues after what was seen last. */
  | { kind: 'connected'; server: string }
  | { kind: 'change'; change: WatchedChange }
  | { kind: 'bookmark'; revision: number }

export interface History {
  operations: readonly Operation[]
  watchers: readonly { name: string; records: readonly WatchRecord[] }[]
}

/** Something that no correct store could have shown, in a sentence. */
export type Fault = string

export function describeOperation({ client, server, callMs, returnMs, action, outcome }: Operation): string {
  const time = `${callMs.toFixed(1)}..${returnMs === Infinity ? '?' : returnMs.toFixed(1)}`
  const { kind, ...details } = action
  const what = Object.values(details).join(' ')
  const answer = outcome.kind === 'listed'
    ? `${Object.entries(outcome.objects).map(([k, o]) => `${k}=${o.content}`).join(' ') || 'nothing'} @${outcome.revision}`
    : outcome.kind === 'seen' ? outcome.content ?? 'nothing' : outcome.kind === 'stored' ? `${outcome.content} @${outcome.revision}` : outcome.kind
  return `${time} ${client} on ${server}: ${kind} ${what} -> ${answer}`
}
