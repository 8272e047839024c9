/** How long a failed lane rests, by what failed. Pure. */
import { backoffMs, type BackoffPolicy } from '#base/backoff.ts'
import type { Random } from '#base/random.ts'
import { isPullFailure } from './start-error.ts'
import type { LaneFailure } from './view.ts'

/** Upstream's image pull back-off. */
const PULL: BackoffPolicy = { baseMs: 10_000, maxMs: 300_000, jitter: 0 }
/** Upstream's worker back-off for a spec that cannot be met now (a ConfigMap is missing): about 10 s, no growth. */
const CONFIG: BackoffPolicy = { baseMs: 10_000, maxMs: 10_000, jitter: 0.2 }
/** Volumes: upstream starts at 500 ms and ends at 2 min 2 s. */
const VOLUME: BackoffPolicy = { baseMs: 500, maxMs: 122_000, jitter: 0.1 }
/** Upstream tries claims again with its worker's back-off, too; but one that is kept for its pod a moment late is not to cost ten seconds. */
const CLAIMS: BackoffPolicy = { baseMs: 1_000, maxMs: 10_000, jitter: 0.2 }
/** Status writes while the server is away: soon again, then once in 30 s at most. */
const STATUS: BackoffPolicy = { baseMs: 500, maxMs: 30_000, jitter: 0.5 }
const OTHER: BackoffPolicy = { baseMs: 1_000, maxMs: 60_000, jitter: 0.2 }

export function nextFailure(before: LaneFailure | undefined, failed: { lane: string; reason: string; message: string; image?: string | undefined }, ctx: { nowMs: number; random: Random }): LaneFailure {
  const count = before?.reason === failed.reason ? before.count + 1 : 1
  return { reason: failed.reason, message: failed.message, atMs: ctx.nowMs, count, retryAtMs: ctx.nowMs + Math.ceil(backoffMs(policyOf(failed), count, ctx.random)), ...(failed.image !== undefined && { image: failed.image }) }
}

function policyOf({ lane, reason }: { lane: string; reason: string }): BackoffPolicy {
  if (lane === 'status' || lane === 'deletion') return STATUS
  if (lane === 'volumes') return VOLUME
  if (isPullFailure(reason) || reason === 'InvalidImageName' || reason === 'ErrImageNeverPull' || reason === 'ImageInspectError') return PULL
  if (lane.startsWith('start:')) return CONFIG
  if (reason === 'FailedPrepareDynamicResources') return CLAIMS
  return OTHER
}
