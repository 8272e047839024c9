/** How bad a day a seed stands for. */
import type { Random } from '#base/random.ts'
import type { RaftOptions } from '../../../raft/types.ts'

export interface Plan {
  readonly servers: number
  readonly raft: Partial<Omit<RaftOptions, 'id'>>
  readonly logBytesMax: number
  readonly drift: number
  readonly lossRate: number
  readonly latencyMsMax: number
  readonly syncMsMax: number
  readonly applyMsMax: number
  /** Of all places where the driver waits for something, and of messages, at which its process dies. */
  readonly crashRate: number
  readonly diskFailRate: number
  /** Of reads and writes of snapshots that fail. */
  readonly snapshotFailRate: number
  /** Mean time between such events, in the whole world; Infinity: never. */
  readonly partitionMs: number
  readonly pauseMs: number
  readonly diskFullMs: number
  readonly closeMs: number
  readonly changeMs: number
  readonly transferMs: number
  readonly proposalMs: number
  readonly readMs: number
}

export function makePlan(random: Random): Plan {
  const pick = <T>(...from: readonly T[]): T => from[Math.floor(random.next() * from.length)] as T
  const often = (ms: number) => (random.next() < 0.5 ? Infinity : ms * (0.3 + 2 * random.next()))
  const calm = random.next() < 0.1
  const reads = pick('lease' as const, 'quorum' as const)
  return {
    servers: pick(1, 1, 2, 3, 3, 3, 3, 5),
    raft: {
      tickMs: 100,
      electionTicks: pick(3, 5),
      reads,
      clockDriftMax: 0.05,
      appendBytesMax: pick(1, 100, 10_000),
      inFlightMax: pick(1, 4, 64),
      uncommittedBytesMax: pick(200, 100_000),
      applyBytesMax: pick(1, 100, 10_000),
      cacheBytesMax: pick(0, 100, 100_000),
      snapshotChunkBytes: pick(7, 30, 1000),
      pendingMax: pick(3, 1000),
    },
    logBytesMax: pick(200, 1000, 1_000_000),
    drift: reads === 'lease' ? pick(0, 0.0499) : pick(0, 0.3),
    lossRate: calm ? 0 : pick(0, 0.01, 0.1),
    latencyMsMax: pick(0, 5, 40),
    syncMsMax: pick(1, 10, 60),
    applyMsMax: pick(0, 3, 20),
    crashRate: calm ? 0 : pick(0, 0.001, 0.005),
    diskFailRate: calm ? 0 : pick(0, 0.003),
    snapshotFailRate: calm ? 0 : pick(0, 0.05),
    partitionMs: calm ? Infinity : often(1500),
    pauseMs: calm ? Infinity : often(2000),
    diskFullMs: calm ? Infinity : often(3000),
    closeMs: calm ? Infinity : often(2500),
    changeMs: often(1500),
    transferMs: often(2000),
    proposalMs: pick(10, 30, 80),
    readMs: pick(15, 50),
  }
}
