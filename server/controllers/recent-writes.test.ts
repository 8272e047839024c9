import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCache } from '#api/client/cache.ts'
import type { Informer } from '#api/client/client.ts'
import type { Pod, Stored } from '#api/types/index.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { createRecentWrites } from './recent-writes.ts'

const pod = (name: string, uid = `u-${name}`, deletionTimestamp?: string): Stored<Pod> =>
  ({ metadata: { name, namespace: 'd', uid, resourceVersion: '1', creationTimestamp: '', ...(deletionTimestamp !== undefined && { deletionTimestamp }) } })

function world() {
  const clock = new FakeClock()
  const cache = createCache<Pod>(() => assert.fail('a listener threw'))
  const recent = createRecentWrites<Pod>(cache as unknown as Informer<Pod>, clock)
  const merged = () => {
    const { objects, untilMs } = recent.merge('g', cache.list())
    return { pods: objects.map((p) => `${p.metadata.name}${p.metadata.deletionTimestamp === undefined ? '' : ' dying'}`), untilMs }
  }
  return { clock, cache, recent, merged }
}

test('what was created counts until the informer shows it, and not twice', () => {
  const { clock, cache, recent, merged } = world()
  recent.created('g', pod('a'))
  assert.deepStrictEqual(merged(), { pods: ['a'], untilMs: clock.nowMs() + 30_000 })
  cache.put(pod('a'))
  assert.deepStrictEqual(merged(), { pods: ['a'], untilMs: undefined })
  cache.remove('d/a')
  assert.deepStrictEqual(merged(), { pods: [], untilMs: undefined })
})

test('an informer that was faster than the answer is believed', () => {
  const { cache, recent, merged } = world()
  cache.put(pod('a'))
  recent.created('g', pod('a'))
  cache.remove('d/a')
  assert.deepStrictEqual(merged(), { pods: [], untilMs: undefined })
})

test('what was deleted counts as dying until the informer shows that, through changes that do not', () => {
  const { clock, cache, recent, merged } = world()
  cache.put(pod('a'))
  recent.deleted('g', pod('a'))
  cache.put(pod('a'))
  assert.deepStrictEqual(merged(), { pods: ['a dying'], untilMs: clock.nowMs() + 30_000 })
  cache.put(pod('a', 'u-a', 'now'))
  assert.deepStrictEqual(merged(), { pods: ['a dying'], untilMs: undefined })
})

test('an informer that never shows it is believed in the end', async () => {
  const { clock, recent, merged } = world()
  recent.created('g', pod('a'))
  await clock.advance(30_000)
  assert.deepStrictEqual(merged(), { pods: [], untilMs: undefined })
})
