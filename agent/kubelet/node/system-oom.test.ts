import assert from 'node:assert/strict'
import { accessSync, constants, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { createLog } from '#base/log.ts'
import { startNodeWorld } from '../testing/node-world.ts'
import { followRecords, kernelLine, type KernelLog } from './kernel-log.ts'
import { createOomReader, watchSystemOom } from './system-oom.ts'

const BEGIN = 'stress invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0'
const GLOBAL = 'oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/kubepods/podx/y,task=stress,pid=4711,uid=0'
const CGROUP = 'oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/kubepods/podx/y,task_memcg=/kubepods/podx/y,task=stress,pid=4712,uid=0'
const KILLED = 'Out of memory: Killed process 4711 (stress) total-vm:1kB, anon-rss:1kB'

const CASES: [string, string[], { name: string; pid: number }[]][] = [
  ['of the machine', [BEGIN, 'CPU: 0 PID: 1', GLOBAL, KILLED], [{ name: 'stress', pid: 4711 }]],
  ['of a cgroup at its limit is not the machine\'s', [BEGIN, CGROUP, 'Memory cgroup out of memory: Killed process 4712 (stress)'], []],
  ['of the machine after one of a cgroup', [BEGIN, CGROUP, BEGIN, GLOBAL], [{ name: 'stress', pid: 4711 }]],
  ['of a kernel before 5.0', [BEGIN, 'Killed process 12 (a b) total-vm:1kB'], [{ name: 'a b', pid: 12 }]],
  ['of a cgroup, of a kernel before 5.0', [BEGIN, 'Task in /kubepods/x killed as a result of limit of /kubepods/x', 'Killed process 12 (a)'], []],
  ['of a cgroup that is all there is', [BEGIN, CGROUP.replace('oom_memcg=/kubepods/podx/y', 'oom_memcg=/')], [{ name: 'stress', pid: 4712 }]],
  ['that nobody announced', [GLOBAL, KILLED], []],
]
for (const [what, lines, victims] of CASES) {
  test(`a kill ${what}`, () => {
    const read = createOomReader()
    assert.deepEqual(lines.map((line) => read(line)).filter((v) => v !== undefined), victims)
  })
}

test('only what the kernel itself has written counts', () => {
  assert.equal(kernelLine('3,339,5140900,-;Out of memory\n SUBSYSTEM=x\n'), 'Out of memory')
  for (const record of ['12,339,5140900,-;Out of memory', 'nothing', '']) assert.equal(kernelLine(record), undefined)
})

test('the node has an Event of it', async (t) => {
  let say: ((line: string) => void) | undefined
  const kernelLog: KernelLog = (onLine, signal) => {
    say = onLine
    return new Promise((resolve) => { signal.addEventListener('abort', () => resolve(), { once: true }) })
  }
  const w = await startNodeWorld(t, { kernelLog })
  await w.until('it is listened to', () => say !== undefined)
  for (const line of [BEGIN, CGROUP, BEGIN, GLOBAL, KILLED]) say?.(line)
  await w.until('it is told', () => w.reasons().includes('SystemOOM'))
  assert.deepEqual(w.events.filter((e) => e.reason === 'SystemOOM'), [{ about: 'node-1', type: 'Warning', reason: 'SystemOOM', message: 'System OOM encountered, victim process: stress, pid: 4711' }])
})

test('a log that cannot be read is said once, and nothing else fails', async () => {
  const lines: string[] = []
  const log = createLog({ format: 'text', level: 'info', nowMs: () => 0, write: (line) => lines.push(line) })
  await watchSystemOom({ kernelLog: () => Promise.reject(new Error('EACCES: permission denied')), tell: () => assert.fail('nothing to tell'), log }, new AbortController().signal)
  assert.equal(lines.length, 1)
  assert.match(lines[0] ?? '', /the kernel's log is not read.*EACCES/)
})

const mayUse = (() => {
  try {
    accessSync('/dev/kmsg', constants.R_OK | constants.W_OK)
    return true
  } catch {
    return false
  }
})()

test('the kernel\'s log is followed until it is given up; what programs write into it is not told', { skip: mayUse ? false : 'needs /dev/kmsg' }, async () => {
  const abort = new AbortController()
  const told = Promise.withResolvers<string>()
  const mark = `skiff test of the kernel log ${process.pid}`
  const reading = followRecords((record) => { if (record.includes(mark)) told.resolve(record) }, abort.signal)
  writeFileSync('/dev/kmsg', `${mark}\n`)
  const record = await told.promise
  assert.match(record, new RegExp(`^\\d+,\\d+,\\d+,[^;]*;${mark}\n`))
  assert.equal(kernelLine(record), undefined)
  abort.abort()
  await reading
})
