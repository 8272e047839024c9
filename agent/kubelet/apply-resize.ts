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
  const tooSmall: string[] = []
  const compare = (what: string, limit: number, usage: number) => {
    if (usage >= limit) tooSmall.push(`attempting to set ${what} memory limit (${limit}) below current usage (${usage})`)
  }
  const podLimit = podCgroupLimits(pod).memoryLimitBytes
  const podUsage = podLimit === undefined ? undefined : await cgroups.memoryWorkingSet(pod)
  if (podLimit !== undefined && podUsage !== undefined) compare('pod', podLimit, podUsage)
  for (const { id, name, resources } of containers) {
    const limit = resources.memoryLimitBytes ?? -1
    const before = (await runtime.containerStatus(id)).resources?.memoryLimitBytes ?? -1
    if (limit <= 0 || (before > 0 && limit >= before)) continue
    compare(`container "${name}"`, limit, (await runtime.containerStats(id)).memoryWorkingSetBytes)
  }
  if (tooSmall.length > 0) throw new CodedError('RESIZE_BELOW_USAGE', `cannot decrease memory limits: ${tooSmall.length === 1 ? tooSmall[0] ?? '' : `[${tooSmall.join(', ')}]`}`)
  await cgroups.grow(pod)
  for (const { id, resources } of containers) await runtime.updateContainerResources(id, resources)
  await cgroups.ensure(pod)
}
