import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { systemClock } from '#base/clock.ts'
import { silentLog } from '#base/log.ts'
import { aContainer, aPod } from '../testing/builders.ts'
import { parseCgroupLayout } from './layout.ts'
import { createPodCgroups } from './pod-cgroups.ts'
import { cgroupSettings, cpuWeight } from './settings.ts'

const V1 = '30 25 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n31 25 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n32 25 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n'
const V2 = '30 25 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n'
const HYBRID = `${V1}33 25 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n`

test('the mount table tells the hierarchy; beside v1 controllers the unified tree has none', () => {
  const plain = (text: string) => { const l = parseCgroupLayout(text); return l && { version: l.version, roots: [...l.roots], unified: l.unified } }
  const v1 = [['memory', '/sys/fs/cgroup/memory'], ['cpu', '/sys/fs/cgroup/cpu,cpuacct'], ['cpuacct', '/sys/fs/cgroup/cpu,cpuacct'], ['systemd', '/sys/fs/cgroup/systemd']]
  assert.deepStrictEqual([plain(V1), plain(V2), plain(HYBRID), plain('')], [
    { version: 1, roots: v1, unified: undefined }, { version: 2, roots: [['', '/sys/fs/cgroup']], unified: undefined }, { version: 1, roots: v1, unified: '/sys/fs/cgroup/unified' }, undefined,
  ])
})

test('one set of limits in the words of either version', () => {
  const limits = { cpuShares: 512, cpuQuota: 50_000, memoryLimitBytes: 1024, pidsLimit: 100 }
  const written = (mountinfo: string, l: object) => { const layout = parseCgroupLayout(mountinfo); return layout && cgroupSettings(layout, { cpuShares: 2, ...l }).map((s) => `${s.file}=${s.value}`) }
  assert.deepStrictEqual(written(V2, limits), ['cpu.weight=20', 'cpu.max=50000 100000', 'memory.max=1024', 'memory.min=0', 'memory.low=0', 'pids.max=100'])
  assert.deepStrictEqual(written(V2, {}), ['cpu.weight=1', 'cpu.max=max 100000', 'memory.max=max', 'memory.min=0', 'memory.low=0', 'pids.max=max'])
  assert.deepStrictEqual(written(V2, { memoryMinBytes: 5, memoryLowBytes: 6 })?.slice(3, 5), ['memory.min=5', 'memory.low=6'])
  assert.deepStrictEqual(written(V1, limits), ['cpu.shares=512', 'cpu.cfs_period_us=100000', 'cpu.cfs_quota_us=50000', 'memory.limit_in_bytes=1024'], 'no pids controller, no pids limit')
  assert.deepStrictEqual([cpuWeight(2), cpuWeight(1024), cpuWeight(262_144)], [1, 39, 10_000])
})

const layout = existsSync('/proc/self/mountinfo') ? parseCgroupLayout(readFileSync('/proc/self/mountinfo', 'utf8')) : undefined
const tree = layout?.roots.get(layout.version === 2 ? '' : 'memory')
const root = `/skiff-test-${process.pid}`

function canMake(): boolean {
  try {
    mkdirSync(`${tree ?? '/nowhere'}${root}`)
    rmdirSync(`${tree ?? ''}${root}`)
    return true
  } catch {
    return false // Not root, or a read-only tree: the test says that it is skipped.
  }
}

test('all pods together are held to limits, can be let go again, and what they use is told', canMake() ? {} : { skip: 'cgroups cannot be made here' }, async () => {
  const cgroups = await createPodCgroups({ root, pidsLimit: -1, clock: systemClock, log: silentLog })
  const kubepods = (controller: string, file: string) => readFileSync(`${layout?.roots.get(layout.version === 2 ? '' : controller) ?? ''}${root}/kubepods/${file}`, 'utf8').trim()
  const [limit, shares] = layout?.version === 2 ? ['memory.max', 'cpu.weight'] : ['memory.limit_in_bytes', 'cpu.shares']
  assert.equal(await cgroups.podsMemory(), undefined)
  await cgroups.holdPods({ cpuMilli: 2_000, memoryBytes: 512 * 2 ** 20, pids: 1_234 })
  assert.deepStrictEqual([kubepods('memory', limit), kubepods('cpu', shares), kubepods('pids', 'pids.max')], [String(512 * 2 ** 20), layout?.version === 2 ? String(cpuWeight(2_048)) : '2048', '1234'])
  const { limitBytes, workingSetBytes = -1 } = await cgroups.podsMemory() ?? {}
  assert.ok(limitBytes === 512 * 2 ** 20 && workingSetBytes >= 0 && workingSetBytes < 2 ** 20)
  await cgroups.holdPods({ cpuMilli: 1_000 })
  assert.deepStrictEqual([kubepods('pids', 'pids.max'), Number(kubepods('memory', limit)) > 2 ** 40 || kubepods('memory', limit) === 'max', await cgroups.podsMemory()], ['max', true, undefined])
  for (const at of new Set(layout?.roots.values())) for (const dir of ['/kubepods', '']) rmdirSync(`${at}${root}${dir}`)
})

test('burstable pods have together what they ask for, best-effort ones next to nothing', canMake() ? {} : { skip: 'cgroups cannot be made here' }, async () => {
  const cgroups = await createPodCgroups({ root, pidsLimit: -1, clock: systemClock, log: silentLog })
  const requests = (uid: string, cpu?: string) => aPod({ containers: [aContainer('a', cpu === undefined ? {} : { resources: { requests: { cpu } } })] }, { uid })
  const shares = () => ['burstable', 'besteffort'].map((qos) => readFileSync(`${layout?.roots.get(layout.version === 2 ? '' : 'cpu') ?? ''}${root}/kubepods/${qos}/${layout?.version === 2 ? 'cpu.weight' : 'cpu.shares'}`, 'utf8').trim())
  const told = (...values: number[]) => values.map((v) => String(layout?.version === 2 ? cpuWeight(v) : v))
  await Promise.all([cgroups.ensure(requests('u1', '500m')), cgroups.ensure(requests('u2', '2')), cgroups.ensure(requests('u3'))])
  assert.deepStrictEqual(shares(), told(512 + 2_048, 2))
  await cgroups.ensure(requests('u1', '1'))
  assert.deepStrictEqual(shares(), told(1_024 + 2_048, 2))
  for (const uid of ['u1', 'u2']) await cgroups.remove(uid)
  assert.deepStrictEqual(shares(), told(2, 2))
  await cgroups.remove('u3')
  for (const at of new Set(layout?.roots.values())) for (const dir of ['/kubepods/burstable', '/kubepods/besteffort', '/kubepods', '']) rmdirSync(`${at}${root}${dir}`)
})

test('a node whose pods cannot be held together runs them all the same', canMake() ? {} : { skip: 'cgroups cannot be made here' }, async () => {
  const cgroups = await createPodCgroups({ root, pidsLimit: -1, clock: systemClock, log: silentLog })
  // As where they use more already: the kernel will not have it.
  await assert.rejects(cgroups.holdPods({ cpuMilli: 1_000, memoryBytes: Number.NaN }), { code: 'CGROUP_FAILED' })
  await cgroups.ensure(aPod({ containers: [aContainer('a', { resources: { requests: { cpu: '500m', memory: '1Mi' } } })] }))
  assert.equal(await cgroups.podsMemory(), undefined)
  await cgroups.remove('u1')
  for (const at of new Set(layout?.roots.values())) for (const dir of ['/kubepods/burstable', '/kubepods', '']) rmdirSync(`${at}${root}${dir}`)
})

test('a quota follows a period that is another after a restart, above containers that have theirs still', canMake() ? {} : { skip: 'cgroups cannot be made here' }, async () => {
  const pod = aPod({ containers: [aContainer('a', { resources: { limits: { cpu: '500m', memory: '64Mi' } } })] })
  const cpu = (path: string, file: string) => `${layout?.roots.get(layout.version === 2 ? '' : 'cpu') ?? ''}${path}/${file}`
  const quota = (path: string) => (layout?.version === 2 ? readFileSync(cpu(path, 'cpu.max'), 'utf8') : `${readFileSync(cpu(path, 'cpu.cfs_quota_us'), 'utf8').trim()} ${readFileSync(cpu(path, 'cpu.cfs_period_us'), 'utf8')}`).trim()
  const open = (cpuPeriodUs: number) => createPodCgroups({ root, pidsLimit: -1, cpuPeriodUs, clock: systemClock, log: silentLog })
  const path = await (await open(50_000)).ensure(pod)
  mkdirSync(cpu(path, 'container'))
  if (layout?.version !== 2) {
    writeFileSync(cpu(`${path}/container`, 'cpu.cfs_period_us'), '50000')
    writeFileSync(cpu(`${path}/container`, 'cpu.cfs_quota_us'), '25000')
  }
  const seen = [quota(path)]
  for (const period of [100_000, 10_000, 0]) {
    await (await open(period)).ensure(pod)
    seen.push(quota(path))
  }
  await (await open(100_000)).remove('u1')
  for (const at of new Set(layout?.roots.values())) for (const dir of ['/kubepods/burstable', '/kubepods', '']) rmdirSync(`${at}${root}${dir}`)
  assert.deepStrictEqual(seen, ['25000 50000', '50000 100000', '5000 10000', layout?.version === 2 ? 'max 100000' : '-1 100000'])
})

test('a pod\'s cgroup is made with its limits, found again, and removed with what is in it', canMake() ? {} : { skip: 'cgroups cannot be made here' }, async () => {
  const cgroups = await createPodCgroups({ root, pidsLimit: 50, clock: systemClock, log: silentLog })
  const pod = aPod({ containers: [aContainer('a', { resources: { requests: { cpu: '100m', memory: '64Mi' }, limits: { cpu: '200m', memory: '64Mi' } } })] })
  const path = await cgroups.ensure(pod)
  assert.equal(path, `${root}/kubepods/burstable/podu1`)
  assert.equal(await cgroups.ensure(pod), path)
  const memory = readFileSync(`${tree ?? ''}${path}/${layout?.version === 2 ? 'memory.max' : 'memory.limit_in_bytes'}`, 'utf8').trim()
  assert.equal(memory, String(64 * 2 ** 20))
  mkdirSync(`${tree ?? ''}${path}/left-over`)
  assert.deepStrictEqual(await cgroups.list(), ['u1'])
  await cgroups.remove('u1')
  await cgroups.remove('u1')
  assert.deepStrictEqual([existsSync(`${tree ?? ''}${path}`), await cgroups.list()], [false, []])
  for (const at of new Set(layout?.roots.values())) for (const dir of ['/kubepods/burstable', '/kubepods', '']) rmdirSync(`${at}${root}${dir}`)
})
