/** What every Leases must do. `open` is called again to reopen what the last one left. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Leases } from './leases.ts'

export interface LeasesUnderTest {
  open(): Promise<Leases>
  /** False: what is closed is forgotten. */
  survives: boolean
}

/** Prefix of the suite: 10.42.0.0/29, that is five addresses for pods. */
export const CONTRACT_PREFIX = '10.42.0.0/29'

export function leasesContract(name: string, make: () => Promise<LeasesUnderTest>): void {
  const port = { protocol: 'TCP', containerPort: 80, hostPort: 8080, hostIp: '' }

  test(`${name}: addresses come in order, the same id keeps its own, ports are brought up to date`, async () => {
    const leases = await (await make()).open()
    assert.deepEqual(await leases.acquire('a', []), { id: 'a', address: '10.42.0.2', ports: [] })
    assert.deepEqual(await leases.acquire('b', []), { id: 'b', address: '10.42.0.3', ports: [] })
    assert.deepEqual(await leases.acquire('a', [port]), { id: 'a', address: '10.42.0.2', ports: [port] })
    assert.deepEqual(leases.list(), [{ id: 'a', address: '10.42.0.2', ports: [port] }, { id: 'b', address: '10.42.0.3', ports: [] }])
    await leases.close()
  })

  test(`${name}: calls at the same time never get one address`, async () => {
    const leases = await (await make()).open()
    const given = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((id) => leases.acquire(id, [])))
    assert.deepEqual(given.map((l) => l.address), ['10.42.0.2', '10.42.0.3', '10.42.0.4', '10.42.0.5', '10.42.0.6'])
    const same = await Promise.all([leases.acquire('a', []), leases.acquire('a', [])])
    assert.deepEqual(same.map((l) => l.address), ['10.42.0.2', '10.42.0.2'])
    await leases.close()
  })

  test(`${name}: when all are taken the error says so, and a release helps; releasing twice is fine`, async () => {
    const leases = await (await make()).open()
    for (const id of ['a', 'b', 'c', 'd', 'e']) await leases.acquire(id, [])
    await assert.rejects(leases.acquire('f', []), { code: 'ADDRESSES_EXHAUSTED' })
    await leases.release('c')
    await leases.release('c')
    assert.equal((await leases.acquire('f', [])).address, '10.42.0.4')
    await leases.close()
  })

  test(`${name}: an address found in use is adopted unless someone else holds it or it is outside`, async () => {
    const leases = await (await make()).open()
    await leases.acquire('a', [])
    assert.equal(await leases.adopt({ id: 'x', address: '10.42.0.5', ports: [] }), true)
    assert.equal(await leases.adopt({ id: 'y', address: '10.42.0.2', ports: [] }), false)
    assert.equal(await leases.adopt({ id: 'z', address: '10.99.0.2', ports: [] }), false)
    assert.deepEqual(leases.list().map((l) => [l.id, l.address]), [['a', '10.42.0.2'], ['x', '10.42.0.5']])
    await leases.close()
  })

  test(`${name}: what was acquired is there after reopening, and so is the place in the round`, async (t) => {
    const made = await make()
    if (!made.survives) return t.skip('kept in memory only')
    const first = await made.open()
    await first.acquire('a', [port])
    await first.acquire('b', [])
    await first.release('b')
    await first.close()
    const second = await made.open()
    assert.deepEqual(second.list(), [{ id: 'a', address: '10.42.0.2', ports: [port] }])
    assert.equal((await second.acquire('c', [])).address, '10.42.0.4')
    await second.destroy()
    const third = await made.open()
    assert.deepEqual(third.list(), [])
    await third.close()
  })
}
