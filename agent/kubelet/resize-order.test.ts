import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareResizes, resizeInTurn, type WaitingResize } from './resize-order.ts'
import { aContainer, aPod } from './testing/builders.ts'

const asks = (cpu: string, limit?: string) => [aContainer('app', { resources: { requests: { cpu, memory: '1Mi' }, ...(limit !== undefined && { limits: { cpu: limit, memory: '1Mi' } }) } })]
function waiting(uid: string, { cpu = '2', has = '1', limit, priority, since }: { cpu?: string; has?: string; limit?: string; priority?: number; since?: string } = {}): WaitingResize {
  const of = (amount: string) => aPod({ containers: asks(amount, limit), ...(priority !== undefined && { priority }) }, { uid, name: uid })
  return { asked: { ...of(cpu), ...(since !== undefined && { status: { conditions: [{ type: 'PodResizePending', status: 'True', lastTransitionTime: since }] } }) }, allocated: of(has) }
}

test('those that ask for no more come first, then by priority, guaranteed pods before others, then whoever has waited longest', () => {
  const inOrder = [
    waiting('less', { cpu: '500m' }), waiting('critical', { priority: 1000 }), waiting('guaranteed', { limit: '2' }), waiting('early', { since: '2026-01-01T00:00:00Z' }),
    waiting('late', { since: '2026-01-01T00:05:00Z' }), waiting('new'), waiting('minor', { priority: -1, since: '2025-01-01T00:00:00Z' }),
  ]
  fc.assert(fc.property(fc.shuffledSubarray(inOrder, { minLength: inOrder.length }), (shuffled) => {
    assert.deepStrictEqual(shuffled.toSorted(compareResizes).map((w) => w.asked.metadata.uid), inOrder.map((w) => w.asked.metadata.uid))
  }))
  assert.equal(compareResizes(waiting('new'), waiting('newer')), 0)
})

const allocatable = { cpu: '4', memory: '1Gi', pods: '10' }
const machine = { memoryBytes: 2 ** 30 }
const [first, second] = [waiting('first', { priority: 10 }), waiting('second', { cpu: '1500m' })]
const held = [first.allocated, second.allocated, aPod({ containers: asks('500m') }, { uid: 'idle' })]
const others = (w: WaitingResize) => held.filter((p) => p.metadata.uid !== w.asked.metadata.uid)

test('what is free is for those whose turn comes first, unless it is not enough for them', () => {
  const turn = (self: WaitingResize, ahead: WaitingResize[], room = '4') => resizeInTurn({ self, others: others(self), waiting: ahead, allocatable: { ...allocatable, cpu: room }, machine })
  const short = { reason: 'Deferred', message: 'Node didn\'t have enough resource: cpu, requested: 1500, used: 2500, capacity: 3500' }
  assert.deepStrictEqual([turn(first, [second]), turn(second, [first]), turn(second, [first], '3500m'), turn(second, [], '3500m'), turn(first, [second], '3500m')], [undefined, undefined, short, undefined, undefined])
  // 3 are too few for the first, who asks for 2 beside 1.5, but not for the second.
  assert.deepStrictEqual([turn(first, [second], '3')?.reason, turn(second, [first], '3')], ['Deferred', undefined])
})

test('what those ahead will give back is not there before they have', () => {
  const [giver, taker] = [waiting('giver', { cpu: '500m', has: '2' }), waiting('taker', { cpu: '3' })]
  const turn = (allocated: WaitingResize['allocated'], ahead: WaitingResize[]) => resizeInTurn({ self: taker, others: [allocated], waiting: ahead, allocatable, machine })?.reason
  assert.deepStrictEqual([turn(giver.allocated, [giver]), turn(giver.asked, [])], ['Deferred', undefined])
})

test('what would change how much a running container may swap cannot be, and is in nobody\'s way', () => {
  const swaps = { ...machine, podSwapBytes: 2 ** 30 }
  const of = (memory: string, more: object = {}) => aPod({ containers: [aContainer('app', { resources: { requests: { cpu: '1', memory } }, ...more })] }, { uid: 'app' })
  const turn = (asked: WaitingResize['asked'], allocated: WaitingResize['allocated'], on = swaps) => resizeInTurn({ self: { asked, allocated }, others: [], waiting: [], allocatable, machine: on })
  const infeasible = { reason: 'Infeasible', message: 'In-place resize of containers with swap is not supported.' }
  assert.deepStrictEqual([turn(of('20Mi'), of('10Mi')), turn(of('20Mi'), of('10Mi'), { ...machine, podSwapBytes: 0 })], [infeasible, undefined])
  const restarts = { resizePolicy: [{ resourceName: 'memory', restartPolicy: 'RestartContainer' }] }
  assert.deepStrictEqual([turn(of('20Mi', restarts), of('10Mi', restarts)), turn(of('10Mi'), of('10Mi'))], [undefined, undefined])
  const wish = waiting('wish', { priority: 10 })
  const impossible = { asked: { ...wish.asked, spec: { ...wish.asked.spec, containers: of('1000Mi').spec?.containers ?? [] } }, allocated: { ...wish.allocated, spec: { ...wish.allocated.spec, containers: of('10Mi').spec?.containers ?? [] } } }
  const other = waiting('other', { cpu: '3', has: '1' })
  assert.equal(resizeInTurn({ self: other, others: [impossible.allocated], waiting: [impossible], allocatable, machine: swaps }), undefined)
})
