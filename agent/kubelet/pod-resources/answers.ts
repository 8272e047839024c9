/** Which containers have which devices, as pkg/kubelet/apis/podresources words it. Pure. */
import type { Container, Pod } from '#api/types/index.ts'
import type { PodDevices } from '../devices/allocation.ts'
import type { ClaimedResource } from '../dra/claims.ts'
import type { Device } from '../devices/source.ts'
import type { ContainerDevices, PodResources } from './calls.ts'

/** All that are known now, by resource. */
export type KnownDevices = ReadonlyMap<string, readonly Device[]>

/** Sidecars and app containers: what other init containers had is over with them. */
export function resourcesOfPod(pod: Pod, given: PodDevices, known: KnownDevices, claimed: (container: Container) => readonly ClaimedResource[] = () => []): PodResources {
  const containers: Container[] = [...(pod.spec?.initContainers ?? []).filter((c) => c.restartPolicy === 'Always'), ...(pod.spec?.containers ?? [])]
  return { name: pod.metadata?.name, namespace: pod.metadata?.namespace, containers: containers.map((container) => ({ name: container.name, devices: Object.entries(given[container.name] ?? {}).flatMap(([resource, ids]) => ids.flatMap((id) => placed(resource, id, known))), dynamicResources: claimed(container) })) }
}

/** The first version: without sidecars. */
export function resourcesOfPodAlpha(pod: Pod, given: PodDevices): PodResources {
  return resourcesOfPod({ ...pod, spec: { containers: pod.spec?.containers ?? [] } }, given, new Map())
}

/** What pods may have altogether, whoever has it now. */
export function allocatableDevices(known: KnownDevices): ContainerDevices[] {
  return [...known].flatMap(([resource, devices]) => devices.filter((d) => d.healthy).flatMap(({ id }) => placed(resource, id, known)))
}

/** One entry for each device, and for each NUMA node of it. */
function placed(resourceName: string, id: string, known: KnownDevices): ContainerDevices[] {
  const nodes = known.get(resourceName)?.find((d) => d.id === id)?.numaNodes ?? []
  const device = { resourceName, deviceIds: [id] }
  return nodes.length === 0 ? [device] : nodes.map((node) => ({ ...device, topology: { nodes: [{ id: node }] } }))
}
