import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { Informers } from '#api/client/client.ts'
import type { EndpointSlice } from '#api/types/index.ts'
import { silentLog } from '#base/log.ts'
import { openServerList, serversOf } from './server-list.ts'

const slice = (addresses: readonly string[], over: Partial<EndpointSlice> = {}): EndpointSlice => ({
  addressType: 'IPv4', metadata: { name: 'kubernetes', namespace: 'default', labels: { 'kubernetes.io/service-name': 'kubernetes' } },
  endpoints: addresses.map((ip) => ({ addresses: [ip], conditions: { ready: true } })), ports: [{ name: 'https', port: 6443, protocol: 'TCP' }], ...over,
})

/** An informer of one slice that a test changes. */
function slicesOf(first: EndpointSlice | undefined) {
  let now = first
  const listeners: ((before: unknown, after: unknown) => void)[] = []
  const informer = {
    synced: Promise.resolve(), hasSynced: () => true, inNamespace: () => (now ? [now] : []),
    onChange: (listener: (before: unknown, after: unknown) => void) => { listeners.push(listener) },
  }
  return {
    informers: { of: () => informer } as unknown as Informers,
    change(next: EndpointSlice | undefined) {
      const before = now
      now = next
      for (const listener of listeners) listener(before, next)
    },
  }
}

describe('the servers that a node knows', () => {
  let dataDir: string
  beforeEach(() => { dataDir = mkdtempSync(join(tmpdir(), 'servers-')) })
  afterEach(() => rmSync(dataDir, { recursive: true }))
  const open = () => openServerList({ configured: ['https://h1:6443'], dataDir, log: silentLog })
  const written = async (holds: (text: string) => boolean) => {
    for (;;) {
      try {
        if (holds(readFileSync(join(dataDir, 'servers.json'), 'utf8'))) return
      } catch {
        // Not there yet.
      }
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  it('are those it was told first, then those of the kubernetes Service, as they come and go; all are remembered', async () => {
    const list = await open()
    assert.deepEqual(list.current(), ['https://h1:6443'])
    const api = slicesOf(slice(['192.0.2.2', '192.0.2.1']))
    let changes = 0
    list.onChange(() => { changes++ })
    list.follow(api.informers)
    await Promise.resolve()
    assert.deepEqual(list.current(), ['https://h1:6443', 'https://192.0.2.1:6443', 'https://192.0.2.2:6443'])
    api.change(slice(['192.0.2.1', '192.0.2.2']))
    assert.equal(changes, 1)
    api.change(slice(['192.0.2.2', '192.0.2.3']))
    assert.deepEqual([changes, list.current()], [2, ['https://h1:6443', 'https://192.0.2.2:6443', 'https://192.0.2.3:6443']])
    await written((text) => text.includes('192.0.2.3'))
    assert.deepEqual((await open()).current(), list.current())
  })

  it('are not forgotten when the Service is empty or gone', async () => {
    const list = await open()
    const api = slicesOf(slice(['192.0.2.1']))
    list.follow(api.informers)
    await Promise.resolve()
    api.change(slice([]))
    api.change(undefined)
    assert.deepEqual(list.current(), ['https://h1:6443', 'https://192.0.2.1:6443'])
    await written((text) => text.includes('192.0.2.1'))
  })

  it('are read from a damaged file as if there was none', async () => {
    for (const text of ['{', '7', '["http://x", 5, "https://ok:6443", "https://"]']) {
      writeFileSync(join(dataDir, 'servers.json'), text)
      assert.deepEqual((await open()).current().slice(1), text.includes('ok') ? ['https://ok:6443'] : [])
    }
  })

  it('have the port of the Service, and IPv6 addresses brackets', () => {
    assert.deepEqual(serversOf([slice(['2001:db8::1'], { ports: [{ name: 'https', port: 7443 }] }), slice(['192.0.2.1'], { ports: [{ name: 'other', port: 1 }] })]), ['https://[2001:db8::1]:7443'])
    assert.deepEqual(serversOf([slice([], { endpoints: [{ addresses: ['192.0.2.9'], conditions: { ready: false } }] })]), [])
  })
})
