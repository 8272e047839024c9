/** Leases as state: what both implementations keep in memory and how it changes. Synchronous, so no two callers interleave. */
import { CodedError } from '#base/errors.ts'
import { formatPrefix, hasAddress, maybeIpv4, type Prefix } from '../prefix.ts'
import { nextAddress } from './allocate.ts'
import type { Lease, LeasedPort } from './leases.ts'

export class LeaseTable {
  readonly #prefix: Prefix
  readonly #byId = new Map<string, Lease>()
  readonly #idByAddress = new Map<string, string>()
  #last: string | undefined

  constructor(prefix: Prefix) {
    this.#prefix = prefix
  }

  get size(): number { return this.#byId.size }
  /** The address most recently handed out; where the search for the next begins. */
  get last(): string | undefined { return this.#last }
  get(id: string): Lease | undefined { return this.#byId.get(id) }
  list(): Lease[] { return [...this.#byId.values()] }

  /** `changed` is false when the id already had exactly this. */
  acquire(id: string, ports: readonly LeasedPort[]): { lease: Lease; changed: boolean } {
    const held = this.#byId.get(id)
    if (held && JSON.stringify(held.ports) === JSON.stringify(ports)) return { lease: held, changed: false }
    const address = held?.address ?? nextAddress(this.#prefix, this.#last, (a) => this.#idByAddress.has(a))
    if (address === undefined) {
      throw new CodedError('ADDRESSES_EXHAUSTED', `all pod addresses of ${formatPrefix(this.#prefix)} are in use (${this.#byId.size} pods); delete pods or give nodes larger prefixes`)
    }
    const lease = { id, address, ports: [...ports] }
    this.put(lease)
    return { lease, changed: true }
  }

  /** False when the address is outside the prefix or another id holds it. */
  put(lease: Lease): boolean {
    const value = maybeIpv4(lease.address)
    const holder = this.#idByAddress.get(lease.address)
    if (value === undefined || !hasAddress(this.#prefix, value) || (holder !== undefined && holder !== lease.id)) return false
    const before = this.#byId.get(lease.id)
    if (before && before.address !== lease.address) this.#idByAddress.delete(before.address)
    if (before?.address !== lease.address) this.#last = lease.address
    this.#byId.set(lease.id, lease)
    this.#idByAddress.set(lease.address, lease.id)
    return true
  }

  remove(id: string): boolean {
    const lease = this.#byId.get(id)
    if (!lease) return false
    this.#byId.delete(id)
    this.#idByAddress.delete(lease.address)
    return true
  }

  /** Restores the search position after a compaction, when the last lease given is already gone. */
  seek(last: string): void { this.#last = last }
}
