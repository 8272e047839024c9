/** A driver of dynamic resources for tests: registers and answers over gRPC as those that run in the field do, and notes what it was asked. Only tests import it. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '#base/clock.ts'
import { GrpcServer } from '#base/grpc/grpc-server.ts'
import { GRPC, GrpcError } from '#base/grpc/grpc-status.ts'
import type { Log } from '#base/log.ts'
import { showPlugin, type TestRegistration } from '../../plugins/testing/registration.ts'
import { HEALTHS, SERVICES, WATCH_RESOURCES, type Service } from '../calls.ts'

export interface TestDevice { pool?: string; device: string; requests?: readonly string[]; cdi?: readonly string[]; share?: string }

export interface TestDriverOptions {
  /** The kubelet's root: `plugins_registry` and `plugins` are in it. */
  rootDir: string
  driver: string
  /** Of the sockets; a second plugin of the driver has another. */
  instance?: string
  services?: readonly Service[]
  supportedVersions?: readonly string[]
  /** What a claim gets. */
  devices: (claimName: string) => readonly TestDevice[]
  /** It tells how its devices are. */
  tellsHealth?: boolean
  onCall?: () => void
  clock: Clock
  log: Log
}

export interface TestDriver {
  /** `prepare NAMESPACE/NAME UID`, `unprepare ...`, with the service before them where it is not the first. */
  readonly calls: string[]
  /** Of its registration, each time. */
  readonly told: readonly string[]
  readonly endpoint: string
  /** How many watch its devices' health. */
  watchers(): number
  /** The next of these calls fails so: of the claim, or as a whole. */
  failNext(method: 'prepare' | 'unprepare', how: { claim?: string; call?: string }): void
  /** The next call of this method waits until the returned function is called. */
  block(method: 'prepare' | 'unprepare'): () => void
  tellHealth(devices: readonly { pool: string; device: string; health: (typeof HEALTHS)[number]; message?: string; timeoutSeconds?: number }[]): void
  /** Serves no more, but stays registered; and serves again. */
  pause(): Promise<void>
  resume(): Promise<void>
  stop(): Promise<void>
}

export async function startTestDriver({ rootDir, driver, instance = driver, services = ['v1.DRAPlugin', 'v1beta1.DRAPlugin'], supportedVersions = services, devices, tellsHealth = false, onCall = () => {}, clock, log }: TestDriverOptions): Promise<TestDriver> {
  const calls: string[] = []
  const endpoint = join(rootDir, `${instance}.sock`)
  const failures = new Map<string, { claim?: string; call?: string }>()
  const blocked = new Map<string, Promise<void>>()
  const tellers = new Set<() => void>()
  const state: { server: GrpcServer | undefined; registration: TestRegistration | undefined; health: Parameters<TestDriver['tellHealth']>[0] } = { server: undefined, registration: undefined, health: [] }

  const asked = async (service: Service, method: 'prepare' | 'unprepare', claims: readonly { namespace: string; name: string; uid: string }[]): Promise<string> => {
    for (const { namespace, name, uid } of claims) calls.push(`${service === services[0] ? '' : `${service} `}${method} ${namespace}/${name} ${uid}`)
    onCall()
    const wait = blocked.get(method)
    blocked.delete(method)
    await wait
    const failure = failures.get(method)
    failures.delete(method)
    if (failure?.call !== undefined) throw new GrpcError(GRPC.unknown, failure.call)
    return failure?.claim ?? ''
  }

  const resume = async (): Promise<void> => {
    const server = new GrpcServer({ clock, log })
    for (const service of services) {
      server.unary(SERVICES[service].prepare, async ({ claims }) => {
        const error = await asked(service, 'prepare', claims)
        return { claims: claims.map(({ uid, name }) => ({ key: uid, value: error === '' ? { devices: devices(name).map(({ pool = 'pool', device, requests = [], cdi = [], share = '' }) => ({ poolName: pool, deviceName: device, requestNames: requests, cdiDeviceIds: cdi, shareId: share })) } : { error } })) }
      })
      server.unary(SERVICES[service].unprepare, async ({ claims }) => {
        const error = await asked(service, 'unprepare', claims)
        return { claims: claims.map(({ uid }) => ({ key: uid, value: { error } })) }
      })
    }
    if (tellsHealth) {
      server.streaming(WATCH_RESOURCES, async (_, send, signal) => {
        const tell = () => send({ devices: state.health.map(({ pool, device, health, message = '', timeoutSeconds = 0 }) => ({ device: { poolName: pool, deviceName: device }, health: HEALTHS.indexOf(health), message, healthCheckTimeoutSeconds: timeoutSeconds })) })
        tellers.add(tell)
        tell()
        onCall()
        await new Promise<void>((resolve) => { signal.addEventListener('abort', () => resolve(), { once: true }) })
        tellers.delete(tell)
      })
    }
    await server.listen(endpoint)
    state.server = server
  }
  const pause = async (): Promise<void> => {
    await state.server?.close()
    state.server = undefined
    await rm(endpoint, { force: true })
  }

  await resume()
  state.registration = await showPlugin(join(rootDir, 'plugins_registry', `${instance}-reg.sock`), { type: 'DRAPlugin', name: driver, endpoint, supportedVersions }, { clock, log, onTold: onCall })
  return {
    calls, endpoint, pause, resume,
    get told() { return state.registration?.told ?? [] },
    watchers: () => tellers.size,
    failNext: (method, how) => { failures.set(method, how) },
    block(method) {
      const { promise, resolve } = Promise.withResolvers<void>()
      blocked.set(method, promise)
      return resolve
    },
    tellHealth(told) {
      state.health = told
      for (const tell of tellers) tell()
    },
    async stop() {
      await state.registration?.stop()
      await pause()
    },
  }
}
