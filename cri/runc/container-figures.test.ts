import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { FakeClock } from '#base/clock-fake.ts'
import { ContainerFigures } from './container-figures.ts'
import { runtimePaths } from './runtime-paths.ts'

test('a container\'s files are walked over once a minute, and nothing is kept of one that goes meanwhile', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'figures-'))
  t.after(() => rmSync(root, { recursive: true }))
  const paths = runtimePaths(root, join(root, 'run'))
  const clock = new FakeClock()
  const figures = new ContainerFigures(paths, clock)
  const { upper } = paths.container('c')
  mkdirSync(upper, { recursive: true })
  let files = 0
  const write = (): void => writeFileSync(join(upper, String(files++)), 'x'.repeat(4_096))
  const measured = async (): Promise<number> => (await figures.stats({ id: 'c', cgroupPath: '/none' }, { version: 2, controllers: new Map(), hasSwapLimit: false })).writableLayerUsedBytes
  write()
  const one = await measured()
  assert.ok(one > 0)
  write()
  assert.equal(await measured(), one)
  await clock.advance(60_000)
  assert.equal(await measured(), 2 * one)
  figures.forget('c')
  write()
  const asked = measured()
  figures.forget('c')
  assert.equal(await asked, 3 * one)
  write()
  assert.equal(await measured(), 4 * one)
})
