/** IPv4 addresses and prefixes as numbers. */
import { CodedError } from '#base/errors.ts'

export interface Prefix {
  /** The first address (host bits cleared), as an unsigned 32-bit number. */
  first: number
  bits: number
  /** How many addresses it has. */
  size: number
}

const IPV4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/

/** Undefined unless `text` is a dotted quad without leading zeros (RFC 6943 3.1.1: `010` is read as octal by some). */
export function maybeIpv4(text: string): number | undefined {
  const match = IPV4.exec(text)
  if (!match) return undefined
  let value = 0
  for (const part of match.slice(1)) {
    const byte = Number(part)
    if (byte > 255 || (part.length > 1 && part.startsWith('0'))) return undefined
    value = value * 256 + byte
  }
  return value
}

export function formatIpv4(value: number): string {
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255].join('.')
}

export function maybePrefix(text: string): Prefix | undefined {
  const [address = '', length = '', ...rest] = text.split('/')
  const value = maybeIpv4(address)
  const bits = /^\d{1,2}$/.test(length) ? Number(length) : 33
  if (value === undefined || bits > 32 || rest.length > 0) return undefined
  const size = 2 ** (32 - bits)
  return { first: value - (value % size), bits, size }
}

/** `what` names the setting in the error: `cluster CIDR`. */
export function parsePrefix(text: string, what: string): Prefix {
  const prefix = maybePrefix(text)
  if (!prefix) throw new CodedError('BAD_PREFIX', `${what} ${JSON.stringify(text)} is not an IPv4 prefix such as 10.42.0.0/16`)
  return prefix
}

export function formatPrefix(prefix: Prefix): string {
  return `${formatIpv4(prefix.first)}/${prefix.bits}`
}

/** The nth address; 0 is the network address. */
export function addressAt(prefix: Prefix, n: number): string {
  return formatIpv4(prefix.first + n)
}

export function hasAddress(prefix: Prefix, address: number): boolean {
  return address >= prefix.first && address < prefix.first + prefix.size
}
