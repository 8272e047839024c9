import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { seededRandom } from '#base/random.ts'
import { podPaths } from './pod-paths.ts'
import { createUserRanges, RANGE_UNIT } from './user-ranges.ts'

function world(t: TestContext, count = 3) {
  const dir = mkdtempSync(join(tmpdir(), 'ranges-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const paths = podPaths(dir, dir)
  const pod = (uid: string) => mkdirSync(paths.pod(uid), { recursive: true })
  for (const uid of ['a', 'b', 'c', 'd']) pod(uid)
  return { paths, pod, open: (length = RANGE_UNIT) => createUserRanges(paths, { count, length }, seededRandom(1)) }
}

test('each pod has users of its own, the same after a restart; those of a pod that is gone are free', async (t) => {
  const { paths, open } = world(t)
  const ranges = open()
  const first = await Promise.all(['a', 'b', 'c'].map((uid) => ranges.of(uid)))
  assert.deepStrictEqual(first.toSorted((a, b) => a.hostId - b.hostId), [1, 2, 3].map((i) => ({ hostId: i * 65_536, length: 65_536 })))
  const again = open()
  assert.deepStrictEqual(await again.of('b'), first[1])
  await assert.rejects(again.of('d'), { code: 'USER_RANGES_USED_UP', message: 'could not find an empty slot to allocate a user namespace' })
  rmSync(paths.pod('b'), { recursive: true })
  assert.deepStrictEqual(await again.of('d'), first[1])
})

test('which users a pod gets is chance, so that pods of two nodes hardly have the same', async (t) => {
  const { paths } = world(t)
  const given = new Set<number>()
  for (let seed = 0; seed < 20; seed++) {
    given.add((await createUserRanges(paths, { count: 110, length: RANGE_UNIT }, seededRandom(seed)).of('a')).hostId)
    rmSync(join(paths.pod('a'), 'userns'))
  }
  assert.ok(given.size > 10, `${given.size} ranges in 20 tries`)
})

test('with more users for each, pods that are here keep theirs, and new ones get none of those', async (t) => {
  const { open } = world(t)
  const before = await open().of('a')
  const wider = open(3 * RANGE_UNIT)
  assert.deepStrictEqual(await wider.of('a'), before)
  const given = await Promise.all(['b', 'c'].map((uid) => wider.of(uid)))
  // Of 3, 6 and 9 units: what 'a' has of the first ones is not given.
  const free = [3, 6, 9].map((unit) => unit * RANGE_UNIT).filter((hostId) => !(before.hostId >= hostId && before.hostId < hostId + 3 * RANGE_UNIT))
  for (const { hostId, length } of given) assert.ok(length === 3 * RANGE_UNIT && free.includes(hostId), `${hostId} of ${free.join(', ')}`)
  assert.notStrictEqual(given[0]?.hostId, given[1]?.hostId)
})

test('while a file makes no sense nobody is given what its pod may have', async (t) => {
  const { paths, open } = world(t)
  for (const text of ['', '{"uidMappings":[{"hostId":5,"length":65536}]}', '{"uidMappings":[{"hostId":0,"length":65536}]}']) {
    writeFileSync(join(paths.pod('a'), 'userns'), text)
    await assert.rejects(open().of('a'), { code: 'USER_RANGE_DAMAGED' })
    await assert.rejects(open().of('b'), { code: 'USER_RANGE_DAMAGED' })
  }
})
