/** What must hold in every world at every step (section 3.5 of the paper's safety properties, and what clients may rely on). */
import { hasQuorum } from '../quorum.ts'
import type { Configuration, Entry, LogIndex, MemberId, RaftStatus, Term } from '../types.ts'
import { nextChain } from './disk.ts'
import type { Disk, MachineState } from './disk.ts'

export class Violation extends Error {
  constructor(rule: string, what: string) {
    super(`${rule}: ${what}`)
    this.name = 'Violation'
  }
}

export class Checker {
  /** Every disk there ever was: what is on one that was lost counted when it was there. */
  readonly disks = new Map<MemberId, Disk>()
  readonly #leaders = new Map<Term, MemberId>()
  /** By index: each entry that was ever in a log, by term, with the term before it. */
  readonly #entries: Map<Term, { readonly data: Buffer; readonly prevTerm: Term | undefined }>[] = []
  /** By index: the committed one's term. Index 0 is before the first. */
  readonly committed: Term[] = [0]
  /** By index: the term of the leader that committed it, which is later than the entry's own where it came with a later one (section 3.6.2). */
  readonly #committedIn: Term[] = [0]
  /** By index: what any server applied there, and the state it leads to. */
  readonly #applied: { readonly term: Term; readonly proposal: number; readonly chain: number }[] = [{ term: 0, proposal: 0, chain: 0 }]
  readonly #proposalsApplied = new Set<number>()
  /** Proposals that servers said never will be in the log. */
  readonly #refused = new Set<number>()
  /** The furthest state that any finished operation has shown to a client. */
  seen: LogIndex = 0

  /** Election safety: at most one leader per term. Leader completeness: it has all that was committed. */
  elected(status: RaftStatus, termAt: (index: LogIndex) => Term | undefined): void {
    const other = this.#leaders.get(status.term)
    if (other !== undefined && other !== status.id) throw new Violation('election safety', `${other} and ${status.id} lead in term ${status.term}`)
    this.#leaders.set(status.term, status.id)
    // Log matching carries it to all before. What later leaders committed, of any term, may be known already: this one may
    // have won an election that is long over, by a vote that was late.
    let last = this.committed.length - 1
    while ((this.#committedIn[last] ?? 0) >= status.term && last > 0) last--
    if (last >= status.base && termAt(last) !== this.committed[last]) throw new Violation('leader completeness', `${status.id} leads in term ${status.term} with term ${termAt(last)} at ${last}, committed with ${this.committed[last]}`)
  }

  /** Log matching: an index and a term stand for one entry and, by induction, for one past. */
  appended(member: MemberId, entry: Entry, prevTerm: Term | undefined): void {
    const terms = (this.#entries[entry.index] ??= new Map())
    const known = terms.get(entry.term)
    if (!known) {
      terms.set(entry.term, { data: entry.data, prevTerm })
      return
    }
    if (!known.data.equals(entry.data)) throw new Violation('log matching', `${member} has another entry ${entry.index} of term ${entry.term} than others`)
    if (known.prevTerm !== undefined && prevTerm !== undefined && known.prevTerm !== prevTerm) throw new Violation('log matching', `${member} has term ${prevTerm} before entry ${entry.index} of term ${entry.term}, others ${known.prevTerm}`)
  }

  /** Commit indexes grow, agree, and a leader's stand on disks of a quorum. */
  advanced(before: RaftStatus, after: RaftStatus, termAt: (index: LogIndex) => Term | undefined): void {
    if (after.commit < before.commit) throw new Violation('commit index', `${after.id} goes back from ${before.commit} to ${after.commit}`)
    if (after.commit === before.commit) return
    for (let i = before.commit + 1; i <= after.commit; i++) {
      const term = termAt(i)
      const known = this.committed[i]
      if (term === undefined) {
        if (known === undefined) throw new Violation('commit index', `${after.id} commits ${i} without having it`)
      } else if (known === undefined) {
        this.committed[i] = term
        this.#committedIn[i] = after.term
      }
      else if (known !== term) throw new Violation('state machine safety', `${after.id} commits ${i} with term ${term}, others with ${known}`)
    }
    if (after.role !== 'leader') return
    const term = termAt(after.commit)
    if (!this.#isStored(before.configuration, after.commit, term) && !this.#isStored(after.configuration, after.commit, term)) throw new Violation('durability', `${after.id} commits ${after.commit} of term ${term} before a quorum has it on disk`)
    // Where members never changed; else a server may judge by another configuration.
    if (after.configurationIndex === 0 && !this.#isForGood(after.configuration, after.commit, term)) throw new Violation('permanence', `${after.id} commits ${after.commit} of term ${term}, and a server without it could be elected`)
  }

  /** What is committed can never be lost: no server without it has a log that a quorum would vote for (section 3.6.3). */
  #isForGood(configuration: Configuration, index: LogIndex, term: Term | undefined): boolean {
    return configuration.voters.every((member) => {
      const disk = this.disks.get(member)
      if (!disk || index < disk.base.index || disk.term(index) === term) return true
      const lastTerm = disk.term(disk.lastIndex) ?? 0
      return !hasQuorum(configuration, (voter) => {
        const other = this.disks.get(voter)
        const otherTerm = other?.term(other.lastIndex) ?? 0
        return other !== undefined && (lastTerm > otherTerm || (lastTerm === otherTerm && disk.lastIndex >= other.lastIndex))
      })
    })
  }

  #isStored(configuration: Configuration, index: LogIndex, term: Term | undefined): boolean {
    return hasQuorum(configuration, (member) => {
      const disk = this.disks.get(member)
      return disk !== undefined && (index < disk.base.index || disk.term(index) === term)
    })
  }

  /** State machine safety: the same entry at the same index everywhere, each proposal once, none that was refused. */
  applied(member: MemberId, state: MachineState, entry: Entry): MachineState {
    if (entry.index !== state.index + 1) throw new Violation('state machine safety', `${member} applies ${entry.index} after ${state.index}`)
    const chain = nextChain(state.chain, entry)
    const known = this.#applied[entry.index]
    if (!known) {
      const proposal = entry.kind === 'normal' ? entry.data.readUInt32BE(0) : 0
      if (proposal !== 0) {
        if (this.#proposalsApplied.has(proposal)) throw new Violation('at most once', `proposal ${proposal} is applied again at ${entry.index}`)
        this.#proposalsApplied.add(proposal)
      }
      if (this.#refused.has(proposal)) throw new Violation('refusal', `proposal ${proposal} was refused and is applied at ${entry.index}`)
      this.#applied[entry.index] = { term: entry.term, proposal, chain }
    } else if (known.chain !== chain) throw new Violation('state machine safety', `${member} applies another entry at ${entry.index} than others`)
    return { index: entry.index, chain }
  }

  /** A state that came as a snapshot or from a disk is one that all agree on. */
  restored(member: MemberId, state: MachineState): void {
    if (this.#applied[state.index]?.chain !== state.chain) throw new Violation('state machine safety', `${member} has a state at ${state.index} that nobody applied`)
  }

  refused(proposal: number): void {
    if (this.#proposalsApplied.has(proposal)) throw new Violation('refusal', `proposal ${proposal} is refused after it was applied`)
    this.#refused.add(proposal)
  }

  /**
   * Linearizability, with the log as the order of operations: a write took effect after all that was seen before it
   * began, and a read shows it. Returns nothing; what was seen now binds later operations.
   */
  wrote(proposal: number, index: LogIndex, seenBefore: LogIndex): void {
    if (this.#applied[index]?.proposal !== proposal) throw new Violation('durability', `proposal ${proposal} is acknowledged at ${index}, where ${this.#applied[index]?.proposal} is`)
    if (index <= seenBefore) throw new Violation('linearizability', `proposal ${proposal} took effect at ${index}, though ${seenBefore} was seen before it was made`)
    this.seen = Math.max(this.seen, index)
  }

  read(member: MemberId, state: MachineState, seenBefore: LogIndex): void {
    if (state.index < seenBefore) throw new Violation('linearizability', `${member} answers a read with state ${state.index}, though ${seenBefore} was seen before it was asked`)
    this.restored(member, state)
    this.seen = Math.max(this.seen, state.index)
  }

  appliedTerm(index: LogIndex): Term | undefined {
    return this.#applied[index]?.term
  }

  get appliedIndex(): LogIndex {
    return this.#applied.length - 1
  }
}
