/** Which families of addresses a Service is of: what it says, what its addresses say, what the cluster has (KEP-563). */
import type { ServiceSpec } from '#api/types/index.ts'
import { type FieldError, invalid } from '../field-error.ts'
import { familyOf } from '../kinds/ip.ts'
import { isHeadless } from '../kinds/service.ts'

type Family = 'IPv4' | 'IPv6'

/** An update that changes nothing of these keeps them, whatever the cluster has become: only its writer moves a Service between one family and two. */
export function keepsBothFamilies(spec: ServiceSpec, old: ServiceSpec | undefined): boolean {
  return old !== undefined && spec.ipFamilyPolicy === 'PreferDualStack' && old.ipFamilyPolicy === 'PreferDualStack' && (spec.clusterIPs ?? []).length > 0
    && spec.clusterIP === old.clusterIP && isSame(spec.clusterIPs, old.clusterIPs) && isSame(spec.ipFamilies, old.ipFamilies)
}

/** `families`: those of the cluster, its own first. The spec needs cluster IPs, and its fields are of one mind (`validateService`). */
export function setFamilies(spec: ServiceSpec, old: ServiceSpec | undefined, families: readonly Family[]): FieldError[] {
  const isSelfMade = isHeadless(spec) && Object.keys(spec.selector ?? {}).length === 0
  // Whoever has no selector brings endpoints of any family.
  spec.ipFamilyPolicy ??= old?.ipFamilyPolicy ?? (isSelfMade ? 'RequireDualStack' : 'SingleStack')
  const errors = [...(old ? secondLetGo(spec, old) : []), ...singleWithTwo(spec), ...familiesOfAddresses(spec, families)]
  if (errors.length > 0) return errors
  if (isSelfMade) {
    const first = spec.ipFamilies?.[0] ?? families[0] ?? 'IPv4'
    if ((spec.ipFamilies ?? []).length < 2) spec.ipFamilies = spec.ipFamilyPolicy === 'SingleStack' ? [first] : [first, otherOf(first)]
    return []
  }
  if (spec.ipFamilyPolicy === 'RequireDualStack' && families.length < 2) errors.push(invalid('spec.ipFamilyPolicy', spec.ipFamilyPolicy, 'this cluster is not configured for dual-stack services'))
  for (const [i, family] of (spec.ipFamilies ?? []).entries()) if (!families.some((f) => f === family)) errors.push(invalid(`spec.ipFamilies[${i}]`, family, 'not configured on this cluster'))
  if (errors.length > 0) return errors
  if (!spec.ipFamilies?.length) spec.ipFamilies = families.slice(0, 1)
  const [first, second] = spec.ipFamilies
  if (spec.ipFamilyPolicy !== 'SingleStack' && first !== undefined && second === undefined && families.length === 2) spec.ipFamilies = [first, otherOf(first)]
  return []
}

/** To say SingleStack lets the second family go; to leave it out of the lists alone does not. */
function secondLetGo(spec: ServiceSpec, old: ServiceSpec): FieldError[] {
  if (spec.ipFamilyPolicy === 'SingleStack') {
    if (isSame(spec.clusterIPs, old.clusterIPs) && spec.clusterIPs && spec.clusterIPs.length > 1) spec.clusterIPs = spec.clusterIPs.slice(0, 1)
    if (isSame(spec.ipFamilies, old.ipFamilies) && spec.ipFamilies && spec.ipFamilies.length > 1) spec.ipFamilies = spec.ipFamilies.slice(0, 1)
    return []
  }
  const isReduced = (now: readonly string[] | undefined, was: readonly string[] | undefined): boolean => (now ?? []).length === 1 && (was ?? []).length === 2 && now?.[0] === was?.[0]
  const refuse = (what: string): FieldError => invalid('spec.ipFamilyPolicy', spec.ipFamilyPolicy, `must be 'SingleStack' to release the secondary ${what}`)
  return [
    ...(isReduced(spec.clusterIPs, old.clusterIPs) ? [refuse('cluster IP')] : []),
    ...(isReduced(spec.ipFamilies, old.ipFamilies) ? [refuse('IP family')] : []),
  ]
}

function singleWithTwo({ ipFamilyPolicy, clusterIPs, ipFamilies }: ServiceSpec): FieldError[] {
  if (ipFamilyPolicy !== 'SingleStack') return []
  const refuse = (what: string): FieldError => invalid('spec.ipFamilyPolicy', ipFamilyPolicy, `must be RequireDualStack or PreferDualStack when multiple ${what} are specified`)
  return [...((clusterIPs ?? []).length === 2 ? [refuse('cluster IPs')] : []), ...((ipFamilies ?? []).length === 2 ? [refuse('IP families')] : [])]
}

/** Addresses that come without their families bring them. */
function familiesOfAddresses(spec: ServiceSpec, families: readonly Family[]): FieldError[] {
  const given = spec.clusterIPs?.length ? spec.clusterIPs : spec.clusterIP ? [spec.clusterIP] : []
  const errors: FieldError[] = []
  for (const [i, ip] of given.entries()) {
    if (ip === 'None') break
    if (i < (spec.ipFamilies ?? []).length) continue
    const family = familyOf(ip)
    if (families.includes(family)) spec.ipFamilies = [...(spec.ipFamilies ?? []), family]
    else errors.push(invalid(`spec.clusterIPs[${i}]`, given, `${family} is not configured on this cluster`))
  }
  return errors
}

const otherOf = (family: string): Family => (family === 'IPv4' ? 'IPv6' : 'IPv4')

const isSame = (a: readonly string[] | undefined, b: readonly string[] | undefined): boolean => (a ?? []).length === (b ?? []).length && (a ?? []).every((item, i) => item === b?.[i])
