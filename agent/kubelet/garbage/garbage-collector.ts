/** Keeps the images' disk from filling up: a look every five minutes, and at once when an eviction would otherwise cost a pod. */
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { ContainerRuntime, Image } from '#cri/index.ts'
import { imageVolumesOf } from '../labels.ts'
import type { KubeletConfig } from '../config.ts'
import type { MetricFamily } from '../stats/metrics-text.ts'
import { decideImageGc, nextImageUses, removableImages, type ImageUse } from './image-gc.ts'

export interface GarbageCollector {
  /** One look. Failures are told, not thrown. */
  collect(): Promise<void>
  /** Dead containers that no pod needs, then every image that nobody uses, whatever its age. */
  freeDisk(): Promise<void>
  counters(): MetricFamily[]
}

export interface GarbageCollectorDeps {
  runtime: Pick<ContainerRuntime, 'listImages' | 'listContainers' | 'removeImage' | 'removeContainer' | 'imageFsInfo'>
  config: Pick<KubeletConfig, 'imageGcHighPercent' | 'imageGcLowPercent' | 'imageGcMinimumAgeMs' | 'imageGcMaximumAgeMs'>
  /** Of the file system that holds `path`. */
  disk: (path: string) => Promise<{ capacityBytes: number; availableBytes: number }>
  /** A pod that is there and has not ended: its last dead container still answers `logs --previous`. */
  isLive: (podSandboxId: string) => boolean
  /** An Event about this node. */
  tell: (reason: string, message: string) => void
  clock: Clock
  log: Log
}

/** Of what failed, in one Event. */
const TOLD_MAX = 10

export function createGarbageCollector(deps: GarbageCollectorDeps): GarbageCollector {
  const { runtime, config, clock } = deps
  const log = deps.log.with('garbage')
  let uses: ReadonlyMap<string, ImageUse> = new Map()
  const removed = { space: 0, age: 0 }
  let freedContainers = 0

  const look = async () => {
    const [images, containers] = await Promise.all([runtime.listImages(), runtime.listContainers()])
    const inUse = new Set(containers.flatMap((c) => [c.imageId, ...imageVolumesOf(c.annotations).values()]))
    uses = nextImageUses({ images, inUse, uses, nowMs: clock.nowMs() })
    return { images, inUse, uses, nowMs: clock.nowMs() }
  }

  /** What could be removed, in bytes. */
  const removeAll = async (images: readonly Image[], why: keyof typeof removed): Promise<number> => {
    let bytes = 0
    for (const image of images) {
      try {
        await runtime.removeImage(image.id)
        bytes += image.sizeBytes
        removed[why]++
        log.info('an image that nobody uses is removed', { image: image.repoTags[0] ?? image.id, sizeBytes: image.sizeBytes })
      } catch (error) {
        log.warn('an image cannot be removed', { image: image.repoTags[0] ?? image.id, error: asError(error) })
      }
    }
    return bytes
  }

  return {
    async collect() {
      try {
        const { mountpoint } = await runtime.imageFsInfo()
        const disk = await deps.disk(mountpoint)
        if (disk.capacityBytes === 0) return deps.tell('InvalidDiskCapacity', 'invalid capacity 0 on image filesystem')
        const { tooOld, remove, neededBytes } = decideImageGc({
          ...await look(), disk, highPercent: config.imageGcHighPercent, lowPercent: config.imageGcLowPercent, minimumAgeMs: config.imageGcMinimumAgeMs, maximumAgeMs: config.imageGcMaximumAgeMs,
        })
        const freed = await removeAll(tooOld, 'age') + await removeAll(remove, 'space')
        if (freed < neededBytes) deps.tell('FreeDiskSpaceFailed', `Failed to garbage collect required amount of images. Attempted to free ${neededBytes} bytes, but only found ${freed} bytes eligible to free.`)
      } catch (error) {
        log.warn('images cannot be looked at', { error: asError(error) })
        deps.tell('ImageGCFailed', asError(error).message)
      }
    },
    async freeDisk() {
      const failures: string[] = []
      const containers = await runtime.listContainers({ state: 'exited' }).catch((error: unknown) => {
        failures.push(asError(error).message)
        return []
      })
      for (const c of containers.filter((x) => !deps.isLive(x.sandboxId))) {
        try {
          await runtime.removeContainer(c.id)
          freedContainers++
        } catch (error) {
          log.warn('a dead container cannot be removed', { container: c.id, error: asError(error) })
          failures.push(asError(error).message)
        }
      }
      // As Go prints several errors.
      if (failures.length > 0) deps.tell('ContainerGCFailed', failures.length === 1 ? failures.join() : `[${[...new Set(failures)].slice(0, TOLD_MAX).join(', ')}]`)
      await removeAll(removableImages({ ...await look(), minimumAgeMs: 0 }), 'space')
    },
    counters: () => [
      { name: 'kubelet_container_garbage_collected_total', help: '[ALPHA] Total number of dead containers removed because the disk was short.', type: 'counter', samples: freedContainers > 0 ? [{ value: freedContainers }] : [] },
      { name: 'kubelet_image_garbage_collected_total', help: '[ALPHA] Total number of images garbage collected by the kubelet, whether through disk usage or image age.', type: 'counter', samples: (['space', 'age'] as const).filter((reason) => removed[reason] > 0).map((reason) => ({ labels: { reason }, value: removed[reason] })) },
    ],
  }
}
