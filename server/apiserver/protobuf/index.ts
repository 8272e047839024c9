/** Kubernetes' protobuf form of the built-in types: `application/vnd.kubernetes.protobuf`. */
import { builtinSchema } from '#api/schema/index.ts'
import { protobufFields } from '#api/schema/protobuf-fields.ts'
import type { KubeObject } from '#api/types/index.ts'
import { writeEnvelope } from './envelope.ts'
import { createPlans } from './message-plan.ts'
import { readMessage, writeMessage } from './message.ts'
import { WireError, WireReader, WireWriter } from './wire.ts'

export { parseEnvelope, type Envelope, type ParsedEnvelope } from './envelope.ts'

export const PROTOBUF_TYPE = 'application/vnd.kubernetes.protobuf'

type Json = Record<string, unknown>

export type DecodedMessage = { ok: true; value: Json } | { ok: false; message: string }

const plans = createPlans(builtinSchema, protobufFields)

/** Whether the model has a form on the wire: custom resources have none. */
export const hasProtobuf = (model: string): boolean => plans(model) !== undefined

/** A message to what parsing Go's JSON of the same object would give; kind and apiVersion are the envelope's and not set. */
export function decodeMessage(raw: Buffer, model: string, depthMax: number): DecodedMessage {
  const plan = plans(model)
  if (!plan) throw new Error(`bug: no protobuf fields of ${model}`)
  try {
    return { ok: true, value: readMessage(new WireReader(raw, depthMax), plan, {}) }
  } catch (error) {
    if (error instanceof WireError) return { ok: false, message: error.message }
    throw error
  }
}

/** The object in its envelope. `model`: its name in api/schema; `object` is not changed. */
export function encodeProtobuf(object: KubeObject, model: string): Buffer {
  const plan = plans(model)
  if (!plan) throw new Error(`bug: no protobuf fields of ${model}`)
  const writer = new WireWriter()
  writeEnvelope(writer, { apiVersion: object.apiVersion ?? '', kind: object.kind ?? '' }, () => writeMessage(writer, plan, object as Json))
  return writer.finish()
}
