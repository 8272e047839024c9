/** What a pod's status may say (upstream `ValidatePodStatusUpdate`). */
import type { Container, ContainerStatus, Pod, PodExtendedResourceClaimStatus, PodSpec } from '#api/types/index.ts'
import { checkDnsLabel, checkDnsSubdomain, checkQualifiedName } from '#api/types/index.ts'
import { mayRestartAll } from '#api/types/pods.ts'
import { duplicate, type FieldError, forbidden, invalid, notSupported, required, tooLong } from '../field-error.ts'
import { immutable, named } from './check.ts'
import { validateFamilyIps } from './endpoint-ip.ts'
import { semanticEqual } from './semantic-equal.ts'

const NOT_NEGATIVE = 'must be a non-negative integer'
const STATUS_LISTS = ['containerStatuses', 'initContainerStatuses', 'ephemeralContainerStatuses'] as const
const ID_MAX = 2 ** 31 - 1
const SYSTEM_CONDITIONS: ReadonlySet<string> = new Set(['PodScheduled', 'Ready', 'Initialized'])

/** `old`: as it is stored; its spec counts. */
export function validatePodStatus(pod: Pod, old: Pod): FieldError[] {
  const [status, before] = [pod.status ?? {}, old.status ?? {}]
  const spec = old.spec ?? { containers: [] }
  const out = (status.conditions ?? []).flatMap(({ type }, i) => (SYSTEM_CONDITIONS.has(type) ? [] : named(`status.conditions[${i}].Type`, type, checkQualifiedName)))
  for (const [i, { observedGeneration = 0 }] of (status.conditions ?? []).entries()) if (observedGeneration < 0) out.push(invalid(`status.conditions[${i}].observedGeneration`, observedGeneration, NOT_NEGATIVE))
  if ((status.observedGeneration ?? 0) < 0) out.push(invalid('status.observedGeneration', status.observedGeneration, NOT_NEGATIVE))
  if (before.qosClass) out.push(...immutable('status.qosClass', status.qosClass, before.qosClass))
  const { nominatedNodeName } = status
  if (nominatedNodeName && nominatedNodeName !== before.nominatedNodeName) out.push(...named('status.nominatedNodeName', nominatedNodeName, checkDnsSubdomain))
  if (nominatedNodeName && nominatedNodeName !== before.nominatedNodeName && spec.nodeName) out.push(forbidden('status.nominatedNodeName', 'may not be set on pods that are already bound to a node'))
  const sidecars = new Set((spec.initContainers ?? []).filter((c) => c.restartPolicy === 'Always').map((c) => c.name))
  if (!mayRestartAll(spec)) out.push(
    ...staysEnded('containerStatuses', status.containerStatuses, before.containerStatuses, spec.restartPolicy, ownPolicies(spec.containers)),
    ...staysEnded('initContainerStatuses', status.initContainerStatuses, before.initContainerStatuses, spec.restartPolicy, new Set([...sidecars, ...ownPolicies(spec.initContainers)])),
  )
  out.push(
    ...staysEnded('ephemeralContainerStatuses', status.ephemeralContainerStatuses, before.ephemeralContainerStatuses, 'Never', new Set()),
    ...claimStatuses(pod),
    ...extendedClaimStatus(pod.status?.extendedResourceClaimStatus, spec),
  )
  // Addresses that were stored are not looked at again.
  if (!semanticEqual(status.podIPs, before.podIPs)) out.push(...validateFamilyIps('status.podIPs', status.podIPs ?? [], before.podIPs ?? []))
  const [first] = status.hostIPs ?? []
  if (first && first.ip !== status.hostIP) out.push(invalid('status.hostIPs[0].ip', first.ip, 'must be equal to `hostIP`'))
  for (const list of STATUS_LISTS) out.push(...(spec.os?.name === 'windows' ? noLinuxUsers : userIds)(list, status[list] ?? []))
  out.push(
    ...allocatedResources('containerStatuses', status.containerStatuses ?? [], spec.containers),
    ...allocatedResources('initContainerStatuses', status.initContainerStatuses ?? [], spec.initContainers ?? []),
    ...(status.ephemeralContainerStatuses ?? []).flatMap((c, i) => ((c.allocatedResourcesStatus ?? []).length > 0 ? [forbidden(`status.ephemeralContainerStatuses[${i}].allocatedResourcesStatus`, 'must not be specified in container status')] : [])),
  )
  return semanticEqual(status.hostIPs, before.hostIPs) ? out : [...out, ...validateFamilyIps('status.hostIPs', status.hostIPs ?? [], before.hostIPs ?? [])]
}

const HEALTH: readonly string[] = ['Healthy', 'Unhealthy', 'Unknown']
/** Bytes. */
const HEALTH_MESSAGE_MAX = 1024

/** Which devices a container has, and how they do (KEP-4680): those it asks for, each told once. */
function allocatedResources(list: string, statuses: readonly ContainerStatus[], containers: readonly Container[]): FieldError[] {
  return statuses.flatMap(({ name, allocatedResourcesStatus = [] }, i) => allocatedResourcesStatus.flatMap((allocated, j) => {
    const at = `status.${list}[${i}].allocatedResourcesStatus[${j}]`
    const container = containers.find((c) => c.name === name)
    const out: FieldError[] = container ? askedFor(`${at}.name`, allocated.name, container) : []
    const seen = new Set<string>()
    for (const [k, { resourceID, health, message }] of (allocated.resources ?? []).entries()) {
      const one = `${at}.resources[${k}]`
      if (!HEALTH.includes(health ?? '')) out.push(notSupported(`${one}.health`, health ?? '', HEALTH))
      if (message === '') out.push(required(`${one}.message`, 'must be non-empty if specified'))
      else if (message !== undefined && Buffer.byteLength(message) > HEALTH_MESSAGE_MAX) out.push(tooLong(`${one}.message`, HEALTH_MESSAGE_MAX))
      if (seen.has(resourceID)) out.push(duplicate(`${one}.resourceID`, resourceID))
      seen.add(resourceID)
    }
    return out
  }))
}

function askedFor(at: string, name: string, { resources }: Container): FieldError[] {
  if (!name.startsWith('claim:')) return resources?.requests?.[name] === undefined ? [invalid(at, name, "must match one of the container's resource requests")] : []
  const claims = (resources?.claims ?? []).map((c) => `claim:${c.name}${c.request ? `/${c.request}` : ''}`)
  return claims.includes(name) ? [] : [invalid(at, name, "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty")]
}

function noLinuxUsers(list: string, statuses: readonly ContainerStatus[]): FieldError[] {
  return statuses.flatMap(({ user }, i) => (user?.linux ? [forbidden(`status.${list}[${i}].user.linux`, 'cannot be set for a windows pod')] : []))
}

/** Whom a container's first process runs as. */
function userIds(list: string, statuses: readonly ContainerStatus[]): FieldError[] {
  return statuses.flatMap(({ user }, i) => {
    const at = `status.${list}[${i}].user.linux`
    const { uid = 0, gid = 0, supplementalGroups = [] } = user?.linux ?? {}
    const ids: [string, number][] = [['uid', uid], ['gid', gid], ...supplementalGroups.map((id, j): [string, number] => [`supplementalGroups[${j}]`, id])]
    return ids.flatMap(([key, id]) => (id < 0 || id > ID_MAX ? [invalid(`${at}.${key}`, id, `must be between 0 and ${ID_MAX}, inclusive`)] : []))
  })
}

/** Containers with a restart policy of their own (KEP-5307). */
const ownPolicies = (containers: PodSpec['containers'] | undefined): ReadonlySet<string> => new Set((containers ?? []).filter((c) => c.restartPolicy !== undefined).map((c) => c.name))

/** A container that ended for good stays ended. */
function staysEnded(list: string, after: readonly ContainerStatus[] | undefined, before: readonly ContainerStatus[] | undefined, policy: string | undefined, exempt: ReadonlySet<string>): FieldError[] {
  if (policy === 'Always') return []
  return (before ?? []).flatMap((was, i) => {
    const ended = was.state?.terminated
    if (!ended || exempt.has(was.name) || (ended.exitCode !== 0 && policy === 'OnFailure')) return []
    return (after ?? []).some((now) => now.name === was.name && !now.state?.terminated) ? [forbidden(`status.${list}[${i}].state`, 'may not be transitioned to non-terminated state')] : []
  })
}

function claimStatuses(pod: Pod): FieldError[] {
  const known = new Set((pod.spec?.resourceClaims ?? []).map((c) => c.name))
  const seen = new Set<string>()
  return (pod.status?.resourceClaimStatuses ?? []).flatMap(({ name, resourceClaimName }, i) => {
    const at = `status.resourceClaimStatuses[${i}].name`
    const out: FieldError[] = known.has(name) ? [] : [invalid(at, name, 'must match the name of an entry in `spec.resourceClaims`')]
    if (seen.has(name)) out.push(duplicate(at, name))
    seen.add(name)
    return resourceClaimName === undefined ? out : [...out, ...named(at, resourceClaimName, checkDnsSubdomain)]
  })
}

/** Which of its containers' extended resources are met by which request of the claim that was made for them. */
function extendedClaimStatus(status: Partial<PodExtendedResourceClaimStatus> | undefined, { initContainers = [], containers }: PodSpec): FieldError[] {
  if (!status) return []
  const at = 'status.extendedResourceClaimStatus'
  const { requestMappings: mappings = [], resourceClaimName = '' } = status
  const out = mappings.length === 0 ? [required(`${at}.requestMappings`, 'at least one request mapping is required')] : []
  const seen = new Set<string>()
  for (const [i, { containerName, resourceName, requestName }] of mappings.entries()) {
    const one = `${at}.requestMappings[${i}]`
    const container = [...initContainers, ...containers].findLast((c) => c.name === containerName)
    if (!container) out.push(invalid(`${one}.containerName`, containerName, 'must match the name of an entry in spec.initContainers.name or spec.containers.name'))
    else if (container.resources?.requests?.[resourceName] === undefined) out.push(invalid(`${one}.resourceName`, resourceName, 'must match the extended resource name of an entry in spec.initContainers.resources.requests or spec.containers.resources.requests'))
    out.push(...named(`${at}.requestName`, requestName, checkDnsLabel))
    const key = JSON.stringify([containerName, resourceName, requestName])
    if (seen.has(key)) out.push(duplicate(`${one}.containerName`, containerName), duplicate(`${one}.resourceName`, resourceName), duplicate(`${one}.requestName`, requestName))
    seen.add(key)
  }
  return resourceClaimName === '' ? [...out, required(`${at}.resourceClaimName`, '')] : [...out, ...named(`${at}.resourceClaimName`, resourceClaimName, checkDnsSubdomain)]
}
