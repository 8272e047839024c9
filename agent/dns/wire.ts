/**
 * DNS messages (RFC 1035, EDNS of RFC 6891): queries in, responses out. Own codec: answers must use name compression, or a
 * headless Service of ten pods no longer fits the 512 bytes that musl's resolver asks for. Names are lists of labels, bytes
 * as latin1 characters: whatever a client sends survives.
 */
export const RCODE = { noError: 0, formErr: 1, servFail: 2, nxDomain: 3, notImp: 4, refused: 5, badVers: 16 } as const
export const TYPE = { A: 1, NS: 2, CNAME: 5, SOA: 6, PTR: 12, TXT: 16, AAAA: 28, SRV: 33, OPT: 41, IXFR: 251, AXFR: 252, ANY: 255 } as const
export const CLASS_IN = 1

export type Name = readonly string[]

export type DnsRecord = { name: Name; ttl: number } & (
  | { type: 'A' | 'AAAA'; address: string }
  | { type: 'CNAME' | 'NS' | 'PTR'; target: Name }
  | { type: 'SRV'; priority: number; weight: number; port: number; target: Name }
  | { type: 'TXT'; text: string }
  | { type: 'SOA'; mname: Name; rname: Name; serial: number; refresh: number; retry: number; expire: number; minimum: number }
)

export interface Query {
  id: number
  opcode: number
  /** As sent: copied into the answer so that mixed-case (0x20) checks hold. */
  name: Name
  type: number
  class: number
  recursionDesired: boolean
  checkingDisabled: boolean
  /** Where the question section ends. */
  questionEnd: number
  edns: { sizeBytes: number; version: number; wantsDnssec: boolean } | undefined
}

/** `drop`: not even a header to answer to, or a response. */
export type ParsedQuery = { ok: true; query: Query } | { ok: false; why: 'drop' } | { ok: false; why: 'formErr' | 'notImp'; id: number; opcode: number }

const HEADER_BYTES = 12
const NAME_BYTES_MAX = 255

export function parseQuery(message: Buffer): ParsedQuery {
  if (message.length < HEADER_BYTES) return { ok: false, why: 'drop' }
  const id = message.readUInt16BE(0)
  const flags = message.readUInt16BE(2)
  if (flags & 0x8000) return { ok: false, why: 'drop' }
  const opcode = (flags >> 11) & 15
  if (opcode !== 0) return { ok: false, why: 'notImp', id, opcode }
  const formErr: ParsedQuery = { ok: false, why: 'formErr', id, opcode }
  if (message.readUInt16BE(4) !== 1) return formErr
  const read = readName(message, HEADER_BYTES)
  if (!read || read.end + 4 > message.length) return formErr
  const questionEnd = read.end + 4
  const edns = findEdns(message, questionEnd)
  if (edns === 'malformed') return formErr
  return {
    ok: true,
    query: {
      id, opcode, name: read.name, type: message.readUInt16BE(read.end), class: message.readUInt16BE(read.end + 2),
      recursionDesired: (flags & 0x0100) !== 0, checkingDisabled: (flags & 0x0010) !== 0, questionEnd, edns,
    },
  }
}

function findEdns(message: Buffer, from: number): Query['edns'] | 'malformed' {
  const count = message.readUInt16BE(6) + message.readUInt16BE(8) + message.readUInt16BE(10)
  let at = from
  let edns: Query['edns']
  for (let i = 0; i < count; i++) {
    const record = readRecordHeader(message, at)
    if (!record) return 'malformed'
    if (record.type === TYPE.OPT) {
      if (edns) return 'malformed'
      edns = { sizeBytes: record.class, version: (record.ttl >>> 16) & 255, wantsDnssec: (record.ttl & 0x8000) !== 0 }
    }
    at = record.dataAt + record.dataLength
  }
  return edns
}

/** Undefined when it runs out of the message, is too long or its pointers do not strictly go back. */
export function readName(message: Buffer, from: number): { name: string[]; end: number } | undefined {
  const name: string[] = []
  let at = from
  let end: number | undefined
  let bytes = 1
  let lowest = from
  for (;;) {
    const length = message[at]
    if (length === undefined) return undefined
    if (length === 0) return { name, end: end ?? at + 1 }
    if ((length & 0xc0) === 0xc0) {
      const low = message[at + 1]
      if (low === undefined) return undefined
      end ??= at + 2
      const target = ((length & 0x3f) << 8) | low
      if (target >= lowest) return undefined
      lowest = at = target
      continue
    }
    if ((length & 0xc0) !== 0 || at + 1 + length > message.length) return undefined
    bytes += length + 1
    if (bytes > NAME_BYTES_MAX) return undefined
    name.push(message.toString('latin1', at + 1, at + 1 + length))
    at += length + 1
  }
}

export interface RecordHeader { name: string[]; type: number; class: number; ttl: number; ttlAt: number; dataAt: number; dataLength: number }

export function readRecordHeader(message: Buffer, at: number): RecordHeader | undefined {
  const read = readName(message, at)
  if (!read || read.end + 10 > message.length) return undefined
  const dataLength = message.readUInt16BE(read.end + 8)
  const dataAt = read.end + 10
  if (dataAt + dataLength > message.length) return undefined
  return { name: read.name, type: message.readUInt16BE(read.end), class: message.readUInt16BE(read.end + 2), ttl: message.readUInt32BE(read.end + 4), ttlAt: read.end + 4, dataAt, dataLength }
}

export interface ResponseParts {
  rcode: number
  isAuthoritative?: boolean
  answers?: readonly DnsRecord[]
  authority?: readonly DnsRecord[]
  additional?: readonly DnsRecord[]
}

/** What skiff's resolver takes in one UDP packet: no fragments on any sane path (DNS flag day 2020). */
export const EDNS_BYTES = 1232
const PLAIN_UDP_BYTES = 512

/** How large an answer this client takes by UDP. */
export function udpLimit(query: Query): number {
  return query.edns ? Math.min(EDNS_BYTES, Math.max(PLAIN_UDP_BYTES, query.edns.sizeBytes)) : PLAIN_UDP_BYTES
}

/** Answers that do not fit `limitBytes` are left out and TC set; additional records are left out silently. */
export function encodeResponse(query: Query, parts: ResponseParts, limitBytes: number): Buffer {
  const writer = new MessageWriter(limitBytes - (query.edns ? 11 : 0))
  writer.question(query)
  const answers = writer.records(parts.answers ?? [])
  const authority = answers.isWhole ? writer.records(parts.authority ?? []) : { count: 0, isWhole: true }
  const additional = answers.isWhole && authority.isWhole ? writer.records(parts.additional ?? []) : { count: 0, isWhole: true }
  if (query.edns) writer.opt(parts.rcode >> 4, query.edns.wantsDnssec)
  return writer.finish({
    id: query.id,
    flags: 0x8000 | (parts.isAuthoritative ? 0x0400 : 0) | (answers.isWhole && authority.isWhole ? 0 : 0x0200)
      | (query.recursionDesired ? 0x0100 : 0) | 0x0080 | (query.checkingDisabled ? 0x0010 : 0) | (parts.rcode & 15),
    counts: [1, answers.count, authority.count, additional.count + (query.edns ? 1 : 0)],
  })
}

/** A header alone: the question could not be read. */
export function encodeError(request: { id: number; opcode: number }, rcode: number): Buffer {
  const message = Buffer.alloc(HEADER_BYTES)
  message.writeUInt16BE(request.id, 0)
  message.writeUInt16BE(0x8080 | (request.opcode << 11) | rcode, 2)
  return message
}

/** A query of our own, with EDNS. */
export function encodeQuery(id: number, question: { name: Name; type: number }): Buffer {
  const writer = new MessageWriter(PLAIN_UDP_BYTES)
  writer.question({ name: question.name, type: question.type, class: CLASS_IN })
  writer.opt(0, false)
  return writer.finish({ id, flags: 0x0100, counts: [1, 0, 0, 1] })
}

const RECORD_TYPE: Record<DnsRecord['type'], number> = { A: TYPE.A, AAAA: TYPE.AAAA, CNAME: TYPE.CNAME, NS: TYPE.NS, PTR: TYPE.PTR, SRV: TYPE.SRV, TXT: TYPE.TXT, SOA: TYPE.SOA }

class MessageWriter {
  readonly #limit: number
  #buffer = Buffer.alloc(1024)
  #length = HEADER_BYTES
  /** Where each name written so far begins. */
  readonly #offsets = new Map<string, number>()

  constructor(limitBytes: number) {
    this.#limit = limitBytes
  }

  question(q: { name: Name; type: number; class: number }): void {
    this.#name(q.name, false)
    this.#u16(q.type)
    this.#u16(q.class)
  }

  records(records: readonly DnsRecord[]): { count: number; isWhole: boolean } {
    let count = 0
    for (const record of records) {
      const before = this.#length
      this.#record(record)
      if (this.#length > this.#limit) {
        this.#length = before
        for (const [suffix, offset] of this.#offsets) if (offset >= before) this.#offsets.delete(suffix)
        return { count, isWhole: false }
      }
      count++
    }
    return { count, isWhole: true }
  }

  opt(extendedRcode: number, wantsDnssec: boolean): void {
    this.#u8(0)
    this.#u16(TYPE.OPT)
    this.#u16(EDNS_BYTES)
    this.#u32(((extendedRcode & 255) << 24 | (wantsDnssec ? 0x8000 : 0)) >>> 0)
    this.#u16(0)
  }

  finish(header: { id: number; flags: number; counts: readonly number[] }): Buffer {
    this.#buffer.writeUInt16BE(header.id, 0)
    this.#buffer.writeUInt16BE(header.flags, 2)
    header.counts.forEach((count, i) => this.#buffer.writeUInt16BE(count, 4 + i * 2))
    return this.#buffer.subarray(0, this.#length)
  }

  #record(record: DnsRecord): void {
    this.#name(record.name, true)
    this.#u16(RECORD_TYPE[record.type])
    this.#u16(CLASS_IN)
    this.#u32(record.ttl)
    const lengthAt = this.#length
    this.#u16(0)
    switch (record.type) {
      case 'A': for (const part of record.address.split('.')) this.#u8(Number(part)); break
      case 'AAAA': for (const group of ipv6Groups(record.address)) this.#u16(group); break
      case 'CNAME': case 'NS': case 'PTR': this.#name(record.target, true); break
      case 'SRV':
        this.#u16(record.priority)
        this.#u16(record.weight)
        this.#u16(record.port)
        // RFC 2782: the target is not compressed.
        this.#name(record.target, false)
        break
      case 'TXT': this.#text(record.text); break
      case 'SOA':
        this.#name(record.mname, true)
        this.#name(record.rname, true)
        for (const n of [record.serial, record.refresh, record.retry, record.expire, record.minimum]) this.#u32(n)
        break
    }
    this.#buffer.writeUInt16BE(this.#length - lengthAt - 2, lengthAt)
  }

  #name(name: Name, mayPoint: boolean): void {
    for (let i = 0; i < name.length; i++) {
      const suffix = name.slice(i).join('\0').toLowerCase()
      const known = this.#offsets.get(suffix)
      if (mayPoint && known !== undefined) {
        this.#u16(0xc000 | known)
        return
      }
      if (this.#length < 0x4000 && known === undefined) this.#offsets.set(suffix, this.#length)
      const label = name[i] ?? ''
      this.#u8(label.length)
      this.#room(label.length)
      this.#length += this.#buffer.write(label, this.#length, 'latin1')
    }
    this.#u8(0)
  }

  #text(text: string): void {
    const bytes = Buffer.from(text)
    this.#u8(Math.min(255, bytes.length))
    this.#room(bytes.length)
    this.#length += bytes.copy(this.#buffer, this.#length, 0, Math.min(255, bytes.length))
  }

  #u8(value: number): void {
    this.#room(1)
    this.#length = this.#buffer.writeUInt8(value, this.#length)
  }

  #u16(value: number): void {
    this.#room(2)
    this.#length = this.#buffer.writeUInt16BE(value, this.#length)
  }

  #u32(value: number): void {
    this.#room(4)
    this.#length = this.#buffer.writeUInt32BE(value, this.#length)
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return
    const larger = Buffer.alloc(this.#buffer.length * 2 + bytes)
    this.#buffer.copy(larger)
    this.#buffer = larger
  }
}

/** Eight groups; zeros when malformed (callers hand in addresses the API server has validated). */
function ipv6Groups(address: string): number[] {
  const [head = '', tail] = address.split('::')
  const groups = (part: string | undefined) => part ? part.split(':').map((g) => parseInt(g, 16) & 0xffff) : []
  const [a, b] = [groups(head), groups(tail)]
  const middle = tail === undefined ? 0 : Math.max(0, 8 - a.length - b.length)
  return [...a, ...Array<number>(middle).fill(0), ...b, ...Array<number>(8).fill(0)].slice(0, 8)
}
