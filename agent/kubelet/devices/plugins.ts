/**
 * Device plugins over gRPC (v1beta1): they register at `kubelet.sock` and serve a socket beside it, or show one in `plugins_registry`. As
 * upstream, sockets of before are removed at the start and `kubelet.sock` is made anew: by either plugins notice that they have to register again.
 */
import { chmod, mkdir, readdir, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Clock } from '#base/clock.ts'
import { asError, CodedError } from '#base/errors.ts'
import { GrpcClient } from '#base/grpc/grpc-client.ts'
import { GrpcServer } from '#base/grpc/grpc-server.ts'
import { goRpcError, GRPC, GrpcError } from '#base/grpc/grpc-status.ts'
import type { Log } from '#base/log.ts'
import { SERIES_MAX } from '../stats/histogram.ts'
import type { PluginHandler } from '../plugins/plugin-watcher.ts'
import type { MetricFamily } from '../stats/metrics-text.ts'
import { ALLOCATE, HEALTHY, LIST_AND_WATCH, OPTIONS, PREFERRED, PRE_START, REGISTER, VERSION, type ContainerGrant } from './calls.ts'
import type { DeviceManager } from './device-manager.ts'
import { NO_GRANT, type DeviceGrant, type DeviceSource } from './source.ts'

export interface DevicePlugins {
  /** Serves registrations until aborted. Never rejects: where the socket cannot be made there are no plugins, and it is said. */
  run(signal: AbortSignal): Promise<void>
  /** Takes those that show a socket (`DevicePlugin`). */
  readonly handler: PluginHandler
  /** Why plugins cannot register, if so. */
  problem(): string | undefined
  metrics(): MetricFamily[]
}

export interface DevicePluginsDeps { directory: string; manager: Pick<DeviceManager, 'connected' | 'update' | 'gone'>; clock: Clock; log: Log }

const SOCKET = 'kubelet.sock'
const CALL_MS = 10_000
const DIAL_WAIT_MS_MIN = 100
/** Upstream's KubeletAllocateTimeout is without end; a plugin that hangs must not hold up all pods for ever. */
const ALLOCATE_MS = 60_000
/** Upstream's KubeletPreStartContainerRPCTimeoutInSecs. */
const PRE_START_MS = 30_000

export function createDevicePlugins({ directory, manager, clock, log }: DevicePluginsDeps): DevicePlugins {
  const state: { problem: string | undefined; isOver: boolean } = { problem: undefined, isOver: false }
  const registrations = new Map<string, number>()
  const running = new Map<string, { stop: AbortController; over: Promise<void>; socketPath: string }>()

  /** Its devices, for as long as it tells of them. */
  const follow = async (source: DeviceSource, client: GrpcClient, signal: AbortSignal): Promise<void> => {
    const { resource } = source
    try {
      await client.stream(LIST_AND_WATCH, {}, ({ devices }) => manager.update(source, devices.map(({ id, health, topology }) => ({ id, healthy: health === HEALTHY, ...(topology && topology.nodes.length > 0 && { numaNodes: topology.nodes.map((n) => n.id) }) }))), { signal })
    } catch (error) {
      if (!signal.aborted) log.warn('a device plugin is gone', { resource, error: asError(error) })
    } finally {
      manager.gone(source)
      client.close()
    }
  }

  /** It may be about to serve. */
  const options = async (client: GrpcClient): Promise<PluginOptions> => {
    const untilMs = clock.monotonicMs() + CALL_MS
    for (let waitMs = DIAL_WAIT_MS_MIN; ; waitMs *= 2) {
      try {
        return await client.unary(OPTIONS, {}, { timeoutMs: CALL_MS })
      } catch (error) {
        const isThere = !(error instanceof GrpcError) || error.wasSent
        if (!isThere && clock.monotonicMs() + waitMs < untilMs) await clock.sleep(waitMs)
        else throw new GrpcError(GRPC.unknown, isThere ? `failed to get device plugin options: ${goRpcError(error)}` : `failed to dial device plugin: ${asError(error).message}`)
      }
    }
  }

  const register = async ({ version, endpoint, resourceName: resource }: { version: string; endpoint: string; resourceName: string }): Promise<void> => {
    if (version !== VERSION) throw new GrpcError(GRPC.unknown, `requested API version ${JSON.stringify(version)} is not supported by kubelet. Supported version is [${JSON.stringify(VERSION)}]`)
    if (!isExtendedResource(resource)) throw new GrpcError(GRPC.unknown, `the ResourceName ${JSON.stringify(resource)} is invalid`)
    if (endpoint === '' || basename(endpoint) !== endpoint) throw new GrpcError(GRPC.unknown, `the endpoint ${JSON.stringify(endpoint)} is not the name of a socket beside ${SOCKET}`)
    await connect(resource, join(directory, endpoint))
  }

  const connect = async (resource: string, socketPath: string): Promise<void> => {
    const client = new GrpcClient({ endpoint: { socketPath }, peer: `the device plugin of ${resource}`, clock })
    try {
      const source = sourceOf(resource, client, await options(client))
      if (state.isOver) throw new GrpcError(GRPC.unavailable, 'the agent stops')
      const before = running.get(resource)
      // First its successor: nobody is to see the devices fall ill in between.
      manager.connected(source)
      before?.stop.abort()
      const stop = new AbortController()
      running.set(resource, { stop, socketPath, over: Promise.all([before?.over, follow(source, client, stop.signal)]).then(() => {}) })
      log.info('a device plugin has registered', { resource, socketPath })
    } catch (error) {
      client.close()
      log.warn('a device plugin cannot register', { resource, socketPath, error: asError(error) })
      throw error
    }
  }

  const count = (name: string) => {
    // Whoever may reach the socket chooses the names.
    const resource = registrations.has(name) || registrations.size < SERIES_MAX ? name : 'other'
    registrations.set(resource, (registrations.get(resource) ?? 0) + 1)
  }

  return {
    handler: {
      validate: ({ name, supportedVersions }) => (!supportedVersions.includes(VERSION) ? `manager version, ${VERSION}, is not among plugin supported versions [${supportedVersions.join(' ')}]`
        : !isExtendedResource(name) ? `invalid name of device plugin socket: the ResourceName ${JSON.stringify(name)} is invalid` : undefined),
      register({ name, endpoint }) {
        count(name)
        return connect(name, endpoint)
      },
      deregister({ name, endpoint }) {
        // Of the resource there may be another plugin by now.
        if (running.get(name)?.socketPath === endpoint) running.get(name)?.stop.abort()
        return Promise.resolve()
      },
    },
    problem: () => state.problem,
    metrics: () => [{ name: 'kubelet_device_plugin_registration_total', help: '[ALPHA] Cumulative number of device plugin registrations. Broken down by resource name.', type: 'counter', samples: [...registrations].map(([resource_name, value]) => ({ labels: { resource_name }, value })) }],
    async run(signal) {
      const server = new GrpcServer({ clock, log })
      server.unary(REGISTER, async (request) => {
        count(request.resourceName)
        await register(request)
        return {}
      })
      try {
        await mkdir(directory, { recursive: true, mode: 0o750 })
        for (const name of await readdir(directory)) if ((await stat(join(directory, name)).catch(() => undefined))?.isSocket()) await rm(join(directory, name), { force: true })
        await server.listen(join(directory, SOCKET))
        // Plugins are pods of the administrator's own, as root or not.
        await chmod(join(directory, SOCKET), 0o660)
      } catch (error) {
        state.problem = asError(error).message
        log.warn('device plugins cannot register here', { error: asError(error) })
        return
      }
      await new Promise<void>((resolve) => { if (signal.aborted) resolve(); else signal.addEventListener('abort', () => resolve(), { once: true }) })
      state.isOver = true
      for (const { stop } of running.values()) stop.abort()
      await Promise.all([...running.values()].map(({ over }) => over))
      await server.close()
    },
  }
}

interface PluginOptions { preStartRequired: boolean; getPreferredAllocationAvailable: boolean }

/** What it refuses is told as Go tells it. */
const asked = <T>(answer: Promise<T>, what = ''): Promise<T> => answer.catch((error: unknown) => { throw new CodedError('DEVICES_UNAVAILABLE', `${what}${goRpcError(error)}`, { cause: error }) })

function sourceOf(resource: string, client: GrpcClient, { preStartRequired, getPreferredAllocationAvailable }: PluginOptions): DeviceSource {
  return {
    resource,
    async allocate(ids) {
      const { containerResponses } = await asked(client.unary(ALLOCATE, { containerRequests: [{ devicesIds: ids }] }, { timeoutMs: ALLOCATE_MS }))
      const [answer] = containerResponses
      if (!answer) throw new CodedError('DEVICES_UNAVAILABLE', `no containers return in allocation response ${JSON.stringify(containerResponses)}`)
      return grantOf(answer)
    },
    ...(getPreferredAllocationAvailable && {
      async preferred({ available, must, size }: { available: readonly string[]; must: readonly string[]; size: number }) {
        const request = { containerRequests: [{ availableDeviceIds: available, mustIncludeDeviceIds: must, allocationSize: size }] }
        const { containerResponses } = await asked(client.unary(PREFERRED, request, { timeoutMs: CALL_MS }), 'device plugin GetPreferredAllocation rpc failed with err: ')
        return containerResponses[0]?.deviceIds ?? []
      },
    }),
    ...(preStartRequired && {
      async preStart(ids: readonly string[]) {
        await asked(client.unary(PRE_START, { devicesIds: ids }, { timeoutMs: PRE_START_MS }))
      },
    }),
  }
}

function grantOf({ envs, mounts, devices, annotations, cdiDevices }: ContainerGrant): DeviceGrant {
  return {
    ...NO_GRANT, envs, annotations, mounts, devices: devices.map((d) => ({ ...d, permissions: d.permissions === '' ? 'mrw' : d.permissions })),
    ...(cdiDevices.length > 0 && { cdiDevices: cdiDevices.map(({ name }) => name) }),
  }
}

/** Upstream's IsExtendedResourceName. */
export function isExtendedResource(name: string): boolean {
  const [domain = '', rest = '', ...more] = name.split('/')
  return more.length === 0 && !/(^|\.)kubernetes\.io$/.test(domain) && !name.startsWith('requests.') && /^(?=.{1,244}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(domain) && /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/.test(rest)
}
