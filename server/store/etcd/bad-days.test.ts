/** The etcd store when etcd, the network or somebody else misbehaves: real members, killed, paused and cut off. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { hasCode } from '#base/errors.ts'
import { systemRandom } from '#base/random.ts'
import { certificatePem, createCertificate, generateKey, NO_ALT_NAMES, parseCertificate, privateKeyPem, type Issuer } from '#base/x509/index.ts'
import type { Store, WatchEvent } from '../store.ts'
import { answersProgress } from './event-feed.ts'
import { noEtcd, startEtcd, storeOptions, type EtcdCluster } from './etcd.test-support.ts'
import { Members } from './members.ts'
import { ETCD } from './messages.ts'
import { openEtcdStore } from './store-etcd.ts'

const put = (store: Store, key: string, value: string) => store.txn({ compare: [], ops: [{ kind: 'put', key, value: Buffer.from(value) }] })

async function until(what: string, holds: () => boolean | Promise<boolean>, ms = 60_000): Promise<void> {
  const end = performance.now() + ms
  while (!(await holds())) {
    assert.ok(performance.now() < end, `not within ${ms} ms: ${what}`)
    await new Promise((resolve) => { setTimeout(resolve, 20) })
  }
}

describe('etcd of three members', { skip: noEtcd, timeout: 180_000 }, () => {
  const state: { cluster?: EtcdCluster } = {}
  before(async () => { state.cluster = await startEtcd({ members: 3 }) })
  after(() => state.cluster?.stop())
  const cluster = () => state.cluster as EtcdCluster

  it('watches go on without gap or repeat when one member after the other is killed under writes', async () => {
    const { members, endpoints } = cluster()
    const store = await openEtcdStore(storeOptions(endpoints, {}, '/kills'))
    const seen: { revision: number; said: string }[] = []
    const watch = store.watch({ prefix: '/k', afterRevision: store.revision() }, (events: readonly WatchEvent[]) => {
      for (const e of events) seen.push({ revision: e.revision, said: `${e.previous?.value.toString() ?? '-'}>${e.current?.value.toString() ?? '-'}` })
    })
    const acknowledged: number[] = []
    const unknown: number[] = []
    let last: number | undefined
    let stop = false
    const writing = (async () => {
      for (let n = 0; !stop; n++) {
        try {
          const result = await put(store, '/k', String(n))
          assert.ok(result.ok)
          acknowledged.push(n)
          assert.ok(seen.some((s) => s.revision === result.revision), 'acknowledged before it was shown')
          last = n
        } catch (error) {
          assert.ok(hasCode(error, 'STORE_UNAVAILABLE'), String(error))
          unknown.push(n)
        }
      }
    })()
    for (const member of members) {
      const before = acknowledged.length
      await until('writes go on', () => acknowledged.length > before + 20)
      await member.kill()
      const killed = acknowledged.length
      await until('writes go on without it', () => acknowledged.length > killed + 20)
      await member.restart()
    }
    stop = true
    await writing
    watch.close()
    assert.equal((await store.get('/k'))?.value.toString(), String(last))
    await store.close()
    // Each change begins where the one before it ended: none is missing, none is there twice.
    const values = seen.map((s) => s.said.split('>'))
    values.forEach(([from], i) => assert.equal(from, i === 0 ? '-' : values[i - 1]?.[1]))
    assert.deepEqual(seen.map((s) => s.revision), [...new Set(seen.map((s) => s.revision))].sort((a, b) => a - b))
    const shown = new Set(values.map(([, to]) => Number(to)))
    assert.deepEqual(acknowledged.filter((n) => !shown.has(n)), [])
    assert.deepEqual([...shown].filter((n) => !acknowledged.includes(n) && !unknown.includes(n)), [])
  })

  it('without a majority reads and writes say STORE_UNAVAILABLE, and work again when it is back', async () => {
    const { members, endpoints } = cluster()
    const store = await openEtcdStore(storeOptions(endpoints, {}, '/majority'))
    await put(store, '/a', '1')
    await members[0]?.kill()
    await members[1]?.kill()
    await assert.rejects(put(store, '/a', '2'), (e) => hasCode(e, 'STORE_UNAVAILABLE'))
    await Promise.all([members[0]?.restart(), members[1]?.restart()])
    await until('writes work again', () => put(store, '/a', '3').then(() => true, () => false))
    assert.equal((await store.get('/a'))?.value.toString(), '3')
    await store.close()
  })

  it('a member that hangs is given up for another', async () => {
    const { members, endpoints } = cluster()
    const store = await openEtcdStore(storeOptions(endpoints, {}, '/hangs'))
    await put(store, '/a', '1')
    members[0]?.pause()
    try {
      await until('writes work again', () => put(store, '/a', '2').then(() => true, () => false))
      assert.equal((await store.get('/a'))?.value.toString(), '2')
    } finally {
      members[0]?.resume()
    }
    await store.close()
  })
})

describe('etcd that others use, too', { skip: noEtcd, timeout: 180_000 }, () => {
  const state: { cluster?: EtcdCluster } = {}
  before(async () => { state.cluster = await startEtcd() })
  after(() => state.cluster?.stop())
  const open = (prefix: string, more: Partial<Parameters<typeof openEtcdStore>[0]> = {}) => openEtcdStore({ ...storeOptions((state.cluster as EtcdCluster).endpoints, {}, prefix), ...more })

  it('the newest is read and listed though revisions are spent on other keys', async () => {
    const [mine, theirs] = [await open('/mine'), await open('/theirs')]
    await put(mine, '/a', '1')
    for (let i = 0; i < 5; i++) await put(theirs, '/a', String(i))
    const listed = await mine.list({ prefix: '/' })
    assert.deepEqual(listed.items.map((i) => i.value.toString()), ['1'])
    assert.ok(listed.revision >= theirs.revision())
    assert.ok(mine.revision() >= listed.revision)
    await mine.close()
    await theirs.close()
  })

  it('two servers on the same keys see each other\'s changes, in the same order', async () => {
    const [one, two] = [await open('/both'), await open('/both')]
    const seen: [string[], string[]] = [[], []]
    one.watch({ prefix: '/', afterRevision: one.revision() }, (es, r) => seen[0].push(...es.map((e) => `${r} ${e.key}`)))
    two.watch({ prefix: '/', afterRevision: two.revision() }, (es, r) => seen[1].push(...es.map((e) => `${r} ${e.key}`)))
    await Promise.all(Array.from({ length: 40 }, (_, i) => put(i % 2 === 0 ? one : two, `/k${i % 7}`, String(i))))
    const newest = await one.list({ prefix: '/' })
    await two.list({ prefix: '/' })
    assert.equal(newest.items.length, 7)
    assert.equal(seen[0].length, 40)
    assert.deepEqual(seen[0], seen[1])
    await one.close()
    await two.close()
  })

  it('keys of another Kubernetes and of a newer skiff are refused', async () => {
    const { endpoints } = state.cluster as EtcdCluster
    const members = new Members(storeOptions(endpoints, {}, ''))
    // As kube-apiserver has them, and a mark of the future.
    for (const [key, value] of [['/upstream/pods/default/web', 'x'], ['/later.skiff/format', 'skiff 2']] as const) {
      await members.ask(ETCD.txn, { success: [{ put: { key: Buffer.from(key), value: Buffer.from(value) } }] }, { again: true })
    }
    members.close()
    await assert.rejects(open('/upstream'), (e: Error) => hasCode(e, 'STORE_FOREIGN') && /--etcd-prefix/.test(e.message))
    await assert.rejects(open('/later'), (e: Error) => hasCode(e, 'STORE_FORMAT') && /newer skiff/.test(e.message))
  })

  it('lists thousands of objects and megabytes page by page at one revision', async () => {
    const store = await open('/many')
    const big = 'x'.repeat(1_000_000)
    for (let i = 0; i < 12; i++) await put(store, `/big/${i}`, big)
    for (let i = 0; i < 2_000; i += 100) await store.txn({ compare: [], ops: Array.from({ length: 100 }, (_, j) => ({ kind: 'put', key: `/small/${String(i + j).padStart(5, '0')}`, value: Buffer.from(String(i + j)) })) })
    const all = await store.list({ prefix: '/' })
    assert.deepEqual([all.items.length, all.more, all.remaining], [2_012, false, 0])
    assert.deepEqual(all.items.filter((i) => i.key.startsWith('/small/')).map((i) => Number(i.value)), Array.from({ length: 2_000 }, (_, i) => i))
    const page = await store.list({ prefix: '/small/', limit: 700, after: '/small/00099' })
    assert.deepEqual([page.items.length, page.items[0]?.key, page.more, page.remaining], [700, '/small/00100', true, 1_200])
    await assert.rejects(put(store, '/huge', 'x'.repeat(2_000_000)), (e: Error) => hasCode(e, 'STORE_REFUSED') && /max-request-bytes/.test(e.message))
    await store.close()
  })

  it('history is compacted by one of the servers, never what was the present at the last look', async () => {
    const stores = await Promise.all([open('/compact', { compactionIntervalMs: 150 }), open('/compact', { compactionIntervalMs: 150 })])
    const [store] = stores
    const first = await put(store, '/a', '0')
    assert.ok(first.ok)
    let n = 0
    await until('the first write is compacted away', async () => {
      await put(store, '/a', String(++n))
      return store.get('/a', first.revision).then(() => false, (e: unknown) => hasCode(e, 'STORE_COMPACTED'))
    })
    assert.equal((await store.get('/a'))?.value.toString(), String(n))
    await Promise.all(stores.map((s) => s.close()))
  })

  it('a server that was cut off until its past was compacted says so, instead of leaving out changes', async () => {
    const { endpoints: [endpoint = ''] } = state.cluster as EtcdCluster
    const proxy = await cuttable(Number(new URL(endpoint).port))
    const lost = Promise.withResolvers<Error>()
    const far = await openEtcdStore({ ...storeOptions([`http://127.0.0.1:${proxy.port}`], {}, '/lost'), onLost: lost.resolve })
    const near = await open('/lost')
    proxy.cut()
    for (let i = 0; i < 3; i++) await put(near, '/a', String(i))
    await near.compact(near.revision())
    proxy.mend()
    assert.match((await lost.promise).message, /compacted what happened after revision \d+/)
    await far.close()
    await near.close()
    await proxy.close()
  })

  it('a connection that breaks loses no change', async () => {
    const { endpoints: [endpoint = ''] } = state.cluster as EtcdCluster
    const proxy = await cuttable(Number(new URL(endpoint).port))
    const far = await openEtcdStore(storeOptions([`http://127.0.0.1:${proxy.port}`], {}, '/breaks'))
    const near = await open('/breaks')
    const seen: string[] = []
    far.watch({ prefix: '/', afterRevision: far.revision() }, (es) => seen.push(...es.map((e) => `${e.previous?.value.toString() ?? '-'}>${e.current?.value.toString() ?? '-'}`)))
    await put(near, '/a', '0')
    proxy.cut()
    for (let i = 1; i <= 3; i++) await put(near, '/a', String(i))
    proxy.mend()
    await until('the changes arrive', () => seen.length === 4)
    assert.deepEqual(seen, ['->0', '0>1', '1>2', '2>3'])
    await Promise.all([far.close(), near.close()])
    await proxy.close()
  })
})

describe('etcd behind TLS', { skip: noEtcd, timeout: 180_000 }, () => {
  it('is spoken to with a client certificate, and refused without', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'skiff-etcd-tls-'))
    const ca = await authority('etcd-ca')
    const [server, client] = [await leaf(ca, 'etcd', 'serverAuth'), await leaf(ca, 'skiff', 'clientAuth')]
    const file = (name: string, text: string) => {
      writeFileSync(join(directory, name), text, { mode: 0o600 })
      return join(directory, name)
    }
    const tls = { ca: ca.pem, cert: client.pem, key: client.keyPem }
    const flags = ['--cert-file', file('server.crt', server.pem), '--key-file', file('server.key', server.keyPem), '--trusted-ca-file', file('ca.crt', ca.pem), '--client-cert-auth']
    const cluster = await startEtcd({ scheme: 'https', tls, serverFlags: flags })
    try {
      const store = await openEtcdStore(storeOptions(cluster.endpoints, tls, '/tls'))
      await put(store, '/a', '1')
      assert.equal((await store.get('/a'))?.value.toString(), '1')
      await store.close()
      await assert.rejects(openEtcdStore(storeOptions(cluster.endpoints, { ca: ca.pem }, '/tls')), (e) => hasCode(e, 'STORE_UNAVAILABLE'))
    } finally {
      await cluster.stop()
      rmSync(directory, { recursive: true, force: true })
    }
  })
})

describe('what a member answers to a progress request', () => {
  it('is relied on where etcd has that mended', () => {
    const known = ['3.4.23', '3.4.25', '3.5.7', '3.5.8', '3.6.0', '3.4.0', '4.0.0', '3.5.16-1']
    assert.deepEqual(known.filter(answersProgress), ['3.4.25', '3.5.8', '3.6.0', '4.0.0', '3.5.16-1'])
  })
})

interface Cuttable { port: number; cut(): void; mend(): void; close(): Promise<void> }

/** A way to a port that can be cut and mended. */
async function cuttable(port: number): Promise<Cuttable> {
  const open = new Set<Socket>()
  const state = { isCut: false }
  const server = createServer((socket) => {
    if (state.isCut) { socket.destroy(); return }
    const on = connect(port, '127.0.0.1')
    for (const s of [socket, on]) {
      open.add(s)
      s.on('error', () => { /* cut */ })
      s.on('close', () => { socket.destroy(); on.destroy(); open.delete(s) })
    }
    socket.pipe(on).pipe(socket)
  })
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  const cut = () => {
    state.isCut = true
    for (const socket of open) socket.destroy()
  }
  return {
    port: (server.address() as { port: number }).port, cut, mend() { state.isCut = false },
    close: async () => {
      cut()
      await new Promise((resolve) => { server.close(resolve) })
    },
  }
}

interface TestAuthority extends Issuer { pem: string }

const LIFE = { notBeforeMs: Date.now() - 60_000, notAfterMs: Date.now() + 3_600_000 }

async function authority(commonName: string): Promise<TestAuthority> {
  const key = await generateKey()
  const der = createCertificate({ subject: { commonName, organizations: [] }, ...LIFE, isCa: true, keyUsages: ['digitalSignature', 'certSign'] }, { key }, { selfSigned: key }, systemRandom)
  return { key, certificate: parseCertificate(der), pem: certificatePem(der) }
}

async function leaf(issuer: TestAuthority, commonName: string, usage: 'serverAuth' | 'clientAuth'): Promise<{ pem: string; keyPem: string }> {
  const key = await generateKey()
  const der = createCertificate({
    subject: { commonName, organizations: [] }, ...LIFE, keyUsages: ['digitalSignature', 'keyEncipherment'], extendedKeyUsages: usage === 'serverAuth' ? ['serverAuth', 'clientAuth'] : [usage],
    altNames: { ...NO_ALT_NAMES, dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] },
  }, { key }, issuer, systemRandom)
  return { pem: certificatePem(der), keyPem: privateKeyPem(key) }
}
