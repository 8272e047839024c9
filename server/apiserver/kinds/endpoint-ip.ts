/** Addresses that traffic can be sent to from any node (upstream `ValidateEndpointIP`). */
import { type FieldError, invalid } from '../field-error.ts'
import { isIpAddress } from './ip.ts'

/** Loopback, link-local and multicast addresses lead nowhere from another node. */
export function validateEndpointIp(at: string, ip: string): FieldError[] {
  if (!isIpAddress(ip)) return [invalid(at, ip, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)')]
  const lower = ip.toLowerCase()
  if (ip === '0.0.0.0' || ip === '::') return [invalid(at, ip, `may not be unspecified (${ip})`)]
  if (ip.startsWith('127.') || ip === '::1') return [invalid(at, ip, 'may not be in the loopback range (127.0.0.0/8, ::1/128)')]
  if (ip.startsWith('169.254.') || /^fe[89ab]/.test(lower)) return [invalid(at, ip, 'may not be in the link-local range (169.254.0.0/16, fe80::/10)')]
  if (ip.startsWith('224.0.0.') || /^ff.2:/.test(lower)) return [invalid(at, ip, 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)')]
  return []
}
