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
import type { Client, Informers } from '#api/client/client.ts'
import type { ApiResponse } from '#api/client/transport.ts'
import { GIT_VERSION, KUBERNETES_MINOR, SKIFF_COMMIT_ID } from '#api/version.ts'
import { unlessAborted } from '#base/abort.ts'
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import { createApiServer, type ApiServer, type PeerRequest } from './apiserver/app.ts'
import { isOn } from './apiserver/admission/choice.ts'
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
import { keysEndpoints } from './apiserver/encryption/keys-endpoint.ts'
import { openOwnEncryption, wrappingKey, type OwnEncryption, type OwnKeysOptions } from './apiserver/encryption/own-keys.ts'
import { createFlowControlController } from './apiserver/flowcontrol/controller.ts'
import { FlowControl } from './apiserver/flowcontrol/flow-control.ts'
import type { ProcessUsage } from './apiserver/metrics/api-metrics.ts'
import { Metric, printMetrics } from '#base/metrics.ts'
import type { Pki } from './apiserver/pki/pki.ts'
import { rows, withAllocators } from './apiserver/registry.ts'
import { certificatesController } from './controllers/certificates/controller.ts'
import { keepControlPlaneLabel } from './control-plane-label.ts'
import { clusterRoleAggregationController } from './controllers/clusterrole-aggregation/controller.ts'
import { serviceAccountTokenController } from './controllers/serviceaccount-token/controller.ts'
import { ControllerMetrics } from './controllers/controller-metrics.ts'
import { startControllers } from './controllers/index.ts'
import { assertSameCluster } from './assert-same-cluster.ts'
import type { ElectionOptions } from './cluster/leader-election.ts'
import { createMembership, type Membership } from './cluster/membership.ts'
import { forgetServers } from './cluster/servers.ts'
import { createSharedStoreMembership } from './cluster/shared-store-membership.ts'
import type { Attach, OpenedStore } from './cluster/open-own-store.ts'
import { openDoor, type ClientAuthorities, type Door, type ServingCertificates } from './door.ts'
import type { ServerConfig, SnapshotConfig } from './server-config.ts'
import { leanOf } from './lean-pod.ts'
import { publishClusterConfig } from './publish-cluster-config.ts'
import { runManifests } from './manifests/manifests.ts'
import { keepSnapshots } from './snapshot/scheduled-snapshots.ts'
import type { SnapshotSource } from './snapshot/take-snapshot.ts'
import { SNAPSHOT_PATH, snapshotEndpoint } from './snapshot/snapshot-endpoint.ts'
import { createScheduler } from './scheduler/scheduler.ts'
import { RestClientMetrics } from './rest-client-metrics.ts'
import { SchedulerMetrics } from './scheduler/scheduler-metrics.ts'
import { StartProgress } from './start-progress.ts'
import { openServiceAllocator } from './service-allocations.ts'
import type { Store } from './store/store.ts'
import { unlessRefused, untilAnswered } from './until-answered.ts'

export interface ServerDeps {
  clock: Clock
  random: Random
  log: Log
  openStore: (attach: Attach) => Promise<OpenedStore>
  /** Undefined: nothing is encrypted at rest. */
  encryption?: EncryptionOptions | OwnKeysOptions
  /** Undefined: nothing is audited. */
  auditor?: Auditor | undefined
  /** Who is believed beside the cluster's own. Closed with the server. */
  authentication?: Pick<AuthenticatorOptions, 'staticTokens' | 'jwt' | 'anonymous' | 'tokenWebhook'> & { metrics(): readonly Metric[]; close(): void }
  /** Beside the cluster's own. Closed with the server. */
  clientAuthorities?: ClientAuthorities
  /** Beside the cluster's own. Closed with the server. */
  servingCertificates?: ServingCertificates | undefined
  /** Undefined: Node, then RBAC. Closed with the server. */
  authorization?: { authorizers: () => readonly (AuthorizerType | AuthorizerLink)[]; metrics(): readonly Metric[]; close(): void }
  processUsage: () => ProcessUsage
}

export interface RunningServer {
  readonly pki: Pki
  readonly api: ApiServer
  /** Resolves when bootstrap objects and the default policy are in place: /readyz is ok from then on. */
  readonly ready: Promise<void>
  /** Rejects when the server cannot go on: it was removed from its cluster, its disk failed. */
  readonly failed: Promise<never>
  /** Stops taking work, finishes what is in flight, closes the store. Within 10 s. Twice is fine. */
  close(): Promise<void>
}

/** What is under way at a stop, beside requests, in a cluster of several servers. */
const WORK_MS_MAX = 3_000
const APISERVER_USER = { name: 'system:apiserver', groups: ['system:masters', 'system:authenticated'] }

/** Rejects when it cannot begin: port in use, store locked or damaged, certificates broken, settings that are not the cluster's. */
export async function startServer(config: ServerConfig, deps: ServerDeps, signal: AbortSignal): Promise<RunningServer> {
  const opened: { door?: Door; answer: (request: PeerRequest) => Promise<ApiResponse> | undefined } = { answer: () => undefined }
  const answer = (request: PeerRequest) => opened.answer(request)
  // The store first: its lock keeps a second server on the same data directory from touching certificates and tokens. One
  // that has others beside it needs the port before it can be read from.
  const data = await deps.openStore(async (member) => {
    opened.door = await openDoor(config, deps, signal, member, answer)
    await opened.door.listen()
    if (!opened.door.transport) throw new Error('bug: a member has a transport')
    return opened.door.transport
  }).catch(async (error: unknown) => {
    await opened.door?.close()
    throw error
  })
  const joining = new AbortController()
  const cancelled = AbortSignal.any([signal, joining.signal])
  try {
    if (!data.member) await assertSameCluster(data.store, config.cluster)
    const door = (opened.door ??= await openDoor(config, deps, signal, undefined, answer))
    const membership = data.member ? createMembership({ ...data.member, config, door, deps }) : data.shared && createSharedStoreMembership({ config, deps })
    if (membership) opened.answer = (request) => membership.answer(request)
    await membership?.whenStoreAnswers(data.store, cancelled)
    const answered = <T>(step: () => Promise<T>) => untilAnswered(step, { ...deps, signal: cancelled })
    if (data.member) await answered(() => assertSameCluster(data.store, config.cluster))
    const { encryption } = deps
    const sealing = await answered<Encryption | OwnEncryption>(() => (encryption && 'kind' in encryption
      ? openOwnEncryption(data.store, encryption, { ...deps, wrapping: wrappingKey(door.pki.authorities.server.key), hasOthers: membership !== undefined })
      : openEncryption(data.store, encryption, { ...deps, serverName: config.serverName })))
    const services = await answered(() => openServiceAllocator(sealing.store, { ...config.cluster, ...deps }))
    const running = await startOnStore(config, deps, { encryption: sealing, services }, door, membership)
    return membership || !data.failed ? running : { ...running, failed: data.failed }
  } catch (error) {
    joining.abort()
    await opened.door?.close()
    await data.store.close()
    throw error
  }
}

interface OpenedParts { encryption: Encryption | OwnEncryption; services: Awaited<ReturnType<typeof openServiceAllocator>> }

async function startOnStore(config: ServerConfig, deps: ServerDeps, { encryption, services }: OpenedParts, door: Door, membership: Membership | undefined): Promise<RunningServer> {
  const { store } = encryption
  const { clock, random, log } = deps
  const { pki, hub } = door
  const snapshotSource: SnapshotSource = { store, dataDir: config.dataDir, node: config.serverName, cluster: pki.authorities.server.hash, secret: () => pki.tokens.secrets.find(({ user }) => user === 'server')?.secret ?? '', clock, random }
  const stop = new AbortController()
  const counted = { requests: new RestClientMetrics(clock, `127.0.0.1:${config.port}`), controllers: new ControllerMetrics(clock), scheduler: new SchedulerMetrics(), leads: new Metric('leader_election_master_status', 'gauge', "Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, 1 indicates master. 'name' is the string used to identify the lease. Please make sure to group by name.") }
  // The authenticator and the authorizer are asked by the API server and ask it themselves.
  const late: { client?: Client } = {}
  const lookup = { get: (...args: Parameters<ReturnType<typeof lookupFromClient>['get']>) => lookupFromClient(late.client as Client).get(...args) } as ReturnType<typeof lookupFromClient>
  const { issuers: [issuer = '', ...formerIssuers], keys: { signs, verifies }, ...tokenOptions } = config.serviceAccounts
  const serviceAccounts = createServiceAccountTokens({ keys: signs ? [signs, ...verifies] : [...pki.serviceAccountKeys, ...verifies], issuer, formerIssuers, ...tokenOptions, noteLegacyUse: (secret, date) => noteLegacyUse(late.client as Client, secret, date, log), lookup, clock, random })
  const authenticator = createAuthenticator({ serviceAccounts, lookup, joinSecrets: () => pki.tokens.secrets, ...deps.authentication, clock })
  const lazyTransport = { request: (...args: Parameters<ReturnType<ApiServer['transportFor']>['request']>) => api.transportFor(APISERVER_USER).request(...args) }
  const client = createClient(counted.requests.of(lazyTransport), { userAgent: `kube-apiserver/${GIT_VERSION}` })
  late.client = client
  const informers = createInformers(client, { clock, random, log, leanOf })
  const graph = createNodeGraph()
  const rbac = createRbacAuthorizer(rbacFromInformers(informers))
  const links: Readonly<Record<AuthorizerType, AuthorizerLink>> = { Node: nodeLink(createNodeAuthorizer(graph, NODE_RULES)), RBAC: rbacLink(rbac), AlwaysAllow: alwaysAllow, AlwaysDeny: alwaysDeny }
  const defaultChain = [links.Node, links.RBAC]
  const authorizer = createAuthorizer(() => deps.authorization?.authorizers().map((one) => (typeof one === 'string' ? links[one] : one)) ?? defaultChain)
  feedNodeGraph(graph, informers, { volumes: true })
  const flowControl = config.load.priorityAndFairness ? new FlowControl({ clock, log, serverSeats: config.load.requestsInFlight + config.load.mutatingInFlight, waitMsMax: config.load.requestTimeoutMs / 4 }) : undefined
  const flowController = flowControl && createFlowControlController({ client, informers, flowControl, clock, random, log })
  const progress = { isSynced: false, hooks: new StartProgress() }
  const api: ApiServer = createApiServer({
    store, clock, random, log,
    rows: withAllocators(rows, { services }),
    admission: chooseAdmission({ clock, random, choice: config.admission }, [nodePasswordPlugin, createEscalationPlugin(rbac, authorizer)]),
    isPluginOn: (name) => isOn(name, config.admission), ...(config.admission.config.webhookIdentities && { webhookIdentities: config.admission.config.webhookIdentities }),
    authenticator, authorizer, nodeConnector: hub, frontProxy: () => pki.frontProxy, requestHeaders: config.requestHeaders,
    issueToken: (input) => serviceAccounts.issueToken(input),
    version: versionInfo(),
    serverAddress: `${config.advertiseAddress}:${config.port}`,
    checks: [...storeChecks(store, clock, membership), { name: 'informer-sync', live: false, readyOnly: true, problem: () => (progress.isSynced ? undefined : 'informers have not synced yet') }, ...progress.hooks.checks, ...encryption.checks],
    flags: config.flags, profiling: config.profiling,
    processUsage: deps.processUsage, moreMetrics: () => [...counted.requests.all(), ...counted.controllers.all(), ...counted.scheduler.all(), counted.leads, ...encryption.metrics(), ...(deps.authentication?.metrics() ?? []), ...(deps.authorization?.metrics() ?? [])],
    ...(flowControl && { flowControl }),
    inFlightLimits: { readOnly: config.load.requestsInFlight, mutating: config.load.mutatingInFlight },
    requestTimeoutMs: config.load.requestTimeoutMs, minWatchTimeoutMs: config.load.minWatchTimeoutMs, auditor: deps.auditor,
    extraHandlers: {
      [SNAPSHOT_PATH]: { handle: snapshotEndpoint(snapshotSource, log) },
      '/metrics/resources': { handle: () => ({ status: 200, headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }, body: printMetrics(counted.scheduler.resources()) }) },
      ...keysEndpoints('rotate' in encryption ? encryption : undefined),
      '/.well-known/openid-configuration': { handle: () => issuerDocument(serviceAccounts.openIdConfiguration()) },
      '/openid/v1/jwks': { handle: () => issuerDocument(serviceAccounts.jwks(), 'application/jwk-set+json') },
    },
  })
  door.api.use(api)
  try {
    await door.listen()
  } catch (error) {
    api.close()
    throw error
  }
  const begun = Promise.withResolvers<void>()
  const answered = <T>(step: () => Promise<T>) => untilAnswered(step, { clock, random, log, signal: stop.signal })
  const kept = (what: string, step: () => Promise<unknown>) => unlessRefused(what, step, { clock, random, log, signal: stop.signal })
  const publishAuthorities = () => kept('what extension API servers read', () => publishAuthenticationConfig(client, { clientCa: door.clientCa(), requestHeaderCa: door.frontProxyCa(), requestHeaders: config.requestHeaders }))
  const begin = async () => {
    await informers.start(stop.signal)
    progress.isSynced = true
    progress.hooks.done('start-apiserver-admission-initializer', 'generic-apiserver-start-informers', 'storage-readiness', 'start-service-ip-repair-controllers')
    await kept('namespaces, priority classes and the Service kubernetes', () => ensureBootstrap(client, { serviceCidr: config.cluster.serviceCidr, addresses: membership ? undefined : [config.advertiseAddress], port: config.port }))
    await kept('the list of servers', () => (membership ? membership.enroll(client, stop.signal) : forgetServers(client)))
    progress.hooks.done('start-system-namespaces-controller', 'bootstrap-controller', 'scheduling/bootstrap-system-priority-classes')
    await kept('default roles and their bindings', () => reconcileDefaultPolicy(client, stop.signal))
    progress.hooks.done('rbac/bootstrap-roles')
    if (flowController) await answered(() => flowController.run(stop.signal))
    progress.hooks.done('priority-and-fairness-config-producer', 'priority-and-fairness-config-consumer')
    await kept('since when uses of old tokens are noted', () => trackLegacyTokens(client, clock))
    await kept('what agents read of the cluster', () => publishClusterConfig(client, config.cluster, pki.authorities.kubeletServing.certPem))
    await publishAuthorities()
    deps.clientAuthorities?.onChange(() => void publishAuthorities().catch((error: unknown) => { if (!stop.signal.aborted) log.error('extension API servers do not hear of changed authorities of clients', { error: asError(error) }) }))
    if (config.nodeName !== undefined) keepControlPlaneLabel(config.nodeName, { client, informers, log })
    progress.hooks.done('start-cluster-authentication-info-controller')
  }
  const tellReady = async () => {
    await unlessAborted(stop.signal, api.registered)
    if (stop.signal.aborted) return
    begun.resolve()
    log.info('ready', { address: `https://${config.advertiseAddress}:${config.port}`, kubernetes: GIT_VERSION })
  }
  const work = begin().then(() => Promise.all([
    pki.maintain(stop.signal),
    api.run(stop.signal),
    tellReady(),
    manifests(),
    ...(config.snapshots ? [snapshots(config.snapshots)] : []),
    ...(membership ? [membership.tend(client, informers, stop.signal)] : []),
    ...(config.disabled.has('controllers') ? [] : [onOneServer('kube-controller-manager', controllers)]),
    ...(config.disabled.has('scheduler') ? [] : [onOneServer('kube-scheduler', scheduler)]),
  ]))
  work.catch((error: unknown) => {
    if (!stop.signal.aborted) log.error('the server could not finish starting', { error: asError(error) })
    begun.reject(asError(error))
  })
  // Whoever does not wait for it reads the log.
  begun.promise.catch(() => { /* logged above */ })
  const state: { closing?: Promise<void> } = {}

  return {
    pki, api, ready: begun.promise, failed: membership?.failed ?? new Promise<never>(() => { /* whatever fails is found at the next request */ }),
    close: () => (state.closing ??= shutDown()),
  }

  /** With others beside it, only who is elected works, and keeps what it needs for that, and others of this server do not, only then. */
  function onOneServer(name: ElectionOptions['name'], work: (informers: Informers, signal: AbortSignal) => Promise<void>): Promise<void> {
    const labels = `name="${name}"`
    counted.leads.set(labels, 0)
    const led = async (own: Informers, signal: AbortSignal) => {
      counted.leads.set(labels, 1)
      try {
        await work(own, signal)
      } finally {
        counted.leads.set(labels, 0)
      }
    }
    return membership ? membership.onOneServer(name, client, (signal) => led(informers.lend(signal), signal), stop.signal) : led(informers, stop.signal)
  }

  async function controllers(informers: Informers, signal: AbortSignal): Promise<void> {
    const own = createClient(counted.requests.of(api.transportFor({ name: 'system:kube-controller-manager', groups: ['system:masters', 'system:authenticated'] })), { userAgent: `kube-controller-manager/${GIT_VERSION}` })
    await startControllers(
      { client: own, informers, clock, random, log, config: { clusterCidr: config.cluster.clusterCidr, rootCaPem: pki.authorities.server.certPem }, metrics: counted.controllers },
      signal,
      [certificatesController(pki.authorities), clusterRoleAggregationController, serviceAccountTokenController((owner) => serviceAccounts.issueLegacyToken(owner))],
    )
  }

  async function snapshots({ remote, ...rest }: SnapshotConfig): Promise<void> {
    const events = createEventRecorder(client, { component: 'skiff-snapshots', host: config.serverName, clock, random, log })
    const about = config.nodeName !== undefined ? { apiVersion: 'v1', kind: 'Node', name: config.nodeName, uid: config.nodeName } : { apiVersion: 'v1', kind: 'Namespace', name: 'kube-system', namespace: 'kube-system' }
    await keepSnapshots({ ...rest, remote: remote && (() => remote(client)) }, { source: snapshotSource, events, about, log: log.with('snapshots') }, stop.signal)
    events.close()
  }

  async function manifests(): Promise<void> {
    const own = createClient(counted.requests.of(api.transportFor({ name: 'system:skiff-manifests', groups: ['system:masters', 'system:authenticated'] })), { userAgent: `skiff-manifests/${GIT_VERSION}` })
    const events = createEventRecorder(own, { component: 'skiff-manifests', clock, random, log })
    await runManifests({ directory: join(config.dataDir, 'server', 'manifests'), client: own, events, clock, random, log }, stop.signal)
    events.close()
  }

  async function scheduler(informers: Informers, signal: AbortSignal): Promise<void> {
    const own = createClient(counted.requests.of(api.transportFor({ name: 'system:kube-scheduler', groups: ['system:authenticated'] })), { userAgent: `kube-scheduler/${GIT_VERSION}` })
    const events = createEventRecorder(own, { component: 'default-scheduler', clock, random, log })
    const running = createScheduler({ client: own, informers, events, clock, random, log, metrics: counted.scheduler }).run(signal)
    await informers.start(signal)
    await running
    events.close()
  }

  async function shutDown(): Promise<void> {
    log.info('stopping')
    api.stopping()
    await membership?.leave(client)
    stop.abort()
    await door.close()
    // Whatever waits for a store that has lost the other servers would wait for long.
    await Promise.race([work.catch(() => { /* it was logged when it happened */ }), ...(membership ? [clock.sleep(WORK_MS_MAX)] : [])])
    api.close()
    encryption.close()
    deps.authentication?.close()
    deps.clientAuthorities?.close()
    deps.servingCertificates?.close()
    deps.authorization?.close()
    await deps.auditor?.close()
    await store.close()
    log.info('stopped')
  }
}

/** As upstream's check of etcd. */
const STORE_ANSWER_MS_MAX = 2_000

/** Upstream's names, though the store is no etcd: probes and dashboards ask for them. */
function storeChecks(store: Store, clock: Clock, membership: Membership | undefined): HealthCheck[] {
  const problem = () => {
    const known = membership?.problem()
    if (known !== undefined) return known
    const late = Promise.withResolvers<string>()
    const cancel = clock.after(STORE_ANSWER_MS_MAX, () => late.resolve(`the store did not answer within ${STORE_ANSWER_MS_MAX / 1000} s`))
    const answered = store.get('/registry/health').then(() => undefined, (error: unknown) => asError(error).message)
    return Promise.race([answered, late.promise]).finally(cancel)
  }
  return [{ name: 'etcd', live: true, problem }, { name: 'etcd-readiness', live: false, readyOnly: true, problem }]
}

function versionInfo() {
  return {
    major: '1', minor: KUBERNETES_MINOR, emulationMajor: '1', emulationMinor: KUBERNETES_MINOR, minCompatibilityMajor: '1', minCompatibilityMinor: String(Number(KUBERNETES_MINOR) - 1), gitVersion: GIT_VERSION, gitCommit: SKIFF_COMMIT_ID, gitTreeState: 'clean', buildDate: '1970-01-01T00:00:00Z',
    goVersion: `node${process.versions.node}`, compiler: 'v8', platform: `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`,
  }
}

/** Who verifies tokens may keep it for a while. */
function issuerDocument(value: unknown, type = 'application/json') {
  return { status: 200, headers: { 'content-type': type, 'cache-control': 'public, max-age=3600' }, body: Buffer.from(JSON.stringify(value)) }
}
