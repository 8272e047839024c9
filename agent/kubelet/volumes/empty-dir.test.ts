import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { EmptyDirVolumeSource } from '#api/types/index.ts'
import { podPaths } from '../pod-paths.ts'
import { aPod } from '../testing/builders.ts'
import { EMPTY_DIR, setUpEmptyDir } from './empty-dir.ts'
import { systemMounter } from './mounter.ts'
import { setOwnership } from './ownership.ts'

const needsRoot = process.getuid?.() === 0 ? {} : { skip: 'mounting and changing owners need root' }

function world(t: TestContext, emptyDir: EmptyDirVolumeSource) {
  const root = mkdtempSync(join(tmpdir(), 'empty-dir-'))
  t.after(async () => {
    for (const point of await systemMounter.below(root)) await systemMounter.unmount(point)
    rmSync(root, { recursive: true, force: true })
  })
  const paths = podPaths(root, join(root, 'logs'))
  const pod = aPod()
  const dir = paths.volume(pod.metadata.uid, EMPTY_DIR, 'v')
  const given: string[] = []
  const setUp = (fails?: Error) => setUpEmptyDir({ paths, mounter: systemMounter }, {
    pod, volume: { name: 'v', emptyDir }, allocatableMemory: '1Mi',
    own: async (path) => {
      given.push(path)
      if (fails) throw fails
      await setOwnership(path, { gid: 4321, readonly: false, policy: 'Always' })
    },
  })
  const modes = (...names: string[]) => names.map((name) => (statSync(join(dir, name)).mode & 0o7777).toString(8))
  return { dir, given, setUp, modes, ready: join(paths.plugin(pod.metadata.uid, EMPTY_DIR, 'v'), 'ready') }
}

for (const medium of ['', 'Memory']) {
  test(`an emptyDir of medium "${medium}" is made once: a restart of the agent leaves what containers made of it`, needsRoot, async (t) => {
    const w = world(t, medium === '' ? {} : { medium })
    await w.setUp()
    assert.deepStrictEqual([w.modes('.'), statSync(w.dir).gid, existsSync(w.ready)], [medium === '' ? ['2777'] : ['3777'], 4321, true])
    writeFileSync(join(w.dir, 'key'), 'secret', { mode: 0o600 })
    chmodSync(w.dir, 0o700)
    await w.setUp()
    assert.deepStrictEqual([w.modes('.', 'key'), w.given], [['700', '600'], [w.dir]])
  })
}

test('one that was not finished is made anew, and one in memory after a reboot', needsRoot, async (t) => {
  const w = world(t, { medium: 'Memory' })
  await assert.rejects(w.setUp(new Error('no')))
  await w.setUp()
  writeFileSync(join(w.dir, 'file'), '')
  await systemMounter.unmount(w.dir)
  await w.setUp()
  assert.deepStrictEqual([w.given.length, existsSync(join(w.dir, 'file')), w.modes('.')], [3, false, ['3777']])
})

test('a medium that nobody knows is refused in upstream\'s words', async (t) => {
  await assert.rejects(world(t, { medium: 'Tape' }).setUp(), { message: 'unknown storage medium "Tape"' })
})
