/**
 * Soft spreading: fewer matching pods in a node's domains is better. Pods without constraints of their own, but with an
 * owner or a Service, get upstream's system defaults (host name, skew 3; zone, skew 5), with the pod's own labels as
 * the selector of its like.
 */
import { compileRequirements } from '#api/types/labels.ts'
import type { NodeInfo, PodInfo } from '../node-info.ts'
import { SCORE_MAX, type ScoreRule } from '../rule.ts'
import { domainCounts, matchingPods, spreadConstraints, type SpreadConstraint } from '../topology.ts'

const HOSTNAME = 'kubernetes.io/hostname'
const VOLATILE_LABELS = new Set(['statefulset.kubernetes.io/pod-name', 'apps.kubernetes.io/pod-index', 'controller-revision-hash', 'batch.kubernetes.io/job-completion-index'])

function systemDefaults({ pod }: PodInfo): SpreadConstraint[] {
  const labels = Object.entries(pod.metadata.labels ?? {}).filter(([key]) => !VOLATILE_LABELS.has(key))
  if (pod.spec?.topologySpreadConstraints?.length || labels.length === 0 || !pod.metadata.ownerReferences?.length) return []
  const selector = compileRequirements(labels.map(([key, value]) => ({ key, operator: '=' as const, values: [value] })))
  return [{ topologyKey: HOSTNAME, maxSkew: 3, minDomains: 1, selector, counts: () => true }, { topologyKey: 'topology.kubernetes.io/zone', maxSkew: 5, minDomains: 1, selector, counts: () => true }]
}

export const podTopologySpreadScore: ScoreRule = {
  name: 'PodTopologySpread',
  weight: 2,
  prepare: (info, snapshot, candidates) => {
    const own = spreadConstraints(info, 'ScheduleAnyway')
    const constraints = own.length > 0 ? own : systemDefaults(info)
    if (constraints.length === 0) return undefined
    const { namespace } = info.pod.metadata
    const prepared = constraints.map((constraint) => {
      const counts = domainCounts(constraint, snapshot.nodes, [constraint.topologyKey], namespace)
      const size = constraint.topologyKey === HOSTNAME ? candidates.length : counts.size
      return { constraint, counts, weight: Math.log(size + 2) }
    })
    return (node: NodeInfo) => Math.round(prepared.reduce((score, { constraint, counts, weight }) => {
      const domain = node.node.metadata.labels?.[constraint.topologyKey]
      if (domain === undefined) return score
      const count = constraint.topologyKey === HOSTNAME ? matchingPods(node, namespace, constraint.selector) : (counts.get(domain) ?? 0)
      return score + count * weight + (constraint.maxSkew - 1)
    }, 0))
  },
  normalize: (raw) => {
    const [min, max] = [Math.min(...raw), Math.max(...raw)]
    return raw.map((r) => (max === 0 ? SCORE_MAX : Math.floor((SCORE_MAX * (max + min - r)) / max)))
  },
}
