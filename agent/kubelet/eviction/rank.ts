/** Whom an eviction takes first: upstream's order for each resource. Pure. */
import { podPriority, podRequests } from '#api/types/pods.ts'
import { quantityValue } from '#api/types/quantity.ts'
import type { Pod, Stored } from '#api/types/index.ts'
import { podTotals, type ContainerSample, type PodSample, type VolumeSample } from '../stats/summary.ts'
import type { Signal } from './thresholds.ts'

export interface PodUsage { pod: Stored<Pod>; /** Undefined: nothing is known of what it uses. */ sample: PodSample | undefined }

/** Best candidate first. `hasImageFs`: images and what containers write are on a file system of their own. */
export function rankForEviction(pods: readonly PodUsage[], signal: Signal, hasImageFs: boolean): PodUsage[] {
  const keys = pods.map((p) => ({ p, key: keyOf(p, signal, hasImageFs) }))
  return keys.toSorted((a, b) => compare(a.key, b.key)).map(({ p }) => p)
}

/** Compared number by number, the smaller first. */
function keyOf({ pod, sample }: PodUsage, signal: Signal, hasImageFs: boolean): number[] {
  const priority = podPriority(pod)
  // What is not known to use anything is no help to evict, but for upstream it comes first.
  const unknown = sample ? 1 : 0
  switch (signal) {
    case 'memory.available': case 'allocatableMemory.available': {
      const over = memoryOf(sample) - quantityValue(podRequests(pod).memory)
      return [unknown, over > 0 ? 0 : 1, priority, -over]
    }
    case 'pid.available':
      return [priority, -(sample?.containers.reduce((sum, c) => sum + c.pids, 0) ?? 0)]
    case 'nodefs.available': case 'imagefs.available': {
      const over = diskOf(sample, signal, hasImageFs, { layer: (c) => c.rootfsUsedBytes, logs: (c) => c.logsUsedBytes, volume: (v) => v.usedBytes }) - quantityValue(podRequests(pod)['ephemeral-storage'])
      return [unknown, over > 0 ? 0 : 1, priority, -over]
    }
    // Inodes cannot be asked for: any use is more than was asked for.
    case 'nodefs.inodesFree': case 'imagefs.inodesFree': {
      const used = diskOf(sample, signal, hasImageFs, { layer: (c) => c.rootfsInodesUsed ?? 0, logs: (c) => c.logsInodesUsed ?? 0, volume: (v) => v.inodesUsed })
      return [unknown, used > 0 ? 0 : 1, priority, -used]
    }
  }
}

interface Parts { layer: (c: ContainerSample) => number; logs: (c: ContainerSample) => number; volume: (v: VolumeSample) => number }

/** Of what is on the file system that is short: logs and volumes are on the node's, writable layers with the images. */
function diskOf(sample: PodSample | undefined, signal: Signal, hasImageFs: boolean, { layer, logs, volume }: Parts): number {
  if (!sample) return 0
  const layers = sample.containers.reduce((sum, c) => sum + layer(c), 0)
  const rest = sample.containers.reduce((sum, c) => sum + logs(c), 0) + sample.volumes.reduce((sum, v) => sum + (v.isEphemeral ? volume(v) : 0), 0)
  if (!hasImageFs) return layers + rest
  return signal.startsWith('imagefs') ? layers : rest
}

export function memoryOf(sample: PodSample | undefined): number {
  return (sample && podTotals(sample))?.memory.workingSetBytes ?? 0
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [i, value] of a.entries()) {
    const other = b[i] ?? 0
    if (value !== other) return value - other
  }
  return 0
}
