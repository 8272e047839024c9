/**
 * What is said between two servers as bytes. A frame is its length (4 bytes, big-endian, of all that follows), its kind
 * (1 byte) and its body. Sender and receiver of a Raft message are not in it: they are who the connection is between.
 */
import { CodedError, unreachable } from '#base/errors.ts'
import { decodeConfiguration, encodeConfiguration } from '../../raft/configuration.ts'
import type { Entry, EntryKind, MemberId, Message, Refusal } from '../../raft/types.ts'
import { byteReader, byteWriter, type ByteReader, type ByteWriter } from './bytes.ts'

/** A larger frame is refused before its body is read: more than any entry, forwarded request or snapshot piece has. */
export const FRAME_BYTES_MAX = 64 * 1024 * 1024
export const FRAME_HEAD_BYTES = 5
export const PROTOCOL_VERSION = 2

const SNAPSHOT_ID_BYTES_MAX = 512

export type Frame =
  /** The first one in each direction. `incarnation`: another number each time a server is started. */
  | { readonly kind: 'hello'; readonly version: number; readonly from: MemberId; readonly to: MemberId; readonly incarnation: number }
  /** Answered by a pong at once. */
  | { readonly kind: 'ping' }
  | { readonly kind: 'pong' }
  | { readonly kind: 'volatile'; readonly data: Buffer }
  | { readonly kind: 'message'; readonly message: Message }

// The position of each is its number on the wire: only ever append.
const FRAME_KINDS = ['hello', 'ping', 'pong', 'volatile'] as const
const MESSAGES_FROM = 16
const MESSAGE_KINDS = ['append', 'appendAnswer', 'vote', 'voteAnswer', 'timeoutNow', 'forward', 'forwardAnswer', 'readIndex', 'readIndexAnswer', 'snapshot', 'snapshotAnswer'] as const satisfies readonly Message['kind'][]
const ENTRY_KINDS = ['normal', 'configuration', 'empty'] as const satisfies readonly EntryKind[]
const REFUSALS = [undefined, 'noLeader', 'transferring', 'overloaded', 'diskFull', 'changing', 'invalidChange', 'unknown'] as const satisfies readonly (Refusal | undefined)[]

/** Ready to be written one after the other. */
export function encodeFrame(frame: Frame): { pieces: Buffer[]; length: number } {
  const writer = byteWriter(FRAME_HEAD_BYTES)
  let kind: number
  if (frame.kind === 'message') {
    kind = MESSAGES_FROM + MESSAGE_KINDS.indexOf(frame.message.kind)
    writer.number(frame.message.term)
    writeMessage(writer, frame.message)
  } else {
    kind = FRAME_KINDS.indexOf(frame.kind)
    if (frame.kind === 'hello') for (const value of [frame.version, frame.from, frame.to, frame.incarnation]) writer.number(value)
    else if (frame.kind === 'volatile') writer.bytes(frame.data)
  }
  return writer.end((head, length) => {
    head.writeUInt32BE(length - FRAME_HEAD_BYTES + 1, 0)
    head[FRAME_HEAD_BYTES - 1] = kind
  })
}

/** `between` goes into a message. Throws `PEER_MALFORMED`; whatever a newer version may say, that is not known, is too. */
export function decodeFrame(kind: number, body: Buffer, between: { from: MemberId; to: MemberId }): Frame {
  const reader = byteReader(body)
  const frame = readFrame(kind, reader, between)
  if (reader.left > 0) throw malformed(`${reader.left} bytes are left over`)
  return frame
}

function readFrame(kind: number, reader: ByteReader, between: { from: MemberId; to: MemberId }): Frame {
  const messageKind = MESSAGE_KINDS[kind - MESSAGES_FROM]
  if (messageKind !== undefined) return { kind: 'message', message: readMessage(messageKind, reader, { ...between, term: reader.number() }) }
  const frameKind = FRAME_KINDS[kind]
  switch (frameKind) {
    case 'hello': return { kind: 'hello', version: reader.number(), from: reader.number(), to: reader.number(), incarnation: reader.number() }
    case 'ping':
    case 'pong': return { kind: frameKind }
    case 'volatile': return { kind: 'volatile', data: reader.bytes() }
    case undefined: throw malformed(`its kind ${kind} is not known`)
    default: return unreachable(frameKind)
  }
}

function writeMessage(writer: ByteWriter, message: Message): void {
  switch (message.kind) {
    case 'append':
      for (const value of [message.prevIndex, message.prevTerm, message.commit, message.round, message.entries.length]) writer.number(value)
      for (const entry of message.entries) {
        writer.number(entry.term)
        writer.number(ENTRY_KINDS.indexOf(entry.kind))
        writer.bytes(entry.data)
      }
      return
    case 'appendAnswer':
      writer.flag(message.accepted)
      for (const value of [message.index, message.hintIndex, message.hintTerm, message.round]) writer.number(value)
      return
    case 'vote':
      writer.flag(message.pre)
      writer.flag(message.transfer)
      writer.number(message.lastIndex)
      writer.number(message.lastTerm)
      return
    case 'voteAnswer':
      writer.flag(message.pre)
      writer.flag(message.granted)
      writer.flag(message.removed)
      return
    case 'timeoutNow': return
    case 'forward':
      writer.number(message.id)
      writer.number(message.data.length)
      for (const data of message.data) writer.bytes(data)
      return
    case 'forwardAnswer':
      for (const value of [message.id, REFUSALS.indexOf(message.refused), message.entryTerm, message.index]) writer.number(value)
      return
    case 'readIndex':
      writer.number(message.id)
      return
    case 'readIndexAnswer':
      for (const value of [message.id, REFUSALS.indexOf(message.refused), message.index]) writer.number(value)
      return
    case 'snapshot':
      writer.text(message.snapshot.id)
      writer.number(message.snapshot.index)
      writer.number(message.snapshot.term)
      writer.bytes(encodeConfiguration(message.snapshot.configuration))
      writer.number(message.offsetBytes)
      writer.flag(message.last)
      writer.bytes(message.data)
      return
    case 'snapshotAnswer':
      writer.text(message.snapshotId)
      writer.number(message.offsetBytes)
      return
    default: unreachable(message)
  }
}

interface Between { from: MemberId; to: MemberId; term: number }

function readMessage(kind: Message['kind'], reader: ByteReader, between: Between): Message {
  switch (kind) {
    case 'append': return readAppend(reader, between)
    case 'appendAnswer': return { kind, ...between, accepted: reader.flag(), index: reader.number(), hintIndex: reader.number(), hintTerm: reader.number(), round: reader.number() }
    case 'vote': return { kind, ...between, pre: reader.flag(), transfer: reader.flag(), lastIndex: reader.number(), lastTerm: reader.number() }
    case 'voteAnswer': return { kind, ...between, pre: reader.flag(), granted: reader.flag(), removed: reader.flag() }
    case 'timeoutNow': return { kind, ...between }
    case 'forward': {
      const id = reader.number()
      return { kind, ...between, id, data: Array.from({ length: counted(reader, 1) }, () => reader.bytes()) }
    }
    case 'forwardAnswer': return { kind, ...between, id: reader.number(), refused: readRefusal(reader), entryTerm: reader.number(), index: reader.number() }
    case 'readIndex': return { kind, ...between, id: reader.number() }
    case 'readIndexAnswer': return { kind, ...between, id: reader.number(), refused: readRefusal(reader), index: reader.number() }
    case 'snapshot': {
      const snapshot = { id: reader.text(SNAPSHOT_ID_BYTES_MAX), index: reader.number(), term: reader.number(), configuration: readConfiguration(reader.bytes()) }
      return { kind, ...between, snapshot, offsetBytes: reader.number(), last: reader.flag(), data: reader.bytes() }
    }
    case 'snapshotAnswer': return { kind, ...between, snapshotId: reader.text(SNAPSHOT_ID_BYTES_MAX), offsetBytes: reader.number() }
    default: return unreachable(kind)
  }
}

function readAppend(reader: ByteReader, between: Between): Message {
  const [prevIndex, prevTerm, commit, round] = [reader.number(), reader.number(), reader.number(), reader.number()]
  const entries: Entry[] = []
  const count = counted(reader, 3)
  if (prevIndex + count > Number.MAX_SAFE_INTEGER) throw malformed('an index is too large')
  for (let i = 1; i <= count; i++) {
    const term = reader.number()
    const kind = ENTRY_KINDS[reader.number()]
    if (kind === undefined) throw malformed('the kind of an entry is not known')
    entries.push({ term, index: prevIndex + i, kind, data: reader.bytes() })
  }
  return { kind: 'append', ...between, prevIndex, prevTerm, entries, commit, round }
}

/** How many follow, of at least so many bytes each: no list is made longer than the message could fill. */
function counted(reader: ByteReader, bytesMin: number): number {
  const count = reader.number()
  if (count > reader.left / bytesMin) throw malformed('it counts more than it holds')
  return count
}

function readRefusal(reader: ByteReader): Refusal | undefined {
  const at = reader.number()
  if (at >= REFUSALS.length) throw malformed('a refusal is not known')
  return REFUSALS[at]
}

function readConfiguration(bytes: Buffer) {
  try {
    return decodeConfiguration(bytes)
  } catch (cause) {
    throw malformed('the configuration of a snapshot cannot be read', cause)
  }
}

const malformed = (what: string, cause?: unknown) => new CodedError('PEER_MALFORMED', `a message of another server is malformed: ${what}`, { cause })
