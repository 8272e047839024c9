import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import dnsPacket, { type Packet } from 'dns-packet'
import { systemClock } from '#base/clock.ts'
import { silentLog } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import { fakeInformers, service, slice } from '../proxy/testing/fixtures.ts'
import { createDns } from './dns.ts'

const OWN = '127.0.53.10'
const UPSTREAM = '127.0.53.99'
const PORT = 10_053

/** An upstream server that answers by the first label of what is asked, and counts what it is asked. */
async function fakeUpstream() {
  const asked: string[] = []
  const answer = (message: Buffer): Buffer | undefined => {
    const query = dnsPacket.decode(message)
    const question = query.questions?.[0]
    assert.ok(question)
    asked.push(`${question.type} ${question.name}`)
    const base: Packet = { type: 'response', id: query.id ?? 0, flags: dnsPacket.RECURSION_AVAILABLE, questions: [question] }
    switch (question.name.toLowerCase().split('.')[0]) {
      case 'silent': return undefined
      case 'forged': return dnsPacket.encode({ ...base, id: (base.id ?? 0) ^ 1, answers: [{ type: 'A', name: question.name, ttl: 60, data: '6.6.6.6' }] })
      case 'none': return dnsPacket.encode({ ...base, flags: 0x8083, authorities: [{ type: 'SOA', name: 'example.com', ttl: 60, data: { mname: 'a', rname: 'b', serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 20 } }] })
      case 'alias': return dnsPacket.encode({ ...base, answers: [{ type: 'CNAME', name: question.name, ttl: 60, data: 'target.example.com' }, { type: 'A', name: 'target.example.com', ttl: 60, data: '5.6.7.8' }] })
      default: return dnsPacket.encode({ ...base, answers: [{ type: 'A', name: question.name, ttl: 60, data: '1.2.3.4' }] })
    }
  }
  const udp = createSocket('udp4')
  udp.on('message', (message, from) => {
    const response = answer(message)
    if (response) udp.send(response, from.port, from.address)
  })
  await new Promise<void>((resolve) => { udp.bind(PORT, UPSTREAM, resolve) })
  const tcp = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Buffer) => {
      const response = answer(chunk.subarray(2))
      if (response) socket.write(Buffer.concat([Buffer.from([response.length >> 8, response.length & 255]), response]))
    })
  })
  await new Promise<void>((resolve) => { tcp.listen(PORT, UPSTREAM, resolve) })
  return { asked, close: () => { udp.close(); tcp.close() } }
}

/** Sends raw bytes by UDP and waits for the answer; undefined when none comes within `ms`. */
function exchange(message: Buffer, ms = 6000): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4')
    const finish = (answer: Buffer | undefined) => {
      cancel()
      socket.close()
      resolve(answer)
    }
    const cancel = systemClock.after(ms, () => finish(undefined))
    socket.on('message', finish)
    socket.on('error', reject)
    socket.send(message, PORT, OWN)
  })
}

function encode(name: string, type: 'A' | 'AAAA' | 'SRV' | 'PTR' | 'HINFO' = 'A', id = 7): Buffer {
  return dnsPacket.encode({ type: 'query', id, flags: dnsPacket.RECURSION_DESIRED, questions: [{ type, name }] })
}

async function ask(name: string, type: 'A' | 'AAAA' | 'SRV' | 'PTR' | 'HINFO' = 'A') {
  const answer = await exchange(encode(name, type))
  assert.ok(answer, `no answer for ${name}`)
  const decoded = dnsPacket.decode(answer) as Packet & { rcode?: string; flag_aa?: boolean; flag_tc?: boolean }
  return { rcode: decoded.rcode, aa: decoded.flag_aa, tc: decoded.flag_tc, answers: (decoded.answers ?? []).map((a) => `${a.type} ${'data' in a && typeof a.data === 'string' ? a.data : ''}`), authority: (decoded.authorities ?? []).map((a) => a.type) }
}

function askTcp(messages: Buffer[]): Promise<Packet[]> {
  return new Promise((resolve, reject) => {
    const socket = connect(PORT, OWN)
    let received: Buffer = Buffer.alloc(0)
    const answers: Packet[] = []
    socket.on('error', reject)
    socket.on('connect', () => { socket.write(Buffer.concat(messages.map((m) => Buffer.concat([Buffer.from([m.length >> 8, m.length & 255]), m])))) })
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        answers.push(dnsPacket.decode(received.subarray(2, 2 + received.readUInt16BE(0))))
        received = received.subarray(2 + received.readUInt16BE(0))
      }
      if (answers.length === messages.length) {
        socket.destroy()
        resolve(answers)
      }
    })
  })
}

describe('resolver on sockets', () => {
  const informers = fakeInformers()
  const stop = new AbortController()
  let upstream: Awaited<ReturnType<typeof fakeUpstream>>
  let folder: string

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'skiff-dns-'))
    await writeFile(join(folder, 'resolv.conf'), `# a comment\nsearch example.com\nnameserver ${OWN}\nnameserver ${UPSTREAM}\n`)
    upstream = await fakeUpstream()
    const dns = createDns({
      informers, clusterDomain: 'cluster.local', listenAddresses: [OWN], manageAddresses: false, port: PORT, ownedCidrs: ['10.42.0.0/16', '10.43.0.0/16'],
      resolvConfPath: join(folder, 'resolv.conf'), clock: systemClock, log: silentLog, random: seededRandom(1), upstreamPort: PORT,
    })
    assert.equal(dns.notReadyReason(), 'the cluster resolver has not started')
    await dns.start(stop.signal)
    assert.equal(dns.notReadyReason(), undefined)
  })
  after(async () => {
    stop.abort()
    upstream.close()
    await rm(folder, { recursive: true })
  })

  test('the first names asked for outside, all at once, are all forwarded', async () => {
    const all = await Promise.all(['a', 'b', 'c', 'd'].map((name) => ask(`${name}.first.example.com`)))
    assert.deepEqual(all.map((a) => [a.rcode, a.answers]), all.map(() => ['NOERROR', ['A 1.2.3.4']]))
  })

  test('before Services are known their names fail for now; afterwards they resolve', async () => {
    assert.equal((await ask('web.default.svc.cluster.local')).rcode, 'SERVFAIL')
    informers.put(service({ name: 'web', spec: { clusterIP: '10.43.0.100', ports: [{ name: 'http', port: 80, protocol: 'TCP' }] } }))
    informers.put(service({ name: 'big', spec: { clusterIP: 'None' } }))
    informers.put(slice({ service: 'big', endpoints: Array.from({ length: 100 }, (_, i) => `10.42.0.${i + 2}`) }))
    informers.put(service({ name: 'out', spec: { type: 'ExternalName', clusterIP: '', externalName: 'alias.example.com' } }))
    informers.put(service({ name: 'in', spec: { type: 'ExternalName', clusterIP: '', externalName: 'web.default.svc.cluster.local' } }))
    informers.put(service({ name: 'loop', spec: { type: 'ExternalName', clusterIP: '', externalName: 'loop.default.svc.cluster.local' } }))
    informers.sync()
    assert.deepEqual(await ask('web.default.svc.cluster.local'), { rcode: 'NOERROR', aa: true, tc: false, answers: ['A 10.43.0.100'], authority: [] })
  })

  test('unknown names and missing types are told apart, with the zone\'s SOA', async () => {
    assert.deepEqual(await ask('gone.default.svc.cluster.local'), { rcode: 'NXDOMAIN', aa: true, tc: false, answers: [], authority: ['SOA'] })
    assert.deepEqual(await ask('web.default.svc.cluster.local', 'AAAA'), { rcode: 'NOERROR', aa: true, tc: false, answers: [], authority: ['SOA'] })
    assert.equal((await ask('9.9.42.10.in-addr.arpa', 'PTR')).rcode, 'NXDOMAIN')
  })

  test('an answer too large for UDP is marked, and whole by TCP, several queries on one connection', async () => {
    const small = await ask('big.default.svc.cluster.local')
    assert.deepEqual([small.tc, small.answers.length], [true, 29])
    const answers = await askTcp([encode('big.default.svc.cluster.local', 'A', 1), encode('web.default.svc.cluster.local', 'A', 2), encode('tcp.example.com', 'A', 3)])
    assert.deepEqual(answers.map((a) => [a.id, a.answers?.length]), [[1, 100], [2, 1], [3, 1]])
  })

  test('an ExternalName is followed: upstream, within the cluster, and not for ever', async () => {
    assert.deepEqual((await ask('out.default.svc.cluster.local')).answers, ['CNAME alias.example.com', 'CNAME target.example.com', 'A 5.6.7.8'])
    assert.deepEqual((await ask('in.default.svc.cluster.local')).answers, ['CNAME web.default.svc.cluster.local', 'A 10.43.0.100'])
    assert.equal((await ask('loop.default.svc.cluster.local')).rcode, 'SERVFAIL')
  })

  test('other names go upstream once and then come from the cache, in the client\'s own spelling', async () => {
    assert.deepEqual((await ask('one.example.com')).answers, ['A 1.2.3.4'])
    const raw = await exchange(encode('ONE.Example.com', 'A', 9))
    assert.deepEqual([raw?.readUInt16BE(0), raw && dnsPacket.decode(raw).questions?.[0]?.name], [9, 'ONE.Example.com'])
    assert.deepEqual(upstream.asked.filter((q) => /one\.example/i.test(q)), ['A one.example.com'])
    assert.equal((await ask('none.example.com')).rcode, 'NXDOMAIN')
    assert.equal((await ask('none.example.com')).rcode, 'NXDOMAIN')
    assert.equal(upstream.asked.filter((q) => q.includes('none.')).length, 1)
  })

  test('a server that is silent or answers with a wrong id ends in SERVFAIL, and others are answered meanwhile', async () => {
    const slow = [ask('silent.example.com'), ask('forged.example.com')]
    assert.deepEqual((await ask('web.default.svc.cluster.local')).answers, ['A 10.43.0.100'])
    assert.deepEqual((await Promise.all(slow)).map((a) => a.rcode), ['SERVFAIL', 'SERVFAIL'])
  })

  test('a changed resolv.conf is noticed, and one that names nobody but ourselves fails instead of looping', async () => {
    const own = createDns({
      informers, clusterDomain: 'cluster.local', listenAddresses: ['127.0.53.11'], manageAddresses: false, port: PORT, ownedCidrs: [],
      resolvConfPath: join(folder, 'loop.conf'), clock: systemClock, log: silentLog, upstreamPort: PORT,
    })
    await writeFile(join(folder, 'loop.conf'), 'nameserver 127.0.53.11\n')
    const end = new AbortController()
    await own.start(end.signal)
    const socket = createSocket('udp4')
    const answered = new Promise<Buffer>((resolve) => { socket.on('message', resolve) })
    socket.send(encode('example.com'), PORT, '127.0.53.11')
    assert.equal((await answered).readUInt16BE(2) & 15, 2)
    socket.close()
    end.abort()
  })

  test('garbage gets an error or silence, and the resolver lives on', async () => {
    const header = (flags: number, questions: number) => Buffer.from([0, 1, flags >> 8, flags & 255, 0, questions, 0, 0, 0, 0, 0, 0])
    assert.equal(await exchange(Buffer.from([1, 2, 3]), 100), undefined)
    assert.equal(await exchange(Buffer.concat([header(0x8000, 1), Buffer.from([0, 0, 1, 0, 1])]), 100), undefined)
    assert.equal(((await exchange(header(0, 0)))?.readUInt16BE(2) ?? 0) & 15, 1)
    assert.equal(((await exchange(header(0x2800, 1)))?.readUInt16BE(2) ?? 0) & 15, 4)
    assert.equal(((await exchange(Buffer.concat([header(0, 1), Buffer.from([0xc0, 12, 0, 1, 0, 1])])))?.readUInt16BE(2) ?? 0) & 15, 1)
    assert.deepEqual((await ask('web.default.svc.cluster.local')).answers, ['A 10.43.0.100'])
  })

  test('an address in use is told with the mend, and start goes on trying until it is told to stop', async () => {
    const second = createDns({ informers, clusterDomain: 'cluster.local', listenAddresses: [OWN], manageAddresses: false, port: PORT, ownedCidrs: [], clock: systemClock, log: silentLog })
    const end = new AbortController()
    const started = second.start(end.signal)
    const deadline = AbortSignal.timeout(60_000)
    while (!second.notReadyReason()?.includes('another program answers port 53')) {
      assert.ok(!deadline.aborted, second.notReadyReason() ?? 'it listens')
      await systemClock.sleep(5)
    }
    end.abort(new Error('stopped'))
    await assert.rejects(started, /stopped/)
  })
})
