import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkReservations, nodeAllocatable, podsLimits, type Reservations } from './allocatable.ts'

const GI = 2 ** 30
const MI = 2 ** 20
const capacity = { cpu: '4', memory: '4Gi', 'ephemeral-storage': '100Gi', pods: '110', 'hugepages-2Mi': '64Mi' }
const config = (more: Partial<Reservations> = {}): Reservations => ({ systemReserved: {}, kubeReserved: {}, evictionHard: {}, ...more })

test('allocatable is what is left of the reservations of both, and of the hard thresholds of memory and disk, never less than nothing', () => {
  assert.deepStrictEqual(nodeAllocatable(capacity, config()), { ...capacity, memory: '4032Mi' }, 'pages that are set aside are no ordinary memory')
  assert.deepStrictEqual(
    nodeAllocatable(capacity, config({ systemReserved: { cpu: '200m', memory: '256Mi', 'hugepages-2Mi': '2Mi' }, kubeReserved: { cpu: '300m', memory: '256Mi', 'ephemeral-storage': '1Gi', pid: '500' }, evictionHard: { 'memory.available': '12.5%', 'nodefs.available': '10%', 'imagefs.available': '50%', 'pid.available': '5%' } })),
    { cpu: '3500m', memory: '3008Mi', 'ephemeral-storage': '89Gi', pods: '110', 'hugepages-2Mi': '62Mi' },
  )
  assert.equal(nodeAllocatable(capacity, config({ systemReserved: { cpu: '5' } })).cpu, '0')
})

test('the cgroup of all pods may have what is not reserved; what eviction keeps free is not taken off', () => {
  assert.deepStrictEqual(podsLimits(capacity, 32_768, config({ evictionHard: { 'memory.available': '1Gi' } })), { cpuMilli: 4_000, memoryBytes: 4 * GI, pids: 32_768 })
  assert.deepStrictEqual(podsLimits(capacity, Infinity, config({ systemReserved: { memory: '256Mi', pid: '100' }, kubeReserved: { cpu: '500m', memory: '256Mi' } })), { cpuMilli: 3_500, memoryBytes: 4 * GI - 512 * MI })
  assert.equal(podsLimits(capacity, 1_000, config({ systemReserved: { pid: '100' } })).pids, 900)
})

test('a machine of which nothing would be left is refused, with both figures', () => {
  const problem = (more: Partial<Reservations>) => {
    try {
      checkReservations(capacity, config(more))
      return ''
    } catch (error) {
      return (error as Error).message
    }
  }
  assert.equal(problem({ systemReserved: { memory: '2Gi' }, kubeReserved: { memory: '1Gi' }, evictionHard: { 'memory.available': '25%' } }), '')
  assert.equal(problem({ systemReserved: { memory: '2Gi' }, kubeReserved: { memory: '1Gi' }, evictionHard: { 'memory.available': '1025Mi' } }), '--kube-reserved, --system-reserved, --eviction-hard: resource "memory" has a reservation of 4097Mi but this machine\'s capacity is 4Gi: reserve less')
  assert.match(problem({ kubeReserved: { cpu: '4500m' } }), /resource "cpu" has a reservation of 4500m but/)
})
