/** Whether this node can take a pod that was sent to it, whoever sent it (upstream's kubelet admission). Pure. */
import { hostPortsConflict, hostPortsOf, podRequests } from '#api/types/pods.ts'
import { matchesSet } from '#api/types/labels.ts'
import { quantityMilli, quantityValue } from '#api/types/quantity.ts'
import { matchesNodeSelector, type Node, type Pod, untolerated } from '#api/types/index.ts'
import { isCritical } from './critical.ts'
import { decidePreemption, requestOf } from './preemption.ts'
import { requiresAppArmor } from './security.ts'
import { isStaticPod } from './static/manifest.ts'
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
  /** Resources that are devices of plugins: whoever gives them out decides about them. Default: none. */
  isDevice?: (resource: string) => boolean
  /** Besides the safe ones; see sysctls.ts. */
  allowedSysctls: readonly string[]
}

/** `preempt`: those that have to go for it, for want of `resource`; nobody for most. Else the reason and message its status fails with. */
export type Admission<P extends Pod> = { ok: true; preempt: readonly P[]; resource?: string } | ({ ok: false } & Refusal)
interface Refusal { reason: string; message: string }

export function decideAdmission<P extends Pod>(input: AdmissionInput & { others: readonly P[] }): Admission<P> {
  const refused = unsupported(input)
  if (refused) return { ok: false, ...refused }
  const short = shortages(input)
  const misfit = unfit(input)
  if (isCritical(input.pod)) {
    // Room is made for what is critical, if that is all it wants for.
    if (misfit) return { ok: false, ...misfit }
    if (short.length === 0) return { ok: true, preempt: [] }
    const preemption = decidePreemption(input.pod, input.others, short.map(({ resource, requested, used, capacity }) => ({ resource, amount: requested - (capacity - used) })))
    if (!preemption.ok) return { ok: false, reason: 'UnexpectedAdmissionError', message: `Unexpected error while attempting to recover from admission failure: ${preemption.message}` }
    return { ok: true, preempt: preemption.victims, ...(short[0] && { resource: short[0].resource }) }
  }
  const why = short[0] ? outOf(short[0]) : misfit
  return why ? { ok: false, ...why } : { ok: true, preempt: [] }
}

/** What no other node's pods could change. */
function unsupported(input: AdmissionInput): Refusal | undefined {
  const { metadata, spec } = input.pod
  const selected = metadata?.labels?.['kubernetes.io/os']
  if (selected !== undefined && selected !== 'linux') return { reason: 'PodOSSelectorNodeLabelDoesNotMatch', message: 'Failed to admit pod as the `kubernetes.io/os` label doesn\'t match node label' }
  if (spec?.os && spec.os.name !== 'linux') return { reason: 'PodOSNotSupported', message: 'Failed to admit pod as the OS field doesn\'t match node OS' }
  if (input.hasStrictGroups === false && input.pod.spec?.securityContext?.supplementalGroupsPolicy === 'Strict') {
    return { reason: 'SupplementalGroupsPolicyNotSupported', message: 'SupplementalGroupsPolicy=Strict is not supported in this node' }
  }
  if (input.hasAppArmor === false && requiresAppArmor(input.pod)) return { reason: 'AppArmor', message: 'Cannot enforce AppArmor: AppArmor is not enabled on the host' }
  const sysctl = forbiddenSysctl(input.pod, input.allowedSysctls)
  return sysctl === undefined ? undefined : { reason: 'SysctlForbidden', message: `forbidden sysctl: ${sysctl}` }
}

export function outOfResources(input: Pick<AdmissionInput, 'pod' | 'others' | 'allocatable'>): Refusal | undefined {
  const [first] = shortages(input)
  return first && outOf(first)
}

/** What people said that the node has, and that is nobody's device. */
function countedByNode({ node, isDevice }: Pick<AdmissionInput, 'isDevice'> & { node?: Node | undefined }, resource: string): string | undefined {
  return resource.includes('/') && !isDevice?.(resource) ? node?.status?.allocatable?.[resource] : undefined
}

interface Short { resource: string; requested: number; used: number; capacity: number }

/** Resources of containers that a claim meets, for want of the node's own (DRAExtendedResource). */
const metByClaim = ({ status }: Pod): ReadonlySet<string> => new Set(status?.extendedResourceClaimStatus?.requestMappings.map((m) => m.resourceName))

function shortages({ pod, others, allocatable, ...more }: Pick<AdmissionInput, 'pod' | 'others' | 'allocatable' | 'isDevice'> & { node?: Node | undefined }): Short[] {
  const short: Short[] = []
  const pods = Number(allocatable.pods ?? Infinity)
  if (others.length + 1 > pods) short.push({ resource: 'pods', requested: 1, used: others.length, capacity: pods })
  const claimed = metByClaim(pod)
  for (const resource of Object.keys(podRequests(pod)).toSorted((a, b) => rank(a) - rank(b))) {
    // What nobody counts (ephemeral storage of an unknown disk, extended resources that the node does not have) it cannot refuse; but it knows all its huge pages.
    const total = allocatable[resource] ?? (resource.startsWith('hugepages-') ? '0' : countedByNode(more, resource))
    if (total === undefined || claimed.has(resource)) continue
    const requested = requestOf(pod, resource)
    const used = others.reduce((sum, p) => sum + (metByClaim(p).has(resource) ? 0 : requestOf(p, resource)), 0)
    const capacity = (resource === 'cpu' ? quantityMilli : quantityValue)(total)
    if (requested > 0 && used + requested > capacity) short.push({ resource, requested, used, capacity })
  }
  return short
}

/** In the scheduler's order: of what is short the first is told. */
const RANKED = ['cpu', 'memory', 'ephemeral-storage']
const rank = (resource: string): number => (RANKED.includes(resource) ? RANKED.indexOf(resource) : RANKED.length)

/** The scheduler's rules that hold for whoever binds pods, in upstream's order; of taints only NoExecute matters here. */
function unfit({ pod, others, node }: AdmissionInput): Refusal | undefined {
  const required = pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
  if (node && !(matchesSet(pod.spec?.nodeSelector, node.metadata?.labels) && (!required || matchesNodeSelector(required, node)))) return failed('NodeAffinity', "node(s) didn't match Pod's node affinity/selector")
  const wanted = hostPortsOf(pod)
  const taken = wanted.length > 0 ? others.flatMap((other) => hostPortsOf(other)) : []
  if (wanted.some((a) => taken.some((b) => hostPortsConflict(a, b)))) return failed('NodePorts', "node(s) didn't have free ports for the requested pod ports")
  if (node && !isStaticPod(pod) && untolerated(node.spec?.taints, pod.spec?.tolerations, ['NoExecute'])) return failed('TaintToleration', "node(s) had taints that the pod didn't tolerate")
  return undefined
}

function failed(predicate: string, why: string): Refusal {
  return { reason: predicate, message: `Predicate ${predicate} failed: ${why}` }
}

function outOf({ resource, requested, used, capacity }: Short): Refusal {
  return { reason: `OutOf${resource}`, message: `Node didn't have enough resource: ${resource}, requested: ${requested}, used: ${used}, capacity: ${capacity}` }
}
