/**
 * Objects as bytes. Stored is the canonical JSON without kind, apiVersion and metadata.resourceVersion, `metadata`
 * first. What goes out is spliced around those bytes; they are parsed only by who changes or selects an object.
 */
import { builtinSchema } from '#api/schema/index.ts'
import type { KubeObject } from '#api/types/index.ts'
import { assert } from '#base/errors.ts'
import { canonicalFreeText, canonicalText } from '../decode/index.ts'

/** How every stored value begins; the bytes after it go out unchanged. */
const STORED_START = '{"metadata":{'
export const STORED_START_BYTES = STORED_START.length

/** The bytes to store. `model` as in api/schema. */
export function encodeStored(object: KubeObject, model: string): Buffer {
  return bytesOf(canonicalText(object, { schema: builtinSchema, model }))
}

/** The same for objects that no model knows: custom resources, whose nulls and empty parts mean something. */
export function encodeFree(object: KubeObject): Buffer {
  return bytesOf(canonicalFreeText(object, builtinSchema))
}

function bytesOf(text: string): Buffer {
  assert(text.startsWith(STORED_START) && text[STORED_START_BYTES] !== '}', 'an object without any metadata is to be stored')
  // Not from Buffer's pool: a value lives long, and would keep a whole slab of its short-lived neighbours.
  const bytes = Buffer.allocUnsafeSlow(Buffer.byteLength(text))
  bytes.write(text)
  return bytes
}

/** The object with kind, apiVersion and resourceVersion, as clients see it; a fresh copy each time. */
export function decodeStored(value: Buffer, of: { kind: string; apiVersion: string }, revision: number): KubeObject & { metadata: object } {
  const { metadata, ...rest } = JSON.parse(value.toString()) as KubeObject
  return { kind: of.kind, apiVersion: of.apiVersion, metadata: { ...metadata, resourceVersion: String(revision) }, ...rest }
}

/** `{"kind":"Pod","apiVersion":"v1","metadata":{`: what stands before the resourceVersion in a single object. */
export const objectStart = (of: { kind: string; apiVersion: string }): string => `{"kind":${JSON.stringify(of.kind)},"apiVersion":${JSON.stringify(of.apiVersion)},"metadata":{`

/** What stands before the stored bytes from STORED_START_BYTES on; `start` ends in the metadata. */
export const revisedHead = (start: string, revision: number): string => `${start}"resourceVersion":"${revision}",`

/** The whole single object, in two parts: a new head and the store's own bytes. Revision 0: never stored (dry run). */
export function spliceObject(start: string, value: Buffer, revision: number): Buffer[] {
  return [Buffer.from(revision === 0 ? start : revisedHead(start, revision)), value.subarray(STORED_START_BYTES)]
}

/** How list items begin: without kind and apiVersion, as upstream's lists have them; those of custom resources (`of`) with both. */
export const itemStart = (of?: { kind: string; apiVersion: string }): string => (of ? `{"apiVersion":${JSON.stringify(of.apiVersion)},"kind":${JSON.stringify(of.kind)},"metadata":{` : STORED_START)

/**
 * Where the `metadata` object ends (exclusive) in bytes that begin with `{"metadata":{`, so that it can be cut out without
 * parsing the rest.
 */
export function metadataEnd(bytes: Buffer): number {
  let depth = 0
  for (let i = STORED_START_BYTES - 1; i < bytes.length; i++) {
    const c = bytes[i]
    if (c === QUOTE) {
      i = stringEnd(bytes, i)
    } else if (c === OPEN) {
      depth++
    } else if (c === CLOSE && --depth === 0) {
      return i + 1
    }
  }
  return bytes.length
}

const QUOTE = 0x22
const OPEN = 0x7b
const CLOSE = 0x7d
const BACKSLASH = 0x5c

/** The closing quote of the string that opens at `at`. */
function stringEnd(bytes: Buffer, at: number): number {
  // Most strings of metadata are names: a call costs more than a look at each of their bytes.
  const near = Math.min(at + 1 + NEAR_BYTES, bytes.length)
  for (let i = at + 1; i < near; i++) {
    if (bytes[i] === QUOTE) return i
    if (bytes[i] === BACKSLASH) i++
  }
  return farStringEnd(bytes, at)
}

const NEAR_BYTES = 48

function farStringEnd(bytes: Buffer, at: number): number {
  let end = at
  for (;;) {
    end = bytes.indexOf(QUOTE, end + 1)
    if (end < 0) return bytes.length
    let slashes = 0
    while (bytes[end - 1 - slashes] === BACKSLASH) slashes++
    if (slashes % 2 === 0) return end
  }
}
