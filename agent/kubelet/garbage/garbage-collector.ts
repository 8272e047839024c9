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
  /** Dead containers that no pod needs, then every image that nobody uses, but for those that came just now and may be about to be. */
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
  let hasFailed = false
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

  /** What went wrong, told already where it has an Event of its own; undefined: nothing. */
  const collectImages = async (): Promise<string | undefined> => {
    const told = (reason: string, message: string): string => {
      deps.tell(reason, message)
      return message
    }
    const { mountpoint } = await runtime.imageFsInfo()
    const disk = await deps.disk(mountpoint)
    if (disk.capacityBytes === 0) return told('InvalidDiskCapacity', 'invalid capacity 0 on image filesystem')
    const { tooOld, remove, neededBytes, usedPercent } = decideImageGc({
      ...await look(), disk, highPercent: config.imageGcHighPercent, lowPercent: config.imageGcLowPercent, minimumAgeMs: config.imageGcMinimumAgeMs, maximumAgeMs: config.imageGcMaximumAgeMs,
    })
    const freed = await removeAll(tooOld, 'age') + await removeAll(remove, 'space')
    return freed < neededBytes ? told('FreeDiskSpaceFailed', insufficient(usedPercent, disk.capacityBytes, freed)) : undefined
  }

  return {
    async collect() {
      // Switched off, as upstream's.
      if (config.imageGcHighPercent === 100 && config.imageGcMaximumAgeMs === 0) return
      const problem = await collectImages().catch((error: unknown) => asError(error).message)
      if (problem !== undefined) log.warn('images cannot be collected', { problem })
      // The first failure may be one of a machine that is just starting.
      if (problem !== undefined && hasFailed) deps.tell('ImageGCFailed', problem)
      hasFailed = problem !== undefined
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
      await removeAll(removableImages({ ...await look(), minimumAgeMs: config.imageGcMinimumAgeMs }), 'space')
    },
    counters: () => [
      { name: 'kubelet_container_garbage_collected_total', help: '[ALPHA] Total number of dead containers removed because the disk was short.', type: 'counter', samples: freedContainers > 0 ? [{ value: freedContainers }] : [] },
      { name: 'kubelet_image_garbage_collected_total', help: '[ALPHA] Total number of images garbage collected by the kubelet, whether through disk usage or image age.', type: 'counter', samples: (['space', 'age'] as const).filter((reason) => removed[reason] > 0).map((reason) => ({ labels: { reason }, value: removed[reason] })) },
    ],
  }
}

const insufficient = (usedPercent: number, capacityBytes: number, freedBytes: number): string =>
  `Insufficient free disk space on the node's image filesystem (${usedPercent}% of ${sizeText(capacityBytes)} used). Failed to free sufficient space by deleting unused images (freed ${freedBytes} bytes). Investigate disk usage, as it could be used by active images, logs, volumes, or other data.`

const UNITS = ['KiB', 'MiB', 'GiB', 'TiB']

export function sizeText(bytes: number): string {
  const power = Math.min(UNITS.length, Math.floor(Math.log2(Math.max(1, bytes)) / 10))
  return power === 0 ? `${bytes} B` : `${(bytes / 1024 ** power).toFixed(1)} ${UNITS[power - 1] ?? ''}`
}
