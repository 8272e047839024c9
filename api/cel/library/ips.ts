/** IP addresses and CIDRs, as Go's net/netip; zones and IPv4-mapped IPv6 are refused. */
import type { Declaration } from '../overload.ts'
import { EvalError, OpaqueValue } from '../value.ts'
import { parseIpText } from './ip-text.ts'

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

const complaint = (text: string, { message, at }: { message: string; at: string }): string => `ParseAddr(${JSON.stringify(text)}): ${message}${at === '' ? '' : ` (at ${JSON.stringify(at)})`}`

/** The address, or upstream's complaint. */
function parseIp(text: string): IpValue | string {
  const parsed = parseIpText(text)
  if (!parsed.ok) return `IP Address ${JSON.stringify(text)} parse error during conversion from string: ${complaint(text, parsed)}`
  if (parsed.zone !== '') return `IP address ${JSON.stringify(text)} with zone value is not allowed`
  if (isMapped(parsed)) return `IPv4-mapped IPv6 address ${JSON.stringify(text)} is not allowed`
  return new IpValue(parsed.bits, parsed.width)
}

const isMapped = ({ bits, width }: { bits: bigint; width: number }): boolean => width === 128 && bits >> 32n === 0xffffn

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
  const parsed = parseIpText(text.slice(0, slash))
  if (!parsed.ok) return complain(complaint(text.slice(0, slash), parsed))
  if (parsed.zone !== '') return complain('IPv6 zones cannot be present in a prefix')
  const length = text.slice(slash + 1)
  if (!/^(0|[1-9]\d*)$/.test(length)) return complain(`bad bits after slash: ${JSON.stringify(length)}`)
  if (Number(length) > parsed.width) return complain('prefix length out of range')
  if (isMapped(parsed)) return `IPv4-mapped IPv6 address ${JSON.stringify(text)} is not allowed`
  return new CidrValue(new IpValue(parsed.bits, parsed.width), Number(length))
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
