/**
 * Who has which cluster IP, over all networks of Services. As upstream's allocators, the lower part of a network is a
 * band for those who ask for an address by name; addresses are given out from the rest at random, and from the band only
 * when the rest is used up (KEP-3070). Numbers are IPv4 addresses as such.
 */
import type { Random } from '#base/random.ts'
import { type Cidr, ipv4Text, parseCidr4 } from '../kinds/ip.ts'
import { bandSize } from './pool.ts'

/** A network of Services, of a ServiceCIDR or of the command line. */
export interface ServiceRange {
  /** Of the ServiceCIDR. */
  name: string
  text: string
  cidr: Cidr
}

export function parseRange(name: string, text: string): ServiceRange | undefined {
  const cidr = parseCidr4(text)
  return cidr && { name, text, cidr }
}

export class AddressBook {
  readonly #owners = new Map<number, string>()
  readonly #reserved: ReadonlySet<number>

  /** `reserved`: never given out unasked. */
  constructor(reserved: readonly number[]) {
    this.#reserved = new Set(reserved)
  }

  get used(): number { return this.#owners.size }
  ownerOf(ip: number): string | undefined { return this.#owners.get(ip) }

  /** False when someone else has it. */
  take(ip: number, owner: string): boolean {
    const holder = this.#owners.get(ip)
    if (holder !== undefined && holder !== owner) return false
    this.#owners.set(ip, owner)
    return true
  }

  /** What is written elsewhere is the truth: whoever held it here, `owner` has it now. */
  seen(ip: number, owner: string | undefined): void {
    if (owner === undefined) this.#owners.delete(ip)
    else this.#owners.set(ip, owner)
  }

  /** Only the owner can give it back; otherwise nothing happens. */
  release(ip: number, owner: string): void {
    if (this.#owners.get(ip) === owner) this.#owners.delete(ip)
  }

  /** A free address of the first network that has one, taken for `owner`. */
  takeAny(ranges: readonly ServiceRange[], owner: string, random: Random): number | undefined {
    for (const { cidr } of ranges) {
      const usable = usableSize(cidr)
      const band = bandSize(usable, { min: 16, max: 256, fraction: 16 })
      const found = this.#free(cidr.base + 1 + band, usable - band, random) ?? this.#free(cidr.base + 1, band, random)
      if (found === undefined) continue
      this.#owners.set(found, owner)
      return found
    }
    return undefined
  }

  /** From a random place onwards, once round. */
  #free(base: number, span: number, random: Random): number | undefined {
    if (span <= 0) return undefined
    const start = Math.floor(random.next() * span)
    for (let i = 0; i < span; i++) {
      const ip = base + ((start + i) % span)
      if (!this.#owners.has(ip) && !this.#reserved.has(ip)) return ip
    }
    return undefined
  }
}

/** Without the network's own address and the broadcast address, where there are others. */
const usableSize = ({ size }: Cidr): number => (size > 2 ? size - 2 : 0)

/** Whether an address of the network can be a Service's. */
export function isUsable({ cidr }: ServiceRange, ip: number): boolean {
  return ip > cidr.base && ip < cidr.base + cidr.size - 1
}

export const addressText = (ip: number): string => ipv4Text(ip)
