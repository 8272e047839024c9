/** What servers and network see of the world they are in. */
import type { Random } from '#base/random.ts'
import type { Raft } from '../raft.ts'
import type { LogReader, MemberId, Message, RaftOptions, Recovered } from '../types.ts'
import type { Checker } from './checker.ts'
import type { EventQueue } from './event-queue.ts'
import type { Plan } from './plan.ts'

export type Core = Pick<Raft, 'step' | 'status' | 'term' | 'baseAt' | 'compactIndexMax'>
/** The real one, or one that was broken on purpose. */
export type MakeCore = (options: RaftOptions, recovered: Recovered, reader: LogReader, random: Random, nowMs: number) => Core

export interface Surroundings {
  readonly random: Random
  readonly plan: Plan
  readonly queue: EventQueue
  readonly checker: Checker
  readonly makeCore: MakeCore
  readonly trace: (line: string) => void
  /** Faults are over. */
  readonly healing: boolean
  readonly tally: { steps: number; accepted: number; reads: number }
  /** Ids at and after it are of membership changes. */
  readonly firstChangeId: number
  send(message: Message): void
  /** This server has just done what others rely on: a good moment for an accident. */
  atDelicateMoment(member: MemberId): void
  deliver(message: Message): void
  /** Messages were lost, and the connection with them. */
  tellUnreachable(member: MemberId, other: MemberId): void
  tellReachable(member: MemberId, other: MemberId): void
  /** Starts a server that died, unless it is gone for good. */
  revive(member: MemberId): void
}
