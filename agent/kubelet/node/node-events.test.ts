import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodeStatus } from '#api/types/index.ts'
import { conditionEvents, schedulableEvent, startEvents } from './node-events.ts'

const status = (ready: string, memory: string): NodeStatus => ({ conditions: [{ type: 'MemoryPressure', status: memory }, { type: 'DiskPressure', status: 'False' }, { type: 'PIDPressure', status: 'False' }, { type: 'Ready', status: ready }] })

test('a start is told; a reboot only where an earlier boot is known', () => {
  const reasons = (bootId: string | undefined) => startEvents('n1', { metadata: { name: 'n1' }, ...(bootId !== undefined && { status: { nodeInfo: { bootID: bootId } } as NodeStatus }) }, 'now').map((e) => `${e.type} ${e.reason}: ${e.message}`)
  const plain = ['Normal Starting: Starting kubelet.', 'Normal NodeAllocatableEnforced: Updated Node Allocatable limit across pods']
  assert.deepStrictEqual([reasons(undefined), reasons(''), reasons('now')], [plain, plain, plain])
  assert.deepStrictEqual(reasons('before'), [plain[0], 'Warning Rebooted: Node n1 has been rebooted, boot id: now', plain[1]])
})

test('signs of a board are told when they are bad, when they change, and when they are over', () => {
  const board = (status: string, reason: string): NodeStatus => ({ conditions: [{ type: 'UnderVoltage', status, reason, message: reason }] })
  const [good, now, past] = [board('False', 'VoltageIsSufficient'), board('True', 'UnderVoltageDetected'), board('False', 'UnderVoltageOccurred')]
  const told = (before: NodeStatus, after: NodeStatus) => conditionEvents('n1', before, after).map((e) => `${e.type} ${e.reason}`)
  assert.deepStrictEqual([told({}, good), told({}, now), told(good, now), told(now, past), told(past, good), told(now, now)], [[], ['Warning UnderVoltageDetected'], ['Warning UnderVoltageDetected'], ['Normal UnderVoltageOccurred'], ['Normal VoltageIsSufficient'], []])
})

test('conditions are told when they become known and when they change, readiness last', () => {
  const reasons = (before: NodeStatus, after: NodeStatus) => conditionEvents('n1', before, after).map((e) => e.reason)
  assert.deepStrictEqual(reasons({}, status('True', 'False')), ['NodeHasSufficientMemory', 'NodeHasNoDiskPressure', 'NodeHasSufficientPID', 'NodeReady'])
  assert.deepStrictEqual(reasons(status('True', 'False'), status('True', 'False')), [])
  assert.deepStrictEqual(reasons(status('True', 'False'), status('False', 'True')), ['NodeHasInsufficientMemory', 'NodeNotReady'])
  assert.deepStrictEqual(schedulableEvent('n1', true), { type: 'Normal', reason: 'NodeNotSchedulable', message: 'Node n1 status is now: NodeNotSchedulable' })
})
