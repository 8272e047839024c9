import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { systemClock } from '#base/clock.ts'
import { openStartGate } from './start-gate.ts'

function gate(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'gate-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  const path = join(dir, 'exec.fifo')
  execFileSync('mkfifo', [path])
  return path
}

/** As runc's init does: it waits in open for a reader. */
async function arrive(path: string): Promise<void> {
  const file = await open(path, 'w')
  await file.write('0')
  await file.close()
}

test('a container that waits at its gate is let go, and the gate is gone', async (t) => {
  const path = gate(t)
  const init = arrive(path)
  await openStartGate(path, () => true, systemClock)
  await init
  assert.equal(existsSync(path), false)
})

test('one that has not come to its gate yet is waited for', async (t) => {
  const path = gate(t)
  let asked = 0
  let init: Promise<void> | undefined
  await openStartGate(path, () => {
    asked += 1
    // Only after the gate has been looked at twice.
    if (asked === 2) init = arrive(path)
    return true
  }, systemClock)
  await init
  assert.ok(asked >= 2)
})

test('one that died on the way is told of in the words of runc, and its gate stays for the clearing up', async (t) => {
  const path = gate(t)
  await assert.rejects(openStartGate(path, () => false, systemClock), { code: 'CRI_FAILED', message: 'container process is already dead' })
  assert.equal(existsSync(path), true)
})

test('one that died at its gate, without a word, has not been started', async (t) => {
  const path = gate(t)
  const init = open(path, 'w').then((file) => file.close())
  await assert.rejects(openStartGate(path, () => true, systemClock), { code: 'CRI_FAILED', message: 'container process is already dead' })
  await init
})

test('one that went through and ended before anybody looked has been started', async (t) => {
  const path = gate(t)
  await openStartGate(path, () => false, {
    ...systemClock,
    // The first look comes late: the byte lies in the fifo, which was not read from.
    after: (ms, fn) => systemClock.after(ms, () => {
      execFileSync('sh', ['-c', 'printf 0 > "$1"', 'sh', path])
      fn()
    }),
  })
  assert.equal(existsSync(path), false)
})

test('a gate is opened once', async (t) => {
  const path = gate(t)
  const init = arrive(path)
  await openStartGate(path, () => true, systemClock)
  await init
  await assert.rejects(openStartGate(path, () => true, systemClock), { code: 'CRI_FAILED', message: 'cannot start a container that has stopped or is running already' })
})
