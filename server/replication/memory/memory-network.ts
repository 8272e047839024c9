/**
 * A network of members in one process: ordered per pair, at most once, as `Transport` promises; with losses, delays and
 * cut links where a test wants them. What is lost is told to the sender, as a broken connection is.
 */
import type { Clock } from '#base/clock.ts'
import type { Random } from '#base/random.ts'
import type { MemberId, Message } from '../../raft/types.ts'
import type { Transport, TransportHandlers } from '../contract.ts'

export interface MemoryNetworkOptions {
  readonly clock: Clock
  readonly random: Random
  /** Each message takes between nothing and this long. 0: it is there with the next `soon`. */
  readonly latencyMsMax?: number
  readonly soon?: (deliver: () => void) => void
}

type Parcel = { readonly kind: 'message'; readonly message: Message } | { readonly kind: 'volatile'; readonly data: Buffer }

export class MemoryNetwork {
  latencyMsMax: number
  /** Of messages. A lost one takes with it what is on its way behind it, as a connection does. */
  lossRate = 0
  readonly #clock: Clock
  readonly #random: Random
  readonly #soon: (deliver: () => void) => void
  readonly #endpoints = new Map<MemberId, Endpoint>()
  /** `from>to`. */
  readonly #cut = new Set<string>()
  /** Per pair: when the last one on its way arrives, and which connection it is on. */
  readonly #links = new Map<string, { dueMs: number; connection: number }>()

  constructor(options: MemoryNetworkOptions) {
    this.#clock = options.clock
    this.#random = options.random
    this.latencyMsMax = options.latencyMsMax ?? 0
    this.#soon = options.soon ?? ((deliver) => { setImmediate(deliver) })
  }

  /** Of a process that starts: what is on its way to a former one of this id is lost. */
  transport(id: MemberId): Transport {
    this.#endpoints.get(id)?.kill()
    const endpoint = new Endpoint(this, id)
    this.#endpoints.set(id, endpoint)
    this.#soon(() => { for (const other of this.#endpoints.values()) if (other.id !== id) this.#tellReachable(other, endpoint) })
    return endpoint
  }

  /** The process is gone: it neither says nor hears anything from now on, and who was connected to it notices. */
  kill(id: MemberId): void {
    this.#endpoints.get(id)?.kill()
    for (const other of this.#endpoints.values()) if (other.id !== id && !this.#cut.has(`${id}>${other.id}`)) this.#soon(() => other.handlers?.disconnected(id))
  }

  /** Parts `group` from all others, or cuts only what goes out of it or comes in. */
  partition(group: ReadonlySet<MemberId>, direction: 'both' | 'out' | 'in' = 'both'): void {
    for (const inside of group) {
      for (const outside of this.#endpoints.keys()) {
        if (group.has(outside)) continue
        if (direction !== 'in') this.#cut.add(`${inside}>${outside}`)
        if (direction !== 'out') this.#cut.add(`${outside}>${inside}`)
      }
    }
  }

  heal(): void {
    const pairs = [...this.#cut].map((pair) => pair.split('>').map((id) => this.#endpoints.get(Number(id))))
    this.#cut.clear()
    this.#soon(() => { for (const [from, to] of pairs) if (from && to) this.#tellReachable(from, to) })
  }

  #tellReachable(a: Endpoint, b: Endpoint): void {
    if (!a.isUp || !b.isUp || this.#cut.has(`${a.id}>${b.id}`) || this.#cut.has(`${b.id}>${a.id}`)) return
    a.handlers?.reachable(b.id)
    b.handlers?.reachable(a.id)
  }

  /** False: it is lost. */
  send(sender: Endpoint, to: MemberId, parcel: Parcel): boolean {
    const pair = `${sender.id}>${to}`
    const receiver = this.#endpoints.get(to)
    const link = this.#links.get(pair) ?? { dueMs: 0, connection: 0 }
    this.#links.set(pair, link)
    if (!receiver?.isUp || this.#cut.has(pair) || (this.lossRate > 0 && this.#random.next() < this.lossRate)) {
      link.connection++
      this.#soon(() => {
        sender.handlers?.unreachable(to)
        sender.handlers?.disconnected(to)
      })
      return false
    }
    const { connection } = link
    const deliver = () => {
      if (link.connection === connection && receiver.isUp && !this.#cut.has(pair)) receiver.take(sender.id, parcel)
    }
    if (this.latencyMsMax === 0) {
      this.#soon(deliver)
      return true
    }
    const nowMs = this.#clock.monotonicMs()
    link.dueMs = Math.max(link.dueMs, nowMs + this.#random.next() * this.latencyMsMax)
    this.#clock.after(link.dueMs - nowMs, deliver)
    return true
  }
}

class Endpoint implements Transport {
  readonly id: MemberId
  handlers: TransportHandlers | undefined
  readonly #network: MemoryNetwork
  /** Peers, and who called: nobody else can be reached. */
  #known: ReadonlySet<MemberId> = new Set()
  readonly #callers = new Set<MemberId>()

  constructor(network: MemoryNetwork, id: MemberId) {
    this.#network = network
    this.id = id
  }

  get isUp(): boolean {
    return this.handlers !== undefined
  }

  start(handlers: TransportHandlers): void {
    this.handlers = handlers
  }

  setPeers(peers: ReadonlyMap<MemberId, string>): void {
    this.#known = new Set(peers.keys())
  }

  send(message: Message): void {
    this.#send(message.to, { kind: 'message', message })
  }

  sendVolatile(to: MemberId, data: Buffer): boolean {
    return this.#send(to, { kind: 'volatile', data })
  }

  take(from: MemberId, parcel: Parcel): void {
    this.#callers.add(from)
    if (parcel.kind === 'message') this.handlers?.message(parcel.message)
    else this.handlers?.volatile(from, parcel.data)
  }

  kill(): void {
    this.handlers = undefined
  }

  async close(): Promise<void> {
    this.kill()
  }

  #send(to: MemberId, parcel: Parcel): boolean {
    return this.isUp && (this.#known.has(to) || this.#callers.has(to)) && this.#network.send(this, to, parcel)
  }
}
