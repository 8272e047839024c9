/** How the devices are that a container was given, for its status (KEP-4680). Pure. */
import type { ResourceStatus } from '#api/types/index.ts'
import type { PodDevices } from './allocation.ts'
import type { Device } from './source.ts'

/** Of a pod, by container. As upstream: what no plugin tells of (not yet, after a restart) counts as healthy. */
export function deviceStatuses(given: PodDevices, known: () => ReadonlyMap<string, readonly Device[]>): ReadonlyMap<string, readonly ResourceStatus[]> {
  const containers = Object.entries(given)
  if (containers.length === 0) return new Map()
  const all = known()
  return new Map(containers.map(([container, of]) => [container, statusesOf(of, all)]))
}

function statusesOf(given: PodDevices[string], known: ReadonlyMap<string, readonly Device[]>): ResourceStatus[] {
  return Object.entries(given).toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, ids]) => ({
    name, resources: ids.map((id) => ({ resourceID: id, health: known.get(name)?.find((d) => d.id === id)?.healthy === false ? 'Unhealthy' : 'Healthy' })),
  }))
}

/** Ids whose health is another now, or that were not told before. */
export function changedDevices(before: readonly Device[], after: readonly Device[]): Set<string> {
  const old = new Map(before.map((d) => [d.id, d.healthy]))
  return new Set(after.filter((d) => old.get(d.id) !== d.healthy).map((d) => d.id))
}
