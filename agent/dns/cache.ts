/** Upstream answers, whole messages, bounded, for as long as their shortest record lives. */
import { CLASS_IN, readName, readRecordHeader, TYPE, type Query } from './wire.ts'

/** 512 answers of a few hundred bytes: what a board's pods ask for again and again, in under half a megabyte. */
const ENTRIES_MAX = 512
const ENTRY_BYTES_MAX = 4096
const POSITIVE_SECONDS_MAX = 300
const NEGATIVE_SECONDS_MAX = 30

interface Entry { message: Buffer; /** Where the TTLs of its records are. */ ttlsAt: number[]; storedMs: number; expiresMs: number }

export class AnswerCache {
  readonly #entries = new Map<string, Entry>()

  /** The answer with `query`'s id and spelling and TTLs that have counted down; undefined when there is none. */
  get(key: string, query: Query, request: Buffer, nowMs: number): Buffer | undefined {
    const entry = this.#entries.get(key)
    if (!entry) return undefined
    if (nowMs >= entry.expiresMs || nowMs < entry.storedMs) {
      this.#entries.delete(key)
      return undefined
    }
    const message = Buffer.from(entry.message)
    message.writeUInt16BE(query.id, 0)
    request.copy(message, 12, 12, query.questionEnd)
    const passedSeconds = Math.floor((nowMs - entry.storedMs) / 1000)
    for (const at of entry.ttlsAt) message.writeUInt32BE(Math.max(0, message.readUInt32BE(at) - passedSeconds), at)
    return message
  }

  /** Keeps what may be kept: no failures, nothing truncated, nothing that lives 0 seconds. */
  put(key: string, message: Buffer, nowMs: number): void {
    const life = lifetime(message)
    if (!life) return
    this.#entries.delete(key)
    if (this.#entries.size >= ENTRIES_MAX) {
      const oldest = this.#entries.keys().next().value
      if (oldest !== undefined) this.#entries.delete(oldest)
    }
    // A copy of its own: a slice would keep the receive buffer alive.
    this.#entries.set(key, { message: Buffer.from(message), ttlsAt: life.ttlsAt, storedMs: nowMs, expiresMs: nowMs + life.seconds * 1000 })
  }

  get size(): number { return this.#entries.size }
  clear(): void { this.#entries.clear() }
}

/** Everything that may change the answer is in the key. */
export function cacheKey(query: Query): string {
  const edns = query.edns ? `${query.edns.sizeBytes} ${query.edns.wantsDnssec}` : ''
  return `${query.type} ${query.class} ${query.checkingDisabled} ${query.recursionDesired} ${edns} ${query.name.join('\0').toLowerCase()}`
}

function lifetime(message: Buffer): { seconds: number; ttlsAt: number[] } | undefined {
  if (message.length < 12 || message.length > ENTRY_BYTES_MAX) return undefined
  const flags = message.readUInt16BE(2)
  const rcode = flags & 15
  if ((flags & 0x0200) !== 0 || (rcode !== 0 && rcode !== 3) || message.readUInt16BE(4) !== 1) return undefined
  const question = readName(message, 12)
  if (!question || question.end + 4 > message.length || message.readUInt16BE(question.end + 2) !== CLASS_IN) return undefined
  const answers = message.readUInt16BE(6)
  const total = answers + message.readUInt16BE(8) + message.readUInt16BE(10)
  const ttlsAt: number[] = []
  let seconds = answers > 0 ? POSITIVE_SECONDS_MAX : NEGATIVE_SECONDS_MAX
  let hasSoa = false
  let at = question.end + 4
  for (let i = 0; i < total; i++) {
    const record = readRecordHeader(message, at)
    if (!record) return undefined
    at = record.dataAt + record.dataLength
    if (record.type === TYPE.OPT) continue
    ttlsAt.push(record.ttlAt)
    seconds = Math.min(seconds, record.ttl)
    if (record.type === TYPE.SOA && record.dataLength >= 20) {
      hasSoa = true
      // RFC 2308: a negative answer lives as long as the SOA says.
      if (answers === 0) seconds = Math.min(seconds, message.readUInt32BE(at - 4))
    }
  }
  if ((answers === 0 && !hasSoa) || seconds <= 0) return undefined
  return { seconds, ttlsAt }
}
