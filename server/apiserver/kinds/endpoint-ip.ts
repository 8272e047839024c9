/** Addresses that traffic can be sent to from any node (upstream `ValidateEndpointIP`). */
import { duplicate, type FieldError, invalid } from '../field-error.ts'
import { familyOf, isIpAddress } from './ip.ts'

const NO_IP = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'

/** Upstream's `IsValidIPForLegacyField`. */
export const validIp = (at: string, ip: string | undefined): FieldError[] => (isIpAddress(ip) ? [] : [invalid(at, ip ?? '', NO_IP)])

/** At most one address of each family, none twice; of a pod or its host. */
export function validateFamilyIps(at: string, list: readonly { ip?: string }[]): FieldError[] {
  const out = list.flatMap(({ ip }, i) => validIp(`${at}[${i}]`, ip))
  const ips = list.map(({ ip }) => ip ?? '')
  if (list.length < 2) return out
  if (!ips.every(isIpAddress)) out.push({ type: 'InternalError', field: at, message: `Internal error: failed to check for dual stack with error:invalid IP address: ${ips.find((ip) => !isIpAddress(ip)) ?? ''}` })
  if (list.length > 2 || new Set(ips.filter(isIpAddress).map(familyOf)).size < 2) out.push(invalid(at, list, 'may specify no more than one IP for each IP family'))
  for (const [i, entry] of list.entries()) if (ips.indexOf(entry.ip ?? '') < i) out.push(duplicate(`${at}[${i}]`, entry))
  return out
}

/** Loopback, link-local and multicast addresses lead nowhere from another node. */
export function validateEndpointIp(at: string, ip: string): FieldError[] {
  if (!isIpAddress(ip)) return [invalid(at, ip, NO_IP)]
  const lower = ip.toLowerCase()
  if (ip === '0.0.0.0' || ip === '::') return [invalid(at, ip, `may not be unspecified (${ip})`)]
  if (ip.startsWith('127.') || ip === '::1') return [invalid(at, ip, 'may not be in the loopback range (127.0.0.0/8, ::1/128)')]
  if (ip.startsWith('169.254.') || /^fe[89ab]/.test(lower)) return [invalid(at, ip, 'may not be in the link-local range (169.254.0.0/16, fe80::/10)')]
  if (ip.startsWith('224.0.0.') || /^ff.2:/.test(lower)) return [invalid(at, ip, 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)')]
  return []
}
