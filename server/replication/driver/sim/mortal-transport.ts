/** The memory transport of a process that may die with each message. */
import type { MemberId } from '../../../raft/types.ts'
import type { Transport } from '../../contract.ts'
import type { Host, Life, Surroundings } from './surroundings.ts'

/** Each message is a moment to die at; a dead process says nothing. */
export class MortalTransport implements Transport {
  readonly #transport: Transport
  readonly #world: Surroundings
  readonly #server: Host
  readonly #life: Life

  constructor(transport: Transport, world: Surroundings, server: Host, life: Life) {
    this.#transport = transport
    this.#world = world
    this.#server = server
    this.#life = life
  }

  start(handlers: Parameters<Transport['start']>[0]): void {
    this.#transport.start({
      ...handlers,
      message: (message) => this.#server.later(this.#life, 0, () => handlers.message(message)),
    })
  }

  setPeers(peers: ReadonlyMap<MemberId, string>): void {
    this.#transport.setPeers(peers)
  }

  send(message: Parameters<Transport['send']>[0]): void {
    if (this.#life.isDead) return
    this.#transport.send(message)
    this.#world.tally.messages++
    if (this.#world.random.next() < MESSAGE_SHARE) this.#server.mayDie(this.#life)
  }

  sendVolatile(to: MemberId, data: Buffer): boolean {
    return !this.#life.isDead && this.#transport.sendVolatile(to, data)
  }

  close(): Promise<void> {
    return this.#transport.close()
  }
}

/** There are many more messages than other moments. */
const MESSAGE_SHARE = 0.2
