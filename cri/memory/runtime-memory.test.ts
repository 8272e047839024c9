import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { FakeClock } from '#base/clock-fake.ts'
import { systemClock } from '#base/clock.ts'
import { seededRandom, systemRandom } from '#base/random.ts'
import { runtimeContract, testContainer, testPod } from '../runtime.contract.ts'
import { createMemoryRuntime } from './runtime-memory.ts'

runtimeContract('the memory runtime', () => {
  const dir = mkdtempSync(join(tmpdir(), 'memory-runtime-'))
  const runtime = createMemoryRuntime({ clock: systemClock, random: systemRandom })
  runtime.control.serve('localhost:5000/busybox:1')
  return Promise.resolve({
    runtime, imageRef: 'localhost:5000/busybox:1', missingImageRef: 'localhost:5000/none:1', logDirectory: dir, cgroupParent: '/none',
    runsOn: ['serve'], exitsWith: (code: number) => ['sh', '-c', `exit ${code}`], notStartable: ['not-there'], prints: (text: string, code: number) => ['sh', '-c', `printf ${text}; exit ${code}`],
    async close() {
      await runtime.close()
      rmSync(dir, { recursive: true, force: true })
    },
  })
})

async function started(command: string[]) {
  const dir = mkdtempSync(join(tmpdir(), 'memory-runtime-'))
  const clock = new FakeClock()
  const runtime = createMemoryRuntime({ clock, random: seededRandom(1) })
  const image = runtime.control.addImage('busybox')
  const config = testPod({ logDirectory: dir, cgroupParent: '/none' }, 'p')
  const sandboxId = await runtime.runPodSandbox(config)
  const id = await runtime.createContainer(sandboxId, testContainer(image.id, 'main', { command }), config)
  await runtime.startContainer(id)
  return { dir, clock, runtime, id, sandboxId }
}

test('a program ends when the fake clock says so, not before', async () => {
  const { dir, clock, runtime, id } = await started(['sh', '-c', 'echo hello; sleep 5; exit 7'])
  await clock.advance(4_999)
  assert.equal((await runtime.containerStatus(id)).state, 'running')
  await clock.advance(1)
  const end = await runtime.containerStatus(id)
  assert.deepEqual([end.state, end.exitCode, end.finishedAtMs - end.startedAtMs], ['exited', 7, 5_000])
  assert.match(readFileSync(end.logPath, 'utf8'), /^2026-01-01T00:00:00\.000000000Z stdout F hello\n$/)
  rmSync(dir, { recursive: true })
})

test('a told failure comes as often as told, a told delay takes its time', async () => {
  const { dir, clock, runtime, id } = await started(['serve'])
  runtime.control.fail('containerStatus', new Error('no'), 2)
  for (let i = 0; i < 2; i++) await assert.rejects(runtime.containerStatus(id), /no/)
  runtime.control.delay('containerStatus', 100)
  let done = false
  void runtime.containerStatus(id).then(() => { done = true })
  await clock.advance(99)
  assert.equal(done, false)
  await clock.advance(1)
  assert.equal(done, true)
  rmSync(dir, { recursive: true })
})

test('a reboot leaves everything listed and nothing running', async () => {
  const { dir, runtime, id, sandboxId } = await started(['serve'])
  runtime.control.reboot()
  assert.deepEqual([(await runtime.containerStatus(id)).state, (await runtime.podSandboxStatus(sandboxId)).state], ['exited', 'notready'])
  rmSync(dir, { recursive: true })
})
