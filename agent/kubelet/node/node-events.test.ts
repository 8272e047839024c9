import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmdirSync } from 'node:fs'
import { release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { NodeStatus } from '#api/types/index.ts'
import { memoryVolumesMaySwap } from './memory-volumes.ts'
import { conditionEvents, schedulableEvent, startEvents } from './node-events.ts'

const status = (ready: string, memory: string): NodeStatus => ({ conditions: [{ type: 'MemoryPressure', status: memory }, { type: 'DiskPressure', status: 'False' }, { type: 'PIDPressure', status: 'False' }, { type: 'Ready', status: ready }] })

test('a start is told; a reboot only where an earlier boot is known', () => {
  const reasons = (bootId: string | undefined) => startEvents('n1', { metadata: { name: 'n1' }, ...(bootId !== undefined && { status: { nodeInfo: { bootID: bootId } } as NodeStatus }) }, { bootId: 'now', memoryVolumesMaySwap: false }).map((e) => `${e.type} ${e.reason}: ${e.message}`)
  const plain = ['Normal Starting: Starting kubelet.', 'Normal NodeAllocatableEnforced: Updated Node Allocatable limit across pods']
  assert.deepStrictEqual([reasons(undefined), reasons(''), reasons('now')], [plain, plain, plain])
  assert.deepStrictEqual(reasons('before'), [plain[0], 'Warning Rebooted: Node n1 has been rebooted, boot id: now', plain[1]])
})

test('volumes in memory may be swapped where there is swap and tmpfs cannot be kept from it; that is told first', async () => {
  const may = (swapBytes: number, kernelVersion: string, takesNoswap: boolean) => memoryVolumesMaySwap({ swapBytes, kernelVersion }, '/nowhere', async () => takesNoswap)
  assert.deepStrictEqual(await Promise.all([may(0, '5.10.0', false), may(1, '5.10.0', false), may(1, '5.10.0', true), may(1, '6.3.9-v8+', false), may(1, '6.4.0-rc1', false), may(1, '6.12.20', false), may(1, '7.0', false)]), [false, true, false, true, false, false, false])
  assert.deepStrictEqual(startEvents('n1', undefined, { bootId: 'now', memoryVolumesMaySwap: true }).map(({ type, reason, message }) => `${type} ${reason}: ${message}`), [
    'Warning PossibleMemoryBackedVolumesOnDisk: The tmpfs noswap option is not supported. Memory-backed volumes (e.g. secrets, emptyDirs, etc.) might be swapped to disk and should no longer be considered secure.',
    'Normal Starting: Starting kubelet.', 'Normal NodeAllocatableEnforced: Updated Node Allocatable limit across pods',
  ])
})

test('a kernel is asked by a mount whether it knows noswap, and nothing is left of that', { skip: process.getuid?.() !== 0 && 'needs root, to mount' }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'noswap-'))
  const may = await memoryVolumesMaySwap({ swapBytes: 1, kernelVersion: '1.0' }, directory)
  const [major = 0, minor = 0] = release().split('.').map((part) => Number.parseInt(part, 10))
  // Newer kernels know it; of older ones a vendor may have it.
  if (major > 6 || (major === 6 && minor >= 4)) assert.equal(may, false)
  assert.deepStrictEqual(readdirSync(directory), [])
  rmdirSync(directory)
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
