import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '#base/clock.ts'
import { OciRuntime } from './oci-runtime.ts'
import { runtimePaths } from './runtime-paths.ts'

test('a container is the business of the runtime that made it, whatever is set now', () => {
  const root = mkdtempSync(join(tmpdir(), 'skiff-oci-'))
  const paths = runtimePaths(join(root, 'data'), join(root, 'run'))
  const state = (id: string, ...files: string[]) => {
    mkdirSync(join(paths.ociRoot, id), { recursive: true })
    for (const file of files) writeFileSync(join(paths.ociRoot, id, file), '')
  }
  state('by-runc', 'state.json')
  state('by-crun', 'status')
  state('runc-waits', 'state.json', 'exec.fifo')
  state('crun-waits', 'status', 'exec.fifo')
  state('half-made')
  try {
    const runc = new OciRuntime({ kind: 'runc', program: '/opt/runc', conmon: 'conmon', paths, clock: systemClock })
    const crun = new OciRuntime({ kind: 'crun', program: 'crun', conmon: 'conmon', paths, clock: systemClock })
    const ids = ['by-runc', 'by-crun', 'half-made', 'unknown']
    assert.deepStrictEqual(ids.map((id) => [runc.argv(id)[0], crun.argv(id)[0]]), [['/opt/runc', 'runc'], ['crun', 'crun'], ['/opt/runc', 'crun'], ['/opt/runc', 'crun']])
    assert.deepStrictEqual(crun.argv('by-runc', 'kill', 'by-runc'), ['runc', '--root', paths.ociRoot, 'kill', 'by-runc'])
    assert.deepStrictEqual([...ids, 'runc-waits', 'crun-waits'].map((id) => runc.hasStarted(id)), [true, true, false, false, false, false])
  } finally {
    rmSync(root, { recursive: true })
  }
})
