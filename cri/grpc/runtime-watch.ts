/**
 * Learns what happens in a runtime: pushed, from GetContainerEvents or containerd's own events (which has them in every
 * version), and by looking at its lists: after each pushed hint, and now and then in case one was missed. A runtime that
 * pushes nothing is looked at every second, as the kubelet does (PLEG).
 */
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import { message, strings } from '#base/protobuf/message.ts'
import type { Call } from '#base/grpc/call.ts'
import type { GrpcClient } from '#base/grpc/grpc-client.ts'
import { EVENT_TYPES } from '../wire/enums.ts'
import { CALLS } from '../wire/services.ts'
import { isUnimplemented } from './errors.ts'

/** As upstream's PLEG: with pushed events, and without. */
const LOOK_PUSHED_MS = 300_000
const LOOK_UNPUSHED_MS = 1_000
const RECONNECT_MS = 1_000
/** A runtime tells of an exit before its own lists have it: looked at again after these. */
const LOOK_AFTER_MS = [0, 25, 100, 400] as const

/** `containerd.services.events.v1.Events/Subscribe`: only that something came matters. */
const CONTAINERD_EVENTS: Call<object, object, { readonly filters?: readonly string[] | undefined }, object> = { path: '/containerd.services.events.v1.Events/Subscribe', request: message({ filters: strings(1) }), response: message({}) }
const TASKS_ENDED = ['topic==/tasks/exit,namespace==k8s.io', 'topic==/tasks/oom,namespace==k8s.io', 'topic==/containers/delete,namespace==k8s.io']

export interface WatchDeps { client: GrpcClient; runtimeName: string; clock: Clock; log: Log; look: () => Promise<void> }

export class RuntimeWatch {
  readonly #deps: WatchDeps
  readonly #stop = new AbortController()
  #isPushed = false
  #cancelTimer: () => void = () => {}
  #looking: Promise<void> | undefined
  #wanted = false

  constructor(deps: WatchDeps) {
    this.#deps = deps
  }

  start(): void {
    void this.#follow()
    this.#schedule()
  }

  close(): void {
    this.#stop.abort()
    this.#cancelTimer()
  }

  /** One look at a time; what is wanted during one gets another. */
  look(): Promise<void> {
    this.#wanted = true
    this.#looking ??= this.#looks().finally(() => { this.#looking = undefined })
    return this.#looking
  }

  async #looks(): Promise<void> {
    while (this.#wanted && !this.#stop.signal.aborted) {
      this.#wanted = false
      try {
        await this.#deps.look()
      } catch (error) {
        this.#deps.log.debug('cannot list what the container runtime has', { error: asError(error) })
      }
    }
  }

  #schedule(): void {
    this.#cancelTimer()
    if (this.#stop.signal.aborted) return
    this.#cancelTimer = this.#deps.clock.after(this.#isPushed ? LOOK_PUSHED_MS : LOOK_UNPUSHED_MS, () => { void this.look().then(() => this.#schedule()) })
  }

  #hint(): void {
    for (const ms of LOOK_AFTER_MS) this.#deps.clock.after(ms, () => { void this.look() })
  }

  async #follow(): Promise<void> {
    const { client, runtimeName, clock, log } = this.#deps
    const { signal } = this.#stop
    const pushed = (isPushed: boolean) => {
      if (this.#isPushed === isPushed) return
      this.#isPushed = isPushed
      this.#schedule()
    }
    let usesContainerd = false
    while (!signal.aborted) {
      // Whether a stream stands is only known from its first message or its end; containerd's stands once asked for.
      const settled = clock.after(RECONNECT_MS, () => { pushed(true); void this.look() })
      try {
        if (usesContainerd) await client.stream(CONTAINERD_EVENTS, { filters: TASKS_ENDED }, () => this.#hint(), { signal })
        else await client.stream(CALLS.getContainerEvents, {}, (event) => { if (EVENT_TYPES[event.containerEventType]) this.#hint() }, { signal })
      } catch (error) {
        if (signal.aborted) return
        if (isUnimplemented(error)) {
          settled()
          pushed(false)
          if (usesContainerd || runtimeName !== 'containerd') {
            log.info('the container runtime pushes no events: its lists are looked at every second')
            return
          }
          usesContainerd = true
          continue
        }
        log.debug('events of the container runtime broke off', { error: asError(error) })
      }
      settled()
      pushed(false)
      await clock.sleep(RECONNECT_MS, signal).catch(() => { /* aborted: the loop ends */ })
    }
  }
}
