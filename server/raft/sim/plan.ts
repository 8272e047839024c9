/** How bad a day a seed stands for: sizes, limits and the rates of everything that may go wrong. */
import type { Random } from '#base/random.ts'
import type { RaftOptions } from '../types.ts'

export interface Plan {
  readonly servers: number
  readonly options: Omit<RaftOptions, 'id'>
  /** Clocks run off true time by at most this fraction; with `clockJumps` they also leap in both directions. */
  readonly drift: number
  readonly clockJumps: boolean
  readonly lossRate: number
  readonly doubleRate: number
  /** Of messages that take much longer than the others. */
  readonly lateRate: number
  /** Of votes that arrive when their election may be long over. */
  readonly lateVoteRate: number
  readonly latencyMsMax: number
  readonly lateMsMax: number
  /** Mean time between such events, in the whole world; Infinity: never. */
  readonly partitionMs: number
  readonly crashMs: number
  readonly pauseMs: number
  readonly changeMs: number
  /** The administrator only adds servers without a vote. */
  readonly onlyLearners: boolean
  readonly transferMs: number
  readonly compactMs: number
  readonly diskFullMs: number
  readonly lostDiskMs: number
  /** Of steps in the midst of which a server dies. */
  readonly crashInStepRate: number
  /** Of votes given, elections won and changes of members begun, after which that server at once dies or is cut off. */
  readonly momentRate: number
  readonly diskFailRate: number
  readonly syncMsMax: number
  readonly proposalMs: number
  readonly readMs: number
  /** Entries that stay in the log when it is compacted. */
  readonly keepEntries: number
  /** Servers at the same index make the same snapshot bytes, so that another leader can go on with a transfer. */
  readonly sameSnapshots: boolean
}

/**
 * calm: nothing fails. mixed: a bit of everything. The others look long at one thing: elections (leaders that come and
 * go within moments, messages that arrive terms later), clocks (leaders that are parted from the rest while clients
 * read and write on both sides), members (changes upon changes while servers die).
 */
const MOODS = ['calm', 'mixed', 'mixed', 'mixed', 'elections', 'elections', 'clocks', 'clocks', 'members', 'members'] as const

export function makePlan(random: Random): Plan {
  const pick = <T>(...from: readonly T[]): T => from[Math.floor(random.next() * from.length)] as T
  const maybe = (chance: number) => random.next() < chance
  const mood = pick(...MOODS)
  const calm = mood === 'calm'
  const mixed = mood === 'mixed'
  const often = (ms: number) => (calm || maybe(mixed ? 0.35 : 0.7) ? Infinity : ms * (0.3 + 2 * random.next()))
  const mostly = (ms: number) => (maybe(0.15) ? Infinity : ms * (0.3 + 2 * random.next()))
  // Few bytes at a time find other paths; with more than that can carry, they would only build up a queue.
  const appendBytesMax = mood === 'elections' ? pick(1, 1, 4000) : pick(1, 40, 4000)
  const inFlightMax = pick(1, 2, 8)
  const narrow = appendBytesMax === 1 || inFlightMax === 1
  const reads = mood === 'clocks' ? pick('lease', 'lease', 'quorum') : pick('lease', 'quorum')
  const plan: Plan = {
    servers: pick(1, 2, 3, 3, 3, 3, 4, 5, 5, 5, 6, 7),
    options: {
      tickMs: 100,
      heartbeatTicks: 1,
      electionTicks: mixed ? pick(3, 4, 6) : pick(3, 3, 4),
      reads,
      clockDriftMax: 0.05,
      appendBytesMax,
      inFlightMax,
      inFlightBytesMax: pick(40, 100_000),
      uncommittedBytesMax: pick(100, 100_000),
      applyBytesMax: pick(1, 60, 100_000),
      cacheBytesMax: pick(0, 50, 100_000),
      snapshotChunkBytes: pick(7, 30, 1000),
      pendingMax: pick(2, 1000),
    },
    // Just within what the lease allows for, or far beyond it where nothing depends on the clock.
    drift: reads === 'lease' ? pick(0, 0.0499) : pick(0, 0.3),
    clockJumps: reads === 'quorum' && maybe(0.5),
    lossRate: calm ? 0 : pick(0, 0.01, 0.05, 0.2),
    doubleRate: calm ? 0 : pick(0, 0.02, 0.2),
    lateRate: calm ? 0 : pick(0, 0.02, 0.1),
    lateVoteRate: 0,
    latencyMsMax: pick(2, 10, 60),
    lateMsMax: pick(300, 1000, 3000),
    partitionMs: often(1500),
    crashMs: often(1500),
    pauseMs: often(2500),
    changeMs: often(2000),
    onlyLearners: maybe(0.2),
    transferMs: often(1500),
    compactMs: maybe(0.7) ? 100 + 1500 * random.next() : Infinity,
    diskFullMs: often(4000),
    lostDiskMs: often(6000),
    crashInStepRate: calm ? 0 : pick(0, 0, 0.002, 0.01),
    momentRate: calm ? 0 : pick(0, 0.1, 0.3),
    diskFailRate: calm ? 0 : pick(0, 0, 0.003),
    syncMsMax: pick(1, 10, 40, 150),
    proposalMs: narrow ? pick(60, 100) : pick(5, 20, 60),
    readMs: pick(10, 30, 100),
    keepEntries: pick(0, 5, 50),
    sameSnapshots: maybe(0.7),
  }
  switch (mood) {
    case 'elections': return { ...plan, servers: pick(1, 3, 3, 3, 5), lateRate: pick(0.05, 0.3, 0.5), lateVoteRate: pick(0, 0.6), lateMsMax: pick(300, 800), momentRate: pick(0.2, 0.5, 0.8), crashMs: mostly(800), partitionMs: often(1000) }
    case 'clocks': return { ...plan, servers: pick(2, 3, 3, 5), lossRate: 0, latencyMsMax: pick(2, 10), syncMsMax: pick(1, 10), partitionMs: mostly(700), pauseMs: mostly(900), transferMs: mostly(900), proposalMs: 10, readMs: 5, momentRate: pick(0, 0.1, 0.5) }
    case 'members': return { ...plan, servers: pick(1, 2, 3, 3, 4), latencyMsMax: pick(2, 10), changeMs: 400, momentRate: pick(0.05, 0.2, 0.5), crashMs: mostly(1200) }
    default: return plan
  }
}
