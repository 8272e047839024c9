import assert from 'node:assert/strict'
import { createServer, connect, type Server } from 'node:tls'
import { connect as connectTcp, createServer as createTcp, type AddressInfo, type Socket } from 'node:net'
import { after, describe, it } from 'node:test'
import { systemClock } from '#base/clock.ts'
import { createLog, type Log } from '#base/log.ts'
import { systemRandom } from '#base/random.ts'
import { certificatePem, createCertificate, generateKey, NO_ALT_NAMES, parseCertificate, privateKeyPem, type Issuer } from '#base/x509/index.ts'
import type { AppendMessage, MemberId, Message } from '../../raft/types.ts'
import { memberName, MEMBERS_ORGANIZATION, RAFT_ALPN } from './member-name.ts'
import { createTlsPeerTransport, type MemberCredentials, type TlsPeerTransport } from './tls.ts'

const DAY_MS = 86_400_000
const DEADLINE_MS = 60_000

async function authority(): Promise<Issuer> {
  const key = await generateKey()
  const der = createCertificate({ subject: { commonName: 'test-ca', organizations: [] }, notBeforeMs: Date.now() - DAY_MS, notAfterMs: Date.now() + DAY_MS, isCa: true, keyUsages: ['certSign', 'digitalSignature'] }, { key }, { selfSigned: key }, systemRandom)
  return { certificate: parseCertificate(der), key }
}

const ca = await authority()
const stranger = await authority()

async function credentials(id: MemberId, over: { issuer?: Issuer; trusts?: Issuer; commonName?: string; organization?: string } = {}): Promise<MemberCredentials> {
  const key = await generateKey()
  const der = createCertificate({
    subject: { commonName: over.commonName ?? memberName(id), organizations: [over.organization ?? MEMBERS_ORGANIZATION] }, notBeforeMs: Date.now() - DAY_MS, notAfterMs: Date.now() + DAY_MS,
    keyUsages: ['digitalSignature'], extendedKeyUsages: ['serverAuth', 'clientAuth'], altNames: { ...NO_ALT_NAMES, dnsNames: [memberName(id)] },
  }, { key }, over.issuer ?? ca, systemRandom)
  return { ca: certificatePem((over.trusts ?? ca).certificate.der), cert: certificatePem(der), key: privateKeyPem(key) }
}

interface Member {
  id: MemberId
  address: string
  transport: TlsPeerTransport
  /** What has come, in order: `message 3`, `volatile text`, `reachable 2`, `unreachable 2`. */
  seen: string[]
  lines: string[]
  until(condition: () => boolean, what: string): Promise<void>
  stop(): Promise<void>
}

const running = new Set<Member>()
after(() => Promise.all([...running].map((m) => m.stop())))

async function member(id: MemberId, more: { port?: number; credentials?: MemberCredentials; queueBytesMax?: number } = {}): Promise<Member> {
  const own = more.credentials ?? await credentials(id)
  const lines: string[] = []
  const waiting = new Set<() => void>()
  const log: Log = createLog({ format: 'text', level: 'debug', nowMs: () => 0, write: (line) => {
    lines.push(line)
    for (const look of waiting) look()
  } })
  const transport = createTlsPeerTransport({ id, credentials: () => own, clock: systemClock, random: systemRandom, log, ...(more.queueBytesMax !== undefined && { queueBytesMax: more.queueBytesMax }) })
  const seen: string[] = []
  const note = (line: string) => {
    seen.push(line)
    for (const look of waiting) look()
  }
  transport.start({
    message: (message) => note(`message ${message.from} ${message.kind} ${message.kind === 'append' ? message.round : ''}`.trim()),
    volatile: (from, data) => note(`volatile ${from} ${data.length > 100 ? data.length : data.toString()}`),
    reachable: (m) => note(`reachable ${m}`),
    unreachable: (m) => note(`unreachable ${m}`),
    disconnected: (m) => note(`disconnected ${m}`),
  })
  const server: Server = createServer({
    cert: own.cert, key: own.key, ca: [own.ca], requestCert: true, rejectUnauthorized: false, ALPNProtocols: ['h2', RAFT_ALPN],
    SNICallback: (name, done) => done(null, transport.contextOf(name)),
  }, (socket) => {
    socket.on('error', () => { /* the transport hears of it, too */ })
    if (socket.alpnProtocol === RAFT_ALPN) transport.acceptTls(socket)
    else socket.destroy()
  })
  server.on('tlsClientError', () => { /* seen at the other end */ })
  await new Promise<void>((resolve) => server.listen(more.port ?? 0, '127.0.0.1', resolve))
  const self: Member = {
    id, transport, seen, lines, address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    until(condition, what) {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(look)
          reject(new Error(`member ${id} waited for ${what} in vain; it saw ${JSON.stringify(seen.slice(-20))}; ${lines.slice(-5).join(' | ')}`))
        }, DEADLINE_MS)
        const look = () => {
          if (!condition()) return
          clearTimeout(timer)
          waiting.delete(look)
          resolve()
        }
        waiting.add(look)
        look()
      })
    },
    async stop() {
      running.delete(self)
      await transport.close()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
  running.add(self)
  return self
}

const peersOf = (...members: Member[]) => new Map(members.map((m) => [m.id, m.address]))
const append = (from: Member, to: Member, round: number, bytes = 0): AppendMessage => ({
  kind: 'append', from: from.id, to: to.id, term: 1, prevIndex: 0, prevTerm: 0, commit: 0, round,
  entries: bytes > 0 ? [{ term: 1, index: 1, kind: 'normal', data: Buffer.alloc(bytes, 5) }] : [],
})
const has = (m: Member, line: string) => () => m.seen.includes(line)

describe('the transport between servers', () => {
  it('carries messages and volatile bytes in order, both ways, over one connection that the lower id has dialled', async () => {
    const [a, b] = [await member(1), await member(2)]
    a.transport.setPeers(peersOf(a, b))
    b.transport.setPeers(peersOf(a, b))
    await a.until(has(a, 'reachable 2'), 'the connection')
    await b.until(has(b, 'reachable 1'), 'the connection')
    for (let round = 1; round <= 50; round++) {
      a.transport.send(append(a, b, round, round === 25 ? 300_000 : 10))
      assert.equal(a.transport.sendVolatile(2, Buffer.from(String(round))), true)
      b.transport.send({ kind: 'appendAnswer', from: 2, to: 1, term: 1, accepted: true, index: round, hintIndex: 0, hintTerm: 0, round } satisfies Message)
    }
    await b.until(has(b, 'volatile 1 50'), 'the last')
    await a.until(() => a.seen.filter((s) => s.startsWith('message 2 appendAnswer')).length === 50, 'the answers')
    assert.deepEqual(b.seen, ['reachable 1', ...Array.from({ length: 50 }, (_, i) => [`message 1 append ${i + 1}`, `volatile 1 ${i + 1}`]).flat()])
    assert.equal(a.seen.filter((s) => s.startsWith('reachable')).length, 1)
    await Promise.all([a.stop(), b.stop()])
  })

  it('reaches a server that knows nobody yet, whichever id is lower, and is answered by it', async () => {
    const [low, high] = [await member(3), await member(4)]
    high.transport.setPeers(peersOf(low, high))
    high.transport.send(append(high, low, 1))
    await high.until(has(high, 'reachable 3'), 'the connection')
    high.transport.send(append(high, low, 2))
    await low.until(has(low, 'message 4 append 2'), 'the message')
    low.transport.sendVolatile(4, Buffer.from('hello'))
    await high.until(has(high, 'volatile 3 hello'), 'the answer')
    await Promise.all([low.stop(), high.stop()])
  })

  it('tells that messages were lost when the other server ends, and connects again when it is back on the same address', async () => {
    const [a, b] = [await member(5), await member(6)]
    a.transport.setPeers(peersOf(a, b))
    await a.until(has(a, 'reachable 6'), 'the connection')
    const port = Number(b.address.split(':')[1])
    await b.stop()
    await a.until(has(a, 'unreachable 6'), 'the loss')
    assert.ok(a.seen.includes('disconnected 6'))
    assert.equal(a.transport.sendVolatile(6, Buffer.from('to nobody')), false)
    const again = await member(6, { port })
    a.seen.length = 0
    await a.until(has(a, 'reachable 6'), 'the new connection')
    a.transport.send(append(a, again, 7))
    await again.until(has(again, 'message 5 append 7'), 'the message')
    await Promise.all([a.stop(), again.stop()])
  })

  it('goes to a new address as soon as it is told one', async () => {
    const [a, b] = [await member(7), await member(8)]
    a.transport.setPeers(new Map([[8, '127.0.0.1:1']]))
    a.transport.setPeers(peersOf(a, b))
    await a.until(has(a, 'reachable 8'), 'the connection')
    await Promise.all([a.stop(), b.stop()])
  })

  it('keeps no more than its bound for a peer that does not read, says so, and gives that connection up', async () => {
    const b = await member(10)
    // A wire that carries what the members say until it is cut: then it takes bytes and delivers none.
    const held = { isCut: false }
    const wires: Socket[] = []
    const wire = createTcp((near) => {
      const far = connectTcp(Number(b.address.split(':')[1]), '127.0.0.1')
      wires.push(near, far)
      for (const [from, to] of [[near, far], [far, near]] as const) {
        from.on('error', () => { /* the other end shows it */ })
        from.on('data', (data) => {
          if (held.isCut) from.pause()
          else to.write(data)
        })
        from.on('close', () => to.destroy())
      }
    })
    await new Promise<void>((resolve) => wire.listen(0, '127.0.0.1', resolve))
    const a = await member(9, { queueBytesMax: 1_000_000 })
    a.transport.setPeers(new Map([[10, `127.0.0.1:${(wire.address() as AddressInfo).port}`]]))
    await a.until(has(a, 'reachable 10'), 'the connection')
    held.isCut = true
    // More than all sockets' buffers on the way and the bound together.
    for (let round = 1; round <= 400; round++) a.transport.send(append(a, b, round, 100_000))
    await a.until(has(a, 'unreachable 10'), 'that messages were lost')
    await a.until(() => a.lines.some((l) => l.includes('lost the connection') && l.includes('PEER_SILENT')), 'the end of a silent connection')
    held.isCut = false
    for (const socket of wires) socket.destroy()
    a.seen.length = 0
    await a.until(has(a, 'reachable 10'), 'a new connection')
    a.transport.send(append(a, b, 1000))
    await b.until(has(b, 'message 9 append 1000'), 'a message over it')
    await a.stop()
    await b.stop()
    for (const socket of wires) socket.destroy()
    wire.close()
  })

  for (const [what, make] of [
    ['whose certificate another authority made', () => credentials(12, { issuer: stranger })],
    ['whose certificate names no member', () => credentials(12, { commonName: 'kubernetes' })],
    ['whose certificate is not of the servers', () => credentials(12, { organization: 'system:nodes' })],
  ] as const) {
    it(`refuses a caller ${what}`, async () => {
      const a = await member(11)
      const { cert, key } = await make()
      const socket = connect({ host: '127.0.0.1', port: Number(a.address.split(':')[1]), servername: memberName(11), ca: certificatePem(ca.certificate.der), cert, key, ALPNProtocols: [RAFT_ALPN] })
      await new Promise<void>((resolve) => {
        socket.on('close', () => resolve())
        socket.on('error', () => { /* a close follows */ })
      })
      assert.deepEqual(a.seen, [])
      await a.stop()
    })
  }

  it('does not talk to a server that cannot prove to be the member it is called as', async () => {
    const a = await member(13)
    const wrong = await member(15, { credentials: await credentials(15, { commonName: memberName(14) }) })
    a.transport.setPeers(new Map([[14, wrong.address]]))
    await a.until(() => a.lines.filter((l) => l.includes('cannot reach another server')).length >= 3, 'that it was tried')
    assert.deepEqual([a.seen, wrong.seen], [[], []])
    await Promise.all([a.stop(), wrong.stop()])
  })
})
