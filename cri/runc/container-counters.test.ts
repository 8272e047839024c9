import assert from 'node:assert/strict'
import { once } from 'node:events'
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { CgroupLayout } from './cgroups.ts'
import { readContainerCounters } from './container-counters.ts'
import { containerMetrics, METRIC_DESCRIPTORS, parseNetDev, podMetrics } from './metrics.ts'

/** A cgroup of these files; on version 1 each controller has a directory. */
function cgroup(t: TestContext, version: 1 | 2, files: Record<string, string>): CgroupLayout {
  const root = mkdtempSync(join(tmpdir(), 'counters-'))
  t.after(() => rmSync(root, { recursive: true }))
  const controllers = new Map(['cpu', 'cpuacct', 'memory', 'blkio', 'io', 'pids', 'hugetlb'].map((name) => [name, version === 2 ? root : join(root, name)]))
  for (const directory of controllers.values()) mkdirSync(join(directory, 'pod/main'), { recursive: true })
  for (const [path, text] of Object.entries(files)) {
    const [controller = '', file = ''] = path.split('/')
    writeFileSync(join(controllers.get(controller) ?? root, 'pod/main', file), text)
  }
  return { version, controllers, hasSwapLimit: true }
}

const NO_TASKS = { processes: 0, files: 0, sockets: 0, filesSoftLimit: 0 }

test('a cgroup of version 2 is read: weight as shares, "max" as no limit, pressure in seconds', async (t) => {
  const layout = cgroup(t, 2, {
    'cpu/cpu.stat': 'usage_usec 3000000\nuser_usec 2000000\nsystem_usec 1000000\nnr_periods 10\nnr_throttled 4\nthrottled_usec 500000\n', 'cpu/cpu.max': '20000 100000\n', 'cpu/cpu.weight': '39\n',
    'cpu/cpu.pressure': 'some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1000000\n',
    'memory/memory.stat': 'anon 1\nfile 4096\nkernel 512\nfile_mapped 1024\npgfault 7\npgmajfault 2\n', 'memory/memory.events': 'low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\n', 'memory/memory.peak': '9999\n',
    'memory/memory.max': '67108864\n', 'memory/memory.swap.max': '0\n', 'memory/memory.low': '1000\n',
    'io/io.stat': '8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n254:16 rbytes=5 wbytes=0 rios=1 wios=0\n',
    'pids/pids.current': '5\n', 'pids/pids.max': 'max\n', 'hugetlb/hugetlb.2MB.current': '2097152\n', 'hugetlb/hugetlb.2MB.rsvd.current': '0\n',
  })
  assert.deepEqual(await readContainerCounters('pod/main', layout), {
    cpu: { userSeconds: 2, systemSeconds: 1, periods: 10, throttledPeriods: 4, throttledSeconds: 0.5 },
    memory: { cacheBytes: 4096, mappedFileBytes: 1024, swapBytes: 0, kernelBytes: 512, peakBytes: 9999, limitHits: 3, minorFaults: 7, majorFaults: 2, oomKills: 1 },
    io: [{ major: '8', minor: '0', reads: 1, writes: 2, readBytes: 10, writtenBytes: 20 }, { major: '254', minor: '16', reads: 1, writes: 0, readBytes: 5, writtenBytes: 0 }],
    hugePages: [{ size: '2MB', bytes: 2_097_152, peakBytes: 0 }],
    pressure: { cpu: { waitingSeconds: 2.5, stalledSeconds: 1 }, memory: { waitingSeconds: 0, stalledSeconds: 0 }, io: { waitingSeconds: 0, stalledSeconds: 0 } },
    tasks: { ...NO_TASKS, threads: 5, threadsMax: 0 },
    limits: { cpuPeriodMicros: 100_000, cpuQuotaMicros: 20_000, cpuShares: 998, memoryBytes: 67_108_864, memoryAndSwapBytes: 67_108_864, memoryReservationBytes: 1000 },
  })
})

test('huge pages are read from the tree beside where cgroups are hybrid and the controller is version 2\'s', async (t) => {
  const { controllers, hasSwapLimit } = cgroup(t, 1, {})
  const hybrid = controllers.get('hugetlb') ?? ''
  controllers.delete('hugetlb')
  writeFileSync(join(hybrid, 'pod/main/hugetlb.2MB.current'), '2097152\n')
  const read = (more: Partial<CgroupLayout>) => readContainerCounters('pod/main', { version: 1, controllers, hasSwapLimit, hybrid, ...more }).then((c) => c.hugePages)
  assert.deepEqual([await read({ hybridControllers: new Set(['hugetlb']) }), await read({ hybridControllers: new Set() })], [[{ size: '2MB', bytes: 2_097_152, peakBytes: 0 }], []])
})

test('cgroups of version 1 are read: ticks as seconds, the largest number as no limit', async (t) => {
  const layout = cgroup(t, 1, {
    'cpuacct/cpuacct.stat': 'user 250\nsystem 50\n', 'cpu/cpu.stat': 'nr_periods 10\nnr_throttled 4\nthrottled_time 500000000\n', 'cpu/cpu.cfs_period_us': '100000\n', 'cpu/cpu.cfs_quota_us': '-1\n', 'cpu/cpu.shares': '1024\n',
    'memory/memory.stat': 'cache 1\ntotal_cache 4096\ntotal_mapped_file 1024\ntotal_swap 16\ntotal_pgfault 7\ntotal_pgmajfault 2\n', 'memory/memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 1\n',
    'memory/memory.kmem.usage_in_bytes': '512\n', 'memory/memory.max_usage_in_bytes': '9999\n', 'memory/memory.failcnt': '3\n', 'memory/memory.limit_in_bytes': '9223372036854771712\n', 'memory/memory.soft_limit_in_bytes': '9223372036854771712\n',
    'blkio/blkio.throttle.io_service_bytes_recursive': '8:0 Read 10\n8:0 Write 20\n8:0 Sync 30\nTotal 30\n', 'blkio/blkio.throttle.io_serviced_recursive': '8:0 Read 1\n8:0 Write 2\n',
    'pids/pids.current': '5\n', 'pids/pids.max': '100\n', 'hugetlb/hugetlb.2MB.usage_in_bytes': '0\n', 'hugetlb/hugetlb.2MB.max_usage_in_bytes': '2097152\n',
  })
  assert.deepEqual(await readContainerCounters('pod/main', layout), {
    cpu: { userSeconds: 2.5, systemSeconds: 0.5, periods: 10, throttledPeriods: 4, throttledSeconds: 0.5 },
    memory: { cacheBytes: 4096, mappedFileBytes: 1024, swapBytes: 16, kernelBytes: 512, peakBytes: 9999, limitHits: 3, minorFaults: 7, majorFaults: 2, oomKills: 1 },
    io: [{ major: '8', minor: '0', reads: 1, writes: 2, readBytes: 10, writtenBytes: 20 }],
    hugePages: [{ size: '2MB', bytes: 0, peakBytes: 2_097_152 }], pressure: undefined,
    tasks: { ...NO_TASKS, threads: 5, threadsMax: 100 },
    limits: { cpuPeriodMicros: 100_000, cpuQuotaMicros: 0, cpuShares: 1024, memoryBytes: 0, memoryAndSwapBytes: 0, memoryReservationBytes: 0 },
  })
})

test('a cgroup that is gone counts nothing', async (t) => {
  const counters = await readContainerCounters('pod/gone', cgroup(t, 2, {}))
  assert.deepEqual([counters.cpu.userSeconds, counters.io, counters.pressure, counters.tasks], [0, [], undefined, { ...NO_TASKS, threads: 0, threadsMax: 0 }])
})

test('what its processes have open is counted; of very many only the first are asked what they are', async (t) => {
  const layout = cgroup(t, 2, { 'cpu/cgroup.procs': `${process.pid}\n4194305\n` })
  const tasks = async () => (await readContainerCounters('pod/main', layout)).tasks
  const listening = async () => {
    const server = createServer().listen(0, '127.0.0.1')
    t.after(() => server.close())
    await once(server, 'listening')
  }
  const before = await tasks()
  assert.deepEqual([before.processes, before.filesSoftLimit > 0], [2, true])
  await listening()
  const more = await tasks()
  assert.deepEqual([more.files > before.files, more.sockets - before.sockets], [true, 1])
  const files = Array.from({ length: 4_100 }, () => openSync('/dev/null', 'r'))
  t.after(() => { for (const fd of files) closeSync(fd) })
  await listening()
  const many = await tasks()
  assert.deepEqual([many.files - more.files >= 4_101, many.sockets - more.sockets], [true, 0])
})

test('each sample has as many label values as its descriptor has names', async (t) => {
  const counters = await readContainerCounters('pod/main', cgroup(t, 2, { 'io/io.stat': '8:0 rbytes=10 wbytes=20 rios=1 wios=2\n', 'cpu/cpu.pressure': 'some total=1\n', 'cpu/cpu.max': '1 2\n', 'hugetlb/hugetlb.2MB.current': '0\n' }))
  const sandbox = { id: 's', state: 'ready' as const, createdAtMs: 0, ips: [], labels: {}, annotations: {}, metadata: { name: 'web', namespace: 'shop', uid: 'u', attempt: 0 } }
  const status = { id: 'c', sandboxId: 's', metadata: { name: 'main', attempt: 0 }, state: 'running' as const, createdAtMs: 0, startedAtMs: 5_000, finishedAtMs: 0, exitCode: 0, reason: '', message: '', imageId: 'i', imageRef: 'docker.io/library/busybox:1', labels: {}, annotations: {}, logPath: '' }
  const stats = { containerId: 'c', atMs: 7_500, cpuUsageCoreNanoSeconds: 1_500_000_000, memoryWorkingSetBytes: 1, memoryUsageBytes: 2, memoryRssBytes: 3, writableLayerUsedBytes: 4, writableLayerInodesUsed: 3, pids: 1 }
  const interfaces = parseNetDev('Inter-|   Receive   |  Transmit\n face |bytes packets\n    lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n  eth0: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n')
  const counted = { status, cgroupPath: '/kubepods/c', stats, counters, io: counters.io.map((io) => ({ ...io, device: '/dev/sda' })), fs: { device: '/dev/sda1', major: '8', minor: '1', bytes: 100 } }
  const samples = [...containerMetrics(counted, sandbox), ...podMetrics(interfaces, sandbox, '/kubepods', 7_500)]
  const descriptors = new Map(METRIC_DESCRIPTORS.map((d) => [d.name, d]))
  for (const { name, labelValues } of samples) assert.equal(labelValues.length, descriptors.get(name)?.labelKeys.length, name)
  assert.deepEqual(METRIC_DESCRIPTORS.filter(({ name }) => !samples.some((s) => s.name === name)), [])
  const shown = (name: string) => samples.filter((s) => s.name === name).map(({ value, labelValues }) => [value, ...labelValues])
  assert.deepEqual(shown('container_cpu_usage_seconds_total'), [[1.5, 'main', '/kubepods/c', 'docker.io/library/busybox:1', 'c', 'shop', 'web', 'total']])
  assert.deepEqual(shown('container_fs_reads_bytes_total'), [[10, 'main', '/kubepods/c', 'docker.io/library/busybox:1', 'c', 'shop', 'web', '/dev/sda']])
  assert.deepEqual(['total', 'free'].map((which) => shown(`container_fs_inodes_${which}`).map(([value, ...labels]) => [value, labels.at(-1)])), [[[3, '/dev/sda1']], [[0, '/dev/sda1']]], 'as cAdvisor has them of a container')
  const idle = containerMetrics({ ...counted, io: [] }, sandbox).filter(({ name }) => name === 'container_fs_reads_bytes_total' || name === 'container_blkio_device_usage_total')
  assert.deepEqual(idle.map(({ value, labelValues }) => [value, ...labelValues.slice(6)]), [[0, '/dev/sda1', '8', '1', 'Read'], [0, '/dev/sda1', '8', '1', 'Write'], [0, '/dev/sda1']], 'a counter that has not begun')
  assert.deepEqual(shown('container_network_transmit_packets_dropped_total'), [[8, '', '/kubepods', '', 's', 'shop', 'web', 'eth0']])
})
