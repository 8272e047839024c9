import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FakeClock } from '#base/clock-fake.ts'
import { silentLog } from '#base/log.ts'
import type { ContainerStatus, Image } from '#cri/index.ts'
import { createGarbageCollector, sizeText } from './garbage-collector.ts'
import { decideImageGc, nextImageUses, removableImages, type ImageGcView, type ImageUse } from './image-gc.ts'

const image = (id: string, sizeBytes = 10, pinned = false): Image => ({ id, repoTags: [`${id}:1`], repoDigests: [], sizeBytes, pinned })
const NOW = 10_000_000
const IMAGE_AGE_MS_MIN = 120_000
const view = (more: Partial<ImageGcView>): ImageGcView => ({ images: [], inUse: new Set(), uses: new Map(), nowMs: NOW, disk: { capacityBytes: 1_000, availableBytes: 100 }, highPercent: 85, lowPercent: 80, minimumAgeMs: IMAGE_AGE_MS_MIN, maximumAgeMs: 0, ...more })
const uses = (record: Record<string, [number, number]>): Map<string, ImageUse> => new Map(Object.entries(record).map(([id, [detectedMs, usedMs]]) => [id, { detectedMs, usedMs }]))
const gone = (more: Partial<ImageGcView>) => {
  const { remove, neededBytes } = decideImageGc(view(more))
  return [remove.map((i) => i.id), neededBytes]
}

const OLD = uses({ a: [1, 50], b: [2, 40], c: [1, 40], d: [3, 0] })
const all = ['a', 'b', 'c', 'd'].map((id) => image(id, 40))
const table: [string, Partial<ImageGcView>, unknown][] = [
  ['below the high threshold nothing goes', { images: all, uses: OLD, disk: { capacityBytes: 1_000, availableBytes: 160 } }, [[], 0]],
  ['at it, so much goes that the low one is reached: the longest unused first, then the oldest', { images: all, uses: OLD, disk: { capacityBytes: 1_000, availableBytes: 150 } }, [['d', 'c'], 50]],
  ['what is in use stays, however full', { images: all, uses: OLD, inUse: new Set(['d', 'c']) }, [['b', 'a'], 100]],
  ['what is pinned stays', { images: [image('d', 40, true), ...all.slice(0, 3)], uses: OLD }, [['c', 'b', 'a'], 100]],
  ['what came less than two minutes ago stays', { images: all, uses: uses({ a: [NOW - IMAGE_AGE_MS_MIN + 1, 0], b: [NOW - IMAGE_AGE_MS_MIN, 0], c: [NOW, 0] }) }, [['b'], 100]],
  ['a disk without a size is left alone', { images: all, uses: OLD, disk: { capacityBytes: 0, availableBytes: 0 } }, [[], 0]],
]
for (const [name, input, expected] of table) test(name, () => assert.deepStrictEqual(gone(input), expected))

test('what nobody has used for longer than the maximum age goes with a half empty disk, too, and counts for what has to be freed', () => {
  const old = view({ images: all, uses: uses({ a: [1, 50], b: [2, NOW - 1_000], c: [NOW - 1_001, 0], d: [3, NOW - 999] }), minimumAgeMs: 500, maximumAgeMs: 1_000, inUse: new Set(['a']) })
  const half = decideImageGc({ ...old, disk: { capacityBytes: 1_000, availableBytes: 500 } })
  assert.deepStrictEqual([half.tooOld.map((i) => i.id), half.remove], [['c'], []], 'b is as old as it may be, a is in use')
  const full = decideImageGc({ ...old, disk: { capacityBytes: 1_000, availableBytes: 130 } })
  assert.deepStrictEqual([full.tooOld.map((i) => i.id), full.remove.map((i) => i.id), full.neededBytes], [['c'], ['b'], 70])
})

test('what was never seen before came just now', () => assert.deepStrictEqual([0, 1].map((minimumAgeMs) => removableImages({ images: all, inUse: new Set(['a']), uses: new Map(), nowMs: NOW, minimumAgeMs }).map((i) => i.id)), [['b', 'c', 'd'], []]))

test('sizes are told as upstream tells them', () => assert.deepStrictEqual([0, 1_023, 1_024, 1_536 * 1_024, 5.25 * 2 ** 30, 2 ** 50].map(sizeText), ['0 B', '1023 B', '1.0 KiB', '1.5 MiB', '5.3 GiB', '1024.0 TiB']))

test('a collection that fails is told of from the second time in a row; with a high threshold of 100 there is none', async () => {
  const told: string[] = []
  let problem: string | undefined = 'not yet'
  const collector = (imageGcHighPercent: number) => createGarbageCollector({
    runtime: { listImages: async () => [], listContainers: async () => [], imageFsInfo: () => (problem === undefined ? Promise.resolve({ mountpoint: '/i', usedBytes: 0, inodesUsed: 0 }) : Promise.reject(new Error(problem))), removeContainer: async () => {}, removeImage: async () => {} },
    config: { imageGcHighPercent, imageGcLowPercent: 80, imageGcMinimumAgeMs: 0, imageGcMaximumAgeMs: 0 }, disk: async () => ({ capacityBytes: 1_000, availableBytes: 1_000 }), isLive: () => false, tell: (reason, message) => told.push(`${reason}: ${message}`), clock: new FakeClock(), log: silentLog,
  })
  const garbage = collector(85)
  const after: number[] = []
  for (const next of ['not yet', 'still not', undefined, 'again', 'and again']) {
    problem = next
    await garbage.collect()
    after.push(told.length)
  }
  assert.deepStrictEqual([told, after], [['ImageGCFailed: still not', 'ImageGCFailed: and again'], [0, 1, 1, 1, 2]])
  problem = 'never'
  const off = collector(100)
  await off.collect()
  await off.collect()
  assert.equal(told.length, 2)
})

test('an image in use was used now; one that went is forgotten', () => {
  const next = nextImageUses({ images: [image('a'), image('b')], inUse: new Set(['a']), uses: uses({ b: [5, 7], x: [1, 1] }), nowMs: NOW })
  assert.deepStrictEqual([...next], [['a', { detectedMs: NOW, usedMs: NOW }], ['b', { detectedMs: 5, usedMs: 7 }]])
})

test('never more than is needed, never what is in use or pinned (any images)', () => {
  const images = fc.uniqueArray(fc.record({ id: fc.string({ minLength: 1 }), sizeBytes: fc.nat(100), pinned: fc.boolean() }), { selector: (i) => i.id, maxLength: 12 })
  fc.assert(fc.property(images, fc.array(fc.nat(11)), fc.nat(1_000), (list, used, availableBytes) => {
    const inUse = new Set(used.flatMap((i) => list[i]?.id ?? []))
    const { remove, neededBytes } = decideImageGc(view({ images: list.map((i) => image(i.id, i.sizeBytes, i.pinned)), inUse, uses: new Map(list.map((i) => [i.id, { detectedMs: 0, usedMs: i.sizeBytes }])), disk: { capacityBytes: 1_000, availableBytes } }))
    assert.ok(remove.every((i) => !i.pinned && !inUse.has(i.id)))
    assert.ok(remove.slice(0, -1).reduce((sum, i) => sum + i.sizeBytes, 0) < Math.max(1, neededBytes), 'without the last it would not have been enough')
  }))
})

test('for want of disk dead containers of pods that are gone are removed, and then their images, but for those that came just now; what could not be freed is told', async () => {
  const clock = new FakeClock()
  const done: string[] = []
  let images = ['a', 'b', 'c', 'v'].map((id) => image(id))
  let containers = [{ id: 'dead', sandboxId: 's1', imageId: 'a', annotations: {}, state: 'exited' }, { id: 'kept', sandboxId: 's2', imageId: 'b', annotations: { 'skiff.io/image-volumes': '{"data":"v"}' }, state: 'exited' }] as unknown as ContainerStatus[]
  const garbage = createGarbageCollector({
    runtime: {
      listImages: async () => images, listContainers: async () => containers, imageFsInfo: async () => ({ mountpoint: '/i', usedBytes: 0, inodesUsed: 0 }),
      removeContainer: async (id) => { done.push(`container ${id}`); containers = containers.filter((c) => c.id !== id) },
      removeImage: async (id) => { if (id === 'c') throw new Error('busy'); done.push(`image ${id}`); images = images.filter((i) => i.id !== id) },
    },
    config: { imageGcHighPercent: 85, imageGcLowPercent: 80, imageGcMinimumAgeMs: 120_000, imageGcMaximumAgeMs: 0 }, disk: async () => ({ capacityBytes: 1_000, availableBytes: 100 }), isLive: (id) => id === 's2', tell: (reason, message) => done.push(`${reason}: ${message}`), clock, log: silentLog,
  })
  await garbage.freeDisk()
  assert.deepStrictEqual(done.splice(0), ['container dead'])
  await clock.advance(120_000)
  await garbage.freeDisk()
  assert.deepStrictEqual(done.splice(0), ['image a'])
  assert.deepStrictEqual(await failing('busy'), ['ContainerGCFailed: busy'])
  assert.deepStrictEqual(await failing('busy', 'gone'), ['ContainerGCFailed: [busy, gone]'])
  await garbage.collect()
  assert.deepStrictEqual(done, ['FreeDiskSpaceFailed: Insufficient free disk space on the node\'s image filesystem (90% of 1000 B used). Failed to free sufficient space by deleting unused images (freed 0 bytes). Investigate disk usage, as it could be used by active images, logs, volumes, or other data.'])
  assert.deepStrictEqual(garbage.counters().map((c) => c.samples.map((s) => s.value)), [[1], [1]])
})

/** What is told when dead containers cannot be removed, each for one of these reasons. */
async function failing(...reasons: string[]): Promise<string[]> {
  const told: string[] = []
  await createGarbageCollector({
    runtime: {
      listImages: async () => [], listContainers: async () => reasons.map((id) => ({ id, sandboxId: 's', imageId: 'a', annotations: {}, state: 'exited' })) as unknown as ContainerStatus[],
      imageFsInfo: async () => ({ mountpoint: '/i', usedBytes: 0, inodesUsed: 0 }), removeContainer: async (id) => { throw new Error(id) }, removeImage: async () => {},
    },
    config: { imageGcHighPercent: 85, imageGcLowPercent: 80, imageGcMinimumAgeMs: 0, imageGcMaximumAgeMs: 0 }, disk: async () => ({ capacityBytes: 1, availableBytes: 1 }), isLive: () => false, tell: (reason, message) => told.push(`${reason}: ${message}`), clock: new FakeClock(), log: silentLog,
  }).freeDisk()
  return told
}
