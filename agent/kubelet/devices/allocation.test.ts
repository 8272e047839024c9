import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Container } from '#api/types/index.ts'
import { aContainer, aPod } from '../testing/builders.ts'
import { choose, reusable, settle, wishesOf, type Wish } from './allocation.ts'

const RADIO = 'example.com/radio'
const asking = (name: string, count: number, more: Partial<Container> = {}) => aContainer(name, { resources: { limits: { [RADIO]: String(count), cpu: '1', 'example.com/unknown': '3' } }, ...more })
const wish = (more: Partial<Wish> = {}): Wish => ({ container: 'app', resource: RADIO, count: 1, reuses: [], ...more })
const healthy = (...ids: string[]) => ids.map((id) => ({ id, healthy: true }))

test('containers wish in the order in which they run; what ended init containers had may be used again, a sidecar keeps its own', () => {
  const pod = aPod({ initContainers: [asking('first', 2), asking('sidecar', 1, { restartPolicy: 'Always' }), asking('second', 1)], containers: [asking('app', 1), aContainer('none'), asking('zero', 0)] })
  assert.deepStrictEqual(wishesOf(pod, (resource) => resource === RADIO).map((w) => [w.container, w.count, w.reuses]), [['first', 2, []], ['sidecar', 1, ['first']], ['second', 1, ['first']], ['app', 1, ['first', 'second']]])
})

test('a device is used again only if nobody that runs at the same time has taken it', () => {
  const given = { first: { [RADIO]: ['a', 'b'] }, sidecar: { [RADIO]: ['a'] }, second: { [RADIO]: ['b'] } }
  assert.deepStrictEqual(reusable(wish({ reuses: ['first', 'second'] }), given), ['b'])
  assert.deepStrictEqual(reusable(wish({ reuses: ['first'] }), given), [], 'b is the second\'s now')
  assert.deepStrictEqual(reusable(wish(), given), [])
})

test('what is ill or taken is not given; too few is said with both figures', () => {
  const devices = [...healthy('b', 'a', 'c'), { id: 'ill', healthy: false }]
  assert.deepStrictEqual(choose(wish({ count: 2 }), { devices, taken: new Set(['b']), reuse: [] }), { ok: true, must: [], available: ['a', 'c'] })
  assert.deepStrictEqual(choose(wish({ count: 2 }), { devices, taken: new Set(['b']), reuse: ['b'] }), { ok: true, must: ['b'], available: ['b', 'a', 'c'] })
  assert.deepStrictEqual(choose(wish({ count: 2 }), { devices, taken: new Set(['a', 'b']), reuse: ['ill'] }), { ok: false, message: 'requested number of devices unavailable for example.com/radio. Requested: 2, Available: 1' })
})

test('the plugin is heard, but not about what is not free, nor about how many', () => {
  assert.deepStrictEqual(settle(wish({ count: 3 }), { must: ['b'], available: ['a', 'b', 'c', 'd'] }, ['x', 'd']), ['b', 'd', 'a'])
  assert.deepStrictEqual(settle(wish({ count: 1 }), { must: [], available: ['a', 'b'] }, ['b', 'a']), ['b'])
})

test('any wish that is met is met with exactly as many healthy devices, none of them another\'s', () => {
  const ids = fc.uniqueArray(fc.constantFrom(...'abcdefgh'.split('')))
  fc.assert(fc.property(ids, ids, ids, ids, ids, fc.integer({ min: 1, max: 6 }), (all, ill, taken, reuse, preferred, count) => {
    const devices = all.map((id) => ({ id, healthy: !ill.includes(id) }))
    const own = reuse.filter((id) => !taken.includes(id))
    const choice = choose(wish({ count }), { devices, taken: new Set(taken), reuse: own })
    const free = all.filter((id) => !ill.includes(id) && (!taken.includes(id) || own.includes(id)))
    assert.equal(choice.ok, free.length >= count)
    if (!choice.ok) return
    const given = settle(wish({ count }), choice, preferred)
    assert.equal(new Set(given).size, count)
    assert.ok(given.every((id) => free.includes(id)))
    assert.ok(choice.must.every((id) => given.includes(id)))
  }))
})
