/**
 * What the store writes into the log: the effects of one group of transactions, never the transactions. The log storage
 * adds checksums; nothing here is read before they hold.
 *
 *   format 1 | kind 1 | term 6 | after 6 | revision 6 | ceiling 6 | origins (in format 2 only) | changes...
 *   origins: count 4, then each: member 8 (a double) | id 6 | revision 6
 *   change: tag 1 | revision 6 | create 6 | version 6 | key length 4 | value length 4 | key | value
 */
import { CodedError } from '#base/errors.ts'
import type { KeyValue, Revision } from '#server/store/store.ts'
import type { MemberId, Term } from '../../raft/types.ts'

/**
 * `changes`: what transactions did. `beginning`: the first one of a leader, with the lazy values it knows of.
 * `restore`: part of a snapshot that is put into an empty store; causes no events.
 */
export type GroupKind = 'changes' | 'beginning' | 'restore'

export interface GroupHeader {
  kind: GroupKind
  /** In which it was evaluated: an entry that got into the log in another term is void. */
  term: Term
  /** The revision of the group that it was evaluated on; void where that is not the one before it in the log. */
  after: Revision
  /** What the store is at once it is applied. */
  revision: Revision
  /** No revision from here on is given to anyone before a later entry has raised this. */
  ceiling: Revision
}

/** `current` undefined: deleted. */
export interface Change { key: string; revision: Revision; current: KeyValue | undefined }

/** What it takes to keep it, but for what each object costs. */
export const bytesOf = ({ key, current }: Change): number => key.length + (current?.value.length ?? 0)

const KINDS: readonly GroupKind[] = ['changes', 'beginning', 'restore']
/** Without and with origins. */
const FORMAT = 1
const FORMAT_ORIGINS = 2
const HEADER_BYTES = 26
const ORIGIN_BYTES = 20
const CHANGE_BYTES = 27

/** Which server handed a transaction to the leader, by which of its numbers, and the revision that it got: so that server knows from the log what became of it. */
export interface Origin { member: MemberId; id: number; revision: Revision }

export function encodeGroup(header: GroupHeader, changes: readonly Change[], origins: readonly Origin[] = []): Buffer {
  const keyBytes = changes.map((c) => Buffer.byteLength(c.key))
  const start = HEADER_BYTES + (origins.length > 0 ? 4 + ORIGIN_BYTES * origins.length : 0)
  let size = start
  for (let i = 0; i < changes.length; i++) size += CHANGE_BYTES + (keyBytes[i] ?? 0) + (changes[i]?.current?.value.length ?? 0)
  const out = Buffer.allocUnsafe(size)
  out.writeUInt8(origins.length > 0 ? FORMAT_ORIGINS : FORMAT, 0)
  out.writeUInt8(KINDS.indexOf(header.kind), 1)
  out.writeUIntBE(header.term, 2, 6)
  out.writeUIntBE(header.after, 8, 6)
  out.writeUIntBE(header.revision, 14, 6)
  out.writeUIntBE(header.ceiling, 20, 6)
  if (origins.length > 0) out.writeUInt32BE(origins.length, HEADER_BYTES)
  origins.forEach(({ member, id, revision }, i) => {
    const at = HEADER_BYTES + 4 + ORIGIN_BYTES * i
    out.writeDoubleBE(member, at)
    out.writeUIntBE(id, at + 8, 6)
    out.writeUIntBE(revision, at + 14, 6)
  })
  writeChanges(out, start, changes, keyBytes)
  return out
}

export function decodeHeader(data: Buffer): GroupHeader {
  const kind = KINDS[data.length < HEADER_BYTES ? -1 : data.readUInt8(1)]
  if (data.length < HEADER_BYTES || data.readUInt8(0) > FORMAT_ORIGINS || kind === undefined) {
    throw new CodedError('STORE_FORMAT', 'the log holds entries that this skiff cannot read: a newer release wrote them; install that one again')
  }
  return { kind, term: data.readUIntBE(2, 6), after: data.readUIntBE(8, 6), revision: data.readUIntBE(14, 6), ceiling: data.readUIntBE(20, 6) }
}

/** Of `member` only. */
export function decodeOrigins(data: Buffer, member: MemberId): Origin[] {
  const origins: Origin[] = []
  for (let at = HEADER_BYTES + 4; at < changesStart(data); at += ORIGIN_BYTES) {
    if (data.readDoubleBE(at) === member) origins.push({ member, id: data.readUIntBE(at + 8, 6), revision: data.readUIntBE(at + 14, 6) })
  }
  return origins
}

export function decodeGroupChanges(data: Buffer): Change[] {
  return readChanges(data, changesStart(data))
}

function changesStart(data: Buffer): number {
  if (data.readUInt8(0) === FORMAT) return HEADER_BYTES
  if (data.length < HEADER_BYTES + 4) throw damaged()
  const start = HEADER_BYTES + 4 + ORIGIN_BYTES * data.readUInt32BE(HEADER_BYTES)
  if (start > data.length) throw damaged()
  return start
}

export function encodeChanges(changes: readonly Change[]): Buffer {
  const keyBytes = changes.map((c) => Buffer.byteLength(c.key))
  let size = 0
  for (let i = 0; i < changes.length; i++) size += CHANGE_BYTES + (keyBytes[i] ?? 0) + (changes[i]?.current?.value.length ?? 0)
  const out = Buffer.allocUnsafe(size)
  writeChanges(out, 0, changes, keyBytes)
  return out
}

/** Throws `STORE_CORRUPT` for what is cut off. */
export function readChanges(data: Buffer, start: number): Change[] {
  const changes: Change[] = []
  for (let at = start; at < data.length;) {
    if (at + CHANGE_BYTES > data.length) throw damaged()
    const keyStart = at + CHANGE_BYTES
    const valueStart = keyStart + data.readUInt32BE(at + 19)
    const end = valueStart + data.readUInt32BE(at + 23)
    if (end > data.length) throw damaged()
    const key = data.toString('utf8', keyStart, valueStart)
    const revision = data.readUIntBE(at + 1, 6)
    const current: KeyValue | undefined = data.readUInt8(at) === 1
      // A copy: a small value must not keep a whole group's bytes alive in history and caches.
      ? { key, value: Buffer.from(data.subarray(valueStart, end)), createRevision: data.readUIntBE(at + 7, 6), modRevision: revision, version: data.readUIntBE(at + 13, 6) }
      : undefined
    changes.push({ key, revision, current })
    at = end
  }
  return changes
}

function writeChanges(out: Buffer, start: number, changes: readonly Change[], keyBytes: readonly number[]): void {
  let at = start
  for (let i = 0; i < changes.length; i++) {
    const { key, revision, current } = changes[i] as Change
    const length = keyBytes[i] as number
    out.writeUInt8(current ? 1 : 0, at)
    out.writeUIntBE(revision, at + 1, 6)
    out.writeUIntBE(current?.createRevision ?? 0, at + 7, 6)
    out.writeUIntBE(current?.version ?? 0, at + 13, 6)
    out.writeUInt32BE(length, at + 19)
    out.writeUInt32BE(current?.value.length ?? 0, at + 23)
    out.write(key, at + CHANGE_BYTES, length, 'utf8')
    at += CHANGE_BYTES + length
    if (current) at += current.value.copy(out, at)
  }
}

function damaged(): CodedError {
  return new CodedError('STORE_CORRUPT', 'an entry of the log ends in the middle of a change')
}
