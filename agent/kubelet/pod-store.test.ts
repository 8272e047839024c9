import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { silentLog } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import { openPodStore } from './pod-store.ts'
import { aPod } from './testing/builders.ts'

async function store(t: TestContext) {
  const dir = mkdtempSync(join(tmpdir(), 'pod-store-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  const open = () => openPodStore(dir, { random: seededRandom(1), log: silentLog })
  return { dir, open, store: await open() }
}

test('pods are found again with when they began to end; the last of several writes stays', async (t) => {
  const s = await store(t)
  await Promise.all([1, 2, 3].map((n) => s.store.savePod({ pod: aPod({}, { generation: n }), endingSinceMs: n })))
  assert.deepStrictEqual(await (await s.open()).loadPods(), [{ pod: aPod({}, { generation: 3 }), endingSinceMs: 3 }])
  void s.store.savePod({ pod: aPod() })
  await s.store.removePod('u1')
  assert.deepStrictEqual(readdirSync(join(s.dir, 'known-pods')), [])
  await s.store.removePod('u1')
})

test('half a record, or one that is none, is left out', async (t) => {
  const s = await store(t)
  await s.store.savePod({ pod: aPod() })
  for (const [name, text] of [['half', '{"pod":{"meta'], ['null', 'null'], ['other', '{"pod":{}}']] as const) writeFileSync(join(s.dir, `known-pods/${name}.json`), text)
  assert.deepStrictEqual((await s.store.loadPods()).map((r) => r.pod.metadata.uid), ['u1'])
})

test('objects and tokens are unreadable on disk, readable to us, and private', async (t) => {
  const s = await store(t)
  await s.store.save('Secret', 'ns', 'name', { metadata: { name: 'very-secret' } })
  await s.store.saveToken('u1', 'k', 'eyJ-token')
  const again = await s.open()
  assert.deepStrictEqual([await again.load('Secret', 'ns', 'name'), await again.loadToken('u1', 'k'), await again.load('Secret', 'ns', 'other'), await again.loadToken('u1', 'other')], [{ metadata: { name: 'very-secret' } }, 'eyJ-token', undefined, undefined])
  for (const dir of ['known-objects', 'known-pods']) {
    assert.equal(statSync(join(s.dir, dir)).mode & 0o777, 0o700)
    for (const file of readdirSync(join(s.dir, dir))) {
      const path = join(s.dir, dir, file)
      assert.ok(!/secret|eyJ|name/.test(readFileSync(path, 'latin1')) && !file.includes('name'))
      assert.equal(statSync(path).mode & 0o777, 0o600)
      writeFileSync(path, 'damaged, but long enough to be looked at')
    }
  }
  assert.equal(statSync(join(s.dir, 'known-objects.key')).mode & 0o777, 0o600)
  assert.deepStrictEqual([await again.load('Secret', 'ns', 'name'), await again.loadToken('u1', 'k')], [undefined, undefined])
})

test('a key that is none is said with what to do', async (t) => {
  const s = await store(t)
  writeFileSync(join(s.dir, 'known-objects.key'), 'short')
  await assert.rejects(s.open(), { code: 'STORE_DAMAGED', message: /remove it and the directory beside it/ })
})
