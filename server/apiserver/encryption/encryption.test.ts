/** Encryption at rest: every provider, keys that change, what cannot be read, and a store that never sees plain text. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { systemClock } from '#base/clock.ts'
import { createLog } from '#base/log.ts'
import { seededRandom, systemRandom } from '#base/random.ts'
import { openAlone } from '#server/replication/machine/alone.test-support.ts'
import { storeContract } from '#server/store/store.contract.ts'
import { MemoryStore } from '#server/store/store-memory.ts'
import type { KeyValue, Store, WatchEvent } from '#server/store/store.ts'
import { harness, items } from '../app.test-support.ts'
import { parseEncryptionConfig, type EncryptionConfig } from './configuration.ts'
import { openEncryption } from './index.ts'
import { sealStore } from './sealed-store.ts'
import { transformerTable } from './table.ts'
import { open, seal } from './xsalsa20-poly1305.ts'

const log = createLog({ format: 'text', level: 'error', nowMs: () => 0, write: () => {} })
const noKms = () => { throw new Error('no KMS here') }
const secret = (byte: number, size = 32) => Buffer.alloc(size, byte).toString('base64')
const KEY = '/registry/core/secrets/default/a'

/** The configuration of one entry; providers as they stand in the file. */
const of = (providers: unknown[], resources = ['secrets']) => ({ apiVersion: 'apiserver.config.k8s.io/v1', kind: 'EncryptionConfiguration', resources: [{ resources, providers }] })
const aes = (kind: 'aesgcm' | 'aescbc' | 'secretbox', ...keys: [string, number][]) => ({ [kind]: { keys: keys.map(([name, byte]) => ({ name, secret: secret(byte) })) } })
const identity = { identity: {} }

function parsed(value: unknown): EncryptionConfig {
  const result = parseEncryptionConfig(value)
  assert.ok(result.ok, result.ok ? '' : result.message)
  return result.config
}

const table = (value: unknown) => transformerTable(parsed(value), systemRandom, noKms)
const put = (store: Store, value: string, key = KEY) => store.txn({ compare: [], ops: [{ kind: 'put', key, value: Buffer.from(value) }] })
const raw = async (store: Store, key = KEY) => (await store.get(key))?.value.toString('latin1') ?? ''

describe('XSalsa20-Poly1305', () => {
  // From the NaCl paper ("Cryptography in NaCl", section 10).
  const key = Buffer.from('1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389', 'hex')
  const nonce = Buffer.from('69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37', 'hex')
  const plain = Buffer.from('be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f41db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f937763848645e0705', 'hex')
  it('seals the paper\'s example to the paper\'s bytes', () => {
    assert.equal(seal(key, nonce, plain).toString('hex'), 'f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186ac0dfc17c98dce87b4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74e355a5')
  })
  it('opens only what was sealed, untouched', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(), fc.integer({ min: 1, max: 255 }), (bytes, at, flip) => {
      const sealed = seal(key, nonce, Buffer.from(bytes))
      assert.deepEqual(open(key, nonce, sealed), Buffer.from(bytes))
      sealed[at % sealed.length] = (sealed[at % sealed.length] as number) ^ flip
      assert.equal(open(key, nonce, sealed), undefined)
    }))
  })
})

describe('each provider', () => {
  for (const [name, provider] of [['aesgcm', aes('aesgcm', ['k1', 1])], ['aescbc', aes('aescbc', ['k1', 1])], ['secretbox', aes('secretbox', ['k1', 1])]] as const) {
    it(`${name}: gives back what was put in; the store keeps something else, named after provider and key`, async () => {
      const inner = new MemoryStore()
      const store = sealStore(inner, table(of([provider])), log)
      await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 5_000 }), async (bytes) => {
        await store.txn({ compare: [], ops: [{ kind: 'put', key: KEY, value: Buffer.from(bytes) }] })
        assert.deepEqual((await store.get(KEY))?.value, Buffer.from(bytes))
        const kept = (await inner.get(KEY))?.value as Buffer
        assert.ok(kept.subarray(0, 40).toString('latin1').startsWith(`k8s:enc:${name}:v1:k1:`))
        if (bytes.length > 8) assert.equal(kept.includes(bytes), false)
      }), { numRuns: 40 })
    })
    it(`${name}: sizes of keys`, () => {
      for (const size of [8, 16, 24, 32, 33]) {
        const result = parseEncryptionConfig(of([{ [name]: { keys: [{ name: 'k', secret: secret(1, size) }] } }]))
        assert.equal(result.ok, name === 'secretbox' ? size === 32 : [16, 24, 32].includes(size), `${size} bytes`)
      }
    })
  }
  it('identity keeps what it gets', async () => {
    const inner = new MemoryStore()
    await put(sealStore(inner, table(of([identity])), log), 'plain')
    assert.equal(await raw(inner), 'plain')
  })
})

describe('keys that change', () => {
  it('the first seals, every later one still opens, and what it opened is worth writing anew', async () => {
    const inner = new MemoryStore()
    const store = sealStore(inner, table(of([identity])), log)
    const read = async () => { const kv = await store.get(KEY); return [kv?.value.toString(), kv?.stale ?? false] }
    await put(store, 'one')
    for (const [providers, prefix] of [
      [[aes('aescbc', ['old', 1]), identity], ''],
      [[aes('aesgcm', ['new', 2]), aes('aescbc', ['old', 1])], 'k8s:enc:aescbc:v1:old:'],
      [[aes('aesgcm', ['newer', 3], ['new', 2])], 'k8s:enc:aesgcm:v1:new:'],
      // The same provider twice, as upstream allows while rotating.
      [[aes('aesgcm', ['newest', 4]), aes('aesgcm', ['newer', 3])], 'k8s:enc:aesgcm:v1:newer:'],
    ] as const) {
      store.use(table(of([...providers])))
      assert.equal((await raw(inner)).startsWith(prefix), true)
      assert.deepEqual(await read(), ['one', true])
      await put(store, 'one')
      assert.deepEqual(await read(), ['one', false])
    }
    assert.ok((await raw(inner)).startsWith('k8s:enc:aesgcm:v1:newest:'))
  })
  it('an update that changes nothing reseals what is outdated', async () => {
    const inner = new MemoryStore()
    const encryption = { read: () => of([aes('aesgcm', ['k1', 1]), identity]) as unknown }
    const opened = await openEncryption(inner, { read: () => encryption.read() }, { clock: harness().clock, random: systemRandom, log, serverName: 'board' })
    const h = harness({ store: opened.store })
    const path = '/api/v1/namespaces/default/configmaps'
    encryption.read = () => of([aes('aesgcm', ['k1', 1]), identity], ['configmaps'])
    const made = await h.call('POST', path, { metadata: { name: 'a' }, data: { word: 'hush' } })
    const key = '/registry/core/configmaps/default/a'
    assert.equal(await raw(inner, key), (await raw(inner, key)).replace('k8s:enc', ''))
    opened.reload()
    assert.equal((await h.call('PUT', `${path}/a`, made.json)).status, 200)
    assert.ok((await raw(inner, key)).startsWith('k8s:enc:aesgcm:v1:k1:'))
    const again = await h.call('GET', `${path}/a`)
    assert.equal((await h.call('PUT', `${path}/a`, again.json)).json['metadata']?.['resourceVersion'], again.json['metadata']?.['resourceVersion'])
    h.api.close()
  })
})

describe('what cannot be read', () => {
  const fails = (store: Store, message: string) => assert.rejects(store.get(KEY), { code: 'UNTRANSFORMABLE', message })
  it('is told in upstream\'s words', async () => {
    const inner = new MemoryStore()
    const store = sealStore(inner, table(of([aes('aesgcm', ['k1', 1])])), log)
    await put(store, 'x')
    store.use(table(of([aes('aesgcm', ['k2', 2])])))
    await fails(store, 'no matching key was found for the provided AES transformer')
    store.use(table(of([aes('aescbc', ['k1', 1])])))
    await fails(store, 'no matching prefix found')
    store.use(table(of([identity])))
    await fails(store, 'no matching prefix found')
    store.use({ of: () => undefined })
    await fails(store, 'identity transformer tried to read encrypted data')
    store.use(table(of([aes('aesgcm', ['k1', 9])])))
    await fails(store, 'cipher: message authentication failed')
    await assert.rejects(store.list({ prefix: '/registry/core/secrets/' }), { message: `unable to transform key "${KEY}": cipher: message authentication failed` })
    await inner.txn({ compare: [], ops: [{ kind: 'put', key: KEY, value: Buffer.from('k8s:enc:aesgcm:v1:k1:short') }] })
    await fails(store, 'the stored data was shorter than the required size')
  })
  it('a value moved to another key is not taken for that key\'s', async () => {
    const inner = new MemoryStore()
    const store = sealStore(inner, table(of([aes('aesgcm', ['k1', 1])])), log)
    await put(store, 'x', `${KEY}2`)
    await inner.txn({ compare: [], ops: [{ kind: 'put', key: KEY, value: (await inner.get(`${KEY}2`))?.value as Buffer }] })
    await fails(store, 'cipher: message authentication failed')
  })
  it('a client gets a 500 that says so, and a server started without keys does not show ciphertext', async () => {
    const inner = new MemoryStore()
    const deps = { clock: harness().clock, random: systemRandom, log, serverName: 'board' }
    const sealed = await openEncryption(inner, { read: () => of([aes('aesgcm', ['k1', 1])], ['configmaps']) }, deps)
    const path = '/api/v1/namespaces/default/configmaps'
    assert.equal((await harness({ store: sealed.store }).call('POST', path, { metadata: { name: 'a' } })).status, 201)
    const without = harness({ store: (await openEncryption(inner, undefined, deps)).store })
    const one = await without.call('GET', `${path}/a`)
    assert.deepEqual([one.status, one.json['reason'], one.json['message']], [500, 'InternalError', 'Internal error occurred: identity transformer tried to read encrypted data'])
    assert.equal(String((await without.call('GET', path)).json['message']), 'Internal error occurred: unable to transform key "/registry/core/configmaps/default/a": identity transformer tried to read encrypted data')
    assert.equal((await without.call('POST', path, { metadata: { name: 'b' } })).status, 201)
  })
})

describe('which resources', () => {
  const names = (t: ReturnType<typeof table>, list: [string, string][]) => list.filter(([group, resource]) => t.of(group, resource)).map(([group, resource]) => `${resource}.${group}`)
  const ALL: [string, string][] = [['', 'secrets'], ['', 'configmaps'], ['apps', 'deployments'], ['example.com', 'widgets']]
  for (const [resources, expected] of [
    [['secrets'], ['secrets.']], [['*.'], ['secrets.', 'configmaps.']], [['*.apps'], ['deployments.apps']], [['*.*'], ['secrets.', 'configmaps.', 'deployments.apps', 'widgets.example.com']],
    [['widgets.example.com', 'configmaps'], ['configmaps.', 'widgets.example.com']],
  ] as const) it(`${resources.join(', ')}`, () => assert.deepEqual(names(table(of([identity], [...resources])), ALL), expected))
  it('the first entry that names a resource holds', async () => {
    const inner = new MemoryStore()
    const store = sealStore(inner, table({ ...of([identity]), resources: [{ resources: ['configmaps'], providers: [identity] }, { resources: ['*.*'], providers: [aes('aesgcm', ['k', 1])] }] }), log)
    await put(store, 'plain', '/registry/core/configmaps/default/a')
    await put(store, 'plain')
    assert.deepEqual([await raw(inner, '/registry/core/configmaps/default/a'), (await raw(inner)).slice(0, 15)], ['plain', 'k8s:enc:aesgcm:'])
  })
})

describe('a configuration that is wrong', () => {
  const key = { name: 'k', secret: secret(1) }
  for (const [value, says] of [
    [{}, 'it is no EncryptionConfiguration of apiserver.config.k8s.io/v1'], [[], 'it must be a mapping'],
    [{ ...of([]), resources: [] }, 'resources: at least one resource configuration must be specified'],
    [of([]), 'resources[0].providers: at least one provider must be specified'], [of([identity], []), 'resources[0].resources: must specify at least one resource'],
    [of([identity], ['*']), `resources[0].resources[0]: Invalid value: "*": use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources`],
    [of([identity], ['secrets.*']), 'resources[0].resources[0]: Invalid value: "secrets.*": encrypting the same resource across groups is not supported'],
    [of([identity], ['Secrets']), 'resources[0].resources[0]: Invalid value: "Secrets": resource name should not contain capital letters'],
    [of([identity], ['secrets', 'secrets']), 'resources[0].resources: the same resource cannot be specified multiple times'],
    [of([identity], ['*.', 'secrets']), "resources[0].resources: using overlapping resources such as 'secrets' and '*.' in the same resource list is not allowed as they will be masked"],
    [of([{ ...identity, aesgcm: { keys: [key] } }]), 'resources[0].providers[0]: more than one provider specified in a single element, should split into different list elements'],
    [of([{ rot13: {} }]), 'resources[0].providers[0]: must be one of aesgcm, aescbc, secretbox, identity, kms'],
    [of([{ aesgcm: { keys: [] } }]), 'resources[0].providers[0].aesgcm.keys: at least one key must be specified'],
    [of([{ aesgcm: { keys: [{ ...key, name: 'a:b' }] } }]), 'resources[0].providers[0].aesgcm.keys[0].name: "a:b" contains a colon'],
    [of([{ aesgcm: { keys: [{ name: 'k', secret: 'no base64!' }] } }]), 'resources[0].providers[0].aesgcm.keys[0].secret: secret must be base64 encoded'],
    [of([{ aesgcm: { keys: [{ name: 'k', secret: secret(1, 5) }] } }]), 'resources[0].providers[0].aesgcm.keys[0].secret: secret is not of the expected length, got 5, expected one of [16,24,32] bytes'],
    [of([{ aesgcm: { keys: [key, key] } }]), 'resources[0].providers[0].aesgcm.keys: key names must be unique'],
    [of([{ kms: { apiVersion: 'v1', name: 'a', endpoint: 'unix:///x' } }]), 'resources[0].providers[0].kms.apiVersion: only KMS v2 is served: set apiVersion: v2'],
    [of([{ kms: { apiVersion: 'v2', name: 'a', endpoint: 'tcp://x' } }]), 'resources[0].providers[0].kms.endpoint: must be a Unix socket such as unix:///run/kms.sock'],
  ] as const) it(says, () => assert.deepEqual(parseEncryptionConfig(value), { ok: false, message: says }))
})

/** As if the contract's keys were Secrets. */
function asSecrets(store: Store): Store {
  const root = '/registry/core/secrets'
  const inside = (key: string) => root + key
  const outside = <T extends KeyValue | undefined>(kv: T): T => (kv && { ...kv, key: kv.key.slice(root.length) })
  const outsideEvent = (e: WatchEvent): WatchEvent => ({ kind: e.kind, key: e.key.slice(root.length), revision: e.revision, current: outside(e.current), previous: outside(e.previous) })
  return {
    ...store,
    get: async (key, revision) => outside(await store.get(inside(key), revision)),
    list: async (options) => {
      const result = await store.list({ ...options, prefix: inside(options.prefix), ...(options.after !== undefined && { after: inside(options.after) }) })
      return { ...result, items: result.items.map(outside) }
    },
    txn: async (txn) => {
      const result = await store.txn({ ...txn, compare: txn.compare.map((c) => ({ ...c, key: inside(c.key) })), ops: txn.ops.map((op) => ({ ...op, key: inside(op.key) })) })
      return result.ok ? result : { ...result, key: result.key.slice(root.length), current: outside(result.current) }
    },
    watch: (options, listener) => store.watch({ ...options, prefix: inside(options.prefix) }, (events, revision) => listener(events.map(outsideEvent), revision)),
    changes: (options) => {
      const { events, through } = store.changes({ ...options, prefix: inside(options.prefix) })
      return { events: events.map(outsideEvent), through }
    },
  }
}

storeContract('sealed', () => ({ open: async () => asSecrets(sealStore(new MemoryStore(), transformerTable(parsed(of([aes('aesgcm', ['k', 1])])), seededRandom(1), noKms), log)), cleanUp: async () => {} }))

describe('lists and watches over a sealed store', () => {
  it('show what was written', async () => {
    const inner = new MemoryStore()
    const h = harness({ store: sealStore(inner, table(of([aes('secretbox', ['k', 1])], ['*.*'])), log) })
    const path = '/api/v1/namespaces/default/configmaps'
    await h.call('POST', path, { metadata: { name: 'a' }, data: { word: 'hush-1' } })
    const watch = await h.watch(`${path}?watch=1`)
    assert.deepEqual(await watch.next(1), ['ADDED a'])
    await h.call('PATCH', `${path}/a`, { data: { word: 'hush-2' } }, { 'content-type': 'application/merge-patch+json' })
    await h.call('DELETE', `${path}/a`)
    assert.deepEqual(await watch.next(2), ['MODIFIED a', 'DELETED a'])
    assert.deepEqual(watch.events.map((e) => String(e['object']?.['data']?.['word'])), ['hush-1', 'hush-2', 'hush-2'])
    await h.call('POST', path, { metadata: { name: 'b' }, data: { word: 'hush-3' } })
    assert.deepEqual(items((await h.call('GET', path)).json['items']).map((o) => String(o['data']?.['word'])), ['hush-3'])
    const chunks: Buffer[] = []
    for await (const chunk of inner.snapshot()) chunks.push(chunk)
    assert.equal(Buffer.concat(chunks).includes('hush'), false)
    watch.stop()
    h.api.close()
  })
})

describe('on disk', () => {
  it('no file of the data directory holds what was to be kept secret, before and after a restart', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'skiff-sealed-'))
    try {
      const openStore = () => openAlone(join(directory, 'db'))
      const found = () => readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((f) => statSync(join(directory, f)).isFile() && readFileSync(join(directory, f)).includes('needle-in-haystack'))
      const config = { read: () => of([aes('aesgcm', ['k1', 1])], ['configmaps']) }
      const deps = { clock: systemClock, random: systemRandom, log, serverName: 'board' }
      const first = await openEncryption(await openStore(), config, deps)
      const path = '/api/v1/namespaces/default/configmaps'
      const h = harness({ store: first.store })
      const count = (text: string) => first.metrics().flatMap((m) => [...m.lines()]).find((line) => line.startsWith(text))?.split(' ').at(-1)
      for (let i = 0; i < 20; i++) assert.equal((await h.call('POST', path, { metadata: { name: `a${i}` }, data: { word: 'needle-in-haystack' } })).status, 201)
      await h.call('PATCH', `${path}/a1`, { data: { more: 'needle-in-haystack' } }, { 'content-type': 'application/merge-patch+json' })
      assert.equal(count('apiserver_storage_transformation_operations_total{resource="configmaps",status="OK",transformation_type="to_storage",transformer_prefix="k8s:enc:aesgcm:v1:"}'), '21')
      assert.deepEqual(found(), [])
      h.api.close()
      await first.store.close()
      const second = await openEncryption(await openStore(), config, deps)
      const again = harness({ store: second.store })
      assert.equal(String((await again.call('GET', `${path}/a1`)).json['data']?.['more']), 'needle-in-haystack')
      assert.equal(items((await again.call('GET', path)).json['items']).length, 20)
      assert.deepEqual(found(), [])
      again.api.close()
      await second.store.close()
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })
})
