/** Images out of a store and back into one. Layers need root. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, ftruncateSync, lstatSync, mkdirSync, mkdtempSync, openSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { systemClock } from '#base/clock.ts'
import { silentLog } from '#base/log.ts'
import { systemRandom } from '#base/random.ts'
import { buildImage, ociArchive } from '#test/images/build-image.ts'
import type { LayerFile } from '#test/images/build-image.ts'
import { FakeNetwork, unpackCommand } from '#test/images/runtime-machine.ts'
import { imageArchive } from './image-export.ts'
import { EmbeddedImageService } from './image-service.ts'
import { layerTar } from './layer-tar.ts'
import { LayerWriter } from './layer-writer.ts'
import { getXattr } from './native.ts'
import { TarReader } from './tar-reader.ts'

const missing = process.getuid?.() === 0 ? false : 'needs root: layers keep their owners'
const LONG = `${'long-directory-name/'.repeat(12)}größe`
const BASE: LayerFile[] = [
  { name: 'etc', type: 'directory', mode: 0o750, uid: 3, gid: 4 }, { name: 'etc/conf', mode: 0o4711, uid: 5, gid: 1001, content: 'hello', pax: { uid: '3000000' } }, { name: 'etc/again', type: 'link', linkname: 'etc/conf' },
  { name: 'tmp', type: 'directory', mode: 0o1777 }, { name: 'old', type: 'directory' }, { name: 'old/kept', content: 'k' }, { name: 'gone', content: 'g' }, { name: LONG, content: 'far away' },
  { name: 'to', type: 'symlink', linkname: `/${LONG}` }, { name: 'null', type: 'character-device', devmajor: 1, devminor: 3, mode: 0o666 }, { name: 'pipe', type: 'fifo', mode: 0o640 },
  { name: 'ping', mode: 0o755, content: 'p', pax: { 'SCHILY.xattr.user.note': 'n' } },
]
const TOP: LayerFile[] = [{ name: '.wh.gone' }, { name: 'old', type: 'directory' }, { name: 'old/.wh..wh..opq' }, { name: 'old/new', content: 'n' }]

async function whole(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = []
  for await (const chunk of chunks) all.push(chunk)
  return Buffer.concat(all)
}

describe('export of images', { skip: missing }, () => {
  const root = mkdtempSync(join(tmpdir(), 'skiff-export-'))
  let count = 0
  after(() => rmSync(root, { recursive: true, force: true }))

  const service = async (dataDir = join(root, `data-${++count}`)) => {
    const images = new EmbeddedImageService({ dataDir, network: new FakeNetwork(), clock: systemClock, random: systemRandom, log: silentLog, selfCommand: unpackCommand }, () => [])
    await images.open()
    return images
  }
  const holding = async (...tags: string[]) => {
    const images = await service()
    const image = await buildImage(join(root, `image-${count}`), { layers: [BASE, TOP], config: { Cmd: ['sh'], Labels: { a: 'b' } } })
    for (const tag of tags) {
      writeFileSync(join(root, 'in.tar'), await ociArchive(image, tag))
      await images.importImages(join(root, 'in.tar'))
    }
    return { images, image }
  }
  const archive = async (images: EmbeddedImageService, ...refs: string[]) => {
    const held = await images.holdImages(refs)
    try {
      return await whole(imageArchive(held.images))
    } finally {
      held.release()
    }
  }
  const imported = async (bytes: Buffer) => {
    const images = await service()
    writeFileSync(join(root, 'out.tar'), bytes)
    return { images, found: await images.importImages(join(root, 'out.tar')) }
  }
  const members = (bytes: Buffer) => {
    writeFileSync(join(root, 'out.tar'), bytes)
    return execFileSync('tar', ['-tf', join(root, 'out.tar')], { encoding: 'utf8' }).trim().split('\n')
  }
  const document = (bytes: Buffer, name: string): unknown => {
    writeFileSync(join(root, 'out.tar'), bytes)
    return JSON.parse(execFileSync('tar', ['-xOf', join(root, 'out.tar'), name], { encoding: 'utf8' }))
  }
  const tarOf = (path: string) => Buffer.concat([...layerTar(path)])
  const unpacked = (tar: Buffer) => {
    const path = join(root, `tree-${++count}`)
    mkdirSync(path)
    const writer = new LayerWriter({ root: path, parents: [], limits: { bytesMax: 2 ** 40, entriesMax: 10_000 }, allowDevices: true })
    const reader = new TarReader(writer)
    reader.push(tar)
    reader.finish()
    writer.finish()
    return path
  }

  test('exported, imported elsewhere and exported again it is the same archive, under the same names and with the same config', async () => {
    const { images } = await holding('team/app:1')
    const first = await archive(images, 'team/app:1')
    const other = await imported(first)
    assert.deepEqual(other.found.map((i) => i.repoTags), [['docker.io/team/app:1']])
    assert.ok(first.equals(await archive(other.images, 'docker.io/team/app:1')))
    const record = other.images.record('team/app:1')
    assert.deepEqual([record?.config.cmd, record?.config.labels, record?.chain.length], [['sh'], { a: 'b' }, 2])
    const [base = ''] = record?.chain ?? []
    const tree = other.images.layers.treePath(base)
    const conf = statSync(join(tree, 'etc/conf'))
    assert.deepEqual([conf.mode & 0o7777, conf.uid, conf.gid, conf.nlink, conf.ino === statSync(join(tree, 'etc/again')).ino], [0o4711, 3_000_000, 1001, 2, true])
    assert.deepEqual([readFileSync(join(tree, LONG), 'utf8'), readlinkSync(join(tree, 'to')), lstatSync(join(tree, 'null')).rdev, lstatSync(join(tree, 'pipe')).isFIFO(), getXattr(join(tree, 'ping'), 'user.note')?.toString()], ['far away', `/${LONG}`, 0x103, true, 'n'])
  })

  test('whiteouts and opaque directories are there again, so that the top layer hides what it hid', async () => {
    const { images } = await holding('app:1')
    const { images: other } = await imported(await archive(images, 'app:1'))
    const [, top = ''] = other.record('app:1')?.chain ?? []
    const tree = other.layers.treePath(top)
    assert.deepEqual([lstatSync(join(tree, 'gone')).isCharacterDevice(), lstatSync(join(tree, 'gone')).rdev, getXattr(join(tree, 'old'), 'trusted.overlay.opaque')?.toString(), readFileSync(join(tree, 'old/new'), 'utf8')], [true, 0, 'y', 'n'])
  })

  test('the archive is an OCI layout and what docker load reads: every digest is that of its blob, names are in both, shared layers are there once', async () => {
    const { images } = await holding('app:1', 'example.com/app:2')
    const bytes = await archive(images, 'app:1', 'example.com/app:2')
    const names = members(bytes)
    const blobs = names.filter((name) => name.startsWith('blobs/'))
    // Two layers, a config, a manifest.
    assert.deepEqual([names.filter((name) => !name.startsWith('blobs/')), blobs.length, new Set(blobs).size], [['oci-layout', 'index.json', 'manifest.json'], 4, 4])
    for (const blob of blobs) assert.equal(createHash('sha256').update(execFileSync('tar', ['-xOf', join(root, 'out.tar'), blob])).digest('hex'), blob.split('/').at(-1))
    const { manifests } = document(bytes, 'index.json') as { manifests: { digest: string; annotations: Record<string, string> }[] }
    assert.deepEqual(manifests.map((m) => m.annotations), [
      { 'io.containerd.image.name': 'docker.io/library/app:1', 'org.opencontainers.image.ref.name': '1' }, { 'io.containerd.image.name': 'example.com/app:2', 'org.opencontainers.image.ref.name': '2' },
    ])
    const [docker] = document(bytes, 'manifest.json') as { Config: string; RepoTags: string[]; Layers: string[] }[]
    const config = document(bytes, docker?.Config ?? '') as { rootfs: { diff_ids: string[] }; config: { Cmd: string[] } }
    assert.deepEqual([docker?.RepoTags, docker?.Layers, config.config.Cmd], [['docker.io/library/app:1', 'example.com/app:2'], config.rootfs.diff_ids.map((id) => `blobs/${id.replace(':', '/')}`), ['sh']])
  })

  test('by one name it is only that name, by id all of them; what is not there is named', async () => {
    const { images, image } = await holding('app:1', 'app:2')
    const tagsOf = async (ref: string) => (document(await archive(images, ref), 'manifest.json') as { RepoTags: string[] }[])[0]?.RepoTags
    assert.deepEqual([await tagsOf('app:2'), await tagsOf(image.configDigest)], [['docker.io/library/app:2'], ['docker.io/library/app:1', 'docker.io/library/app:2']])
    await assert.rejects(images.holdImages(['app:1', 'none:1']), { code: 'CRI_IMAGE_NOT_FOUND', message: 'there is no image "none:1" here' })
  })

  test('an image that an earlier build pulled, without its config to the byte, is exported with what is known of it', async () => {
    const { images } = await holding('app:1')
    rmSync(join(root, `data-${count}`, 'image-configs'), { recursive: true })
    const { images: other } = await imported(await archive(images, 'app:1'))
    const { config } = other.record('app:1') ?? {}
    assert.deepEqual([config?.cmd, config?.labels, config?.platform], [['sh'], { a: 'b' }, images.record('app:1')?.config.platform])
  })

  test('an image that is removed while it is held is exported whole, and goes then', async () => {
    const { images } = await holding('app:1')
    const held = await images.holdImages(['app:1'])
    await images.removeImage('app:1')
    const bytes = await whole(imageArchive(held.images))
    assert.deepEqual((await imported(bytes)).found.map((i) => i.repoTags), [['docker.io/library/app:1']])
    held.release()
    await images.dropUnusedLayers()
    assert.deepEqual((await images.imageFsInfo()).usedBytes, 0)
  })

  test('holes of a file stay holes: 1 GiB with 8 bytes in it is a small archive, and whole again', () => {
    const tree = join(root, `tree-${++count}`)
    mkdirSync(tree)
    const fd = openSync(join(tree, 'sparse'), 'w')
    ftruncateSync(fd, 2 ** 30)
    writeSync(fd, 'in there', 2 ** 29)
    closeSync(fd)
    const tar = tarOf(tree)
    assert.ok(tar.length < 1 << 20, `${tar.length} bytes`)
    const again = join(unpacked(tar), 'sparse')
    const read = openSync(again, 'r')
    const text = Buffer.alloc(10)
    const { readSync } = process.getBuiltinModule('node:fs')
    readSync(read, text, 0, 10, 2 ** 29 - 1)
    closeSync(read)
    assert.deepEqual([statSync(again).size, statSync(again).blocks < 4096, text.toString('latin1')], [2 ** 30, true, '\0in there\0'])
    // GNU tar reads it, too.
    writeFileSync(join(root, 'sparse.tar'), tar)
    mkdirSync(join(root, 'gnu'))
    execFileSync('tar', ['-xf', join(root, 'sparse.tar'), '-C', join(root, 'gnu')])
    assert.equal(statSync(join(root, 'gnu/sparse')).size, 2 ** 30)
  })

  test('a layer that changes while it is packed fails the export', async () => {
    const tree = join(root, `tree-${++count}`)
    mkdirSync(tree)
    writeFileSync(join(tree, 'a'), 'one')
    const config = Buffer.from(JSON.stringify({ rootfs: { type: 'layers', diff_ids: [] } }))
    const chunks = imageArchive([{ id: 'x', names: [], configBytes: config, layers: [tree] }])
    for (let i = 0; i < 4; i++) await chunks.next() // oci-layout, then the header of the layer it has measured.
    writeFileSync(join(tree, 'a'), 'two')
    await assert.rejects(whole(chunks), { code: 'CRI_FAILED', message: `the layer ${tree} changed while it was being exported` })
  })
})
