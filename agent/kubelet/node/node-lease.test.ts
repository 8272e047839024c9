import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { LEASES, NODES, type Lease, type Stored } from '#api/types/index.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { createLog } from '#base/log.ts'
import { createApiMemory } from '../testing/api-memory.ts'
import { LEASE_NAMESPACE, runNodeLease } from './node-lease.ts'

const KEY = `${LEASE_NAMESPACE}/n`
const OWNER = [{ apiVersion: 'v1', kind: 'Node', name: 'n', uid: 'node-uid' }]

/** `fraction`: of the jitter. */
async function heart(t: TestContext, { fraction = 0, withNode = true, prepare }: { fraction?: number; withNode?: boolean; prepare?: (api: ReturnType<typeof createApiMemory>) => void } = {}) {
  const clock = new FakeClock()
  const api = createApiMemory()
  if (withNode) api.put(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n', uid: 'node-uid' } } as never)
  prepare?.(api)
  const lines: string[] = []
  const told = { reconnects: 0 }
  const stop = new AbortController()
  const log = createLog({ format: 'text', level: 'debug', nowMs: () => 0, write: (line) => lines.push(line) })
  const running = runNodeLease(api.client, 'n', { clock, random: { next: () => fraction, bytes: (count) => Buffer.alloc(count) }, log, onReconnect: () => { told.reconnects++ } }, stop.signal)
  t.after(async () => {
    stop.abort()
    await running
  })
  const settle = async () => { for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve)) }
  await settle()
  const lease = () => api.get<Lease>(LEASES, KEY)
  return { api, clock, lines, told, lease, calls: () => api.calls.splice(0), pass: async (ms: number) => { await clock.advance(ms); await settle() } }
}

const renewedAt = (lease: Stored<Lease> | undefined) => Date.parse(lease?.spec?.renewTime ?? '')

test('a lease is made with its Node as owner, and renewed without being read', async (t) => {
  const { lease, calls, clock, pass } = await heart(t)
  assert.deepEqual([lease()?.metadata.ownerReferences, lease()?.spec?.holderIdentity, lease()?.spec?.leaseDurationSeconds], [OWNER, 'n', 40])
  assert.deepEqual(calls(), ['get leases n', 'get nodes n', 'create leases'])
  await pass(10_000)
  await pass(10_000)
  assert.deepEqual([calls(), renewedAt(lease())], [['update leases', 'update leases'], clock.nowMs()])
})

test('nodes that start together do not renew together: up to 4 % of the time is added', async (t) => {
  const { calls, pass } = await heart(t, { fraction: 0.999 })
  calls()
  await pass(10_390)
  assert.deepEqual(calls(), [])
  await pass(10)
  assert.deepEqual(calls(), ['update leases'])
})

const MEANWHILE: [string, (api: ReturnType<typeof createApiMemory>) => void, string[]][] = [
  ['removed is made anew', (api) => api.remove(LEASES, KEY), ['update leases', 'get leases n', 'get nodes n', 'create leases']],
  ['written by somebody else is read and renewed', (api) => { api.put(LEASES, { ...api.get<Lease>(LEASES, KEY), metadata: { name: 'n', namespace: LEASE_NAMESPACE, labels: { a: 'b' }, ownerReferences: OWNER } } as Lease) }, ['update leases', 'get leases n', 'update leases']],
]
for (const [what, change, expected] of MEANWHILE) {
  test(`a lease that was ${what} with the next beat, and nobody takes it for a lost server`, async (t) => {
    const { api, lease, calls, clock, lines, told, pass } = await heart(t)
    calls()
    change(api)
    await pass(10_000)
    assert.deepEqual([calls(), renewedAt(lease()), lines, told.reconnects], [expected, clock.nowMs(), [], 0])
    assert.deepEqual(lease()?.metadata.ownerReferences, OWNER)
  })
}

test('a lease without an owner gets one, as soon as there is a Node', async (t) => {
  const { api, lease, pass } = await heart(t, { withNode: false, prepare: (a) => { a.put(LEASES, { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'n', namespace: LEASE_NAMESPACE }, spec: {} }) } })
  assert.deepEqual([lease()?.metadata.ownerReferences, lease()?.spec?.holderIdentity], [undefined, 'n'])
  api.put(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n', uid: 'node-uid' } } as never)
  await pass(10_000)
  assert.deepEqual(lease()?.metadata.ownerReferences, OWNER)
})

test('without its server it tries again in 0.4 s and then less and less often, up to every 7 s, and says it once', async (t) => {
  const { api, calls, lines, told, pass } = await heart(t)
  api.down(true)
  calls()
  await pass(10_000)
  const waits: number[] = []
  for (let sinceMs = 0; waits.length < 6; sinceMs += 100) {
    if (calls().length > 0) {
      waits.push(sinceMs)
      sinceMs = 0
    }
    await pass(100)
  }
  assert.deepEqual(waits, [0, 400, 800, 1_600, 3_200, 6_400])
  api.down(false)
  await pass(7_000)
  assert.deepEqual([lines.map((line) => /cannot renew|reached again/.exec(line)?.[0]), told.reconnects], [['cannot renew', 'reached again'], 1])
})
