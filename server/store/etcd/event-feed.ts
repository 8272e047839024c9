/**
 * All changes below the prefix as they happen in etcd, in order, each once, whatever becomes of connections and members: a
 * watch that ends is begun again, on the next member, right after the last revision that was delivered whole.
 */
import type { Clock } from '#base/clock.ts'
import { asError, CodedError } from '#base/errors.ts'
import type { GrpcStream } from '#base/grpc/grpc-client.ts'
import type { Log } from '#base/log.ts'
import type { Revision } from '../store.ts'
import type { KeySpace } from './key-space.ts'
import type { Members } from './members.ts'
import { ETCD, type EtcdEvent, type WatchResponse } from './messages.ts'

export interface FeedOptions {
  members: Members
  keys: KeySpace
  /** Delivered is what came after this. */
  afterRevision: Revision
  clock: Clock
  log: Log
  /** Everything up to `revision` has been delivered with this; no events: nothing of ours happened since. */
  onRevision: (revision: Revision, events: readonly EtcdEvent[]) => void
  /** What happened meanwhile has been compacted away: it is over. */
  onLost: (error: CodedError) => void
}

const RETRY_MS = 50
const RETRY_MS_MAX = 2_000

type Stream = GrpcStream<{ create?: Parameters<typeof createRequest>[0]; progress?: Record<never, never> }>

export class EventFeed {
  readonly #options: FeedOptions
  readonly #stop = new AbortController()
  #revision: Revision
  #stream: Stream | undefined
  /** Whether what the member answers to a progress request can be relied on. */
  #answersProgress = false
  /** Of an answer that etcd cut into pieces. */
  #fragments: EtcdEvent[] = []

  constructor(options: FeedOptions) {
    this.#options = options
    this.#revision = options.afterRevision
  }

  /** Resolves when it runs for the first time; goes on until `close`. */
  start(): Promise<void> {
    const first = Promise.withResolvers<void>()
    void this.#keepRunning(first.resolve)
    return first.promise
  }

  /** Asks how far etcd is, where that is of use; false: this member cannot say. */
  askProgress(): boolean {
    if (!this.#answersProgress || !this.#stream) return false
    this.#stream.send({ progress: {} })
    return true
  }

  close(): void {
    this.#stop.abort()
    this.#stream?.cancel()
  }

  async #keepRunning(onFirst: () => void): Promise<void> {
    const { clock, log, members } = this.#options
    let waitMs = RETRY_MS
    while (!this.#stop.signal.aborted) {
      const member = members.current
      try {
        const { version } = await member.client.unary(ETCD.status, {}, { timeoutMs: RETRY_MS_MAX })
        this.#answersProgress = answersProgress(version)
        this.#fragments = []
        const stream = await member.client.open(ETCD.watch, (answer) => {
          if (answer.created && !answer.canceled) {
            waitMs = RETRY_MS
            onFirst()
          }
          this.#take(answer)
        }, { signal: this.#stop.signal })
        this.#stream = stream
        stream.send({ create: { ...this.#options.keys.all, startRevision: this.#revision + 1, prevKv: true, fragment: true, progressNotify: true } })
        await stream.over
      } catch (error) {
        if (this.#stop.signal.aborted) return
        log.warn('the watch of etcd broke; it is begun again where it ended', { endpoint: member.endpoint, error: asError(error) })
      }
      this.#stream = undefined
      members.giveUp(member)
      await clock.sleep(waitMs, this.#stop.signal).catch(() => { /* closed */ })
      waitMs = Math.min(waitMs * 2, RETRY_MS_MAX)
    }
  }

  #take(answer: WatchResponse): void {
    if (this.#stop.signal.aborted) return
    if (answer.canceled) {
      if (answer.compactRevision > this.#revision + 1) {
        this.close()
        this.#options.onLost(new CodedError('STORE_COMPACTED', `etcd has compacted what happened after revision ${this.#revision} (up to ${answer.compactRevision}) while it could not be reached: it must all be read anew`, { details: { compactRevision: answer.compactRevision } }))
        return
      }
      throw new CodedError('STORE_UNAVAILABLE', `etcd ended the watch: ${answer.cancelReason}`)
    }
    this.#fragments.push(...answer.events)
    if (answer.fragment) return
    const events = this.#fragments
    this.#fragments = []
    if (events.length > 0) this.#deliver(events)
    // -1 answers a progress request, anything else is what etcd says of this watch by itself.
    else if (!answer.created && (answer.watchId >= 0 || this.#answersProgress)) this.#advance(answer.header?.revision ?? 0, [])
  }

  /** One call per revision: an answer may hold several, and holds each whole. */
  #deliver(events: readonly EtcdEvent[]): void {
    let from = 0
    for (let i = 1; i <= events.length; i++) {
      const revision = events[from]?.kv?.modRevision ?? 0
      if (events[i]?.kv?.modRevision === revision) continue
      this.#advance(revision, events.slice(from, i))
      from = i
    }
  }

  #advance(revision: Revision, events: readonly EtcdEvent[]): void {
    if (revision <= this.#revision) return
    this.#revision = revision
    this.#options.onRevision(revision, events)
  }
}

const createRequest = (request: { key: Buffer; rangeEnd: Buffer; startRevision: number; prevKv: boolean; fragment: boolean; progressNotify: boolean }) => request

/** Before 3.4.25 and 3.5.8 the answer may overtake events (etcd issue 15220). */
export function answersProgress(version: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map((part) => Number.parseInt(part, 10))
  if (major !== 3) return major > 3
  return minor > 5 || (minor === 5 && patch >= 8) || (minor === 4 && patch >= 25)
}
