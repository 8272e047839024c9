/** A body, of whatever type, as a JSON value: audit events are JSON. */
import { measureJson } from '../decode/json-scan.ts'
import { parseYaml } from '../decode/yaml.ts'
import { decodeMessage, parseEnvelope, protobufModelOf, PROTOBUF_TYPE } from '../protobuf/index.ts'

/** Deeper ones are refused by whoever decodes them; printing them would be recursive. */
const DEPTH_MAX = 500
const LIMITS = { maxDepth: DEPTH_MAX, maxValues: 1_000_000 }

/** Undefined: nothing that could be shown. */
export function bodyValue(bytes: Buffer, contentType = ''): unknown {
  if (bytes.length === 0) return undefined
  const type = contentType.split(';')[0]?.trim() ?? ''
  if (type === PROTOBUF_TYPE) return protobufValue(bytes)
  if (type.includes('yaml')) {
    const parsed = parseYaml(bytes.toString(), LIMITS)
    return parsed.ok ? parsed.value : undefined
  }
  if (type !== '' && !type.includes('json')) return undefined
  if (measureJson(bytes).depth > DEPTH_MAX) return undefined
  try {
    return JSON.parse(bytes.toString()) as unknown
  } catch {
    // Whoever sent it was told; the event has the refusal.
    return undefined
  }
}

function protobufValue(bytes: Buffer): unknown {
  const envelope = parseEnvelope(bytes)
  if (!envelope.ok) return undefined
  const { apiVersion, kind, raw } = envelope.envelope
  const model = protobufModelOf({ apiVersion, kind })
  if (model === undefined) return undefined
  const message = decodeMessage(raw, model, DEPTH_MAX)
  return message.ok ? { kind, apiVersion, ...message.value } : undefined
}
