/** Keys of skiff's own on several servers: nobody writes with keys that are not in use, nobody meets a value whose key it lacks. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from '#base/clock-fake.ts'
import { hasCode } from '#base/errors.ts'
import { silentLog } from '#base/log.ts'
import { seededRandom, systemRandom } from '#base/random.ts'
import { generateKey } from '#base/x509/index.ts'
import { MemoryStore } from '#server/store/store-memory.ts'
import type { Store, Txn, TxnResult } from '#server/store/store.ts'
import { keysOf, openOwnEncryption, unwrapKeys, withCopy, wrapKeys, wrappingKey, type KeyFile, type OwnConfiguration } from './own-keys.ts'

const SECRET = '/registry/core/secrets/default/'
const wrapping = wrappingKey(await generateKey())
const made = (...names: string[]): OwnConfiguration => ({
  kind: 'EncryptionConfiguration', apiVersion: 'apiserver.config.k8s.io/v1',
  resources: [{ resources: ['secrets'], providers: [{ aesgcm: { keys: names.map((name) => ({ name, secret: Buffer.alloc(32, name).toString('base64') })) } }, { identity: {} }] }],
})

function keyFile(content?: OwnConfiguration): KeyFile & { content: OwnConfiguration | undefined } {
  return {
    path: '/key-file', content,
    read() { return this.content },
    write(configuration) {
      this.content = configuration
      return Promise.resolve()
    },
  }
}

const names = (file: { content: OwnConfiguration | undefined }) => (file.content ? keysOf(file.content).map((k) => k.name) : undefined)

/** Names of keys tell one from the other. */
const given = { keys: 0 }

function server(store: Store, file = keyFile(), { begins = false, ...options }: { hasOthers?: boolean; wrapping?: Buffer; begins?: boolean } = {}) {
  return openOwnEncryption(store, { kind: 'own', file, newKey: () => ({ name: `key-${++given.keys}`, secret: systemRandom.bytes(32).toString('base64') }), begins }, { wrapping, hasOthers: true, clock: new FakeClock(), random: systemRandom, log: silentLog, ...options })
}

const put = (store: Store, name: string, value: string) => store.txn({ compare: [], ops: [{ kind: 'put', key: SECRET + name, value: Buffer.from(value) }] })
const read = async (store: Store, name: string) => (await store.get(SECRET + name))?.value.toString()
const raw = async (store: Store, name: string) => (await store.get(SECRET + name))?.value.toString('latin1').slice(0, 30) ?? ''

/** A way to the store on which transactions can be held up. */
class SlowRoad extends MemoryStore {
  readonly #store: Store
  held: (() => void)[] | undefined

  constructor(store: Store) {
    super()
    this.#store = store
  }

  override revision() { return this.#store.revision() }
  override get(key: string, revision?: number) { return this.#store.get(key, revision) }
  override watch(...args: Parameters<Store['watch']>) { return this.#store.watch(...args) }
  override async txn(txn: Txn): Promise<TxnResult> {
    if (this.held) await new Promise<void>((resolve) => this.held?.push(resolve))
    return this.#store.txn(txn)
  }
}

describe('keys of skiff\'s own', () => {
  it('are in the store, sealed, and in each server\'s file; the server that begins with them is enough', async () => {
    const store = new MemoryStore()
    const [withFlag, without] = [keyFile(made('first')), keyFile()]
    const early = await server(store, without)
    await put(early.store, 'before', 'plain')
    const one = await server(store, withFlag)
    await put(early.store, 'after', 'sealed')
    assert.match(await raw(store, 'before'), /^plain$/)
    assert.match(await raw(store, 'after'), /^k8s:enc:aesgcm:v1:first:/)
    assert.deepEqual([await read(one.store, 'before'), await read(one.store, 'after'), await read(early.store, 'after'), early.names(), names(without)], ['plain', 'sealed', 'sealed', ['first'], ['first']])
    const stored = (await store.get('/registry/skiff/encryption-keys'))?.value ?? Buffer.alloc(0)
    assert.ok(!stored.includes('first') && !stored.includes(Buffer.alloc(32, 'first')))
  })

  it('cost nothing where there are none, and nobody else could bring any', async () => {
    const store = new MemoryStore()
    const alone = await server(store, keyFile(), { hasOthers: false })
    assert.equal(alone.store, store)
    await assert.rejects(alone.rotate(), (e) => hasCode(e, 'NOT_ENCRYPTED'))
    await assert.rejects((await server(store)).rotate(), (e) => hasCode(e, 'NOT_ENCRYPTED'))
  })

  it('change on all servers at once: each reads what the others write, before, between and after', async () => {
    const store = new MemoryStore()
    const files = [keyFile(made('first')), keyFile(), keyFile()]
    const servers = []
    for (const file of files) servers.push(await server(store, file))
    for (const [i, { store: own }] of servers.entries()) await put(own, `old-${i}`, String(i))
    await servers[1]?.rotate()
    for (const [i, { store: own }] of servers.entries()) await put(own, `new-${i}`, String(i))
    const used = servers[0]?.names()[0] ?? ''
    assert.deepEqual(servers.map((s) => s.names()), servers.map(() => [used, 'first']))
    for (const { store: own } of servers) for (const i of [0, 1, 2]) assert.deepEqual([await read(own, `old-${i}`), await read(own, `new-${i}`)], [String(i), String(i)])
    for (const i of [0, 1, 2]) assert.ok((await raw(store, `new-${i}`)).startsWith(`k8s:enc:aesgcm:v1:${used}`.slice(0, 30)))
    for (const i of [0, 1, 2]) await put(servers[2]?.store ?? store, `old-${i}`, String(i))
    await servers[2]?.forget()
    assert.deepEqual(files.map(names), files.map(() => [used]))
    for (const { store: own } of servers) for (const i of [0, 1, 2]) assert.equal(await read(own, `old-${i}`), String(i))
  })

  it('a write that was sealed before they changed, and comes after, is sealed anew: the old key may be gone by then', async () => {
    const store = new MemoryStore()
    const road = new SlowRoad(store)
    const quick = await server(store, keyFile(made('first')))
    const slow = await server(road)
    road.held = []
    const writing = put(slow.store, 'late', 'value')
    await quick.rotate()
    await quick.forget()
    const { held } = road
    road.held = undefined
    for (const go of held) go()
    assert.equal((await writing).ok, true)
    assert.ok(!(await raw(store, 'late')).includes('first'))
    assert.equal(await read(quick.store, 'late'), 'value')
  })

  it('are taken from the store by a server that was away; what was forgotten does not come back from its file', async () => {
    const store = new MemoryStore()
    const away = keyFile(made('first'))
    const one = await server(store, keyFile(made('first')))
    await one.rotate()
    await put(one.store, 'a', 'value')
    await one.forget()
    const back = await server(store, away)
    assert.equal(await read(back.store, 'a'), 'value')
    assert.deepEqual([back.names(), names(away)], [one.names(), one.names()])
  })

  it('are made once: a server that begins with encryption, and has no file, takes those that are there', async () => {
    const store = new MemoryStore()
    const [one, other] = [keyFile(), keyFile()]
    const first = await server(store, one, { begins: true, hasOthers: false })
    const second = await server(store, other, { begins: true })
    assert.deepEqual([second.names(), names(one), names(other), first.names().length], [first.names(), first.names(), first.names(), 1])
  })

  it('that only a file has, changed by a release that kept them nowhere else, are kept to read with', async () => {
    const store = new MemoryStore()
    await server(store, keyFile(made('first')))
    const changed = keyFile(made('by-hand', 'first'))
    const one = await server(store, changed)
    assert.deepEqual([one.names(), names(changed)], [['first', 'by-hand'], ['first', 'by-hand']])
    const keys = { configuration: made('a'), forgotten: ['gone'] }
    assert.equal(withCopy(keys, made('a', 'gone')), keys)
  })

  it('of another cluster, or damaged, are refused with the mend, and nothing is written', async () => {
    const store = new MemoryStore()
    await server(store, keyFile(made('first')))
    const revision = store.revision()
    await assert.rejects(server(store, keyFile(made('first')), { wrapping: wrappingKey(await generateKey()) }), (e: Error) => hasCode(e, 'KEYS_UNREADABLE') && /server-ca\.key/.test(e.message))
    assert.equal(store.revision(), revision)
    const sealed = wrapKeys({ configuration: made('a'), forgotten: [] }, wrapping, seededRandom(1))
    assert.deepEqual(unwrapKeys(sealed, wrapping), { configuration: made('a'), forgotten: [] })
    for (const at of [0, 20, sealed.length - 1]) {
      const damaged = Buffer.from(sealed)
      damaged[at] = (damaged[at] ?? 0) ^ 1
      assert.throws(() => unwrapKeys(damaged, wrapping), (e) => hasCode(e, 'KEYS_UNREADABLE'))
    }
    assert.throws(() => unwrapKeys(Buffer.alloc(3), wrapping), (e) => hasCode(e, 'KEYS_UNREADABLE'))
  })

  it('two servers that change them at the same time both do', async () => {
    const store = new MemoryStore()
    const [a, b] = [await server(store, keyFile(made('first'))), await server(store)]
    await Promise.all([a.rotate(), b.rotate()])
    assert.deepEqual([a.names().length, a.names()], [3, b.names()])
  })
})
