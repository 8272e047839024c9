import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { limitsOf, readCgroupLayout, removeCgroup } from './cgroups.ts'
import { limitHugePagesBeside } from './huge-pages.ts'
import { ociResources } from './oci-spec.ts'

const TWO = 6 * 2 ** 20

/** A tree of version 2 beside version 1, made of plain files. */
function hybridTree(t: TestContext, controllers: string) {
  const root = mkdtempSync(join(tmpdir(), 'huge-'))
  t.after(() => rmSync(root, { recursive: true }))
  writeFileSync(join(root, 'cgroup.controllers'), controllers)
  const read = (path: string) => readFileSync(join(root, path), 'utf8')
  return { root, read, layout: readCgroupLayout([{ path: join(root, 'memory'), fsType: 'cgroup', source: 'cgroup', options: ['memory'], propagation: [] }, { path: root, fsType: 'cgroup2', source: 'cgroup2', options: [], propagation: [] }]) }
}

test('where the controller is version 2\'s beside version 1, limits of huge pages are set there, handed down from the root, and runc is not asked', async (t) => {
  const { root, read, layout } = hybridTree(t, 'hugetlb\n')
  const resources = { cpuShares: 2, hugepageLimits: { '2MB': TWO } }
  mkdirSync(join(root, 'lab/pod/main'), { recursive: true })
  writeFileSync(join(root, 'lab/pod/main/hugetlb.2MB.rsvd.max'), 'max')
  await limitHugePagesBeside('/lab/pod/main', resources, layout)
  await limitHugePagesBeside('/lab/pod/main', resources, layout)
  assert.deepEqual(
    [['', 'lab/', 'lab/pod/'].map((above) => read(`${above}cgroup.subtree_control`)), existsSync(join(root, 'lab/pod/main/cgroup.subtree_control')), read('lab/pod/main/hugetlb.2MB.max'), read('lab/pod/main/hugetlb.2MB.rsvd.max')],
    [['+hugetlb', '+hugetlb', '+hugetlb'], false, String(TWO), String(TWO)],
  )
  assert.deepEqual(ociResources(resources, limitsOf(layout)), { cpu: { shares: 2 } })
  assert.deepEqual(ociResources(resources, { ...limitsOf(layout), hasHugePageLimit: true }), { cpu: { shares: 2 }, hugepageLimits: [{ pageSize: '2MB', limit: TWO }] })
})

test('a tree beside without the controller is left alone, and so is the one of a container that asks for no huge pages', async (t) => {
  const [without, unasked] = [hybridTree(t, ''), hybridTree(t, 'hugetlb')]
  await limitHugePagesBeside('/pod', { hugepageLimits: { '2MB': TWO } }, without.layout)
  await limitHugePagesBeside('/pod', {}, unasked.layout)
  assert.deepEqual([without, unasked].map(({ root }) => existsSync(join(root, 'pod'))), [false, false])
})

const machine = readCgroupLayout()
const skip = process.getuid?.() !== 0 ? 'cgroups are root\'s' : machine.hybridControllers?.has('hugetlb') ? false : 'this machine has no controller of huge pages beside version 1'
test('the kernel takes them, and the cgroup goes as any other', { skip }, async (t) => {
  const path = `/skiff-huge-pages-${process.pid}`
  t.after(() => removeCgroup(path, machine))
  await limitHugePagesBeside(`${path}/main`, { hugepageLimits: { '2MB': TWO } }, machine)
  assert.equal(readFileSync(`${machine.hybrid ?? ''}${path}/main/hugetlb.2MB.max`, 'utf8').trim(), String(TWO))
  assert.ok(removeCgroup(path, machine))
  await assert.rejects(limitHugePagesBeside(`${path}/main`, { hugepageLimits: { '3MB': TWO } }, machine), /limits of huge pages cannot be set: /)
})
