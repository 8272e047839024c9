/**
 * Images as one archive that is an OCI layout and what `docker save` writes at once: `docker load`, `ctr images import`, skopeo and
 * `skiff images import` read it. The compressed layers of a registry are not kept after they were unpacked, so layers are packed anew, each
 * twice: first to learn its digest, by which it is named, then into the archive. Nothing is held but a chunk.
 *
 * A layer packed anew has another digest than the registry's, unless that had packed it the same way; the image's config then names the new ones, which makes its
 * id another, too. The same image is the same archive each time, on each machine.
 */
import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { CodedError } from '#base/errors.ts'
import type { ExportableImage } from '../runtime.ts'
import { layerTar } from './layer-tar.ts'
import { parseReference } from './reference.ts'
import { TAR_END_BYTES, tarHeader, tarPadding } from './tar-header.ts'

interface Descriptor { mediaType: string; digest: string; size: number }

const MEASURE_TURN_BYTES = 16 << 20
const CONFIG_TYPE = 'application/vnd.oci.image.config.v1+json'
const LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar'
const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json'
const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json'

/** In chunks. Waits for the disk: for a process of its own, such as `skiff images export`. */
export async function* imageArchive(images: readonly ExportableImage[]): AsyncGenerator<Buffer> {
  const layers = new Map<string, Descriptor>()
  const documents = new Map<string, Buffer>()
  const addDocument = (mediaType: string, bytes: Buffer): Descriptor => {
    const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length }
    documents.set(descriptor.digest, bytes)
    return descriptor
  }
  yield* file('oci-layout', json({ imageLayoutVersion: '1.0.0' }))
  const index: object[] = []
  const docker: object[] = []
  for (const image of images) {
    const packed: Descriptor[] = []
    for (const path of image.layers) {
      let layer = layers.get(path)
      if (!layer) {
        layer = await measure(path)
        const { digest } = layer
        if (![...layers.values()].some((other) => other.digest === digest)) yield* layerBlob(path, layer)
        layers.set(path, layer)
      }
      packed.push(layer)
    }
    const config = addDocument(CONFIG_TYPE, withLayers(image.configBytes, packed.map((layer) => layer.digest)))
    const manifest = addDocument(MANIFEST_TYPE, json({ schemaVersion: 2, mediaType: MANIFEST_TYPE, config, layers: packed }))
    // As containerd writes names: one entry for each, the whole name and its tag.
    for (const name of image.names.length > 0 ? image.names : [undefined]) {
      index.push({ ...manifest, ...(name !== undefined && { annotations: { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': parseReference(name).tag ?? name } }) })
    }
    docker.push({ Config: blobPath(config.digest), RepoTags: image.names, Layers: packed.map((layer) => blobPath(layer.digest)) })
  }
  for (const [digest, bytes] of documents) yield* file(blobPath(digest), bytes)
  yield* file('index.json', json({ schemaVersion: 2, mediaType: INDEX_TYPE, manifests: index }))
  yield* file('manifest.json', json(docker))
  yield Buffer.alloc(TAR_END_BYTES)
}

async function measure(path: string): Promise<Descriptor> {
  const hash = createHash('sha256')
  let size = 0
  for (const chunk of layerTar(path)) {
    hash.update(chunk)
    size += chunk.length
    // Signals are heard in between.
    if (size % MEASURE_TURN_BYTES < chunk.length) await setImmediate()
  }
  return { mediaType: LAYER_TYPE, digest: `sha256:${hash.digest('hex')}`, size }
}

function* layerBlob(path: string, { digest, size }: Descriptor): Generator<Buffer> {
  const hash = createHash('sha256')
  let written = 0
  yield header(blobPath(digest), size)
  for (const chunk of layerTar(path)) {
    hash.update(chunk)
    written += chunk.length
    yield chunk
  }
  if (written !== size || `sha256:${hash.digest('hex')}` !== digest) throw new CodedError('CRI_FAILED', `the layer ${path} changed while it was being exported`)
  yield tarPadding(size)
}

function* file(name: string, bytes: Buffer): Generator<Buffer> {
  yield header(name, bytes.length)
  yield bytes
  yield tarPadding(bytes.length)
}

function header(name: string, sizeBytes: number): Buffer {
  return tarHeader({ name, type: 'file', sizeBytes, mode: 0o644, uid: 0, gid: 0, mtimeSeconds: 0, linkName: '', deviceMajor: 0, deviceMinor: 0, xattrs: new Map() })
}

/** The very bytes where the layers are the same. */
function withLayers(configBytes: Buffer, diffIds: readonly string[]): Buffer {
  const config = JSON.parse(configBytes.toString()) as { rootfs?: { diff_ids?: unknown } }
  if (JSON.stringify(config.rootfs?.diff_ids) === JSON.stringify(diffIds)) return configBytes
  return json({ ...config, rootfs: { type: 'layers', diff_ids: diffIds } })
}

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))
const digestOf = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`
const blobPath = (digest: string): string => `blobs/${digest.replace(':', '/')}`
