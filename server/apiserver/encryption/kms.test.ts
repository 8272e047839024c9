/** KMS v2 against a plugin on a real Unix socket. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, beforeEach, describe, it } from 'node:test'
import { FakeClock } from '#base/clock-fake.ts'
import { createLog } from '#base/log.ts'
import { systemRandom } from '#base/random.ts'
import { MemoryStore } from '#server/store/store-memory.ts'
import { openEncryption, type Encryption } from './index.ts'
import { fieldsOf, messageOf } from './kms-client.ts'

const directory = mkdtempSync(join(tmpdir(), 'skiff-kms-'))
const socket = join(directory, 'kms.sock')
after(() => rmSync(directory, { recursive: true, force: true }))

/** Locks a key by turning its bytes round, under a key id that a test may change. */
class Plugin {
  keyId = 'key-1'
  healthz = 'ok'
  calls: string[] = []
  readonly #server: Http2Server = createServer()

  async listen(): Promise<void> {
    this.#server.on('stream', (stream: ServerHttp2Stream, headers) => {
      const method = String(headers[':path']).split('/').at(-1) ?? ''
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        this.calls.push(method)
        const answer = this.#answer(method, Buffer.concat(chunks).subarray(5))
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
        stream.on('wantTrailers', () => stream.sendTrailers(answer ? { 'grpc-status': '0' } : { 'grpc-status': '3', 'grpc-message': 'wrong key' }))
        const head = Buffer.alloc(5)
        head.writeUInt32BE(answer?.length ?? 0, 1)
        stream.end(answer ? Buffer.concat([head, answer]) : undefined)
      })
    })
    await new Promise<void>((resolve) => this.#server.listen(socket, resolve))
  }

  #answer(method: string, message: Buffer): Buffer | undefined {
    const field = (n: number) => fieldsOf(message).get(n)?.[0] ?? Buffer.alloc(0)
    if (method === 'Status') return messageOf([[1, Buffer.from('v2')], [2, Buffer.from(this.healthz)], [3, Buffer.from(this.keyId)]])
    if (method === 'Encrypt') return messageOf([[1, Buffer.from(field(1)).reverse()], [2, Buffer.from(this.keyId)], [3, messageOf([[1, Buffer.from('note.example.com')], [2, Buffer.from('n')]])]])
    return field(3).toString().startsWith('key-') ? messageOf([[1, Buffer.from(field(1)).reverse()]]) : undefined
  }

  close(): Promise<void> { return new Promise((resolve) => this.#server.close(() => resolve())) }
}

const KEY = '/registry/core/secrets/default/a'
const CONFIG = { apiVersion: 'apiserver.config.k8s.io/v1', kind: 'EncryptionConfiguration', resources: [{ resources: ['secrets'], providers: [{ kms: { apiVersion: 'v2', name: 'vault', endpoint: `unix://${socket}`, timeout: '2s' } }, { identity: {} }] }] }
const log = createLog({ format: 'text', level: 'error', nowMs: () => 0, write: () => {} })

describe('KMS v2', { timeout: 180_000 }, () => {
  const state: { inner: MemoryStore; clock: FakeClock } = { inner: new MemoryStore(), clock: new FakeClock() }
  beforeEach(() => Object.assign(state, { inner: new MemoryStore(), clock: new FakeClock() }))
  const start = (): Promise<Encryption> => openEncryption(state.inner, { read: () => CONFIG }, { clock: state.clock, random: systemRandom, log, serverName: 'board' })
  const put = ({ store }: Encryption, value: string) => store.txn({ compare: [], ops: [{ kind: 'put', key: KEY, value: Buffer.from(value) }] })
  const get = async ({ store }: Encryption) => { const kv = await store.get(KEY); return [kv?.value.toString(), kv?.stale ?? false] }

  it('asks the plugin once per start, not once per value; a restart reads what was kept; a new key makes old values stale', async () => {
    const plugin = new Plugin()
    await plugin.listen()
    const first = await start()
    await put(first, 'one')
    await put(first, 'two')
    assert.deepEqual(await get(first), ['two', false])
    assert.deepEqual(plugin.calls.splice(0), ['Status', 'Encrypt'])
    const kept = (await state.inner.get(KEY))?.value as Buffer
    assert.ok(kept.toString('latin1').startsWith('k8s:enc:kms:v2:vault:'))
    assert.equal(kept.includes('two'), false)
    first.close()

    const second = await start()
    assert.deepEqual(await get(second), ['two', false])
    assert.deepEqual(await get(second), ['two', false])
    assert.deepEqual(plugin.calls.splice(0), ['Decrypt'])
    plugin.keyId = 'key-2'
    await put(second, 'three')
    assert.deepEqual(plugin.calls.splice(0), ['Status', 'Encrypt'])
    await state.inner.txn({ compare: [], ops: [{ kind: 'put', key: KEY, value: kept }] })
    assert.deepEqual(await get(second), ['two', true])
    second.close()
    await plugin.close()
  })

  it('without the plugin writes fail with its path in the message, /healthz tells; a seed at hand serves three minutes', async () => {
    const broken = await start()
    await assert.rejects(put(broken, 'one'), (e: Error) => e.message.startsWith(`the KMS plugin at ${socket} did not answer Status: `))
    assert.match((await broken.checks[0]?.problem()) ?? '', /did not answer Status/)
    const plugin = new Plugin()
    await plugin.listen()
    await put(broken, 'one')
    assert.equal(await broken.checks[0]?.problem(), undefined)
    plugin.healthz = 'sealed'
    await state.clock.advance(61_000)
    await put(broken, 'two')
    assert.deepEqual(await get(broken), ['two', false])
    assert.equal(await broken.checks[0]?.problem(), 'got unexpected healthz status: sealed')
    await state.clock.advance(180_000)
    await assert.rejects(put(broken, 'three'), { code: 'UNTRANSFORMABLE' })
    broken.close()
    await plugin.close()
  })
})
