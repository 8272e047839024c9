import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KUBELET_DEFAULTS } from '../config.ts'
import { goArch, meminfoBytes, osImage, readHostFacts, parseTopology, readHostPressure, tasksMax } from './host-facts.ts'
import { newNode, nodeStatus, nodeStatusDiffers, type NodeInput } from './node-status.ts'

const GI = 2 ** 30
const input = (more: Partial<NodeInput> = {}): NodeInput => ({
  nodeName: 'n1', config: { ...KUBELET_DEFAULTS, nodeIp: '10.0.0.1', nodeLabels: { rack: '7' }, nodeTaints: [{ key: 'gpu', effect: 'NoSchedule' }], systemReserved: { cpu: '200m', memory: '256Mi' } },
  facts: { hostname: 'n1', cpuCount: 4, cpuTopology: { cores: 4, sockets: 1 }, memoryBytes: 4 * GI, hugepageBytes: { '2Mi': 0 }, architecture: 'arm64', machineId: 'm', systemUuid: '', bootId: 'b', kernelVersion: '6.6', osImage: 'Debian', swapBytes: 0 },
  pressure: { memoryAvailableBytes: 2 * GI, fsBytes: 100 * GI, fsAvailableBytes: 50 * GI, fsInodes: 1_000, fsInodesFree: 900, pids: 100, pidsMax: 32_768 },
  runtime: { name: 'skiff-runc', version: '1.1.5', handlers: [], supplementalGroupsPolicy: true }, underPressure: new Set(), notReady: [], images: [], volumesInUse: [], devices: new Map(), signs: [], before: undefined, advertised: undefined, nowMs: Date.UTC(2026, 0, 1), ...more,
})
const conditions = (more: Partial<NodeInput>) => Object.fromEntries((nodeStatus(input(more)).conditions ?? []).map((c) => [c.type, `${c.status} ${c.reason ?? ''}: ${c.message ?? ''}`]))

test('a healthy node says so in upstream\'s words', () => assert.deepStrictEqual(conditions({}), {
  MemoryPressure: 'False KubeletHasSufficientMemory: kubelet has sufficient memory available', DiskPressure: 'False KubeletHasNoDiskPressure: kubelet has no disk pressure',
  PIDPressure: 'False KubeletHasSufficientPID: kubelet has sufficient PID available', Ready: 'True KubeletReady: kubelet is posting ready status',
}))

const bad: [string, Partial<NodeInput>, string, string][] = [
  ['too little memory', { underPressure: new Set(['MemoryPressure']) }, 'MemoryPressure', 'True KubeletHasInsufficientMemory: kubelet has insufficient memory available'],
  ['a full disk', { underPressure: new Set(['DiskPressure']) }, 'DiskPressure', 'True KubeletHasDiskPressure: kubelet has disk pressure'],
  ['no process ids', { underPressure: new Set(['PIDPressure']) }, 'PIDPressure', 'True KubeletHasInsufficientPID: kubelet has insufficient PID available'],
  ['one reason not to be ready', { notReady: ['a'] }, 'Ready', 'False KubeletNotReady: a'],
  ['several', { notReady: ['a', 'b'] }, 'Ready', 'False KubeletNotReady: [a, b]'],
]
for (const [name, more, type, expected] of bad) test(name, () => assert.equal(conditions(more)[type], expected))

test('allocatable is capacity less what is reserved and kept free', () => {
  const { capacity, allocatable } = nodeStatus(input())
  assert.deepStrictEqual(capacity, { cpu: '4', 'ephemeral-storage': '104857600Ki', 'hugepages-2Mi': '0', memory: '4194304Ki', pods: '110' })
  assert.deepStrictEqual(allocatable, { cpu: '3800m', 'ephemeral-storage': '90Gi', 'hugepages-2Mi': '0', memory: '3740Mi', pods: '110' })
})

test('a node takes no more pods than so many for each processor, and no more than it takes at all', () => {
  const pods = (podsPerCore: number) => nodeStatus(input({ config: { ...input().config, podsPerCore } })).capacity?.['pods']
  assert.deepStrictEqual([pods(0), pods(10), pods(50)], ['110', '40', '110'])
})

test('extended resources that others advertise stay, and are allocatable whole', () => {
  const { capacity, allocatable } = nodeStatus(input({ advertised: { cpu: '99', 'example.com/dongle': '4', 'kubernetes.io/batch-cpu': '1', 'hugepages-1Gi': '0' } }))
  assert.deepStrictEqual([capacity, allocatable], [
    { cpu: '4', 'ephemeral-storage': '104857600Ki', 'hugepages-2Mi': '0', memory: '4194304Ki', pods: '110', 'example.com/dongle': '4' },
    { cpu: '3800m', 'ephemeral-storage': '90Gi', 'hugepages-2Mi': '0', memory: '3740Mi', pods: '110', 'example.com/dongle': '4' },
  ])
})

test('what the board tells stands beside the other conditions, and a change of it is news', () => {
  const sign = { type: 'UnderVoltage', on: true, reason: 'UnderVoltageDetected', message: 'm', fine: false } as const
  assert.equal(conditions({ signs: [sign] })['UnderVoltage'], 'True UnderVoltageDetected: m')
  const first = nodeStatus(input({ signs: [sign] }))
  const later = { nowMs: Date.UTC(2026, 0, 2), before: first }
  assert.deepStrictEqual([nodeStatusDiffers(first, nodeStatus(input({ signs: [sign], ...later }))), nodeStatusDiffers(first, nodeStatus(input({ signs: [{ ...sign, on: false, reason: 'UnderVoltageOccurred' }], ...later })))], [false, true])
})

test('devices are told as their plugins tell them, whatever the API had; what is ill or gone cannot be allocated', () => {
  const { capacity = {}, allocatable = {} } = nodeStatus(input({ advertised: { 'example.com/dongle': '4', 'example.com/other': '1' }, devices: new Map([['example.com/dongle', { capacity: 3, allocatable: 2 }], ['skiff.io/gpio', { capacity: 0, allocatable: 0 }]]) }))
  const shown = (of: Record<string, string>) => ['example.com/dongle', 'example.com/other', 'skiff.io/gpio'].map((name) => of[name])
  assert.deepStrictEqual([shown(capacity), shown(allocatable)], [['3', '1', '0'], ['2', '1', '0']])
})

test('a new node carries its labels and taints, and the not-ready taint while it is not', () => {
  const node = newNode(input({ notReady: ['x'] }))
  assert.deepStrictEqual([node.metadata?.labels, node.spec?.taints], [
    { 'beta.kubernetes.io/arch': 'arm64', 'beta.kubernetes.io/os': 'linux', 'kubernetes.io/arch': 'arm64', 'kubernetes.io/hostname': 'n1', 'kubernetes.io/os': 'linux', rack: '7' },
    [{ key: 'gpu', effect: 'NoSchedule' }, { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' }],
  ])
})

test('a new node says what its machine is called where it comes from, if it was told', () => {
  assert.deepStrictEqual([newNode(input()).spec?.providerID, newNode(input({ config: { ...input().config, providerId: 'rack://7' } })).spec?.providerID], [undefined, 'rack://7'])
})

test('time alone is no news; the biggest 50 images are told, or as many as is said', () => {
  const first = nodeStatus(input())
  assert.equal(nodeStatusDiffers(first, nodeStatus(input({ nowMs: Date.UTC(2026, 0, 2), before: first }))), false)
  assert.equal(nodeStatusDiffers(first, nodeStatus(input({ notReady: ['x'] }))), true)
  const images = Array.from({ length: 60 }, (_, i) => ({ id: `${i}`, repoTags: [`t:${i}`], repoDigests: [`t@sha256:${i}`], sizeBytes: i, pinned: false }))
  const told = nodeStatus(input({ images })).images ?? []
  assert.deepStrictEqual([told.length, told[0]], [50, { names: ['t@sha256:59', 't:59'], sizeBytes: 59 }])
  const lengths = [-1, 0, 7].map((statusImagesMax) => nodeStatus(input({ images, config: { ...input().config, statusImagesMax } })).images?.length)
  assert.deepStrictEqual(lengths, [60, 0, 7])
})

test('this machine has facts', async () => {
  const facts = await readHostFacts()
  assert.ok(facts.cpuCount > 0 && facts.memoryBytes > 2 ** 20 && facts.bootId.length === 36 && facts.kernelVersion !== '')
  assert.deepStrictEqual([tasksMax(['32768\n', '7000\n']), tasksMax(['', '7000\n']), tasksMax(['', ''])], [7_000, 7_000, Infinity])
  const processor = (socket: number, core: number) => `physical id\t: ${socket}\ncore id\t\t: ${core}\n\n`
  assert.deepStrictEqual([parseTopology([processor(0, 0), processor(0, 0), processor(0, 1), processor(1, 0)].join(''), 4), parseTopology('BogoMIPS\t: 108.00\n', 4)], [{ cores: 3, sockets: 2 }, { cores: 4, sockets: 1 }])
  const now = await readHostPressure('/')
  assert.ok(now.fsBytes > 0 && now.memoryAvailableBytes > 0 && now.pids > 0 && now.pidsMax > now.pids)
  assert.deepStrictEqual([meminfoBytes('MemTotal:  10 kB\nMemFree: 1 kB\n', 'MemTotal'), osImage('NAME="x"\nPRETTY_NAME="Debian GNU/Linux 12"\n'), osImage(''), goArch('x64'), goArch('arm64')], [10_240, 'Debian GNU/Linux 12', 'Linux', 'amd64', 'arm64'])
})

test('a node declares what servers ask of it before they count on it, in order; one that declared less says so anew', () => {
  const status = nodeStatus(input())
  assert.deepStrictEqual(status.declaredFeatures, ['ExtendWebSocketsToKubelet', 'InPlacePodLevelResourcesVerticalScaling', 'InPlacePodVerticalScalingInitContainers', 'RestartAllContainersOnContainerExits'])
  assert.deepStrictEqual([{ ...status, declaredFeatures: ['ExtendWebSocketsToKubelet'] }, status].map((before) => nodeStatusDiffers(before, status)), [true, false])
})
