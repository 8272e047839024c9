/**
 * emptyDir volumes: a directory of the pod's own, on disk, in memory or of large pages. Each is made once: what containers have written since is
 * theirs, with its owners and modes, and a restart of the agent changes nothing of it. That it was made is noted where upstream's kubelet does.
 */
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Pod, Stored, Volume } from '#api/types/index.ts'
import { quantityValue } from '#api/types/quantity.ts'
import { CodedError } from '#base/errors.ts'
import { pathExists } from '#base/path-exists.ts'
import type { PodPaths } from '../pod-paths.ts'
import { podCgroupLimits } from '../resources.ts'
import { isHugePages, pageSize } from './huge-pages.ts'
import type { Mounter } from './mounter.ts'

export const EMPTY_DIR = 'kubernetes.io~empty-dir'
const READY = 'ready'

export interface EmptyDirRequest {
  pod: Stored<Pod>
  volume: Volume
  /** Of the node, for volumes in memory. */
  allocatableMemory: string | undefined
  /** Gives the new directory to the pod's group. */
  own: (dir: string) => Promise<void>
}

export async function setUpEmptyDir({ paths, mounter }: { paths: PodPaths; mounter: Mounter }, { pod, volume, allocatableMemory, own }: EmptyDirRequest): Promise<void> {
  const { uid } = pod.metadata
  const medium = volume.emptyDir?.medium ?? ''
  const isMemory = medium === 'Memory'
  if (medium !== '' && !isMemory && !isHugePages(medium)) throw new CodedError('VOLUME_UNSUPPORTED', `unknown storage medium ${JSON.stringify(medium)}`)
  const dir = paths.volume(uid, EMPTY_DIR, volume.name)
  const ready = join(paths.plugin(uid, EMPTY_DIR, volume.name), READY)
  // What was in memory is not there any more after a reboot.
  const isThere = medium === '' ? await pathExists(dir) : (await mounter.below(dir)).includes(dir)
  if (isThere && await pathExists(ready)) return
  await rm(ready, { force: true })
  await mkdir(dir, { recursive: true, mode: 0o777 })
  if (isMemory) await mounter.tmpfs(dir, { mode: 0o1777, ...memoryVolumeSize(pod, volume, allocatableMemory) })
  // mkdir's mode is cut by the umask.
  else await chmod(dir, 0o777)
  if (isHugePages(medium)) await mounter.mount('hugetlbfs', 'nodev', dir, [`pagesize=${pageSize(medium, pod)}`])
  await own(dir)
  await mkdir(paths.plugin(uid, EMPTY_DIR, volume.name), { recursive: true, mode: 0o750 })
  await writeFile(ready, '')
}

/** What the pod may use at most, whatever of that is least: its own limit where it has one as a whole, else all that pods have. */
export function memoryVolumeSize(pod: Pod, volume: Volume, allocatable: string | undefined): { sizeBytes?: number } {
  const limits = [quantityValue(volume.emptyDir?.sizeLimit), podCgroupLimits(pod).memoryLimitBytes ?? 0, quantityValue(allocatable)].filter((n) => n > 0)
  return limits.length > 0 ? { sizeBytes: Math.min(...limits) } : {}
}
