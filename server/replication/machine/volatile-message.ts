/**
 * What the stores of two members say to each other outside the log: a transaction for the leader and its answer, values
 * the leader shows ahead of the log, and the wish that it says all of those again, or writes them into the log.
 */
import { asError, CodedError } from '#base/errors.ts'
import type { Durability, KeyValue, Op, Revision, Txn, TxnResult } from '#server/store/store.ts'
import type { Term } from '../../raft/types.ts'
import { encodeChanges, readChanges, type Change } from './entry.ts'

export type VolatileMessage =
  /** Meant for who leads in `term`, and for nobody else. `id`: the sender's own, never used again. */
  | { kind: 'request'; id: number; term: Term; wish: Wish }
  | { kind: 'answer'; id: number; answer: Answer }
  /** Changes of one transaction that follow `before` in this term. */
  | { kind: 'lazy'; term: Term; before: Revision; revision: Revision; changes: readonly Change[] }
  | { kind: 'flush' }
  /** What did you say while I could not hear you? */
  | { kind: 'askLazy' }
  /** All that the leader shows ahead of the log, which it shows up to `before`: of each key what came last. */
  | { kind: 'allLazy'; term: Term; before: Revision; revision: Revision; changes: readonly Change[] }

/** `place`: part of a snapshot, as it is, into an empty store. */
export type Wish =
  | { kind: 'txn'; txn: Txn }
  | { kind: 'place'; revision: Revision; items: readonly KeyValue[] }

export type Answer =
  | { kind: 'done'; result: TxnResult }
  /** It has not happened: whoever was asked does not lead. */
  | { kind: 'again' }
  | { kind: 'failed'; code: string; message: string }

const REQUEST = 1
const ANSWER = 2
const LAZY = 3
const FLUSH = 4
const PLACE = 5
const ASK_LAZY = 6
const ALL_LAZY = 7
const OK = 0
const CONFLICT = 1
const AGAIN = 2
const FAILED = 3
const DURABILITIES: readonly Durability[] = ['synced', 'lazy', 'heartbeat']

export function encodeVolatile(message: VolatileMessage): Buffer {
  switch (message.kind) {
    case 'request': return message.wish.kind === 'txn' ? encodeRequest(message, message.wish.txn) : encodePlace(message, message.wish)
    case 'answer': return encodeAnswer(message.id, message.answer)
    case 'lazy':
    case 'allLazy': return Buffer.concat([head(message.kind === 'lazy' ? LAZY : ALL_LAZY, message.term, message.before, message.revision), encodeChanges(message.changes)])
    case 'flush': return head(FLUSH)
    case 'askLazy': return head(ASK_LAZY)
  }
}

/** Undefined: of a kind that this release does not know. Throws `STORE_CORRUPT` for what is cut off. */
export function decodeVolatile(data: Buffer): VolatileMessage | undefined {
  try {
    switch (data[0]) {
      case REQUEST: return decodeRequest(data)
      case ANSWER: return { kind: 'answer', id: data.readUIntBE(1, 6), answer: decodeAnswer(data) }
      case LAZY:
      case ALL_LAZY: return { kind: data[0] === LAZY ? 'lazy' : 'allLazy', term: data.readUIntBE(1, 6), before: data.readUIntBE(7, 6), revision: data.readUIntBE(13, 6), changes: readChanges(data, 19) }
      case FLUSH: return { kind: 'flush' }
      case ASK_LAZY: return { kind: 'askLazy' }
      case PLACE: return { kind: 'request', id: data.readUIntBE(1, 6), term: data.readUIntBE(7, 6), wish: { kind: 'place', revision: data.readUIntBE(13, 6), items: readChanges(data, 19).flatMap((c) => c.current ?? []) } }
      default: return undefined
    }
  } catch (error) {
    throw new CodedError('STORE_CORRUPT', `a message of another server's store cannot be read: ${asError(error).message}`, { cause: error })
  }
}

function head(kind: number, ...numbers: number[]): Buffer {
  const out = Buffer.allocUnsafe(1 + 6 * numbers.length)
  out.writeUInt8(kind, 0)
  numbers.forEach((n, i) => out.writeUIntBE(n, 1 + 6 * i, 6))
  return out
}

interface Sent { id: number; term: Term }

function encodeRequest({ id, term }: Sent, txn: Txn): Buffer {
  const parts: Buffer[] = [head(REQUEST, id, term), Buffer.from([Math.max(0, DURABILITIES.indexOf(txn.durability ?? 'synced'))]), u32(txn.compare.length)]
  for (const { key, modRevision } of txn.compare) parts.push(u48(modRevision), text(key))
  parts.push(u32(txn.ops.length))
  for (const op of txn.ops) {
    parts.push(Buffer.from([op.kind === 'put' ? 1 : 0]), text(op.key))
    if (op.kind === 'put') parts.push(u32(op.value.length), op.value)
  }
  return Buffer.concat(parts)
}

function encodePlace({ id, term }: Sent, { revision, items }: Extract<Wish, { kind: 'place' }>): Buffer {
  return Buffer.concat([head(PLACE, id, term, revision), encodeChanges(items.map((current) => ({ key: current.key, revision: current.modRevision, current })))])
}

function decodeRequest(data: Buffer): VolatileMessage {
  const reader = new Reader(data, 13)
  // One that this release does not know is safe when it is synced.
  const durability = DURABILITIES[reader.u8()] ?? 'synced'
  const compare = Array.from({ length: reader.count() }, () => {
    const modRevision = reader.u48()
    return { key: reader.text(), modRevision }
  })
  const ops = Array.from({ length: reader.count() }, (): Op => {
    const isPut = reader.u8() === 1
    const key = reader.text()
    return isPut ? { kind: 'put', key, value: Buffer.from(reader.bytes()) } : { kind: 'delete', key }
  })
  return { kind: 'request', id: data.readUIntBE(1, 6), term: data.readUIntBE(7, 6), wish: { kind: 'txn', txn: { compare, ops, durability } } }
}

function encodeAnswer(id: number, answer: Answer): Buffer {
  const parts: Buffer[] = [head(ANSWER, id)]
  if (answer.kind === 'again') parts.push(Buffer.from([AGAIN]))
  else if (answer.kind === 'failed') parts.push(Buffer.from([FAILED]), text(answer.code), text(answer.message))
  else if (answer.result.ok) parts.push(Buffer.from([OK]), u48(answer.result.revision))
  else {
    const { key, current, revision } = answer.result
    const there: Change[] = current ? [{ key, revision: current.modRevision, current }] : []
    parts.push(Buffer.from([CONFLICT]), u48(revision), text(key), encodeChanges(there))
  }
  return Buffer.concat(parts)
}

function decodeAnswer(data: Buffer): Answer {
  const reader = new Reader(data, 7)
  switch (reader.u8()) {
    case OK: return { kind: 'done', result: { ok: true, revision: reader.u48() } }
    case CONFLICT: {
      const revision = reader.u48()
      const key = reader.text()
      const current: KeyValue | undefined = readChanges(data, reader.at)[0]?.current
      return { kind: 'done', result: { ok: false, why: 'conflict', key, current, revision } }
    }
    case AGAIN: return { kind: 'again' }
    default: return { kind: 'failed', code: reader.text(), message: reader.text() }
  }
}

function u32(value: number): Buffer {
  const out = Buffer.allocUnsafe(4)
  out.writeUInt32BE(value)
  return out
}

function u48(value: number): Buffer {
  const out = Buffer.allocUnsafe(6)
  out.writeUIntBE(value, 0, 6)
  return out
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([u32(bytes.length), bytes])
}

class Reader {
  readonly #data: Buffer
  at: number

  constructor(data: Buffer, at: number) {
    this.#data = data
    this.at = at
  }

  u8(): number { return this.#data.readUInt8(this.#skip(1)) }
  u48(): number { return this.#data.readUIntBE(this.#skip(6), 6) }

  /** Of things that take a byte each, at least. */
  count(): number {
    const count = this.#data.readUInt32BE(this.#skip(4))
    if (count > this.#data.length) throw new RangeError('it ends in the middle')
    return count
  }

  bytes(): Buffer {
    const length = this.#data.readUInt32BE(this.#skip(4))
    if (this.at + length > this.#data.length) throw new RangeError('it ends in the middle')
    return this.#data.subarray(this.at, (this.at += length))
  }

  text(): string { return this.bytes().toString() }

  #skip(count: number): number {
    this.at += count
    return this.at - count
  }
}
