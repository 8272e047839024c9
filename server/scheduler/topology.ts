/** Topology spread constraints: which apply to a pod, and how many matching pods each domain holds. */
import type { TopologySpreadConstraint } from '#api/types/index.ts'
import { compileRequirements, compileLabelSelector, matchesSet, type LabelMatcher } from '#api/types/labels.ts'
import type { NodeInfo, PodInfo } from './node-info.ts'
import { matchesNodeSelector } from '#api/types/index.ts'
import { untolerated } from '#api/types/index.ts'

export interface SpreadConstraint {
  topologyKey: string
  maxSkew: number
  minDomains: number
  selector: LabelMatcher
  /** Whether the node's pods and domain are counted for this pod (nodeAffinityPolicy, nodeTaintsPolicy). */
  counts: (node: NodeInfo) => boolean
}

export function spreadConstraints({ pod }: PodInfo, whenUnsatisfiable: 'DoNotSchedule' | 'ScheduleAnyway'): SpreadConstraint[] {
  return (pod.spec?.topologySpreadConstraints ?? []).filter((c) => c.whenUnsatisfiable === whenUnsatisfiable).map((c) => ({
    topologyKey: c.topologyKey,
    maxSkew: c.maxSkew,
    minDomains: c.minDomains ?? 1,
    selector: selectorOf(c, pod.metadata.labels),
    counts: ({ node }) => {
      const required = pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
      if (c.nodeAffinityPolicy !== 'Ignore' && !(matchesSet(pod.spec?.nodeSelector, node.metadata.labels) && (!required || matchesNodeSelector(required, node)))) return false
      return c.nodeTaintsPolicy !== 'Honor' || !untolerated(node.spec?.taints, pod.spec?.tolerations, ['NoSchedule', 'NoExecute'])
    },
  }))
}

function selectorOf(constraint: TopologySpreadConstraint, labels: Readonly<Record<string, string>> | undefined): LabelMatcher {
  const base = compileLabelSelector(constraint.labelSelector)
  const keys = (constraint.matchLabelKeys ?? []).filter((k) => labels?.[k] !== undefined)
  return keys.length === 0 ? base : compileRequirements([...base.requirements, ...keys.map((key) => ({ key, operator: '=' as const, values: [labels?.[key] ?? ''] }))])
}

/** Pods being deleted do not count, as upstream. */
export function matchingPods(node: NodeInfo, namespace: string | undefined, selector: LabelMatcher): number {
  return node.pods.filter(({ pod }) => pod.metadata.namespace === namespace && !pod.metadata.deletionTimestamp && selector.matches(pod.metadata.labels)).length
}

/** Matching pods per domain, over the nodes that have all `keys` and count. */
export function domainCounts(constraint: SpreadConstraint, nodes: readonly NodeInfo[], keys: readonly string[], namespace: string | undefined): Map<string, number> {
  const counts = new Map<string, number>()
  for (const node of nodes) {
    const labels = node.node.metadata.labels ?? {}
    const domain = labels[constraint.topologyKey]
    if (domain === undefined || !keys.every((k) => labels[k] !== undefined) || !constraint.counts(node)) continue
    counts.set(domain, (counts.get(domain) ?? 0) + matchingPods(node, namespace, constraint.selector))
  }
  return counts
}
