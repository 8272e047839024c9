/** Forms in which entries go out. Each has a key, under which an event's bytes are shared by all watchers that want that form. */
import type { KubeObject } from '#api/types/index.ts'
import { objectStart } from '../storage/bytes.ts'
import type { CacheEvent, Entry } from './kind-cache.ts'

export interface Encoder {
  /** Equal keys mean equal bytes. */
  key: string
  /** The object as it was in `entry`, shown at `revision`. */
  object(entry: Entry, revision: number): Buffer[]
}

/** Whole objects: the stored bytes with a head spliced on. */
export function plainEncoder(of: { kind: string; apiVersion: string }): Encoder {
  const start = objectStart(of)
  return {
    key: `plain ${of.apiVersion}`,
    object: (entry, revision) => [Buffer.from(`${start}"resourceVersion":"${revision}",`), entry.bytes.subarray(entry.tailAt)],
  }
}

/** Forms that look inside: tables, metadata only, other versions. `convert` returns what is printed. */
export function convertingEncoder(key: string, of: { kind: string; apiVersion: string }, convert: (object: KubeObject) => unknown): Encoder {
  return { key, object: (entry, revision) => [Buffer.from(JSON.stringify(convert(parseEntry(entry, of, revision))))] }
}

/** A fresh object; the caller may change it. */
export function parseEntry(entry: Entry, of: { kind: string; apiVersion: string }, revision = entry.revision): KubeObject {
  const { metadata, ...rest } = JSON.parse(entry.bytes.toString()) as KubeObject
  return { kind: of.kind, apiVersion: of.apiVersion, metadata: { ...metadata, resourceVersion: String(revision) }, ...rest }
}

export type EventType = 'ADDED' | 'MODIFIED' | 'DELETED'

const START: Record<EventType, Buffer> = {
  ADDED: Buffer.from('{"type":"ADDED","object":'),
  MODIFIED: Buffer.from('{"type":"MODIFIED","object":'),
  DELETED: Buffer.from('{"type":"DELETED","object":'),
}
const END = Buffer.from('}\n')

/** One line of a watch, made once per event, type and encoder. */
export function encodeEvent(event: CacheEvent, type: EventType, encoder: Encoder): Buffer {
  const id = `${type} ${encoder.key}`
  const made = event.encoded.get(id)
  if (made) return made
  // What is deleted, or left the selection, is shown as it last was, at the revision of its going.
  const entry = (type === 'DELETED' ? event.before : event.after) as Entry
  const line = encodeLine(type, encoder.object(entry, event.revision))
  event.encoded.set(id, line)
  return line
}

export function encodeLine(type: EventType, object: Buffer[]): Buffer {
  return Buffer.concat([START[type], ...object, END])
}

export function encodeBookmark(of: { kind: string; apiVersion: string }, revision: number, initialEventsEnd: boolean): Buffer {
  const annotations = initialEventsEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}
  return Buffer.from(`${JSON.stringify({ type: 'BOOKMARK', object: { kind: of.kind, apiVersion: of.apiVersion, metadata: { resourceVersion: String(revision), creationTimestamp: null, ...annotations } } })}\n`)
}

export function encodeError(status: Record<string, unknown>): Buffer {
  return Buffer.from(`${JSON.stringify({ type: 'ERROR', object: status })}\n`)
}
