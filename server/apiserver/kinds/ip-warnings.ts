/** Addresses that are taken and yet not what everybody would read (apimachinery `GetWarningsForIP`, `GetWarningsForCIDR`). */
import { isIPv6 } from 'node:net'
import { canonicalCidr, canonicalIp, isCidr, withoutLeadingZeros } from './ip.ts'

export function ipWarnings(at: string, ip: string): string[] {
  const plain = canonicalIp(withoutLeadingZeros(ip))
  if (plain !== undefined && canonicalIp(ip) === undefined) return [`${at}: non-standard IP address ${JSON.stringify(ip)} is invalid: use ${JSON.stringify(plain)}`]
  const canonical = isIPv6(ip) ? canonicalIp(ip) : undefined
  return canonical === undefined || canonical === ip ? [] : [`${at}: IPv6 address ${JSON.stringify(ip)} should be in RFC 5952 canonical format (${JSON.stringify(canonical)})`]
}

export function cidrWarnings(at: string, cidr: string): string[] {
  if (!isCidr(cidr)) return []
  const [ip = '', prefix = ''] = cidr.split('/')
  const canonical = canonicalCidr(cidr)
  const sameBits = `${canonicalIp(ip) ?? ip}/${prefix}`
  if (sameBits !== canonical) return [`${at}: CIDR value ${JSON.stringify(cidr)} is ambiguous in this context (should be ${JSON.stringify(canonical)} or ${JSON.stringify(`${canonicalIp(ip) ?? ip}/${isIPv6(ip) ? 128 : 32}`)}?)`]
  return canonical === cidr ? [] : [`${at}: IPv6 CIDR value ${JSON.stringify(cidr)} should be in RFC 5952 canonical format (${JSON.stringify(canonical)})`]
}
