/**
 * The API server as one transport-neutral handler. A request's way: limits, panic guard, authentication, audit, impersonation,
 * priority and fairness, authorization, then a verb, a subresource, a review, or a path (README.md has the picture).
 */
import type { Duplex } from 'node:stream'
import type { ApiResponse, Transport } from '#api/client/transport.ts'
import { flagz, statusz, type ComponentState } from '#api/http/zpages.ts'
import { apiVersionOf, type UserInfo } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import type { Store } from '#server/store/store.ts'
import type { AdmissionPlugin } from './admission.ts'
import { inOrder } from './admission/order.ts'
import { createAggregation } from './aggregation/aggregation.ts'
import { startCustomResources } from './crd/index.ts'
import type { Backend } from './aggregation/api-services.ts'
import type { Auditor } from './audit/auditor.ts'
import type { Authenticator, Authorizer } from './auth.ts'
import { profilingHandlers } from './debugging/profiling.ts'
import { zpageResponse } from './debugging/zpages.ts'
import { OPEN_PATHS, rootPaths, servePath, type PathHandler, type PathParts, type PathRequest, type VersionInfo } from './discovery/paths.ts'
import { HealthHistory, type HealthCheck } from './discovery/health.ts'
import { beginExchange, type Exchange, type PeerRequest } from './exchange.ts'
import { splitTarget, type Query } from './http/query.ts'
import { parseRequestInfo, type PathInfo, type ResourceInfo } from './http/request-info.ts'
import { prefersPretty, prefersYaml } from './http/negotiate.ts'
import { protobufResponse } from './http/protobuf-response.ts'
import { isReadByPeople, prettyResponse, statusResponse, yamlResponse } from './http/response.ts'
import { badRequest, noSuchResource, timedOut } from './http/status.ts'
import type { KindRow } from './kind.ts'
import { ApiMetrics, buildInfo, type ProcessUsage } from './metrics/api-metrics.ts'
import type { Metric } from '#base/metrics.ts'
import { measureStore } from './metrics/measured-store.ts'
import { countAnswer } from './metrics/count-answer.ts'
import { Deadlines } from './middleware/deadlines.ts'
import { authorizePath } from './middleware/authorize.ts'
import { createIdentify } from './middleware/identify.ts'
import { asksToImpersonate } from './middleware/impersonate.ts'
import { InFlight, type InFlightLimits } from './middleware/in-flight.ts'
import { isIdentityHeader, REQUEST_HEADERS, type RequestHeaders } from './middleware/front-proxy.ts'
import { createLoadGate } from './middleware/load-gate.ts'
import { createRefusals } from './middleware/refusal.ts'
import type { FlowControl } from './flowcontrol/flow-control.ts'
import type { StoredSize } from './flowcontrol/work.ts'
import { dumpHandlers } from './flowcontrol/dump.ts'
import type { NodeConnector } from './nodes/connector.ts'
import { createKubeletClient } from './nodes/kubelet-client.ts'
import { openapiHandler } from './discovery/openapi.ts'
import { reviewOf } from './reviews/reviews.ts'
import { reviewRows } from './reviews/rows.ts'
import { isLongRunning } from './request-verb.ts'
import { createResourceRequests } from './resource-requests.ts'
import { Rows } from './rows.ts'
import { ExpirySweeper } from './storage/expiry.ts'
import { createSubresources } from './subresources/handlers.ts'
import type { IssueToken } from './subresources/token.ts'
import { createServerClient } from './server-client.ts'
import { cacheOf, scopeOf, type Parts } from './verbs/call.ts'
import { ListAges } from './verbs/list-ages.ts'
import { KindCaches } from './watch/kind-cache.ts'
import { createUpgradeRequests } from './upgrade-requests.ts'
import { createWebhookClient } from './webhook-client/index.ts'
import { createPolicyPlugins } from './policies/policies.ts'
import { PolicyMetrics } from './policies/policy-metrics.ts'
import { startTypeChecks } from './policies/type-check-loop.ts'
import { WebhookMetrics } from './webhooks/webhook-metrics.ts'
import { createWebhookPlugins, type AdmissionIdentities } from './webhooks/webhooks.ts'

export interface ApiServerOptions {
  store: Store
  clock: Clock
  random: Random
  log: Log
  /** The stored kinds; the reviews come on their own. */
  rows: readonly KindRow[]
  /** In order. */
  admission: readonly AdmissionPlugin[]
  /** Of webhooks and policies, which are made here; default: all are on. */
  isPluginOn?: (name: string) => boolean
  /** Who this server is to admission webhooks; default: nobody in particular. */
  webhookIdentities?: AdmissionIdentities
  authenticator: Authenticator
  authorizer: Authorizer
  /** Undefined: no node can be reached (logs, exec and proxies answer 503). */
  nodeConnector?: NodeConnector
  /** What this server shows to extension API servers, as it is now. Undefined: nothing. */
  frontProxy?: () => { certPem: string; keyPem: string }
  /** What authenticating proxies may say, and which. Default: the aggregation layer's own. */
  requestHeaders?: RequestHeaders | undefined
  /** Undefined: serviceaccounts/token is not served. */
  issueToken?: IssueToken
  version: VersionInfo
  /** host:port shown in /api. */
  serverAddress: string
  checks?: readonly HealthCheck[]
  /** Further paths: exact, or prefixes with a trailing slash. `open`: no authentication and authorization before it. */
  extraHandlers?: Readonly<Record<string, { handle: PathHandler; open?: boolean }>>
  /** For /metrics. */
  processUsage: () => ProcessUsage
  /** Of other parts, made when asked. */
  moreMetrics?: () => readonly Metric[]
  /** As they hold, for /flagz, without secrets. */
  flags?: Readonly<Record<string, string>>
  /** Whether /debug/pprof is served (--profiling). */
  profiling?: boolean
  /** Undefined: only `inFlightLimits` hold. */
  flowControl?: FlowControl
  /** Default: upstream's. Not looked at where there is `flowControl`. */
  inFlightLimits?: InFlightLimits
  /** Of requests that do not run long. Default: upstream's 60 s. */
  requestTimeoutMs?: number
  /** A watch that names no end lives this long, or up to twice as long. Default: upstream's 30 min. */
  minWatchTimeoutMs?: number
  /** Undefined: nothing is audited. */
  auditor?: Auditor | undefined
}

export type { PeerRequest }

export interface ApiServer {
  /** Never rejects: whatever goes wrong is a Status. */
  handle(request: PeerRequest): Promise<ApiResponse>
  /** In-process transport of a part of this process: no socket, all authorization. */
  transportFor(user: UserInfo): Transport
  /** Whether an HTTP/1.1 upgrade request for this target is to be given to `upgrade`. */
  mayUpgrade(target: string, protocol?: string): boolean
  /** Whether the body of a request for this target is passed on to another server as it comes (`ApiRequest.stream`): nothing bounds it. */
  passesOn(target: string): boolean
  /** Takes the socket over: pipes it to the node, or answers with a refusal and closes. */
  upgrade(request: PeerRequest, socket: Duplex, head: Buffer): Promise<void>
  readonly metrics: ApiMetrics
  /** What the API server does beside requests: registers its group versions, looks after extension API servers. Until the signal aborts. */
  run(signal: AbortSignal): Promise<void>
  /** Once `run` has registered this server's group versions: before that /readyz fails. */
  readonly registered: Promise<void>
  /** /readyz fails from now on; requests are still served. */
  stopping(): void
  /** Ends watches and sweeps. Twice is fine. */
  close(): void
}

const REQUEST_TIMEOUT_MS = 60_000

export function createApiServer(options: ApiServerOptions): ApiServer {
  const { clock, random, authenticator, authorizer } = options
  const store = measureStore(options.store, clock)
  const log = options.log.with('apiserver')
  const rows = new Rows([...options.rows, ...reviewRows])
  const caches = new KindCaches(store)
  const metrics = new ApiMetrics()
  const inFlight = new InFlight(clock, options.inFlightLimits)
  const { auditor } = options
  const deadlines = new Deadlines(clock, options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS)
  const gate = createLoadGate(options.flowControl, inFlight, storedSize)
  const kubelet = createKubeletClient(options.nodeConnector)
  const subresources = createSubresources({ kubelet, issueToken: options.issueToken })
  const reviews = reviewOf(authenticator, authorizer)
  const refusalOf = createRefusals({ log, panic: () => metrics.panic() })
  const identify = createIdentify({ authenticator, authorizer, requestHeaders: options.requestHeaders, auditor, certificateShown: (expiresMs) => metrics.certificateShown((expiresMs - clock.nowMs()) / 1000), log })
  const begin = (request: PeerRequest) => beginExchange(request, random, auditor ? clock.nowMs() : 0)
  const state = { isStopping: false }
  const extra = {
    ...(options.flowControl && dumpHandlers(options.flowControl)), ...(options.profiling && profilingHandlers(clock)), ...options.extraHandlers,
    '/statusz': { handle: ({ headers }: PathRequest) => zpageResponse(statusz(serverState()), headers['accept'], random) },
    '/flagz': { handle: ({ headers }: PathRequest) => zpageResponse(flagz(options.flags ?? {}), headers['accept'], random) },
  }
  const paths: PathParts = {
    rows, groups: () => aggregation.groups(), merged: (own) => aggregation.discovery(own), version: options.version, serverAddress: options.serverAddress, get checks() { return [...(options.checks ?? []), ...custom.checks, ...aggregation.checks] }, isStopping: () => state.isStopping,
    healthHistory: new HealthHistory(), healthLog: (text) => log.warn(text),
    metrics: () => metrics.print({
      readOnlyInFlight: inFlight.high('readOnly'), mutatingInFlight: inFlight.high('mutating'), revision: store.revision(),
      kinds: [...caches.all()].map((c) => ({ ...c.scope, version: versionOf(c.scope), watches: c.followers, objects: c.size })),
    }, options.processUsage(), [...store.metrics(), ...(options.moreMetrics?.() ?? []), ...(options.flowControl?.metrics() ?? []), ...(auditor?.metrics() ?? []), ...[aggregation.metric() ?? []].flat()]),
    openapi: (request) => openapi(request),
    extra: Object.fromEntries(Object.entries(extra).map(([path, { handle }]) => [path, handle])),
  }

  const serverState = (): ComponentState => ({
    startTimeSeconds: options.processUsage().startTimeSeconds, nowMs: clock.nowMs(), goVersion: options.version.goVersion, binaryVersion: options.version.gitVersion.replace(/^v/, ''),
    emulationVersion: `${options.version.major}.${options.version.minor}`, paths: rootPaths(paths),
  })
  const transportFor = (user: UserInfo): Transport => ({ request: (request) => handle({ ...request, peer: { user } }) })
  const client = createServerClient(store, rows, transportFor({ name: 'system:apiserver', groups: ['system:masters', 'system:authenticated'] }), { cacheOf: (row) => cacheOf(parts, row), readyCache: (row) => caches.ready(scopeOf(row), row.custom?.form) })
  const parts: Parts = {
    store, caches, listAges: new ListAges(), clock, random, log, rows, admission: options.admission, authorizer, client, metrics,
    ...(options.minWatchTimeoutMs !== undefined && { minWatchTimeoutMs: options.minWatchTimeoutMs }),
    webhooks: createWebhookClient({ client, connector: options.nodeConnector, clock, random }),
  }
  for (const { metrics: counted } of options.admission) for (const metric of counted ?? []) metrics.register(metric)
  metrics.register(buildInfo(options.version))
  const webhookMetrics = new WebhookMetrics()
  for (const metric of webhookMetrics.all) metrics.register(metric)
  const policyMetrics = new PolicyMetrics()
  for (const metric of policyMetrics.all) metrics.register(metric)
  const isPluginOn = options.isPluginOn ?? (() => true)
  parts.admission = inOrder([...options.admission, ...[...createWebhookPlugins(parts, webhookMetrics, options.webhookIdentities), ...createPolicyPlugins(parts, policyMetrics)].filter(({ name }) => isPluginOn(name))])
  const ownVersions = new Set(rows.all.map(({ ref }) => apiVersionOf(ref)))
  const aggregation = createAggregation(parts, { connector: options.nodeConnector, frontProxy: options.frontProxy, isIdentityHeader: isIdentityHeader(options.requestHeaders ?? REQUEST_HEADERS), isCustom: (group, version) => !ownVersions.has(apiVersionOf({ group, version })) })
  const openapi = aggregation.openapi.wrap(openapiHandler(rows, options.version, () => aggregation.openapi.added()))
  const custom = startCustomResources(parts)
  const resources = createResourceRequests({ parts, authorizer, gate, aggregation, custom, subresources, reviews })
  const upgrades = createUpgradeRequests({ rows, metrics, authorizer, gate, aggregation, kubelet, resources, identify, refusalOf })
  const typeChecks = startTypeChecks(parts)
  const sweeper = new ExpirySweeper(parts)
  sweeper.start()

  async function handle(request: PeerRequest): Promise<ApiResponse> {
    const exchange = begin(request)
    const { warnings, answerHeaders } = exchange
    const startMs = clock.monotonicMs()
    const { path, query } = splitTarget(request.path)
    const info = parseRequestInfo(path)
    const serve = () => guarded(async () => {
      if (!info) throw badRequest(`the path ${JSON.stringify(path)} is not valid`)
      return info.kind === 'path' ? servePathTo(request, info, exchange) : resources.serve({ request, user: await identify(request, exchange, info), exchange }, info)
    }, request, exchange)
    const isBounded = info !== undefined && !isLongRunning(info, query)
    const wanted = isBounded && query.has('timeout') ? query.duration('timeout') : undefined
    if (isBounded) exchange.dueMs = startMs + deadlines.limitMs(wanted && 'ms' in wanted ? wanted.ms : undefined)
    const answered = wanted && 'problem' in wanted ? statusResponse(badRequest(`invalid timeout specified in the request URL - ${wanted.problem}`).body)
      : await (isBounded ? deadlines.within(serve, () => statusResponse(timedOut().body), wanted?.ms) : serve())
    // What is proxied is somebody else's answer.
    const isOurs = info?.kind !== 'resource' || info.subresource !== 'proxy'
    const shaped = isOurs ? shapedAs(answered, request, query, exchange) : answered
    const response = exchange.trail ? exchange.trail.answered(shaped, request.signal) : shaped
    for (const name in answerHeaders) response.headers[name] = answerHeaders[name] as string
    response.headers['audit-id'] ??= exchange.auditId
    response.headers['cache-control'] ??= 'no-cache, private'
    const warned = warnings.header()
    if (warned !== undefined) response.headers['warning'] = warned
    countAnswer(metrics, rows, { request, info, query, response, ms: clock.monotonicMs() - startMs })
    return response
  }

  /** In YAML, in protobuf or indented, for who wants it so. */
  function shapedAs(answered: ApiResponse, request: PeerRequest, query: Query, exchange: Exchange): ApiResponse {
    const { headers } = request
    try {
      // Beside the API nothing but refusals has that form.
      const isYaml = (answered.status >= 400 || request.path.startsWith('/api')) && prefersYaml(headers['accept'])
      const formed = isYaml ? yamlResponse(answered) : protobufResponse(answered, headers['accept'])
      const isPretty = query.text('pretty') === '' ? isReadByPeople(headers['user-agent']) || prefersPretty(headers['accept']) : query.flag('pretty')
      return isPretty ? prettyResponse(formed) : formed
    } catch (error) {
      return statusResponse(refusalOf(error, request, exchange).body)
    }
  }

  /** The panic guard: refusals become their Status, everything else a logged 500. */
  async function guarded(serve: () => Promise<ApiResponse>, request: PeerRequest, exchange: Exchange): Promise<ApiResponse> {
    try {
      return await serve()
    } catch (error) {
      return statusResponse(refusalOf(error, request, exchange).body)
    }
  }

  async function servePathTo(request: PeerRequest, info: PathInfo, exchange: Exchange): Promise<ApiResponse> {
    const { query } = splitTarget(request.path)
    // Who speaks for another is classified as that one, wherever it asks.
    const isOpen = !asksToImpersonate(request.headers) && isOpenPath(info, extra) && (authenticator.mayBeAnonymous?.(info.path) ?? true)
    // Wrong credentials are refused wherever they are shown, and events say who it was; what is served beside the API has its own.
    const user = isOpen && (!OPEN_PATHS.has(info.path) || (!auditor && request.headers['authorization'] === undefined)) ? ANYONE : await identify(request, exchange, info)
    const entered = isLongRunning(info, query) ? () => {} : gate.enter({ user, verb: request.method.toLowerCase(), path: info.path, info: undefined, query, signal: request.signal }, exchange.answerHeaders)
    const leave = entered instanceof Promise ? await entered : entered
    try {
      if (!isOpen) await authorizePath(authorizer, user, request.method, info.path, exchange.trail?.authorized)
      const asked: PathRequest = { method: request.method, info, query, headers: request.headers, body: request.body, user, signal: request.signal, peer: request.peer }
      // Health, for one, must not wait for the store.
      if (!aggregation.isReady && (info.segments[0] === 'apis' || info.segments[0] === 'openapi')) await aggregation.ready
      const backend = elsewhere(info)
      // What a server that is not there would say of itself, nobody has.
      if (backend && !backend.isAvailable && info.segments[0] === 'openapi') throw noSuchResource()
      const response = backend ? await aggregation.proxy(backend, request, user) : await servePath(paths, asked)
      return request.method === 'HEAD' ? { ...response, body: Buffer.alloc(0) } : response
    } finally {
      leave()
    }
  }

  /** Discovery and OpenAPI of a group version that another server serves. */
  function elsewhere({ segments }: PathInfo): Backend | undefined {
    const [first, ...rest] = segments[0] === 'openapi' && segments[1] === 'v3' ? segments.slice(2) : segments
    return first === 'apis' && rest.length >= 2 ? aggregation.backendOf(rest[0] ?? '', rest[1] ?? '') : undefined
  }

  /** How much of a resource a list would read; undefined while nobody has read it yet. */
  function storedSize({ group, version, resource }: ResourceInfo): StoredSize | undefined {
    const row = rows.find(group, version, resource)
    const cache = row && caches.ready(scopeOf(row))
    return cache && { count: cache.size, meanBytes: cache.size === 0 ? 0 : cache.bytes / cache.size }
  }

  function versionOf({ group, resource }: { group: string; resource: string }): string {
    return rows.versions(group).find((v) => v.rows.some((r) => r.ref.resource === resource))?.version ?? ''
  }

  return {
    handle,
    transportFor,
    metrics,
    mayUpgrade: (target, protocol) => upgrades.mayUpgrade(target, protocol),
    passesOn(target) {
      const info = parseRequestInfo(splitTarget(target).path)
      return info?.kind === 'resource' ? aggregation.backendOf(info.group, info.version) !== undefined : info !== undefined && elsewhere(info) !== undefined
    },
    upgrade: (request, socket, head) => upgrades.serve(request, begin(request), socket, head),
    async run(signal) {
      // Their group versions are registered, too, and one that is missing would be taken for gone.
      await custom.ready
      await aggregation.run(signal)
    },
    registered: aggregation.registered,
    stopping() { state.isStopping = true },
    close() {
      state.isStopping = true
      sweeper.stop()
      options.flowControl?.close()
      deadlines.close()
      custom.close()
      typeChecks.close()
      parts.webhooks.close()
      aggregation.close()
      caches.endFollowers()
    },
  }
}

const ANYONE: UserInfo = { name: 'system:anonymous', groups: ['system:unauthenticated'] }

function isOpenPath(info: PathInfo, extra: ApiServerOptions['extraHandlers'] & object): boolean {
  if (OPEN_PATHS.has(info.path)) return true
  return Object.entries(extra).some(([path, { open }]) => open === true && (path === info.path || (path.endsWith('/') && info.path.startsWith(path))))
}
