import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { ContainerStatus } from '#cri/index.ts'
import { TERMINATION_POLICY_ANNOTATION } from './labels.ts'
import { exited } from './testing/builders.ts'
import { terminationMessage } from './termination-message.ts'

/** A container that has ended: what is in its message file and in its log. */
function ended(t: TestContext, { message, log = [], code = 1, policy = 'FallbackToLogsOnError' }: { message?: string; log?: string[]; code?: number; policy?: string }) {
  const dir = mkdtempSync(join(tmpdir(), 'termination-'))
  t.after(() => rmSync(dir, { recursive: true }))
  if (message !== undefined) writeFileSync(join(dir, 'message'), message)
  writeFileSync(join(dir, '0.log'), log.map((line) => `2026-01-01T00:00:00Z stdout ${line}\n`).join(''))
  const container = { ...exited('app', code), logPath: join(dir, '0.log'), annotations: { [TERMINATION_POLICY_ANNOTATION]: policy } } as unknown as ContainerStatus
  return (containers = 1) => terminationMessage(container, join(dir, 'message'), containers)
}

test('a container\'s message is what it wrote, 4 KiB of it at most', async (t) => {
  assert.equal(await ended(t, { message: 'done', log: ['F log'] })(), 'done')
  assert.equal((await ended(t, { message: 'x'.repeat(5_000) })()).length, 4_096)
})

test('one that failed without a word is told by the end of its log, if its policy says so', async (t) => {
  const log = ['F first', 'P sec', 'F ond']
  assert.equal(await ended(t, { message: '', log })(), 'first\nsecond\n')
  assert.equal(await ended(t, { log })(), 'first\nsecond\n')
  assert.equal(await ended(t, { message: '', log, policy: 'File' })(), '')
  assert.equal(await ended(t, { message: '', log, code: 0 })(), '')
})

test('of a long log the last 80 lines count, and of those the last 2 KiB', async (t) => {
  const short = Array.from({ length: 100 }, (_, i) => `F ${i}`)
  assert.equal(await ended(t, { log: short })(), short.slice(20).map((l) => `${l.slice(2)}\n`).join(''))
  const long = await ended(t, { log: Array.from({ length: 100 }, (_, i) => `F ${String(i).padStart(99, '.')}`) })()
  assert.deepEqual([long.length, long.endsWith('.99\n')], [2_048, true])
})

test('the containers of a pod share 12 KiB', async (t) => {
  const of = ended(t, { message: 'x'.repeat(5_000) })
  assert.deepEqual((await Promise.all([3, 4, 12].map((n) => of(n)))).map((m) => m.length), [4_096, 3_072, 1_024])
  assert.equal((await ended(t, { log: Array.from({ length: 100 }, () => `F ${'y'.repeat(99)}`) })(12)).length, 1_024)
})
