import assert from 'node:assert/strict'
import { test } from 'node:test'
import dnsPacket from 'dns-packet'
import fc from 'fast-check'
import { encodeResponse, parseQuery, readName, udpLimit, type DnsRecord, type Query } from './wire.ts'

function query(name: string, type: 'A' | 'SRV' | 'AAAA' | 'TXT' | 'PTR' | 'SOA' = 'A', udpPayloadSize?: number): Query {
  const message = dnsPacket.encode({
    type: 'query', id: 4711, flags: dnsPacket.RECURSION_DESIRED, questions: [{ type, name }],
    ...(udpPayloadSize !== undefined && { additionals: [{ type: 'OPT', name: '.', udpPayloadSize, flags: 0, options: [] } as never] }),
  })
  const parsed = parseQuery(message)
  assert.ok(parsed.ok)
  return parsed.query
}

test('a query is read as sent, spelling kept', () => {
  assert.deepEqual(query('Web.DEFAULT.svc.cluster.local', 'SRV', 4096), {
    id: 4711, opcode: 0, name: ['Web', 'DEFAULT', 'svc', 'cluster', 'local'], type: 33, class: 1, recursionDesired: true, checkingDisabled: false,
    questionEnd: 47, edns: { sizeBytes: 4096, version: 0, wantsDnssec: false },
  })
})

test('every record type is read back by an independent decoder', () => {
  const name = ['web', 'default', 'svc', 'cluster', 'local']
  const answers: DnsRecord[] = [
    { name, ttl: 5, type: 'A', address: '10.43.0.1' },
    { name, ttl: 5, type: 'AAAA', address: 'fd00::12:1' },
    { name, ttl: 5, type: 'CNAME', target: ['other', 'cluster', 'local'] },
    { name, ttl: 5, type: 'SRV', priority: 0, weight: 100, port: 80, target: ['a', ...name] },
    { name, ttl: 5, type: 'TXT', text: '1.1.0' },
    { name, ttl: 5, type: 'PTR', target: name },
  ]
  const soa: DnsRecord = { name: ['cluster', 'local'], ttl: 5, type: 'SOA', mname: ['ns', 'dns', 'cluster', 'local'], rname: ['hostmaster', 'cluster', 'local'], serial: 1, refresh: 2, retry: 3, expire: 4, minimum: 5 }
  const decoded = dnsPacket.decode(encodeResponse(query('web.default.svc.cluster.local'), { rcode: 0, isAuthoritative: true, answers, authority: [soa] }, 1232))
  assert.equal(decoded.flag_aa && decoded.flag_ra && decoded.flag_rd && !decoded.flag_tc, true)
  const dotted = 'web.default.svc.cluster.local'
  assert.deepEqual(decoded.answers?.map((a) => [a.type, a.name, 'data' in a ? a.data : undefined]), [
    ['A', dotted, '10.43.0.1'], ['AAAA', dotted, 'fd00::12:1'], ['CNAME', dotted, 'other.cluster.local'],
    ['SRV', dotted, { priority: 0, weight: 100, port: 80, target: `a.${dotted}` }], ['TXT', dotted, [Buffer.from('1.1.0')]], ['PTR', dotted, dotted],
  ])
  assert.deepEqual(decoded.authorities?.[0], { name: 'cluster.local', type: 'SOA', class: 'IN', ttl: 5, flush: false, data: { mname: 'ns.dns.cluster.local', rname: 'hostmaster.cluster.local', serial: 1, refresh: 2, retry: 3, expire: 4, minimum: 5 } })
})

test('names are compressed, so that 27 addresses fit where 6 would', () => {
  const q = query('a-rather-long-service.with-a-namespace.svc.cluster.local')
  const answers = Array.from({ length: 28 }, (_, i): DnsRecord => ({ name: q.name, ttl: 5, type: 'A', address: `10.42.0.${i}` }))
  const response = encodeResponse(q, { rcode: 0, answers }, udpLimit(q))
  assert.equal(response.length, 74 + 27 * 16)
  assert.equal(dnsPacket.decode(response).answers?.length, 27)
})

test('what does not fit is left out and the answer marked truncated; EDNS makes room', () => {
  const name = 'big.default.svc.cluster.local'
  const answers = Array.from({ length: 200 }, (_, i): DnsRecord => ({ name: name.split('.'), ttl: 5, type: 'A', address: `10.42.0.${i}` }))
  for (const [q, limit] of [[query(name), 512], [query(name, 'A', 4096), 1232], [query(name, 'A', 100), 512]] as const) {
    assert.equal(udpLimit(q), limit)
    const response = encodeResponse(q, { rcode: 0, answers }, udpLimit(q))
    const decoded = dnsPacket.decode(response)
    assert.ok(response.length <= limit && response.length > limit - 32, String(response.length))
    assert.equal(decoded.flag_tc, true)
    assert.equal(decoded.answers?.length, Math.floor((limit - 47 - (q.edns ? 11 : 0)) / 16))
  }
})

test('no bytes a client can send make the reader throw or loop', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
    const parsed = parseQuery(Buffer.from(bytes))
    if (parsed.ok) encodeResponse(parsed.query, { rcode: 0, answers: [{ name: parsed.query.name, ttl: 1, type: 'A', address: '1.2.3.4' }] }, 512)
  }), { numRuns: 2000 })
  const valid = dnsPacket.encode({ type: 'query', id: 1, questions: [{ type: 'A', name: 'web.default.svc.cluster.local' }] })
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { maxLength: 6 }), fc.nat(valid.length), (edits, cut) => {
    const bytes = Buffer.from(valid)
    for (const [at, value] of edits) bytes[at] = value
    parseQuery(bytes.subarray(0, cut))
  }), { numRuns: 2000 })
})

test('pointers that go forward, at themselves or in circles are refused', () => {
  for (const name of [[0xc0, 12], [0xc0, 14], [1, 97, 0xc0, 12], [0xc0], [0x40, 1, 1, 1], [63, 1]]) {
    assert.equal(readName(Buffer.from([...Array<number>(12).fill(0), ...name]), 12), undefined, name.join(' '))
  }
})
