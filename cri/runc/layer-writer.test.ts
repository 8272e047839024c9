/** Layers as overlayfs wants them, and archives that try to write elsewhere. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { packTar } from '#test/images/build-image.ts'
import type { LayerFile } from '#test/images/build-image.ts'
import { LayerWriter } from './layer-writer.ts'
import type { LayerWriterOptions } from './layer-writer.ts'
import { TarReader } from './tar-reader.ts'

const missing = process.getuid?.() === 0 ? false : 'needs root: owners, devices and trusted attributes'

describe('layer writer', { skip: missing }, () => {
  const base = mkdtempSync(join(tmpdir(), 'skiff-layer-'))
  let count = 0
  after(() => rmSync(base, { recursive: true, force: true }))

  const unpackBytes = (tar: Buffer, overrides: Partial<LayerWriterOptions> = {}) => {
    const root = join(base, `layer-${++count}`)
    mkdirSync(root)
    const writer = new LayerWriter({ root, parents: [], limits: { bytesMax: 1 << 30, entriesMax: 10_000 }, allowDevices: false, ...overrides })
    const reader = new TarReader(writer)
    // Odd pieces: nothing may depend on where chunks end.
    for (let at = 0; at < tar.length; at += 997) reader.push(tar.subarray(at, at + 997))
    reader.finish()
    writer.finish()
    return root
  }
  const unpack = async (files: LayerFile[], overrides: Partial<LayerWriterOptions> = {}) => unpackBytes(await packTar(files), overrides)
  /** As GNU tar sees them: no other tool for attributes is on every machine. */
  const xattrs = (path: string) => {
    const found = new Map<string, string>()
    const reader = new TarReader({ entry: (entry) => { for (const [key, value] of entry.xattrs) found.set(key, value.toString('hex')); return undefined } })
    reader.push(execFileSync('tar', ['--xattrs', '--xattrs-include=*', '--no-recursion', '-cPf', '-', path]))
    return found
  }
  const isOpaque = (path: string) => xattrs(path).get('trusted.overlay.opaque') === '79'
  const isWhiteout = (path: string) => lstatSync(path).isCharacterDevice() && lstatSync(path).rdev === 0

  test('files keep content, owner, mode with setuid, and time; directories theirs though written into later', async () => {
    const root = await unpack([
      { name: 'd', type: 'directory', mode: 0o750, uid: 5, gid: 6 }, { name: 'd/f', mode: 0o4711, uid: 1000, gid: 1001, content: 'hello' }, { name: 'd/l', type: 'symlink', linkname: '/etc/passwd' }, { name: 'h', type: 'link', linkname: 'd/f' },
    ])
    const [dir, file, link] = [statSync(join(root, 'd')), statSync(join(root, 'd/f')), lstatSync(join(root, 'd/l'))]
    assert.deepEqual([dir.mode & 0o7777, dir.uid, dir.gid, dir.mtimeMs], [0o750, 5, 6, 0])
    assert.deepEqual([file.mode & 0o7777, file.uid, file.gid, file.mtimeMs, readFileSync(join(root, 'd/f'), 'utf8')], [0o4711, 1000, 1001, 0, 'hello'])
    assert.deepEqual([link.isSymbolicLink(), readlinkSync(join(root, 'd/l')), link.mtimeMs], [true, '/etc/passwd', 0])
    assert.equal(statSync(join(root, 'h')).ino, file.ino)
  })

  test('whiteouts become 0:0 devices, opaque directories get overlayfs\' attribute, aufs\' own files are left out', async () => {
    const root = await unpack([{ name: 'd', type: 'directory' }, { name: 'd/.wh..wh..opq' }, { name: 'd/new', content: 'x' }, { name: '.wh.gone' }, { name: '.wh..wh.plnk', content: '' }])
    assert.deepEqual([readdirSync(root).sort(), readdirSync(join(root, 'd')), isOpaque(join(root, 'd')), isWhiteout(join(root, 'gone'))], [['d', 'gone'], ['new'], true, true])
  })

  test('a directory that replaces one of a layer below hides its content, whichever comes first', async () => {
    const before = await unpack([{ name: '.wh.d' }, { name: 'd', type: 'directory' }, { name: 'd/x', content: '1' }])
    const after = await unpack([{ name: 'd', type: 'directory' }, { name: 'd/x', content: '1' }, { name: '.wh.d' }])
    for (const root of [before, after]) assert.deepEqual([isOpaque(join(root, 'd')), readdirSync(join(root, 'd'))], [true, ['x']])
    assert.equal(isOpaque(join(await unpack([{ name: '.wh.e' }, { name: 'e/x', content: '1' }]), 'e')), true)
  })

  test('overlayfs agrees: lower files are hidden, replaced and merged', async (t) => {
    const lower = await unpack([{ name: 'keep', content: '1' }, { name: 'gone', content: '1' }, { name: 'd/old', content: '1' }, { name: 'm/old', content: '1' }])
    const upper = await unpack([{ name: '.wh.gone' }, { name: 'd', type: 'directory' }, { name: 'd/.wh..wh..opq' }, { name: 'd/new', content: '2' }, { name: 'm/new', content: '2' }])
    const merged = join(base, 'merged')
    mkdirSync(merged)
    try {
      execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', `lowerdir=${upper}:${lower}`, merged], { stdio: 'pipe' })
    } catch {
      return t.skip('overlayfs cannot be mounted here')
    }
    try {
      assert.deepEqual([readdirSync(merged).sort(), readdirSync(join(merged, 'd')), readdirSync(join(merged, 'm')).sort()], [['d', 'keep', 'm'], ['new'], ['new', 'old']])
    } finally {
      execFileSync('umount', [merged])
    }
  })

  test('a directory the archive leaves out takes owner and mode from the layer below, else root\'s 0755', async () => {
    const below = await unpack([{ name: 'srv', type: 'directory', mode: 0o1777, uid: 7, gid: 8 }])
    const root = await unpack([{ name: 'srv/deep/file', content: 'x' }], { parents: [below] })
    const [srv, deep] = [statSync(join(root, 'srv')), statSync(join(root, 'srv/deep'))]
    assert.deepEqual([srv.mode & 0o7777, srv.uid, srv.gid, deep.mode & 0o7777, deep.uid], [0o1777, 7, 8, 0o755, 0])
  })

  for (const name of ['../evil', 'a/../../evil', 'a/../../../../evil']) {
    test(`the name ${name} is refused`, async () => {
      await assert.rejects(unpack([{ name, content: 'x' }]), { code: 'CRI_INVALID', message: `layer entry ${JSON.stringify(name)} leads outside the layer` })
      assert.equal(existsSync(join(base, 'evil')), false)
    })
  }

  test('an absolute name is one inside the layer', async () => {
    assert.equal(readFileSync(join(await unpack([{ name: '/abs', content: 'x' }]), 'abs'), 'utf8'), 'x')
  })

  test('writing through a symlink stays inside the layer, as if it were the root', async () => {
    const outside = join(base, 'outside')
    mkdirSync(outside)
    const root = await unpack([{ name: 'out', type: 'symlink', linkname: outside }, { name: 'up', type: 'symlink', linkname: '../../../..' }, { name: 'out/f', content: 'x' }, { name: 'up/g', content: 'y' }])
    assert.deepEqual([readdirSync(outside), readFileSync(join(root, outside, 'f'), 'utf8'), readFileSync(join(root, 'g'), 'utf8')], [[], 'x', 'y'])
  })

  test('a file over a symlink replaces the link, not what it points at', async () => {
    const victim = join(base, 'victim')
    writeFileSync(victim, 'safe')
    const root = await unpack([{ name: 'f', type: 'symlink', linkname: victim }, { name: 'f', content: 'new' }])
    assert.deepEqual([readFileSync(victim, 'utf8'), lstatSync(join(root, 'f')).isFile()], ['safe', true])
  })

  test('hard links out of the layer, or to nothing, are refused; one to a symlink links the link', async () => {
    await assert.rejects(unpack([{ name: 'h', type: 'link', linkname: '../../etc/passwd' }]), { code: 'CRI_INVALID' })
    await assert.rejects(unpack([{ name: 'h', type: 'link', linkname: '/etc/passwd' }]), /which is not in the layer/)
    const root = await unpack([{ name: 's', type: 'symlink', linkname: '/etc/passwd' }, { name: 'h', type: 'link', linkname: 's' }])
    assert.equal(lstatSync(join(root, 'h')).isSymbolicLink(), true)
  })

  test('symlink loops and files used as directories are refused', async () => {
    await assert.rejects(unpack([{ name: 'a', type: 'symlink', linkname: 'b' }, { name: 'b', type: 'symlink', linkname: 'a' }, { name: 'a/x', content: '' }]), { code: 'ELOOP' })
    await assert.rejects(unpack([{ name: 'f', content: '' }, { name: 'f/x', content: '' }]), /both as a file and as a directory/)
  })

  test('devices are refused but for the harmless ones, unless allowed', async () => {
    const disk: LayerFile = { name: 'sda', type: 'block-device', devmajor: 8, devminor: 0 }
    await assert.rejects(unpack([disk]), { code: 'CRI_INVALID', message: 'layer holds the block device "sda" (8:0); images with devices are refused' })
    const root = await unpack([{ name: 'null', type: 'character-device', devmajor: 1, devminor: 3, mode: 0o666 }])
    assert.deepEqual([statSync(join(root, 'null')).rdev, statSync(join(root, 'null')).mode & 0o777], [(1 << 8) | 3, 0o666])
    assert.equal(statSync(join(await unpack([disk], { allowDevices: true }), 'sda')).isBlockDevice(), true)
  })

  test('file capabilities are set, overlayfs\' own attributes are not taken from the archive', async () => {
    // Revision 2, permitted cap_net_raw.
    const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex')
    const tar = paxTar('ping', [['SCHILY.xattr.security.capability', capability], ['SCHILY.xattr.trusted.overlay.opaque', Buffer.from('y')]])
    const root = unpackBytes(tar)
    assert.deepEqual([...xattrs(join(root, 'ping'))], [['security.capability', capability.toString('hex')]])
  })

  test('more entries or bytes than allowed are refused before they are written', async () => {
    const limits = { bytesMax: 1000, entriesMax: 3 }
    await assert.rejects(unpack([{ name: 'big', content: Buffer.alloc(1001) }], { limits }), /unpacks to more than 1000 bytes/)
    await assert.rejects(unpack(['a', 'b', 'c', 'd'].map((name) => ({ name, content: '' })), { limits }), /more than 3 entries/)
  })

  test('what GNU tar writes is read: long names, sparse files of each format, hard links, fifos', (t) => {
    const source = join(base, 'source')
    const deep = join(source, 'x'.repeat(120), 'y'.repeat(120))
    mkdirSync(deep, { recursive: true })
    writeFileSync(join(deep, 'long'), 'far away')
    execFileSync('truncate', ['-s', '3M', join(source, 'sparse')])
    execFileSync('dd', [`of=${join(source, 'sparse')}`, 'if=/dev/urandom', 'bs=4096', 'count=2', 'seek=100', 'conv=notrunc', 'status=none'])
    execFileSync('dd', [`of=${join(source, 'sparse')}`, 'if=/dev/urandom', 'bs=4096', 'count=1', 'seek=500', 'conv=notrunc', 'status=none'])
    execFileSync('mkfifo', [join(source, 'pipe')])
    execFileSync('ln', [join(source, 'sparse'), join(source, 'hard')])
    for (const args of [['--format=gnu'], ['--format=posix', '--sparse-version=1.0'], ['--format=posix', '--sparse-version=0.1'], ['--format=posix', '--sparse-version=0.0']]) {
      const archive = join(base, 'gnu.tar')
      execFileSync('tar', ['-cSf', archive, ...args, '-C', source, '.'])
      const root = unpackBytes(readFileSync(archive))
      const check = (name: string) => assert.ok(readFileSync(join(root, name)).equals(readFileSync(join(source, name))), `${args.join(' ')} ${name}`)
      check('sparse')
      check('hard')
      check(join('x'.repeat(120), 'y'.repeat(120), 'long'))
      assert.equal(lstatSync(join(root, 'pipe')).isFIFO(), true)
      assert.ok(statSync(join(root, 'sparse')).blocks * 512 < 1 << 20, 'holes stay holes')
    }
    t.diagnostic('4 formats')
  })

  test('archives cut short or damaged anywhere are refused or read alike, never outside the layer, never without end', async () => {
    const tar = await packTar([{ name: 'a', content: 'x'.repeat(600) }, { name: 'd', type: 'directory' }, { name: 'd/b', content: 'y' }])
    for (let at = 1; at < 1024; at += 61) assert.throws(() => unpackBytes(tar.subarray(0, at)), { code: 'CRI_INVALID' })
    for (let at = 0; at < 512; at += 7) {
      const damaged = Buffer.from(tar)
      damaged[at] = (damaged[at] ?? 0) ^ 0xff
      assert.throws(() => unpackBytes(damaged), { code: 'CRI_INVALID' }, `byte ${at}`)
    }
  })
})

/** One empty file with pax records whose values are bytes, not text. */
function paxTar(name: string, records: [string, Buffer][]): Buffer {
  const body = Buffer.concat(records.map(([key, value]) => {
    const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')])
    let length = rest.length + 1
    while (String(length).length + rest.length !== length) length = String(length).length + rest.length
    return Buffer.concat([Buffer.from(String(length)), rest])
  }))
  return Buffer.concat([header('pax', 'x', body.length), body, Buffer.alloc((512 - body.length % 512) % 512), header(name, '0', 0), Buffer.alloc(1024)])
}

function header(name: string, type: string, size: number): Buffer {
  const block = Buffer.alloc(512)
  block.write(name, 0)
  block.write('0000755\0', 100)
  block.write('0000000\0', 108)
  block.write('0000000\0', 116)
  block.write(`${size.toString(8).padStart(11, '0')}\0`, 124)
  block.write('00000000000\0', 136)
  block.write(type, 156)
  block.write('ustar\x0000', 257, 'latin1')
  block.fill(' ', 148, 156)
  block.write(`${block.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0')}\0 `, 148)
  return block
}
