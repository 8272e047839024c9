/** Kubernetes' protobuf form of the built-in types: `application/vnd.kubernetes.protobuf`. */
import { builtinSchema } from '#api/schema/index.ts'
import { protobufFields } from '#api/schema/protobuf-fields.ts'
import { apiVersionOf, type KubeObject } from '#api/types/index.ts'
import type { MessagePlan } from './codec.ts'
import { writeEnvelopeEnd, writeEnvelopeStart } from './envelope.ts'
import { JsonTape } from './json-tape.ts'
import { createPlans } from './message-plan.ts'
import { readMessage, writeMessage } from './message.ts'
import { transcodeMessage } from './transcode.ts'
import { WireError, WireReader, WireWriter } from '#base/protobuf/wire.ts'

export { parseEnvelope, type Envelope, type ParsedEnvelope } from './envelope.ts'
export { WireReader, WireWriter } from '#base/protobuf/wire.ts'

export const PROTOBUF_TYPE = 'application/vnd.kubernetes.protobuf'
export const PROTOBUF_WATCH_TYPE = `${PROTOBUF_TYPE};stream=watch`

type Json = Record<string, unknown>

export type DecodedMessage = { ok: true; value: Json } | { ok: false; message: string }

/** As most objects are. */
const SCRATCH_BYTES = 64 * 1024

const plans = createPlans(builtinSchema, protobufFields)
/** `apiVersion Kind` to model; filled when first asked. */
const modelNames = new Map<string, string>()

/** Whether the model has a form on the wire: custom resources have none. */
export const hasProtobuf = (model: string): boolean => plans(model) !== undefined

/** A message to what parsing Go's JSON of the same object would give; kind and apiVersion are the envelope's and not set. */
export function decodeMessage(raw: Buffer, model: string, depthMax: number): DecodedMessage {
  const plan = mustPlan(model)
  try {
    return { ok: true, value: readMessage(new WireReader(raw, depthMax), plan, {}) }
  } catch (error) {
    if (error instanceof WireError) return { ok: false, message: error.message }
    throw error
  }
}

/** The object in its envelope. `model`: its name in api/schema; `object` is not changed. */
export function encodeProtobuf(object: KubeObject, model: string): Buffer {
  const plan = mustPlan(model)
  const writer = new WireWriter()
  writeEnvelopeEnd(writer)
  const before = writer.size
  writeMessage(writer, plan, object as Json)
  writeEnvelopeStart(writer, { apiVersion: object.apiVersion ?? '', kind: object.kind ?? '' }, writer.size - before)
  return writer.finish()
}

/** The same of an object's JSON, kind and apiVersion in it, without making the object. Undefined: its kind has no form on the wire. */
export function transcodeProtobuf(json: Buffer): Buffer | undefined {
  const whole = jsonTape.read(json)
  const of = { apiVersion: textOf(whole, 'apiVersion'), kind: textOf(whole, 'kind') }
  const model = protobufModelOf(of)
  if (model === undefined) return undefined
  jsonWriter.restart()
  writeEnvelopeEnd(jsonWriter)
  const before = jsonWriter.size
  transcodeMessage(jsonWriter, mustPlan(model), jsonTape, whole)
  writeEnvelopeStart(jsonWriter, { apiVersion: of.apiVersion ?? '', kind: of.kind ?? '' }, jsonWriter.size - before)
  return jsonWriter.finish()
}

function textOf(object: number, member: string): string | undefined {
  const node = jsonTape.member(object, member)
  return node === undefined ? undefined : (jsonTape.parse(node) as string)
}

/** One each for all: they are done with when a message is. */
const jsonTape = new JsonTape()
const jsonWriter = new WireWriter()
const scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)

/** Text has one byte a character (Latin-1). The bytes are void with the next call. */
function joined(parts: readonly (string | Buffer)[]): Buffer {
  const size = parts.reduce((bytes, part) => bytes + part.length, 0)
  const bytes = size <= SCRATCH_BYTES ? scratch.subarray(0, size) : Buffer.allocUnsafe(size)
  let at = 0
  for (const part of parts) at += typeof part === 'string' ? bytes.write(part, at, 'latin1') : part.copy(bytes, at)
  return bytes
}

/** An object's JSON, in parts, as an item of a list: the list's field with its length. `model`: its name in api/schema. */
export function transcodeListItem(json: readonly (string | Buffer)[], model: string): Buffer {
  jsonWriter.restart()
  transcodeMessage(jsonWriter, mustPlan(model), jsonTape, jsonTape.read(joined(json)))
  jsonWriter.length(0)
  jsonWriter.tag(2, 2)
  return jsonWriter.finish()
}

/** What stands around items that are `itemsBytes` long together: the envelope, and the list's metadata, which are first in it. */
export function aroundProtobufList(list: { apiVersion: string; kind: string; metadata: object }, itemsBytes: number): { head: Buffer; tail: Buffer } {
  const tail = new WireWriter()
  writeEnvelopeEnd(tail)
  const head = new WireWriter()
  writeMessage(head, mustPlan('ListMeta'), list.metadata as Json)
  head.length(0)
  head.tag(1, 2)
  writeEnvelopeStart(head, list, head.size + itemsBytes)
  return { head: head.finish(), tail: tail.finish() }
}

/** One event of a watch: its length in four bytes, then `{type=1, object=2 {raw=1}}` with the object in its own envelope. */
export function encodeWatchFrame(type: string, object: Buffer): Buffer {
  const writer = new WireWriter()
  writer.bytes(object)
  writer.tag(1, 2)
  writer.length(0)
  writer.tag(2, 2)
  writer.string(type)
  writer.tag(1, 2)
  const size = Buffer.allocUnsafe(4)
  size.writeUInt32BE(writer.size)
  writer.raw(size)
  return writer.finish()
}

function mustPlan(model: string): MessagePlan {
  const plan = plans(model)
  if (!plan) throw new Error(`bug: no protobuf fields of ${model}`)
  return plan
}

const PARTIAL = /^PartialObjectMetadata(?:List)?$/

/** The schema's name of a kind that has a form on the wire; undefined for every other. Core discovery leaves its apiVersion out. */
export function protobufModelOf({ apiVersion = 'v1', kind }: { apiVersion?: string | undefined; kind?: string | undefined }): string | undefined {
  if (kind === undefined) return undefined
  if (PARTIAL.test(kind) && apiVersion.startsWith('meta.k8s.io/')) return kind
  if (modelNames.size === 0) {
    for (const { model, groupVersionKinds } of builtinSchema.models()) {
      for (const gvk of groupVersionKinds) modelNames.set(`${apiVersionOf(gvk)} ${gvk.kind}`, model)
    }
  }
  const model = modelNames.get(`${apiVersion} ${kind}`)
  return model !== undefined && hasProtobuf(model) ? model : undefined
}
