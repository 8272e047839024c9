/**
 * Messages on their way out. What only says how far is committed waits a moment: mostly the next entries follow at once
 * and say it, too, and each message less is a record of TLS, and a waking of the other server, less. What is left out
 * then is as if it had got lost, which messages may: the next heartbeat says it again.
 */
import type { AppendMessage, MemberId, Message } from '../../raft/types.ts'

/** Turns of the event loop: from what is applied over who waits for it to what that proposes next. Where nothing follows they are over at once. */
const TURNS = 3

export class LateNews {
  readonly #send: (message: Message) => void
  readonly #soon: (turn: () => void) => void
  /** Of the last append to each. */
  readonly #rounds = new Map<MemberId, { term: number; round: number }>()
  readonly #waiting = new Map<MemberId, AppendMessage>()
  #turnsLeft = 0

  constructor(send: (message: Message) => void, soon: (turn: () => void) => void) {
    this.#send = send
    this.#soon = soon
  }

  send(message: Message): void {
    if (message.kind !== 'append') {
      this.#send(message)
      return
    }
    const { to, term, round, entries } = message
    const last = this.#rounds.get(to)
    if (entries.length === 0 && last?.term === term && last.round === round) {
      this.#waiting.set(to, message)
      this.#wait()
      return
    }
    // Whatever it says of commits is newer; as any message, the one that waited may get lost.
    this.#waiting.delete(to)
    this.#rounds.set(to, { term, round })
    this.#send(message)
  }

  #wait(): void {
    if (this.#turnsLeft > 0) return
    this.#turnsLeft = TURNS
    this.#turn()
  }

  #turn(): void {
    this.#soon(() => {
      if (--this.#turnsLeft > 0) {
        this.#turn()
        return
      }
      const waiting = [...this.#waiting.values()]
      this.#waiting.clear()
      for (const message of waiting) this.#send(message)
    })
  }
}
