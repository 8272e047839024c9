/** The images of a memory runtime: those that are on its "node", and those that a registry would serve. */
import type { Clock } from '#base/clock.ts'
import { CodedError } from '#base/errors.ts'
import type { Image, ImageService } from '../runtime.ts'
import type { Program } from './program.ts'

/** `program`: what its containers do. */
export interface MemoryImage extends Image { program?: Program }

export interface MemoryImages {
  readonly service: ImageService
  /** By id or name. */
  find(ref: string): MemoryImage | undefined
  /** Makes it present, under the name as the real runtime completes it. */
  add: (ref: string, image?: Partial<MemoryImage>) => Image
  /** Makes it one that can be pulled, in so much time. */
  serve: (ref: string, image?: Partial<MemoryImage> & { pullMs?: number }) => void
}

/** `enter`: each call's first step, where it may be held up or fail. */
export interface MemoryImagesDeps { clock: Clock; enter: (method: keyof ImageService, ...args: unknown[]) => Promise<void> }

export function createMemoryImages({ clock, enter }: MemoryImagesDeps): MemoryImages {
  const images = new Map<string, MemoryImage>()
  const registry = new Map<string, MemoryImage & { pullMs: number }>()
  const pulls = new Map<string, Promise<Image>>()

  const find = (ref: string): MemoryImage | undefined => {
    const byId = images.get(ref)
    if (byId) return byId
    const wanted = normaliseRef(ref)
    return [...images.values()].find((i) => i.repoTags.includes(wanted) || i.repoDigests.includes(wanted))
  }

  const makeImage = (ref: string, image: Partial<MemoryImage>): MemoryImage => {
    const name = normaliseRef(ref)
    const id = image.id ?? `sha256:${Buffer.from(`${name}\0${images.size + registry.size}`.padEnd(32, '\0')).subarray(-32).toString('hex')}`
    const repo = name.replace(/@.*$/, '').replace(/:[^:/]*$/, '')
    return { id, repoTags: name.includes('@') ? [] : [name], repoDigests: [name.includes('@') ? name : `${repo}@${id}`], sizeBytes: 1_234_567, pinned: false, ...image }
  }

  const service: ImageService = {
    async listImages() {
      await enter('listImages')
      return [...images.values()].map(plainImage)
    },
    async imageStatus(ref) {
      await enter('imageStatus', ref)
      const found = find(ref)
      return found && plainImage(found)
    },
    async pullImage(ref, pullOptions) {
      await enter('pullImage', ref, pullOptions.auth)
      const wanted = normaliseRef(ref)
      const joined = pulls.get(wanted)
      if (joined) return joined
      const pull = (async () => {
        pullOptions.onProgress?.({ kind: 'resolving', ref: wanted })
        const served = registry.get(wanted)
        if (!served) throw new CodedError('CRI_IMAGE_NOT_FOUND', `failed to pull and unpack image "${wanted}": failed to resolve reference "${wanted}": ${wanted}: not found`)
        if (served.pullMs > 0) await clock.sleep(served.pullMs, pullOptions.signal)
        const { pullMs, ...image } = served
        images.set(image.id, image)
        pullOptions.onProgress?.({ kind: 'done', imageId: image.id, sizeBytes: image.sizeBytes, tookMs: pullMs })
        return plainImage(image)
      })()
      pulls.set(wanted, pull)
      try {
        return await pull
      } finally {
        pulls.delete(wanted)
      }
    },
    async removeImage(ref) {
      await enter('removeImage', ref)
      const found = find(ref)
      if (!found) return
      images.delete(found.id)
    },
    async imageFsInfo() {
      await enter('imageFsInfo')
      return { mountpoint: '/var/lib/memory', usedBytes: [...images.values()].reduce((sum, i) => sum + i.sizeBytes, 0), inodesUsed: images.size }
    },
    async importImages(path) {
      await enter('importImages', path)
      throw new CodedError('CRI_INVALID', `${path}: the memory runtime holds no layers, so it cannot import an archive`)
    },
    async holdImages(refs) {
      await enter('holdImages', refs.join(' '))
      throw new CodedError('CRI_INVALID', 'the memory runtime holds no layers, so it cannot export an image')
    },
  }

  return {
    service,
    find,
    add(ref, image = {}) {
      const made = makeImage(ref, image)
      images.set(made.id, made)
      return plainImage(made)
    },
    serve: (ref, image = {}) => { registry.set(normaliseRef(ref), { ...makeImage(ref, image), pullMs: image.pullMs ?? 0 }) },
  }
}

/** `busybox` -> `docker.io/library/busybox:latest`, as image references are commonly completed. */
function normaliseRef(ref: string): string {
  const first = ref.split('/')[0] ?? ''
  const hasHost = ref.includes('/') && (/[.:]/.test(first) || first === 'localhost')
  const full = hasHost ? ref : ref.includes('/') ? `docker.io/${ref}` : `docker.io/library/${ref}`
  const last = full.slice(full.lastIndexOf('/') + 1)
  return last.includes(':') || last.includes('@') ? full : `${full}:latest`
}

function plainImage(image: MemoryImage): Image {
  const { program, ...plain } = { ...image, repoTags: [...image.repoTags], repoDigests: [...image.repoDigests] }
  void program
  return plain
}
