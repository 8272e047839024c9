/** What servers see of the world they are in, and what parts of a server see of it. */
import type { Random } from '#base/random.ts'
import type { Checker } from '../../../raft/sim/checker.ts'
import type { Disk, MachineState } from '../../../raft/sim/disk.ts'
import type { EventQueue } from '../../../raft/sim/event-queue.ts'
import type { MemberId } from '../../../raft/types.ts'
import type { ReplicaNode } from '../../contract.ts'
import type { openReplica } from '../replica.ts'
import type { MemoryNetwork } from '../../memory/memory-network.ts'
import type { Plan } from './plan.ts'

/** The real driver, or one that was broken on purpose. */
export type OpenReplica = typeof openReplica

export interface Surroundings {
  readonly openReplica: OpenReplica
  readonly random: Random
  readonly plan: Plan
  readonly queue: EventQueue
  readonly checker: Checker
  readonly network: MemoryNetwork
  readonly trace: (line: string) => void
  readonly tally: { messages: number; wrote: number; read: number; installed: number }
  /** Faults are over. */
  readonly healing: boolean
  readonly syncMsMax: number
  /** The first one counts; the world stops at it. */
  violated(error: unknown): void
  /** What `run` throws is a violation. */
  check<T>(run: () => T): T
  /** A fault of this rate, now. */
  happens(rate: number): boolean
  downMs(): number
  revive(member: MemberId): void
}

/** What dies with the process. */
export class Life {
  isDead = false
  isClosing = false
  node: ReplicaNode | undefined
  machine: MachineState
  openSources = 0
  /** When each call without an outcome was made. */
  readonly waiting = new Map<number, number>()

  constructor(machine: MachineState) {
    this.machine = machine
  }
}

/** What the ghost of a dead process waits for. */
export function never(): Promise<never> {
  return new Promise(() => undefined)
}

/** A server, to its disk, state machine and transport. */
export interface Host {
  readonly id: MemberId
  readonly disk: Disk
  /** In this process's time: not before it goes on after a pause, and never after its death. */
  later(life: Life, ms: number, run: () => void): void
  /** Where the driver waits. Never comes back to one that is dead. */
  wait(life: Life, msMax: number): Promise<void>
  mayDie(life: Life): void
}
