/** One query in, one answer out: the cluster's names from the view, everything else from cache or upstream. */
import type { Clock } from '#base/clock.ts'
import type { Random } from '#base/random.ts'
import { cacheKey, type AnswerCache } from './cache.ts'
import type { Forwarder } from './forwarder.ts'
import { answerFor, soaRecord, TTL_SECONDS, type Answer, type DnsView, type Wanted, type Zone } from './records.ts'
import { CLASS_IN, encodeError, encodeQuery, encodeResponse, parseQuery, RCODE, readName, readRecordHeader, TYPE, udpLimit, type DnsRecord, type Name, type Query } from './wire.ts'

export interface ResolverOptions {
  zone: Zone
  view: DnsView
  /** False: Services are not known yet; the cluster's names are answered SERVFAIL, not "does not exist". */
  isReady: () => boolean
  forwarder: Forwarder
  cache: AnswerCache
  clock: Clock
  random: Random
}

/** ExternalNames that point to ExternalNames. */
const ALIASES_MAX = 8
const TCP_BYTES_MAX = 65_535

/** Undefined: no answer is due. Never rejects on what a client sends. */
export async function resolve(request: Buffer, by: 'udp' | 'tcp', options: ResolverOptions): Promise<Buffer | undefined> {
  const parsed = parseQuery(request)
  if (!parsed.ok) return parsed.why === 'drop' ? undefined : encodeError(parsed, parsed.why === 'notImp' ? RCODE.notImp : RCODE.formErr)
  const { query } = parsed
  const limit = by === 'tcp' ? TCP_BYTES_MAX : udpLimit(query)
  const fail = (rcode: number) => encodeResponse(query, { rcode }, limit)
  if (query.edns && query.edns.version !== 0) return fail(RCODE.badVers)
  if (query.type === TYPE.AXFR || query.type === TYPE.IXFR) return fail(RCODE.refused)
  if (query.class !== CLASS_IN) return fail(RCODE.refused)

  const { zone, view } = options
  const answer = answerFor({ name: query.name, type: wantedType(query.type) }, zone, view)
  if (answer.kind === 'notOurs') return await forward(request, query, by, options) ?? fail(RCODE.servFail)
  if (!options.isReady()) return fail(RCODE.servFail)
  const soa = soaRecord(zone, Math.floor(options.clock.nowMs() / 1000))
  switch (answer.kind) {
    case 'records': return encodeResponse(query, { rcode: RCODE.noError, isAuthoritative: true, answers: shuffled(answer.records, options.random), additional: answer.additional }, limit)
    case 'noName': return encodeResponse(query, { rcode: RCODE.nxDomain, isAuthoritative: true, authority: [soa] }, limit)
    case 'noData': {
      const isApex = query.type === TYPE.SOA && query.name.length === zone.domain.length
      return encodeResponse(query, { rcode: RCODE.noError, isAuthoritative: true, ...(isApex ? { answers: [{ ...soa, name: query.name }] } : { authority: [soa] }) }, limit)
    }
    case 'alias': {
      const chain = query.type === TYPE.CNAME ? [answer.record] : await follow(answer.record, wantedType(query.type), options)
      return chain ? encodeResponse(query, { rcode: RCODE.noError, isAuthoritative: true, answers: chain }, limit) : fail(RCODE.servFail)
    }
  }
}

/** The alias and what it leads to; a stub resolver does not follow by itself. Undefined when upstream fails. */
async function follow(alias: Extract<Answer, { kind: 'alias' }>['record'], type: Wanted, options: ResolverOptions): Promise<DnsRecord[] | undefined> {
  const chain: DnsRecord[] = [alias]
  let target = alias.target
  for (let i = 0; i < ALIASES_MAX; i++) {
    const next = answerFor({ name: target, type }, options.zone, options.view)
    if (next.kind === 'notOurs') {
      const rest = await askAddresses(target, type, options)
      return rest && [...chain, ...rest]
    }
    if (next.kind === 'records') return [...chain, ...next.records]
    if (next.kind !== 'alias') return chain
    chain.push(next.record)
    target = next.record.target
  }
  return undefined
}

/** Addresses of a foreign name, through whatever aliases it has there. */
async function askAddresses(name: Name, type: Wanted, options: ResolverOptions): Promise<DnsRecord[] | undefined> {
  if (type !== 'A' && type !== 'AAAA') return []
  if (name.some((label) => label.length === 0 || label.length > 63)) return []
  const message = encodeQuery(0, { name, type: TYPE[type] })
  const parsed = parseQuery(message)
  const response = parsed.ok ? await forward(message, parsed.query, 'udp', options) : undefined
  return response && addressRecords(response)
}

async function forward(request: Buffer, query: Query, by: 'udp' | 'tcp', options: ResolverOptions): Promise<Buffer | undefined> {
  const key = cacheKey(query)
  const cached = options.cache.get(key, query, request, options.clock.monotonicMs())
  if (cached) return cached
  try {
    const response = await options.forwarder.ask(request, query, by)
    options.cache.put(key, response, options.clock.monotonicMs())
    return response
  } catch {
    // Told to the client as SERVFAIL; it asks again. A line per failed look-up would fill the card when a board is offline.
    return undefined
  }
}

function addressRecords(message: Buffer): DnsRecord[] {
  const question = readName(message, 12)
  const found: DnsRecord[] = []
  let at = (question?.end ?? message.length) + 4
  for (let i = message.readUInt16BE(6); i > 0; i--) {
    const record = readRecordHeader(message, at)
    if (!record) break
    at = record.dataAt + record.dataLength
    const base = { name: record.name, ttl: Math.min(record.ttl, TTL_SECONDS) }
    if (record.type === TYPE.A && record.dataLength === 4) found.push({ ...base, type: 'A', address: [...message.subarray(record.dataAt, at)].join('.') })
    else if (record.type === TYPE.AAAA && record.dataLength === 16) found.push({ ...base, type: 'AAAA', address: (message.subarray(record.dataAt, at).toString('hex').match(/.{4}/g) ?? []).join(':') })
    else if (record.type === TYPE.CNAME) {
      const target = readName(message, record.dataAt)
      if (target) found.push({ ...base, type: 'CNAME', target: target.name })
    }
  }
  return found
}

const WANTED: Readonly<Record<number, Wanted>> = {
  [TYPE.A]: 'A', [TYPE.AAAA]: 'AAAA', [TYPE.SRV]: 'SRV', [TYPE.PTR]: 'PTR', [TYPE.TXT]: 'TXT', [TYPE.NS]: 'NS', [TYPE.SOA]: 'SOA', [TYPE.CNAME]: 'CNAME', [TYPE.ANY]: 'ANY',
}

function wantedType(type: number): Wanted { return WANTED[type] ?? 'other' }

/** Fisher-Yates: clients take the first address, so its place is the load balancing of headless Services. */
function shuffled(records: readonly DnsRecord[], random: Random): DnsRecord[] {
  const list = [...records]
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(random.next() * (i + 1))
    const [a, b] = [list[i], list[j]]
    if (a && b) [list[i], list[j]] = [b, a]
  }
  return list
}
