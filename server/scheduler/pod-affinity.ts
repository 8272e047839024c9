/** Pod (anti-)affinity terms: which pods a term means, and in which topology domains such pods are. */
import type { Pod, PodAffinityTerm, Stored } from '#api/types/index.ts'
import { compileRequirements, compileLabelSelector, type LabelMatcher } from '#api/types/labels.ts'
import type { Snapshot } from './node-info.ts'

export interface AffinityTerm { topologyKey: string; matches: (other: Stored<Pod>) => boolean }

export function affinityTerm(term: PodAffinityTerm, owner: Stored<Pod>, snapshot: Snapshot): AffinityTerm {
  const selector = withLabelKeys(term, owner)
  const listed = new Set(term.namespaces ?? [])
  const namespaceSelector = term.namespaceSelector ? compileLabelSelector(term.namespaceSelector) : undefined
  if (listed.size === 0 && !namespaceSelector) listed.add(owner.metadata.namespace ?? '')
  return {
    topologyKey: term.topologyKey,
    matches: (other) => {
      const namespace = other.metadata.namespace ?? ''
      return (listed.has(namespace) || namespaceSelector?.matches(snapshot.namespaceLabels(namespace)) === true) && selector.matches(other.metadata.labels)
    },
  }
}

/** matchLabelKeys and mismatchLabelKeys (KEP-3633) add the owner's own values to the selector. */
function withLabelKeys(term: PodAffinityTerm, owner: Stored<Pod>): LabelMatcher {
  const labels = owner.metadata.labels ?? {}
  const extra = [...(term.matchLabelKeys ?? []).map((key) => ({ key, operator: 'in' as const })), ...(term.mismatchLabelKeys ?? []).map((key) => ({ key, operator: 'notin' as const }))]
    .flatMap(({ key, operator }) => (labels[key] === undefined ? [] : [{ key, operator, values: [labels[key]] }]))
  const base = compileLabelSelector(term.labelSelector)
  return extra.length === 0 || !term.labelSelector ? base : compileRequirements([...base.requirements, ...extra])
}

export const requiredAffinity = (pod: Pod): readonly PodAffinityTerm[] => pod.spec?.affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []
export const requiredAntiAffinity = (pod: Pod): readonly PodAffinityTerm[] => pod.spec?.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []

/** `key=value` of a domain that a node is in; undefined when it lacks the label. */
export function domainOf(topologyKey: string, labels: Readonly<Record<string, string>> | undefined): string | undefined {
  const value = labels?.[topologyKey]
  return value === undefined ? undefined : `${topologyKey}=${value}`
}
