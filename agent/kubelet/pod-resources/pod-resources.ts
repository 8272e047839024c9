/** Serves answers.ts over gRPC at `<root-dir>/pod-resources/kubelet.sock`, where exporters of devices' figures and agents of networks look for it. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Pod, Stored } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import { GrpcServer } from '#base/grpc/grpc-server.ts'
import { GRPC, GrpcError } from '#base/grpc/grpc-status.ts'
import type { Log } from '#base/log.ts'
import type { DeviceManager } from '../devices/device-manager.ts'
import type { ClaimManager } from '../dra/claim-manager.ts'
import type { MetricFamily } from '../stats/metrics-text.ts'
import { allocatableDevices, resourcesOfPod, resourcesOfPodAlpha } from './answers.ts'
import { ALLOCATABLE, GET, LIST, LIST_ALPHA } from './calls.ts'

export interface PodResourcesDeps {
  rootDir: string
  /** Those that have not ended. */
  activePods: () => readonly Stored<Pod>[]
  /** Of this node, ended or not. */
  podByName: (namespace: string, name: string) => Stored<Pod> | undefined
  devices: Pick<DeviceManager, 'devices' | 'given'>
  claims: Pick<ClaimManager, 'resourcesOf'>
  clock: Clock
  log: Log
}

export interface PodResourcesService {
  /** Serves until aborted. Never rejects: where the socket cannot be made nobody is answered, and it is said. */
  run(signal: AbortSignal): Promise<void>
}

type Method = 'list' | 'get_allocatable' | 'get'
/** What is told of it on the metrics page; outlives a service. */
export interface PodResourcesCounts { readonly requests: Map<string, number>; readonly methods: Map<Method, number>; getErrors: number }

export const noPodResourcesCounts = (): PodResourcesCounts => ({ requests: new Map(), methods: new Map(), getErrors: 0 })

/** Upstream's DefaultQPS and DefaultBurstTokens. */
const CALLS_PER_SECOND = 100
const CALLS_AT_ONCE = 10

export function createPodResources({ rootDir, activePods, podByName, devices, claims, clock, log }: PodResourcesDeps, counts: PodResourcesCounts): PodResourcesService {
  const mayCall = tokenBucket(clock)
  const counted = (version: string, method?: Method): void => {
    if (!mayCall()) throw new GrpcError(GRPC.resourceExhausted, 'rejected by rate limit')
    counts.requests.set(version, (counts.requests.get(version) ?? 0) + 1)
    if (method) counts.methods.set(method, (counts.methods.get(method) ?? 0) + 1)
  }
  const resources = (pod: Stored<Pod>) => resourcesOfPod(pod, devices.given(pod.metadata.uid), devices.devices(), (container) => claims.resourcesOf(pod, container))

  return {
    async run(signal) {
      const server = new GrpcServer({ clock, log })
      server.unary(LIST, async () => {
        counted('v1', 'list')
        return { podResources: activePods().map(resources) }
      })
      server.unary(ALLOCATABLE, async () => {
        counted('v1', 'get_allocatable')
        return { devices: allocatableDevices(devices.devices()) }
      })
      server.unary(GET, async ({ podName, podNamespace }) => {
        counted('v1', 'get')
        const pod = podByName(podNamespace, podName)
        if (pod) return { podResources: resources(pod) }
        counts.getErrors++
        throw new GrpcError(GRPC.unknown, `pod ${podName} in namespace ${podNamespace} not found`)
      })
      server.unary(LIST_ALPHA, async () => {
        counted('v1alpha1')
        return { podResources: activePods().map((pod) => resourcesOfPodAlpha(pod, devices.given(pod.metadata.uid))) }
      })
      const directory = join(rootDir, 'pod-resources')
      try {
        await mkdir(directory, { recursive: true, mode: 0o750 })
        await server.listen(join(directory, 'kubelet.sock'))
      } catch (error) {
        log.warn('nobody can ask here which pods have which devices', { error: asError(error) })
        return
      }
      await new Promise<void>((resolve) => { if (signal.aborted) resolve(); else signal.addEventListener('abort', () => resolve(), { once: true }) })
      await server.close()
    },
  }
}

export function podResourcesMetrics({ requests, methods, getErrors }: PodResourcesCounts): MetricFamily[] {
  const v1 = { server_api_version: 'v1' }
  const of = (method: Method, name: string): MetricFamily => {
    const value = methods.get(method)
    return { name: `kubelet_pod_resources_endpoint_requests_${method}`, help: `[ALPHA] Number of requests to the PodResource ${name} endpoint. Broken down by server api version.`, type: 'counter', samples: value === undefined ? [] : [{ labels: v1, value }] }
  }
  return [
    { name: 'kubelet_pod_resources_endpoint_requests_total', help: '[ALPHA] Cumulative number of requests to the PodResource endpoint. Broken down by server api version.', type: 'counter', samples: [...requests].map(([version, value]) => ({ labels: { server_api_version: version }, value })) },
    of('list', 'List'), of('get_allocatable', 'GetAllocatableResources'), of('get', 'Get'),
    { name: 'kubelet_pod_resources_endpoint_errors_get', help: '[ALPHA] Number of requests to the PodResource Get endpoint which returned error. Broken down by server api version.', type: 'counter', samples: getErrors === 0 ? [] : [{ labels: v1, value: getErrors }] },
  ]
}

/** For all callers together. */
function tokenBucket(clock: Clock): () => boolean {
  const state = { tokens: CALLS_AT_ONCE, atMs: clock.monotonicMs() }
  return () => {
    const nowMs = clock.monotonicMs()
    state.tokens = Math.min(CALLS_AT_ONCE, state.tokens + (nowMs - state.atMs) * CALLS_PER_SECOND / 1_000)
    state.atMs = nowMs
    if (state.tokens < 1) return false
    state.tokens--
    return true
  }
}
