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
}

export interface ImageGcDecision {
  remove: Image[]
  /** What would have to be freed; more than `remove` frees: an Event says so. */
  neededBytes: number
}

/** Upstream's imageMinimumGCAge: what came a moment ago may be about to be used. */
export const IMAGE_AGE_MS_MIN = 120_000

export function decideImageGc(view: ImageGcView): ImageGcDecision {
  const { capacityBytes, availableBytes } = view.disk
  const usedPercent = capacityBytes > 0 ? 100 - Math.floor((availableBytes * 100) / capacityBytes) : 0
  if (usedPercent < view.highPercent) return { remove: [], neededBytes: 0 }
  const neededBytes = Math.max(0, Math.floor((capacityBytes * (100 - view.lowPercent)) / 100) - availableBytes)
  const remove: Image[] = []
  let freed = 0
  for (const image of removableImages(view)) {
    if (freed >= neededBytes) break
    remove.push(image)
    freed += image.sizeBytes
  }
  return { remove, neededBytes }
}

/** Oldest use first, then the oldest. `anyAge`: the disk is short now. */
export function removableImages({ images, inUse, uses, nowMs }: Pick<ImageGcView, 'images' | 'inUse' | 'uses' | 'nowMs'>, anyAge = false): Image[] {
  const use = (image: Image): ImageUse => uses.get(image.id) ?? { detectedMs: nowMs, usedMs: 0 }
  return images
    .filter((image) => !image.pinned && !inUse.has(image.id) && (anyAge || nowMs - use(image).detectedMs >= IMAGE_AGE_MS_MIN))
    .toSorted((a, b) => use(a).usedMs - use(b).usedMs || use(a).detectedMs - use(b).detectedMs)
}

/** What is remembered after this look. */
export function nextImageUses({ images, inUse, uses, nowMs }: Pick<ImageGcView, 'images' | 'inUse' | 'uses' | 'nowMs'>): Map<string, ImageUse> {
  return new Map(images.map(({ id }) => {
    const known = uses.get(id)
    return [id, { detectedMs: known?.detectedMs ?? nowMs, usedMs: inUse.has(id) ? nowMs : known?.usedMs ?? 0 }]
  }))
}
