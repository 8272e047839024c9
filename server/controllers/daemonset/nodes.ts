/** On which nodes a DaemonSet's pods are to run, and what they tolerate for it (upstream's NodeShouldRunDaemonPod). Pure. */
import { matchesNodeSelector, matchesSet, untolerated, type DaemonSet, type Node, type NodeSelector, type PodSpec, type Stored, type Toleration } from '#api/types/index.ts'

export interface Fit {
  /** A pod belongs there. */
  shouldRun: boolean
  /** One that is there may stay. */
  mayStay: boolean
}

export function fitOf(set: DaemonSet, node: Stored<Node>): Fit {
  const spec = set.spec?.template?.spec
  if (!spec) return { shouldRun: false, mayStay: false }
  const required = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
  const isWanted = (!spec.nodeName || spec.nodeName === node.metadata.name) && matchesSet(spec.nodeSelector, node.metadata.labels) && (!required || matchesNodeSelector(required, node))
  if (!isWanted) return { shouldRun: false, mayStay: false }
  const tolerations = daemonTolerations(spec)
  if (!untolerated(node.spec?.taints, tolerations, ['NoExecute', 'NoSchedule'])) return { shouldRun: true, mayStay: true }
  return { shouldRun: false, mayStay: !untolerated(node.spec?.taints, tolerations, ['NoExecute']) }
}

const NODE = 'node.kubernetes.io'
const ADDED: readonly Toleration[] = [
  ...['not-ready', 'unreachable'].map((key) => ({ key: `${NODE}/${key}`, operator: 'Exists', effect: 'NoExecute' })),
  ...['disk-pressure', 'memory-pressure', 'pid-pressure', 'unschedulable'].map((key) => ({ key: `${NODE}/${key}`, operator: 'Exists', effect: 'NoSchedule' })),
]
const FOR_HOST_NETWORK: Toleration = { key: `${NODE}/network-unavailable`, operator: 'Exists', effect: 'NoSchedule' }

/** Daemons run where others may not yet, or no longer. */
export function daemonTolerations(spec: PodSpec): Toleration[] {
  const out = [...(spec.tolerations ?? [])]
  for (const added of [...ADDED, ...(spec.hostNetwork ? [FOR_HOST_NETWORK] : [])]) {
    const at = out.findIndex((t) => t.key === added.key && t.effect === added.effect && (t.operator ?? 'Equal') === added.operator && !t.value)
    if (at < 0) out.push(added)
    else out[at] = added
  }
  return out
}

/** The scheduler is told which node: a term of node affinity, in place of what else the template asks of names. */
export function pinned(spec: PodSpec, nodeName: string): PodSpec {
  const matchFields = [{ key: 'metadata.name', operator: 'In', values: [nodeName] }]
  const { affinity } = spec
  const terms = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? []
  const required: NodeSelector = { nodeSelectorTerms: terms.length === 0 ? [{ matchFields }] : terms.map((term) => ({ ...term, matchFields })) }
  return { ...spec, affinity: { ...affinity, nodeAffinity: { ...affinity?.nodeAffinity, requiredDuringSchedulingIgnoredDuringExecution: required } }, tolerations: daemonTolerations(spec) }
}

/** The node a pod is on, or is to be on. */
export function targetNode({ spec }: { spec?: PodSpec }): string {
  if (spec?.nodeName) return spec.nodeName
  const terms = spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? []
  for (const { matchFields = [] } of terms) for (const { key, operator, values } of matchFields) if (key === 'metadata.name' && operator === 'In' && values?.length === 1) return values[0] ?? ''
  return ''
}
