/** Reservations of what only one object may have (cluster IPs, node ports) around one write. */
import { invalid } from '../http/status.ts'
import type { Reservation } from '../kind.ts'
import { contextOf, type Call } from './call.ts'
import type { Full } from './stored.ts'

/**
 * Fills what is missing into `object` and holds it. Call `commit` once the write is made and `rollback` in any case at the
 * end: whichever comes first counts. For a dry run a commit gives everything back. Throws 422.
 */
export function reserve(call: Call, object: Full, old: Full | undefined, dryRun: boolean): Reservation {
  const { allocator, ref } = call.row
  if (!allocator) return NOTHING
  const result = allocator.allocate(object, old, contextOf(call))
  if (!result.ok) throw invalid(ref, object.metadata.name ?? '', result.errors)
  const { reservation } = result
  let settled = false
  const once = (settle: () => void): void => {
    if (settled) return
    settled = true
    settle()
  }
  return {
    commit: () => once(() => (dryRun ? reservation.rollback() : reservation.commit())),
    rollback: () => once(() => reservation.rollback()),
    ...(reservation.also && { also: reservation.also }),
  }
}

const NOTHING: Reservation = { commit() { /* nothing was reserved */ }, rollback() { /* nothing was reserved */ } }
