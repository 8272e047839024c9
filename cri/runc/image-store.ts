/**
 * Which images are here: `image-records/<hex>.json` one record each with what is needed of its config inside, `image-configs/<hex>` that config to
 * the byte, for exports, `image-refs/<hash>.json` one per name. An image counts as present once its record is durable, which is after all its layers are.
 */
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { hasCode } from '#base/errors.ts'
import type { Image } from '../runtime.ts'
import { readJsonFile, writeFileAtomic } from './atomic-file.ts'
import { chainIds } from './layer-store.ts'
import { parseImageConfig } from './manifest.ts'
import type { ImageConfig } from './manifest.ts'
import { formatReference, isDigest, parseReference, repositoryOf } from './reference.ts'
import type { Reference } from './reference.ts'

export interface ImageRecord {
  id: string
  /** Of the stored (compressed) layers, as `docker images` and containerd count. */
  sizeBytes: number
  pinned: boolean
  config: ImageConfig
  /** Base first. */
  chain: string[]
}

/** `target`: the digest the name stood for, an index's or a manifest's; undefined for archives without one. */
interface NameRecord { name: string; imageId: string; target: string | undefined }

export class ImageStore {
  readonly #dataDir: string
  readonly #images = new Map<string, ImageRecord>()
  readonly #names = new Map<string, NameRecord>()

  constructor(dataDir: string) {
    this.#dataDir = dataDir
  }

  /** `hasLayer`: images that miss a layer are dropped, so that they are pulled again. Returns the dropped ids. */
  async open(hasLayer: (chainId: string) => boolean): Promise<string[]> {
    const dropped: string[] = []
    await mkdir(this.#imageDirectory, { recursive: true, mode: 0o700 })
    await mkdir(this.#nameDirectory, { recursive: true, mode: 0o700 })
    for (const file of await readdir(this.#imageDirectory)) {
      const record = await readJsonFile(join(this.#imageDirectory, file)) as ImageRecord | undefined
      if (record && Array.isArray(record.chain) && record.chain.every(hasLayer)) this.#images.set(record.id, record)
      else {
        dropped.push(file.replace(/\.json.*$/, ''))
        await rm(join(this.#imageDirectory, file), { force: true })
      }
    }
    await mkdir(this.#configDirectory, { recursive: true, mode: 0o700 })
    for (const file of await readdir(this.#configDirectory)) if (!this.#images.has(`sha256:${file}`)) await rm(join(this.#configDirectory, file), { force: true })
    for (const file of await readdir(this.#nameDirectory)) {
      const record = await readJsonFile(join(this.#nameDirectory, file)) as NameRecord | undefined
      if (record && this.#images.has(record.imageId)) this.#names.set(record.name, record)
      else await rm(join(this.#nameDirectory, file), { force: true })
    }
    return dropped
  }

  all(): Image[] { return [...this.#images.values()].map((record) => this.#describe(record)) }
  records(): ImageRecord[] { return [...this.#images.values()] }
  get(id: string): ImageRecord | undefined { return this.#images.get(id) }
  describe(id: string): Image | undefined {
    const record = this.#images.get(id)
    return record && this.#describe(record)
  }

  /** By id (with or without `sha256:`), name, or name with digest. */
  find(ref: string): ImageRecord | undefined {
    const id = isDigest(ref) ? ref : /^[0-9a-f]{64}$/.test(ref) ? `sha256:${ref}` : undefined
    if (id !== undefined) return this.#images.get(id)
    const parsed = parseReference(ref)
    const named = this.#names.get(formatReference(parsed)) ?? this.#byDigest(parsed)
    return named && this.#images.get(named.imageId)
  }

  /** With the names it is meant by: the one asked for, or all of them for an id. None of them has a digest. */
  findNamed(ref: string): { record: ImageRecord; names: string[] } | undefined {
    const record = this.find(ref)
    if (!record) return undefined
    const tags = this.#describe(record).repoTags
    return { record, names: tags.includes(ref) || !/^(sha256:)?[0-9a-f]{64}$/.test(ref) ? tags.filter((name) => name === formatReference(parseReference(ref))) : tags }
  }

  /** As its id's digest covers it. What an earlier build pulled has none on the disk: then what is known of it, which gets another id. */
  async configBytes({ id, config }: ImageRecord): Promise<Buffer> {
    try {
      return await readFile(join(this.#configDirectory, id.slice(7)))
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error
    }
    return Buffer.from(JSON.stringify({
      ...config.platform, config: {
        ...(config.user !== '' && { User: config.user }), Env: config.env, Entrypoint: config.entrypoint, Cmd: config.cmd, WorkingDir: config.workingDir, Labels: config.labels, ...(config.stopSignal !== undefined && { StopSignal: config.stopSignal }),
      }, rootfs: { type: 'layers', diff_ids: config.diffIds },
    }))
  }

  /** Pulled by tag, asked for by the digest that tag had. */
  #byDigest(ref: Reference): NameRecord | undefined {
    if (ref.digest === undefined) return undefined
    for (const name of this.#names.values()) if (name.target === ref.digest && repositoryOf(parseReference(name.name)) === repositoryOf(ref)) return name
    return undefined
  }

  /** The image a digest of an index or manifest led to under this repository, if it is here. */
  findByTarget(target: string): ImageRecord | undefined {
    for (const name of this.#names.values()) if (name.target === target) return this.#images.get(name.imageId)
    return undefined
  }

  /** Durable when it resolves. `configBytes` are the image's config as its id's digest covers it. */
  async put(image: { configBytes: Buffer; sizeBytes: number; pinned: boolean }): Promise<ImageRecord> {
    const id = `sha256:${createHash('sha256').update(image.configBytes).digest('hex')}`
    const config = parseImageConfig(image.configBytes)
    const pinned = image.pinned || (this.#images.get(id)?.pinned ?? false)
    const record: ImageRecord = { id, sizeBytes: image.sizeBytes, pinned, config, chain: chainIds(config.diffIds) }
    await writeFileAtomic(join(this.#configDirectory, id.slice(7)), image.configBytes, { sync: true })
    await writeFileAtomic(join(this.#imageDirectory, `${id.slice(7)}.json`), JSON.stringify(record), { sync: true })
    this.#images.set(id, record)
    return record
  }

  /** Moves the name to this image. */
  async name(name: string, imageId: string, target: string | undefined): Promise<void> {
    const known = this.#names.get(name)
    if (known?.imageId === imageId && known.target === target) return
    const record: NameRecord = { name, imageId, target }
    await writeFileAtomic(this.#namePath(name), JSON.stringify(record), { sync: true })
    this.#names.set(name, record)
  }

  /** With all its names. */
  async remove(id: string): Promise<void> {
    for (const { name, imageId } of Array.from(this.#names.values())) {
      if (imageId !== id) continue
      this.#names.delete(name)
      await rm(this.#namePath(name), { force: true })
    }
    this.#images.delete(id)
    await rm(join(this.#imageDirectory, `${id.slice(7)}.json`), { force: true })
    await rm(join(this.#configDirectory, id.slice(7)), { force: true })
  }

  #describe(record: ImageRecord): Image {
    const repoTags: string[] = []
    const repoDigests = new Set<string>()
    for (const { name, imageId, target } of this.#names.values()) {
      if (imageId !== record.id) continue
      const parsed = parseReference(name)
      if (parsed.digest === undefined) repoTags.push(name)
      const digest = parsed.digest ?? target
      if (digest !== undefined) repoDigests.add(`${parsed.host}/${parsed.repository}@${digest}`)
    }
    return { id: record.id, repoTags: repoTags.sort(), repoDigests: [...repoDigests].sort(), sizeBytes: record.sizeBytes, ...imageUser(record.config.user), pinned: record.pinned }
  }

  /** Not `images`: that is where users put archives. */
  get #imageDirectory(): string { return join(this.#dataDir, 'image-records') }
  get #nameDirectory(): string { return join(this.#dataDir, 'image-refs') }
  get #configDirectory(): string { return join(this.#dataDir, 'image-configs') }
  #namePath(name: string): string { return join(this.#nameDirectory, `${createHash('sha256').update(name).digest('hex')}.json`) }
}

/** `1000:1000` -> uid 1000; `nginx` -> username; empty -> root, which CRI leaves out as uid 0. */
function imageUser(user: string): { uid: number } | { username: string } {
  const name = user.split(':')[0] ?? ''
  if (name === '') return { uid: 0 }
  return /^\d+$/.test(name) ? { uid: Number(name) } : { username: name }
}
