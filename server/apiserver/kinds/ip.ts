/** IP addresses and CIDR blocks as text, checked and compared. */
import { BlockList, isIPv4, isIPv6 } from 'node:net'

/** Without a zone: those mean something on one machine only. */
export const isIpAddress = (text: string | undefined): boolean => text !== undefined && !text.includes('%') && (isIPv4(text) || isIPv6(text))

/** Of an address or a network. */
export const withoutLeadingZeros = (text: string): string => text.replaceAll(/(^|[:./])0+(?=[0-9a-fA-F])/g, '$1')

export const familyOf = (ip: string): 'IPv4' | 'IPv6' => (isIPv6(ip) ? 'IPv6' : 'IPv4')

/** An address block; `base` is its first address as a number. */
export interface Cidr { readonly base: number; readonly prefix: number; /** Number of addresses. */ readonly size: number }

/** IPv4 only. Undefined when it is no CIDR. */
export function parseCidr4(text: string): Cidr | undefined {
  const [ip = '', prefixText = ''] = text.split('/')
  const prefix = Number(prefixText)
  if (!isIPv4(ip) || !/^\d{1,2}$/.test(prefixText) || prefix > 32) return undefined
  const size = 2 ** (32 - prefix)
  return { base: Math.floor(ipv4Number(ip) / size) * size, prefix, size }
}

export function isCidr(text: string): boolean {
  const [ip = '', prefix = ''] = text.split('/')
  return /^(0|[1-9]\d{0,2})$/.test(prefix) && text.split('/').length === 2 && !ip.includes('%') && ((isIPv4(ip) && Number(prefix) <= 32) || (isIPv6(ip) && Number(prefix) <= 128))
}

export function ipv4Number(ip: string): number {
  return ip.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
}

export function ipv4Text(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.')
}

/** RFC 5952's text of an address; IPv4 with leading zeros is no address. Undefined when it is none. */
export function canonicalIp(text: string): string | undefined {
  if (isIPv4(text)) return text
  if (!isIPv6(text) || text.includes('%')) return undefined
  return ipv6Text(ipv6Words(text))
}

/** With the bits after the prefix cleared; `text` is a CIDR. */
export function canonicalCidr(text: string): string {
  const [ip = '', prefixText = ''] = text.split('/')
  const prefix = Number(prefixText)
  if (isIPv4(ip)) {
    const block = parseCidr4(text)
    return block ? `${ipv4Text(block.base)}/${prefix}` : text
  }
  const words = ipv6Words(ip).map((word, i) => word & (0xffff << Math.min(16, Math.max(0, 16 * (i + 1) - prefix))) & 0xffff)
  return `${ipv6Text(words)}/${prefix}`
}

/** Eight numbers; `text` is an IPv6 address. */
function ipv6Words(text: string): number[] {
  const embedded = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text)
  const plain = embedded ? `${embedded[1] ?? ''}${Math.floor(ipv4Number(embedded[2] ?? '') / 65_536).toString(16)}:${(ipv4Number(embedded[2] ?? '') % 65_536).toString(16)}` : text
  const [head = '', tail] = plain.split('::')
  const words = (part: string): number[] => (part === '' ? [] : part.split(':').map((w) => Number.parseInt(w, 16)))
  const [front, back] = [words(head), words(tail ?? '')]
  return [...front, ...Array.from({ length: 8 - front.length - back.length }, () => 0), ...back]
}

function ipv6Text(words: readonly number[]): string {
  if (words.slice(0, 5).every((w) => w === 0) && words[5] === 0xffff) return `::ffff:${ipv4Text((words[6] ?? 0) * 65_536 + (words[7] ?? 0))}`
  let best = { at: -1, length: 1 }
  for (let i = 0; i < 8; i++) {
    let end = i
    while (end < 8 && words[end] === 0) end++
    if (end - i > best.length) best = { at: i, length: end - i }
  }
  const hex = (part: readonly number[]): string => part.map((w) => w.toString(16)).join(':')
  return best.at < 0 ? hex(words) : `${hex(words.slice(0, best.at))}::${hex(words.slice(best.at + best.length))}`
}

/** IPv4 addresses as numbers, IPv6 ones as bigints: the two never meet. */
export type Address = number | bigint

/** Undefined for what is no IP address. */
export function parseAddress(text: string): Address | undefined {
  if (isIPv4(text)) return ipv4Number(text)
  if (!isIPv6(text) || text.includes('%')) return undefined
  return ipv6Words(text).reduce((sum, word) => sum * 65_536n + BigInt(word), 0n)
}

export function addressText(address: Address): string {
  if (typeof address === 'number') return ipv4Text(address)
  return ipv6Text([112n, 96n, 80n, 64n, 48n, 32n, 16n, 0n].map((shift) => Number((address >> shift) & 0xffffn)))
}

/** Whether `inner` lies wholly within `outer` and is smaller. */
export function cidrWithin(inner: string, outer: string): boolean {
  const [[base = '', prefix], [outerBase = '', outerPrefix]] = [inner.split('/'), outer.split('/')]
  if (familyOf(base) !== familyOf(outerBase) || Number(prefix) <= Number(outerPrefix)) return false
  const family = familyOf(base) === 'IPv4' ? 'ipv4' : 'ipv6'
  const block = new BlockList()
  block.addSubnet(outerBase, Number(outerPrefix), family)
  return block.check(base, family)
}
