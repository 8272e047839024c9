/** How a Kubernetes object travels as protobuf: four magic bytes, then runtime.Unknown with the object's message inside. */
import { eachField } from './scalars.ts'
import { WireError, WireReader, type WireWriter } from '#base/protobuf/wire.ts'

const MAGIC = Buffer.from('k8s\0')

export interface Envelope { apiVersion: string; kind: string; raw: Buffer }

export type ParsedEnvelope = { ok: true; envelope: Envelope } | { ok: false; message: string }

/** `raw` is a view of `bytes`. Messages are upstream's. */
export function parseEnvelope(bytes: Buffer): ParsedEnvelope {
  if (bytes.length === 0) return { ok: false, message: 'empty data' }
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) return { ok: false, message: `provided data does not appear to be a protobuf message, expected prefix [${MAGIC.join(' ')}]` }
  if (bytes.length === MAGIC.length) return { ok: false, message: 'empty body' }
  try {
    return { ok: true, envelope: readUnknown(bytes.subarray(MAGIC.length)) }
  } catch (error) {
    if (error instanceof WireError) return { ok: false, message: error.message }
    throw error
  }
}

/** `{typeMeta=1 {apiVersion=1, kind=2}, raw=2, contentEncoding=3, contentType=4}`; the last two are not used. */
function readUnknown(bytes: Buffer): Envelope {
  const envelope: Envelope = { apiVersion: '', kind: '', raw: Buffer.alloc(0) }
  const reader = new WireReader(bytes, 2)
  eachField(reader, 'Unknown', (number, wire) => {
    if (number > 2 || wire !== 2) return false
    if (number === 2) {
      envelope.raw = reader.slice()
      return true
    }
    const outer = reader.open()
    eachField(reader, 'TypeMeta', (field, type) => {
      if (field > 2 || type !== 2) return false
      envelope[field === 1 ? 'apiVersion' : 'kind'] = reader.string()
      return true
    })
    reader.close(outer)
    return true
  })
  return envelope
}

/** What comes after the message: written first, as all is written backwards. */
export function writeEnvelopeEnd(writer: WireWriter): void {
  // Upstream writes both empty texts.
  writer.string('')
  writer.tag(4, 2)
  writer.string('')
  writer.tag(3, 2)
}

/** What comes before a message of `rawBytes`. */
export function writeEnvelopeStart(writer: WireWriter, of: { apiVersion: string; kind: string }, rawBytes: number): void {
  writer.length(writer.size - rawBytes)
  writer.tag(2, 2)
  const typeEnd = writer.size
  writer.string(of.kind)
  writer.tag(2, 2)
  writer.string(of.apiVersion)
  writer.tag(1, 2)
  writer.length(typeEnd)
  writer.tag(1, 2)
  writer.raw(MAGIC)
}
