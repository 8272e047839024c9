import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KUBELET_DEFAULTS } from '../config.ts'
import { periodsOf } from '../shutdown/periods.ts'
import { parseDiskStats, parseMountedDevices, readHostDisks } from './host-disks.ts'
import { ownUsage, parseFaults, parseInterfaces, parseMemory, parseStat, parseSwap, readFs, readHostUsage } from './host-usage.ts'
import { cadvisorMetrics, logMetrics, metricsText, probeMetrics, resourceMetrics } from './metrics-text.ts'
import { kubeletConfiguration } from './node-figures.ts'
import { createCpuRates } from './rates.ts'
import { ephemeralBytes, podTotals, summaryOf, type ContainerSample, type NodeSample, type PodSample } from './summary.ts'

const AT = Date.UTC(2026, 0, 1)
const container = (name: string, more: Partial<ContainerSample> = {}): ContainerSample => ({
  name, id: `id-${name}`, image: 'docker.io/library/busybox:1', startedAtMs: AT - 60_000, pids: 2, rootfsUsedBytes: 10, logsUsedBytes: 5,
  cpu: { atMs: AT, coreNanoSeconds: 2_500_000_000, nanoCores: 7 }, memory: { atMs: AT, usageBytes: 300, workingSetBytes: 200, rssBytes: 100 }, ...more,
})
const pod: PodSample = {
  name: 'web', namespace: 'shop', uid: 'u1', startedAtMs: AT - 61_000, containers: [container('a'), container('b', { cpu: { atMs: AT + 1, coreNanoSeconds: 500_000_000, nanoCores: undefined } })],
  volumes: [{ name: 'data', usedBytes: 1_000, inodesUsed: 3, isEphemeral: true }, { name: 'ram', usedBytes: 50, inodesUsed: 1, isEphemeral: false }],
}
const fs = { atMs: AT, capacityBytes: 1_000, availableBytes: 400, usedBytes: 600, inodes: 100, inodesFree: 90, inodesUsed: 10 }
const node: NodeSample = {
  name: 'n1', bootedAtMs: AT - 3_600_000, cpu: { atMs: AT, coreNanoSeconds: 9_000_000_000, nanoCores: undefined }, memory: { atMs: AT, usageBytes: 900, workingSetBytes: 700, rssBytes: 500, availableBytes: 300 },
  fs, imageFs: fs, imagesUsedBytes: 77, interfaces: [{ name: 'eth0', rxBytes: 1, rxErrors: 0, txBytes: 2, txErrors: 0 }], pids: 12, pidsMax: 100, systemContainers: [],
}

test('/stats/summary has upstream\'s fields; with only_cpu_and_memory nothing else', () => {
  const time = '2026-01-01T00:00:00Z'
  const usage = (usedBytes: number) => ({ time, availableBytes: 400, capacityBytes: 1_000, usedBytes, inodesFree: 90, inodes: 100, inodesUsed: 10 })
  const eth0 = { name: 'eth0', rxBytes: 1, rxErrors: 0, txBytes: 2, txErrors: 0 }
  const memory = { time, usageBytes: 300, workingSetBytes: 200, rssBytes: 100 }
  const startTime = '2025-12-31T23:59:00Z'
  assert.deepStrictEqual(summaryOf(node, [{ ...pod, containers: [container('a')] }]), {
    node: {
      nodeName: 'n1', startTime: '2025-12-31T23:00:00Z', cpu: { time, usageCoreNanoSeconds: 9_000_000_000 }, memory: { time, availableBytes: 300, usageBytes: 900, workingSetBytes: 700, rssBytes: 500 },
      network: { time, ...eth0, interfaces: [eth0] }, fs: usage(600), runtime: { imageFs: usage(77), containerFs: usage(10) }, rlimit: { time, maxpid: 100, curproc: 12 },
    },
    pods: [{
      podRef: { name: 'web', namespace: 'shop', uid: 'u1' }, startTime: '2025-12-31T23:58:59Z', cpu: { time, usageNanoCores: 7, usageCoreNanoSeconds: 2_500_000_000 }, memory,
      containers: [{ name: 'a', startTime, cpu: { time, usageNanoCores: 7, usageCoreNanoSeconds: 2_500_000_000 }, memory, rootfs: usage(10), logs: usage(5) }],
      volume: [{ ...usage(1_000), inodesUsed: 3, name: 'data' }, { ...usage(50), inodesUsed: 1, name: 'ram' }], 'ephemeral-storage': { ...usage(1_015), inodesUsed: 3 }, process_stats: { process_count: 2 },
    }],
  })
  assert.deepStrictEqual(Object.keys((summaryOf(node, [pod], true) as { pods: object[] }).pods[0] ?? {}), ['podRef', 'startTime', 'containers', 'cpu', 'memory'])
})

test('swap, pressure, page faults and what is left of a limit are told of whom they are known', () => {
  const time = '2026-01-01T00:00:00Z'
  const stall = (total: number) => ({ full: { total, avg10: 0, avg60: 0, avg300: 0 }, some: { total: 2 * total, avg10: 1.5, avg60: 0, avg300: 0 } })
  const counted = { cpu: { atMs: AT, coreNanoSeconds: 1, nanoCores: 7, pressure: stall(1) }, memory: { atMs: AT, usageBytes: 300, workingSetBytes: 200, rssBytes: 100, availableBytes: 50, pageFaults: 9, majorPageFaults: 2, pressure: stall(3) }, swap: { usageBytes: 4, availableBytes: 6 }, ioPressure: stall(5) }
  const shown = { cpu: { time, usageNanoCores: 7, usageCoreNanoSeconds: 1, psi: stall(1) }, memory: { time, availableBytes: 50, usageBytes: 300, workingSetBytes: 200, rssBytes: 100, pageFaults: 9, majorPageFaults: 2, psi: stall(3) }, io: { time, psi: stall(5) }, swap: { time, swapAvailableBytes: 6, swapUsageBytes: 4 } }
  const startTime = '2025-12-31T23:59:00Z'
  const world = { ...node, ...counted, systemContainers: [{ name: 'pods', startedAtMs: AT - 60_000, ...counted }] }
  const told = (onlyCpuAndMemory: boolean) => summaryOf(world, [{ ...pod, containers: [container('a', { ...counted, rootfsInodesUsed: 4, logsInodesUsed: 5 })] }], onlyCpuAndMemory) as { node: Record<string, unknown>; pods: Record<string, unknown>[] }
  const { node: n, pods: [p] } = told(false)
  assert.partialDeepStrictEqual(n, { ...shown, systemContainers: [{ name: 'pods', startTime, ...shown }] })
  assert.partialDeepStrictEqual(p, {
    containers: [{ name: 'a', startTime, ...shown, rootfs: { inodesUsed: 4, inodes: 100 }, logs: { inodesUsed: 5, inodes: 100 } }],
    // Where one container's pressure is not the pod's, the pod's own cgroup tells it.
    cpu: { time, usageNanoCores: 7, usageCoreNanoSeconds: 1 }, swap: { time, swapAvailableBytes: 6, swapUsageBytes: 4 }, memory: { time, usageBytes: 300, workingSetBytes: 200, rssBytes: 100, pageFaults: 9, majorPageFaults: 2 }, 'ephemeral-storage': { inodesUsed: 12 },
  })
  assert.deepStrictEqual(told(true).pods.map((each) => each['containers']), [[{ name: 'a', startTime, cpu: shown.cpu, memory: shown.memory, swap: shown.swap }]])
  const busy = summaryOf(node, [{ ...pod, containers: [container('a', { pids: 40, processes: 3 }), container('b')] }]) as { pods: Record<string, unknown>[] }
  assert.deepStrictEqual(busy.pods[0]?.['process_stats'], { process_count: 5 }, 'threads are no processes')
  const own = summaryOf(node, [{ ...pod, own: { path: '/p', ...counted }, interfaces: node.interfaces }]) as { pods: Record<string, unknown>[] }
  assert.partialDeepStrictEqual(own.pods[0], { ...shown, network: { time, name: 'eth0', rxBytes: 1, interfaces: [{ name: 'eth0', rxBytes: 1, rxErrors: 0, txBytes: 2, txErrors: 0 }] } })
})

test('/metrics/resource tells of swap where it is counted, of its limit where there is one', () => {
  const swapping = container('a', { swap: { usageBytes: 4, availableBytes: 6 } })
  const lines = (swap: boolean) => resourceMetrics({ node: { ...node, ...(swap && { swap: { usageBytes: 9 } }) }, pods: [{ ...pod, containers: swap ? [swapping, container('b', { swap: { usageBytes: 1 } })] : pod.containers }] }).split('\n').filter((l) => /^\w+_swap_/.test(l))
  assert.deepStrictEqual(lines(true), [
    `container_swap_limit_bytes{container="a",namespace="shop",pod="web"} 10 ${AT}`, `container_swap_usage_bytes{container="a",namespace="shop",pod="web"} 4 ${AT}`, `container_swap_usage_bytes{container="b",namespace="shop",pod="web"} 1 ${AT}`,
    `node_swap_usage_bytes 9 ${AT}`, `pod_swap_usage_bytes{namespace="shop",pod="web"} 5 ${AT}`,
  ])
  assert.deepStrictEqual(lines(false), [])
})

test('a pod is the sum of its containers; only volumes on disk are ephemeral storage', () => {
  assert.deepStrictEqual(podTotals(pod), { cpu: { atMs: AT + 1, coreNanoSeconds: 3_000_000_000, nanoCores: 7 }, memory: { atMs: AT, usageBytes: 600, workingSetBytes: 400, rssBytes: 200 } })
  assert.deepStrictEqual([podTotals({ ...pod, containers: [] }), ephemeralBytes(pod)], [undefined, 1_030])
})

test('/metrics/resource is what metrics-server reads', () => {
  const lines = resourceMetrics({ node, pods: [pod] }).split('\n').filter((l) => !l.startsWith('# HELP'))
  assert.deepStrictEqual(lines, [
    '# TYPE container_cpu_usage_seconds_total counter', `container_cpu_usage_seconds_total{container="a",namespace="shop",pod="web"} 2.5 ${AT}`, `container_cpu_usage_seconds_total{container="b",namespace="shop",pod="web"} 0.5 ${AT + 1}`,
    '# TYPE container_memory_working_set_bytes gauge', `container_memory_working_set_bytes{container="a",namespace="shop",pod="web"} 200 ${AT}`, `container_memory_working_set_bytes{container="b",namespace="shop",pod="web"} 200 ${AT}`,
    '# TYPE container_start_time_seconds gauge', `container_start_time_seconds{container="a",namespace="shop",pod="web"} ${AT / 1000 - 60}`, `container_start_time_seconds{container="b",namespace="shop",pod="web"} ${AT / 1000 - 60}`,
    '# TYPE node_cpu_usage_seconds_total counter', `node_cpu_usage_seconds_total 9 ${AT}`, '# TYPE node_memory_working_set_bytes gauge', `node_memory_working_set_bytes 700 ${AT}`,
    '# TYPE pod_cpu_usage_seconds_total counter', `pod_cpu_usage_seconds_total{namespace="shop",pod="web"} 3 ${AT + 1}`, '# TYPE pod_memory_working_set_bytes gauge', `pod_memory_working_set_bytes{namespace="shop",pod="web"} 400 ${AT}`,
    '# TYPE resource_scrape_error gauge', 'resource_scrape_error 0', '',
  ])
  assert.match(resourceMetrics(undefined), /^resource_scrape_error 1$/m)
})

test('labels are escaped, and families without samples left out', () => {
  assert.match(metricsText([{ name: 'a', help: 'h', type: 'gauge', samples: [{ value: Infinity }] }]), /^a \+Inf$/m)
  assert.equal(metricsText([{ name: 'a', help: 'h', type: 'gauge', samples: [{ labels: { z: 'x"\\\n', a: '1' }, value: 1 }] }, { name: 'b', help: 'h', type: 'gauge', samples: [] }]), '# HELP a h\n# TYPE a gauge\na{a="1",z="x\\"\\\\\\n"} 1\n')
  assert.match(logMetrics([{ uid: 'u', namespace: 'n', pod: 'p', container: 'c', bytes: 7 }]), /^kubelet_container_log_filesystem_used_bytes\{container="c",namespace="n",pod="p",uid="u"\} 7$/m)
  assert.match(probeMetrics([{ namespace: 'n', pod: 'p', podUid: 'u', container: 'c', kind: 'liveness', result: 'failed', count: 3 }]), /^prober_probe_total\{container="c",namespace="n",pod="p",pod_uid="u",probe_type="Liveness",result="failed"\} 3$/m)
})

test('a rate is that between readings a second or more apart; what fell, slept or went begins anew', () => {
  const rates = createCpuRates()
  assert.deepStrictEqual([rates.rate('c', 1_000, 0), rates.rate('c', 2_000, 500), rates.rate('c', 5_000, 2_000), rates.rate('c', 6_000, 2_500), rates.rate('c', 100, 4_000), rates.rate('c', 200, 400_000)], [undefined, undefined, 2_000, 2_000, undefined, undefined])
  rates.keepOnly(new Set())
  assert.equal(rates.rate('c', 900, 402_000), undefined)
})

test('figures of the machine are read off /proc', async () => {
  assert.deepStrictEqual(parseStat('cpu  10 1 5 1000 7 2 3 4 0 0\ncpu0 1\nbtime 1700000000\n'), { cpuCoreNanoSeconds: 25 * 1e7, bootedAtMs: 1_700_000_000_000 })
  assert.deepStrictEqual(parseMemory('MemTotal: 1000 kB\nMemFree: 200 kB\nMemAvailable: 600 kB\nAnonPages: 150 kB\n'), { usageBytes: 800 * 1024, workingSetBytes: 400 * 1024, rssBytes: 150 * 1024, availableBytes: 600 * 1024 })
  const dev = 'Inter-| Receive | Transmit\n face |bytes packets\n  lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\nbr0: 5 1 6 0 0 0 0 0 7 1 8 0 0 0 0 0\n  eth0: 1 1 2 0 0 0 0 0 3 1 4 0 0 0 0 0\nveth12: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n'
  assert.deepStrictEqual(parseInterfaces(dev).map((i) => Object.values(i)), [['eth0', 1, 2, 3, 4], ['br0', 5, 6, 7, 8]])
  assert.deepStrictEqual([parseSwap('SwapTotal: 10 kB\nSwapFree: 4 kB\n'), parseSwap('')], [{ usageBytes: 6 * 1024, availableBytes: 4 * 1024 }, { usageBytes: 0, availableBytes: 0 }])
  assert.deepStrictEqual([parseFaults('pgfault 12\npgmajfault 3\n'), parseFaults('')], [{ pageFaults: 12, majorPageFaults: 3 }, {}])
  assert.ok(ownUsage().memoryRssBytes > 0 && ownUsage().cpuUsageCoreNanoSeconds > 0)
  const usage = await readHostUsage()
  assert.ok(usage.cpuCoreNanoSeconds > 0 && usage.bootedAtMs > 0 && usage.memory.availableBytes > 0)
  const here = await readFs('/', AT)
  assert.ok(here.capacityBytes >= here.usedBytes && here.inodes >= here.inodesUsed)
})

const machine = { cpuCount: 2, cpuTopology: { cores: 1, sockets: 1 }, memoryBytes: 4, swapBytes: 0, bootId: 'b', machineId: 'm', systemUuid: 's', kernelVersion: '6.1', osImage: 'Debian' }

test('/metrics/cadvisor has the runtime\'s own metrics beside the node\'s; of a runtime that has none what is measured here', () => {
  const lines = (counted: Parameters<typeof cadvisorMetrics>[0]['counted'], name: string) => cadvisorMetrics({ node, pods: [pod], disks: [], machine, counted }).split('\n').filter((line) => line.startsWith(`${name}{`))
  const ofNode = `container_memory_rss{container="",id="/",image="",name="",namespace="",pod=""} 500 ${AT}`
  const sample = { name: 'container_memory_rss', type: 'gauge' as const, atMs: AT, value: 9, labelValues: ['a', 'web'] }
  const counted = {
    descriptors: [{ name: 'container_memory_rss', help: 'h', labelKeys: ['container', 'pod'] }, { name: 'container_threads', help: 'h', labelKeys: ['container', 'pod'] }],
    pods: [{ podSandboxId: 's', metrics: [], containerMetrics: [{ containerId: 'id-a', metrics: [sample, { ...sample, name: 'container_threads', type: 'counter' as const, atMs: 0, value: 3 }] }] }],
  }
  assert.deepStrictEqual(lines(counted, 'container_memory_rss'), [ofNode, `container_memory_rss{container="a",pod="web"} 9 ${AT}`])
  assert.deepStrictEqual(lines(counted, 'container_threads'), ['container_threads{container="a",pod="web"} 3'], 'it was gathered just now')
  assert.match(cadvisorMetrics({ node, pods: [pod], disks: [], machine, counted }), /^# TYPE container_threads counter$/m)
  assert.deepStrictEqual(lines({ descriptors: [], pods: [] }, 'container_memory_rss').map((line) => line.replace(/.*container="(\w*)".* (\d+) \d+$/, '$1 $2')), [' 500', 'a 100', 'b 100'])
})

test('/metrics/cadvisor tells of pods by their own cgroup, and of the machine with its names', () => {
  const own = { path: '/kubepods/podu1', cpu: { atMs: AT, coreNanoSeconds: 4_000_000_000, nanoCores: 7 }, memory: { atMs: AT, usageBytes: 3, workingSetBytes: 2, rssBytes: 1 }, swap: { usageBytes: 9 } }
  const sample = { name: 'container_memory_swap', type: 'gauge' as const, atMs: AT, value: 5, labelValues: ['a', 'web'] }
  const counted = { descriptors: [{ name: 'container_memory_swap', help: 'h', labelKeys: ['container', 'pod'] }], pods: [{ podSandboxId: 's', metrics: [], containerMetrics: [{ containerId: 'id-a', metrics: [sample] }] }] }
  const lines = cadvisorMetrics({ node, pods: [{ ...pod, own }], disks: [], machine, counted }).split('\n')
  const ofPod = 'container="",id="/kubepods/podu1",image="",name="",namespace="shop",pod="web"'
  assert.deepStrictEqual(lines.filter((line) => line.includes('id="/kubepods/podu1"')), [
    `container_cpu_usage_seconds_total{container="",cpu="total",id="/kubepods/podu1",image="",name="",namespace="shop",pod="web"} 4 ${AT}`, `container_memory_rss{${ofPod}} 1 ${AT}`, `container_memory_swap{${ofPod}} 9 ${AT}`,
    `container_memory_usage_bytes{${ofPod}} 3 ${AT}`, `container_memory_working_set_bytes{${ofPod}} 2 ${AT}`,
  ])
  assert.ok(lines.includes(`container_memory_swap{container="a",pod="web"} 5 ${AT}`))
  assert.deepStrictEqual(lines.filter((line) => line.startsWith('machine_') || line.startsWith('cadvisor_version')), [
    'cadvisor_version_info{cadvisorRevision="",cadvisorVersion="",dockerVersion="",kernelVersion="6.1",osVersion="Debian"} 1', 'machine_cpu_cores{boot_id="b",machine_id="m",system_uuid="s"} 2', 'machine_cpu_physical_cores{boot_id="b",machine_id="m",system_uuid="s"} 1',
    'machine_cpu_sockets{boot_id="b",machine_id="m",system_uuid="s"} 1', 'machine_memory_bytes{boot_id="b",machine_id="m",system_uuid="s"} 4', 'machine_scrape_error 0', 'machine_swap_bytes{boot_id="b",machine_id="m",system_uuid="s"} 0',
  ])
})

test('/metrics/cadvisor tells of the machine\'s disks: how full each is, and what went to and fro', async () => {
  const mountinfo = '24 1 179:2 / / rw - ext4 /dev/mmcblk0p2 rw\n25 24 179:1 / /boot\\040fw rw - vfat /dev/mmcblk0p1 rw\n26 24 179:2 /var /srv rw - ext4 /dev/mmcblk0p2 rw\n27 24 0:5 / /proc rw - proc proc rw\n'
  assert.deepStrictEqual(parseMountedDevices(mountinfo), [{ device: '/dev/mmcblk0p2', major: '179', minor: '2', mountPoint: '/' }, { device: '/dev/mmcblk0p1', major: '179', minor: '1', mountPoint: '/boot fw' }])
  const counters = parseDiskStats(' 179       2 mmcblk0p2 10 1 20 3000 40 5 60 7000 8 9000 10000 0 0 0 0 0 0\n 1 0 ram0 0 0\n').get('179:2')
  const card = { device: '/dev/mmcblk0p2', major: '179', minor: '2', bytes: 1000, usedBytes: 600, inodes: 50, inodesFree: 20 }
  const lines = (disks: Parameters<typeof cadvisorMetrics>[0]['disks']) => cadvisorMetrics({ node, pods: [], disks, machine, counted: { descriptors: [], pods: [] } }).split('\n').filter((line) => /^container_(fs|blkio)/.test(line)).map((line) => line.replace(/\{.*device="([^"]*)".*?(operation="\w+")?.*\} (\S+) \d+$/, ' $1 $3'))
  assert.deepStrictEqual(lines([{ ...card, counters }]), [
    'container_blkio_device_usage_total /dev/mmcblk0p2 10240', 'container_blkio_device_usage_total /dev/mmcblk0p2 30720', 'container_fs_inodes_free /dev/mmcblk0p2 20', 'container_fs_inodes_total /dev/mmcblk0p2 50', 'container_fs_io_current /dev/mmcblk0p2 8',
    'container_fs_io_time_seconds_total /dev/mmcblk0p2 9', 'container_fs_io_time_weighted_seconds_total /dev/mmcblk0p2 10', 'container_fs_limit_bytes /dev/mmcblk0p2 1000', 'container_fs_read_seconds_total /dev/mmcblk0p2 3', 'container_fs_reads_bytes_total /dev/mmcblk0p2 10240',
    'container_fs_reads_merged_total /dev/mmcblk0p2 1', 'container_fs_reads_total /dev/mmcblk0p2 10', 'container_fs_sector_reads_total /dev/mmcblk0p2 20', 'container_fs_sector_writes_total /dev/mmcblk0p2 60', 'container_fs_usage_bytes /dev/mmcblk0p2 600',
    'container_fs_write_seconds_total /dev/mmcblk0p2 7', 'container_fs_writes_bytes_total /dev/mmcblk0p2 30720', 'container_fs_writes_merged_total /dev/mmcblk0p2 5', 'container_fs_writes_total /dev/mmcblk0p2 40',
  ])
  assert.strictEqual(lines([{ ...card, counters: undefined }]).length, 4, 'of what is not counted, only how full it is')
  for (const disk of await readHostDisks()) assert.ok(disk.device.startsWith('/dev/') && disk.bytes >= disk.usedBytes)
})

test('the configuration that is told says what it is, as clients that read it into a type of theirs want it', () => {
  const { kind, apiVersion, containerLogMaxSize, containerLogMaxFiles } = kubeletConfiguration({ ...KUBELET_DEFAULTS, nodeIp: '10.0.0.1' }) as Record<string, unknown>
  assert.deepStrictEqual([kind, apiVersion, containerLogMaxSize, containerLogMaxFiles], ['KubeletConfiguration', 'kubelet.config.k8s.io/v1beta1', '10Mi', 5])
})

test('the configuration that is told has the graces of a shutdown as they were given', () => {
  const graces = (shutdownPeriods: ReturnType<typeof periodsOf>) => {
    const told = kubeletConfiguration({ ...KUBELET_DEFAULTS, nodeIp: '10.0.0.1', shutdownPeriods }) as Record<string, unknown>
    return ['', 'CriticalPods', 'ByPodPriority'].map((which) => told[`shutdownGracePeriod${which}`])
  }
  assert.deepStrictEqual([graces([]), graces(periodsOf(90, 30)), graces([{ priority: 0, seconds: 20 }, { priority: 1_000, seconds: 10 }])], [
    ['0s', '0s', undefined], ['1m30s', '30s', undefined], ['0s', '0s', [{ priority: 0, shutdownGracePeriodSeconds: 20 }, { priority: 1_000, shutdownGracePeriodSeconds: 10 }]],
  ])
})
