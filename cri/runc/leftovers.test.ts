import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '#base/clock.ts'
import { missingForContainers } from '#test/images/runtime-machine.ts'
import { cgroupDirectories, joinCgroup, readCgroupLayout, removeCgroup } from './cgroups.ts'
import { clearContainerRemains } from './leftovers.ts'

test('what a container leaves in its cgroup, and in those it made below, is killed; then all of it goes', { skip: await missingForContainers() }, async (t) => {
  const layout = readCgroupLayout()
  const cgroupPath = `/skiff-leftovers-${process.pid}/c1`
  const ociRoot = mkdtempSync(join(tmpdir(), 'oci-'))
  const orphans = [spawn('sleep', ['100000'], { stdio: 'ignore' }), spawn('sleep', ['100000'], { stdio: 'ignore' })]
  t.after(() => {
    for (const child of orphans) child.kill('SIGKILL')
    removeCgroup(`/skiff-leftovers-${process.pid}`, layout)
    rmSync(ociRoot, { recursive: true })
  })
  const ended = orphans.map((child) => once(child, 'exit'))
  mkdirSync(join(ociRoot, 'c1'))
  // Version 2 takes processes in leaves only.
  joinCgroup(`${cgroupPath}/a`, orphans[0]?.pid ?? 0, layout)
  joinCgroup(`${cgroupPath}/made/below`, orphans[1]?.pid ?? 0, layout)
  const clear = () => clearContainerRemains({ id: 'c1', cgroupPath, ociRoot, layout, clock: systemClock })
  await clear()
  assert.deepEqual((await Promise.all(ended)).map((end: unknown[]) => end[1]), ['SIGKILL', 'SIGKILL'])
  assert.deepEqual([cgroupDirectories(cgroupPath, layout).filter((path) => existsSync(path)), existsSync(join(ociRoot, 'c1'))], [[], false])
  await clear()
})
