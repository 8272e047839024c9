/**
 * A node, put together: joins, then runs kubelet, pod network, proxy, DNS and the tunnel as clients of the public API.
 * Built by `server/cli/`, which brings the adapters. Containers outlive it; a restart changes nothing that is right.
 */
import type { Duplex } from 'node:stream'
import { connect } from 'node:net'
import { join } from 'node:path'
import { ipv4Part } from '#api/cluster-config.ts'
import type { Client } from '#api/client/client.ts'
import { createConnectivity } from '#api/client/connectivity.ts'
import { createEventRecorder } from '#api/client/event-recorder.ts'
import { createInformers } from '#api/client/informer.ts'
import { createClient } from '#api/client/rest.ts'
import { createTlsTransport } from '#api/client/tls-transport.ts'
import { NODES, type Node, type Taint } from '#api/types/index.ts'
import { GIT_VERSION } from '#api/version.ts'
import type { Clock } from '#base/clock.ts'
import { aborted } from '#base/abort.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import type { OverlayKind } from '#cni/index.ts'
import { createEmbeddedRuntime, serveRuntime, type RegistriesConfig, type SpawnPty } from '#cri/index.ts'
import { openExternalRuntime } from './node-network/external-runtime.ts'
import { createImageDirectory } from './airgap/image-directory.ts'
import { readClusterConfig } from './cluster-config-source.ts'
import { createClusterMemory, type FlashProfile } from './cluster-memory.ts'
import { createDns } from './dns/dns.ts'
import { readClientCa } from './http/client-ca.ts'
import { createKubeletAuth } from './http/kubelet-auth.ts'
import { createKubeletHandlers, createKubeletServer } from './http/kubelet-server.ts'
import { serveHealthPort } from './http/health-port.ts'
import { followPortFiles } from './http/port-files.ts'
import { createRestFigures } from './http/rest-figures.ts'
import { serveSecureKubelet } from './http/secure-kubelet-server.ts'
import { API_SERVER_NAME } from '#api/join/probe.ts'
import { joinCluster } from './join/join.ts'
import { openServerList } from './join/server-list.ts'
import { KUBELET_DEFAULTS, type KubeletConfig } from './kubelet/config.ts'
import { createKubelet } from './kubelet/kubelet.ts'
import { readHostFacts } from './kubelet/node/host-facts.ts'
import { totalSeconds } from './kubelet/shutdown/periods.ts'
import { stopContainers } from './kubelet/stop-containers.ts'
import { createNodeNetwork } from './node-network/node-network.ts'
import { createProxy } from './proxy/proxy.ts'
import { keepTunnels } from './tunnel/tunnels.ts'

export interface AgentConfig {
  servers: readonly string[]
  token: string | undefined
  /** `--data-dir`; the agent's part is `<data-dir>/agent`. */
  dataDir: string
  /** `--root-dir`: pods' files and plugins' sockets. */
  rootDir: string
  stateDir: string
  nodeName: string
  nodeIp: string
  nodeLabels: Readonly<Record<string, string>>
  nodeTaints: readonly Taint[]
  overlay: OverlayKind
  ociRuntime: 'runc' | 'crun'
  /** What RuntimeClasses may name besides it, each with its program. */
  runtimeHandlers: ReadonlyMap<string, string>
  /** `--container-runtime-endpoint`: another runtime's CRI socket. Undefined: the embedded one. */
  runtimeEndpoint: string | undefined
  cgroupRoot: string
  /** All flags as they hold, without secrets: whoever may read the kubelet's configuration sees them. */
  flags: Readonly<Record<string, string>>
  /** The kubelet's own flags. */
  kubelet: Partial<KubeletConfig>
  /** Where cluster DNS finds whom to ask for other names; undefined: this machine's own file. */
  dnsResolvConf: string | undefined
  /** `--flash-profile` */
  flashProfile: FlashProfile
  registries: RegistriesConfig | undefined
}

export interface AgentDeps {
  clock: Clock
  random: Random
  log: Log
  /** How this program starts itself to unpack a layer. */
  unpackCommand: readonly string[]
  /** How this program starts itself as a CNI plugin. */
  cniCommand: readonly string[]
  loadPty: () => SpawnPty
  /** The machine is a node, and its pods are being looked after: from what it knew if its server is away. */
  onStarted?: () => void
  /** Asked at the end: is it only skiff that stops? */
  isMachineGoingDown?: () => Promise<boolean>
  /** Stopping takes so long this time: pods have their graces. */
  takesTime?: (seconds: number) => void
}

/** Upstream's. */
const KUBELET_PORT = 10250
/** As kube-proxy's. */
const PROXY_HEALTH = { health: { host: '0.0.0.0', port: 10256 }, local: { host: '127.0.0.1', port: 10249 } }
/** The cluster autoscaler's, on a node it is about to remove. */
const TO_BE_DELETED_TAINT = 'ToBeDeletedByClusterAutoscaler'

/** Runs until the signal aborts; resolves when all is let go. Rejects with UsageError or what made it impossible to begin. */
export async function runAgent(config: AgentConfig, deps: AgentDeps, signal: AbortSignal): Promise<void> {
  const { clock, random } = deps
  const log = deps.log.with('agent')
  const { nodeName } = config
  const dataDir = join(config.dataDir, 'agent')
  const identity = await joinCluster({ servers: config.servers, token: config.token, nodeName, dataDir: config.dataDir, clock, random, log, signal })
  const servers = await openServerList({ configured: config.servers, dataDir, log })
  const requests = createRestFigures(clock)
  const connection = createTlsTransport({ servers: () => servers.current(), movesOn: true, ca: () => identity.serverCa, clientCertificate: () => identity.client(), serverName: API_SERVER_NAME, clock })
  const transport = requests.counted(connection, () => hostOf(connection.current() ?? servers.current()[0] ?? ''))
  const client: Client = createClient(transport, { userAgent: `kubelet/${GIT_VERSION} (linux/${process.arch}) skiff` })
  const cluster = ipv4Part(await readClusterConfig(client, dataDir, { clock, log }, signal))
  const connectivity = createConnectivity(clock)
  const memory = createClusterMemory(join(dataDir, 'known-cluster'), nodeName, { clock, log, profile: config.flashProfile })
  const informers = createInformers(client, { clock, random, log, connectivity, memoryOf: memory.of })
  servers.follow(informers)
  const events = createEventRecorder(client, { component: 'kubelet', host: nodeName, clock, random, log })

  const nodeNetwork = createNodeNetwork({
    nodeName, nodeIp: config.nodeIp, clusterCidr: cluster.clusterCidr, serviceCidr: cluster.serviceCidr, overlay: config.overlay, dataDir, client, informers, clock, log,
    onChange: () => kubelet.pokeNode(),
  })
  const runtime = config.runtimeEndpoint !== undefined ? await openExternalRuntime(config.runtimeEndpoint, {
    stateDir: config.stateDir, network: nodeNetwork.podNetwork, pluginCommand: deps.cniCommand, clock, log,
  }, signal) : await createEmbeddedRuntime({
    dataDir, stateDir: config.stateDir, network: nodeNetwork.podNetwork, clock, random, log, selfCommand: deps.unpackCommand, ociRuntime: config.ociRuntime, handlers: config.runtimeHandlers,
    loadPty: deps.loadPty, ...(config.registries && { registries: config.registries }),
  })
  // For crictl and whoever else speaks CRI; another runtime serves its own.
  const criServer = config.runtimeEndpoint === undefined ? await serveRuntime(runtime, { socketPath: join(dataDir, 'cri.sock'), clock, random, log }).catch((error: unknown) => {
    // A path too long for a socket is no reason to run no pods.
    log.warn('the container runtime is not served over CRI', { error: asError(error) })
    return undefined
  }) : undefined
  let servedPort = 0
  const kubelet = createKubelet({
    nodeName, client, informers, runtime, dataDir, rootDir: config.rootDir, clock, random, log, events,
    hostFacts: await readHostFacts(),
    connectivity,
    servedPort: () => servedPort,
    config: {
      ...KUBELET_DEFAULTS, ...config.kubelet, clusterDns: [cluster.clusterDns], clusterDomain: cluster.clusterDomain, nodeIp: config.nodeIp, nodeLabels: config.nodeLabels, nodeTaints: config.nodeTaints,
      cgroupRoot: config.cgroupRoot, version: GIT_VERSION, kubeletPort: KUBELET_PORT, staticPodPath: join(dataDir, 'pod-manifests'),
    },
  })
  const handlers = createKubeletHandlers({ streams: kubelet, figures: kubelet.figures, counted: () => [...requests.metrics(), ...identity.metrics()], about: { flags: config.flags, version: GIT_VERSION, startTimeSeconds: Math.round(performance.timeOrigin / 1000), random }, clock, log })
  const kubeletServer = createKubeletServer(handlers)
  const accept = (stream: Duplex, authority: string): boolean => {
    if (authority === 'kubelet') {
      kubeletServer.emit('connection', stream)
      return true
    }
    return dialPod(stream, authority, (ip) => kubelet.pods().some((p) => p.status?.podIPs?.some((i) => i.ip === ip) ?? p.status?.podIP === ip))
  }
  const nodes = informers.of<Node>(NODES)
  const ownNames = () => {
    const addresses = nodes.get(nodeName)?.status?.addresses ?? []
    return { dnsNames: addresses.filter((a) => a.type === 'Hostname').map((a) => a.address), ipAddresses: addresses.filter((a) => a.type === 'InternalIP').map((a) => a.address) }
  }

  const isNodeEligible = () => {
    const node = nodes.get(nodeName)
    return node !== undefined && node.metadata.deletionTimestamp === undefined && !(node.spec?.taints ?? []).some((t) => t.key === TO_BE_DELETED_TAINT)
  }

  const life = new AbortController()
  /** Of what pods need to end in their own time. */
  const alive = life.signal
  let goesDown: Promise<boolean> | undefined
  const isGoingDown = () => (goesDown ??= deps.isMachineGoingDown?.() ?? Promise.resolve(false))
  const periods = config.kubelet.shutdownPeriods ?? []
  const endLife = async () => {
    await aborted(signal)
    if (periods.length > 0 && await isGoingDown()) {
      deps.takesTime?.(totalSeconds(periods))
      await kubelet.shutDown()
    }
    life.abort()
  }

  const services = async () => {
    await nodeNetwork.ready
    if (alive.aborted) return
    const work: Promise<unknown>[] = []
    if (!cluster.disabled.includes('proxy')) {
      work.push(createProxy({ informers, nodeName, nodeIps: [config.nodeIp], clusterCidr: cluster.clusterCidr, serviceCidr: cluster.serviceCidr, log, clock, health: PROXY_HEALTH, isNodeEligible, tell: (about, reason, message) => events.event(about, 'Warning', reason, message) }).start(alive))
    }
    if (!cluster.disabled.includes('dns')) {
      work.push(createDns({ informers, clusterDomain: cluster.clusterDomain, listenAddresses: [cluster.clusterDns], ownedCidrs: [cluster.clusterCidr, cluster.serviceCidr], ...(config.dnsResolvConf !== undefined && { resolvConfPath: config.dnsResolvConf }), log, clock, random }).start(alive))
    }
    await informers.start(alive)
    await Promise.all(work)
  }

  log.info('node starting', { node: nodeName, ip: config.nodeIp })
  const { healthzPort = KUBELET_DEFAULTS.healthzPort } = config.kubelet
  if (healthzPort > 0) serveHealthPort({ host: '127.0.0.1', port: healthzPort }, log, alive)
  const images = createImageDirectory({ runtime, dataDir, clock, log })
  try {
    // Before any pod asks for one of them: on an airgapped node it could only fail.
    await images.importAll(signal)
    deps.onStarted?.()
    await Promise.all([
      endLife(),
      images.run(alive),
      informers.start(alive),
      kubelet.start(alive),
      nodeNetwork.run(runtime, alive),
      services().catch((error: unknown) => log.error('proxy or DNS could not start', { error: asError(error) })),
      keepTunnels(servers, { accept, clock, connectivity, random, log, credentials: () => ({ ca: identity.serverCa, ...identity.client() }) }, alive),
      serveKubelet(),
      identity.maintain(client, ownNames, alive),
    ])
  } finally {
    await memory.close()
    events.close()
    kubeletServer.close()
    transport.close()
    life.abort()
    if (signal.aborted && await isGoingDown()) await stopContainers(runtime, log)
    await criServer?.close()
    await runtime.close()
  }

  /** For metrics-server, Prometheus and whoever else comes to the node's own port. */
  async function serveKubelet(): Promise<void> {
    const { tlsCertFile = '', tlsPrivateKeyFile = '', clientCaFile = '', tlsMinVersion = KUBELET_DEFAULTS.tlsMinVersion, tlsCipherSuites = KUBELET_DEFAULTS.tlsCipherSuites } = config.kubelet
    const files = followPortFiles({ cert: tlsCertFile, key: tlsPrivateKeyFile, clientCa: clientCaFile }, { clock, log })
    try {
      const clusterCa = clientCaFile === '' ? await readClientCa(client, dataDir, { clock, log }, alive) : undefined
      const pair = { serving: () => files.serving() ?? identity.serving(), onChange: (listener: () => void) => bothOff(files.onChange(listener), identity.onChange(listener)) }
      await serveSecureKubelet({ handlers, port: KUBELET_PORT, clientCa: () => files.clientCa() ?? clusterCa, identity: pair, tls: { tlsMinVersion, tlsCipherSuites }, authorize: createKubeletAuth({ client, nodeName, clock, log }), log }, (port) => {
        servedPort = port
        kubelet.pokeNode()
      }, alive)
    } finally {
      files.close()
    }
  }
}

const bothOff = (...offs: (() => void)[]) => (): void => { for (const off of offs) off() }

const hostOf = (url: string): string => url.replace(/^https:\/\//, '').replace(/\/.*$/, '')

/** A connection for the API server's proxy: only to pods of this node. */
function dialPod(stream: Duplex, authority: string, isOwnPod: (ip: string) => boolean): boolean {
  const at = authority.lastIndexOf(':')
  const [host, port] = [authority.slice(0, at).replace(/^\[|\]$/g, ''), Number(authority.slice(at + 1))]
  if (at < 0 || !Number.isInteger(port) || port < 1 || port > 65_535 || !isOwnPod(host)) return false
  const socket = connect({ host, port })
  socket.on('error', () => stream.destroy())
  stream.on('error', () => socket.destroy())
  stream.on('close', () => socket.destroy())
  socket.on('close', () => stream.destroy())
  stream.pipe(socket)
  socket.pipe(stream)
  return true
}
