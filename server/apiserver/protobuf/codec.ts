/** What the parts of this codec have in common: how a value crosses the wire, and what a message is made of. */
import type { WireReader, WireType, WireWriter } from '#base/protobuf/wire.ts'
import type { JsonTape } from './json-tape.ts'

export interface ValueCodec {
  wire: WireType
  /**
   * Reads one value, with its length where it has one. `before` is what the same field gave earlier in the message:
   * messages merge. Undefined: the value says nothing (the nil time).
   */
  read(reader: WireReader, before: unknown): unknown
  /** Writes one value, with its length where it has one; the tag is the caller's. `value` is what JSON would hold. */
  write(writer: WireWriter, value: unknown): void
  /**
   * Writes what `write` would for the value at the node, straight from its text. False, and nothing written: it is not what this
   * knows. Left out where values are few.
   */
  transcode?(writer: WireWriter, tape: JsonTape, node: number): boolean
  /** Scalars only: what a Go field holds that nobody has set. */
  zero?: unknown
}

export type FieldPlan =
  | { kind: 'field'; number: number; key: string; shape: 'one' | 'list' | 'map'; codec: ValueCodec; keepZero: boolean }
  /** A message whose fields JSON shows among those of the outer one. */
  | { kind: 'inline'; number: number; plan: MessagePlan }

export interface MessagePlan {
  /** As upstream calls the message, e.g. `PodSpec`. */
  name: string
  /** By number; has holes. */
  byNumber: readonly (FieldPlan | undefined)[]
  /** By keyHash; those of inline messages are in these. */
  byKey: ReadonlyMap<number, { key: Uint8Array; field: FieldPlan }>
  inlines: readonly FieldPlan[]
}
