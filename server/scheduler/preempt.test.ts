import { deepStrictEqual } from 'node:assert'
import { test } from 'node:test'
import fc from 'fast-check'
import type { PodDisruptionBudget, PodSpec, Stored } from '#api/types/index.ts'
import { podPriority } from '#api/types/pods.ts'
import { seededRandom } from '#base/random.ts'
import { node, pod, snapshot } from './build.test-support.ts'
import type { NodeInfo, PodInfo } from './node-info.ts'
import { decidePreemption } from './preempt.ts'
import { fitsOn, schedule } from './schedule.ts'

interface About { cpu?: string; started?: string; labels?: Record<string, string>; spec?: Partial<PodSpec>; status?: object; going?: boolean }

function of(name: string, priority: number, { cpu = '1', started = '2026-01-01T00:00:00Z', labels, spec, status, going }: About = {}): PodInfo {
  const info = pod(name, { requests: { cpu }, ...(labels && { labels }), spec: { priority, ...spec } })
  info.pod.status = { startTime: started, ...status }
  if (going) info.pod.metadata.deletionTimestamp = '2026-01-02T00:00:00Z'
  return info
}

function budget(labels: Record<string, string>, disruptionsAllowed: number): Stored<PodDisruptionBudget> {
  return { metadata: { name: 'b', namespace: 'default', uid: 'b', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' }, spec: { selector: { matchLabels: labels } }, status: { disruptionsAllowed, currentHealthy: 1, desiredHealthy: 1, expectedPods: 1 } }
}

function preempt(incoming: PodInfo, nodes: readonly NodeInfo[], budgets: readonly Stored<PodDisruptionBudget>[] = []): string {
  const view = snapshot(...nodes)
  const result = schedule(view, incoming, seededRandom(1))
  if (result.ok) return `fits ${result.node}`
  const decision = decidePreemption({ pod: incoming, snapshot: view, reasons: result.reasons, budgets })
  return decision.ok ? `${decision.node}: ${decision.victims.map((v) => v.pod.metadata.name).join(' ')}` : decision.message
}

const full = (name: string, ...placed: PodInfo[]) => node(name, { cpu: '2', placed })

test('as few as needed go, the least important first, and who has run longest stays', () => {
  deepStrictEqual(preempt(of('new', 10), [full('n', of('a', 1), of('b', 2))]), 'n: a')
  deepStrictEqual(preempt(of('new', 10, { cpu: '2' }), [full('n', of('a', 1), of('b', 2))]), 'n: b a')
  deepStrictEqual(preempt(of('new', 10), [full('n', of('young', 1, { started: '2026-02-01T00:00:00Z' }), of('old', 1))]), 'n: young')
})

test('nobody goes who is as important, and nobody in vain', () => {
  deepStrictEqual(preempt(of('new', 1), [full('n', of('a', 1), of('b', 2))]), 'preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.')
  deepStrictEqual(preempt(of('new', 10, { cpu: '2' }), [full('n', of('a', 1), of('b', 20))]), 'preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.')
  deepStrictEqual(preempt(of('new', 10, { cpu: '3' }), [full('n', of('a', 1), of('b', 2))]), 'preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.')
  const away = node('away', { cpu: '2', placed: [of('a', 1)], spec: { taints: [{ key: 'k', effect: 'NoSchedule' }] } })
  deepStrictEqual(preempt(of('new', 10, { cpu: '2' }), [away, full('n', of('b', 20), of('c', 20))]), 'preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling.')
})

test('who must not preempt, or has made room already, waits', () => {
  deepStrictEqual(preempt(of('new', 10, { spec: { preemptionPolicy: 'Never' } }), [full('n', of('a', 1), of('b', 1))]), 'preemption: not eligible due to preemptionPolicy=Never.')
  const leaving = of('a', 1, { going: true, status: { conditions: [{ type: 'DisruptionTarget', status: 'True', reason: 'PreemptionByScheduler' }] } })
  const nominated = of('new', 10, { status: { nominatedNodeName: 'n' } })
  deepStrictEqual(preempt(nominated, [full('n', leaving, of('b', 1))]), 'preemption: not eligible due to a terminating pod on the nominated node.')
  deepStrictEqual(preempt(nominated, [full('n', of('a', 1), of('b', 1))]), 'n: b')
})

test('the node whose loss is smallest: budgets, then priorities, then how many, then who started last', () => {
  const web = { app: 'web' }
  const cases: [string, NodeInfo[], string, Stored<PodDisruptionBudget>[]?][] = [
    ['no budget is broken where that can be', [full('guarded', of('a', 1, { labels: web }), of('b', 1, { labels: web })), full('free', of('c', 5), of('d', 5))], 'free: d', [budget(web, 0)]],
    ['a budget that allows it is not broken', [full('guarded', of('a', 1, { labels: web }), of('b', 1, { labels: web })), full('free', of('c', 5), of('d', 5))], 'guarded: a', [budget(web, 1)]],
    ['on one node, who is not guarded goes first', [full('n', of('a', 1, { labels: web }), of('b', 3))], 'n: b', [budget(web, 0)]],
    ['the lowest priority', [full('n1', of('a', 3), of('b', 3)), full('n2', of('c', 2), of('d', 2))], 'n2: d'],
    ['the fewest', [node('n1', { cpu: '2', placed: [of('a', 1, { cpu: '500m' }), of('b', 1, { cpu: '500m' }), of('x', 20)] }), full('n2', of('c', 1), of('y', 20))], 'n2: c'],
    ['who started last', [full('n1', of('a', 1), of('x', 20)), full('n2', of('b', 1, { started: '2026-03-01T00:00:00Z' }), of('y', 20))], 'n2: b'],
  ]
  deepStrictEqual(cases.map(([what, nodes, , budgets]) => [what, preempt(of('new', 10), nodes, budgets)]), cases.map(([what, , expected]) => [what, expected]))
})

test('law: with the victims gone it fits, with any of them there it does not, and all of them count for less', () => {
  const pods = fc.array(fc.record({ priority: fc.integer({ min: 0, max: 5 }), milli: fc.integer({ min: 100, max: 1500 }) }), { maxLength: 6 })
  fc.assert(fc.property(fc.array(pods, { minLength: 1, maxLength: 4 }), fc.integer({ min: 0, max: 5 }), fc.integer({ min: 100, max: 3000 }), (nodes, priority, milli) => {
    const built = nodes.map((placed, n) => node(`n${n}`, { cpu: '3', placed: placed.map((p, i) => of(`p${n}-${i}`, p.priority, { cpu: `${p.milli}m` })) }))
    const incoming = of('new', priority, { cpu: `${milli}m` })
    const view = snapshot(...built)
    const result = schedule(view, incoming, seededRandom(1))
    if (result.ok) return
    const decision = decidePreemption({ pod: incoming, snapshot: view, reasons: result.reasons, budgets: [] })
    if (!decision.ok) return
    const target = built.find((n) => n.name === decision.node)
    const without = (gone: readonly PodInfo[]) => {
      const left = node(decision.node, { cpu: '3', placed: (target?.pods ?? []).filter((p) => !gone.includes(p)) })
      return fitsOn(snapshot(left), incoming, left)
    }
    deepStrictEqual([without(decision.victims), decision.victims.some((v) => without(decision.victims.filter((o) => o !== v))), decision.victims.every((v) => podPriority(v.pod) < priority)], [true, false, true])
  }))
})
