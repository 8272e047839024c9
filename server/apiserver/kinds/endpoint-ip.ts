/**
 * Addresses and networks in fields that are older than strict rules for them (upstream `IsValidIPForLegacyField`, `IsValidCIDRForLegacyField`,
 * `ValidateEndpointIP`): 1.36 refuses what readers take for different addresses, but leaves what is stored as it is.
 */
import { isIPv4 } from 'node:net'
import { duplicate, type FieldError, invalid } from '../field-error.ts'
import { canonicalCidr, canonicalIp, familyOf, isCidr, isIpAddress, withoutLeadingZeros } from './ip.ts'

const NO_IP = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'
const NO_CIDR = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)'
const MAPPED = /^::ffff:\d+\.\d+\.\d+\.\d+$/

/** Whether Go's old parser takes it: zeros in front are nothing. */
export const isLegacyIp = (text: string): boolean => isIpAddress(withoutLeadingZeros(text))

const isMapped = (ip: string): boolean => MAPPED.test(canonicalIp(ip) ?? '')

/** `old`: what the field held before, which may stay. */
export function validIp(at: string, ip: string | undefined, old: readonly (string | undefined)[] = []): FieldError[] {
  const text = ip ?? ''
  const problem = old.includes(text) ? undefined : ipProblem(text)
  return problem === undefined ? [] : [invalid(at, text, problem)]
}

function ipProblem(text: string): string | undefined {
  if (!isLegacyIp(text)) return NO_IP
  if (!isIpAddress(text)) return 'must not have leading 0s'
  return isMapped(text) ? 'must not be an IPv4-mapped IPv6 address' : undefined
}

/** Where nothing old is about: written in one way only. */
export function checkIpName(name: string): string[] {
  const problem = ipProblem(name)
  if (problem !== undefined) return [problem]
  const canonical = canonicalIp(name)
  return canonical === name ? [] : [`must be in canonical form (${JSON.stringify(canonical)})`]
}

export function validCidr(at: string, cidr: string, old: readonly string[] = []): FieldError[] {
  if (old.includes(cidr)) return []
  const bare = withoutLeadingZeros(cidr)
  if (!isCidr(bare)) return [invalid(at, cidr, NO_CIDR)]
  if (bare !== cidr && !isCidr(cidr)) return [invalid(at, cidr, 'must not have leading 0s in IP or prefix length')]
  const [ip = '', prefix = ''] = cidr.split('/')
  if (isMapped(ip)) return [invalid(at, cidr, 'must not have an IPv4-mapped IPv6 address')]
  return `${canonicalIp(ip) ?? ''}/${prefix}` === canonicalCidr(cidr) ? [] : [invalid(at, cidr, 'must not have bits set beyond the prefix length')]
}

/** At most one address of each family, none twice; of a pod or its host. */
export function validateFamilyIps(at: string, list: readonly { ip?: string }[], old: readonly { ip?: string }[]): FieldError[] {
  const before = old.map(({ ip }) => ip ?? '')
  const out = list.flatMap(({ ip }, i) => validIp(`${at}[${i}]`, ip, before))
  const ips = list.map(({ ip }) => ip ?? '')
  if (list.length < 2) return out
  const bad = ips.findIndex((ip) => !isLegacyIp(ip))
  if (bad >= 0) out.push({ type: 'InternalError', field: at, message: `Internal error: failed to check for dual stack with error:invalid IP[${bad}]: ${ips[bad]}` })
  if (list.length > 2 || new Set(ips.filter(isLegacyIp).map((ip) => familyOf(withoutLeadingZeros(ip)))).size < 2) out.push(invalid(at, list, 'may specify no more than one IP for each IP family'))
  for (const [i, entry] of list.entries()) if (ips.indexOf(entry.ip ?? '') < i) out.push(duplicate(`${at}[${i}]`, entry))
  return out
}

/** Loopback, link-local and multicast addresses lead nowhere from another node. */
export function validateEndpointIp(at: string, given: string): FieldError[] {
  const canonical = canonicalIp(withoutLeadingZeros(given))
  if (canonical === undefined) return [invalid(at, given, 'must be a valid IP address')]
  const ip = MAPPED.test(canonical) ? canonical.slice('::ffff:'.length) : canonical
  const v4 = isIPv4(ip)
  const rules: readonly (readonly [boolean, string])[] = [
    [ip === '0.0.0.0' || ip === '::', `may not be unspecified (${given})`],
    [v4 ? ip.startsWith('127.') : ip === '::1', 'may not be in the loopback range (127.0.0.0/8, ::1/128)'],
    [v4 ? ip.startsWith('169.254.') : /^fe[89ab]/.test(ip), 'may not be in the link-local range (169.254.0.0/16, fe80::/10)'],
    [v4 ? ip.startsWith('224.0.0.') : /^ff.2:/.test(ip), 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)'],
  ]
  return rules.filter(([holds]) => holds).map(([, why]) => invalid(at, given, why))
}
