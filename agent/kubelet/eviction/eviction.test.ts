import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Container, Pod, Stored } from '#api/types/index.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { silentLog } from '#base/log.ts'
import { KUBELET_DEFAULTS } from '../config.ts'
import type { ContainerSample, PodSample } from '../stats/summary.ts'
import { aContainer, aPod } from '../testing/builders.ts'
import { decideOverLimit, decidePressure, decideVictim, hasStorageLimit, NO_EVICTION_MEMORY, pressureRefusal, type EvictionMemory, type LimitSignal } from './decide.ts'
import { createEvictionManager } from './eviction-manager.ts'
import { rankForEviction, type PodUsage } from './rank.ts'
import { durationMs, parseThresholds, thresholdsMet, type Observations, type PressureCondition, type Signal, type Threshold } from './thresholds.ts'

const MI = 2 ** 20
const GI = 2 ** 30
const config = (more: Partial<Parameters<typeof parseThresholds>[0]> = {}) => parseThresholds({ evictionHard: {}, evictionSoft: {}, evictionSoftGracePeriod: {}, evictionMinimumReclaim: {}, ...more })
const memory = (available: number): Observations => ({ 'memory.available': { available, capacity: 4 * GI } })
const HARD = config({ evictionHard: { 'memory.available': '100Mi' } })

test('upstream\'s defaults are read; what means nothing is refused with the name of it', () => {
  assert.deepStrictEqual(parseThresholds(KUBELET_DEFAULTS).map((t) => [t.signal, t.limit, t.graceMs]), [
    ['imagefs.available', { part: 0.15 }, 0], ['imagefs.inodesFree', { part: 0.05 }, 0], ['memory.available', { amount: 100 * MI }, 0], ['nodefs.available', { part: 0.1 }, 0], ['nodefs.inodesFree', { part: 0.05 }, 0], ['pid.available', { part: 0.05 }, 0],
    ['allocatableMemory.available', { amount: 100 * MI }, 0],
  ])
  assert.deepStrictEqual(config({ evictionHard: { 'memory.available': '0%' }, evictionSoft: { 'memory.available': '300Mi' }, evictionSoftGracePeriod: { 'memory.available': '1m30s' }, evictionMinimumReclaim: { 'memory.available': '5%' } }),
    [{ signal: 'memory.available', limit: { amount: 300 * MI }, minReclaim: { part: 0.05 }, graceMs: 90_000 }])
  for (const [wrong, says] of [
    [{ evictionHard: { 'memory.free': '1Gi' } }, /unknown eviction signal "memory\.free"/], [{ evictionHard: { 'memory.available': 'much' } }, /"much" is neither an amount/], [{ evictionHard: { 'memory.available': '120%' } }, /neither/], [{ evictionHard: { 'memory.available': '-1' } }, /neither/],
    [{ evictionSoft: { 'memory.available': '1Gi' } }, /grace period must be specified/], [{ evictionSoft: { 'memory.available': '1Gi' }, evictionSoftGracePeriod: { 'memory.available': 'soon' } }, /"soon" is not a duration/],
    [{ evictionHard: { 'memory.available': '0' } }, /eviction threshold memory\.available must be positive: 0/], [{ evictionHard: { 'containerfs.available': '0' } }, /must be positive/],
    [{ evictionHard: { 'memory.available': '1Gi' }, evictionMinimumReclaim: { 'memory.available': '0%' } }, /eviction percentage minimum reclaim memory\.available must be positive: 0%/],
  ] as const) assert.throws(() => config(wrong), says)
  assert.deepStrictEqual(config({ evictionHard: { 'containerfs.available': '10%', 'pid.available': '5%' }, evictionSoft: { 'containerfs.inodesFree': '5%' }, evictionSoftGracePeriod: { 'containerfs.inodesFree': '1s' } }).map((t) => t.signal), ['pid.available'], 'of what containers write the images\' thresholds hold, as upstream\'s')
  assert.deepStrictEqual(['30s', '1h', '1m30s', '500ms', '1.5h'].map(durationMs), [30_000, 3_600_000, 90_000, 500, 5_400_000])
})

test('a threshold is met below its amount or part; resolved only once the minimum reclaim is free, too', () => {
  const [t] = config({ evictionHard: { 'nodefs.available': '10%' }, evictionMinimumReclaim: { 'nodefs.available': '1Gi' } })
  assert.ok(t)
  const at = (available: number): Observations => ({ 'nodefs.available': { available, capacity: 100 * GI } })
  assert.deepStrictEqual([9.9, 10, 10.5, 11].map((gi) => [thresholdsMet([t], at(gi * GI), false).length, thresholdsMet([t], at(gi * GI), true).length]), [[1, 1], [0, 1], [0, 1], [0, 0]])
  assert.deepStrictEqual(thresholdsMet([t], {}, false), [], 'what was not measured is not short')
  assert.deepStrictEqual(thresholdsMet([t], { 'nodefs.available': { available: 0, capacity: 0 } }, false), [], 'nor what the file system does not count')
})

/** Looks one after another; each `[second, available MiB]`. */
function looks(thresholds: readonly Threshold[], steps: readonly (readonly [number, number])[]) {
  let remembered: EvictionMemory = NO_EVICTION_MEMORY
  return steps.map(([second, mi]) => {
    const state = decidePressure({ thresholds, observations: memory(mi * MI), memory: remembered, nowMs: second * 1000, transitionMs: 300_000, maxPodGraceSeconds: 0 })
    remembered = state.memory
    return [[...state.conditions].join(), state.reclaim?.signal ?? '']
  })
}

test('a hard threshold is acted on at once; its condition stays told for five minutes after', () => {
  assert.deepStrictEqual(looks(HARD, [[0, 200], [10, 99], [20, 200], [300, 200], [309, 200], [310, 200]]),
    [['', ''], ['MemoryPressure', 'memory.available'], ['MemoryPressure', ''], ['MemoryPressure', ''], ['MemoryPressure', ''], ['', '']])
})

test('what all pods together may have runs short like the node\'s own memory, for the same amount; nothing is said where nothing limits them', () => {
  const thresholds = config({ evictionHard: { 'memory.available': '100Mi' }, evictionSoft: { 'memory.available': '1Gi' }, evictionSoftGracePeriod: { 'memory.available': '1h' }, enforcePods: true })
  assert.deepStrictEqual(thresholds.map((t) => [t.signal, t.limit]), [['memory.available', { amount: 100 * MI }], ['allocatableMemory.available', { amount: 100 * MI }], ['memory.available', { amount: GI }]], 'soft ones are the node\'s alone')
  const look = (observations: Observations) => decidePressure({ thresholds: thresholds.slice(0, 2), observations, memory: NO_EVICTION_MEMORY, nowMs: 0, transitionMs: 1, maxPodGraceSeconds: 0 })
  const pods = (available: number): Observations => ({ ...memory(2 * GI), 'allocatableMemory.available': { available, capacity: GI } })
  assert.deepStrictEqual([pods(99 * MI), pods(100 * MI), memory(2 * GI)].map((o) => [[...look(o).conditions], look(o).reclaim?.signal]), [[['MemoryPressure'], 'allocatableMemory.available'], [[], undefined], [[], undefined]])
  const short = thresholds[1]
  assert.ok(short)
  const eviction = decideVictim(short, [{ pod: podOf('big'), sample: sampleOf([{ memory: { atMs: 0, usageBytes: 0, workingSetBytes: 2_000 * MI, rssBytes: 0 } }], { uid: 'big' }) }], { observations: pods(50 * MI), maxPodGraceSeconds: 0, hasImageFs: false })
  assert.deepStrictEqual([eviction?.signal, eviction?.message.split('.')[0], eviction?.message.includes('Threshold quantity: 100Mi, available: 51200Ki')], ['allocatableMemory.available', 'The node was low on resource: memory', true])
})

test('a soft one tells its condition at once and is acted on after its grace, unless it was fine meanwhile', () => {
  const soft = config({ evictionSoft: { 'memory.available': '300Mi' }, evictionSoftGracePeriod: { 'memory.available': '30s' } })
  assert.deepStrictEqual(looks(soft, [[0, 299], [20, 299], [30, 299]]).map(([, reclaim]) => reclaim), ['', '', 'memory.available'])
  assert.deepStrictEqual(looks(soft, [[0, 299], [20, 301], [30, 299], [50, 299], [60, 299]]).map(([condition, reclaim]) => [condition, reclaim]), [
    ['MemoryPressure', ''], ['MemoryPressure', ''], ['MemoryPressure', ''], ['MemoryPressure', ''], ['MemoryPressure', 'memory.available'],
  ])
})

test('once acted on it goes on until the minimum reclaim is free', () => {
  const t = config({ evictionHard: { 'memory.available': '100Mi' }, evictionMinimumReclaim: { 'memory.available': '50Mi' } })
  assert.deepStrictEqual(looks(t, [[0, 120], [10, 90], [20, 120], [30, 151], [40, 120]]).map(([, reclaim]) => reclaim), ['', 'memory.available', 'memory.available', '', ''])
})

test('of several, memory comes first', () => {
  const { reclaim, conditions } = decidePressure({
    thresholds: parseThresholds(KUBELET_DEFAULTS), memory: NO_EVICTION_MEMORY, nowMs: 0, transitionMs: 300_000, maxPodGraceSeconds: 0,
    observations: { 'nodefs.available': { available: 1, capacity: 100 }, 'memory.available': { available: 1, capacity: GI }, 'pid.available': { available: 1, capacity: 100 }, 'nodefs.inodesFree': { available: 1, capacity: 100 } },
  })
  assert.deepStrictEqual([reclaim?.signal, [...conditions].toSorted()], ['memory.available', ['DiskPressure', 'MemoryPressure', 'PIDPressure']])
})

const sampleOf = (containers: readonly Partial<ContainerSample>[], more: Partial<PodSample> = {}): PodSample => ({
  name: 'p', namespace: 'default', uid: 'u', startedAtMs: 0, volumes: [], ...more,
  containers: containers.map((c, i) => ({
    name: i === 0 ? 'app' : `c${i}`, id: 'x', image: 'i', startedAtMs: 0, pids: 1, rootfsUsedBytes: 0, logsUsedBytes: 0, cpu: { atMs: 0, coreNanoSeconds: 0, nanoCores: 0 }, memory: { atMs: 0, usageBytes: 0, workingSetBytes: 0, rssBytes: 0 }, ...c,
  })),
})
const working = (mi: number): Partial<ContainerSample> => ({ memory: { atMs: 0, usageBytes: 0, workingSetBytes: mi * MI, rssBytes: 0 } })
const podOf = (name: string, container: Partial<Container> = {}, spec: Partial<NonNullable<Pod['spec']>> = {}): Stored<Pod> => aPod({ containers: [aContainer('app', container)], ...spec }, { name, uid: name })
const asking = (resources: Record<string, string>): Partial<Container> => ({ resources: { requests: resources } })
const names = (list: readonly PodUsage[]) => list.map(({ pod }) => pod.metadata.name)

test('for memory: those over their request first, then by priority, then by how far they are over', () => {
  assert.deepStrictEqual(names(rankForEviction([
    { pod: podOf('within', asking({ memory: '200Mi' })), sample: sampleOf([working(100)]) },
    { pod: podOf('over-a-little', asking({ memory: '100Mi' })), sample: sampleOf([working(110)]) },
    { pod: podOf('important', {}, { priority: 100 }), sample: sampleOf([working(900)]) },
    { pod: podOf('over-much', asking({ memory: '100Mi' })), sample: sampleOf([working(400)]) },
    { pod: podOf('best-effort'), sample: sampleOf([working(250)]) },
    { pod: podOf('closer-to-it', asking({ memory: '110Mi' })), sample: sampleOf([working(100)]) },
    { pod: podOf('unmeasured', {}, { priority: 7 }), sample: undefined },
  ], 'memory.available', false)), ['unmeasured', 'over-much', 'best-effort', 'over-a-little', 'important', 'closer-to-it', 'within'])
})

test('for disk by what they use of it, for processes by how many they have, both after priority', () => {
  const disk = (rootfs: number, logs: number, volume: number) => sampleOf([{ rootfsUsedBytes: rootfs, logsUsedBytes: logs }], { volumes: [{ name: 'v', usedBytes: volume, inodesUsed: volume, isEphemeral: true }] })
  const pods = [
    { pod: podOf('a'), sample: disk(10, 0, 1) }, { pod: podOf('b'), sample: disk(0, 5, 9) }, { pod: podOf('c', asking({ 'ephemeral-storage': '1Gi' })), sample: disk(100, 100, 5) }, { pod: podOf('d', {}, { priority: -5 }), sample: disk(1, 0, 2) },
  ]
  assert.deepStrictEqual([names(rankForEviction(pods, 'nodefs.available', false)), names(rankForEviction(pods, 'imagefs.available', false)), names(rankForEviction(pods, 'nodefs.inodesFree', false))], [['d', 'b', 'a', 'c'], ['d', 'b', 'a', 'c'], ['d', 'b', 'c', 'a']])
  const busy = [{ pod: podOf('few'), sample: sampleOf([{ pids: 3 }]) }, { pod: podOf('many'), sample: sampleOf([{ pids: 2 }, { pids: 9 }]) }, { pod: podOf('vip', {}, { priority: 1 }), sample: sampleOf([{ pids: 99 }]) }]
  assert.deepStrictEqual(names(rankForEviction(busy, 'pid.available', false)), ['many', 'few', 'vip'])
})

test('for disk by how far they are over what they asked for; where images are on a disk of their own, writable layers count there and all else on the node\'s', () => {
  const on = (name: string, more: { layer?: number; logs?: number; volume?: number; asks?: string }) => ({
    pod: podOf(name, asking({ 'ephemeral-storage': more.asks ?? '0' })),
    sample: sampleOf([{ rootfsUsedBytes: more.layer ?? 0, rootfsInodesUsed: more.layer ?? 0, logsUsedBytes: more.logs ?? 0, logsInodesUsed: more.logs ?? 0 }], { volumes: [{ name: 'v', usedBytes: more.volume ?? 0, inodesUsed: more.volume ?? 0, isEphemeral: true }] }),
  })
  const pods = [on('modest', { layer: 900, asks: '800' }), on('writer', { layer: 300 }), on('logger', { logs: 200 }), on('hoarder', { volume: 250 })]
  const ranked = (signal: Signal, hasImageFs: boolean) => names(rankForEviction(pods, signal, hasImageFs))
  assert.deepStrictEqual([ranked('nodefs.available', false), ranked('nodefs.available', true), ranked('imagefs.available', true)], [
    ['writer', 'hoarder', 'logger', 'modest'], ['hoarder', 'logger', 'writer', 'modest'], ['writer', 'modest', 'logger', 'hoarder'],
  ])
  assert.deepStrictEqual([ranked('nodefs.inodesFree', false), ranked('nodefs.inodesFree', true), ranked('imagefs.inodesFree', true)], [
    ['modest', 'writer', 'hoarder', 'logger'], ['hoarder', 'logger', 'modest', 'writer'], ['modest', 'writer', 'logger', 'hoarder'],
  ])
})

test('for memory a pod is what its cgroup uses, where that is known', () => {
  const own = { path: '/p', cpu: { atMs: 0, coreNanoSeconds: 0, nanoCores: 0 }, memory: { atMs: 0, usageBytes: 0, workingSetBytes: 500 * MI, rssBytes: 0 } }
  assert.deepStrictEqual(names(rankForEviction([{ pod: podOf('a'), sample: sampleOf([working(400)]) }, { pod: podOf('fills-a-volume-in-memory'), sample: sampleOf([working(1)], { own }) }], 'memory.available', false)), ['fills-a-volume-in-memory', 'a'])
})

test('the victim is told upstream\'s sentence; critical and static pods are never taken', () => {
  const [hard] = HARD
  assert.ok(hard)
  const input = { observations: memory(50 * MI), maxPodGraceSeconds: 60, hasImageFs: false }
  const critical = { pod: podOf('critical', {}, { priority: 2_000_000_000 }), sample: sampleOf([working(3_000)]) }
  const fixed = { pod: aPod({}, { name: 'fixed', annotations: { 'kubernetes.io/config.source': 'file' } }), sample: sampleOf([working(2_000)]) }
  const victim = { pod: podOf('victim', asking({ memory: '64Mi' }), { priority: 5 }), sample: sampleOf([working(100), working(0)]) }
  assert.deepStrictEqual(decideVictim(hard, [critical, fixed, victim], input), {
    pod: victim.pod, signal: 'memory.available', graceSeconds: 1,
    message: 'The node was low on resource: memory. Threshold quantity: 100Mi, available: 51200Ki. Container app was using 102400Ki, request is 64Mi, has larger consumption of memory. ',
    annotations: { offending_containers: 'app', offending_containers_usage: '102400Ki', starved_resource: 'memory' },
  })
  const whole = { ...victim, pod: podOf('whole', {}, { resources: { requests: { memory: '32Mi' } } }) }
  const { message, annotations } = decideVictim(hard, [whole], input) ?? {}
  assert.deepStrictEqual([message?.includes('Pod whole was using 102400Ki, request is 32Mi, has larger consumption of memory. Container app was'), annotations?.['offending_pod'], annotations?.['offending_pod_usage']], [true, 'whole', '102400Ki'])
  assert.equal(decideVictim(hard, [critical, fixed], input), undefined)
  assert.equal(decideVictim({ ...hard, graceMs: 30_000 }, [victim], input)?.graceSeconds, 30, 'a soft threshold gives the pod its own grace')
  assert.equal(decideVictim({ ...hard, graceMs: 30_000 }, [victim], { ...input, maxPodGraceSeconds: 10 })?.graceSeconds, 10, 'but no more than is configured')
})

const storage = (limit: string): Partial<Container> => ({ resources: { limits: { 'ephemeral-storage': limit } } })
const volume = (usedBytes: number, isEphemeral = true) => ({ volumes: [{ name: 'data', usedBytes, inodesUsed: 1, isEphemeral }] })
const limits: [string, Stored<Pod>, PodSample, string | undefined, LimitSignal?][] = [
  ['an emptyDir within its limit', podOf('p', {}, { volumes: [{ name: 'data', emptyDir: { sizeLimit: '1Mi' } }] }), sampleOf([{}], volume(MI)), undefined],
  ['an emptyDir beyond it', podOf('p', {}, { volumes: [{ name: 'data', emptyDir: { sizeLimit: '1Mi' } }] }), sampleOf([{}], volume(MI + 1)), 'Usage of EmptyDir volume "data" exceeds the limit "1Mi". ', 'emptydirfs.limit'],
  ['one in memory, too', podOf('p', {}, { volumes: [{ name: 'data', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } }] }), sampleOf([{}], volume(2 * MI, false)), 'Usage of EmptyDir volume "data" exceeds the limit "1Mi". ', 'emptydirfs.limit'],
  ['a limit of 0 is none', podOf('p', {}, { volumes: [{ name: 'data', emptyDir: { sizeLimit: '0' } }] }), sampleOf([{}], volume(2 * MI)), undefined],
  ['a pod whose containers all have limits, beyond them together with its volumes', podOf('p', storage('1Mi')), sampleOf([{ rootfsUsedBytes: 600 * 1024 }], volume(600 * 1024)), 'Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. ', 'ephemeralpodfs.limit'],
  ['a container without a limit shares that of the others', aPod({ containers: [aContainer('app', storage('1Mi')), aContainer('c1')] }), sampleOf([{}, { logsUsedBytes: MI + 1 }]), 'Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. ', 'ephemeralpodfs.limit'],
  ['a critical pod is never taken', podOf('p', storage('1Mi'), { priority: 2_000_000_000 }), sampleOf([{ rootfsUsedBytes: 9 * MI }]), undefined],
  ['a volume in memory does not count', podOf('p', storage('1Mi')), sampleOf([{ rootfsUsedBytes: 600 * 1024 }], volume(600 * 1024, false)), undefined],
  ['a container beyond its own, by what it wrote and logged', aPod({ containers: [aContainer('app', storage('1Mi')), aContainer('c1', storage('1Mi'))] }), sampleOf([{ rootfsUsedBytes: MI, logsUsedBytes: 1 }, {}]), 'Container app exceeded its local ephemeral storage limit "1Mi". ', 'ephemeralcontainerfs.limit'],
  ['a container\'s limit of 0 is none', aPod({ containers: [aContainer('app', storage('0')), aContainer('c1', storage('1Mi'))] }), sampleOf([{ rootfsUsedBytes: MI }, {}]), undefined],
  ['no limits, no eviction', podOf('p'), sampleOf([{ rootfsUsedBytes: 9 * GI }], volume(9 * GI)), undefined],
]
for (const [name, pod, sample, message, signal] of limits) {
  test(`local storage: ${name}`, () => {
    assert.deepStrictEqual(decideOverLimit([{ pod, sample }], false), message === undefined ? [] : [{ pod, graceSeconds: 1, signal, message }])
    assert.equal(hasStorageLimit(pod), name !== 'no limits, no eviction')
  })
}

test('local storage: where images are on a disk of their own a container\'s limit is for its logs, its pod\'s for all', () => {
  const pod = aPod({ containers: [aContainer('app', storage('1Mi')), aContainer('c1', storage('9Mi'))] })
  const over = (sample: PodSample) => decideOverLimit([{ pod, sample }], true).map((e) => e.signal)
  assert.deepStrictEqual([over(sampleOf([{ rootfsUsedBytes: 2 * MI }, {}])), over(sampleOf([{ logsUsedBytes: 2 * MI }, {}])), over(sampleOf([{ rootfsUsedBytes: 11 * MI }, {}]))], [[], ['ephemeralcontainerfs.limit'], ['ephemeralpodfs.limit']])
})

test('a node under pressure takes no new pods but critical ones, and while only memory is short those that asked for some', () => {
  const burstable = podOf('b', asking({ memory: '1Mi' }))
  const tolerant = podOf('t', {}, { tolerations: [{ key: 'node.kubernetes.io/memory-pressure', operator: 'Exists', effect: 'NoSchedule' }] })
  const critical = podOf('c', {}, { priority: 2_000_000_000 })
  const verdicts = (...conditions: PressureCondition[]) => [podOf('e'), burstable, tolerant, critical].map((pod) => pressureRefusal(pod, new Set(conditions))?.message)
  assert.deepStrictEqual([verdicts(), verdicts('MemoryPressure'), verdicts('DiskPressure'), verdicts('MemoryPressure', 'DiskPressure')], [
    [undefined, undefined, undefined, undefined],
    ['The node had condition: [MemoryPressure]. ', undefined, undefined, undefined],
    [...Array<string>(3).fill('The node had condition: [DiskPressure]. '), undefined],
    [...Array<string>(3).fill('The node had condition: [DiskPressure MemoryPressure]. '), undefined],
  ])
})

test('for want of disk, garbage goes before pods do; one pod at a time', async () => {
  const clock = new FakeClock()
  const done: string[] = []
  let free = 5
  let garbage = 3
  const pods = [podOf('big'), podOf('small')]
  const manager = createEvictionManager({
    thresholds: config({ evictionHard: { 'nodefs.available': '10%' } }), maxPodGraceSeconds: 0, transitionMs: 300_000, clock, log: silentLog, tell: (reason) => done.push(reason), onConditions: () => done.push('conditions'),
    observe: async () => ({ 'nodefs.available': { available: free, capacity: 100 } }), pods: () => pods, measure: async () => [sampleOf([{ rootfsUsedBytes: 50 }], { uid: 'big' }), sampleOf([{ rootfsUsedBytes: 5 }], { uid: 'small' })],
    freeDisk: async () => { done.push('freeDisk'); await clock.advance(2_000); free += garbage; garbage = 0 }, evict: ({ pod, message }) => { done.push(`evict ${pod.metadata.name}`, message.split('. ', 2).join('. ')) },
    hasImageFs: () => Promise.resolve(false), hasEnded: () => true,
  })
  const age = (suffix: string) => manager.counters()[1]?.samples.find((s) => s.suffix === suffix)
  assert.deepStrictEqual(age('_count'), undefined)
  await manager.look()
  assert.deepStrictEqual(done.splice(0), ['conditions', 'EvictionThresholdMet', 'freeDisk', 'evict big', 'The node was low on resource: ephemeral-storage. Threshold quantity: 10, available: 1Ki'], 'what is told is what it was decided by')
  pods.shift()
  garbage = 10
  await manager.look()
  assert.deepStrictEqual(done.splice(0), ['EvictionThresholdMet', 'freeDisk'])
  await manager.look()
  assert.deepStrictEqual([done, [...manager.conditions], manager.refusal(podOf('new'))?.reason, manager.counters()[0]?.samples], [[], ['DiskPressure'], 'Evicted', [{ labels: { eviction_signal: 'nodefs.available' }, value: 1 }]])
  // Freeing disk took two seconds; the second time that was enough, and nobody was ranked.
  assert.deepStrictEqual([manager.counters()[1]?.name, age('_sum'), age('_count')], ['kubelet_eviction_stats_age_seconds', { suffix: '_sum', labels: { eviction_signal: 'nodefs.available' }, value: 2 }, { suffix: '_count', labels: { eviction_signal: 'nodefs.available' }, value: 1 }])
})

test('nobody else is evicted before those who are have ended, or had the time for it; what is short is told all the same', async () => {
  const clock = new FakeClock()
  const done: string[] = []
  const ended = new Set<string>()
  let pids = 1
  const pods = ['first', 'second', 'third'].map((name) => podOf(name))
  const manager = createEvictionManager({
    thresholds: config({ evictionSoft: { 'pid.available': '10%' }, evictionSoftGracePeriod: { 'pid.available': '0s' }, evictionHard: {} }).map((t) => ({ ...t, graceMs: 1 })), maxPodGraceSeconds: 20, transitionMs: 1, clock, log: silentLog, tell: () => {}, onConditions: () => done.push('conditions'),
    observe: async () => ({ 'pid.available': { available: pids, capacity: 100 } }), pods: () => pods, measure: async () => [], freeDisk: () => assert.fail('processes are no matter of disk'), hasImageFs: () => Promise.resolve(false),
    hasEnded: (uid) => ended.has(uid), evict: ({ pod }) => { done.push(pod.metadata.name); pods.splice(pods.indexOf(pod), 1) },
  })
  const look = async (afterMs: number) => {
    await clock.advance(afterMs)
    await manager.look()
    return done.splice(0)
  }
  assert.deepStrictEqual([await look(0), await look(10_000), await look(10_000), await look(10_000)], [['conditions'], ['first'], [], []])
  pids = 50
  assert.deepStrictEqual([await look(1_000), [...manager.conditions]], [['conditions'], []])
  pids = 1
  ended.add('first')
  assert.deepStrictEqual([await look(1_000), await look(1_000)], [['conditions'], ['second']])
  // Twenty seconds of grace: thirty to be killed, thirty for its volumes.
  assert.deepStrictEqual([await look(59_000), await look(1_000)], [[], ['third']])
})

test('where images are on a disk of their own, removing them does not help the node\'s: a pod goes at once', async () => {
  const done: string[] = []
  const short = (signal: Signal) => createEvictionManager({
    thresholds: config({ evictionHard: { [signal]: '10%' } }), maxPodGraceSeconds: 0, transitionMs: 300_000, clock: new FakeClock(), log: silentLog, tell: () => {}, onConditions: () => {},
    observe: async () => ({ [signal]: { available: 5, capacity: 100 } }), pods: () => [podOf('p')], measure: async () => [], freeDisk: async () => { done.push(`freeDisk for ${signal}`) }, hasImageFs: () => Promise.resolve(true), hasEnded: () => true, evict: () => { done.push(`evict for ${signal}`) },
  })
  await short('nodefs.available').look()
  await short('imagefs.available').look()
  assert.deepStrictEqual(done, ['evict for nodefs.available', 'freeDisk for imagefs.available', 'evict for imagefs.available'])
})
