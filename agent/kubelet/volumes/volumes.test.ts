import assert from 'node:assert/strict'
import { chmodSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import fc from 'fast-check'
import type { Volume } from '#api/types/index.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { createLog, silentLog } from '#base/log.ts'
import { runCommand } from '../run-command.ts'
import { aPod } from '../testing/builders.ts'
import { writeAtomically } from './atomic-writer.ts'
import { checkHostPath } from './host-path.ts'
import { systemMounter } from './mounter.ts'
import { createOwnershipWatch, setOwnership } from './ownership.ts'
import { volumePayload, type FilePayload } from './payload.ts'
import { bindSubpath, readInside, unbindSubpath } from './subpath.ts'

const root = process.getuid?.() === 0
const needsRoot = root ? {} : { skip: 'mounting and changing owners need root' }

function dir(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'volume-'))
  t.after(async () => {
    for (const point of await systemMounter.below(path)) await systemMounter.unmount(point)
    rmSync(path, { recursive: true, force: true })
  })
  return path
}
const payload = (files: Record<string, string>, mode = 0o644) => new Map<string, FilePayload>(Object.entries(files).map(([path, text]) => [path, { data: Buffer.from(text), mode }]))

test('files appear all at once behind ..data, names go that are no longer wanted', async (t) => {
  const d = dir(t)
  assert.equal(await writeAtomically(d, payload({ a: '1', 'sub/b': '2' }), 's1'), true)
  assert.deepStrictEqual([readlinkSync(join(d, '..data')), readlinkSync(join(d, 'a')), readFileSync(join(d, 'sub/b'), 'utf8'), readdirSync(d).sort()], ['..s1', '..data/a', '2', ['..data', '..s1', 'a', 'sub']])
  assert.equal(await writeAtomically(d, payload({ a: '1', 'sub/b': '2' }), 's2'), false, 'nothing new, nothing written')
  assert.equal(await writeAtomically(d, payload({ a: '3' }, 0o400), 's3'), true)
  assert.deepStrictEqual([readFileSync(join(d, 'a'), 'utf8'), statSync(join(d, 'a')).mode & 0o777, readdirSync(d).sort()], ['3', 0o400, ['..data', '..s3', 'a']])
})

test('what a crash left half done is mended by the next write', async (t) => {
  const d = dir(t)
  await writeAtomically(d, payload({ a: '1' }), 's1')
  mkdirSync(join(d, '..s2'))
  symlinkSync('..s2', join(d, '..data_tmp'))
  await writeAtomically(d, payload({ a: '2', b: '2' }), 's3')
  assert.deepStrictEqual([readFileSync(join(d, 'a'), 'utf8'), readdirSync(d).sort()], ['2', ['..data', '..s3', 'a', 'b']])
})

test('after any series of writes the directory holds exactly the last', async (t) => {
  const d = dir(t)
  let n = 0
  await fc.assert(fc.asyncProperty(fc.dictionary(fc.constantFrom('a', 'b', 'c/d', 'c/e', 'f'), fc.string({ maxLength: 5 }), { minKeys: 1 }), async (files) => {
    await writeAtomically(d, payload(files), `s${++n}`)
    const names = [...new Set(Object.keys(files).map((k) => k.split('/')[0] ?? ''))].sort()
    assert.deepStrictEqual(readdirSync(d).filter((f) => !f.startsWith('..')).sort(), names)
    for (const [path, text] of Object.entries(files)) assert.equal(readFileSync(join(d, path), 'utf8'), text)
  }), { numRuns: 40 })
})

test('a path that leads out is refused', async (t) => {
  for (const path of ['/a', '../a', 'a/../b', '..data/x', '']) await assert.rejects(writeAtomically(dir(t), payload({ [path]: 'x' }), 's'), { code: 'VOLUME_INVALID' }, path)
})

test('paths are taken as what they mean, and refused in the words of upstream', async (t) => {
  const d = dir(t)
  await writeAtomically(d, payload({ './a': '1', 'b//c/': '2' }), 's1')
  assert.deepStrictEqual([readdirSync(d).sort(), readFileSync(join(d, 'a'), 'utf8'), readFileSync(join(d, 'b/c'), 'utf8')], [['..data', '..s1', 'a', 'b'], '1', '2'])
  assert.equal(await writeAtomically(d, payload({ './a': '1', 'b//c/': '2' }), 's2'), false)
  const long = 'x'.repeat(256)
  const table: [string, string][] = [
    ['', 'must not be empty: ""'], ['/a', 'must be relative path: /a'], [`${'a/'.repeat(2048)}b`, 'must be less than or equal to 4096 characters'], ['a/../b', 'must not contain \'..\': a/../b'],
    [`a/${long}`, 'filenames must be less than or equal to 255 characters'], ['..a/b', 'must not start with \'..\': ..a/b'], ['./..data', 'must not start with \'..\': ./..data'],
  ]
  for (const [path, problem] of table) await assert.rejects(writeAtomically(d, payload({ [path]: 'x' }), 's3'), { message: `invalid path: ${problem}` })
})

test('a directory that another volume is mounted on stays, whatever is written beside it', async (t) => {
  const d = dir(t)
  mkdirSync(join(d, 'sub'))
  await writeAtomically(d, payload({ a: '1', 'sub/x': '2' }), 's1')
  await writeAtomically(d, payload({ b: '1' }), 's2')
  assert.deepStrictEqual([readdirSync(d).sort(), lstatSync(join(d, 'sub')).isDirectory()], [['..data', '..s2', 'b', 'sub'], true])
})

const sources = {
  configMap: (n: string) => (n === 'c' ? { data: { a: '1', b: '2' }, binaryData: { bin: Buffer.from([0, 255]).toString('base64') } } : undefined),
  secret: (n: string) => (n === 's' ? { data: { k: Buffer.from('v').toString('base64') } } : undefined),
  token: ({ path }: { path: string }) => (path === 'refused' ? { ok: false as const, message: 'failed to fetch token: no' } : { ok: true as const, token: 'jwt' }), fsGroup: undefined, sameRunAsUser: undefined,
  field: { pod: aPod({}, { labels: { x: 'y' } }), nodeName: 'n', hostIps: [], podIps: [], allocatable: {} },
}
const contents = (volume: Omit<Volume, 'name'>) => {
  const result = volumePayload({ name: 'v', ...volume }, sources)
  return result.ok ? Object.fromEntries([...result.payload].map(([path, f]) => [path, `${f.mode.toString(8)} ${f.data.toString('latin1')}`])) : result.message
}
const table: [string, Omit<Volume, 'name'>, unknown][] = [
  ['a ConfigMap is all its keys', { configMap: { name: 'c' } }, { a: '644 1', b: '644 2', bin: '644 \u0000\u00ff' }],
  ['or those it lists, where and how it says', { configMap: { name: 'c', defaultMode: 0o600, items: [{ key: 'a', path: 'x/y', mode: 0o444 }, { key: 'b', path: 'z' }] } }, { 'x/y': '444 1', z: '600 2' }],
  ['a key that is not there is refused', { configMap: { name: 'c', items: [{ key: 'none', path: 'p' }] } }, 'configmap references non-existent config key: none'],
  ['a Secret too', { secret: { secretName: 's', items: [{ key: 'none', path: 'p' }] } }, 'references non-existent secret key: none'],
  ['a missing object is named', { secret: { secretName: 'none' } }, 'secret "none" not found'],
  ['unless it may be missing', { secret: { secretName: 'none', optional: true } }, {}],
  ['all that is wrong with a projection is told, the same once', { projected: { sources: [{ secret: { name: 'none' } }, { serviceAccountToken: { path: 'refused' } }, { configMap: { name: 'none' } }, { secret: { name: 'none' } }, { downwardAPI: { items: [{ path: 'a', fieldRef: { fieldPath: 'status.phase' } }, { path: 'b', resourceFieldRef: { containerName: 'x', resource: 'limits.cpu' } }, { path: 'c', resourceFieldRef: { containerName: 'app', resource: 'limits' } }] } }] } },
    '[secret "none" not found, failed to fetch token: no, configmap "none" not found, unsupported fieldPath: status.phase, container x not found, unsupported container resource : limits]'],
  ['projected sources share one directory', { projected: { sources: [{ secret: { name: 's' } }, { configMap: { name: 'c', items: [{ key: 'a', path: 'a' }] } }, { serviceAccountToken: { path: 'token' } }, { downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } }] } }, { k: '644 v', a: '644 1', token: '644 jwt', labels: '644 x="y"' }],
]
for (const [name, volume, expected] of table) test(name, () => assert.deepStrictEqual(contents(volume), expected))

test('a hostPath is what its type says, or refused', async (t) => {
  const d = dir(t)
  writeFileSync(join(d, 'file'), '')
  await checkHostPath({ path: join(d, 'new/dir'), type: 'DirectoryOrCreate' })
  await checkHostPath({ path: join(d, 'new/file'), type: 'FileOrCreate' })
  assert.deepStrictEqual([lstatSync(join(d, 'new/dir')).mode & 0o777, lstatSync(join(d, 'new/file')).isFile()], [0o755, true])
  await checkHostPath({ path: '/anything/at/all' })
  await checkHostPath({ path: '/dev/null', type: 'CharDevice' })
  await assert.rejects(checkHostPath({ path: join(d, 'file'), type: 'Directory' }), { message: `hostPath type check failed: ${join(d, 'file')} is not a directory` })
  await assert.rejects(checkHostPath({ path: join(d, 'none'), type: 'Socket' }), { message: `hostPath type check failed: ${join(d, 'none')} is not a socket file` })
  await assert.rejects(checkHostPath({ path: '/a/../b' }), { message: 'invalid HostPath `/a/../b`: must not contain \'..\'' })
  await assert.rejects(checkHostPath({ path: '/a', type: 'Tape' }), { message: 'Tape is an invalid volume type' })
  await assert.rejects(checkHostPath({ path: join(d, 'none/file'), type: 'FileOrCreate' }), { message: `open ${join(d, 'none/file')}: no such file or directory` })
})

test('a tmpfs is mounted once, has its size and mode, and is gone after unmounting', needsRoot, async (t) => {
  const d = join(dir(t), 'with space')
  await systemMounter.tmpfs(d, { sizeBytes: 1_048_576, mode: 0o1777 })
  await systemMounter.tmpfs(d, { sizeBytes: 1_048_576, mode: 0o1777 })
  assert.deepStrictEqual([await systemMounter.below(d), statSync(d).mode & 0o7777], [[d], 0o1777])
  assert.throws(() => writeFileSync(join(d, 'big'), Buffer.alloc(2_000_000)), { code: 'ENOSPC' })
  await systemMounter.unmount(d)
  await systemMounter.unmount(d)
  assert.deepStrictEqual(await systemMounter.below(d), [])
})

test('a file system of large pages is mounted where the kernel has it', existsSync('/sys/kernel/mm/hugepages/hugepages-2048kB') ? needsRoot : { skip: 'this kernel has no pages of 2 MiB' }, async (t) => {
  const d = dir(t)
  await systemMounter.mount('hugetlbfs', 'nodev', d, ['pagesize=2Mi'])
  const { type, bsize } = await statfs(d)
  assert.deepStrictEqual([type, bsize], [0x958458f6, 2 ** 21])
  await systemMounter.unmount(d)
  assert.deepStrictEqual(await systemMounter.below(d), [])
})

test('fsGroup owns everything, group may write where the volume can be written', needsRoot, async (t) => {
  const d = dir(t)
  mkdirSync(join(d, 'sub'))
  writeFileSync(join(d, 'sub/f'), '', { mode: 0o600 })
  symlinkSync('/etc/passwd', join(d, 'link'))
  await setOwnership(d, { gid: 4321, readonly: false, policy: 'Always' })
  assert.deepStrictEqual([statSync(d).gid, statSync(d).mode & 0o2070, statSync(join(d, 'sub/f')).gid, statSync(join(d, 'sub/f')).mode & 0o777, statSync('/etc/passwd').gid], [4321, 0o2070, 4321, 0o660, 0])
})

test('a volume that takes long to be given to its group is told of, and how far it is; one that is right already is not', needsRoot, async (t) => {
  const clock = new FakeClock()
  const told: string[] = []
  const watch = createOwnershipWatch({ clock, log: silentLog, tell: (pod, message) => told.push(`${pod.metadata.name}: ${message}`) })
  const pod = aPod()
  const d = dir(t)
  const volume = join(d, pod.metadata.uid, 'volumes/local/v')
  mkdirSync(volume, { recursive: true })
  for (let i = 0; i < 9; i++) writeFileSync(join(volume, String(i)), '')
  const slow = watch.begins(pod, volume)
  await clock.advance(29_999)
  assert.equal(told.length, 0)
  await clock.advance(1)
  // Its end comes later.
  await setOwnership(volume, { gid: 4321, readonly: false, policy: 'OnRootMismatch' }, { ...slow, ends: () => {} })
  await clock.advance(60_000)
  slow.ends()
  await clock.advance(600_000)
  const what = `web: Setting volume ownership for ${pod.metadata.uid}/volumes/local/v`
  assert.deepEqual(told.map((line) => line.replace(/ - https:.*/, '')), [`${what} is taking longer than expected, consider using OnRootMismatch`, `${what}, processed 10 files.`])
  await setOwnership(volume, { gid: 4321, readonly: false, policy: 'OnRootMismatch' }, watch.begins(pod, volume))
  await clock.advance(600_000)
  assert.equal(told.length, 2)
})

test('a volume whose files cannot be given away is its pod\'s all the same, as upstream; the log says so once', needsRoot, async (t) => {
  const d = dir(t)
  const volume = join(d, 'volume')
  mkdirSync(volume)
  for (const name of ['a', 'b']) writeFileSync(join(volume, name), '')
  await systemMounter.bind(volume, volume)
  await runCommand('mount', ['-o', 'remount,bind,ro', volume])
  const lines: string[] = []
  const log = createLog({ level: 'info', format: 'text', nowMs: () => 0, write: (line) => { lines.push(line) } })
  const watch = createOwnershipWatch({ clock: new FakeClock(), log, tell: () => {} })
  await setOwnership(volume, { gid: 4321, readonly: false, policy: 'Always' }, watch.begins(aPod(), volume))
  assert.deepEqual([statSync(join(volume, 'a')).gid, lines.map((line) => /file of a volume cannot|files of a volume could not/.exec(line)?.[0])], [0, ['file of a volume cannot', 'files of a volume could not']])
  await assert.rejects(setOwnership(volume, { gid: 4321, readonly: false, policy: 'Always' }), { code: 'EROFS' })
})

test('a file of a volume is read where links inside it lead, and nothing outside it, nothing that is no file, nothing too large', async (t) => {
  const d = dir(t)
  const volume = join(d, 'volume')
  mkdirSync(join(volume, 'sub'), { recursive: true })
  writeFileSync(join(d, 'outside'), 'no')
  writeFileSync(join(volume, 'sub/env'), 'A=\'1\'')
  writeFileSync(join(volume, 'large'), 'x'.repeat(101))
  symlinkSync('sub/env', join(volume, 'link'))
  symlinkSync('../outside', join(volume, 'out'))
  symlinkSync('loop', join(volume, 'loop'))
  const read = (path: string) => readInside(volume, path, 100)
  assert.deepStrictEqual(await Promise.all(['sub/env', './link', 'out', '../outside', 'sub', 'none', 'sub/env/x', 'large', 'loop'].map(read)), ['A=\'1\'', 'A=\'1\'', undefined, undefined, undefined, undefined, undefined, undefined, undefined])
})

test('a subpath shows that part of the volume and no other, follows links that stay inside', needsRoot, async (t) => {
  const d = dir(t)
  const volume = join(d, 'volume')
  mkdirSync(volume)
  await writeAtomically(volume, payload({ 'app.conf': 'x=1' }), 's1')
  const target = join(d, 'subpaths/0')
  await bindSubpath(systemMounter, { volumeDir: volume, subPath: 'app.conf', target })
  assert.equal(readFileSync(target, 'utf8'), 'x=1')
  await bindSubpath(systemMounter, { volumeDir: volume, subPath: 'made/for/you', target: join(d, 'subpaths/1') })
  writeFileSync(join(d, 'subpaths/1/f'), 'y')
  assert.equal(readFileSync(join(volume, 'made/for/you/f'), 'utf8'), 'y')
  // Whatever the umask: who may write to the volume may write there, and what is made there is the group's.
  chmodSync(volume, 0o2777)
  await bindSubpath(systemMounter, { volumeDir: volume, subPath: 'open/to/all', target: join(d, 'subpaths/2') })
  assert.deepEqual(['open', 'open/to', 'open/to/all'].map((path) => statSync(join(volume, path)).mode & 0o7777), [0o2777, 0o2777, 0o2777])
  await unbindSubpath(systemMounter, target)
  await unbindSubpath(systemMounter, target)
  assert.equal(existsSync(target), false)
})

test('a subpath that leads out of its volume is refused', needsRoot, async (t) => {
  const d = dir(t)
  mkdirSync(join(d, 'volume'))
  symlinkSync('/etc', join(d, 'volume/out'))
  symlinkSync('../..', join(d, 'volume/up'))
  symlinkSync('/etc/no-such', join(d, 'volume/nowhere'))
  for (const [subPath, code] of [['out', 'VOLUME_INVALID'], ['out/passwd', 'VOLUME_INVALID'], ['up', 'VOLUME_INVALID'], ['../x', 'VOLUME_INVALID'], ['/etc', 'VOLUME_INVALID'], ['a/../../x', 'VOLUME_INVALID'], ['out/no-such', 'SUBPATH_NOT_MADE'], ['nowhere', 'SUBPATH_NOT_MADE'], ['nowhere/a', 'SUBPATH_NOT_MADE']] as const) {
    await assert.rejects(bindSubpath(systemMounter, { volumeDir: join(d, 'volume'), subPath, target: join(d, 't') }), { code }, subPath)
  }
  assert.ok(!existsSync('/etc/no-such'))
  assert.deepStrictEqual(await systemMounter.below(d), [])
})
