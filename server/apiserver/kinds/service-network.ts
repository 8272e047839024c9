/** ServiceCIDR and IPAddress: the networks of cluster IPs and who has which address (KEP-1880). */
import { isIP } from 'node:net'
import type { IPAddress, ServiceCIDR } from '#api/types/index.ts'
import { checkDnsSubdomain, checkPathSegment } from '#api/types/index.ts'
import { type FieldError, invalid, required } from '../field-error.ts'
import type { KindStrategy } from '../kind.ts'
import { keepStatus, RESET_FOR_STATUS } from './carry.ts'
import { FIELD_IMMUTABLE, immutable, named } from './check.ts'
import { validCidr } from './endpoint-ip.ts'
import { canonicalCidr } from './ip.ts'
import { ageColumn, column, nameColumn } from './table-columns.ts'

export const serviceCidrStrategy: KindStrategy<ServiceCIDR> = {
  statusKeepsMetadata: RESET_FOR_STATUS,
  prepareCreate: (cidr) => { cidr.status = {} },
  prepareUpdate: keepStatus,
  generation: false,
  validate: (cidr) => validateCidrs(cidr.spec?.cidrs ?? []),
  validateUpdate: (cidr, old) => validateCidrsUpdate(cidr.spec?.cidrs, old.spec?.cidrs ?? []),
  columns: [
    nameColumn(),
    column('CIDRs', 'CIDRs defines the IP blocks in CIDR notation (e.g. "192.168.0.0/24" or "2001:db8::/64") from which to assign service cluster IPs. Max of two CIDRs is allowed, one of each IP family. This field is immutable.', (o) => (o.spec?.cidrs ?? []).join(',')),
    ageColumn(),
  ],
}

const AT = 'spec.cidrs'

function validateCidrs(cidrs: readonly string[]): FieldError[] {
  if (cidrs.length === 0) return [required(AT, 'at least one CIDR required')]
  if (cidrs.length > 2) return [invalid(AT, cidrs, 'may only hold up to 2 values')]
  const out = cidrs.flatMap((cidr, i) => validateCidr(`${AT}[${i}]`, cidr))
  if (cidrs.length === 2 && familyOfCidr(cidrs[0]) !== 0 && familyOfCidr(cidrs[0]) === familyOfCidr(cidrs[1])) out.push(invalid(AT, cidrs, 'may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64'))
  return out
}

/** 0: of none. */
const familyOfCidr = (cidr: string | undefined): number => isIP(cidr?.split('/')[0] ?? '')

function validateCidr(at: string, cidr: string): FieldError[] {
  const wrong = validCidr(at, cidr)
  if (wrong.length > 0) return wrong
  const canonical = canonicalCidr(cidr)
  return canonical === cidr ? [] : [invalid(at, cidr, `must be in canonical form (${JSON.stringify(canonical)})`)]
}

/** A second family may be added; nothing else changes. */
function validateCidrsUpdate(given: readonly string[] | undefined, old: readonly string[]): FieldError[] {
  const cidrs = given ?? []
  if (cidrs.length !== old.length && !(old.length === 1 && cidrs.length === 2)) return [invalid(AT, given ?? null, FIELD_IMMUTABLE)]
  const changed = old.flatMap((cidr, i) => (cidrs[i] === cidr ? [] : [invalid(`${AT}[${i}]`, cidrs[i], FIELD_IMMUTABLE)]))
  return cidrs.length === old.length ? changed : [...changed, ...validateCidrs(cidrs)]
}

export const ipAddressStrategy: KindStrategy<IPAddress> = {
  generation: false,
  nameRule: 'ip-address',
  validate: validateParent,
  validateUpdate: (address, old) => [...validateParent(address), ...immutable('spec.parentRef', address.spec?.parentRef, old.spec?.parentRef)],
  columns: [
    nameColumn(),
    column('ParentRef', 'ParentRef references the resource that an IPAddress is attached to. An IPAddress must reference a parent object.', parentText),
  ],
}

function parentText(address: IPAddress): string {
  const parent: Partial<NonNullable<IPAddress['spec']>['parentRef']> = address.spec?.parentRef ?? {}
  return [parent.resource ? `${parent.resource}${parent.group ? `.${parent.group}` : ''}` : '', parent.namespace, parent.name].filter((t) => t).join('/') || '<none>'
}

function validateParent(address: IPAddress): FieldError[] {
  const at = 'spec.parentRef'
  const parent: Partial<NonNullable<IPAddress['spec']>['parentRef']> | undefined = address.spec?.parentRef
  if (!parent) return [required(at)]
  return [
    ...(parent.group ? named(`${at}.group`, parent.group, checkDnsSubdomain) : []),
    ...(parent.resource ? named(`${at}.resource`, parent.resource, checkPathSegment) : [required(`${at}.resource`)]),
    ...(parent.name ? named(`${at}.name`, parent.name, checkPathSegment) : [required(`${at}.name`)]),
    ...(parent.namespace ? named(`${at}.namespace`, parent.namespace, checkPathSegment) : []),
  ]
}
