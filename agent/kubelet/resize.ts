/**
 * In-place resize of cpu and memory (KEP-1287, KEP-5419): what a pod asks for, what this node has allocated to it, and what its
 * containers really run with. Pure. The spec becomes the allocation when it fits; actuation (`pod-resizer.ts`) makes it real.
 *
 *   spec --fits--> allocation --actuated--> cgroups of pod and containers
 *     `-- PodResizePending (Deferred, Infeasible)   `-- PodResizeInProgress until they agree
 */
import type { Container, Pod, ResourceRequirements, Stored } from '#api/types/index.ts'
import { fromValue, quantityMilli, quantityValue } from '#api/types/quantity.ts'
import type { LinuxResources } from '#cri/index.ts'
import { outOfResources } from './admission.ts'
import { MEMORY_REQUEST_ANNOTATION } from './labels.ts'
import { containerResources, type NodeResources } from './resources.ts'
import { allContainers, newest, type ContainerView, type PendingResize, type PodView } from './view.ts'

/** What the pod was admitted or last resized with; kept on disk with the pod. */
export interface Allocation {
  pod?: ResourceRequirements
  /** What the pod as a whole had before, until `pod` is real. */
  podBefore?: ResourceRequirements
  containers: Readonly<Record<string, ResourceRequirements>>
}

/** Only these may change in a running pod. */
const RESIZABLE = ['cpu', 'memory'] as const

function resizableContainers(pod: Pod): Container[] {
  return [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])]
}

/** `before`: what the pod as a whole really has. */
export function allocationOf(pod: Pod, before?: ResourceRequirements): Allocation {
  return { ...(pod.spec?.resources && { pod: pod.spec.resources }), ...(before && { podBefore: before }), containers: Object.fromEntries(resizableContainers(pod).map((c) => [c.name, c.resources ?? {}])) }
}

/** The pod as this node runs it. The same object where nothing differs. */
export function withAllocation(pod: Stored<Pod>, allocation: Allocation): Stored<Pod> {
  if (!pod.spec || isAllocated(pod, allocation)) return pod
  const own = (c: Container): Container => {
    const resources = allocation.containers[c.name]
    return resources ? { ...c, resources } : c
  }
  const { resources: _, ...spec } = pod.spec
  return {
    ...pod,
    spec: { ...spec, containers: spec.containers.map(own), ...(spec.initContainers && { initContainers: spec.initContainers.map(own) }), ...(allocation.pod && { resources: allocation.pod }) },
  }
}

export function isAllocated(pod: Pod, allocation: Allocation): boolean {
  return sameRequirements(pod.spec?.resources, allocation.pod)
    && resizableContainers(pod).every((c) => allocation.containers[c.name] === undefined || sameRequirements(c.resources, allocation.containers[c.name]))
}

function sameRequirements(a: ResourceRequirements = {}, b: ResourceRequirements = {}): boolean {
  if (a === b) return true
  return (['requests', 'limits'] as const).every((which) => RESIZABLE.every((name) => sameAmount(name, a[which]?.[name], b[which]?.[name])))
}

function sameAmount(name: 'cpu' | 'memory', a: string | undefined, b: string | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return name === 'cpu' ? quantityMilli(a) === quantityMilli(b) : quantityValue(a) === quantityValue(b)
}

export interface ResizeInput { pod: Pod; /** The other pods here, as allocated. */ others: readonly Pod[]; allocatable: Readonly<Record<string, string>> }

/** Undefined: what its spec asks for may be allocated. More than the whole node has is refused by the API server (PodResize admission). */
export function pendingResize({ pod, others, allocatable }: ResizeInput): PendingResize | undefined {
  if (isStaticPod(pod)) return { reason: 'Infeasible', message: 'In-place resize of static-pods is not supported' }
  const short = outOfResources({ pod, others, allocatable })
  return short && { reason: 'Deferred', message: short.message }
}

/** Whether it would change how much a container may swap while it runs (upstream's disallowResizeForSwappableContainers). */
export function resizesSwap(asked: Pod, allocated: Pod, machine: NodeResources): boolean {
  const before = new Map(resizableContainers(allocated).map((c) => [c.name, c]))
  const swaps = (pod: Pod, container: Container): boolean => containerResources(pod, container, machine).unified?.['memory.swap.max'] !== undefined
  return resizableContainers(asked).some((container) => {
    const was = before.get(container.name)
    if (!was || sameAmount('memory', container.resources?.requests?.memory, was.resources?.requests?.memory)) return false
    const restarts = was.resizePolicy?.some((p) => p.resourceName === 'memory' && p.restartPolicy === 'RestartContainer') ?? false
    return !restarts && (swaps(asked, container) || swaps(allocated, was))
  })
}

const isStaticPod = ({ metadata }: Pod): boolean => ![undefined, 'api'].includes(metadata?.annotations?.['kubernetes.io/config.source'])

/** One container whose cgroup is not what its allocation says. */
export interface ContainerResize { id: string; name: string; resources: LinuxResources; /** Its resizePolicy asks for a restart. */ restart: boolean }

/** Running containers, of init containers too, that differ: those that do not run get the right size when they start. */
export function containerResizes(view: PodView): ContainerResize[] {
  return allContainers(view.pod).flatMap(({ spec, type }) => {
    const c = type === 'ephemeral' ? undefined : newest(view, spec.name)
    if (c?.state !== 'running' || !c.resources) return []
    const allocated = containerResources(view.pod, spec, view.node)
    const inCgroup = resizedResources(c.resources, allocated)
    const asked = c.annotations[MEMORY_REQUEST_ANNOTATION]
    const askedElse = asked !== undefined && quantityValue(asked) !== quantityValue(spec.resources?.requests?.memory)
    const wanted = inCgroup ?? (askedElse ? allocated : undefined)
    if (!wanted) return []
    const changed = [...(inCgroup ? changedResources(c.resources, inCgroup) : []), ...(askedElse ? ['memory'] : [])]
    return [{ id: c.id, name: spec.name, resources: wanted, restart: (spec.resizePolicy ?? []).some((p) => p.restartPolicy === 'RestartContainer' && changed.includes(p.resourceName ?? '')) }]
  })
}

/** Undefined: nothing changes. What has no limit any more is told so (-1), for a runtime keeps what it is not told of. */
function resizedResources(actual: LinuxResources, wanted: LinuxResources): LinuxResources | undefined {
  if (changedResources(actual, wanted).length === 0) return undefined
  return {
    ...(wanted.cpuShares !== undefined && { cpuShares: wanted.cpuShares }),
    ...(wanted.cpuQuota !== undefined ? { cpuQuota: wanted.cpuQuota, ...(wanted.cpuPeriod !== undefined && { cpuPeriod: wanted.cpuPeriod }) } : limitOf(actual.cpuQuota) !== undefined && { cpuQuota: -1 }),
    ...(wanted.memoryLimitBytes !== undefined ? { memoryLimitBytes: wanted.memoryLimitBytes } : limitOf(actual.memoryLimitBytes) !== undefined && { memoryLimitBytes: -1 }),
  }
}

function changedResources(actual: LinuxResources, wanted: LinuxResources): ('cpu' | 'memory')[] {
  const cpu = actual.cpuShares !== wanted.cpuShares || limitOf(actual.cpuQuota) !== limitOf(wanted.cpuQuota)
  return [...(cpu ? ['cpu' as const] : []), ...(limitOf(actual.memoryLimitBytes) === limitOf(wanted.memoryLimitBytes) ? [] : ['memory' as const])]
}

/** Runtimes say 0 or -1 for no limit. */
const limitOf = (value: number | undefined): number | undefined => (value === undefined || value <= 0 ? undefined : value)

/** An allocation is being made real. */
export function isResizing(view: PodView): boolean {
  return view.resizing !== undefined || containerResizes(view).length > 0
}

/** As status shows a running container's: what its cgroup says, in the allocation's words where they agree. */
export function actualRequirements(view: PodView, spec: Container, c: ContainerView | undefined): ResourceRequirements | undefined {
  const allocated = spec.resources
  if (c?.state !== 'running' || !c.resources || !allocated) return allocated
  const changed = changedResources(c.resources, containerResources(view.pod, spec, view.node))
  if (changed.length === 0) return allocated
  const { cpuShares, cpuQuota, cpuPeriod, memoryLimitBytes } = c.resources
  const isCpu = changed.includes('cpu')
  const milli = (value: number) => `${Math.round(value)}m`
  const quota = limitOf(cpuQuota)
  const memory = limitOf(memoryLimitBytes)
  const requests = { ...allocated.requests, ...(isCpu && cpuShares !== undefined && allocated.requests?.cpu !== undefined && { cpu: milli((cpuShares * 1000) / 1024) }) }
  const { cpu: cpuLimit, memory: memoryLimit, ...limits } = allocated.limits ?? {}
  const actualLimits = {
    ...limits,
    ...(isCpu ? quota !== undefined && { cpu: milli((quota * 1000) / (cpuPeriod ?? 100_000)) } : cpuLimit !== undefined && { cpu: cpuLimit }),
    ...(changed.includes('memory') ? memory !== undefined && { memory: fromValue(memory, 'BinarySI') } : memoryLimit !== undefined && { memory: memoryLimit }),
  }
  return { ...allocated, ...(Object.keys(actualLimits).length > 0 && { limits: actualLimits }), ...(Object.keys(requests).length > 0 && { requests }) }
}

/** What the events about a resize say: upstream's words and JSON. */
export function resizeMessage(what: string, pod: Pod, generation: number, error?: string): string {
  const of = (c: Container) => ({ name: c.name, resources: ordered(c.resources ?? {}) })
  const init = (pod.spec?.initContainers ?? []).map(of)
  return `Pod resize ${what}: ${JSON.stringify({ ...(init.length > 0 && { initContainers: init }), containers: (pod.spec?.containers ?? []).map(of), generation, ...(error !== undefined && error !== '' && { error }) })}`
}

function ordered({ limits, requests }: ResourceRequirements): object {
  const byName = (list: Readonly<Record<string, string>>) => Object.fromEntries(Object.entries(list).toSorted(([a], [b]) => (a < b ? -1 : 1)))
  return { ...(limits && { limits: byName(limits) }), ...(requests && { requests: byName(requests) }) }
}
