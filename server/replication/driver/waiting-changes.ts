/** Changes of members that are in the log, until the configuration they lead to is settled. */
import { isJoint } from '../../raft/configuration.ts'
import type { LogIndex, RaftStatus } from '../../raft/types.ts'

interface WaitingChange {
  readonly index: LogIndex
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export class WaitingChanges {
  #all: WaitingChange[] = []

  get isEmpty(): boolean {
    return this.#all.length === 0
  }

  wait(index: LogIndex): Promise<void> {
    return new Promise((resolve, reject) => this.#all.push({ index, resolve, reject }))
  }

  /** A change is done when its entry is applied and the configuration in force is committed and not joint. */
  settle(applied: LogIndex, { configuration, configurationIndex }: RaftStatus): void {
    if (isJoint(configuration) || configurationIndex > applied) return
    for (const change of this.#all.filter((c) => c.index <= applied)) change.resolve()
    this.#all = this.#all.filter((c) => c.index > applied)
  }

  rejectAll(error: Error): void {
    for (const change of this.#all.splice(0)) change.reject(error)
  }
}
