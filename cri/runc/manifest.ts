/** OCI and Docker v2 manifests, indexes and image configs: parsed once from untrusted bytes into what a pull needs. */
import { CodedError } from '#base/errors.ts'
import { isDigest } from './reference.ts'

export const MANIFEST_TYPES = [
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.index.v1+json',
]

export interface Descriptor { mediaType: string; digest: string; sizeBytes: number }
export interface Platform { os: string; architecture: string; variant?: string }
export interface IndexEntry extends Descriptor { platform?: Platform; annotations: Record<string, string> }
export type Manifest =
  | { kind: 'index'; manifests: IndexEntry[] }
  | { kind: 'image'; config: Descriptor; layers: Descriptor[] }

export interface ImageConfig {
  platform: Platform
  diffIds: string[]
  user: string
  env: string[]
  entrypoint: string[]
  cmd: string[]
  workingDir: string
  stopSignal: string | undefined
  labels: Record<string, string>
}

/** As many as overlayfs takes with room to spare (docker's limit, too). */
const LAYERS_MAX = 127

export function parseManifest(bytes: Buffer, mediaType: string | undefined): Manifest {
  const doc = record(parseJson(bytes, 'manifest'))
  const type = text(doc.mediaType) ?? mediaType ?? ''
  if (doc.schemaVersion === 1) {
    throw invalid('media type "application/vnd.docker.distribution.manifest.v1+prettyjws" is no longer supported, please rebuild the image as "application/vnd.docker.distribution.manifest.v2+json" or "application/vnd.oci.image.manifest.v1+json"')
  }
  if (Array.isArray(doc.manifests)) return { kind: 'index', manifests: doc.manifests.map(indexEntry) }
  if (Array.isArray(doc.layers) && doc.config !== undefined) {
    if (doc.layers.length > LAYERS_MAX) throw invalid(`image has ${doc.layers.length} layers, more than ${LAYERS_MAX}`)
    const layers = doc.layers.map((layer) => descriptor(layer))
    const foreign = layers.find((layer) => layer.mediaType.includes('nondistributable') || layer.mediaType.includes('foreign'))
    if (foreign) throw invalid(`layer ${foreign.digest} is of the non-distributable type ${foreign.mediaType}`)
    return { kind: 'image', config: descriptor(doc.config), layers }
  }
  throw invalid(`manifest of type ${JSON.stringify(type)} is neither an image nor an index`)
}

/** The entries that run here, best first: the exact variant, then older ones. */
export function choosePlatform(manifests: readonly IndexEntry[], host: Platform): IndexEntry[] {
  const rank = (entry: IndexEntry) => {
    if (!entry.platform) return manifests.length === 1 ? 0 : -1
    if (entry.platform.os !== host.os || entry.platform.architecture !== host.architecture) return -1
    const want = variantNumber(host)
    const have = variantNumber(entry.platform)
    return have > want ? -1 : 100 - (want - have)
  }
  return manifests.filter((entry) => rank(entry) >= 0).sort((a, b) => rank(b) - rank(a))
}

/** Node's `process.arch` in the registry's words. */
export function hostPlatform(arch: string): Platform {
  const known: Record<string, Platform> = {
    x64: { os: 'linux', architecture: 'amd64' },
    arm64: { os: 'linux', architecture: 'arm64', variant: 'v8' },
    arm: { os: 'linux', architecture: 'arm', variant: 'v7' },
    ia32: { os: 'linux', architecture: '386' },
  }
  return known[arch] ?? { os: 'linux', architecture: arch }
}

export function parseImageConfig(bytes: Buffer): ImageConfig {
  const doc = record(parseJson(bytes, 'image config'))
  const config = doc.config === undefined || doc.config === null ? {} : record(doc.config)
  const rootfs = record(doc.rootfs)
  const diffIds = strings(rootfs.diff_ids)
  if (!diffIds.every(isDigest)) throw invalid('image config: rootfs.diff_ids holds something other than sha256 digests')
  const variant = text(doc.variant)
  const stopSignal = text(config.StopSignal)
  return {
    platform: { os: text(doc.os) ?? 'linux', architecture: text(doc.architecture) ?? '', ...(variant && { variant }) },
    diffIds,
    user: text(config.User) ?? '',
    env: strings(config.Env),
    entrypoint: strings(config.Entrypoint),
    cmd: strings(config.Cmd),
    workingDir: text(config.WorkingDir) ?? '',
    stopSignal: stopSignal || undefined,
    labels: Object.fromEntries(Object.entries(config.Labels ? record(config.Labels) : {}).filter((pair): pair is [string, string] => typeof pair[1] === 'string')),
  }
}

function variantNumber(platform: Platform): number {
  const fallback: Record<string, number> = { arm: 7, arm64: 8, amd64: 1 }
  return platform.variant === undefined ? fallback[platform.architecture] ?? 0 : Number(platform.variant.replace(/^v/, '')) || 0
}

function indexEntry(value: unknown): IndexEntry {
  const doc = record(value)
  const platform = doc.platform === undefined ? undefined : record(doc.platform)
  const variant = text(platform?.variant)
  return {
    ...descriptor(value),
    ...(platform && { platform: { os: text(platform.os) ?? '', architecture: text(platform.architecture) ?? '', ...(variant && { variant }) } }),
    annotations: Object.fromEntries(Object.entries(doc.annotations ? record(doc.annotations) : {}).filter((pair): pair is [string, string] => typeof pair[1] === 'string')),
  }
}

function descriptor(value: unknown): Descriptor {
  const doc = record(value)
  const digest = text(doc.digest) ?? ''
  const { size } = doc
  if (!isDigest(digest)) throw invalid(`descriptor has the digest ${JSON.stringify(digest).slice(0, 100)}; only sha256 is supported`)
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) throw invalid(`descriptor ${digest} has no valid size`)
  return { mediaType: text(doc.mediaType) ?? '', digest, sizeBytes: size }
}

function parseJson(bytes: Buffer, what: string): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch (error) {
    throw new CodedError('CRI_PULL_FAILED', `${what} is not valid JSON`, { cause: error })
  }
}

function record(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('manifest has a part that is not an object')
  return value as Record<string, unknown>
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}

function invalid(why: string): CodedError {
  return new CodedError('CRI_PULL_FAILED', why)
}
