/** How many seats a request takes: lists by what they will hold in memory, everything else one. Pure. */

export interface StoredSize {
  count: number
  /** Mean bytes of an object. */
  meanBytes: number
}

export interface ListWork {
  /** The list or the watch's beginning names one object. */
  single: boolean
  limit: number | undefined
  /** A selector that reads more than it returns. */
  selective: boolean
  /** Served from memory, page by page. */
  fromCache: boolean
  /** Undefined: nobody knows the resource, or nothing of it was loaded yet. */
  stored: StoredSize | undefined
}

/** Upstream's figures (list_work_estimator, SizeBasedListCostEstimate). */
const BYTES_PER_SEAT = 100_000
const STREAMED_BYTES_MAX = 1_000_000
export const LIST_SEATS_MAX = 100

/** `seatsMax`: of the priority level, 15% of its nominal seats. */
export function listSeats(work: ListWork, seatsMax: number): number {
  const { stored, limit, single, selective, fromCache } = work
  if (!stored) return 1
  const limited = limit !== undefined && limit > 0 ? Math.min(limit, stored.count) : stored.count
  const objects = single ? 1 : !fromCache && selective ? Math.max(limited, stored.count / 2) : limited
  const bytes = objects * stored.meanBytes
  const seats = Math.ceil((fromCache ? Math.min(bytes, STREAMED_BYTES_MAX) : bytes) / BYTES_PER_SEAT)
  return Math.max(1, Math.min(seats, seatsMax === 0 ? LIST_SEATS_MAX : seatsMax, LIST_SEATS_MAX))
}

/** Upstream's `maxSeats`: at most 15% of a level's nominal seats for one request. */
export const seatsMaxOf = (nominal: number): number => Math.max(1, Math.ceil(nominal * 0.15))
