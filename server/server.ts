/**
 * A server, put together: store, certificates, API server, controllers and scheduler in one process, all of the latter
 * clients of the first through its in-process transport. Built by `server/cli/`, which brings the adapters.
 *
 *   store --> API handler --> TLS port (API, agents' tunnels)
 *                 |
 *                 +-- in process: bootstrap, RBAC and node graph informers, controllers, scheduler
 */
import { join } from 'node:path'
import { createClient } from '#api/client/rest.ts'
import { createEventRecorder } from '#api/client/event-recorder.ts'
import { createInformers } from '#api/client/informer.ts'
import type { Client } from '#api/client/client.ts'
import type { ClusterConfig } from '#api/cluster-config.ts'
import { writeKubeconfig } from '#api/kubeconfig.ts'
import { GIT_VERSION, KUBERNETES_MINOR, SKIFF_COMMIT_ID } from '#api/version.ts'
import type { Clock } from '#base/clock.ts'
import { asError, CodedError, hasCode } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import { createApiServer, type ApiServer } from './apiserver/app.ts'
import { isOn, type AdmissionChoice } from './apiserver/admission/choice.ts'
import { chooseAdmission } from './apiserver/admission/index.ts'
import { publishAuthenticationConfig } from './apiserver/aggregation/authentication-config.ts'
import { ensureBootstrap } from './apiserver/bootstrap/ensure.ts'
import { createAuthenticator, type AuthenticatorOptions } from './apiserver/authn/authenticator.ts'
import { lookupFromClient } from './apiserver/authn/lookup.ts'
import { noteLegacyUse, trackLegacyTokens } from './apiserver/authn/legacy-token-tracking.ts'
import { createServiceAccountTokens } from './apiserver/authn/service-account-tokens.ts'
import { alwaysAllow, alwaysDeny, createAuthorizer, nodeLink, rbacLink, type AuthorizerLink } from './apiserver/authz/authorizer.ts'
import type { AuthorizerType } from './apiserver/authz/authorization-config.ts'
import { NODE_RULES } from './apiserver/authz/default-cluster-roles.ts'
import { createEscalationPlugin } from './apiserver/authz/escalation.ts'
import { createNodeAuthorizer } from './apiserver/authz/node-authorizer.ts'
import { createNodeGraph, feedNodeGraph } from './apiserver/authz/node-graph.ts'
import { nodePasswordPlugin } from './apiserver/authz/node-password.ts'
import { createRbacAuthorizer } from './apiserver/authz/rbac.ts'
import { rbacFromInformers } from './apiserver/authz/rbac-source.ts'
import { reconcileDefaultPolicy } from './apiserver/authz/reconcile-policy.ts'
import type { Auditor } from './apiserver/audit/auditor.ts'
import type { HealthCheck } from './apiserver/discovery/health.ts'
import { openEncryption, type Encryption, type EncryptionOptions } from './apiserver/encryption/index.ts'
import { createFlowControlController } from './apiserver/flowcontrol/controller.ts'
import { FlowControl } from './apiserver/flowcontrol/flow-control.ts'
import { createHttpServer, type HttpServer } from './apiserver/http-server.ts'
import type { ProcessUsage } from './apiserver/metrics/api-metrics.ts'
import type { RequestHeaders } from './apiserver/middleware/front-proxy.ts'
import { createTunnelHub, TUNNEL_ALPN } from './apiserver/nodes/tunnel-hub.ts'
import type { SigningKey } from './apiserver/pki/service-account-keys.ts'
import { openPki, type Pki, type PkiOptions } from './apiserver/pki/pki.ts'
import { rows, withAllocators } from './apiserver/registry.ts'
import { certificatesController } from './controllers/certificates/controller.ts'
import { keepControlPlaneLabel } from './control-plane-label.ts'
import { clusterRoleAggregationController } from './controllers/clusterrole-aggregation/controller.ts'
import { serviceAccountTokenController } from './controllers/serviceaccount-token/controller.ts'
import { startControllers } from './controllers/index.ts'
import { assertSameCluster } from './assert-same-cluster.ts'
import { leanOf } from './lean-pod.ts'
import { publishClusterConfig } from './publish-cluster-config.ts'
import { runManifests } from './manifests/manifests.ts'
import { SNAPSHOT_PATH, snapshotEndpoint } from './snapshot/snapshot-endpoint.ts'
import { createScheduler } from './scheduler/scheduler.ts'
import { StartProgress } from './start-progress.ts'
import { openServiceAllocator } from './service-allocations.ts'
import type { Store } from './store/store.ts'

export interface ServerConfig {
  dataDir: string
  bindAddress: string
  /** How this machine itself reaches the port: 127.0.0.1 unless another address is bound; in brackets for IPv6. */
  localHost: string
  port: number
  advertiseAddress: string
  /** Host name, node name, node IPs, --tls-san. */
  names: readonly string[]
  cluster: ClusterConfig
  /** The first address of the service CIDR. */
  kubernetesServiceIp: string
  token: string | undefined
  agentToken: string | undefined
  kubeconfigPath: string
  kubeconfigMode: number
  disabled: ReadonlySet<'controllers' | 'scheduler'>
  load: LoadConfig
  admission: AdmissionChoice
  /** As they hold, without secrets: anyone who may read /flagz sees them. */
  flags: Readonly<Record<string, string>>
  /** --profiling: /debug/pprof */
  profiling: boolean
  /** PEM of further authorities whose client certificates make users; '': none. */
  clientCa: string
  /** Proxies that speak for users; `ca`: PEM of further authorities, '': none. */
  requestHeaders: { ca: string; headers: RequestHeaders }
  serviceAccounts: { /** The first signs. */ issuers: readonly string[]; apiAudiences: readonly string[]; expirationSecondsMax: number | undefined; extendsExpiration: boolean; /** From files; undefined: skiff's own key signs. */ keys: { signs: SigningKey | undefined; verifies: readonly SigningKey[] } }
  /** Name of the Node on this machine; undefined: it has none. */
  nodeName: string | undefined
}

/** Limits of the API server; names and defaults are kube-apiserver's. */
export interface LoadConfig {
  /** --enable-priority-and-fairness */
  priorityAndFairness: boolean
  /** --max-requests-inflight */
  requestsInFlight: number
  /** --max-mutating-requests-inflight */
  mutatingInFlight: number
  /** --request-timeout */
  requestTimeoutMs: number
  /** --min-request-timeout: of watches that name none. */
  minWatchTimeoutMs: number
  /** --http2-max-streams-per-connection */
  http2StreamsMax: number
  /** --goaway-chance */
  goawayChance: number
}

export interface ServerDeps {
  clock: Clock
  random: Random
  log: Log
  openStore: () => Promise<Store>
  /** Undefined: nothing is encrypted at rest. */
  encryption?: EncryptionOptions
  /** Undefined: nothing is audited. */
  auditor?: Auditor | undefined
  /** Who is believed beside the cluster's own. Closed with the server. */
  authentication?: Pick<AuthenticatorOptions, 'staticTokens' | 'jwt' | 'anonymous' | 'tokenWebhook'> & { close(): void }
  /** Undefined: Node, then RBAC. Closed with the server. */
  authorization?: { authorizers: () => readonly (AuthorizerType | AuthorizerLink)[]; close(): void }
  processUsage: () => ProcessUsage
}

export interface RunningServer {
  readonly pki: Pki
  readonly api: ApiServer
  /** Resolves when bootstrap objects and the default policy are in place: /readyz is ok from then on. */
  readonly ready: Promise<void>
  /** Stops taking work, finishes what is in flight, closes the store. Within 10 s. Twice is fine. */
  close(): Promise<void>
}

const CLOCK_LOOK_MS = 5_000
/** Agents look for their server again after at most so long. */
const AGENTS_BACK_MS = 10_000
const APISERVER_USER = { name: 'system:apiserver', groups: ['system:masters', 'system:authenticated'] }

/** Rejects when it cannot begin: port in use, store locked or damaged, certificates broken. */
export async function startServer(config: ServerConfig, deps: ServerDeps, signal: AbortSignal): Promise<RunningServer> {
  // The store first: its lock keeps a second server on the same data directory from touching certificates and tokens.
  const store = await deps.openStore()
  try {
    return await startOnStore(config, deps, await openEncryption(store, deps.encryption, deps), signal)
  } catch (error) {
    await store.close()
    throw error
  }
}

async function startOnStore(config: ServerConfig, deps: ServerDeps, encryption: Encryption, signal: AbortSignal): Promise<RunningServer> {
  const { store } = encryption
  const { clock, random, log } = deps
  await assertSameCluster(store, config.cluster)
  const pki = await openPkiWhenTimeIsRight({ dataDir: config.dataDir, clock, random, log, names: config.names, clusterDomain: config.cluster.clusterDomain, serviceIp: config.kubernetesServiceIp, token: config.token, agentToken: config.agentToken }, signal)
  const stop = new AbortController()
  // The authenticator and the authorizer are asked by the API server and ask it themselves.
  const late: { client?: Client } = {}
  const lookup = { get: (...args: Parameters<ReturnType<typeof lookupFromClient>['get']>) => lookupFromClient(late.client as Client).get(...args) } as ReturnType<typeof lookupFromClient>
  const { issuers: [issuer = '', ...formerIssuers], keys: { signs, verifies }, ...tokenOptions } = config.serviceAccounts
  const serviceAccounts = createServiceAccountTokens({ keys: signs ? [signs, ...verifies] : [...pki.serviceAccountKeys, ...verifies], issuer, formerIssuers, ...tokenOptions, noteLegacyUse: (secret, date) => noteLegacyUse(late.client as Client, secret, date, log), lookup, clock, random })
  const authenticator = createAuthenticator({ serviceAccounts, lookup, joinSecrets: () => pki.tokens.secrets, ...deps.authentication, clock })
  const lazyTransport = { request: (...args: Parameters<ReturnType<ApiServer['transportFor']>['request']>) => api.transportFor(APISERVER_USER).request(...args) }
  const client = createClient(lazyTransport, { userAgent: `kube-apiserver/${GIT_VERSION}` })
  late.client = client
  const informers = createInformers(client, { clock, random, log, leanOf })
  const graph = createNodeGraph()
  const rbac = createRbacAuthorizer(rbacFromInformers(informers))
  const links: Readonly<Record<AuthorizerType, AuthorizerLink>> = { Node: nodeLink(createNodeAuthorizer(graph, NODE_RULES)), RBAC: rbacLink(rbac), AlwaysAllow: alwaysAllow, AlwaysDeny: alwaysDeny }
  const defaultChain = [links.Node, links.RBAC]
  const authorizer = createAuthorizer(() => deps.authorization?.authorizers().map((one) => (typeof one === 'string' ? links[one] : one)) ?? defaultChain)
  feedNodeGraph(graph, informers, { volumes: true })
  const hub = createTunnelHub({ clock, log, agentsBackMs: AGENTS_BACK_MS })
  const flowControl = config.load.priorityAndFairness ? new FlowControl({ clock, log, serverSeats: config.load.requestsInFlight + config.load.mutatingInFlight, waitMsMax: config.load.requestTimeoutMs / 4 }) : undefined
  const flowController = flowControl && createFlowControlController({ client, informers, flowControl, clock, log })
  const progress = { isSynced: false, hooks: new StartProgress() }
  const api: ApiServer = createApiServer({
    store, clock, random, log,
    rows: withAllocators(rows, { services: await openServiceAllocator(store, { serviceCidr: config.cluster.serviceCidr, clusterDns: config.cluster.clusterDns, random, log }) }),
    admission: chooseAdmission({ clock, random, choice: config.admission }, [nodePasswordPlugin, createEscalationPlugin(rbac, authorizer)]),
    isPluginOn: (name) => isOn(name, config.admission), ...(config.admission.config.webhookIdentities && { webhookIdentities: config.admission.config.webhookIdentities }),
    authenticator, authorizer, nodeConnector: hub, frontProxy: () => pki.frontProxy, requestHeaders: config.requestHeaders.headers,
    issueToken: (input) => serviceAccounts.issueToken(input),
    version: versionInfo(),
    serverAddress: `${config.advertiseAddress}:${config.port}`,
    checks: [...storeChecks(store), { name: 'informer-sync', live: false, readyOnly: true, problem: () => (progress.isSynced ? undefined : 'informers have not synced yet') }, ...progress.hooks.checks, ...encryption.checks],
    flags: config.flags, profiling: config.profiling,
    processUsage: deps.processUsage, moreMetrics: () => encryption.metrics(),
    ...(flowControl && { flowControl }),
    inFlightLimits: { readOnly: config.load.requestsInFlight, mutating: config.load.mutatingInFlight },
    requestTimeoutMs: config.load.requestTimeoutMs, minWatchTimeoutMs: config.load.minWatchTimeoutMs, auditor: deps.auditor,
    extraHandlers: {
      [SNAPSHOT_PATH]: { handle: snapshotEndpoint({ store, dataDir: config.dataDir, node: config.nodeName ?? config.names[0] ?? 'skiff', cluster: pki.authorities.server.hash, secret: () => pki.tokens.secrets.find(({ user }) => user === 'server')?.secret ?? '', clock, random }, log) },
      '/.well-known/openid-configuration': { handle: () => jsonAnswer(serviceAccounts.openIdConfiguration()) },
      '/openid/v1/jwks': { handle: () => jsonAnswer(serviceAccounts.jwks()) },
    },
  })
  const clientCa = () => [pki.authorities.client.certPem, config.clientCa].filter((pem) => pem !== '').join('\n')
  const frontProxyCa = () => [pki.authorities.requestHeader.certPem, config.requestHeaders.ca].filter((pem) => pem !== '').join('\n')
  const tls = () => ({ cert: pki.serving.certPem, key: pki.serving.keyPem, clientCa: clientCa(), frontProxyCa: frontProxyCa() })
  const http: HttpServer = await createHttpServer({
    api, tls: tls(), clock, random, log, protocols: { [TUNNEL_ALPN]: (socket) => hub.accept(socket) },
    limits: { bodyTimeoutMs: config.load.requestTimeoutMs, streamsPerConnectionMax: config.load.http2StreamsMax, goawayChance: config.load.goawayChance },
  })
  try {
    await http.listen(config.port, config.bindAddress)
    await kubeconfig()
  } catch (error) {
    await http.close()
    hub.close()
    api.close()
    throw error
  }
  pki.onRenewed(() => {
    http.updateTls(tls())
    kubeconfig().catch((error: unknown) => log.error(asError(error).message))
  })

  const begun = Promise.withResolvers<void>()
  const begin = async () => {
    await informers.start(stop.signal)
    progress.isSynced = true
    progress.hooks.done('generic-apiserver-start-informers', 'start-service-ip-repair-controllers')
    await ensureBootstrap(client, { serviceCidr: config.cluster.serviceCidr, addresses: [config.advertiseAddress], port: config.port })
    progress.hooks.done('start-system-namespaces-controller', 'bootstrap-controller', 'scheduling/bootstrap-system-priority-classes')
    await reconcileDefaultPolicy(client, stop.signal)
    progress.hooks.done('rbac/bootstrap-roles')
    await flowController?.run(stop.signal)
    progress.hooks.done('priority-and-fairness-config-producer', 'priority-and-fairness-config-consumer')
    await trackLegacyTokens(client, clock)
    await publishClusterConfig(client, config.cluster)
    await publishAuthenticationConfig(client, { clientCa: clientCa(), requestHeaderCa: frontProxyCa(), requestHeaders: config.requestHeaders.headers })
    if (config.nodeName !== undefined) keepControlPlaneLabel(config.nodeName, { client, informers, log })
    progress.hooks.done('start-cluster-authentication-info-controller')
    begun.resolve()
    log.info('ready', { address: `https://${config.advertiseAddress}:${config.port}`, kubernetes: GIT_VERSION })
  }
  const work = begin().then(() => Promise.all([
    pki.maintain(stop.signal),
    api.run(stop.signal),
    manifests(),
    ...(config.disabled.has('controllers') ? [] : [controllers()]),
    ...(config.disabled.has('scheduler') ? [] : [scheduler()]),
  ]))
  work.catch((error: unknown) => {
    if (!stop.signal.aborted) log.error('the server could not finish starting', { error: asError(error) })
    begun.reject(asError(error))
  })
  // Whoever does not wait for it reads the log.
  begun.promise.catch(() => { /* logged above */ })
  const state: { closing?: Promise<void> } = {}

  return {
    pki, api, ready: begun.promise,
    close: () => (state.closing ??= shutDown()),
  }

  async function kubeconfig(): Promise<void> {
    const path = config.kubeconfigPath
    try {
      await writeKubeconfig(path, { server: `https://${config.localHost}:${config.port}`, ca: pki.authorities.server.certPem, clientCertificate: pki.admin.certPem, clientKey: pki.admin.keyPem }, config.kubeconfigMode)
    } catch (error) {
      throw new CodedError('KUBECONFIG_UNWRITABLE', `the kubeconfig ${path} cannot be written (${asError(error).message}): mend that, or pass another path with --write-kubeconfig`, { cause: error })
    }
  }

  async function controllers(): Promise<void> {
    const own = createClient(api.transportFor({ name: 'system:kube-controller-manager', groups: ['system:masters', 'system:authenticated'] }), { userAgent: `kube-controller-manager/${GIT_VERSION}` })
    await startControllers(
      { client: own, informers, clock, random, log, config: { clusterCidr: config.cluster.clusterCidr, rootCaPem: pki.authorities.server.certPem } },
      stop.signal,
      [certificatesController(pki.authorities), clusterRoleAggregationController, serviceAccountTokenController((owner) => serviceAccounts.issueLegacyToken(owner))],
    )
  }

  async function manifests(): Promise<void> {
    const own = createClient(api.transportFor({ name: 'system:skiff-manifests', groups: ['system:masters', 'system:authenticated'] }), { userAgent: `skiff-manifests/${GIT_VERSION}` })
    const events = createEventRecorder(own, { component: 'skiff-manifests', clock, random, log })
    await runManifests({ directory: join(config.dataDir, 'server', 'manifests'), client: own, events, clock, random, log }, stop.signal)
    events.close()
  }

  async function scheduler(): Promise<void> {
    const own = createClient(api.transportFor({ name: 'system:kube-scheduler', groups: ['system:authenticated'] }), { userAgent: `kube-scheduler/${GIT_VERSION}` })
    const events = createEventRecorder(own, { component: 'default-scheduler', clock, random, log })
    const running = createScheduler({ client: own, informers, events, clock, random, log }).run(stop.signal)
    await informers.start(stop.signal)
    await running
    events.close()
  }

  async function shutDown(): Promise<void> {
    log.info('stopping')
    api.stopping()
    stop.abort()
    // Tunnels end with the streams they carry; idle ones must not hold up the shutdown.
    hub.drain()
    await http.close()
    hub.close()
    await work.catch(() => { /* it was logged when it happened */ })
    api.close()
    encryption.close()
    deps.authentication?.close()
    deps.authorization?.close()
    await deps.auditor?.close()
    await store.close()
    log.info('stopped')
  }
}

/** A board without a clock battery starts in the past: wait for the time instead of failing for ever. */
async function openPkiWhenTimeIsRight(options: PkiOptions, signal: AbortSignal): Promise<Pki> {
  let isSaid = false
  for (;;) {
    try {
      return await openPki(options)
    } catch (error) {
      if (!hasCode(error, 'CLOCK_BEHIND')) throw error
      // Once: the message tells the time, and a board may wait for days.
      if (!isSaid) options.log.warn(`${asError(error).message}; waiting for that`)
      isSaid = true
      await options.clock.sleep(CLOCK_LOOK_MS, signal)
    }
  }
}

/** Upstream's names, though the store is no etcd: probes and dashboards ask for them. */
function storeChecks(store: Store): HealthCheck[] {
  const problem = () => store.get('/registry/health').then(() => undefined, (error: unknown) => asError(error).message)
  return [{ name: 'etcd', live: true, problem }, { name: 'etcd-readiness', live: false, readyOnly: true, problem }]
}

function versionInfo() {
  return {
    major: '1', minor: KUBERNETES_MINOR, gitVersion: GIT_VERSION, gitCommit: SKIFF_COMMIT_ID, gitTreeState: 'clean', buildDate: '1970-01-01T00:00:00Z',
    goVersion: `node${process.versions.node}`, compiler: 'v8', platform: `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`,
  }
}

function jsonAnswer(value: unknown) {
  return { status: 200, headers: { 'content-type': 'application/json' }, body: Buffer.from(JSON.stringify(value)) }
}
