/** From a reference to an image on disk: resolve, choose the platform, download three layers at a time, unpack in order. */
import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '#base/clock.ts'
import { CodedError, asError, hasCode } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Image, PullProgress, RegistryAuth } from '../runtime.ts'
import type { ImageStore } from './image-store.ts'
import { Gate, KeyedLock } from '#base/keyed-lock.ts'
import { chainIds } from './layer-store.ts'
import type { LayerStore } from './layer-store.ts'
import { choosePlatform, parseImageConfig, parseManifest } from './manifest.ts'
import type { Descriptor, Manifest, Platform } from './manifest.ts'
import { formatReference, parseReference } from './reference.ts'
import type { RegistriesConfig } from './registries-config.ts'
import { RegistryClient } from './registry-client.ts'

export interface ImagePullerOptions {
  dataDir: string
  images: ImageStore
  layers: LayerStore
  registries: RegistriesConfig
  platform: Platform
  clock: Clock
  log: Log
  stallMs: number
}

export interface PullOptions { auth?: RegistryAuth; onProgress?: (progress: PullProgress) => void; signal?: AbortSignal }

const PARALLEL_LAYERS = 3
/** Progress is told at most this often per layer, and at its end. */
const PROGRESS_BYTES = 1 << 20
const INDEX_DEPTH_MAX = 4

interface Running { image: Promise<Image>; listeners: Set<(progress: PullProgress) => void>; abort: AbortController; waiting: number }

export class ImagePuller {
  readonly #options: ImagePullerOptions
  readonly #running = new Map<string, Running>()
  /** Of each blob in the ingest directory: how many layers still want its file. */
  readonly #blobUsers = new Map<string, number>()
  /** One writer per file: images share blobs, and one image may use a layer twice. The next finds it whole. */
  readonly #blobLock = new KeyedLock()

  constructor(options: ImagePullerOptions) {
    this.#options = options
  }

  /** Partial downloads of an earlier life stay, to be resumed; other files go. */
  async open(): Promise<void> {
    await mkdir(this.#ingestDirectory, { recursive: true, mode: 0o700 })
    for (const file of await readdir(this.#ingestDirectory)) {
      const path = join(this.#ingestDirectory, file)
      const ageMs = this.#options.clock.nowMs() - (await stat(path)).mtimeMs
      if (!/^[0-9a-f]{64}$/.test(file) || ageMs > INGEST_KEPT_MS) await rm(path, { recursive: true, force: true })
    }
  }

  /** Pulls of one reference with the same credentials join; the last caller to give up ends it. */
  pull(text: string, options: PullOptions): Promise<Image> {
    const ref = parseReference(text)
    const name = formatReference(ref)
    // Other credentials are another pull: joining would lend one caller's rights to the next.
    const key = `${name}\n${JSON.stringify(options.auth ?? null)}`
    let running = this.#running.get(key)
    if (!running) {
      const abort = new AbortController()
      const listeners = new Set<(progress: PullProgress) => void>(options.onProgress ? [options.onProgress] : [])
      const image = this.#pull(name, { ...(options.auth && { auth: options.auth }), signal: abort.signal, onProgress: (p) => { for (const listener of listeners) listener(p) } })
        .finally(() => this.#running.delete(key))
      // Every caller may have left by the time it fails.
      image.catch(() => {})
      running = { image, listeners, abort, waiting: 0 }
      this.#running.set(key, running)
    }
    return this.#join(running, options)
  }

  async #join(running: Running, { onProgress, signal }: PullOptions): Promise<Image> {
    running.waiting++
    if (onProgress) running.listeners.add(onProgress)
    try {
      return await raceAbort(running.image, signal)
    } finally {
      if (onProgress) running.listeners.delete(onProgress)
      if (--running.waiting === 0) running.abort.abort(new CodedError('CRI_PULL_FAILED', 'pull cancelled'))
    }
  }

  async #pull(name: string, options: PullOptions & { signal: AbortSignal; onProgress: (progress: PullProgress) => void }): Promise<Image> {
    const { clock, images } = this.#options
    const startedMs = clock.monotonicMs()
    const ref = parseReference(name)
    options.onProgress({ kind: 'resolving', ref: name })
    const fail = (step: string) => (error: unknown): never => { throw pullError(name, step, error) }
    // The first layer that fails ends the other downloads, too.
    const failed = new AbortController()
    const signal = AbortSignal.any([options.signal, failed.signal])
    const client = new RegistryClient({ ref, registries: this.#options.registries, auth: options.auth, clock, stallMs: this.#options.stallMs, signal })
    const resolved = await client.resolve().catch(fail(`failed to resolve reference "${name}": `))
    const known = images.findByTarget(resolved.digest)
    const id = known?.id ?? await this.#fetch(client, resolved.digest, options).finally(() => failed.abort()).catch(fail(''))
    await images.name(name, id, resolved.digest)
    const image = images.describe(id)
    if (!image) throw new CodedError('CRI_PULL_FAILED', `image ${id} was removed while "${name}" was being pulled`)
    const tookMs = Math.round(clock.monotonicMs() - startedMs)
    options.onProgress({ kind: 'done', imageId: id, sizeBytes: image.sizeBytes, tookMs })
    this.#options.log.info('image pulled', { image: name, id, known: known !== undefined, tookMs })
    return image
  }

  async #fetch(client: RegistryClient, digest: string, options: { onProgress: (progress: PullProgress) => void }): Promise<string> {
    const { images, layers } = this.#options
    const manifest = await this.#imageManifest(client, digest, 0)
    const configBytes = await client.fetchSmallBlob(manifest.config)
    const config = parseImageConfig(configBytes)
    if (config.diffIds.length !== manifest.layers.length) throw new CodedError('CRI_PULL_FAILED', `image config names ${config.diffIds.length} layers, its manifest ${manifest.layers.length}`)
    const chain = chainIds(config.diffIds)
    const release = layers.hold(chain)
    try {
      await this.#fetchLayers(client, manifest.layers, config.diffIds, chain, options)
      const sizeBytes = manifest.layers.reduce((sum, layer) => sum + layer.sizeBytes, manifest.config.sizeBytes)
      return (await images.put({ configBytes, sizeBytes, pinned: false })).id
    } finally {
      release()
    }
  }

  async #imageManifest(client: RegistryClient, digest: string, depth: number): Promise<Extract<Manifest, { kind: 'image' }>> {
    const { bytes, mediaType } = await client.fetchManifest(digest)
    const manifest = parseManifest(bytes, mediaType)
    if (manifest.kind === 'image') return manifest
    const { platform } = this.#options
    const [best] = choosePlatform(manifest.manifests, platform)
    if (!best || depth >= INDEX_DEPTH_MAX) {
      throw new CodedError('CRI_PULL_FAILED', `no match for platform in manifest: ${platform.os}/${platform.architecture}${platform.variant ? `/${platform.variant}` : ''}: not found`)
    }
    return this.#imageManifest(client, best.digest, depth + 1)
  }

  async #fetchLayers(
    client: RegistryClient, blobs: readonly Descriptor[], diffIds: readonly string[], chain: readonly string[],
    options: { onProgress: (progress: PullProgress) => void },
  ): Promise<void> {
    const { layers } = this.#options
    const gate = new Gate(PARALLEL_LAYERS)
    const missing = blobs.map((blob, i) => ({ blob, diffId: diffIds[i] ?? '', chainId: chain[i] ?? '', below: chain.slice(0, i).reverse() })).filter((l) => !layers.get(l.chainId))
    const downloads = missing.map(({ blob }) => {
      this.#blobUsers.set(blob.digest, (this.#blobUsers.get(blob.digest) ?? 0) + 1)
      const file = gate.run(() => this.#download(client, blob, options))
      // Awaited in order below; one that fails early must not count as unhandled until its turn.
      file.catch(() => {})
      return file
    })
    try {
      for (const [i, layer] of missing.entries()) {
        await layers.ensure(layer, async () => {
          const file = await downloads[i] ?? ''
          options.onProgress({ kind: 'unpacking', digest: layer.blob.digest })
          return { file, offset: 0, sizeBytes: layer.blob.sizeBytes }
        })
      }
    } finally {
      // Unpacked blobs go; what was not finished stays, to be resumed by the next attempt.
      for (const { blob, chainId } of missing) await this.#leaveBlob(blob, layers.get(chainId) !== undefined)
    }
  }

  async #leaveBlob(blob: Descriptor, unpacked: boolean): Promise<void> {
    const left = (this.#blobUsers.get(blob.digest) ?? 1) - 1
    if (left > 0) {
      this.#blobUsers.set(blob.digest, left)
      return
    }
    this.#blobUsers.delete(blob.digest)
    if (unpacked) await rm(this.#ingestPath(blob), { force: true })
  }

  async #download(client: RegistryClient, blob: Descriptor, options: { onProgress: (progress: PullProgress) => void }): Promise<string> {
    const path = this.#ingestPath(blob)
    let toldBytes = -PROGRESS_BYTES
    await this.#blobLock.run(blob.digest, () => client.downloadBlob(blob, path, (doneBytes) => {
      if (doneBytes - toldBytes < PROGRESS_BYTES && doneBytes < blob.sizeBytes) return
      toldBytes = doneBytes
      options.onProgress({ kind: 'downloading', digest: blob.digest, doneBytes, totalBytes: blob.sizeBytes })
    }))
    return path
  }

  get #ingestDirectory(): string { return join(this.#options.dataDir, 'ingest') }
  #ingestPath(blob: Descriptor): string { return join(this.#ingestDirectory, blob.digest.slice('sha256:'.length)) }
}

/** A partial download nobody came back for within a day is given up. */
const INGEST_KEPT_MS = 24 * 3600 * 1000

/** containerd's wording; the code tells a missing image from a failed transfer. */
function pullError(name: string, step: string, error: unknown): CodedError {
  const prefix = `failed to pull and unpack image "${name}": ${step}`
  const message = asError(error).message
  if (hasCode(error, 'CRI_IMAGE_NOT_FOUND')) return new CodedError('CRI_IMAGE_NOT_FOUND', `${prefix}${message}`, { cause: error })
  if (hasCode(error, 'ENOSPC')) return new CodedError('CRI_PULL_FAILED', `${prefix}no space left on device: ${message}`, { cause: error })
  return new CodedError('CRI_PULL_FAILED', `${prefix}${message}`, { cause: error, details: error instanceof CodedError ? { ...error.details } : {} })
}

function raceAbort<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(asError(signal.reason))
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort)).catch(() => {})
  })
}
