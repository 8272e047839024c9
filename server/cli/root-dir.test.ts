import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { rootDirOf } from './root-dir.ts'
import { podUids, removePodFiles } from './uninstall/pod-files.ts'

test('pods\' files are where DaemonSets look for them, unless a flag, another data directory or an earlier release says otherwise', () => {
  const where = (values: Record<string, string>, isThere = false) => rootDirOf(values, (path) => isThere && path === '/var/lib/skiff/agent/pods')
  assert.deepEqual([
    where({}), where({ 'data-dir': '/var/lib/skiff', 'root-dir': '' }), where({ 'data-dir': '/mnt/ssd' }), where({ 'data-dir': '/mnt/ssd', 'root-dir': '/var/lib/kubelet' }), where({}, true), where({ 'root-dir': '/k' }, true),
  ], ['/var/lib/kubelet', '/var/lib/kubelet', '/mnt/ssd/agent', '/var/lib/kubelet', '/var/lib/skiff/agent', '/k'])
})

test('uninstalling removes the files of its own pods and plugins, and leaves those of another kubelet', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'root-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const where = { dataDir: join(dir, 'skiff'), rootDir: join(dir, 'kubelet') }
  const make = (...path: string[]) => {
    mkdirSync(join(dir, ...path, '..'), { recursive: true })
    writeFileSync(join(dir, ...path), '')
  }
  make('skiff/agent/known-pods/11111111-aaaa.json')
  make('kubelet/pods/11111111-aaaa/volumes/file')
  make('kubelet/plugins/kubernetes.io/csi/driver/file')
  make('kubelet/device-plugins/kubelet.sock')
  make('kubelet/pod-resources/kubelet.sock')
  make('kubelet/image_manager/pulled/sha256-1')
  make('kubelet/pods/22222222-bbbb/volumes/file')
  assert.deepEqual(podUids(where), ['11111111-aaaa'])
  assert.equal(removePodFiles(where, podUids(where)), false)
  assert.deepEqual([readdirSync(where.rootDir), readdirSync(join(where.rootDir, 'pods'))], [['pods'], ['22222222-bbbb']])
  rmSync(join(where.rootDir, 'pods/22222222-bbbb'), { recursive: true })
  assert.equal(removePodFiles(where, []), true)
  assert.equal(existsSync(where.rootDir), false)
})
