/** Which servers on one external store serve, and who of them says so: from their Leases, as they are seen here. Pure. */
import type { Lease } from '#api/types/index.ts'

export const SERVER_LEASE = 'skiff-server-'
export const ADDRESS_ANNOTATION = 'skiff.io/address'
/** A server whose Lease did not change for so long is gone. */
export const SERVER_LEASE_SECONDS = 15

/** A Lease with the time of this server's own clock at which it was last seen to change. */
export interface SeenLease { lease: Lease; sinceMs: number }

export interface Serving { /** In order, each once. */ addresses: readonly string[]; /** The name of the server that publishes them: one that all agree on. */ publisher: string | undefined }

export function decideServing(seen: readonly SeenLease[], nowMs: number): Serving {
  const alive = seen
    .filter(({ lease, sinceMs }) => (lease.spec?.holderIdentity ?? '') !== '' && nowMs - sinceMs < SERVER_LEASE_SECONDS * 1000)
    .map(({ lease }) => ({ name: (lease.metadata?.name ?? '').slice(SERVER_LEASE.length), address: lease.metadata?.annotations?.[ADDRESS_ANNOTATION] ?? '' }))
    .filter(({ address }) => address !== '')
  return { addresses: [...new Set(alive.map(({ address }) => address))].sort(), publisher: alive.map(({ name }) => name).sort()[0] }
}
