/** The members of an etcd cluster: asks the one that worked last, and the next one when it does not. */
import type { Clock } from '#base/clock.ts'
import { CodedError } from '#base/errors.ts'
import type { Call } from '#base/grpc/call.ts'
import { GrpcClient, type GrpcTls } from '#base/grpc/grpc-client.ts'
import { GRPC } from '#base/grpc/grpc-status.ts'
import { isOutage, isUndone, storeError } from './etcd-errors.ts'

export interface MembersOptions {
  /** `https://host:2379` or `http://...`. */
  endpoints: readonly string[]
  /** For endpoints with https. */
  tls: GrpcTls
  clock: Clock
  limits?: MemberLimits
}

export interface MemberLimits {
  /** One member's time to answer; etcd's own limit is 7 s. */
  tryMsMax: number
  /** In all, over members: what a client of ours still waits for. */
  callMsMax: number
  /** Open calls and nothing heard. Longer than etcd's --grpc-keepalive-min-time (5 s), or it would hang up. */
  silenceMsMax: number
}

export interface Member { readonly endpoint: string; readonly client: GrpcClient }

const LIMITS: MemberLimits = { tryMsMax: 8_000, callMsMax: 20_000, silenceMsMax: 15_000 }
/** When all have been tried. */
const RETRY_MS = 100
const RETRY_MS_MAX = 1_000
/** One page of the largest objects. */
const MESSAGE_BYTES_MAX = 256 * 1024 * 1024
const WINDOW_BYTES = 1024 * 1024

export class Members {
  readonly #options: MembersOptions
  readonly #limits: MemberLimits
  readonly #all: { endpoint: string; client: GrpcClient }[]
  #at = 0
  #isClosed = false

  constructor(options: MembersOptions) {
    this.#options = options
    this.#limits = options.limits ?? LIMITS
    this.#all = options.endpoints.map((endpoint) => ({ endpoint, client: this.#newClient(endpoint) }))
  }

  /** The one in use. */
  get current(): Member { return this.#all[this.#at] as Member }

  /** `member` does not work: the next one from now on. All that is open on it ends. */
  giveUp(member: Member): void {
    const at = this.#all.findIndex(({ client }) => client === member.client)
    const found = this.#all[at]
    if (!found || this.#isClosed) return
    found.client.close()
    found.client = this.#newClient(found.endpoint)
    if (at === this.#at) this.#at = (at + 1) % this.#all.length
  }

  /**
   * `again`: what is asked does no harm when it is done twice. Else only what surely was not done is asked again, and
   * `STORE_UNAVAILABLE` may mean that it was done. Rejects with what `storeError` says.
   */
  async ask<Request, Response, Asked, Answered>(call: Call<Request, Response, Asked, Answered>, request: Asked, { again }: { again: boolean }): Promise<Response> {
    const { clock } = this.#options
    const untilMs = clock.monotonicMs() + this.#limits.callMsMax
    for (let tries = 1, waitMs = RETRY_MS; ; tries++) {
      if (this.#isClosed) throw new CodedError('STORE_CLOSED', 'the store is closed')
      const { endpoint, client } = this.current
      try {
        return await client.unary(call, request, { timeoutMs: this.#limits.tryMsMax })
      } catch (error) {
        if (this.#isClosed) throw new CodedError('STORE_CLOSED', 'the store is closed', { cause: error })
        if (!isOutage(error)) throw storeError(error)
        if (error.status !== GRPC.resourceExhausted) this.giveUp({ endpoint, client })
        if ((!again && !isUndone(error)) || clock.monotonicMs() > untilMs) throw storeError(error)
        if (tries % this.#all.length !== 0) continue
        await clock.sleep(waitMs)
        waitMs = Math.min(waitMs * 2, RETRY_MS_MAX)
      }
    }
  }

  close(): void {
    this.#isClosed = true
    for (const { client } of this.#all) client.close()
  }

  #newClient(endpoint: string): GrpcClient {
    const { clock, tls } = this.#options
    const { protocol, hostname, port } = new URL(endpoint)
    return new GrpcClient({
      endpoint: { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || (protocol === 'https:' ? 443 : 80)), tls: protocol === 'https:' ? tls : undefined },
      // Refused at once by a member that has lost the others, and streams of it end.
      metadata: { hasleader: 'true' },
      peer: 'etcd', clock, messageBytesMax: MESSAGE_BYTES_MAX, windowBytes: WINDOW_BYTES, silenceMsMax: this.#limits.silenceMsMax,
    })
  }
}
