/** The aggregation layer, put together: what app.ts and the discovery paths ask, and what runs beside the requests. */
import type { Duplex } from 'node:stream'
import type { ApiRequest, ApiResponse } from '#api/client/transport.ts'
import type { UserInfo } from '#api/types/index.ts'
import { asError } from '#base/errors.ts'
import type { HealthCheck } from '../discovery/health.ts'
import { Metric, quoteLabel } from '#base/metrics.ts'
import type { Rows } from '../rows.ts'
import { cacheOf, type Parts } from '../verbs/call.ts'
import { createDialer } from '../webhook-client/index.ts'
import type { NodeConnector } from '../nodes/connector.ts'
import { API_SERVICES, ApiServices, type Backend } from './api-services.ts'
import { runAvailability } from './availability-loop.ts'
import { createBackendClient, type ClientCertificate } from './backend-client.ts'
import { coalesced } from './coalesced.ts'
import { runDiscovery, type Discovered } from './discovery-loop.ts'
import { mergeDiscovery, mergeGroups, type GroupDiscovery, type GroupJson } from './merged-discovery.ts'
import type { RankedVersion } from './priorities.ts'
import { proxyRequest, proxyUpgrade } from './proxy.ts'
import { createRemoteOpenApi, type RemoteOpenApi } from './remote-openapi.ts'
import { applyRegistration, decideRegistration, localPriority, type LocalVersion } from './registration.ts'

export interface Aggregation {
  /** The APIServices that are stored are known: only then is what follows the truth. */
  readonly isReady: boolean
  readonly ready: Promise<void>
  /** The server behind which a group version is; undefined: it is ours, or nobody's. */
  backendOf(group: string, version: string): Backend | undefined
  proxy(backend: Backend, request: ApiRequest, user: UserInfo): Promise<ApiResponse>
  upgrade(backend: Backend, request: ApiRequest, user: UserInfo, socket: Duplex, head: Buffer): Promise<void>
  groups(): GroupJson[]
  discovery(own: readonly GroupDiscovery[]): GroupDiscovery[]
  readonly openapi: RemoteOpenApi
  /** Once `run` has registered this server's group versions for the first time. */
  readonly registered: Promise<void>
  /** Of the start, under the names of upstream's post-start hooks. */
  readonly checks: readonly HealthCheck[]
  /** Upstream's metric of what is behind this server; undefined when nothing is. */
  metric(): Metric | undefined
  /** Registers this server's group versions and keeps APIServices' conditions until the signal aborts. */
  run(signal: AbortSignal): Promise<void>
  close(): void
}

const READ_HOOKS = ['start-kube-aggregator-informers', 'apiservice-registration-controller', 'apiservice-status-local-available-controller', 'apiservice-status-remote-available-controller', 'apiservice-openapi-controller'].map((hook) => `poststarthook/${hook}`)
const REGISTERED_HOOKS = ['poststarthook/kube-apiserver-autoregistration', 'autoregister-completion']

export interface AggregationOptions {
  connector: NodeConnector | undefined
  frontProxy: (() => ClientCertificate) | undefined
  /** Headers that say who somebody is; those of clients are not passed on. */
  isIdentityHeader: (name: string) => boolean
  /** Whether a group version of the rows comes from a CustomResourceDefinition. */
  isCustom: (group: string, version: string) => boolean
}

export function createAggregation(parts: Parts, { connector, frontProxy, isIdentityHeader, isCustom }: AggregationOptions): Aggregation {
  const { client, clock, random, log, rows } = parts
  const openCache = async (group: string, resource: string) => {
    const row = rows.find(group, 'v1', resource)
    return row && cacheOf(parts, row)
  }
  const apiServices = new ApiServices(() => parts.caches.ready(API_SERVICES), () => openCache(API_SERVICES.group, API_SERVICES.resource))
  const backends = createBackendClient(createDialer({ client, connector, clock, random }), clock, { identity: () => frontProxy?.(), isIdentityHeader })
  const discovered: Discovered = new Map()
  const local = (): (LocalVersion & RankedVersion)[] => localVersions(rows, isCustom)

  // Upstream's aggregator has none for the group it serves itself.
  const ours = () => local().filter(({ group }) => group !== API_SERVICES.group)

  const state = { isReady: false, isClosed: false, isRegistering: false }
  const registered = Promise.withResolvers<void>()
  const registrationEnds = (): void => {
    state.isRegistering = false
    registered.resolve()
  }
  const open = async (): Promise<void> => {
    try {
      await apiServices.open()
    } catch (error) {
      // The store cannot be read just now: requests find that out for themselves, and each look tries again.
      if (!state.isClosed) log.warn('the APIServices could not be read', { error: asError(error) })
    }
    state.isReady = true
  }
  const ready = open()

  return {
    get isReady() { return state.isReady },
    ready,
    registered: registered.promise,
    backendOf: (group, version) => apiServices.backendOf(group, version),
    proxy: (backend, request, user) => proxyRequest(backends, backend, request, user),
    upgrade: (backend, request, user, socket, head) => proxyUpgrade(backends, backend, request, user, socket, head),
    groups: () => mergeGroups(local(), apiServices.backends().values()),
    discovery: (own) => mergeDiscovery(local(), own, apiServices.backends(), discovered),
    metric() {
      const all = [...apiServices.backends().values()]
      if (all.length === 0) return undefined
      const metric = new Metric('aggregator_unavailable_apiservice', 'gauge', 'Gauge of APIServices which are marked as unavailable broken down by APIService name.')
      for (const { name, isAvailable } of all) metric.set(`name="${quoteLabel(name)}"`, isAvailable ? 0 : 1)
      return metric
    },
    checks: [
      ...READ_HOOKS.map((name): HealthCheck => ({ name, live: true, problem: () => (state.isReady ? undefined : 'the APIServices are still being read') })),
      ...REGISTERED_HOOKS.map((name): HealthCheck => ({ name, live: true, problem: () => (state.isRegistering ? 'the APIServices of this server are still being registered' : undefined) })),
    ],
    openapi: createRemoteOpenApi(() => apiServices.backends(), backends, clock),
    async run(signal) {
      state.isRegistering = true
      if (!(await apiServices.open())) return registrationEnds()
      const first = { isLeft: true }
      const register = coalesced(async () => {
        if (signal.aborted) return
        await applyRegistration(client, decideRegistration(ours(), apiServices.all(), first.isLeft))
        first.isLeft = false
        registrationEnds()
      }, { clock, random, signal, onError: (error) => { if (!signal.aborted) log.warn('the APIServices of this server could not be brought up to date; it is tried again', { error }) } })
      rows.onChange(register)
      register()
      await Promise.all([
        runAvailability({ apiServices, backends, client, clock, random, log, cacheOf: (kind) => (kind === 'services' ? openCache('', kind) : openCache('discovery.k8s.io', kind)) }, signal),
        runDiscovery({ apiServices, backends, clock, random, log }, discovered, signal),
      ])
    },
    close() {
      state.isClosed = true
      backends.close()
    },
  }
}

function localVersions(rows: Rows, isCustom: AggregationOptions['isCustom']): (LocalVersion & RankedVersion)[] {
  return [...rows.groups()].flatMap(([group, versions]) => versions.map(({ version }) => {
    const one = { group, version, isCustom: isCustom(group, version) }
    return { ...one, priority: localPriority(one) }
  }))
}
