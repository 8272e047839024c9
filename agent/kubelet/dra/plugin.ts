/**
 * One plugin of a driver of dynamic resources, over the one connection that all calls use. It is kept up for as long as the plugin is registered:
 * whether there is one tells whether the driver is there, whoever calls it or not.
 */
import { backoffMs, type BackoffPolicy } from '#base/backoff.ts'
import type { Clock } from '#base/clock.ts'
import { asError, CodedError } from '#base/errors.ts'
import { GrpcClient } from '#base/grpc/grpc-client.ts'
import { goRpcError, GRPC, GrpcError, grpcCodeName } from '#base/grpc/grpc-status.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import { pause } from '../turns.ts'
import { SERVICES, WATCH_RESOURCES, type PreparedDevice, type ReportedHealth, type Service } from './calls.ts'

/** As the driver is told of one. */
export interface ClaimRef { readonly namespace: string; readonly name: string; readonly uid: string }

/** By the uid of the claim. Undefined: it was answered without a word. */
export type ClaimResults<T> = ReadonlyMap<string, T | undefined>

export interface DraPlugin {
  readonly driver: string
  readonly endpoint: string
  /** The socket by which it registered. */
  readonly registeredAt: string
  readonly isConnected: boolean
  /** Both reject with DRA_CALL, worded as grpc-go words it. */
  prepare(claims: readonly ClaimRef[], signal?: AbortSignal): Promise<ClaimResults<{ devices: PreparedDevice[]; error: string }>>
  unprepare(claims: readonly ClaimRef[], signal?: AbortSignal): Promise<ClaimResults<{ error: string }>>
  /** It is said to be there: a connection is tried now. */
  nudge(): void
  /** Resolves when nothing of it is under way any more. */
  close(): Promise<void>
}

export interface DraPluginDeps {
  driver: string
  endpoint: string
  registeredAt: string
  service: Service
  /** It can be reached from now on, or cannot. */
  onConnection: () => void
  /** Undefined: it does not tell any more. */
  onHealth: (devices: readonly ReportedHealth[] | undefined) => void
  onCall: (method: string, code: string, tookMs: number) => void
  clock: Clock
  random: Random
  log: Log
}

/** Upstream's defaultClientCallTimeout. */
const CALL_MS = 45_000
/** Sooner again than grpc-go: a driver that is back must be found before its devices are taken from the cluster (slices.ts). */
const RECONNECT: BackoffPolicy = { baseMs: 1_000, maxMs: 8_000, jitter: 0.2 }
/** One that ends sooner was none: the next is waited for as after a failure. */
const LASTING_MS = 1_000
/** Upstream's pause between two streams of health. */
const HEALTH_RETRY_MS = 5_000

export function createDraPlugin({ driver, endpoint, registeredAt, service, onConnection, onHealth, onCall, clock, random, log }: DraPluginDeps): DraPlugin {
  const client = new GrpcClient({ endpoint: { socketPath: endpoint }, peer: `the DRA driver ${driver}`, clock })
  const over = new AbortController()
  const state: { isConnected: boolean; nudge: AbortController } = { isConnected: false, nudge: new AbortController() }
  const { prepare, unprepare } = SERVICES[service]

  const setConnected = (isConnected: boolean): void => {
    if (state.isConnected === isConnected || over.signal.aborted) return
    state.isConnected = isConnected
    log.info(isConnected ? 'a DRA driver can be reached' : 'a DRA driver cannot be reached any more', { driver, endpoint })
    onConnection()
  }

  const watchHealth = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      try {
        await client.stream(WATCH_RESOURCES, {}, ({ devices }) => onHealth(devices), { signal })
      } catch (error) {
        // It serves no such thing; another that comes in its place may.
        if (error instanceof GrpcError && error.status === GRPC.unimplemented) return
        log.debug('a DRA driver does not tell how its devices are', { driver, error: asError(error) })
      }
      onHealth(undefined)
      await pause(clock, HEALTH_RETRY_MS, signal)
    }
  }

  const keepConnected = async (): Promise<void> => {
    for (let failures = 0; !over.signal.aborted;) {
      const began = clock.monotonicMs()
      try {
        const { ended } = await client.connect()
        setConnected(true)
        const lost = new AbortController()
        const watched = watchHealth(lost.signal)
        await ended
        lost.abort()
        await watched
        failures = clock.monotonicMs() - began < LASTING_MS ? failures + 1 : 0
      } catch (error) {
        failures++
        log.debug('no connection to a DRA driver', { driver, endpoint, error: asError(error) })
      }
      setConnected(false)
      if (failures === 0 || over.signal.aborted) continue
      const { signal: nudged } = state.nudge
      await pause(clock, backoffMs(RECONNECT, failures, random), AbortSignal.any([over.signal, nudged]))
      if (nudged.aborted) state.nudge = new AbortController()
    }
  }
  const running = keepConnected()
  const nudge = (): void => state.nudge.abort()

  const timed = async <T>(method: string, work: () => Promise<T>): Promise<T> => {
    const began = clock.monotonicMs()
    const count = (code: number) => onCall(method, grpcCodeName(code), clock.monotonicMs() - began)
    try {
      const answer = await work()
      count(GRPC.ok)
      // A call makes its own connection where there was none.
      if (!state.isConnected) nudge()
      return answer
    } catch (cause) {
      const isLate = cause instanceof GrpcError && cause.status === GRPC.deadlineExceeded
      count(cause instanceof GrpcError ? cause.status : GRPC.unknown)
      throw new CodedError('DRA_CALL', goRpcError(isLate ? new GrpcError(GRPC.deadlineExceeded, 'context deadline exceeded') : cause), { cause })
    }
  }
  const asked = (signal: AbortSignal | undefined) => ({ timeoutMs: CALL_MS, signal: signal ? AbortSignal.any([signal, over.signal]) : over.signal })

  return {
    driver, endpoint, registeredAt,
    get isConnected() { return state.isConnected },
    async prepare(claims, signal) {
      const { claims: answered } = await timed(prepare.path, () => client.unary(prepare, { claims }, asked(signal)))
      return new Map(answered.map(({ key, value }) => [key, value]))
    },
    async unprepare(claims, signal) {
      const { claims: answered } = await timed(unprepare.path, () => client.unary(unprepare, { claims }, asked(signal)))
      return new Map(answered.map(({ key, value }) => [key, value]))
    },
    nudge,
    async close() {
      over.abort()
      client.close()
      await running
    },
  }
}
