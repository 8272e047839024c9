/** Claims to devices, resizing, and resources of whole pods (upstream `ValidatePodResourceClaims`, `validateResizePolicy`, `validatePodResources`). */
import type { Container, ContainerResizePolicy, PodResourceClaim, PodSpec } from '#api/types/index.ts'
import { checkDnsLabel, checkDnsSubdomain, compareQuantity, podRequests } from '#api/types/index.ts'
import { duplicate, type FieldError, invalid, notSupported, required } from '../field-error.ts'
import { named, quantity } from './check.ts'

const RESIZABLE = ['cpu', 'memory']
const RESIZE_POLICIES = ['NotRequired', 'RestartContainer']

export function validateResourceClaims(at: string, claims: readonly PodResourceClaim[] | undefined): FieldError[] {
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

/** Of a container: each names a claim of the pod, once. */
export function validateClaimNames(at: string, container: Container, spec: PodSpec): FieldError[] {
  const known = [...new Set((spec.resourceClaims ?? []).map((c) => c.name).filter((name) => name !== ''))].sort()
  const seen = new Set<string>()
  return (container.resources?.claims ?? []).flatMap(({ name, request }, i) => {
    const here = `${at}[${i}]`
    if (!name) return [required(here)]
    const key = request ? `${name}/${request}` : name
    const out = seen.has(key) ? [duplicate(here, key)] : []
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
    if (podRestartPolicy === 'Never' && restartPolicy !== 'NotRequired') out.push(invalid(at, restartPolicy, "must be 'NotRequired' when `restartPolicy` is 'Never'"))
    return out
  })
}

/** KEP-2837: what the whole pod gets bounds what its containers ask for. */
export function validatePodLevelResources(at: string, spec: PodSpec): FieldError[] {
  const resources = spec.resources
  if (!resources) return []
  const out: FieldError[] = []
  for (const key of ['limits', 'requests'] as const) {
    for (const name of Object.keys(resources[key] ?? {})) {
      if (!RESIZABLE.includes(name) && !name.startsWith('hugepages-')) out.push(notSupported(`${at}.resources.${key}[${name}]`, name, ['cpu', 'hugepages-', 'memory']))
    }
  }
  const { resources: _resources, overhead: _overhead, ...containersOnly } = spec
  const isFine = (list: Readonly<Record<string, string>> | undefined): boolean => Object.values(list ?? {}).every((value) => quantity('', value).length === 0)
  const lists = [...(spec.initContainers ?? []), ...(spec.containers ?? [])].flatMap((c) => [c.resources?.requests, c.resources?.limits])
  if (out.length > 0 || ![...lists, resources.limits, resources.requests].every(isFine)) return out
  for (const [name, sum] of Object.entries(podRequests({ spec: containersOnly }))) {
    const given = Object.hasOwn(resources.requests ?? {}, name) ? resources.requests?.[name] : undefined
    if (given !== undefined && compareQuantity(sum, given) > 0) out.push(invalid(`${at}.resources.requests[${name}]`, given, `must be greater than or equal to aggregate container requests of ${sum}`))
  }
  for (const key of ['initContainers', 'containers'] as const) {
    for (const [i, container] of (spec[key] ?? []).entries()) {
      for (const [name, limit] of Object.entries(container.resources?.limits ?? {})) {
        const given = Object.hasOwn(resources.limits ?? {}, name) ? resources.limits?.[name] : undefined
        if (given !== undefined && compareQuantity(limit, given) > 0) out.push(invalid(`${at}.${key}[${i}].resources.limits[${name}]`, limit, `must be less than or equal to pod limits of ${given}`))
      }
    }
  }
  return out
}
