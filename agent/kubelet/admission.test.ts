import assert from 'node:assert/strict'
import { test } from 'node:test'
import { refusal } from './admission.ts'
import { aContainer, aPod } from './testing/builders.ts'

const asks = (requests: Record<string, string>) => aPod({ containers: [aContainer('a', { resources: { requests } })] })
const allocatable = { cpu: '2', memory: '1Gi', pods: '3' }

const table: [string, Parameters<typeof refusal>[0], unknown][] = [
  ['what fits comes in', { pod: asks({ cpu: '1' }), others: [asks({ cpu: '1' })], allocatable }, undefined],
  ['CPU is counted in thousandths', { pod: asks({ cpu: '1' }), others: [asks({ cpu: '1500m' })], allocatable }, { reason: 'OutOfcpu', message: "Pod was rejected: Node didn't have enough resource: cpu, requested: 1000, used: 1500, capacity: 2000" }],
  ['memory in bytes', { pod: asks({ memory: '2Gi' }), others: [], allocatable }, { reason: 'OutOfmemory', message: "Pod was rejected: Node didn't have enough resource: memory, requested: 2147483648, used: 0, capacity: 1073741824" }],
  ['pods by number', { pod: aPod(), others: [aPod(), aPod(), aPod()], allocatable }, { reason: 'OutOfpods', message: "Pod was rejected: Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3" }],
  ['who asks for nothing of what is full comes in', { pod: aPod(), others: [asks({ cpu: '2' })], allocatable }, undefined],
  ['what the node does not count is not refused', { pod: asks({ 'example.com/gpu': '1' }), others: [], allocatable }, undefined],
]
for (const [name, input, expected] of table) test(name, () => assert.deepStrictEqual(refusal(input), expected))
