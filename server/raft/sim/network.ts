/** A simulated network: messages get lost, doubled, delayed and out of order; links break in one direction or both. */
import type { MemberId, Message } from '../types.ts'
import type { Surroundings } from './surroundings.ts'

export class Network {
  readonly #world: Surroundings
  /** Directed links that carry nothing: `from > to`. */
  readonly #cut = new Set<string>()

  constructor(world: Surroundings) {
    this.#world = world
  }

  send(message: Message): void {
    const { random, plan, healing } = this.#world
    const { from, to } = message
    if (this.#cut.size > 0 && this.#cut.has(`${from}>${to}`) || (!healing && random.next() < plan.lossRate)) {
      // Often, not always, the sender's transport notices.
      if (random.next() < 0.3) this.#world.tellUnreachable(from, to)
      return
    }
    this.#deliverLater(message)
    // The transport's promise: these at most once.
    if (!healing && message.kind !== 'forward' && random.next() < plan.doubleRate) this.#deliverLater(message)
  }

  /** Parts `group` from the rest, or cuts only what goes out of it or comes in. */
  partition(group: ReadonlySet<MemberId>, all: readonly MemberId[], direction: 'both' | 'out' | 'in'): void {
    for (const inside of group) {
      for (const outside of all) {
        if (group.has(outside)) continue
        if (direction !== 'in') this.#cut.add(`${inside}>${outside}`)
        if (direction !== 'out') this.#cut.add(`${outside}>${inside}`)
      }
    }
  }

  heal(): void {
    const pairs = [...this.#cut].map((pair) => pair.split('>').map(Number) as [MemberId, MemberId])
    this.#cut.clear()
    for (const [from, to] of pairs) this.#world.tellReachable(from, to)
  }

  #deliverLater(message: Message): void {
    const { random, plan, queue, healing } = this.#world
    const lateVote = message.kind === 'voteAnswer' && !message.pre && plan.lateVoteRate > 0 && random.next() < plan.lateVoteRate
    const delay = lateVote && !healing ? random.next() * LATE_VOTE_MS_MAX : !healing && random.next() < plan.lateRate ? random.next() * plan.lateMsMax : 0.2 + random.next() * (healing ? 2 : plan.latencyMsMax)
    queue.after(delay, () => this.#world.deliver(message))
  }
}

/** A few elections. */
const LATE_VOTE_MS_MAX = 1500
