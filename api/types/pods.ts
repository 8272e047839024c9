/** What several parts must agree on about pods: readiness, ends, resources, quality of service. Pure. */
import type { Container, ContainerStatus, Pod, PodCondition, PodSpec, PodStatus, ResourceRequirements } from './generated/models.ts'
import { addQuantity, formatQuantity, parseQuantity, quantityMilli, quantityValue } from './quantity.ts'

export type ResourceList = Readonly<Record<string, string>>
export type QosClass = 'Guaranteed' | 'Burstable' | 'BestEffort'

export const POD_DELETION_COST = 'controller.kubernetes.io/pod-deletion-cost'
export const MIRROR_POD = 'kubernetes.io/config.mirror'

/** True when the pod's containers will never run again. */
export function isPodTerminal(pod: Pod): boolean {
  const phase = pod.status?.phase
  return phase === 'Succeeded' || phase === 'Failed'
}

/** Neither finished nor on its way out: what controllers count as a replica. */
export function isPodActive(pod: Pod): boolean {
  return !isPodTerminal(pod) && pod.metadata?.deletionTimestamp === undefined
}

export function podCondition(status: PodStatus | undefined, type: string): PodCondition | undefined {
  return status?.conditions?.find((c) => c.type === type)
}

export function isPodReady(pod: Pod): boolean {
  return podCondition(pod.status, 'Ready')?.status === 'True'
}

/** Ready for at least `minReadySeconds` (Deployments' availability). */
export function isPodAvailable(pod: Pod, minReadySeconds: number, nowMs: number): boolean {
  const ready = podCondition(pod.status, 'Ready')
  if (ready?.status !== 'True') return false
  if (minReadySeconds === 0) return true
  const since = Date.parse(ready.lastTransitionTime ?? '')
  return Number.isFinite(since) && since + minReadySeconds * 1000 <= nowMs
}

/** The end of one of its containers may start all of them anew (KEP-5532). */
export function mayRestartAll(spec: PodSpec | undefined): boolean {
  return [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].some((c) => c.restartPolicyRules?.some((rule) => rule.action === 'RestartAllContainers'))
}

/** Restartable init container (KEP-753). */
export function isSidecar(container: Container): boolean {
  return container.restartPolicy === 'Always'
}

export function podPriority(pod: Pod): number {
  return pod.spec?.priority ?? 0
}

/** All containers of the spec with the field path of each: init, then main, then ephemeral. */
export function* containersOf(spec: PodSpec): Generator<{ container: Container; path: string; kind: 'init' | 'main' | 'ephemeral' }> {
  for (const [i, container] of (spec.initContainers ?? []).entries()) yield { container, path: `initContainers[${i}]`, kind: 'init' }
  for (const [i, container] of (spec.containers ?? []).entries()) yield { container, path: `containers[${i}]`, kind: 'main' }
  for (const [i, container] of (spec.ephemeralContainers ?? []).entries()) yield { container: container as Container, path: `ephemeralContainers[${i}]`, kind: 'ephemeral' }
}

export interface RequestOptions {
  /** Leave spec.overhead out. */
  withoutOverhead?: boolean
  /** Of a pod that is being resized (KEP-1287) what it holds until that is done: the greatest of what is asked, allocated and real. What its node can never give does not count. */
  withStatus?: boolean
}

/**
 * What a pod asks of a node: the sum of its containers and sidecars, or the highest point of its init phase if that is
 * more, overridden by pod-level resources, plus overhead (component-helpers `resource.PodRequests`).
 */
export function podRequests(pod: Pod, options: RequestOptions = {}): Record<string, string> {
  return podResources(pod, 'requests', options)
}

/** As podRequests, for limits; overhead is added only to resources that have a limit. */
export function podLimits(pod: Pod, options: RequestOptions = {}): Record<string, string> {
  return podResources(pod, 'limits', options)
}

/** The two figures everything sorts by. Memory in bytes. */
export function podCpuMemory(pod: Pod): { cpuMilli: number; memoryBytes: number } {
  const requests = podRequests(pod)
  return { cpuMilli: quantityMilli(requests.cpu), memoryBytes: quantityValue(requests.memory) }
}

/** As upstream's qos.ComputePodQOS; status.qosClass is authoritative where it is set. */
export function computeQosClass(spec: PodSpec): QosClass {
  if (spec.resources) return classOf([spec.resources])
  return classOf([...(spec.containers ?? []), ...(spec.initContainers ?? [])].map((c) => c.resources ?? {}))
}

export function podQosClass(pod: Pod): QosClass {
  const recorded = pod.status?.qosClass
  return recorded === 'Guaranteed' || recorded === 'Burstable' || recorded === 'BestEffort' ? recorded : computeQosClass(pod.spec ?? { containers: [] })
}

const QOS_RESOURCES = ['cpu', 'memory']

const isSet = (value: string | undefined): value is string => value !== undefined && parseQuantity(value).nano > 0n

function classOf(all: readonly ResourceRequirements[]): QosClass {
  const requests = new Map<string, bigint>()
  const limits = new Map<string, bigint>()
  let guaranteed = true
  for (const { requests: asked, limits: bound } of all) {
    for (const name of QOS_RESOURCES) {
      const ask = asked?.[name]
      if (isSet(ask)) requests.set(name, (requests.get(name) ?? 0n) + parseQuantity(ask).nano)
      const cap = bound?.[name]
      if (isSet(cap)) limits.set(name, (limits.get(name) ?? 0n) + parseQuantity(cap).nano)
      else guaranteed = false
    }
  }
  if (requests.size === 0 && limits.size === 0) return 'BestEffort'
  if (guaranteed && requests.size === limits.size && [...requests].every(([name, nano]) => limits.get(name) === nano)) return 'Guaranteed'
  return 'Burstable'
}

function podResources(pod: Pod, which: 'requests' | 'limits', options: RequestOptions): Record<string, string> {
  const spec = pod.spec ?? { containers: [] }
  const status = options.withStatus && which === 'requests' ? pod.status : undefined
  const isInfeasible = status?.conditions?.find((c) => c.type === 'PodResizePending')?.reason === 'Infeasible'
  const held = (asked: ResourceList, { resources, allocatedResources }: Pick<ContainerStatus, 'resources' | 'allocatedResources'>): ResourceList => {
    const has = maximum(resources?.requests ?? {}, allocatedResources ?? {})
    return isInfeasible ? has : maximum(asked, has)
  }
  const of = (c: Container): ResourceList => {
    const asked = c.resources?.[which] ?? {}
    const now = [...status?.containerStatuses ?? [], ...isSidecar(c) ? status?.initContainerStatuses ?? [] : []].find((s) => s.name === c.name)
    return now?.resources ? held(asked, now) : asked
  }
  let total: ResourceList = {}
  for (const container of spec.containers ?? []) total = sumResources(total, of(container))
  let sidecars: ResourceList = {}
  let highest: ResourceList = {}
  for (const container of spec.initContainers ?? []) {
    if (isSidecar(container)) {
      sidecars = sumResources(sidecars, of(container))
      total = sumResources(total, of(container))
      highest = maximum(highest, sidecars)
    } else {
      highest = maximum(highest, sumResources(sidecars, of(container)))
    }
  }
  total = maximum(total, highest)
  // Pod-level resources (KEP-2837) replace what the containers add up to.
  const whole = spec.resources?.[which]
  total = { ...total, ...(whole && status?.resources ? held(whole, status) : whole) }
  if (options.withoutOverhead || !spec.overhead) return total
  const overhead = which === 'requests' ? spec.overhead : Object.fromEntries(Object.entries(spec.overhead).filter(([name]) => Object.hasOwn(total, name)))
  return sumResources(total, overhead)
}

/** Adds two resource lists. */
export function sumResources(a: ResourceList, b: ResourceList): Record<string, string> {
  const out: Record<string, string> = { ...a }
  for (const [name, value] of Object.entries(b)) {
    const before = Object.hasOwn(out, name) ? out[name] : undefined
    out[name] = before === undefined ? value : formatQuantity(addQuantity(parseQuantity(before), parseQuantity(value)))
  }
  return out
}

function maximum(a: ResourceList, b: ResourceList): Record<string, string> {
  const out: Record<string, string> = { ...a }
  for (const [name, value] of Object.entries(b)) {
    const before = Object.hasOwn(out, name) ? out[name] : undefined
    if (before === undefined || parseQuantity(value).nano > parseQuantity(before).nano) out[name] = value
  }
  return out
}

export interface HostPort { protocol: string; ip: string; port: number }

/** What a pod takes of its node's ports. */
export function hostPortsOf(pod: Pod): HostPort[] {
  const sidecars = (pod.spec?.initContainers ?? []).filter((c) => c.restartPolicy === 'Always')
  return [...(pod.spec?.containers ?? []), ...sidecars].flatMap((c) => (c.ports ?? []).filter((p) => (p.hostPort ?? 0) > 0).map((p) => ({ protocol: p.protocol ?? 'TCP', ip: p.hostIP || '0.0.0.0', port: p.hostPort ?? 0 })))
}

/** 0.0.0.0 conflicts with every address. */
export function hostPortsConflict(a: HostPort, b: HostPort): boolean {
  return a.port === b.port && a.protocol === b.protocol && (a.ip === b.ip || a.ip === '0.0.0.0' || b.ip === '0.0.0.0')
}
