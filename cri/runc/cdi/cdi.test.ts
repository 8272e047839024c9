import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import { CDI_DIRS, cdiEdits, wantedCdiDevices } from './cdi-devices.ts'
import { mergeEdits, NO_EDITS } from './cdi-edits.ts'
import { isQualifiedName, parseCdiSpec } from './cdi-spec.ts'

const spec = (more: Record<string, unknown> = {}) => ({ cdiVersion: '0.6.0', kind: 'vendor.com/radio', devices: [{ name: 'a', containerEdits: { env: ['RADIO=a'] } }], ...more })
const device = (containerEdits: Record<string, unknown>) => spec({ devices: [{ name: 'a', containerEdits }] })
const editsOf = (containerEdits: Record<string, unknown>) => {
  const edits = parseCdiSpec(device(containerEdits)).devices.get('a')
  assert.ok(edits)
  return edits
}

describe('a description of devices', () => {
  test('names are vendor/class=device', () => {
    assert.deepEqual(['vendor.com/radio=a', 'v/c-1=0:1.2_x', 'nvidia.com/gpu=all'].map(isQualifiedName), [true, true, true])
    assert.deepEqual(['radio', 'vendor.com/radio', 'vendor.com/radio=', '=a', 'vendor.com/1x=a', '-v/c=a', 'v/c=a/b', 'v/c=a=b', 'v/c=-a', 'v/c=a\nb'].map(isQualifiedName), Array.from({ length: 10 }, () => false))
  })

  for (const [what, document, says] of [
    ['no mapping', [], /no mapping/],
    ['an unknown version', spec({ cdiVersion: '9.0.0' }), /invalid version "9\.0\.0"/],
    ['a kind without a class', spec({ kind: 'vendor.com' }), /invalid kind "vendor\.com"/],
    ['no devices', spec({ devices: [] }), /no devices/],
    ['a device twice', spec({ devices: [{ name: 'a', containerEdits: { env: ['A=1'] } }, { name: 'a', containerEdits: { env: ['A=1'] } }] }), /multiple device "a"/],
    ['a device of a wrong name', spec({ devices: [{ name: '../a', containerEdits: { env: ['A=1'] } }] }), /invalid device name/],
    ['a device that does nothing', device({}), /empty device edits/],
    ['a variable without a value', device({ env: ['A'] }), /invalid environment variable "A"/],
    ['a node without a path', device({ deviceNodes: [{ path: '' }] }), /empty\) device path/],
    ['a node of an unknown type', device({ deviceNodes: [{ path: '/dev/x', type: 'z' }] }), /invalid type "z"/],
    ['unknown permissions', device({ deviceNodes: [{ path: '/dev/x', permissions: 'rx' }] }), /invalid permissions "rx"/],
    ['a number that is none', device({ deviceNodes: [{ path: '/dev/x', major: '1' }] }), /major is no whole number/],
    ['a mount from nowhere', device({ mounts: [{ containerPath: '/a' }] }), /empty host path/],
    ['a mount to nowhere', device({ mounts: [{ hostPath: '/a' }] }), /empty container path/],
    ['an unknown hook', device({ hooks: [{ hookName: 'sometimes', path: '/x' }] }), /invalid hook name "sometimes"/],
    ['a hook without a program', device({ hooks: [{ hookName: 'prestart' }] }), /empty path/],
    ['a class of caches with a path in it', device({ intelRdt: { closID: 'a/b' } }), /invalid ClosID/],
    ['network devices, which no runtime here knows', device({ netDevices: [{ hostInterfaceName: 'eth1', name: 'eth0' }] }), /netDevices/],
  ] as const) {
    test(`is refused with ${what}`, () => assert.throws(() => parseCdiSpec(document), says))
  }

  test('fields that are not known are passed over', () => assert.equal(parseCdiSpec(spec({ later: 1, annotations: { a: 'b' } })).kind, 'vendor.com/radio'))
})

describe('what described devices do', () => {
  const hosts = new Map([['/dev/host', { type: 'c' as const, major: 7, minor: 8 }], ['/dev/disk', { type: 'b' as const, major: 9, minor: 1 }]])

  test('a node that says little is that of the machine; one that says all needs none', () => {
    const { devices } = mergeEdits([editsOf({ deviceNodes: [
      { path: '/dev/in', hostPath: '/dev/host' }, { path: '/dev/all', type: 'b', major: 3, minor: 4, permissions: 'r', fileMode: 0o640, uid: 0, gid: 6 }, { path: '/dev/disk', type: 'b' }, { path: '/run/pipe', type: 'p' },
    ] })], hosts)
    assert.deepEqual(devices, [
      { path: '/dev/in', type: 'c', major: 7, minor: 8, fileMode: 0o666, access: 'rwm' }, { path: '/dev/all', type: 'b', major: 3, minor: 4, fileMode: 0o640, access: 'r', uid: 0, gid: 6 },
      { path: '/dev/disk', type: 'b', major: 9, minor: 1, fileMode: 0o666, access: 'rwm' }, { path: '/run/pipe', type: 'p', major: 0, minor: 0, fileMode: 0o666, access: 'rwm' },
    ])
  })

  test('a node that the machine does not have, or of another type, is told', () => {
    assert.throws(() => mergeEdits([editsOf({ deviceNodes: [{ path: '/dev/none' }] })], hosts), { code: 'CRI_FAILED', message: /CDI device \("\/dev\/none", "\/dev\/none"\), failed to stat/ })
    assert.throws(() => mergeEdits([editsOf({ deviceNodes: [{ path: '/dev/disk', type: 'c' }] })], hosts), { code: 'CRI_FAILED', message: /host type mismatch \(c, b\)/ })
  })

  test('the last word on a path counts; hooks and groups add up', () => {
    const one = editsOf({ env: ['A=1'], mounts: [{ hostPath: '/one', containerPath: '/x' }, { hostPath: '/y', containerPath: '/y', options: ['ro', 'bind'] }], hooks: [{ hookName: 'createContainer', path: '/one', args: ['one', 'x'], env: ['E=1'], timeout: 3 }], additionalGids: [5, 0], intelRdt: { closID: 'first', enableCMT: true } })
    const two = editsOf({ env: ['A=2'], mounts: [{ hostPath: '/two', containerPath: '/x', type: 'tmpfs' }], hooks: [{ hookName: 'createContainer', path: '/two' }, { hookName: 'poststop', path: '/three' }], additionalGids: [6, 5], intelRdt: { closID: 'second' } })
    assert.deepEqual(mergeEdits([one, two], hosts), {
      env: ['A=1', 'A=2'], devices: [], additionalGids: [5, 6], intelRdt: { closID: 'second' },
      mounts: [{ destination: '/y', type: '', source: '/y', options: ['ro', 'bind'] }, { destination: '/x', type: 'tmpfs', source: '/two', options: [] }],
      hooks: { createContainer: [{ path: '/one', args: ['one', 'x'], env: ['E=1'], timeout: 3 }, { path: '/two' }], poststop: [{ path: '/three' }] },
    })
  })
})

describe('directories of descriptions', () => {
  function world(t: TestContext) {
    const root = mkdtempSync(join(tmpdir(), 'skiff-cdi-'))
    t.after(() => rmSync(root, { recursive: true }))
    const dirs = [join(root, 'etc'), join(root, 'run')]
    for (const dir of dirs) mkdirSync(dir)
    return {
      write: (dir: 0 | 1, name: string, document: unknown) => writeFileSync(join(dirs[dir] ?? '', name), typeof document === 'string' ? document : JSON.stringify(document)),
      edits: (...names: string[]) => cdiEdits(names, [...dirs, join(root, 'none')]),
    }
  }
  const says = (value: string, name = 'a') => spec({ devices: [{ name, containerEdits: { env: [`RADIO=${value}`] } }] })

  test('a container that wants none looks at nothing', async () => assert.equal(await cdiEdits([], ['/dev/null/not-a-directory']), NO_EDITS))
  test('upstream\'s directories are looked at', () => assert.deepEqual(CDI_DIRS, ['/etc/cdi', '/var/run/cdi']))

  test('files of JSON and YAML tell of devices; others are none of ours', async (t) => {
    const w = world(t)
    w.write(0, 'a.json', says('json'))
    w.write(0, 'b.yaml', 'cdiVersion: 0.6.0\nkind: vendor.com/radio\ndevices: [{name: b, containerEdits: {env: [RADIO=yaml]}}]\n')
    w.write(0, 'c.txt', says('text', 'c'))
    assert.deepEqual((await w.edits('vendor.com/radio=a', 'vendor.com/radio=b')).env, ['RADIO=json', 'RADIO=yaml'])
    await assert.rejects(w.edits('vendor.com/radio=a', 'vendor.com/radio=c', 'vendor.com/radio=d'), { code: 'CRI_FAILED', message: 'CDI device injection failed: unresolvable CDI devices vendor.com/radio=c, vendor.com/radio=d' })
  })

  test('what a later directory says of a device hides what an earlier one says', async (t) => {
    const w = world(t)
    w.write(0, 'a.json', says('etc'))
    w.write(1, 'z.json', says('run'))
    assert.deepEqual((await w.edits('vendor.com/radio=a')).env, ['RADIO=run'])
  })

  test('a device that two files of one directory describe is nobody\'s, and both are named', async (t) => {
    const w = world(t)
    w.write(0, 'a.json', says('one'))
    w.write(0, 'b.json', says('two'))
    await assert.rejects(w.edits('vendor.com/radio=a'), /unresolvable CDI devices vendor\.com\/radio=a \(conflicting device "vendor\.com\/radio=a" \(specs ".*\/a\.json", ".*\/b\.json"\)\)/)
  })

  test('a broken file is told when a device is missing, and is in nobody else\'s way', async (t) => {
    const w = world(t)
    w.write(0, 'good.json', says('good'))
    w.write(0, 'half.json', '{"cdiVersion": "0.')
    w.write(0, 'large.json', ' '.repeat(1024 * 1024 + 1))
    assert.deepEqual((await w.edits('vendor.com/radio=a')).env, ['RADIO=good'])
    await assert.rejects(w.edits('vendor.com/radio=b'), (error: Error) => /half\.json: .*JSON/.test(error.message) && /large\.json: larger than 1048576 bytes/.test(error.message))
  })

  test('more files than a machine can have devices are refused, not passed over', async (t) => {
    const w = world(t)
    for (let i = 0; i <= 1_000; i++) w.write(0, `${i}.json`, says('one'))
    await assert.rejects(w.edits('vendor.com/radio=a'), { code: 'CRI_FAILED', message: /etc holds 1001 descriptions, more than 1000: remove/ })
  })

  test('what is everybody\'s comes once, before what is the device\'s', async (t) => {
    const w = world(t)
    w.write(0, 'a.json', spec({ containerEdits: { env: ['ALL=1'] }, devices: ['a', 'b'].map((name) => ({ name, containerEdits: { env: [`RADIO=${name}`], deviceNodes: [{ path: '/dev/null' }] } })) }))
    const { env, devices } = await w.edits('vendor.com/radio=b', 'vendor.com/radio=a')
    assert.deepEqual(env, ['ALL=1', 'RADIO=b', 'RADIO=a'])
    assert.deepEqual(devices, [{ path: '/dev/null', type: 'c', major: 1, minor: 3, fileMode: 0o666, access: 'rwm' }])
  })

  test('names are a container\'s own and those of its annotations, each once', () => {
    assert.deepEqual(wantedCdiDevices({ annotations: {} }), [])
    assert.deepEqual(wantedCdiDevices({ cdiDevices: ['v/c=a', 'v/c=b'], annotations: { other: 'x', 'cdi.k8s.io/plugin_radio': 'v/c=z,v/c=a' } }), ['v/c=z', 'v/c=a', 'v/c=b'])
    assert.throws(() => wantedCdiDevices({ annotations: { 'cdi.k8s.io/plugin': 'v/c' } }), { code: 'CRI_INVALID', message: /annotation cdi\.k8s\.io\/plugin: invalid CDI device name "v\/c"/ })
  })
})
