/**
 * Image tarballs on disk: OCI layouts and `docker save` archives, plain, gzip or zstd. The archive is indexed once;
 * layers are unpacked straight out of it. What is imported is pinned: on an airgapped node it cannot be pulled again.
 */
import { createReadStream, createWriteStream } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { CodedError, asError, hasCode } from '#base/errors.ts'
import type { ImageStore } from './image-store.ts'
import { chainIds } from './layer-store.ts'
import type { LayerStore } from './layer-store.ts'
import { choosePlatform, parseImageConfig, parseManifest } from './manifest.ts'
import type { IndexEntry, Platform } from './manifest.ts'
import { formatReference, isDigest, parseReference } from './reference.ts'
import { TarReader } from './tar-reader.ts'

export interface ImportOptions { images: ImageStore; layers: LayerStore; platform: Platform; /** Directory for a decompressed copy. */ temporary: string }

interface Member { offset: number; sizeBytes: number }
interface Found { names: string[]; target: string | undefined; configBytes: Buffer; layers: (Member & { digest: string | undefined })[] }

const DOCUMENT_BYTES_MAX = 4 << 20
const MEMBERS_MAX = 100_000
const INDEX_DEPTH_MAX = 4

/** Ids of the images it held. */
export async function importArchive(path: string, options: ImportOptions): Promise<string[]> {
  let plain: string | undefined
  try {
    plain = await decompressedCopy(path, options.temporary)
    const archive = await Archive.open(plain ?? path)
    try {
      const ids: string[] = []
      for (const found of await findImages(archive, options.platform)) ids.push(await store(found, plain ?? path, options))
      return ids
    } finally {
      await archive.close()
    }
  } catch (error) {
    const code = hasCode(error, 'ENOSPC') || hasCode(error, 'ENOENT') ? 'CRI_FAILED' : 'CRI_INVALID'
    throw new CodedError(code, `failed to import ${path}: ${asError(error).message}`, { cause: error })
  } finally {
    if (plain !== undefined) await rm(plain, { force: true })
  }
}

async function store(found: Found, file: string, options: ImportOptions): Promise<string> {
  const config = parseImageConfig(found.configBytes)
  if (config.diffIds.length !== found.layers.length) throw new CodedError('CRI_INVALID', `image config names ${config.diffIds.length} layers, the archive ${found.layers.length}`)
  const chain = chainIds(config.diffIds)
  const release = options.layers.hold(chain)
  try {
    for (const [i, layer] of found.layers.entries()) {
      await options.layers.ensure({ chainId: chain[i] ?? '', diffId: config.diffIds[i] ?? '', below: chain.slice(0, i).reverse() }, async () => (
        { file, offset: layer.offset, sizeBytes: layer.sizeBytes, ...(layer.digest !== undefined && { digest: layer.digest }) }))
    }
    const sizeBytes = found.layers.reduce((sum, layer) => sum + layer.sizeBytes, found.configBytes.length)
    const image = await options.images.put({ configBytes: found.configBytes, sizeBytes, pinned: true })
    for (const name of found.names) await options.images.name(formatReference(parseReference(name)), image.id, found.target)
    return image.id
  } finally {
    release()
  }
}

async function findImages(archive: Archive, platform: Platform): Promise<Found[]> {
  if (archive.has('oci-layout') && archive.has('index.json')) {
    const root = parseManifest(await archive.read('index.json'), undefined)
    if (root.kind !== 'index') throw new CodedError('CRI_INVALID', 'index.json is not an index')
    const images = await Promise.all(root.manifests.map((entry) => ociImage(archive, entry, platform, 0)))
    const found = images.filter((image) => image !== undefined)
    if (found.length === 0) throw new CodedError('CRI_INVALID', `it holds no image for ${platform.os}/${platform.architecture}`)
    return found
  }
  if (archive.has('manifest.json')) return dockerImages(archive)
  throw new CodedError('CRI_INVALID', 'it is neither an OCI layout (oci-layout, index.json) nor a docker archive (manifest.json)')
}

async function ociImage(archive: Archive, entry: IndexEntry, platform: Platform, depth: number): Promise<Found | undefined> {
  const manifest = parseManifest(await archive.read(blobPath(entry.digest)), entry.mediaType)
  const names = [entry.annotations['io.containerd.image.name'], entry.annotations['org.opencontainers.image.ref.name']]
  // A bare tag in ref.name has no repository: not a name one could run.
  const name = names.find((n) => n !== undefined && (n === names[0] || /[/:@]/.test(n)))
  if (manifest.kind === 'index') {
    const [best] = choosePlatform(manifest.manifests.filter((m) => archive.has(blobPath(m.digest))), platform)
    const inner = best && depth < INDEX_DEPTH_MAX ? await ociImage(archive, best, platform, depth + 1) : undefined
    return inner && { ...inner, names: name === undefined ? inner.names : [name], target: entry.digest }
  }
  if (entry.platform && choosePlatform([entry], platform).length === 0) return undefined
  return {
    names: name === undefined ? [] : [name], target: entry.digest,
    configBytes: await archive.read(blobPath(manifest.config.digest)),
    layers: manifest.layers.map((layer) => ({ ...archive.member(blobPath(layer.digest)), digest: layer.digest })),
  }
}

async function dockerImages(archive: Archive): Promise<Found[]> {
  const list: unknown = JSON.parse((await archive.read('manifest.json')).toString())
  if (!Array.isArray(list)) throw new CodedError('CRI_INVALID', 'manifest.json is not a list')
  const found: Found[] = []
  for (const item of list as { Config?: unknown; RepoTags?: unknown; Layers?: unknown }[]) {
    if (typeof item?.Config !== 'string' || !Array.isArray(item.Layers)) throw new CodedError('CRI_INVALID', 'manifest.json has an entry without Config or Layers')
    const tags = Array.isArray(item.RepoTags) ? item.RepoTags : []
    found.push({
      names: tags.filter((tag) => typeof tag === 'string'), target: undefined,
      configBytes: await archive.read(item.Config),
      layers: item.Layers.map((layer) => ({ ...archive.member(String(layer)), digest: undefined })),
    })
  }
  return found
}

function blobPath(digest: string): string {
  if (!isDigest(digest)) throw new CodedError('CRI_INVALID', `digest ${JSON.stringify(digest)} is not sha256`)
  return `blobs/${digest.replace(':', '/')}`
}

/** The archive's members by name; links (docker writes them for repeated layers) stand for what they point at. */
class Archive {
  readonly #file: FileHandle
  readonly #members: Map<string, Member>

  private constructor(file: FileHandle, members: Map<string, Member>) {
    this.#file = file
    this.#members = members
  }

  static async open(path: string): Promise<Archive> {
    const members = new Map<string, Member>()
    const links: { name: string; target: string }[] = []
    const reader = new TarReader({
      entry(entry, offset) {
        if (members.size + links.length > MEMBERS_MAX) throw new CodedError('CRI_INVALID', `it has more than ${MEMBERS_MAX} members`)
        const name = posix.normalize(entry.name)
        if (entry.type === 'file') members.set(name, { offset, sizeBytes: entry.sizeBytes })
        else if (entry.type === 'symlink') links.push({ name, target: posix.join(posix.dirname(name), entry.linkName) })
        else if (entry.type === 'link') links.push({ name, target: posix.normalize(entry.linkName) })
        return undefined
      },
    })
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) reader.push(chunk as Buffer)
    reader.finish()
    for (const { name, target } of links) {
      const member = members.get(target)
      if (member) members.set(name, member)
    }
    return new Archive(await open(path, 'r'), members)
  }

  has(name: string): boolean { return this.#members.has(name) }

  member(name: string): Member {
    const member = this.#members.get(posix.normalize(name))
    if (!member) throw new CodedError('CRI_INVALID', `it names ${JSON.stringify(name)} but does not hold it`)
    return member
  }

  async read(name: string): Promise<Buffer> {
    const { offset, sizeBytes } = this.member(name)
    if (sizeBytes > DOCUMENT_BYTES_MAX) throw new CodedError('CRI_INVALID', `${name} is larger than ${DOCUMENT_BYTES_MAX} bytes`)
    const bytes = Buffer.alloc(sizeBytes)
    await this.#file.read(bytes, 0, sizeBytes, offset)
    return bytes
  }

  close(): Promise<void> { return this.#file.close() }
}

/** Undefined for a plain tar. */
async function decompressedCopy(path: string, directory: string): Promise<string | undefined> {
  const file = await open(path, 'r')
  const head = Buffer.alloc(4)
  try {
    await file.read(head, 0, 4, 0)
  } finally {
    await file.close()
  }
  const gzip = head[0] === 0x1f && head[1] === 0x8b
  if (!gzip && head.readUInt32LE(0) !== 0xfd2fb528) return undefined
  const copy = join(directory, `import-${process.pid}-${posix.basename(path)}.tar`)
  try {
    await pipeline(createReadStream(path), gzip ? createGunzip() : createZstdDecompress(), createWriteStream(copy, { mode: 0o600 }))
  } catch (error) {
    await rm(copy, { force: true })
    throw new CodedError('CRI_INVALID', `it cannot be decompressed: ${asError(error).message}`, { cause: error })
  }
  return copy
}
