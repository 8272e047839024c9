/** Claims to devices, resizing, and resources of whole pods (upstream `ValidatePodResourceClaims`, `validateResizePolicy`, `validatePodResources`). */
import type { ContainerResizePolicy, PodResourceClaim, PodSpec, ResourceClaim } from '#api/types/index.ts'
import { checkDnsLabel, checkDnsSubdomain, compareQuantity, podLimits, podRequests, tryParseQuantity } from '#api/types/index.ts'
import { duplicate, type FieldError, forbidden, invalid, notSupported, required } from '../field-error.ts'
import { named } from './check.ts'
import { isHugePages, validateResourceName } from './resource-name.ts'
import { validateResources } from './resources-validation.ts'

const RESIZABLE = ['cpu', 'memory']
const RESIZE_POLICIES = ['NotRequired', 'RestartContainer']

/** `isStatic`: of a pod that mirrors one of a node's own. */
export function validateResourceClaims(at: string, claims: readonly PodResourceClaim[] | undefined, isStatic: boolean): FieldError[] {
  if (isStatic) return (claims ?? []).map(() => forbidden('[]', 'static pods do not support resource claims'))
  const names = new Set<string>()
  return (claims ?? []).flatMap((claim, i) => {
    const here = `${at}[${i}]`
    const out: FieldError[] = []
    if (!claim.name) out.push(required(`${here}.name`))
    else if (names.has(claim.name)) out.push(duplicate(`${here}.name`, claim.name))
    else out.push(...named(`${here}.name`, claim.name, checkDnsLabel))
    names.add(claim.name)
    const { resourceClaimName, resourceClaimTemplateName } = claim
    if (resourceClaimName !== undefined && resourceClaimTemplateName !== undefined) out.push(invalid(here, claim, 'at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified'))
    if (resourceClaimName === undefined && resourceClaimTemplateName === undefined) out.push(invalid(here, claim, 'must specify one of: `resourceClaimName`, `resourceClaimTemplateName`'))
    if (resourceClaimName !== undefined) out.push(...named(`${here}.resourceClaimName`, resourceClaimName, checkDnsSubdomain))
    if (resourceClaimTemplateName !== undefined) out.push(...named(`${here}.resourceClaimTemplateName`, resourceClaimTemplateName, checkDnsSubdomain))
    return out
  })
}

/** Of a container or a whole pod: each names a claim of the pod, once. */
export function validateClaimNames(at: string, claims: readonly ResourceClaim[] | undefined, spec: PodSpec): FieldError[] {
  const known = [...new Set((spec.resourceClaims ?? []).map((c) => c.name).filter((name) => name !== ''))].sort()
  const seen = new Set<string>()
  return (claims ?? []).flatMap(({ name, request }, i) => {
    const here = `${at}[${i}]`
    if (!name) return [required(here)]
    // A claim named without a request is all of its requests.
    const key = request ? `${name}/${request}` : name
    const out = request && !seen.has(name) ? named(`${here}.request`, request, checkDnsLabel) : []
    if (seen.has(name) || seen.has(key)) out.push(duplicate(here, seen.has(name) ? name : key))
    else if (!request) out.push(...[...seen].filter((each) => each.startsWith(`${name}/`)).map(() => duplicate(here, name)))
    seen.add(key)
    const why = `must be one of the names in pod.spec.resourceClaims${known.length === 0 ? ' which is empty' : `: ${known.join(', ')}`}`
    return known.includes(name) ? out : [...out, { type: 'FieldValueNotFound', field: here, message: `Not found: ${JSON.stringify(name)}: ${why}` }]
  })
}

export function validateResizePolicy(at: string, policies: readonly ContainerResizePolicy[] | undefined, podRestartPolicy: string | undefined): FieldError[] {
  const seen = new Set<string>()
  return (policies ?? []).flatMap(({ resourceName, restartPolicy }, i) => {
    const out = seen.has(resourceName) ? [duplicate(`${at}[${i}]`, resourceName)] : []
    seen.add(resourceName)
    if (!resourceName) out.push(required(at))
    else if (!RESIZABLE.includes(resourceName)) out.push(notSupported(at, resourceName, RESIZABLE))
    if (!restartPolicy) out.push(required(at))
    else if (!RESIZE_POLICIES.includes(restartPolicy)) out.push(notSupported(at, restartPolicy, RESIZE_POLICIES))
    if (podRestartPolicy === 'Never' && restartPolicy !== 'NotRequired') out.push(invalid(at, restartPolicy, "must be 'NotRequired' when pod `restartPolicy` is 'Never'"))
    return out
  })
}

/** KEP-2837: what the whole pod gets bounds what its containers ask for. */
export function validatePodLevelResources(at: string, spec: PodSpec): FieldError[] {
  const resources = spec.resources
  if (!resources) return []
  if (spec.os?.name === 'windows') return [forbidden(`${at}.resources`, 'may not be set for a windows pod')]
  const out = resources.claims ? [forbidden(`${at}.resources.claims`, 'claims may not be set for Resources at pod-level')] : []
  out.push(...validateResources(`${at}.resources`, resources, validatePodResourceName), ...validateClaimNames(`${at}.resources.claims`, resources.claims, spec))
  const { resources: _resources, overhead: _overhead, ...containersOnly } = spec
  const isFine = (list: Readonly<Record<string, string>> | undefined): boolean => Object.values(list ?? {}).every((value) => tryParseQuantity(value).ok)
  const lists = [...(spec.initContainers ?? []), ...(spec.containers ?? [])].flatMap((c) => [c.resources?.requests, c.resources?.limits])
  if (![...lists, resources.limits, resources.requests].every(isFine)) return out
  for (const [name, sum] of Object.entries(podRequests({ spec: containersOnly }))) {
    const given = Object.hasOwn(resources.requests ?? {}, name) ? resources.requests?.[name] : undefined
    if (given !== undefined && compareQuantity(sum, given) > 0) out.push(invalid(`${at}.resources.requests[${name}]`, given, `must be greater than or equal to aggregate container requests of ${sum}`))
  }
  const limitOf = (name: string): string | undefined => (Object.hasOwn(resources.limits ?? {}, name) ? resources.limits?.[name] : undefined)
  // Huge pages are promised once: what containers may use is what the pod must have.
  for (const [name, sum] of Object.entries(podLimits({ spec: containersOnly }))) {
    const given = isHugePages(name) ? limitOf(name) : undefined
    if (given !== undefined && compareQuantity(sum, given) > 0) out.push(invalid(`${at}.resources.limits[${name}]`, given, `must be greater than or equal to aggregate container limits of ${sum}`))
  }
  for (const [i, container] of (spec.containers ?? []).entries()) {
    for (const [name, limit] of Object.entries(container.resources?.limits ?? {})) {
      const given = limitOf(name)
      // Upstream's path.
      if (given !== undefined && compareQuantity(limit, given) > 0) out.push(invalid(`${at}.resources.containers[${i}][${name}].limits`, limit, `must be less than or equal to pod limits of ${given}`))
    }
  }
  return out
}

function validatePodResourceName(at: string, name: string): FieldError[] {
  const out = validateResourceName(at, name)
  return out.length > 0 || RESIZABLE.includes(name) || isHugePages(name) ? out : [notSupported(at, name, ['cpu', 'hugepages-', 'memory'])]
}
