/** Pulls from a registry that is right and from ones that are wrong in every way we know. Needs no root but for layers. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { systemClock } from '#base/clock.ts'
import { silentLog } from '#base/log.ts'
import { seededRandom, systemRandom } from '#base/random.ts'
import { buildImage, dockerArchive, ociArchive, sha256 } from '#test/images/build-image.ts'
import type { BuiltImage } from '#test/images/build-image.ts'
import { serve, startFaultRegistry } from '#test/images/fault-registry.ts'
import type { Fault } from '#test/images/fault-registry.ts'
import { FakeNetwork, unpackCommand } from '#test/images/runtime-machine.ts'
import type { PullProgress } from '../runtime.ts'
import { EmbeddedImageService } from './image-service.ts'
import type { EmbeddedRuntimeOptions } from './runtime-options.ts'

const missing = process.getuid?.() === 0 ? false : 'needs root: layers keep their owners'
/** Of registries that fall silent on purpose; all others have the product's own. */
const STALL = { pullStallMs: 1_000 }

describe('images', { skip: missing }, () => {
  const root = mkdtempSync(join(tmpdir(), 'skiff-images-'))
  let image: BuiltImage
  let dirs = 0
  const noise = seededRandom(1).bytes(300_000)
  before(async () => {
    image = await buildImage(join(root, 'image'), { layers: [[{ name: 'a', content: noise }], [{ name: 'b', content: 'two' }]], config: { Cmd: ['a'], User: 'app:staff' } })
  })
  after(() => rmSync(root, { recursive: true, force: true }))

  const service = async (overrides: Partial<EmbeddedRuntimeOptions> = {}) => {
    const images = new EmbeddedImageService({
      dataDir: join(root, `data-${++dirs}`), network: new FakeNetwork(), clock: systemClock, random: systemRandom, log: silentLog, selfCommand: unpackCommand, ...overrides,
    }, () => [])
    await images.open()
    return images
  }
  const pullFrom = async (fault: Fault, run: (images: EmbeddedImageService, ref: string, registry: Awaited<ReturnType<typeof startFaultRegistry>>) => Promise<void>, served = image, overrides: Partial<EmbeddedRuntimeOptions> = {}) => {
    const registry = await startFaultRegistry(served, fault)
    try {
      await run(await service(overrides), `${registry.host}/team/app:1`, registry)
    } finally {
      await registry.close()
    }
  }
  const right: Fault = () => false

  test('a pull tells its progress, keeps no download and describes the image', () => pullFrom(right, async (images, ref) => {
    const progress: PullProgress[] = []
    const pulled = await images.pullImage(ref, { onProgress: (p) => progress.push(p) })
    assert.deepEqual(pulled, {
      id: image.configDigest, repoTags: [ref], repoDigests: [`${ref.slice(0, -2)}@${image.manifestDigest}`], username: 'app', pinned: false,
      sizeBytes: image.config.length + image.layers.reduce((sum, layer) => sum + layer.bytes.length, 0),
    })
    assert.deepEqual([progress[0], progress.filter((p) => p.kind === 'unpacking').map((p) => p.digest), progress.at(-1)?.kind], [{ kind: 'resolving', ref }, image.layers.map((l) => l.digest), 'done'])
    for (const layer of image.layers) assert.ok(progress.some((p) => p.kind === 'downloading' && p.digest === layer.digest && p.doneBytes === layer.bytes.length && p.totalBytes === layer.bytes.length))
    assert.deepEqual(readdirSync(join(root, `data-${dirs}`, 'ingest')), [])
    const [base = '', top = ''] = images.record(ref)?.chain ?? []
    assert.ok(readFileSync(join(images.layers.treePath(base), 'a')).equals(noise))
    assert.equal(readFileSync(join(images.layers.treePath(top), 'b'), 'utf8'), 'two')
  }))

  test('pulling what is here asks for the digest only; pulls at once share one download', () => pullFrom(right, async (images, ref, registry) => {
    await Promise.all([images.pullImage(ref, {}), images.pullImage(ref, {}), images.pullImage(ref, {})])
    assert.deepEqual(registry.requests.map((r) => r.split('/').at(-1) ?? '').sort(), ['1', image.configDigest, image.manifestDigest, ...image.layers.map((l) => l.digest)].sort())
    registry.requests.length = 0
    await images.pullImage(ref, {})
    assert.deepEqual(registry.requests, ['HEAD /v2/team/app/manifests/1'])
  }))

  test('by digest the image has no tag', () => pullFrom(right, async (images, ref) => {
    const byDigest = `${ref.slice(0, -2)}@${image.manifestDigest}`
    assert.deepEqual([(await images.pullImage(byDigest, {})).repoTags, (await images.imageStatus(byDigest))?.repoDigests], [[], [byDigest]])
  }))

  test('zstd and uncompressed layers unpack, too', async () => {
    for (const compression of ['zstd', 'none'] as const) {
      const other = await buildImage(join(root, compression), { layers: [[{ name: 'x', content: compression }]], compression })
      await pullFrom(right, async (images, ref) => {
        await images.pullImage(ref, {})
        assert.equal(readFileSync(join(images.layers.treePath(images.record(ref)?.chain[0] ?? ''), 'x'), 'utf8'), compression)
      }, other)
    }
  })

  test('a broken download goes on where it stopped', async () => {
    let cuts = 0
    const cut: Fault = (request, response) => {
      if (!request.url?.includes(image.layers[0]?.digest ?? '') || cuts >= 2) return false
      cuts++
      const from = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
      const bytes = image.layers[0]?.bytes ?? Buffer.alloc(0)
      response.writeHead(from ? 206 : 200, { 'Content-Length': bytes.length - from, 'Content-Range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` })
      response.write(bytes.subarray(from, from + 50_000), () => response.destroy())
      return true
    }
    await pullFrom(cut, async (images, ref, registry) => {
      await images.pullImage(ref, {})
      const ranges = registry.headers.map((h) => h.range).filter((r) => r !== undefined)
      assert.deepEqual(ranges, ['bytes=50000-', 'bytes=100000-'])
    })
  })

  test('a download that falls silent is taken up once more; one that never says a byte is given up, and says so', async () => {
    const bytes = image.layers[0]?.bytes ?? Buffer.alloc(0)
    const isFirstLayer = (url: string | undefined) => url?.includes(image.layers[0]?.digest ?? '') ?? false
    const silentAfter = (first: number): Fault => (request, response) => {
      if (!isFirstLayer(request.url)) return false
      const from = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
      response.writeHead(from ? 206 : 200, { 'Content-Length': bytes.length - from, 'Content-Range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` })
      if (from === 0 && first > 0) response.write(bytes.subarray(0, first))
      return true
    }
    for (const [first, asked] of [[0, 1], [50_000, 2]] as const) {
      await pullFrom(silentAfter(first), async (images, ref, registry) => {
        await assert.rejects(images.pullImage(ref, {}), /failed to pull and unpack image .*: GET http:.*\/blobs\/sha256:[0-9a-f]+: no data for 1000 ms/)
        assert.equal(registry.requests.filter((r) => r.startsWith('GET') && isFirstLayer(r)).length, asked)
      }, image, STALL)
    }
  })

  test('a registry without ranges is asked for the whole blob again', async () => {
    let cuts = 0
    const cut: Fault = (request, response) => {
      const bytes = image.layers[0]?.bytes ?? Buffer.alloc(0)
      if (!request.url?.includes(image.layers[0]?.digest ?? '')) return false
      response.writeHead(200, { 'Content-Length': bytes.length })
      if (cuts++ === 0) response.write(bytes.subarray(0, 50_000), () => response.destroy())
      else response.end(bytes)
      return true
    }
    await pullFrom(cut, async (images, ref) => assert.equal((await images.pullImage(ref, {})).id, image.configDigest))
  })

  test('what an interrupted agent had downloaded is used by the next', async () => {
    let cutOff = true
    const fault: Fault = (request, response) => {
      const bytes = image.layers[0]?.bytes ?? Buffer.alloc(0)
      if (!cutOff || !request.url?.includes(image.layers[0]?.digest ?? '')) return false
      response.writeHead(200, { 'Content-Length': bytes.length })
      if (!request.headers.range) response.write(bytes.subarray(0, 70_000))
      else response.destroy()
      return true
    }
    const registry = await startFaultRegistry(image, fault)
    try {
      const dataDir = join(root, 'resumed')
      const ref = `${registry.host}/app:1`
      await assert.rejects((await service({ dataDir, ...STALL })).pullImage(ref, {}), { code: 'CRI_PULL_FAILED' })
      cutOff = false
      registry.headers.length = 0
      await (await service({ dataDir })).pullImage(ref, {})
      assert.deepEqual(registry.headers.map((h) => h.range).filter(Boolean), ['bytes=70000-'])
    } finally {
      await registry.close()
    }
  })

  for (const [what, matches] of [['the manifest', 'manifests/'], ['a layer', 'layer'], ['the config', 'config']] as const) {
    test(`a registry that falls silent at ${what} fails the pull in bounded time with CRI_PULL_FAILED`, () => pullFrom((request, response) => {
      const target = matches === 'layer' ? image.layers[1]?.digest ?? '' : matches === 'config' ? image.configDigest : matches
      if (!request.url?.includes(target)) return false
      if (matches === 'layer') response.writeHead(200, { 'Content-Length': 1000 }).write('x')
      return true
    }, async (images, ref) => {
      await assert.rejects(images.pullImage(ref, {}), (error: Error & { code?: string }) => error.code === 'CRI_PULL_FAILED' && /no data for 1000 ms/.test(error.message) && error.message.startsWith(`failed to pull and unpack image "${ref}": `))
      assert.equal(await images.imageStatus(ref), undefined)
    }, image, STALL))
  }

  test('a layer with the wrong digest is refused, nothing of it is kept, and a right one is taken afterwards', async () => {
    let wrong = true
    await pullFrom((request, response) => {
      const { digest = '', bytes = Buffer.alloc(0) } = image.layers[0] ?? {}
      if (!wrong || !request.url?.includes(digest)) return false
      serve(request, response, Buffer.alloc(bytes.length, 'x'), {})
      return true
    }, async (images, ref) => {
      await assert.rejects(images.pullImage(ref, {}), (error: Error & { code?: string }) => error.code === 'CRI_PULL_FAILED' && /unexpected commit digest sha256:[0-9a-f]{64}, expected sha256:[0-9a-f]{64}/.test(error.message))
      assert.deepEqual([await images.listImages(), readdirSync(images.layers.directory)], [[], []])
      wrong = false
      assert.equal((await images.pullImage(ref, {})).id, image.configDigest)
    })
  })

  test('a manifest with the wrong digest is refused', () => pullFrom((request, response) => {
    if (request.method !== 'GET' || !request.url?.includes(image.manifestDigest)) return false
    serve(request, response, Buffer.from('{"schemaVersion":2}'), {})
    return true
  }, (images, ref) => assert.rejects(images.pullImage(ref, {}), /failed size or digest validation: unexpected digest/)))

  test('a layer that is not what the config says is refused', async () => {
    const other = await buildImage(join(root, 'other'), { layers: [[{ name: 'evil', content: 'x' }], [{ name: 'b', content: 'two' }]] })
    // Its manifest names its own blobs, but the config of another image.
    const manifest = Buffer.from(other.manifest.toString().replace(other.configDigest, image.configDigest).replace(/("config":\{[^}]*"size":)\d+/, `$1${image.config.length}`))
    const mixed: BuiltImage = { ...other, config: image.config, configDigest: image.configDigest, manifest, manifestDigest: sha256(manifest) }
    await pullFrom(right, (images, ref) => assert.rejects(images.pullImage(ref, {}), /uncompressed layer has digest/), mixed)
  })

  test('words for what registries refuse are upstream\'s', async () => {
    const status = (code: number, body = '', headers = {}): Fault => (_, response) => {
      response.writeHead(code, headers).end(body)
      return true
    }
    await pullFrom(status(404, '{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}'), (images, ref) => assert.rejects(images.pullImage(ref, {}), { code: 'CRI_IMAGE_NOT_FOUND', message: `failed to pull and unpack image "${ref}": failed to resolve reference "${ref}": ${ref}: not found` }))
    await pullFrom(status(401, '{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}', { 'WWW-Authenticate': 'Basic realm="x"' }), (images, ref) => assert.rejects(images.pullImage(ref, {}), { code: 'CRI_PULL_FAILED', message: `failed to pull and unpack image "${ref}": failed to resolve reference "${ref}": pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials` }))
    await pullFrom(status(403, '{"errors":[{"code":"DENIED","message":"denied"}]}'), (images, ref) => assert.rejects(images.pullImage(ref, {}), /pull access denied, repository does not exist or may require authorization: server message: DENIED: denied/))
    await pullFrom(status(500), (images, ref) => assert.rejects(images.pullImage(ref, {}), /unexpected status from GET request to http:\/\/127\.0\.0\.1:\d+\/v2\/team\/app\/manifests\/1: 500/))
    const images = await service()
    await assert.rejects(images.pullImage('127.0.0.1:1/x:1', {}), /failed to resolve reference "127\.0\.0\.1:1\/x:1": failed to do request: HEAD "http:\/\/127\.0\.0\.1:1\/v2\/x\/manifests\/1": connect ECONNREFUSED/)
  })

  test('Basic auth is sent when asked for, and the wrong secret is refused', async () => {
    const wanted = `Basic ${Buffer.from('me:secret').toString('base64')}`
    const guard: Fault = (request, response) => {
      if (request.headers.authorization === wanted) return false
      response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"' }).end()
      return true
    }
    await pullFrom(guard, async (images, ref, registry) => {
      await images.pullImage(ref, { auth: { username: 'me', password: 'secret' } })
      assert.equal(registry.headers[0]?.authorization, undefined)
    })
    await pullFrom(guard, (images, ref) => assert.rejects(images.pullImage(ref, { auth: { username: 'me', password: 'wrong' } }), /pull access denied/))
  })

  test('a Bearer token is fetched from the realm with the scope asked for and used for every request', async () => {
    const guard: Fault = (request, response, host) => {
      const url = new URL(request.url ?? '', 'http://x')
      if (url.pathname === '/token') {
        assert.deepEqual([url.searchParams.get('service'), url.searchParams.get('scope'), request.headers.authorization], ['reg', 'repository:team/app:pull', `Basic ${Buffer.from('me:pw').toString('base64')}`])
        response.end(JSON.stringify({ token: 't0k' }))
        return true
      }
      if (request.headers.authorization === 'Bearer t0k') return false
      response.writeHead(401, { 'WWW-Authenticate': `Bearer realm="http://${host}/token",service="reg",scope="repository:team/app:pull"` }).end()
      return true
    }
    await pullFrom(guard, async (images, ref, registry) => {
      await images.pullImage(ref, { auth: { username: 'me', password: 'pw' } })
      assert.equal(registry.requests.filter((r) => r.startsWith('GET /token')).length, 1)
    })
  })

  test('a redirect to another host carries no credentials', async () => {
    const elsewhere = await startFaultRegistry(image, right)
    const guard: Fault = (request, response) => {
      if (!request.headers.authorization) response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="r"' }).end()
      else if (request.url?.includes('/blobs/')) response.writeHead(307, { Location: `http://${elsewhere.host}${request.url}` }).end()
      else return false
      return true
    }
    try {
      await pullFrom(guard, async (images, ref) => {
        await images.pullImage(ref, { auth: { username: 'me', password: 'pw' } })
        assert.ok(elsewhere.headers.length >= 3)
        assert.deepEqual(elsewhere.headers.filter((h) => h.authorization !== undefined), [])
      })
    } finally {
      await elsewhere.close()
    }
  })

  test('mirrors are asked first, with ns and rewritten names; when they fail the registry itself is asked', async () => {
    const mirror = await startFaultRegistry(image, right)
    const broken = await startFaultRegistry(image, (_, response) => {
      response.writeHead(503).end()
      return true
    })
    try {
      const images = await service({ registries: { mirrors: { 'docker.io': { endpoint: [`http://${broken.host}`, `http://${mirror.host}`], rewrite: { '^library/(.*)': 'cache/$1' } } } } })
      const pulled = await images.pullImage('busybox', {})
      assert.deepEqual([pulled.repoTags, mirror.requests[0]], [['docker.io/library/busybox:latest'], 'HEAD /v2/cache/busybox/manifests/latest?ns=docker.io'])
      assert.ok(broken.requests.length > 0)
    } finally {
      await mirror.close()
      await broken.close()
    }
  })

  test('of an index the entry for this machine is taken; when there is none the error names the platform', async () => {
    const arch = process.arch === 'x64' ? 'amd64' : process.arch
    const index = (architecture: string) => Buffer.from(JSON.stringify({
      schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [
        { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: `sha256:${'0'.repeat(64)}`, size: 1, platform: { os: 'windows', architecture: arch } },
        { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: image.manifestDigest, size: image.manifest.length, platform: { os: 'linux', architecture } },
      ],
    }))
    const withIndex = (bytes: Buffer): Fault => (request, response) => {
      if (!request.url?.endsWith('/1') && !request.url?.includes(sha256(bytes))) return false
      serve(request, response, bytes, { 'Content-Type': 'application/vnd.oci.image.index.v1+json', 'Docker-Content-Digest': sha256(bytes) })
      return true
    }
    await pullFrom(withIndex(index(arch)), async (images, ref) => {
      const pulled = await images.pullImage(ref, {})
      assert.deepEqual([pulled.id, pulled.repoDigests], [image.configDigest, [`${ref.slice(0, -2)}@${sha256(index(arch))}`]])
    })
    await pullFrom(withIndex(index('s390x')), (images, ref) => assert.rejects(images.pullImage(ref, {}), new RegExp(`no match for platform in manifest: linux/${arch}.*: not found`)))
  })

  test('an aborted pull rejects at once and leaves no image', () => pullFrom((request) => request.url?.includes(image.layers[0]?.digest ?? '') ?? false, async (images, ref) => {
    const abort = new AbortController()
    const pull = images.pullImage(ref, { signal: abort.signal, onProgress: (p) => { if (p.kind === 'resolving') setImmediate(() => abort.abort(new Error('changed my mind'))) } })
    await assert.rejects(pull, { message: 'changed my mind' })
    assert.deepEqual(await images.listImages(), [])
  }))

  test('a layer larger than allowed is refused', async () => {
    const registry = await startFaultRegistry(image, right)
    try {
      const images = await service({ layerBytesMax: 100_000 })
      await assert.rejects(images.pullImage(`${registry.host}/x:1`, {}), /layer unpacks to more than 100000 bytes/)
      assert.deepEqual(readdirSync(images.layers.directory), [])
    } finally {
      await registry.close()
    }
  })

  test('archives of OCI layout and docker save are imported, pinned, under their names, compressed or not; a second import changes nothing', async () => {
    const images = await service()
    const files: [string, Buffer][] = [['oci.tar', await ociArchive(image, 'example.com/oci:1')], ['docker.tar', await dockerArchive(image, 'example.com/docker:2')], ['docker.tar.gz', gzipSync(await dockerArchive(image, 'zipped:3'))]]
    for (const [name, bytes] of files) {
      writeFileSync(join(root, name), bytes)
      assert.deepEqual((await images.importImages(join(root, name))).map((i) => [i.id, i.pinned]), [[image.configDigest, true]])
    }
    await images.importImages(join(root, 'oci.tar'))
    const [only] = await images.listImages()
    assert.deepEqual([only?.repoTags, only?.repoDigests], [['docker.io/library/zipped:3', 'example.com/docker:2', 'example.com/oci:1'], [`example.com/oci@${image.manifestDigest}`]])
    writeFileSync(join(root, 'junk.tar'), Buffer.alloc(3000, 'junk'))
    await assert.rejects(images.importImages(join(root, 'junk.tar')), { code: 'CRI_INVALID', message: `failed to import ${join(root, 'junk.tar')}: invalid tar archive: a number in a header is not octal` })
    await assert.rejects(images.importImages(join(root, 'none.tar')), { code: 'CRI_FAILED' })
  })

  test('layers are shared by images and go with the last one that uses them', async () => {
    const images = await service()
    const sibling = await buildImage(join(root, 'sibling'), { layers: [[{ name: 'a', content: noise }], [{ name: 'c', content: 'three' }]] })
    writeFileSync(join(root, 'one.tar'), await ociArchive(image, 'one:1'))
    writeFileSync(join(root, 'two.tar'), await ociArchive(sibling, 'two:1'))
    await images.importImages(join(root, 'one.tar'))
    await images.importImages(join(root, 'two.tar'))
    assert.equal(readdirSync(images.layers.directory).length, 3)
    await images.removeImage('one:1')
    assert.equal(readdirSync(images.layers.directory).length, 2)
    await images.removeImage('two:1')
    assert.deepEqual([readdirSync(images.layers.directory), (await images.imageFsInfo()).usedBytes], [[], 0])
  })

  test('after a crash: unfinished layers are cleared, an image that lost a layer or whose record is torn is dropped', async () => {
    const dataDir = join(root, 'crashed')
    const images = await service({ dataDir })
    writeFileSync(join(root, 'one.tar'), await ociArchive(image, 'one:1'))
    await images.importImages(join(root, 'one.tar'))
    const [, top = ''] = images.record('one:1')?.chain ?? []
    rmSync(images.layers.treePath(top), { recursive: true })
    writeFileSync(join(dataDir, 'layers', 'half.tmp'), 'x')
    const again = await service({ dataDir })
    assert.deepEqual([await again.listImages(), readdirSync(join(dataDir, 'layers')).length], [[], 1])
    await again.importImages(join(root, 'one.tar'))
    writeFileSync(join(dataDir, 'image-records', `${image.configDigest.slice(7)}.json`), '')
    assert.deepEqual(await (await service({ dataDir })).listImages(), [])
  })
})
