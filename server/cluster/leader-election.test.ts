import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createInformer } from '#api/client/informer.ts'
import { createClient } from '#api/client/rest.ts'
import { LEASES, NAMESPACES, type Lease } from '#api/types/index.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { silentLog } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import { harness } from '../apiserver/app.test-support.ts'
import { rows } from '../apiserver/registry.ts'
import { decideElection, heldLease, workWhenElected } from './leader-election.ts'

const ADMIN = { name: 'system:admin', groups: ['system:masters', 'system:authenticated'] }

/** An API with a fake clock, and servers that run for the Lease; `working`: who works now, in the order they began. */
async function election() {
  const clock = new FakeClock()
  const h = harness({ clock, rows })
  const client = createClient(h.api.transportFor(ADMIN), { userAgent: 'test' })
  const stop = new AbortController()
  const deps = { clock, random: seededRandom(1), log: silentLog }
  await client.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kube-system' } }).catch(() => { /* it may be there */ })
  const working: string[] = []
  const history: string[] = []
  async function run(identity: string, options: { cut?: () => boolean } = {}) {
    const end = new AbortController()
    const own = createClient({ request: (r) => (options.cut?.() ? Promise.reject(new Error('cut off')) : h.api.transportFor(ADMIN).request(r)) }, { userAgent: identity })
    const following = createInformer<Lease>(own, LEASES, { namespace: 'kube-system' }, deps)
    const { informer } = following
    void following.run(end.signal)
    for (let i = 0; i < 50 && !informer.hasSynced(); i++) await clock.advance(1)
    const done = workWhenElected({ client: own, leases: informer, name: 'kube-scheduler', identity, ...deps }, async (signal) => {
      working.push(identity)
      history.push(identity)
      assert.equal(working.length, 1, `at the same time: ${working.join(', ')}`)
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
      working.splice(working.indexOf(identity), 1)
    }, end.signal)
    return { stop: async () => { end.abort(); await settle(done) }, kill: () => end.abort(), done }
  }
  /** Time passes while it comes about. */
  async function settle(promise: Promise<unknown>) {
    let isDone = false
    void promise.finally(() => { isDone = true })
    for (let i = 0; i < 500 && !isDone; i++) await clock.advance(10)
    await promise
  }
  const pass = async (ms: number) => { for (let at = 0; at < ms; at += 100) await clock.advance(100) }
  const lease = () => client.get<Lease>(LEASES, 'kube-scheduler', 'kube-system')
  return { clock, run, pass, lease, working, history, end: () => { stop.abort(); h.api.close() } }
}

describe('leader election', () => {
  it('lets one work and renews its Lease, with upstream\'s name and duration', async () => {
    const e = await election()
    const a = await e.run('a')
    const b = await e.run('b')
    await e.pass(30_000)
    assert.deepEqual([e.working, e.history], [['a'], ['a']])
    const { spec } = await e.lease()
    assert.deepEqual([spec?.holderIdentity, spec?.leaseDurationSeconds, spec?.leaseTransitions], ['a', 15, 0])
    assert.notEqual(spec?.renewTime, spec?.acquireTime)
    await b.stop()
    await a.stop()
    e.end()
  })

  it('hands over at once at a clean stop', async () => {
    const e = await election()
    const a = await e.run('a')
    await e.pass(3_000)
    const b = await e.run('b')
    await e.pass(3_000)
    await a.stop()
    await e.pass(500)
    assert.deepEqual([e.working, e.history], [['b'], ['a', 'b']])
    const { spec } = await e.lease()
    assert.deepEqual([spec?.holderIdentity, spec?.leaseTransitions], ['b', 1])
    await b.stop()
    e.end()
  })

  it('stops the work of a server that cannot renew before another one begins', async () => {
    const e = await election()
    const net = { cut: false }
    const a = await e.run('a', { cut: () => net.cut })
    await e.pass(3_000)
    const b = await e.run('b')
    await e.pass(3_000)
    net.cut = true
    await e.pass(11_000)
    assert.deepEqual(e.working, [])
    await e.pass(10_000)
    assert.deepEqual([e.working, e.history], [['b'], ['a', 'b']])
    await b.stop()
    a.kill()
    e.end()
  })

  it('takes its own Lease up again at once after a restart', () => {
    const lease = { ...heldLease('kube-scheduler', undefined, 'a', 0), metadata: { name: 'kube-scheduler', uid: 'u', resourceVersion: '1', creationTimestamp: '' } }
    assert.deepEqual(decideElection({ lease, sinceMs: 0 }, 'a', 1), { kind: 'acquire' })
    assert.deepEqual(decideElection({ lease, sinceMs: 0 }, 'b', 1), { kind: 'wait', untilMs: 15_000, holder: 'a' })
    assert.deepEqual(decideElection({ lease, sinceMs: 0 }, 'b', 15_000), { kind: 'acquire' })
    assert.deepEqual(decideElection({ lease: undefined, sinceMs: 0 }, 'b', 1), { kind: 'acquire' })
  })
})
