/**
 * Makes what is allocated to a pod real: its own cgroup grows before its containers and shrinks after them, so that no container
 * ever stands outside its pod. A memory limit is not set below what is in use: that would kill what it is to bound.
 */
import type { Pod } from '#api/types/index.ts'
import { CodedError } from '#base/errors.ts'
import type { ContainerRuntime, LinuxResources } from '#cri/index.ts'
import type { PodCgroups } from './cgroups/pod-cgroups.ts'
import { podCgroupLimits } from './resources.ts'

export interface ResizeDeps { runtime: Pick<ContainerRuntime, 'updateContainerResources' | 'containerStats' | 'containerStatus'>; cgroups: PodCgroups }

export async function applyResize({ runtime, cgroups }: ResizeDeps, pod: Pod, containers: readonly { id: string; name: string; resources: LinuxResources }[]): Promise<void> {
  for (const { id, name, resources } of containers) {
    const limit = resources.memoryLimitBytes ?? -1
    const before = (await runtime.containerStatus(id)).resources?.memoryLimitBytes ?? -1
    if (limit <= 0 || (before > 0 && limit >= before)) continue
    const { memoryWorkingSetBytes } = await runtime.containerStats(id)
    if (memoryWorkingSetBytes >= limit) throw tooSmall(`container "${name}"`, limit, memoryWorkingSetBytes)
  }
  const podLimit = podCgroupLimits(pod).memoryLimitBytes
  const podUsage = podLimit === undefined ? undefined : await cgroups.memoryWorkingSet(pod)
  if (podLimit !== undefined && podUsage !== undefined && podUsage >= podLimit) throw tooSmall('pod', podLimit, podUsage)
  await cgroups.grow(pod)
  for (const { id, resources } of containers) await runtime.updateContainerResources(id, resources)
  await cgroups.ensure(pod)
}

function tooSmall(what: string, limit: number, usage: number): CodedError {
  return new CodedError('RESIZE_BELOW_USAGE', `cannot decrease memory limits: attempting to set ${what} memory limit (${limit}) below current usage (${usage})`)
}
