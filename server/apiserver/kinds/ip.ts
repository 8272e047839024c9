/** IP addresses and CIDR blocks as text, checked and compared. */
import { isIPv4, isIPv6 } from 'node:net'

export const isIpAddress = (text: string | undefined): boolean => text !== undefined && (isIPv4(text) || isIPv6(text))

export const familyOf = (ip: string): 'IPv4' | 'IPv6' => (isIPv6(ip) ? 'IPv6' : 'IPv4')

/** An address block; `base` is its first address as a number. */
export interface Cidr { readonly base: number; readonly prefix: number; /** Number of addresses. */ readonly size: number }

/** IPv4 only: the cluster's networks are. Undefined when it is no CIDR. */
export function parseCidr4(text: string): Cidr | undefined {
  const [ip = '', prefixText = ''] = text.split('/')
  const prefix = Number(prefixText)
  if (!isIPv4(ip) || !/^\d{1,2}$/.test(prefixText) || prefix > 32) return undefined
  const size = 2 ** (32 - prefix)
  return { base: Math.floor(ipv4Number(ip) / size) * size, prefix, size }
}

export function isCidr(text: string): boolean {
  const [ip = '', prefix = ''] = text.split('/')
  return /^\d{1,3}$/.test(prefix) && ((isIPv4(ip) && Number(prefix) <= 32) || (isIPv6(ip) && Number(prefix) <= 128))
}

export function ipv4Number(ip: string): number {
  return ip.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
}

export function ipv4Text(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.')
}
