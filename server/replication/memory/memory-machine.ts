/** The simplest state machine: the list of what was proposed, in order. For tests of drivers and transports. */
import { assert, CodedError } from '#base/errors.ts'
import type { Entry, LogBase, LogIndex, Recovered, Snapshot } from '../../raft/types.ts'
import type { BatchOp, SnapshotSource, StateMachine } from '../contract.ts'

/** What a restart finds: give it to the next MemoryMachine. */
export interface MemoryMachineState {
  applied: LogIndex
  values: readonly string[]
  partial: { snapshot: Snapshot; bytes: Buffer; complete: boolean } | undefined
}

export function emptyMachineState(): MemoryMachineState {
  return { applied: 0, values: [], partial: undefined }
}

export class MemoryMachine implements StateMachine {
  readonly state: MemoryMachineState
  readonly partialSnapshot: Recovered['partialSnapshot']
  openSnapshots = 0
  isClosed = false

  constructor(state: MemoryMachineState) {
    this.state = state
    const { partial } = state
    this.partialSnapshot = partial && { snapshot: partial.snapshot, offsetBytes: partial.bytes.length, complete: partial.complete }
  }

  get applied(): LogIndex {
    return this.state.applied
  }

  async apply(entries: readonly Entry[]): Promise<void> {
    for (const entry of entries) {
      assert(entry.index === this.state.applied + 1, `entry ${entry.index} is applied after ${this.state.applied}`)
      this.state.applied = entry.index
      if (entry.kind === 'normal') this.state.values = [...this.state.values, entry.data.toString()]
    }
  }

  async openSnapshot(baseAt: (index: LogIndex) => LogBase): Promise<SnapshotSource> {
    const base = baseAt(this.state.applied)
    const bytes = Buffer.from(JSON.stringify(this.state.values))
    this.openSnapshots++
    return {
      snapshot: { ...base, id: `list-${base.index}-${base.term}` },
      read: async (offsetBytes, bytesMax) => ({ data: bytes.subarray(offsetBytes, offsetBytes + bytesMax), last: offsetBytes + bytesMax >= bytes.length }),
      close: async () => { this.openSnapshots-- },
    }
  }

  async receive(snapshot: Snapshot, offsetBytes: number, data: Buffer, last: boolean): Promise<void> {
    const { partial } = this.state
    const before = offsetBytes > 0 && partial?.snapshot.id === snapshot.id ? partial.bytes : Buffer.alloc(0)
    assert(before.length === offsetBytes, `snapshot ${snapshot.id} goes on at ${offsetBytes}, and there are ${before.length} bytes`)
    const bytes = Buffer.concat([before, data])
    if (last) valuesOf(bytes)
    this.state.partial = { snapshot, bytes, complete: last }
  }

  async discard(snapshotId: string): Promise<void> {
    if (this.state.partial?.snapshot.id === snapshotId) this.state.partial = undefined
  }

  async install(snapshot: Snapshot, _logReset: readonly BatchOp[]): Promise<void> {
    const { partial } = this.state
    assert(partial?.snapshot.id === snapshot.id && partial.complete, `snapshot ${snapshot.id} was not received`)
    this.state.values = valuesOf(partial.bytes)
    this.state.applied = snapshot.index
    this.state.partial = undefined
  }

  async close(): Promise<void> {
    this.isClosed = true
  }
}

function valuesOf(bytes: Buffer): string[] {
  try {
    return JSON.parse(bytes.toString()) as string[]
  } catch (cause) {
    throw new CodedError('SNAPSHOT_DAMAGED', 'the received list is not one', { cause })
  }
}
