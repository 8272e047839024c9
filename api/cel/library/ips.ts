/** IP addresses and CIDRs, as Go's net/netip; zones and IPv4-mapped IPv6 are refused. */
import type { Declaration } from '../overload.ts'
import { EvalError, OpaqueValue } from '../value.ts'

export class IpValue extends OpaqueValue {
  readonly typeName = 'net.IP'
  readonly bits: bigint
  readonly width: 32 | 128
  constructor(bits: bigint, width: 32 | 128) {
    super()
    this.bits = bits
    this.width = width
  }
  equals(other: OpaqueValue): boolean { return other instanceof IpValue && other.bits === this.bits && other.width === this.width }
  override get sizeForCost(): number { return this.width / 8 }
}

export class CidrValue extends OpaqueValue {
  readonly typeName = 'net.CIDR'
  readonly address: IpValue
  readonly prefix: number
  constructor(address: IpValue, prefix: number) {
    super()
    this.address = address
    this.prefix = prefix
  }
  equals(other: OpaqueValue): boolean { return other instanceof CidrValue && other.address.equals(this.address) && other.prefix === this.prefix }
  override get sizeForCost(): number { return Math.ceil(this.prefix / 8) }
  network(ip: IpValue): bigint { return ip.bits >> BigInt(this.address.width - this.prefix) }
  contains(ip: IpValue): boolean { return ip.width === this.address.width && this.network(ip) === this.network(this.address) }
}

/** The address, or Go's complaint. */
function parseIp(text: string): IpValue | string {
  const complain = (why: string): string => `IP Address ${JSON.stringify(text)} parse error during conversion from string: ParseAddr(${JSON.stringify(text)}): ${why}`
  if (text.includes(':')) {
    const [address = '', zone] = text.split('%', 2)
    const bits = parseIp6(address)
    if (bits === undefined) return complain('unable to parse IP')
    if (zone === '') return complain('zone must be a non-empty string')
    if (zone !== undefined) return `IP address ${JSON.stringify(text)} with zone value is not allowed`
    if (bits >> 32n === 0xffffn) return `IPv4-mapped IPv6 address ${JSON.stringify(text)} is not allowed`
    return new IpValue(bits, 128)
  }
  if (!text.includes('.')) return complain('unable to parse IP')
  const bits = parseIp4(text)
  return bits === undefined ? complain(/\.0\d/.test(`.${text}`) ? 'IPv4 field has octet with leading zero' : 'unable to parse IP') : new IpValue(bits, 32)
}

function parseIp4(text: string): bigint | undefined {
  const fields = text.split('.')
  if (fields.length !== 4 || !fields.every((f) => /^(0|[1-9]\d{0,2})$/.test(f) && Number(f) <= 255)) return undefined
  return fields.reduce((bits, f) => (bits << 8n) | BigInt(f), 0n)
}

function parseIp6(text: string): bigint | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const groups = halves.map((half) => groupsOf(half))
  const [head, tail] = groups
  if (head === undefined || groups.includes(undefined)) return undefined
  const given = head.length + (tail?.length ?? 0)
  if (tail === undefined ? given !== 8 : given > 7) return undefined
  const all = [...head, ...Array.from({ length: 8 - given }, () => 0n), ...(tail ?? [])]
  return all.reduce((bits, g) => (bits << 16n) | g, 0n)
}

/** 16-bit groups of one side of `::`; the last may be an IPv4 address. */
function groupsOf(half: string): bigint[] | undefined {
  if (half === '') return []
  const out: bigint[] = []
  const parts = half.split(':')
  for (const [i, part] of parts.entries()) {
    const v4 = i === parts.length - 1 && part.includes('.') ? parseIp4(part) : undefined
    if (v4 !== undefined) out.push(v4 >> 16n, v4 & 0xffffn)
    else if (/^[0-9a-fA-F]{1,4}$/.test(part)) out.push(BigInt(`0x${part}`))
    else return undefined
  }
  return out
}

/** RFC 5952. */
export function formatIp({ bits, width }: IpValue): string {
  if (width === 32) return [24n, 16n, 8n, 0n].map((shift) => (bits >> shift) & 255n).join('.')
  const groups = Array.from({ length: 8 }, (_, i) => ((bits >> BigInt(112 - 16 * i)) & 0xffffn).toString(16))
  let best = { start: -1, length: 1 }
  for (let i = 0; i < 8; i++) {
    let n = 0
    while (groups[i + n] === '0') n++
    if (n > best.length) best = { start: i, length: n }
  }
  if (best.start < 0) return groups.join(':')
  return `${groups.slice(0, best.start).join(':')}::${groups.slice(best.start + best.length).join(':')}`
}

function parseCidr(text: string): CidrValue | string {
  const complain = (why: string): string => `network address parse error during conversion from string: netip.ParsePrefix(${JSON.stringify(text)}): ${why}`
  const slash = text.lastIndexOf('/')
  if (slash < 0) return complain("no '/'")
  const ip = parseIp(text.slice(0, slash))
  if (typeof ip === 'string') {
    if (ip.startsWith('IPv4-mapped')) return `IPv4-mapped IPv6 address ${JSON.stringify(text)} is not allowed`
    return complain(ip.startsWith('IP address') ? 'IPv6 zones cannot be present in a prefix' : (ip.split('conversion from string: ')[1] ?? ip))
  }
  const length = text.slice(slash + 1)
  if (!/^(0|[1-9]\d{0,2})$/.test(length)) return complain(`bad bits after slash: ${JSON.stringify(length)}`)
  return Number(length) > ip.width ? complain('prefix length out of range') : new CidrValue(ip, Number(length))
}

function ip(text: string): IpValue {
  const parsed = parseIp(text)
  if (typeof parsed === 'string') throw new EvalError(parsed)
  return parsed
}
function cidr(text: string): CidrValue {
  const parsed = parseCidr(text)
  if (typeof parsed === 'string') throw new EvalError(`network address parse error during conversion from string: ${parsed}`)
  return parsed
}

const inside = (outer: CidrValue, inner: CidrValue): boolean => outer.contains(inner.address) && outer.prefix <= inner.prefix
const starts = (v: IpValue, four: bigint, fourBits: bigint, six: bigint, sixBits: bigint): boolean => (v.width === 32 ? v.bits >> (32n - fourBits) === four : v.bits >> (128n - sixBits) === six)
const isLoopback = (v: IpValue): boolean => starts(v, 127n, 8n, 1n, 128n)
const isUnspecified = (v: IpValue): boolean => v.bits === 0n
const isLinkLocalUnicast = (v: IpValue): boolean => starts(v, 0xa9fen, 16n, 0x3fan, 10n)
const isLinkLocalMulticast = (v: IpValue): boolean => (v.width === 32 ? v.bits >> 8n === 0xe00000n : (v.bits >> 112n & 0xff0fn) === 0xff02n)
const isMulticast = (v: IpValue): boolean => starts(v, 0xen, 4n, 0xffn, 8n)
const isBroadcast = (v: IpValue): boolean => v.width === 32 && v.bits === 0xffffffffn

export const IPS: readonly Declaration[] = [
  ['string_to_ip', 'ip(string): net.IP', ip],
  ['ip_family', 'net.IP->family(): int', (v: IpValue) => (v.width === 32 ? 4n : 6n)],
  ['ip_is_canonical', 'ip.isCanonical(string): bool', (text: string) => formatIp(ip(text)) === text],
  ['ip_is_unspecified', 'net.IP->isUnspecified(): bool', isUnspecified],
  ['ip_is_loopback', 'net.IP->isLoopback(): bool', isLoopback],
  ['ip_is_link_local_multicast', 'net.IP->isLinkLocalMulticast(): bool', isLinkLocalMulticast],
  ['ip_is_link_local_unicast', 'net.IP->isLinkLocalUnicast(): bool', isLinkLocalUnicast],
  ['ip_is_global_unicast', 'net.IP->isGlobalUnicast(): bool', (v: IpValue) => !isUnspecified(v) && !isLoopback(v) && !isMulticast(v) && !isLinkLocalUnicast(v) && !isBroadcast(v)],
  ['is_ip', 'isIP(string): bool', (text: string) => typeof parseIp(text) !== 'string'],
  ['ip_to_string', 'string(net.IP): string', formatIp],
  ['string_to_cidr', 'cidr(string): net.CIDR', cidr],
  ['cidr_contains_ip_string', 'net.CIDR->containsIP(string): bool', (outer: CidrValue, text: string) => outer.contains(ip(text))],
  ['cidr_contains_ip_ip', 'net.CIDR->containsIP(net.IP): bool', (outer: CidrValue, inner: IpValue) => outer.contains(inner)],
  ['cidr_contains_cidr_string', 'net.CIDR->containsCIDR(string): bool', (outer: CidrValue, text: string) => inside(outer, cidr(text))],
  ['cidr_contains_cidr', 'net.CIDR->containsCIDR(net.CIDR): bool', inside],
  ['cidr_ip', 'net.CIDR->ip(): net.IP', (v: CidrValue) => v.address],
  ['cidr_prefix_length', 'net.CIDR->prefixLength(): int', (v: CidrValue) => BigInt(v.prefix)],
  ['cidr_masked', 'net.CIDR->masked(): net.CIDR', (v: CidrValue) => {
    const host = BigInt(v.address.width - v.prefix)
    return new CidrValue(new IpValue((v.address.bits >> host) << host, v.address.width), v.prefix)
  }],
  ['is_cidr', 'isCIDR(string): bool', (text: string) => typeof parseCidr(text) !== 'string'],
  ['cidr_to_string', 'string(net.CIDR): string', (v: CidrValue) => `${formatIp(v.address)}/${v.prefix}`],
]
