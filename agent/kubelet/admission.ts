/** Whether this node can take a pod that was sent to it, whoever sent it (upstream's kubelet admission). Pure. */
import { hostPortsConflict, hostPortsOf, podRequests } from '#api/types/pods.ts'
import { matchesSet } from '#api/types/labels.ts'
import { quantityMilli, quantityValue } from '#api/types/quantity.ts'
import { matchesNodeSelector, type Node, type Pod, untolerated } from '#api/types/index.ts'
import { requiresAppArmor } from './security.ts'
import { forbiddenSysctl } from './sysctls.ts'

export interface AdmissionInput {
  pod: Pod
  /** Admitted pods that still run or will. */
  others: readonly Pod[]
  allocatable: Readonly<Record<string, string>>
  /** As the cluster tells it; undefined while that is not known: then its labels and taints keep nobody out. */
  node: Node | undefined
  /** This machine's kernel has it. Default true. */
  hasAppArmor?: boolean
  /** The runtime keeps an image's groups out where it is told to. Default true. */
  hasStrictGroups?: boolean
  /** Besides the safe ones; see sysctls.ts. */
  allowedSysctls: readonly string[]
}

/** Undefined: it may come in. Else the reason and message its status fails with. */
export function refusal(input: AdmissionInput): { reason: string; message: string } | undefined {
  if (input.hasStrictGroups === false && input.pod.spec?.securityContext?.supplementalGroupsPolicy === 'Strict') {
    return { reason: 'SupplementalGroupsPolicyNotSupported', message: 'SupplementalGroupsPolicy=Strict is not supported in this node' }
  }
  if (input.hasAppArmor === false && requiresAppArmor(input.pod)) return { reason: 'AppArmor', message: 'Cannot enforce AppArmor: AppArmor is not enabled on the host' }
  const sysctl = forbiddenSysctl(input.pod, input.allowedSysctls)
  return sysctl === undefined ? outOfResources(input) ?? unfit(input) : { reason: 'SysctlForbidden', message: `forbidden sysctl: ${sysctl}` }
}

export function outOfResources({ pod, others, allocatable }: Pick<AdmissionInput, 'pod' | 'others' | 'allocatable'>): { reason: string; message: string } | undefined {
  const pods = Number(allocatable.pods ?? Infinity)
  if (others.length + 1 > pods) return outOf('pods', 1, others.length, pods)
  const wanted = podRequests(pod)
  for (const [resource, asked] of Object.entries(wanted)) {
    // What the node does not count (ephemeral storage of an unknown disk, extended resources) it cannot refuse.
    const total = allocatable[resource]
    if (total === undefined) continue
    const value = resource === 'cpu' ? quantityMilli : quantityValue
    const want = value(asked)
    const used = others.reduce((sum, p) => sum + value(podRequests(p)[resource]), 0)
    if (want > 0 && used + want > value(total)) return outOf(resource, want, used, value(total))
  }
  return undefined
}

/** The scheduler's rules that hold for whoever binds pods, in upstream's order; of taints only NoExecute matters here. */
function unfit({ pod, others, node }: AdmissionInput): { reason: string; message: string } | undefined {
  const required = pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
  if (node && !(matchesSet(pod.spec?.nodeSelector, node.metadata?.labels) && (!required || matchesNodeSelector(required, node)))) return failed('NodeAffinity', "node(s) didn't match Pod's node affinity/selector")
  const wanted = hostPortsOf(pod)
  const taken = wanted.length > 0 ? others.flatMap((other) => hostPortsOf(other)) : []
  if (wanted.some((a) => taken.some((b) => hostPortsConflict(a, b)))) return failed('NodePorts', "node(s) didn't have free ports for the requested pod ports")
  if (node && untolerated(node.spec?.taints, pod.spec?.tolerations, ['NoExecute'])) return failed('TaintToleration', "node(s) had taints that the pod didn't tolerate")
  return undefined
}

function failed(predicate: string, why: string): { reason: string; message: string } {
  return { reason: predicate, message: `Predicate ${predicate} failed: ${why}` }
}

function outOf(resource: string, requested: number, used: number, capacity: number): { reason: string; message: string } {
  return { reason: `OutOf${resource}`, message: `Node didn't have enough resource: ${resource}, requested: ${requested}, used: ${used}, capacity: ${capacity}` }
}
