import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from '#base/clock-fake.ts'
import { silentLog } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import type { Lease, Stored } from '../types/index.ts'
import { ApiError, type Client } from './client.ts'
import { runWhileLeader } from './leader.ts'

/** One Lease with optimistic locking, and a switch that makes the API fail. */
function leaseApi() {
  let lease: Stored<Lease> | undefined
  let version = 0
  const state = { broken: new Set<string>(), writes: 0 }
  const store = (object: Lease) => {
    state.writes++
    lease = { ...object, metadata: { ...object.metadata, resourceVersion: String(++version) } } as Stored<Lease>
    return Promise.resolve(lease)
  }
  const clientOf = (who: string) => {
    const guard = () => { if (state.broken.has(who)) throw new ApiError({ code: 503, reason: 'ServiceUnavailable' }) }
    return {
      get: () => { guard(); return lease ? Promise.resolve(lease) : Promise.reject(new ApiError({ code: 404, reason: 'NotFound' })) },
      create: (_: unknown, object: Lease) => { guard(); return store(object) },
      update: (_: unknown, object: Lease) => {
        guard()
        if (object.metadata?.resourceVersion !== lease?.metadata.resourceVersion) return Promise.reject(new ApiError({ code: 409, reason: 'Conflict' }))
        return store(object)
      },
    } as unknown as Client
  }
  return { state, clientOf, holder: () => lease?.spec?.holderIdentity }
}

function candidate(api: ReturnType<typeof leaseApi>, clock: FakeClock, who: string, log: string[]) {
  const stop = new AbortController()
  const done = runWhileLeader(api.clientOf(who), {
    lease: { name: 'skiff', namespace: 'kube-system' }, identity: who, clock, random: seededRandom(7), log: silentLog,
  }, async (signal) => {
    log.push(`${who} leads`)
    await new Promise<void>((r) => signal.addEventListener('abort', () => r(), { once: true }))
    log.push(`${who} stops`)
  }, stop.signal)
  return { stop, done }
}

test('one leads; a leader that cannot renew stops before the other starts; a leader that is stopped hands over at once', async () => {
  const api = leaseApi()
  const clock = new FakeClock()
  const log: string[] = []
  const a = candidate(api, clock, 'a', log)
  await clock.advance(1)
  const b = candidate(api, clock, 'b', log)
  await clock.advance(60_000)
  assert.deepStrictEqual(log, ['a leads'])
  api.state.broken.add('a')
  await clock.advance(40_000)
  assert.deepStrictEqual(log, ['a leads', 'a stops', 'b leads'])
  api.state.broken.clear()
  b.stop.abort()
  await clock.advance(3_000)
  await b.done
  assert.deepStrictEqual(log, ['a leads', 'a stops', 'b leads', 'b stops', 'a leads'])
  a.stop.abort()
  await a.done
  assert.equal(api.holder(), '')
})

test('without a lease to contend for work runs at once and nothing is written', async () => {
  const clock = new FakeClock()
  let ran = false
  await runWhileLeader({} as Client, { identity: 'x', clock, random: seededRandom(1), log: silentLog }, () => { ran = true; return Promise.resolve() }, new AbortController().signal)
  assert.equal(ran, true)
})
