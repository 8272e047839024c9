/**
 * Who has which address on this node. Implementations: lease-file.ts (survives restarts and power loss), lease-memory.ts.
 * `lease.contract.ts` is the suite both pass.
 */
export interface LeasedPort { protocol: string; containerPort: number; hostPort: number; hostIp: string }

export interface Lease {
  /** The pod sandbox's id. */
  id: string
  address: string
  /** Host ports that lead to it. */
  ports: readonly LeasedPort[]
}

export interface Leases {
  get(id: string): Lease | undefined
  list(): Lease[]
  /**
   * The id's lease, new or as it was given before (`ports` are brought up to date); durable when this resolves. Fails with
   * ADDRESSES_EXHAUSTED when none is free.
   */
  acquire(id: string, ports: readonly LeasedPort[]): Promise<Lease>
  /** Takes over an address found in use (a device that outlived the lease file). False when another id holds it. */
  adopt(lease: Lease): Promise<boolean>
  /** Succeeds when there is nothing to release. Need not be durable: a lease too many is found by `retainOnly`. */
  release(id: string): Promise<void>
  close(): Promise<void>
  /** Closes and removes what is kept. */
  destroy(): Promise<void>
}
