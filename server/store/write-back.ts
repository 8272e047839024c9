/**
 * When what only memory has goes to the disk. Each such write costs a card at least a page, and what comes to it many times
 * a minute wears it out; what waits may be lost by a power cut. Nothing here is about what was promised: a synced write is
 * in the log before it is acknowledged, whatever the profile.
 */
import { HEARTBEAT_FLUSH_MS, LAZY_FLUSH_MS } from './store.ts'

export interface WriteBack {
  /** Lazy writes (Events): what a power cut may take of them. */
  readonly lazyMs: number
  /** Heartbeats (renewals of Leases, the times in a Node's conditions). */
  readonly heartbeatMs: number
  /** What the log has, and the state not yet: an object that changes often is written once. The next start reads so much of the log again. */
  readonly stateMs: number
  readonly stateBytes: number
  /** LevelDB's write buffer, of which it may hold two in memory: what it writes out and then compacts is what is left of so many bytes. */
  readonly bufferBytes: number
}

export type FlashProfile = 'normal' | 'gentle'

const KIB = 1024
const MINUTE_MS = 60_000

/** `--flash-profile` */
export const WRITE_BACK: Readonly<Record<FlashProfile, WriteBack>> = {
  normal: { lazyMs: LAZY_FLUSH_MS, heartbeatMs: HEARTBEAT_FLUSH_MS, stateMs: MINUTE_MS / 2, stateBytes: 512 * KIB, bufferBytes: 2048 * KIB },
  gentle: { lazyMs: 6 * LAZY_FLUSH_MS, heartbeatMs: 12 * HEARTBEAT_FLUSH_MS, stateMs: 10 * MINUTE_MS, stateBytes: 2048 * KIB, bufferBytes: 8192 * KIB },
}
