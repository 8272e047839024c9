import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Pod } from '#api/types/index.ts'
import { decidePreemption, requestOf, type Shortage } from './preemption.ts'
import { aContainer, aPod } from './testing/builders.ts'

type Asked = Record<string, string>
const of = (name: string, requests: Asked, limits: Asked = {}, more: object = {}) => aPod({ containers: [aContainer('a', { resources: { requests, limits } })], ...more }, { name, uid: name })
const critical = of('critical', { cpu: '1' }, {}, { priority: 2_000_000_000 })
const guaranteed = (name: string, both: Asked) => of(name, both, both)
const GIB = 2 ** 30

const table: [string, Pod, Pod[], Shortage[], string[] | string][] = [
  ['the lowest class that suffices', critical, [guaranteed('g', { cpu: '2', memory: '1Gi' }), of('b', { cpu: '2' })], [{ resource: 'cpu', amount: 1000 }], ['b']],
  ['of the higher one only what the lower cannot give', critical, [guaranteed('g', { cpu: '1', memory: '1Gi' }), of('b', { cpu: '1' })], [{ resource: 'cpu', amount: 1500 }], ['b', 'g']],
  ['pods are given by those that ask for nothing', critical, [of('b', { cpu: '1' }), of('none', {})], [{ resource: 'pods', amount: 1 }], ['none']],
  ['one that is enough rather than two', critical, [of('x', { memory: '512Mi' }), of('y', { memory: '512Mi' }), of('z', { memory: '1Gi' })], [{ resource: 'memory', amount: GIB }], ['z']],
  ['of those that are enough the smallest', critical, [of('x', { memory: '4Gi' }), of('y', { memory: '2Gi' }), of('z', { memory: '3Gi' })], [{ resource: 'memory', amount: GIB }], ['y']],
  ['all resources count alike', critical, [of('x', { cpu: '2' }), of('y', { memory: '2Gi' }), of('z', { cpu: '600m', memory: '600Mi' })], [{ resource: 'cpu', amount: 1000 }, { resource: 'memory', amount: GIB }], ['z', 'x', 'y']],
  ['nobody critical, unless of lower priority', critical, [of('same', { cpu: '4' }, {}, { priority: 2_000_000_000 }), aPod({}, { name: 'static', annotations: { 'kubernetes.io/config.source': 'file' } })], [{ resource: 'cpu', amount: 1 }], 'preemption: error finding a set of pods to preempt: no set of running pods found to reclaim resources: [(res: cpu, q: 1), ]'],
  ['one whose priority is higher may push out another critical one', of('c', {}, {}, { priority: 2_000_001_000 }), [of('lower', { cpu: '4' }, {}, { priority: 2_000_000_000 })], [{ resource: 'cpu', amount: 1 }], ['lower']],
]
for (const [name, pod, others, shortages, expected] of table) {
  test(`who goes: ${name}`, () => {
    const decision = decidePreemption(pod, others, shortages)
    assert.deepStrictEqual(decision.ok ? decision.victims.map((p) => p.metadata?.name) : decision.message, expected)
  })
}

test('whoever goes is enough, and nobody goes twice', () => {
  const pods = fc.array(fc.record({ cpu: fc.integer({ min: 0, max: 4 }), memory: fc.integer({ min: 0, max: 4 }), limited: fc.boolean() }), { maxLength: 12 })
  fc.assert(fc.property(pods, fc.integer({ min: 1, max: 8000 }), fc.integer({ min: 1, max: 8 }), (given, cpu, memory) => {
    const others = given.map((p, i) => { const asked = { cpu: String(p.cpu), memory: `${p.memory}Gi` }; return of(`p${i}`, asked, p.limited ? asked : {}) })
    const shortages = [{ resource: 'cpu', amount: cpu }, { resource: 'memory', amount: memory * GIB }]
    const decision = decidePreemption(critical, others, shortages)
    const sum = (all: readonly Pod[], resource: string) => all.reduce((total, p) => total + requestOf(p, resource), 0)
    assert.equal(decision.ok, shortages.every(({ resource, amount }) => sum(others, resource) >= amount))
    if (!decision.ok) return
    assert.ok(shortages.every(({ resource, amount }) => sum(decision.victims, resource) >= amount))
    assert.equal(new Set(decision.victims).size, decision.victims.length)
  }))
})
