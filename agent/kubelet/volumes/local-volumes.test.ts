import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { PersistentVolume, Stored } from '#api/types/index.ts'
import { podPaths } from '../pod-paths.ts'
import { aPod } from '../testing/builders.ts'
import type { Disks } from './disks.ts'
import { createLocalVolumes } from './local-volumes.ts'
import { createMemoryMounter } from './mounter.ts'
import { volumeFailures } from './volume-error.ts'

/** What the pod is told of a local volume of this path, if it cannot have it. */
async function told(t: TestContext, path: (dir: string) => string): Promise<[dir: string, message: string | undefined]> {
  const dir = mkdtempSync(join(tmpdir(), 'local-'))
  t.after(() => rmSync(dir, { recursive: true }))
  writeFileSync(join(dir, 'file'), '')
  const volumes = createLocalVolumes({ mounter: createMemoryMounter(), disks: {} as Disks, paths: podPaths(dir, dir), rootDir: dir, tell: () => {}, operations: { timed: (_plugin, _what, work) => work() } })
  const pv: Stored<PersistentVolume> = { metadata: { name: 'pv', uid: 'v', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' }, spec: { local: { path: path(dir), fsType: 'ext4' } } }
  const error = await volumes.setUp(aPod(), pv, false).then(() => undefined, (thrown: unknown) => thrown)
  return [dir, error === undefined ? undefined : volumeFailures([{ volume: 'data', isDevice: false, error }])[0]?.message]
}

test('a local volume that is not there, or is neither directory nor disk is told by the step at which upstream sees it', async (t) => {
  assert.equal((await told(t, (dir) => dir))[1], undefined)
  const [dir, missing] = await told(t, (d) => join(d, 'none'))
  assert.equal(missing, `MountVolume.NewMounter initialization failed for volume "pv" : path "${dir}/none" does not exist`)
  assert.equal((await told(t, (d) => join(d, 'file')))[1], 'MountVolume.NewMounter initialization failed for volume "pv" : only directory and block device are supported')
})
