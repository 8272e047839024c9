/** Where group versions stand in discovery: upstream's table for its own, its constants for custom resources, and the order that follows. Pure. */
import { compareVersions } from '../version-order.ts'

export interface Priority { group: number; version: number }

/** A group's versions from the one that is preferred on. */
const GROUPS: Readonly<Record<string, { group: number; versions: Readonly<Record<string, number>> }>> = {
  '': { group: 18_000, versions: { v1: 1 } },
  // Before every other one: no APIService may have more than 20,000.
  'apiregistration.k8s.io': { group: 20_001, versions: {} },
  apps: { group: 17_800, versions: {} },
  'events.k8s.io': { group: 17_750, versions: { v1beta1: 5 } },
  'authentication.k8s.io': { group: 17_700, versions: {} },
  'authorization.k8s.io': { group: 17_600, versions: {} },
  autoscaling: { group: 17_500, versions: { v2: 30 } },
  batch: { group: 17_400, versions: {} },
  'certificates.k8s.io': { group: 17_300, versions: {} },
  'networking.k8s.io': { group: 17_200, versions: {} },
  policy: { group: 17_100, versions: {} },
  'rbac.authorization.k8s.io': { group: 17_000, versions: {} },
  'storage.k8s.io': { group: 16_800, versions: {} },
  'admissionregistration.k8s.io': { group: 16_700, versions: { v1beta1: 12, v1alpha1: 9 } },
  'apiextensions.k8s.io': { group: 16_700, versions: {} },
  'scheduling.k8s.io': { group: 16_600, versions: {} },
  'coordination.k8s.io': { group: 16_500, versions: { v1beta1: 13, v1alpha2: 12 } },
  'node.k8s.io': { group: 16_300, versions: {} },
  'discovery.k8s.io': { group: 16_200, versions: { v1beta1: 12 } },
  'resource.k8s.io': { group: 16_200, versions: { v1: 21, v1beta2: 15, v1alpha3: 1 } },
  'flowcontrol.apiserver.k8s.io': { group: 16_100, versions: { v1: 21, v1beta3: 18 } },
  'internal.apiserver.k8s.io': { group: 16_000, versions: { v1alpha1: 9 } },
  'storagemigration.k8s.io': { group: 15_800, versions: { v1beta1: 9 } },
}
/** Built-in groups that the table does not name come after those it does. */
const OTHER_GROUP = 15_700
const OTHER_VERSION = { ga: 15, beta: 9, alpha: 1 } as const

export function builtinPriority(group: string, version: string): Priority {
  const known = GROUPS[group]
  const stage = version.includes('alpha') ? 'alpha' : version.includes('beta') ? 'beta' : 'ga'
  return { group: known?.group ?? OTHER_GROUP, version: known?.versions[version] ?? OTHER_VERSION[stage] }
}

/** Upstream's for group versions of CustomResourceDefinitions. */
export const CUSTOM_RESOURCE_PRIORITY: Priority = { group: 1000, version: 100 }

export interface RankedVersion { group: string; version: string; priority: Priority }

/** Groups in discovery order, each with its versions in order (kube-aggregator `SortedByGroupAndVersion`). */
export function rankGroups<T extends RankedVersion>(list: readonly T[]): { group: string; versions: T[] }[] {
  const byGroup = new Map<string, T[]>()
  const inOrder = list.toSorted((a, b) => b.priority.group - a.priority.group || compareText(`${a.version}.${a.group}`, `${b.version}.${b.group}`))
  for (const one of inOrder) {
    const versions = byGroup.get(one.group)
    if (versions) versions.push(one)
    else byGroup.set(one.group, [one])
  }
  return [...byGroup].map(([group, versions]) => ({ group, versions: versions.sort((a, b) => b.priority.version - a.priority.version || compareVersions(b.version, a.version)) }))
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
