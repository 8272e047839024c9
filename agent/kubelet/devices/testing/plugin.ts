/** A device plugin for tests: registers and answers over gRPC as those that run in the field do, and notes what it was asked. Only tests import it. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '#base/clock.ts'
import { GrpcClient } from '#base/grpc/grpc-client.ts'
import { GrpcServer } from '#base/grpc/grpc-server.ts'
import { GRPC, GrpcError } from '#base/grpc/grpc-status.ts'
import type { Log } from '#base/log.ts'
import { ALLOCATE, LIST_AND_WATCH, OPTIONS, PREFERRED, PRE_START, REGISTER } from '../calls.ts'

export interface TestPluginOptions {
  /** Of the kubelet: `kubelet.sock` is in it. */
  directory: string
  resource: string
  devices: readonly string[]
  /** What a container gets with these. */
  grant: (ids: readonly string[]) => { envs?: Record<string, string>; mounts?: { containerPath: string; hostPath: string; readOnly?: boolean }[]; devices?: { containerPath: string; hostPath: string; permissions?: string }[]; annotations?: Record<string, string>; cdiDevices?: { name: string }[] }
  /** Where devices are, by id. */
  numaNodes?: Readonly<Record<string, readonly number[]>>
  /** Chooses among the available. */
  prefers?: (available: readonly string[], size: number) => readonly string[]
  wantsPreStart?: boolean
  clock: Clock
  log: Log
}

export interface TestPlugin {
  readonly calls: string[]
  /** The next of these calls fails so. */
  failNext(method: string, message: string): void
  /** Tells the kubelet what there is now; ill ones begin with `!`. */
  tell(devices: readonly string[]): void
  /** What the kubelet answers to a registration like this. */
  register(more?: { version?: string; resourceName?: string; endpoint?: string }): Promise<void>
  stop(): Promise<void>
}

export async function startTestPlugin({ directory, resource, grant, prefers, numaNodes = {}, wantsPreStart = false, clock, log, ...options }: TestPluginOptions): Promise<TestPlugin> {
  const calls: string[] = []
  const failures = new Map<string, string>()
  const endpoint = `${resource.replaceAll('/', '-')}.sock`
  const state = { devices: options.devices, listeners: new Set<() => void>() }
  const noted = (method: string, ids: readonly string[]) => {
    calls.push(`${method} ${ids.join(',')}`)
    mayFail(method)
  }
  const mayFail = (method: string) => {
    const failure = failures.get(method)
    failures.delete(method)
    if (failure !== undefined) throw new GrpcError(GRPC.unknown, failure)
  }
  const server = new GrpcServer({ clock, log })
  server.unary(OPTIONS, async () => {
    mayFail('options')
    return { preStartRequired: wantsPreStart, getPreferredAllocationAvailable: prefers !== undefined }
  })
  server.streaming(LIST_AND_WATCH, async (_, send, signal) => {
    mayFail('list')
    const device = (id: string) => ({ id, ...(numaNodes[id] && { topology: { nodes: numaNodes[id].map((node) => ({ id: node })) } }) })
    const say = () => send({ devices: state.devices.map((id) => ({ ...device(id.replace('!', '')), health: id.startsWith('!') ? 'Unhealthy' : 'Healthy' })) })
    state.listeners.add(say)
    say()
    await new Promise<void>((resolve) => { signal.addEventListener('abort', () => resolve(), { once: true }) })
    state.listeners.delete(say)
  })
  server.unary(PREFERRED, async ({ containerRequests: [asked] }) => {
    noted('prefer', asked?.availableDeviceIds ?? [])
    return { containerResponses: [{ deviceIds: prefers?.(asked?.availableDeviceIds ?? [], asked?.allocationSize ?? 0) ?? [] }] }
  })
  server.unary(ALLOCATE, async ({ containerRequests }) => {
    const containerResponses = containerRequests.map(({ devicesIds }) => {
      noted('allocate', devicesIds)
      return grant(devicesIds)
    })
    return { containerResponses }
  })
  server.unary(PRE_START, async ({ devicesIds }) => {
    noted('prestart', devicesIds)
    return {}
  })
  await server.listen(join(directory, endpoint))
  const plugin: TestPlugin = {
    calls,
    failNext: (method, message) => { failures.set(method, message) },
    tell(devices) {
      state.devices = devices
      for (const listener of state.listeners) listener()
    },
    async register(more = {}) {
      const kubelet = new GrpcClient({ endpoint: { socketPath: join(directory, 'kubelet.sock') }, peer: 'the kubelet', clock })
      try {
        await kubelet.unary(REGISTER, { version: 'v1beta1', endpoint, resourceName: resource, options: { preStartRequired: wantsPreStart, getPreferredAllocationAvailable: prefers !== undefined }, ...more }, { timeoutMs: 60_000 })
      } finally {
        kubelet.close()
      }
    },
    async stop() {
      await server.close()
      await rm(join(directory, endpoint), { force: true })
    },
  }
  return plugin
}
