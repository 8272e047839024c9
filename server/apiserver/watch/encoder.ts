/** Forms in which entries go out. Each has a key, under which an event's bytes are shared by all watchers that want that form. */
import type { KubeObject } from '#api/types/index.ts'
import { JSON_TYPE } from '../http/response.ts'
import { encodeProtobuf, encodeWatchFrame, PROTOBUF_WATCH_TYPE, protobufModelOf, transcodeProtobuf } from '../protobuf/index.ts'
import { metadataEnd, objectStart, revisedHead, STORED_START_BYTES } from '../storage/bytes.ts'
import type { CacheEvent, Entry } from './kind-cache.ts'

/** How events stand in the stream. */
export interface Framing {
  contentType: string
  event(type: EventType, object: readonly Buffer[]): Buffer
  bookmark(object: KubeObject): Buffer
  error(status: Record<string, unknown>): Buffer
}

/** What one watch sends. */
export interface WatchForm {
  objects: Encoder
  /** Of the first event: a table names its columns once. Otherwise the same. */
  first: Encoder
  bookmark(revision: number, initialEventsEnd: boolean, isFirst: boolean): KubeObject
}

export interface Encoder {
  /** Equal keys mean equal bytes. */
  key: string
  framing: Framing
  /** The object as it was in `entry`, shown at `revision`. */
  object(entry: Entry, revision: number): Buffer[]
}

/** Whole objects: the stored bytes with a head spliced on. */
export function plainEncoder(of: { kind: string; apiVersion: string }): Encoder {
  const start = objectStart(of)
  return {
    key: `plain ${of.apiVersion}`, framing: jsonFraming,
    object: (entry, revision) => [Buffer.from(revisedHead(start, revision)), entry.value.subarray(STORED_START_BYTES)],
  }
}

/** PartialObjectMetadata: the `metadata` part of the stored bytes, cut out unparsed. */
export function metadataEncoder(metaVersion: string): Encoder {
  const start = objectStart({ kind: 'PartialObjectMetadata', apiVersion: metaVersion })
  return {
    key: `metadata ${metaVersion}`, framing: jsonFraming,
    object: (entry, revision) => [Buffer.from(revisedHead(start, revision)), entry.value.subarray(STORED_START_BYTES, metadataEnd(entry.value)), CLOSE],
  }
}

const CLOSE = Buffer.from('}')

/** Forms that look inside: tables, metadata only, other versions. `convert` returns what is printed. */
export function convertingEncoder(key: string, of: { kind: string; apiVersion: string }, convert: (object: KubeObject) => unknown): Encoder {
  return { key, framing: jsonFraming, object: (entry, revision) => [Buffer.from(JSON.stringify(convert(parseEntry(entry, of, revision))))] }
}

/** What another form says in JSON, in protobuf: its objects are of a kind that has that form. */
export function protobufEncoder(json: Encoder): Encoder {
  return {
    key: `protobuf ${json.key}`, framing: protobufFraming,
    object(entry, revision) {
      const bytes = transcodeProtobuf(Buffer.concat(json.object(entry, revision)))
      if (bytes === undefined) throw new Error(`bug: the form "${json.key}" has none in protobuf`)
      return [bytes]
    },
  }
}

/** A fresh object; the caller may change it. */
export function parseEntry(entry: Entry, of: { kind: string; apiVersion: string }, revision = entry.revision): KubeObject {
  const { metadata, ...rest } = JSON.parse(entry.value.toString()) as KubeObject
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
  const line = encoder.framing.event(type, encoder.object(entry, event.revision))
  event.encoded.set(id, line)
  return line
}

/** One JSON object a line. */
const jsonFraming: Framing = {
  contentType: JSON_TYPE,
  event: (type, object) => Buffer.concat([START[type], ...object, END]),
  bookmark: (object) => Buffer.from(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`),
  error: (status) => Buffer.from(`${JSON.stringify({ type: 'ERROR', object: status })}\n`),
}

/** Frames with a length; see encodeWatchFrame. */
const protobufFraming: Framing = {
  contentType: PROTOBUF_WATCH_TYPE,
  event: (type, object) => encodeWatchFrame(type, Buffer.concat(object)),
  bookmark: (object) => encodeWatchFrame('BOOKMARK', encodeObject(object)),
  error: (status) => encodeWatchFrame('ERROR', encodeObject(status as KubeObject)),
}

function encodeObject(object: KubeObject): Buffer {
  const model = protobufModelOf(object)
  if (model === undefined) throw new Error(`bug: ${object.kind} of ${object.apiVersion} has no protobuf form`)
  return encodeProtobuf(object, model)
}

/** An object of the kind that says nothing but how far the watch has come; `listBlueprint`: see blueprintOf in table/render.ts. */
export function bookmarkObject(of: { kind: string; apiVersion: string }, revision: number, initialEventsEnd: boolean, listBlueprint?: () => string): KubeObject {
  const annotations = initialEventsEnd
    ? { annotations: { 'k8s.io/initial-events-end': 'true', ...(listBlueprint && { 'kubernetes.io/initial-events-list-blueprint': listBlueprint() }) } }
    : {}
  return { kind: of.kind, apiVersion: of.apiVersion, metadata: { resourceVersion: String(revision), ...annotations } } as unknown as KubeObject
}
