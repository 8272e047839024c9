/** Which images go when the disk fills up: those that nobody uses, the longest unused first. Pure; upstream's pkg/kubelet/images. */
import type { Image } from '#cri/index.ts'

/** When it was first seen here, and last seen in use; 0: never. */
export interface ImageUse { detectedMs: number; usedMs: number }

export interface ImageGcView {
  images: readonly Image[]
  /** Of any container that is there, running or not. */
  inUse: ReadonlySet<string>
  uses: ReadonlyMap<string, ImageUse>
  nowMs: number
  /** Of the images' file system. */
  disk: { capacityBytes: number; availableBytes: number }
  highPercent: number
  lowPercent: number
  /** What came less than this ago may be about to be used. */
  minimumAgeMs: number
  /** What nobody has used for so long goes, however much room there is; 0: nothing. */
  maximumAgeMs: number
}

export interface ImageGcDecision {
  /** For its age alone. */
  tooOld: Image[]
  /** For want of room. */
  remove: Image[]
  /** What would have to be freed; more than `remove` frees: an Event says so. */
  neededBytes: number
  /** Of the disk, before. */
  usedPercent: number
}

export function decideImageGc(view: ImageGcView): ImageGcDecision {
  const { capacityBytes, availableBytes } = view.disk
  const usedPercent = capacityBytes > 0 ? 100 - Math.floor((availableBytes * 100) / capacityBytes) : 0
  const removable = removableImages(view)
  const tooOld = view.maximumAgeMs > 0 ? removable.filter((image) => isTooOld(view, image)) : []
  if (usedPercent < view.highPercent) return { tooOld, remove: [], neededBytes: 0, usedPercent }
  const neededBytes = Math.max(0, Math.floor((capacityBytes * (100 - view.lowPercent)) / 100) - availableBytes)
  const remove: Image[] = []
  let freed = tooOld.reduce((sum, image) => sum + image.sizeBytes, 0)
  for (const image of removable) {
    if (freed >= neededBytes) break
    if (tooOld.includes(image)) continue
    remove.push(image)
    freed += image.sizeBytes
  }
  return { tooOld, remove, neededBytes, usedPercent }
}

function isTooOld({ uses, nowMs, maximumAgeMs }: ImageGcView, image: Image): boolean {
  const use = uses.get(image.id)
  return use !== undefined && nowMs - Math.max(use.detectedMs, use.usedMs) > maximumAgeMs
}

/** Oldest use first, then the oldest. */
export function removableImages({ images, inUse, uses, nowMs, minimumAgeMs }: Pick<ImageGcView, 'images' | 'inUse' | 'uses' | 'nowMs' | 'minimumAgeMs'>): Image[] {
  const use = (image: Image): ImageUse => uses.get(image.id) ?? { detectedMs: nowMs, usedMs: 0 }
  return images
    .filter((image) => !image.pinned && !inUse.has(image.id) && nowMs - use(image).detectedMs >= minimumAgeMs)
    .toSorted((a, b) => use(a).usedMs - use(b).usedMs || use(a).detectedMs - use(b).detectedMs)
}

/** What is remembered after this look. */
export function nextImageUses({ images, inUse, uses, nowMs }: Pick<ImageGcView, 'images' | 'inUse' | 'uses' | 'nowMs'>): Map<string, ImageUse> {
  return new Map(images.map(({ id }) => {
    const known = uses.get(id)
    return [id, { detectedMs: known?.detectedMs ?? nowMs, usedMs: inUse.has(id) ? nowMs : known?.usedMs ?? 0 }]
  }))
}
