/**
 * Who has which cluster IP, over all networks of Services. As upstream's allocators, the lower part of a network is a
 * band for those who ask for an address by name; addresses are given out from the rest at random, and from the band only
 * when the rest is used up (KEP-3070).
 */
import type { Random } from '#base/random.ts'
import { type Address, familyOf, isCidr, parseAddress, canonicalCidr } from '../kinds/ip.ts'
import { bandSize } from './pool.ts'

/** A network of Services, of a ServiceCIDR or of the command line. */
export interface ServiceRange {
  /** Of the ServiceCIDR. */
  name: string
  text: string
  family: 'IPv4' | 'IPv6'
  /** The network's own address, which is nobody's. */
  base: Address
  /** Addresses after `base` that can be Services': without the broadcast address, which IPv6 does not have. Exact below 2^53. */
  usable: number
}

/** Of a larger network only so many addresses are given out unasked: numbers are exact up to there. */
const OFFSETS_MAX = 2 ** 52

export function parseRange(name: string, given: string): ServiceRange | undefined {
  if (!isCidr(given)) return undefined
  const text = canonicalCidr(given)
  const [ip = '', prefix] = text.split('/')
  const base = parseAddress(ip)
  if (base === undefined) return undefined
  const family = familyOf(ip)
  const size = 2 ** ((family === 'IPv4' ? 32 : 128) - Number(prefix))
  return { name, text, family, base, usable: Math.max(0, family === 'IPv4' ? size - 2 : size - 1) }
}

export class AddressBook {
  readonly #owners = new Map<Address, string>()
  readonly #reserved: ReadonlySet<Address>

  /** `reserved`: never given out unasked. */
  constructor(reserved: readonly Address[]) {
    this.#reserved = new Set(reserved)
  }

  get used(): number { return this.#owners.size }
  ownerOf(ip: Address): string | undefined { return this.#owners.get(ip) }

  /** False when someone else has it. */
  take(ip: Address, owner: string): boolean {
    const holder = this.#owners.get(ip)
    if (holder !== undefined && holder !== owner) return false
    this.#owners.set(ip, owner)
    return true
  }

  /** What is written elsewhere is the truth: whoever held it here, `owner` has it now. */
  seen(ip: Address, owner: string | undefined): void {
    if (owner === undefined) this.#owners.delete(ip)
    else this.#owners.set(ip, owner)
  }

  /** Only the owner can give it back; otherwise nothing happens. */
  release(ip: Address, owner: string): void {
    if (this.#owners.get(ip) === owner) this.#owners.delete(ip)
  }

  /** A free address of the first network that has one, taken for `owner`. */
  takeAny(ranges: readonly ServiceRange[], owner: string, random: Random): Address | undefined {
    for (const range of ranges) {
      const usable = Math.min(range.usable, OFFSETS_MAX)
      const band = bandSize(usable, { min: 16, max: 256, fraction: 16 })
      const found = this.#free(range, 1 + band, usable - band, random) ?? this.#free(range, 1, band, random)
      if (found === undefined) continue
      this.#owners.set(found, owner)
      return found
    }
    return undefined
  }

  /** Of `span` addresses from the `first` on: from a random place onwards, once round. */
  #free(range: ServiceRange, first: number, span: number, random: Random): Address | undefined {
    if (span <= 0) return undefined
    const start = Math.floor(random.next() * span)
    for (let i = 0; i < span; i++) {
      const ip = nthAddress(range, first + ((start + i) % span))
      if (!this.#owners.has(ip) && !this.#reserved.has(ip)) return ip
    }
    return undefined
  }
}

export function nthAddress({ base }: ServiceRange, n: number): Address {
  return typeof base === 'number' ? base + n : base + BigInt(n)
}

/** Whether an address of the network can be a Service's. */
export function isUsable({ base, usable }: ServiceRange, ip: Address): boolean {
  if (typeof base === 'number') return typeof ip === 'number' && ip > base && ip <= base + usable
  return typeof ip === 'bigint' && ip > base && ip <= base + BigInt(usable)
}
