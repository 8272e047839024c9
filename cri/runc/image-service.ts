/** CRI's ImageService over the stores. Removing an image leaves layers that a container still stands on. */
import { join } from 'node:path'
import { CodedError, asError } from '#base/errors.ts'
import type { Image, ImageService } from '../runtime.ts'
import { importArchive } from './image-archive.ts'
import { ImagePuller } from './image-puller.ts'
import { ImageStore } from './image-store.ts'
import type { ImageRecord } from './image-store.ts'
import { LayerStore } from './layer-store.ts'
import { hostPlatform } from './manifest.ts'
import type { EmbeddedRuntimeOptions } from './runtime-options.ts'

const LAYER_BYTES_MAX = 32 * 2 ** 30
const PULL_STALL_MS = 60_000

export class EmbeddedImageService implements ImageService {
  readonly layers: LayerStore
  readonly #images: ImageStore
  readonly #puller: ImagePuller
  readonly #options: EmbeddedRuntimeOptions
  readonly #chainsInUse: () => Iterable<string>

  /** `chainsInUse`: chain ids under existing containers. */
  constructor(options: EmbeddedRuntimeOptions, chainsInUse: () => Iterable<string>) {
    this.#options = options
    this.#chainsInUse = chainsInUse
    const { dataDir, selfCommand, log, clock } = options
    this.layers = new LayerStore({ dataDir, selfCommand, allowDevices: options.allowLayerDevices ?? false, layerBytesMax: options.layerBytesMax ?? LAYER_BYTES_MAX, log: log.with('layers') })
    this.#images = new ImageStore(dataDir)
    this.#puller = new ImagePuller({
      dataDir, images: this.#images, layers: this.layers, registries: options.registries ?? {}, platform: hostPlatform(process.arch),
      clock, log: log.with('pull'), stallMs: options.pullStallMs ?? PULL_STALL_MS,
    })
  }

  async open(): Promise<void> {
    await this.layers.open()
    for (const id of await this.#images.open((chainId) => this.layers.get(chainId) !== undefined)) {
      this.#options.log.warn('dropped an image whose record or layers are incomplete; it will be pulled again', { image: id })
    }
    await this.#puller.open()
  }

  async listImages(): Promise<Image[]> { return this.#images.all() }

  async imageStatus(ref: string): Promise<Image | undefined> {
    const record = this.#images.find(ref)
    return record && this.#images.describe(record.id)
  }

  record(ref: string): ImageRecord | undefined { return this.#images.find(ref) }

  /** One of its names; the id of one that has none. */
  nameOf(id: string): string {
    const image = this.#images.describe(id)
    return image?.repoTags[0] ?? image?.repoDigests[0] ?? id
  }

  async pullImage(ref: string, options: Parameters<ImageService['pullImage']>[1]): Promise<Image> {
    return this.#puller.pull(ref, options)
  }

  async removeImage(ref: string): Promise<void> {
    const record = this.#images.find(ref)
    if (!record) return
    await this.#images.remove(record.id)
    await this.dropUnusedLayers()
  }

  async dropUnusedLayers(): Promise<void> {
    const used = new Set<string>(this.#chainsInUse())
    for (const image of this.#images.records()) for (const id of image.chain) used.add(id)
    await this.layers.retainOnly(used)
  }

  async imageFsInfo(): Promise<{ mountpoint: string; usedBytes: number; inodesUsed: number }> {
    return { mountpoint: this.#options.dataDir, ...this.layers.usage() }
  }

  async holdImages(refs: readonly string[]): ReturnType<ImageService['holdImages']> {
    const wanted = new Map<string, { record: ImageRecord; names: Set<string> }>()
    for (const ref of refs) {
      const found = this.#images.findNamed(ref)
      if (!found) throw new CodedError('CRI_IMAGE_NOT_FOUND', `there is no image ${JSON.stringify(ref)} here`)
      const known = wanted.get(found.record.id) ?? { record: found.record, names: new Set() }
      for (const name of found.names) known.names.add(name)
      wanted.set(found.record.id, known)
    }
    const release = this.layers.hold([...wanted.values()].flatMap(({ record }) => record.chain))
    try {
      const images = await Promise.all([...wanted.values()].map(async ({ record, names }) => (
        { id: record.id, names: [...names].toSorted(), configBytes: await this.#images.configBytes(record), layers: record.chain.map((chainId) => this.layers.treePath(chainId)) })))
      return {
        images, release: () => {
          release()
          // What was removed meanwhile goes now.
          this.dropUnusedLayers().catch((error: unknown) => this.#options.log.warn('layers of removed images could not be cleared', { error: asError(error) }))
        },
      }
    } catch (error) {
      release()
      throw error
    }
  }

  async importImages(path: string): Promise<Image[]> {
    const names = await importArchive(path, { images: this.#images, layers: this.layers, platform: hostPlatform(process.arch), temporary: join(this.#options.dataDir, 'ingest') })
    return names.map((id) => {
      const image = this.#images.describe(id)
      if (!image) throw new CodedError('CRI_FAILED', `image ${id} was removed while ${path} was being imported`)
      return image
    })
  }
}
