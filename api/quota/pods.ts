/** What pods use: compute resources while they live, one object as long as they are stored. */
import type { Container, Pod, PodAffinityTerm } from '../types/generated/models.ts'
import { isPodTerminal, podLimits, podQosClass, podRequests, sumResources } from '../types/pods.ts'
import { fitsRequirement, type Evaluator, type Requirement } from './evaluator.ts'
import type { ResourceList } from './resource-list.ts'

const COUNT = 'count/pods'
export const REQUESTS = 'requests.'
const HUGE_PAGES = 'hugepages-'
const COMPUTE = ['cpu', 'memory', 'ephemeral-storage']
const NAMES: ReadonlySet<string> = new Set([COUNT, 'pods', ...COMPUTE, ...COMPUTE.map((n) => `requests.${n}`), ...COMPUTE.map((n) => `limits.${n}`)])
/** A mistake of old, kept by upstream: who limits these asks each container to name them. */
const MUST_BE_SAID: readonly string[] = ['cpu', 'memory', 'requests.cpu', 'requests.memory', 'limits.cpu', 'limits.memory']

const isNative = (name: string): boolean => !name.includes('/') || name.includes('kubernetes.io/')
/** Each class of devices is a resource, too. */
const BY_CLASS = 'deviceclass.resource.kubernetes.io/'
const isExtended = (name: string): boolean => name.startsWith(BY_CLASS) || (!isNative(name) && !name.startsWith(REQUESTS))
/** Whether a quota of this name limits an extended resource. */
export const isExtendedQuota = (name: string): boolean => name.startsWith(REQUESTS) && (!isNative(name) || name.startsWith(`${REQUESTS}${BY_CLASS}`))

export const podEvaluator: Evaluator = {
  handles({ operation, subresource, object, old }) {
    if (operation === 'CREATE') return subresource === ''
    if (operation !== 'UPDATE') return false
    return subresource === 'resize' || (subresource === '' && changesScope(old as Pod | undefined, object as Pod | undefined))
  },
  matchingResources: (names) => names.filter((name) => NAMES.has(name) || name.startsWith(HUGE_PAGES) || name.startsWith(`${REQUESTS}${HUGE_PAGES}`) || isExtendedQuota(name)),
  usage(object, nowMs) {
    const pod = object as Pod
    if (!isCharged(pod, nowMs)) return { [COUNT]: '1' }
    return sumResources({ [COUNT]: '1' }, computeUsage(podRequests(pod, { withStatus: true }), podLimits(pod)))
  },
  matchesScope: (requirement, object) => matchesScope(requirement, object as Pod),
  constraint: (names, object) => missingResources(names, object as Pod),
  isReplenishing: (before, after) => changesScope(before as Pod, after as Pod) || (!isPodTerminal(before as Pod) && isPodTerminal(after as Pod)) || JSON.stringify(resourcesOf(before as Pod)) !== JSON.stringify(resourcesOf(after as Pod)),
}

/** A pod that nobody will run any more, or that is stuck in its deletion, is not held against its namespace. */
export function isCharged(pod: Pod, nowMs: number): boolean {
  if (isPodTerminal(pod)) return false
  const { deletionTimestamp, deletionGracePeriodSeconds } = pod.metadata ?? {}
  return deletionTimestamp === undefined || deletionGracePeriodSeconds === undefined || nowMs <= Date.parse(deletionTimestamp) + deletionGracePeriodSeconds * 1000
}

const resourcesOf = (pod: Pod): unknown => [pod.spec?.resources, ...[...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])].map((c) => c.resources)]

function computeUsage(requests: ResourceList, limits: ResourceList): Record<string, string> {
  const used: Record<string, string> = { pods: '1' }
  for (const name of COMPUTE) {
    const [request, limit] = [requests[name], limits[name]]
    if (request !== undefined) {
      used[name] = request
      used[`${REQUESTS}${name}`] = request
    }
    if (limit !== undefined) used[`limits.${name}`] = limit
  }
  for (const [name, request] of Object.entries(requests)) {
    if (name.startsWith(HUGE_PAGES)) used[name] = request
    if (name.startsWith(HUGE_PAGES) || isExtended(name)) used[`${REQUESTS}${name}`] = request
  }
  return used
}

function missingResources(names: readonly string[], { spec }: Pod): string | undefined {
  const missing = MUST_BE_SAID.filter((name) => names.includes(name)).sort().flatMap((name) => {
    const isSaid = (of: Container['resources']): boolean => computeUsage(of?.requests ?? {}, of?.limits ?? {})[name] !== undefined
    if (isSaid(spec?.resources)) return []
    const silent = [...new Set([...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].filter((c) => !isSaid(c.resources)).map((c) => c.name))].sort()
    return silent.length > 0 ? [`${name} for: ${silent.join(',')}`] : []
  })
  return missing.length === 0 ? undefined : `must specify ${missing.join('; ')}`
}

/** As scopes mean it: it ends by itself. */
const isTerminating = (pod: Pod): boolean => (pod.spec?.activeDeadlineSeconds ?? -1) >= 0

/** Only a deadline may still be given to a pod, or taken nearer: it goes from one quota to another. */
const changesScope = (before: Pod | undefined, after: Pod | undefined): boolean => before !== undefined && after !== undefined && isTerminating(before) !== isTerminating(after)

function matchesScope(requirement: Requirement, pod: Pod): boolean {
  switch (requirement.scopeName) {
    case 'Terminating': return isTerminating(pod)
    case 'NotTerminating': return !isTerminating(pod)
    case 'BestEffort': return podQosClass(pod) === 'BestEffort'
    case 'NotBestEffort': return podQosClass(pod) !== 'BestEffort'
    case 'PriorityClass': return fitsRequirement(requirement, pod.spec?.priorityClassName ? [pod.spec.priorityClassName] : [])
    case 'CrossNamespacePodAffinity': return looksIntoNamespaces(pod)
    default: return false
  }
}

function looksIntoNamespaces({ spec }: Pod): boolean {
  return [spec?.affinity?.podAffinity, spec?.affinity?.podAntiAffinity].some((affinity) => {
    const terms: PodAffinityTerm[] = [...(affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []), ...(affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map((w) => w.podAffinityTerm)]
    return terms.some((term) => (term.namespaces ?? []).length > 0 || term.namespaceSelector !== undefined)
  })
}
