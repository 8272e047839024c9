/** How the store's state lies in the database that it shares with the log, and the keys that are about the state itself. */
import { assert } from '#base/errors.ts'
import { decodeChecked, encodeChecked, STATE } from '#server/store/level-codec.ts'
import type { LevelDatabase } from '#server/store/open-level.ts'
import type { KeyValue, Revision } from '#server/store/store.ts'
import type { LogIndex, Term } from '../../raft/types.ts'
import type { BatchOp } from '../contract.ts'

export type Database = LevelDatabase

/** 1: a log of its own, `l<index>`, in the way of releases without replication. 2: the replicated log. 3: values end in a checksum. */
export const STATE_FORMAT = 3

/** Where the state in the database stands: written with each batch of it. */
export interface Position {
  /** All entries up to here are in. */
  index: LogIndex
  /** Of the last group. */
  revision: Revision
  ceiling: Revision
  /** Of the leader whose group was the last. */
  term: Term
}

export const POSITION_KEY = 'mposition'
/** A revision: a server that had the only vote stopped cleanly, and gave none after this one. There only until the next group is written. */
export const CLEAN_KEY = 'mstopped'
/** The installation of a received snapshot that is under way. */
export const INSTALL_KEY = 'minstall'

export function encodePosition(position: Position): Buffer {
  const out = Buffer.allocUnsafe(24)
  out.writeUIntBE(position.index, 0, 6)
  out.writeUIntBE(position.revision, 6, 6)
  out.writeUIntBE(position.ceiling, 12, 6)
  out.writeUIntBE(position.term, 18, 6)
  return out
}

export function decodePosition(bytes: Buffer): Position {
  return { index: bytes.readUIntBE(0, 6), revision: bytes.readUIntBE(6, 6), ceiling: bytes.readUIntBE(12, 6), term: bytes.readUIntBE(18, 6) }
}

export function encodeRevision(revision: Revision): Buffer {
  const out = Buffer.alloc(8)
  out.writeBigUInt64BE(BigInt(revision))
  return out
}

export function readRevision(db: Database, key: string): Revision | undefined {
  const bytes = readBytes(db, key)
  return bytes && Number(bytes.readBigUInt64BE(0))
}

export function readBytes(db: Database, key: string): Buffer | undefined {
  return db.getSync(key, { valueEncoding: 'buffer' })
}

export function stateOp(key: string, current: KeyValue | undefined): BatchOp {
  return current ? { type: 'put', key: STATE + key, value: encodeChecked(current) } : { type: 'del', key: STATE + key }
}

export function readState(db: Database, key: string): KeyValue | undefined {
  const bytes = readBytes(db, STATE + key)
  return bytes && decodeChecked(key, bytes)
}

/** The smallest string above all that start with `prefix`. */
export function upperBound(prefix: string): string {
  const last = prefix.charCodeAt(prefix.length - 1)
  assert(last < 0xffff, 'a key prefix ends in U+FFFF')
  return prefix.slice(0, -1) + String.fromCharCode(last + 1)
}

const ROWS = 256

/** The state's items in key order. The iterator is made at the call, not at the first step: it sees that moment, or the snapshot's. */
export function scanState(db: Database, range: { prefix: string; after?: string | undefined }, snapshot?: ReturnType<Database['snapshot']>): AsyncGenerator<KeyValue> {
  const { prefix, after } = range
  const from = after !== undefined && after >= prefix ? { gt: STATE + after } : { gte: STATE + prefix }
  const iterator = db.iterator({ ...from, lt: upperBound(STATE + prefix), valueEncoding: 'buffer', ...(snapshot && { snapshot }) })
  async function* items(): AsyncGenerator<KeyValue> {
    try {
      for (let rows = await iterator.nextv(ROWS); rows.length > 0; rows = await iterator.nextv(ROWS)) {
        for (const [key, bytes] of rows) yield decodeChecked(key.slice(STATE.length), bytes)
      }
    } finally {
      await iterator.close()
    }
  }
  return items()
}

/** `items` with what `over` says instead, both in key order; undefined there: not to be shown. */
export async function* laidOver(items: AsyncIterable<KeyValue>, over: ReadonlyMap<string, KeyValue | undefined>, after: string | undefined): AsyncGenerator<KeyValue> {
  const extra = [...over.keys()].filter((k) => after === undefined || k > after).sort()
  let next = 0
  for await (const item of items) {
    for (; next < extra.length && (extra[next] as string) < item.key; next++) {
      const instead = over.get(extra[next] as string)
      if (instead) yield instead
    }
    if (!over.has(item.key)) yield item
  }
  for (; next < extra.length; next++) {
    const instead = over.get(extra[next] as string)
    if (instead) yield instead
  }
}
