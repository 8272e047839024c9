/**
 * A simulated disk: what was synced stays, what was only written may be lost or torn by a crash. Also what a log storage
 * makes of it at the next start.
 */
import type { Random } from '#base/random.ts'
import { LogSummary } from '../log-summary.ts'
import { NOBODY } from '../types.ts'
import type { Configuration, Entry, HardState, LogBase, LogIndex, LogReader, Persist, Recovered, Snapshot, Term } from '../types.ts'

/** The state machine: a chain over all entries applied, so that equal states have equal pasts. */
export interface MachineState {
  readonly index: LogIndex
  readonly chain: number
}

export class Disk implements LogReader {
  hardState: HardState = { term: 0, vote: NOBODY }
  base: LogBase
  /** Entries after the base. */
  log: Entry[] = []
  /** What the state machine wrote back last. */
  machine: MachineState = { index: 0, chain: 0 }
  partial: { snapshot: Snapshot; bytes: Buffer; complete: boolean } | undefined
  full = false
  /** Written, not synced, in order. */
  #written: Persist[] = []

  constructor(configuration: Configuration) {
    this.base = { index: 0, term: 0, configuration }
  }

  get lastIndex(): LogIndex {
    return this.base.index + this.log.length
  }

  /** Of what is synced. */
  term(index: LogIndex): Term | undefined {
    return index === this.base.index ? this.base.term : this.log[index - this.base.index - 1]?.term
  }

  entries(low: LogIndex, high: LogIndex, bytesMax: number): readonly Entry[] {
    const found: Entry[] = []
    let bytes = 0
    for (let i = low; i < high; i++) {
      const entry = this.log[i - this.base.index - 1]
      if (!entry) throw new Error(`the disk has no entry ${i} (${this.base.index + 1} to ${this.lastIndex})`)
      bytes += entry.data.length
      if (found.length > 0 && bytes > bytesMax) break
      found.push(entry)
    }
    return found
  }

  write(persist: Persist): void {
    this.#written.push(persist)
  }

  sync(): void {
    for (const persist of this.#written) this.#keep(persist, persist.entries.length)
    this.#written = []
  }

  /** Power is lost: of what was not synced some came through in order, the next one perhaps in part, the rest is gone. */
  crash(random: Random): void {
    for (const persist of this.#written) {
      if (random.next() < 0.5) {
        // A snapshot is swapped in whole or not at all; of the entries any number may have arrived.
        if (persist.snapshot === undefined && random.next() < 0.5) this.#keep(persist, Math.floor(random.next() * persist.entries.length))
        break
      }
      this.#keep(persist, persist.entries.length)
    }
    this.#written = []
  }

  /** As no disk may: what was synced after `index` is gone. */
  forget(index: LogIndex): void {
    this.log.length = Math.max(0, index - this.base.index)
    if (this.machine.index > index) this.machine = { index: this.base.index, chain: 0 }
  }

  compact(base: LogBase): void {
    this.log = this.log.slice(base.index - this.base.index)
    this.base = base
  }

  recover(): Recovered {
    const summary = new LogSummary(this.base)
    for (const entry of this.log) summary.add(entry)
    return {
      hardState: this.hardState,
      base: this.base,
      lastIndex: summary.lastIndex,
      terms: summary.terms,
      configurations: summary.configurations,
      applied: this.machine.index,
      partialSnapshot: this.partial && { snapshot: this.partial.snapshot, offsetBytes: this.partial.bytes.length, complete: this.partial.complete },
    }
  }

  #keep(persist: Persist, entries: number): void {
    if (persist.hardState) this.hardState = persist.hardState
    if (persist.snapshot) {
      const { snapshot } = persist
      if (this.partial?.snapshot.id !== snapshot.id || !this.partial.complete) throw new Error(`snapshot ${snapshot.id} is installed but was not received`)
      this.base = { index: snapshot.index, term: snapshot.term, configuration: snapshot.configuration }
      this.log = []
      this.machine = machineOfBytes(this.partial.bytes)
      this.partial = undefined
    }
    const first = persist.entries[0]
    if (!first) return
    if (first.index <= this.base.index || first.index > this.lastIndex + 1) throw new Error(`entry ${first.index} is written to a log of ${this.base.index + 1} to ${this.lastIndex}`)
    this.log.length = first.index - this.base.index - 1
    for (let i = 0; i < entries; i++) this.log.push(persist.entries[i] as Entry)
  }
}

/** Of some length that follows from the state, so that equal states have equal bytes. */
export function bytesOfMachine(state: MachineState): Buffer {
  return Buffer.from(JSON.stringify(state) + ' '.repeat((state.index * 7) % 61))
}

export function machineOfBytes(bytes: Buffer): MachineState {
  const { index, chain } = JSON.parse(bytes.toString()) as MachineState
  return { index, chain }
}

/** FNV-1a over what an entry is. */
export function nextChain(chain: number, entry: Entry): number {
  let hash = Math.imul(chain ^ entry.term, 0x01000193) ^ entry.index
  for (const byte of entry.data) hash = Math.imul(hash ^ byte, 0x01000193)
  return hash >>> 0
}
