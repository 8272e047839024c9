import assert from 'node:assert/strict'
import { appendFile, mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { silentLog } from '#base/log.ts'
import { parsePrefix } from '../prefix.ts'
import { nextAddress } from './allocate.ts'
import { CONTRACT_PREFIX, leasesContract } from './lease.contract.ts'
import { openLeaseFile } from './lease-file.ts'
import { createMemoryLeases } from './lease-memory.ts'
import { LeaseTable } from './lease-table.ts'

const prefix = parsePrefix(CONTRACT_PREFIX, 'test')
let folder = ''
let files = 0
before(async () => { folder = await mkdtemp(join(tmpdir(), 'skiff-leases-')) })
after(() => rm(folder, { recursive: true }))
const newPath = () => join(folder, `${files++}.jsonl`)

leasesContract('memory', async () => ({ open: async () => createMemoryLeases(prefix), survives: false }))
leasesContract('file', async () => {
  const path = newPath()
  return { open: () => openLeaseFile(path, prefix, silentLog), survives: true }
})

test('an address given back comes again only after all others, whatever pods come and go', () => {
  const step = fc.oneof(fc.record({ do: fc.constant('acquire' as const), id: fc.nat(30) }), fc.record({ do: fc.constant('release' as const), id: fc.nat(30) }))
  fc.assert(fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
    const small = parsePrefix('10.42.0.0/28', 'test')
    const table = new LeaseTable(small)
    const grantedAt = new Map<string, number>()
    const lastHeldAt = new Map<string, number>()
    steps.forEach(({ do: what, id }, tick) => {
      const held = table.list().map((l) => l.address)
      for (const address of held) lastHeldAt.set(address, tick)
      if (what === 'release') return void table.remove(String(id))
      if (table.get(String(id))) return
      if (table.size === 13) return assert.throws(() => table.acquire(String(id), []), { code: 'ADDRESSES_EXHAUSTED' })
      const { address } = table.acquire(String(id), []).lease
      assert.ok(!held.includes(address), `${address} given twice`)
      const before = grantedAt.get(address)
      grantedAt.set(address, tick)
      if (before === undefined) return
      // The law: between two grants of one address no other stayed free all the time.
      for (let n = 2; n < 15; n++) {
        const other = `10.42.0.${n}`
        if (other !== address) assert.ok((lastHeldAt.get(other) ?? -1) > before, `${other} stayed free while ${address} was given again`)
      }
    })
  }))
})

test('network, bridge and broadcast addresses are never given, and tiny prefixes have none', () => {
  const all = parsePrefix('10.42.7.0/24', 'test')
  const seen = new Set<string>()
  for (let last: string | undefined, i = 0; i < 600; i++) {
    last = nextAddress(all, last, () => false)
    assert.ok(last)
    seen.add(last)
  }
  assert.equal(seen.size, 253)
  for (const never of ['10.42.7.0', '10.42.7.1', '10.42.7.255']) assert.equal(seen.has(never), false)
  assert.equal(nextAddress(parsePrefix('10.42.7.0/31', 'test'), undefined, () => false), undefined)
  assert.equal(nextAddress(all, 'nonsense', () => false), '10.42.7.2')
})

test('a power cut in the middle of a write loses at most the lease that was not acknowledged', async () => {
  const path = newPath()
  const leases = await openLeaseFile(path, prefix, silentLog)
  await leases.acquire('a', [])
  const { size: acknowledged } = await stat(path)
  await leases.acquire('b', [])
  await leases.close()
  const { size } = await stat(path)
  for (let cut = acknowledged; cut <= size; cut++) {
    const whole = await readFile(path)
    const torn = newPath()
    await writeFile(torn, whole)
    await truncate(torn, cut)
    const reopened = await openLeaseFile(torn, prefix, silentLog)
    assert.deepEqual(reopened.list().map((l) => l.id), cut === size ? ['a', 'b'] : ['a'])
    await reopened.acquire('c', [])
    await reopened.close()
    const again = await openLeaseFile(torn, prefix, silentLog)
    assert.deepEqual(again.list().map((l) => l.id), cut === size ? ['a', 'b', 'c'] : ['a', 'c'])
    await again.close()
  }
})

test('the file stays small however many pods come and go, and keeps the place in the round', async () => {
  const path = newPath()
  const leases = await openLeaseFile(path, prefix, silentLog)
  await leases.acquire('stays', [])
  let last = ''
  for (let i = 0; i < 1500; i++) {
    last = (await leases.acquire(`p${i}`, [])).address
    await leases.release(`p${i}`)
  }
  await leases.close()
  assert.ok((await stat(path)).size < 64 * 1024)
  const reopened = await openLeaseFile(path, prefix, silentLog)
  assert.deepEqual(reopened.list(), [{ id: 'stays', address: '10.42.0.2', ports: [] }])
  assert.notEqual((await reopened.acquire('next', [])).address, last)
  await reopened.close()
})

test('lines that are no leases are left out, and the rest still counts', async () => {
  const path = newPath()
  await writeFile(path, '{"put":{"id":"a","address":"10.42.0.4","ports":[]}}\n\0\0\0\n[]\nnull\n{"put":7}\n{"put":{"id":"out","address":"10.9.0.4","ports":[]}}\n')
  await appendFile(path, '{"put":{"id":"twice","address":"10.42.0.4","ports":[]}}\n')
  const leases = await openLeaseFile(path, prefix, silentLog)
  assert.deepEqual(leases.list(), [{ id: 'a', address: '10.42.0.4', ports: [] }])
  await leases.close()
  assert.equal(await readFile(path, 'utf8'), '{"put":{"id":"a","address":"10.42.0.4","ports":[]}}\n{"last":"10.42.0.4"}\n')
})
