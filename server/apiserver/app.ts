/**
 * The API server as one transport-neutral handler. A request's way: limits, panic guard, authentication, audit, impersonation,
 * priority and fairness, authorization, then a verb, a subresource, a review, or a path (README.md has the picture).
 */
import type { Duplex } from 'node:stream'
import { isBodyStream, type ApiRequest, type ApiResponse, type Transport } from '#api/client/transport.ts'
import { apiVersionOf, type UserInfo } from '#api/types/index.ts'
import { asError } from '#base/errors.ts'
import type { Clock } from '#base/clock.ts'
import type { Log } from '#base/log.ts'
import { uuid, type Random } from '#base/random.ts'
import type { Store } from '#server/store/store.ts'
import type { AdmissionPlugin } from './admission.ts'
import { inOrder } from './admission/order.ts'
import { createAggregation } from './aggregation/aggregation.ts'
import { startCustomResources } from './crd/index.ts'
import type { Backend } from './aggregation/api-services.ts'
import type { Auditor } from './audit/auditor.ts'
import type { AuditTrail } from './audit/trail.ts'
import type { Attributes, Authenticator, Authorizer } from './auth.ts'
import { profilingHandlers } from './debugging/profiling.ts'
import { flagz, statusz, zpageResponse, type ServerState } from './debugging/zpages.ts'
import { OPEN_PATHS, rootPaths, servePath, type PathHandler, type PathParts, type PathRequest, type VersionInfo } from './discovery/paths.ts'
import { HealthHistory, type HealthCheck } from './discovery/health.ts'
import { splitTarget, type Query } from './http/query.ts'
import { parseRequestInfo, type PathInfo, type ResourceInfo } from './http/request-info.ts'
import { prefersPretty } from './http/negotiate.ts'
import { protobufResponse } from './http/protobuf-response.ts'
import { isReadByPeople, prettyResponse, statusResponse } from './http/response.ts'
import { badRequest, internal, methodNotAllowed, noSuchResource, StatusError, timedOut } from './http/status.ts'
import { warningHeader } from './http/warnings.ts'
import type { KindRow } from './kind.ts'
import { ApiMetrics, type ProcessUsage } from './metrics/api-metrics.ts'
import type { Metric } from './metrics/metrics.ts'
import { measureStore } from './metrics/measured-store.ts'
import type { Answered } from './metrics/request-metrics.ts'
import { authenticate, type Peer } from './middleware/authenticate.ts'
import { Deadlines } from './middleware/deadlines.ts'
import { attributesOf, authorizePath, authorizeResource, type Selectors } from './middleware/authorize.ts'
import { asksToImpersonate, createImpersonator } from './middleware/impersonate.ts'
import { InFlight, type InFlightLimits } from './middleware/in-flight.ts'
import { isIdentityHeader, REQUEST_HEADERS, type RequestHeaders } from './middleware/front-proxy.ts'
import { createLoadGate } from './middleware/load-gate.ts'
import type { FlowControl } from './flowcontrol/flow-control.ts'
import type { StoredSize } from './flowcontrol/work.ts'
import { dumpHandlers } from './flowcontrol/dump.ts'
import type { NodeConnector } from './nodes/connector.ts'
import { createKubeletClient } from './nodes/kubelet-client.ts'
import { UPGRADES, upgradeCall, webSocketBearer } from './nodes/upgrade.ts'
import { openapiHandler } from './discovery/openapi.ts'
import { reviewOf } from './reviews/reviews.ts'
import { reviewRows } from './reviews/rows.ts'
import { auditVerb, isLongRunning, LONG_RUNNING, reportedVerb, verbOf } from './request-verb.ts'
import { Rows, servesVerb } from './rows.ts'
import { ExpirySweeper } from './storage/expiry.ts'
import { createSubresources } from './subresources/handlers.ts'
import type { IssueToken } from './subresources/token.ts'
import { createServerClient } from './server-client.ts'
import { cacheOf, scopeOf, type Call, type Parts, type VerbName } from './verbs/call.ts'
import { storeFailure } from './verbs/stored.ts'
import { VERBS } from './verbs/verbs.ts'
import { nameSelected } from './watch/selection.ts'
import type { WatchAnswer } from './watch/websocket.ts'
import { KindCaches } from './watch/kind-cache.ts'
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

export type PeerRequest = ApiRequest & { peer: Peer }

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
  /** /readyz fails from now on; requests are still served. */
  stopping(): void
  /** Ends watches and sweeps. Twice is fine. */
  close(): void
}

/** What is gathered on the way of a request and goes with the answer, whatever it is. */
interface Exchange {
  auditId: string
  receivedMs: number
  warnings: string[]
  answerHeaders: Record<string, string>
  /** From authentication on, where the audit policy wants it. */
  trail: AuditTrail | undefined
}

/** A request after authentication. */
interface Caller { request: PeerRequest; user: UserInfo; exchange: Exchange }

/** What a resource request asks for, as it is classified and authorized. */
interface Asked { verb: VerbName; /** `name` is also the one a field selector names. */ info: ResourceInfo; query: Query; rawQuery: string; selectors: Selectors }

const REQUEST_TIMEOUT_MS = 60_000
/** Longer ones from clients are cut. */
const AUDIT_ID_LENGTH_MAX = 64


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
  const impersonator = createImpersonator(authorizer)
  const state = { isStopping: false }
  const extra = {
    ...(options.flowControl && dumpHandlers(options.flowControl)), ...(options.profiling && profilingHandlers(clock)), ...options.extraHandlers,
    '/statusz': { handle: ({ headers }: PathRequest) => zpageResponse(statusz(serverState()), headers['accept'], random) },
    '/flagz': { handle: ({ headers }: PathRequest) => zpageResponse(flagz(options.flags ?? {}), headers['accept'], random) },
  }
  const paths: PathParts = {
    rows, groups: () => aggregation.groups(), merged: (own) => aggregation.discovery(own), version: options.version, serverAddress: options.serverAddress, get checks() { return [...(options.checks ?? []), ...custom.checks] }, isStopping: () => state.isStopping,
    healthHistory: new HealthHistory(), healthLog: (text) => log.warn(text),
    metrics: () => metrics.print({
      readOnlyInFlight: inFlight.high('readOnly'), mutatingInFlight: inFlight.high('mutating'), revision: store.revision(),
      kinds: [...caches.all()].map((c) => ({ ...c.scope, version: versionOf(c.scope), watches: c.followers, objects: c.size })),
    }, options.processUsage(), [...store.metrics(), ...(options.moreMetrics?.() ?? []), ...(options.flowControl?.metrics() ?? []), ...(auditor?.metrics() ?? []), ...[aggregation.metric() ?? []].flat()]),
    openapi: (request) => openapi(request),
    extra: Object.fromEntries(Object.entries(extra).map(([path, { handle }]) => [path, handle])),
  }

  const serverState = (): ServerState => ({
    startTimeSeconds: options.processUsage().startTimeSeconds, nowMs: clock.nowMs(), goVersion: options.version.goVersion, binaryVersion: options.version.gitVersion.replace(/^v/, ''),
    emulationVersion: `${options.version.major}.${options.version.minor}`, paths: rootPaths(paths),
  })
  const transportFor = (user: UserInfo): Transport => ({ request: (request) => handle({ ...request, peer: { user } }) })
  const client = createServerClient(store, rows, transportFor({ name: 'system:apiserver', groups: ['system:masters', 'system:authenticated'] }), (row) => cacheOf(parts, row))
  const parts: Parts = {
    store, caches, clock, random, log, rows, admission: options.admission, authorizer, client, metrics,
    ...(options.minWatchTimeoutMs !== undefined && { minWatchTimeoutMs: options.minWatchTimeoutMs }),
    webhooks: createWebhookClient({ client, connector: options.nodeConnector, clock, random }),
  }
  for (const { metrics: counted } of options.admission) for (const metric of counted ?? []) metrics.register(metric)
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
      return info.kind === 'path' ? servePathTo(request, info, exchange) : serveResource({ request, user: await identify(request, exchange, info), exchange }, info)
    }, request, exchange)
    const isBounded = info !== undefined && !isLongRunning(info, query)
    const wanted = isBounded && query.has('timeout') ? query.duration('timeout') : undefined
    const answered = wanted === 'invalid' ? statusResponse(badRequest('invalid timeout specified in the request URL').body)
      : await (isBounded ? deadlines.within(serve, () => statusResponse(timedOut().body), wanted?.ms) : serve())
    // What is proxied is somebody else's answer.
    const isOurs = info?.kind !== 'resource' || info.subresource !== 'proxy'
    const shaped = isOurs ? shapedAs(answered, request, query, exchange) : answered
    const response = exchange.trail ? exchange.trail.answered(shaped, request.signal) : shaped
    for (const name in answerHeaders) response.headers[name] = answerHeaders[name] as string
    response.headers['audit-id'] ??= exchange.auditId
    response.headers['cache-control'] ??= 'no-cache, private'
    if (warnings.length > 0) response.headers['warning'] = warningHeader(warnings)
    count(request, info, query, response, clock.monotonicMs() - startMs)
    return response
  }

  /** In protobuf or indented, for who wants it so. */
  function shapedAs(answered: ApiResponse, request: PeerRequest, query: Query, exchange: Exchange): ApiResponse {
    const { headers } = request
    try {
      const formed = protobufResponse(answered, headers['accept'])
      const isPretty = query.text('pretty') === '' ? isReadByPeople(headers['user-agent']) || prefersPretty(headers['accept']) : query.flag('pretty')
      return isPretty ? prettyResponse(formed) : formed
    } catch (error) {
      return statusResponse(refusalOf(error, request, exchange).body)
    }
  }

  function begin({ headers }: PeerRequest): Exchange {
    const given = headers['audit-id']
    return { auditId: given ? given.slice(0, AUDIT_ID_LENGTH_MAX) : uuid(random), receivedMs: auditor ? clock.nowMs() : 0, warnings: [], answerHeaders: {}, trail: undefined }
  }

  /** The panic guard: refusals become their Status, everything else a logged 500. */
  async function guarded(serve: () => Promise<ApiResponse>, request: PeerRequest, exchange: Exchange): Promise<ApiResponse> {
    try {
      return await serve()
    } catch (error) {
      return statusResponse(refusalOf(error, request, exchange).body)
    }
  }

  function refusalOf(error: unknown, request: PeerRequest, exchange: Exchange): StatusError {
    if (error instanceof StatusError) return error
    const failure = storeFailure(error)
    if (failure) {
      log.warn('the store refused a request', { method: request.method, path: splitTarget(request.path).path, error: asError(error) })
      return failure
    }
    if (request.signal.aborted) return new StatusError({ code: 499, reason: '', message: 'the client is gone' })
    metrics.panic()
    exchange.trail?.panic(asError(error).message)
    log.error('a request failed unexpectedly', { method: request.method, path: splitTarget(request.path).path, error: asError(error), stack: asError(error).stack })
    return internal('the request could not be completed; the server log has the reason')
  }

  async function identify(request: PeerRequest, exchange: Exchange, info: ResourceInfo | PathInfo): Promise<UserInfo> {
    const { headers, peer } = request
    const noted = () => ({ request, auditId: exchange.auditId, receivedMs: exchange.receivedMs, verb: auditVerb(request, info), info: info.kind === 'resource' ? info : undefined, path: splitTarget(request.path).path })
    let user: UserInfo
    try {
      user = await authenticate(peer, headers, splitTarget(request.path).path, { authenticator, requestHeaders: options.requestHeaders, log })
    } catch (error) {
      auditor?.authenticationFailed(noted())
      throw error
    }
    if (auditor) exchange.trail = auditor.begin({ ...noted(), user })
    if (!asksToImpersonate(headers)) return user
    const impersonated = await impersonator.impersonate(headers, requestAttributes(request, info, user))
    if (!impersonated) return user
    exchange.trail?.impersonated(impersonated.user, impersonated.constraint)
    return impersonated.user
  }

  /** As it is authorized in the end; what no verb asks for is refused later. */
  function requestAttributes(request: PeerRequest, info: ResourceInfo | PathInfo, user: UserInfo): Attributes {
    if (info.kind === 'path') return { user, verb: request.method.toLowerCase(), path: info.path }
    const verb = auditVerb(request, info)
    const { query } = splitTarget(request.path)
    const isMany = verb === 'list' || verb === 'watch' || verb === 'deletecollection'
    return attributesOf(user, verb, info, isMany ? { fieldSelector: query.text('fieldSelector'), labelSelector: query.text('labelSelector') } : {})
  }

  async function servePathTo(request: PeerRequest, info: PathInfo, exchange: Exchange): Promise<ApiResponse> {
    const { query } = splitTarget(request.path)
    // Who speaks for another is classified as that one, wherever it asks.
    const isOpen = !asksToImpersonate(request.headers) && isOpenPath(info, extra) && (authenticator.mayBeAnonymous?.(info.path) ?? true)
    const user = isOpen ? ANYONE : await identify(request, exchange, info)
    const entered = isLongRunning(info, query) ? () => {} : gate.enter({ user, verb: request.method.toLowerCase(), path: info.path, info: undefined, query, signal: request.signal }, exchange.answerHeaders)
    const leave = entered instanceof Promise ? await entered : entered
    try {
      if (!isOpen) await authorizePath(authorizer, user, request.method, info.path, exchange.trail?.authorized)
      const asked: PathRequest = { method: request.method, info, query, headers: request.headers, body: request.body, user, signal: request.signal, peer: request.peer }
      // Health, for one, must not wait for the store.
      if (!aggregation.isReady && (info.segments[0] === 'apis' || info.segments[0] === 'openapi')) await aggregation.ready
      const backend = elsewhere(info)
      const response = backend ? await aggregation.proxy(backend, request, user) : await servePath(paths, asked)
      return request.method === 'HEAD' ? { ...response, body: Buffer.alloc(0) } : response
    } finally {
      leave()
    }
  }

  async function serveResource(caller: Caller, info: ResourceInfo): Promise<ApiResponse> {
    if (!aggregation.isReady) await aggregation.ready
    const { request, user } = caller
    const asked = askedFor(request, info)
    const backend = aggregation.backendOf(info.group, info.version)
    const serve = async () => (backend ? serveElsewhere(caller, asked, backend) : serveCall(await authorizedCall(caller, info, asked)))
    if (LONG_RUNNING.has(info.subresource)) return serve()
    const entered = gate.enter({ user, verb: asked.verb, path: request.path, info: asked.info, query: asked.query, signal: request.signal }, caller.exchange.answerHeaders)
    const leave = entered instanceof Promise ? await entered : entered
    try {
      return await serve()
    } finally {
      // A watch has begun when its answer is there; what it sends later takes no seat.
      leave()
    }
  }

  async function serveElsewhere({ request, user, exchange }: Caller, asked: Asked, backend: Backend): Promise<ApiResponse> {
    await authorizeResource(authorizer, user, asked.verb, asked.info, asked.selectors, exchange.trail?.authorized)
    return aggregation.proxy(backend, request, user)
  }

  /** A watch or a log as messages. It takes its seat as any other while it begins. */
  async function upgradeAnswer(caller: Caller, info: ResourceInfo, asked: Asked, socket: Duplex, head: Buffer): Promise<void> {
    const { request, user, exchange } = caller
    const gone = new AbortController()
    request.signal.addEventListener('abort', () => gone.abort(), { once: true })
    const entered = gate.enter({ user, verb: asked.verb, path: request.path, info: asked.info, query: asked.query, signal: request.signal }, exchange.answerHeaders)
    const leave = entered instanceof Promise ? await entered : entered
    try {
      const answer = await serveCall(await authorizedCall({ ...caller, request: { ...request, signal: gone.signal } }, info, asked))
      const { answerOverWebSocket } = await import('./http/websocket-answer.ts')
      const isWatch = asked.verb === 'watch'
      const messages = isWatch ? (await import('./watch/websocket.ts')).watchMessages(answer as WatchAnswer) : (await import('./nodes/log-messages.ts')).logMessages(answer.body as WatchAnswer['body'])
      noteUpgrade(exchange, socket)
      await answerOverWebSocket(request, socket, head, messages, () => gone.abort())
      metrics.requests.answered(rows.find(info.group, info.version, info.resource), { verb: isWatch ? 'WATCH' : 'GET', subresource: info.subresource, scope: isWatch ? '' : 'resource', dryRun: false, code: 101, seconds: undefined, bytes: undefined })
    } catch (error) {
      gone.abort()
      throw error
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

  function askedFor(request: PeerRequest, info: ResourceInfo): Asked {
    const { query, rawQuery } = splitTarget(request.path)
    const verb = verbOf(request.method, info, query.flag('watch'))
    const isMany = verb === 'list' || verb === 'watch' || verb === 'deletecollection'
    const fieldSelector = isMany ? query.text('fieldSelector') : ''
    return { verb, info: info.name === '' && fieldSelector !== '' ? { ...info, name: nameSelected(fieldSelector) } : info, query, rawQuery, selectors: isMany ? { fieldSelector, labelSelector: query.text('labelSelector') } : {} }
  }

  async function authorizedCall({ request, user, exchange }: Caller, info: ResourceInfo, asked: Asked): Promise<Call> {
    const { verb, query, rawQuery, selectors } = asked
    const { warnings, trail } = exchange
    await authorizeResource(authorizer, user, verb, asked.info, selectors, trail?.authorized)
    if (!custom.isReady) await custom.ready
    const row = rows.find(info.group, info.version, info.resource)
    if (!row || (info.namespace !== '' && !row.ref.namespaced)) throw noSuchResource()
    return {
      parts, row, info, verb, method: request.method, query, rawQuery, headers: request.headers, body: request.body, user, signal: request.signal,
      warn: (text) => { if (!warnings.includes(text)) warnings.push(text) },
      annotate: (key, value, level = 'Metadata') => trail?.annotate(key, value, level),
      ...(trail && { noteObject: trail.requestObject }),
    }
  }

  async function serveCall(call: Call): Promise<ApiResponse> {
    const { row, info, verb } = call
    if (row.warning !== undefined) call.warn(row.warning)
    const needsNamespace = row.ref.namespaced && info.namespace === ''
    if (info.subresource !== '') {
      if (info.name === '' || needsNamespace || (info.rest !== '' && info.subresource !== 'proxy')) throw noSuchResource()
      return subresources(call)
    }
    const review = reviews(row)
    if (review) {
      if (!servesVerb(row, verb)) throw methodNotAllowed()
      return review(call)
    }
    if (!servesVerb(row, verb)) throw methodNotAllowed()
    const isMany = verb === 'list' || verb === 'watch'
    // Built-in kinds have the path for lists; a definition's handler knows no other verb on it.
    if (needsNamespace && !isMany) throw info.name === '' && !row.custom ? methodNotAllowed() : noSuchResource()
    return VERBS[verb](call)
  }

  function versionOf({ group, resource }: { group: string; resource: string }): string {
    return rows.versions(group).find((v) => v.rows.some((r) => r.ref.resource === resource))?.version ?? ''
  }

  function count(request: PeerRequest, info: ResourceInfo | PathInfo | undefined, query: Query, response: ApiResponse, ms: number): void {
    const answer: Answered = { verb: request.method, subresource: '', scope: '', dryRun: false, code: response.status, seconds: ms / 1000, bytes: undefined }
    if (info?.kind !== 'resource') return metrics.requests.answered(undefined, answer)
    const isLong = isLongRunning(info, query)
    answer.verb = reportedVerb(request, info, query)
    answer.subresource = info.subresource
    answer.scope = info.name !== '' ? 'resource' : info.namespace !== '' ? 'namespace' : 'cluster'
    answer.dryRun = query.has('dryRun')
    if (isLong) answer.seconds = undefined
    else if (request.method === 'GET') answer.bytes = bytesOf(response)
    metrics.requests.answered(rows.find(info.group, info.version, info.resource), answer)
  }

  return {
    handle,
    transportFor,
    metrics,
    mayUpgrade(target, protocol) {
      const { path, query } = splitTarget(target)
      const info = parseRequestInfo(path)
      return info?.kind === 'resource' && (UPGRADES.has(info.subresource) || aggregation.backendOf(info.group, info.version) !== undefined || (isWebSocket(protocol) && isLongRunning(info, query)))
    },
    passesOn(target) {
      const info = parseRequestInfo(splitTarget(target).path)
      return info?.kind === 'resource' ? aggregation.backendOf(info.group, info.version) !== undefined : info !== undefined && elsewhere(info) !== undefined
    },
    async upgrade(request, socket, head) {
      socket.on('error', () => socket.destroy())
      const { path } = splitTarget(request.path)
      const info = parseRequestInfo(path)
      const exchange = begin(request)
      try {
        if (info?.kind !== 'resource') throw noSuchResource()
        const bearer = request.headers['authorization'] === undefined ? webSocketBearer(request.headers) : undefined
        const headers = bearer === undefined ? request.headers : { ...request.headers, authorization: `Bearer ${bearer}` }
        const caller: Caller = { request: { ...request, headers }, user: await identify({ ...request, headers }, exchange, info), exchange }
        if (!aggregation.isReady) await aggregation.ready
        const asked = askedFor(caller.request, info)
        const backend = aggregation.backendOf(info.group, info.version)
        if (backend) {
          await authorizeResource(authorizer, caller.user, asked.verb, asked.info, asked.selectors, exchange.trail?.authorized)
          noteUpgrade(exchange, socket)
          return await aggregation.upgrade(backend, caller.request, caller.user, socket, head)
        }
        if ((asked.verb === 'watch' || info.subresource === 'log') && isWebSocket(headers['upgrade'])) return await upgradeAnswer(caller, info, asked, socket, head)
        const call = await authorizedCall(caller, info, asked)
        // KEP-4006: a WebSocket is a GET, but running something in a pod needs `create`, as it does with POST.
        if (call.verb === 'get' && info.subresource !== 'proxy') await authorizeResource(authorizer, caller.user, 'create', info)
        noteUpgrade(exchange, socket)
        await upgradeCall(call, socket, head, kubelet)
        metrics.requests.answered(call.row, { verb: 'CONNECT', subresource: info.subresource, scope: 'resource', dryRun: false, code: 101, seconds: undefined, bytes: undefined })
      } catch (error) {
        const refusal = refusalOf(error, request, exchange)
        exchange.trail?.answered(statusResponse(refusal.body), request.signal)
        refuseUpgrade(socket, refusal)
      }
    },
    async run(signal) {
      // Their group versions are registered, too, and one that is missing would be taken for gone.
      await custom.ready
      await aggregation.run(signal)
    },
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
      caches.close()
    },
  }
}

const isWebSocket = (protocol: string | undefined): boolean => protocol?.toLowerCase() === 'websocket'

const ANYONE: UserInfo = { name: 'system:anonymous', groups: ['system:unauthenticated'] }

function isOpenPath(info: PathInfo, extra: ApiServerOptions['extraHandlers'] & object): boolean {
  if (OPEN_PATHS.has(info.path) || /^\/(?:livez|readyz|healthz)\//.test(info.path)) return true
  return Object.entries(extra).some(([path, { open }]) => open === true && (path === info.path || (path.endsWith('/') && info.path.startsWith(path))))
}

function bytesOf({ body }: ApiResponse): number | undefined {
  if (isBodyStream(body)) return undefined
  return Buffer.isBuffer(body) ? body.length : body.reduce((n, chunk) => n + chunk.length, 0)
}

/** From here on the connection belongs to the node, until one side ends it. */
function noteUpgrade({ trail }: Exchange, socket: Duplex): void {
  const upgraded = trail?.upgraded()
  if (upgraded) socket.once('close', () => upgraded.ended())
}

function refuseUpgrade(socket: Duplex, refusal: StatusError): void {
  const { status, headers, body } = statusResponse(refusal.body)
  const bytes = body as Buffer
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')
  socket.end(Buffer.concat([Buffer.from(`HTTP/1.1 ${status} ${refusal.body.reason || 'Error'}\r\n${lines}content-length: ${bytes.length}\r\nconnection: close\r\n\r\n`), bytes]))
}
