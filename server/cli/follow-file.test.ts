import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { systemClock, type Clock } from '#base/clock.ts'
import { silentLog } from '#base/log.ts'
import { followFile } from './follow-file.ts'

/** `quiet` resolves when the directory has been looked at once more, after which nothing is left to be done. */
function world(t: TestContext) {
  const dir = mkdtempSync(join(tmpdir(), 'follow-file-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const state: { looked?: () => void } = {}
  const clock: Clock = { ...systemClock, after: (ms, run) => systemClock.after(ms, () => { run(); state.looked?.() }) }
  return {
    clock,
    write(name: string, text: string) { writeFileSync(join(dir, name), text); return join(dir, name) },
    quiet: () => new Promise<void>((resolve) => { state.looked = () => setImmediate(resolve) }),
  }
}

test('a file is loaded when it says something else, not when another one beside it changes', async (t) => {
  const w = world(t)
  const loads: string[] = []
  const path = w.write('followed', 'one')
  t.after(followFile(path, () => { loads.push('load') }, { clock: w.clock, log: silentLog }))
  let quiet = w.quiet()
  w.write('another', 'x')
  await quiet
  quiet = w.quiet()
  w.write('followed', 'one')
  await quiet
  assert.deepStrictEqual(loads, [])
  quiet = w.quiet()
  w.write('followed', 'two')
  await quiet
  assert.deepStrictEqual(loads, ['load'])
})

test('what could not be loaded is tried again with the next change beside it', async (t) => {
  const w = world(t)
  const loads: string[] = []
  const path = w.write('followed', 'one')
  t.after(followFile(path, () => {
    loads.push('load')
    if (loads.length === 1) throw new Error('not yet')
  }, { clock: w.clock, log: silentLog }))
  for (const name of ['followed', 'another', 'another']) {
    const quiet = w.quiet()
    w.write(name, 'two')
    await quiet
  }
  assert.deepStrictEqual(loads, ['load', 'load'])
})
