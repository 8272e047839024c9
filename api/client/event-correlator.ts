/**
 * client-go's EventCorrelator as plain functions over one bounded memory: spam filter (a bucket per source and object),
 * aggregation (more than ten alike but for their message become one "combined"), and counting of repetitions.
 */
import type { ObjectReference } from '../types/index.ts'

export interface EventInput { about: ObjectReference; type: 'Normal' | 'Warning'; reason: string; message: string; /** Of the Event object itself, where it is made anew. */ annotations?: Readonly<Record<string, string>> }

export type EventPlan =
  /** The object has used up its share. */
  | { kind: 'drop' }
  | { kind: 'create'; key: string; message: string }
  | { kind: 'count'; key: string; message: string; name: string; namespace: string; count: number }

interface Bucket { tokens: number; atMs: number }
interface Group { messages: Set<string>; lastMs: number }
interface Written { name: string; namespace: string; count: number }

export interface EventMemory { buckets: Map<string, Bucket>; groups: Map<string, Group>; written: Map<string, Written> }

/** Entries per table; upstream keeps 4096, a board has fewer objects and less memory. */
const ENTRIES_MAX = 1_024
/** Upstream's defaults: 25 at once, then one in five minutes per source and object. */
const BURST_EVENTS = 25
const REFILL_MS = 300_000
/** Upstream's defaults: eleven alike within ten minutes are combined from then on. */
const SIMILAR_EVENTS_MAX = 10
const SIMILAR_MS = 600_000

export function createEventMemory(): EventMemory {
  return { buckets: new Map(), groups: new Map(), written: new Map() }
}

/** Decides how one event is written, and remembers that it was asked. */
export function correlate(memory: EventMemory, input: EventInput, nowMs: number): EventPlan {
  const object = objectKey(input.about)
  if (!takeToken(memory, object, nowMs)) return { kind: 'drop' }
  const groupKey = `${object}\0${input.type}\0${input.reason}`
  const group = memory.groups.get(groupKey)
  const live = group && nowMs - group.lastMs <= SIMILAR_MS ? group : { messages: new Set<string>(), lastMs: nowMs }
  live.lastMs = nowMs
  live.messages.add(input.message)
  remember(memory.groups, groupKey, live)
  const combined = live.messages.size >= SIMILAR_EVENTS_MAX
  // The set must not grow without end; which message leaves it does not matter.
  if (live.messages.size > SIMILAR_EVENTS_MAX) for (const m of live.messages) { live.messages.delete(m); break }
  const message = combined ? `(combined from similar events): ${input.message}` : input.message
  const key = combined ? groupKey : `${groupKey}\0${input.message}`
  const before = memory.written.get(key)
  if (!before) return { kind: 'create', key, message }
  before.count++
  remember(memory.written, key, before)
  return { kind: 'count', key, message, name: before.name, namespace: before.namespace, count: before.count }
}

/** An event was created under this name: its repetitions count there. */
export function noteWritten(memory: EventMemory, key: string, at: { name: string; namespace: string }): void {
  remember(memory.written, key, { ...at, count: memory.written.get(key)?.count ?? 1 })
}

function takeToken(memory: EventMemory, key: string, nowMs: number): boolean {
  const bucket = memory.buckets.get(key) ?? { tokens: BURST_EVENTS, atMs: nowMs }
  bucket.tokens = Math.min(BURST_EVENTS, bucket.tokens + Math.max(0, nowMs - bucket.atMs) / REFILL_MS)
  bucket.atMs = nowMs
  remember(memory.buckets, key, bucket)
  if (bucket.tokens < 1) return false
  bucket.tokens--
  return true
}

function objectKey(about: ObjectReference): string {
  return [about.kind, about.namespace, about.name, about.uid, about.apiVersion, about.fieldPath].join('\0')
}

/** Least recently used go first: a Map keeps its order of insertion. */
function remember<V>(table: Map<string, V>, key: string, value: V): void {
  table.delete(key)
  table.set(key, value)
  if (table.size > ENTRIES_MAX) for (const oldest of table.keys()) { table.delete(oldest); break }
}
