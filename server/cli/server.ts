/** `skiff server`: a server and, unless it is disabled, the agent of the same machine, which joins like any other. */
import { resourceUsage } from 'node:process'
import { readdirSync, readFileSync } from 'node:fs'
import { runAgent } from '#agent/agent.ts'
import { hasJoinedAsNode } from '#agent/join/identity-files.ts'
import { parseToken } from '#api/token/token.ts'
import { asError, UsageError } from '#base/errors.ts'
import { HTTP_LIMITS } from '../apiserver/http-server.ts'
import { startServer, type RunningServer } from '../server.ts'
import type { Pki } from '../apiserver/pki/pki.ts'
import type { ServerConfig } from '../server-config.ts'
import { finishRestore } from '../snapshot/restore.ts'
import { putSharedKeys, takeSharedKeys } from '../snapshot/shared-keys.ts'
import type { Store } from '../store/store.ts'
import { admissionChoice } from './admission.ts'
import { clock, failLoudly, isMachineGoingDown, loadPty, logFor, logFormat, notifyReady, random, selfCommand, setOomScore, stopSignal, stopTakes, watched } from './environment.ts'
import { datastoreOf, openDatastore } from './datastore.ts'
import { durationSeconds } from './flag-checks.ts'
import { flagTexts, type FlagValues } from './flags.ts'
import { clusterAddresses, reachableAt } from './cluster-addresses.ts'
import { defaultNodeIp, hostName } from './host.ts'
import { auditorOf } from './audit.ts'
import { authenticationOf } from './authentication.ts'
import { followClientAuthorities } from './client-authorities.ts'
import { authorizationOf } from './authorization.ts'
import { encryptionOptions } from './encryption.ts'
import { keepMemorySmall } from './memory.ts'
import { agentConfig, list, text } from './node-config.ts'
import { parseNodeFlags } from './node-flags.ts'
import { getClusterKeys, joinedServer, resetCluster, storeOpener, storeUsage } from './own-data.ts'
import { assertFitForPods, settleKernel } from './preflight.ts'
import { requestHeadersOf } from './request-headers.ts'
import { knowsAes, tlsChoiceOf } from './tls-flags.ts'
import { followServingCertificates } from './serving-certificates.ts'
import { serviceAccountKeys } from './service-account-keys.ts'
import { scheduledSnapshots } from './snapshot-config.ts'
import { SERVER_FLAGS } from './verb-flags.ts'
import { asksForHelp, helpOf } from './verbs.ts'

export async function run(argv: readonly string[]): Promise<number> {
  if (asksForHelp(argv)) {
    process.stdout.write(helpOf('server'))
    return 0
  }
  const { values, positionals } = await parseNodeFlags('server', SERVER_FLAGS, { argv, env: process.env })
  logFormat(values)
  if (positionals.length > 0) throw new UsageError(`skiff server takes no argument ${JSON.stringify(positionals[0])}; skiff server --help lists the flags`)
  const datastore = datastoreOf(values)
  joinedServer(values)
  if (values['cluster-reset'] !== true && values['cluster-reset-restore-path'] !== undefined) throw new UsageError('--cluster-reset-restore-path: it is only for --cluster-reset: pass that too, or use skiff snapshot restore')
  const config = serverConfig(values)
  const withAgent = values['disable-agent'] !== true
  // Looked at before anything is started, so that a mistake costs nothing.
  const node = withAgent ? agentConfig(values, SERVER_FLAGS, [`https://${config.localHost}:${config.port}`], undefined) : undefined
  if (node) assertFitForPods(node.ociRuntime)
  const log = logFor(values)
  if (values['cluster-reset'] === true) {
    await resetCluster(values, config, { clock, random, log })
    return 0
  }
  if (node) settleKernel(values['protect-kernel-defaults'] === true, log)
  const auditor = auditorOf(values, { clock, log })
  const authentication = await authenticationOf(values, config.serviceAccounts.issuers, { clock, random, log, serverName: config.serverName })
  const clientAuthorities = followClientAuthorities(values, { clock, log })
  const servingCertificates = followServingCertificates(values, { clock, log })
  const authorization = await authorizationOf(values, { clock, random, log, serverName: config.serverName })
  failLoudly(log)
  const tellOomScore = setOomScore(Number(values['oom-score-adj']), log)
  const signal = stopSignal(log)
  watched(log, signal)
  if ((await finishRestore(config.dataDir)) === 'finished') log.info('a restore that was cut off is finished now')
  const elsewhere = datastore && (await openDatastore(datastore, log))
  if (elsewhere) await takeSharedKeys(elsewhere, config.dataDir, config.token === undefined ? undefined : parseToken(config.token).secret)
  await getClusterKeys(values, config, { clock, random, log, signal })
  const encryption = encryptionOptions(values, config.dataDir, { clock, random })
  const hasStarted = keepMemorySmall({ clock, log, signal })
  const starting = startServer(config, {
    clock, random, log, processUsage: () => ({ ...processUsage(), ...(!elsewhere && storeUsage(config)) }),
    encryption,
    auditor, authentication, clientAuthorities, servingCertificates, authorization,
    openStore: elsewhere ? async () => ({ store: elsewhere, shared: true }) : storeOpener(values, config, { clock, random, log }),
  }, signal)
  // The agent joins like any other; before the default policy is written it would be refused. One that has joined does not
  // wait for ever: without a majority of the servers, say, its pods are looked after all the same.
  const agent = node && agentBegins(starting, node.dataDir, signal).then((token) => runAgent({ ...node, token }, { clock, random, log, unpackCommand: selfCommand('unpack-layer'), cniCommand: selfCommand('cni'), loadPty, isMachineGoingDown, takesTime: (seconds) => stopTakes(seconds, log) }, signal))
  agent?.catch(() => { /* waited for below */ })
  const agentEnded = async () => {
    await agent?.catch((error: unknown) => log.debug('agent ended', { error: asError(error) }))
  }
  const server = await starting.catch((error: unknown) => {
    // Told to stop while it waited for the right time, say.
    if (signal.aborted) return undefined
    throw error
  })
  if (!server) {
    await agentEnded()
    return 0
  }
  if (elsewhere) {
    await shareKeys(elsewhere, config.dataDir, server.pki).catch(async (error: unknown) => {
      await server.close()
      throw error
    })
  }
  const stopped = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
  server.ready.then(() => { notifyReady(log); tellOomScore(); hasStarted() }, () => { /* logged by the server */ })
  let failure: unknown
  if (!signal.aborted) await Promise.race([stopped, server.failed, server.ready.then(() => stopped), ...(agent ? [agent] : [])]).catch((error: unknown) => { failure = error })
  if (signal.aborted) await agentEnded()
  await server.close()
  if (failure !== undefined && !signal.aborted) throw asError(failure)
  return 0
}

const shareKeys = (store: Store, dataDir: string, { authorities, tokens }: Pki): Promise<void> => putSharedKeys(store, dataDir, { secret: tokens.secrets.find(({ user }) => user === 'server')?.secret ?? '', cluster: authorities.server.hash, random })

const AGENT_ALONE_MS = 15_000

/** Resolves when the agent may begin, with the token it joins with; it needs none where it has joined before. */
function agentBegins(starting: Promise<RunningServer>, dataDir: string, signal: AbortSignal): Promise<string | undefined> {
  const ready = starting.then(async (server) => {
    await server.ready
    return server.pki.tokens.node
  })
  if (!hasJoinedAsNode(dataDir)) return ready
  const waited = new AbortController()
  const alone = clock.sleep(AGENT_ALONE_MS, AbortSignal.any([signal, waited.signal])).then(() => undefined)
  alone.catch(() => { /* the server was faster, or all ends */ })
  return Promise.race([ready, alone]).finally(() => waited.abort())
}

function serverConfig(values: FlagValues): ServerConfig {
  const nodeIp = text(values, 'node-ip') ?? defaultNodeIp()
  const advertiseAddress = text(values, 'advertise-address') ?? nodeIp
  if (/^127\.|^::1$/.test(advertiseAddress)) throw new UsageError(`--advertise-address: ${advertiseAddress} is this machine's loopback, which nobody else can reach: pass an address of a network`)
  const addresses = clusterAddresses({ clusterCidr: text(values, 'cluster-cidr') ?? '', serviceCidr: text(values, 'service-cidr') ?? '', clusterDns: text(values, 'cluster-dns') })
  const bindAddress = text(values, 'bind-address') ?? '0.0.0.0'
  const name = text(values, 'node-name') ?? hostName()
  const disabled = new Set(list(values, 'disable'))
  if (values['enable-priority-and-fairness'] !== false && Number(values['max-requests-inflight']) + Number(values['max-mutating-requests-inflight']) === 0) {
    throw new UsageError('--max-requests-inflight: with --max-mutating-requests-inflight it must add up to more than 0: raise one of them, or pass --enable-priority-and-fairness=false')
  }
  return {
    dataDir: text(values, 'data-dir') ?? '/var/lib/skiff',
    bindAddress,
    localHost: reachableAt(bindAddress),
    port: Number(values['https-listen-port']),
    advertiseAddress,
    names: [...new Set([hostName(), name, nodeIp, advertiseAddress, ...(bindAddress === '0.0.0.0' || bindAddress === '::' ? [] : [bindAddress]), ...list(values, 'tls-san')])],
    cluster: {
      clusterCidr: addresses.clusterCidr, serviceCidr: addresses.serviceCidr, clusterDns: addresses.clusterDns, clusterDomain: text(values, 'cluster-domain') ?? '',
      disabled: ['dns', 'proxy'].filter((d) => disabled.has(d)),
    },
    kubernetesServiceIp: addresses.kubernetesServiceIp,
    token: text(values, 'token'),
    agentToken: text(values, 'agent-token'),
    kubeconfigPath: text(values, 'write-kubeconfig') ?? '/etc/skiff/skiff.yaml',
    kubeconfigMode: Number.parseInt(text(values, 'write-kubeconfig-mode') ?? '600', 8),
    serverName: name,
    snapshots: values['datastore-endpoint'] === undefined ? scheduledSnapshots(values) : undefined,
    nodeName: values['disable-agent'] === true ? undefined : name,
    load: {
      priorityAndFairness: values['enable-priority-and-fairness'] !== false,
      requestsInFlight: Number(values['max-requests-inflight']), mutatingInFlight: Number(values['max-mutating-requests-inflight']),
      requestTimeoutMs: seconds(values, 'request-timeout') * 1000, minWatchTimeoutMs: Number(values['min-request-timeout']) * 1000,
      http2StreamsMax: Number(values['http2-max-streams-per-connection']) || HTTP_LIMITS.streamsPerConnectionMax, goawayChance: Number(values['goaway-chance']),
    },
    admission: admissionChoice(values),
    flags: flagTexts(SERVER_FLAGS, values),
    profiling: values['profiling'] !== false,
    requestHeaders: requestHeadersOf(values), tls: tlsChoiceOf(values, knowsAes(readFileSync('/proc/cpuinfo', 'utf8'))),
    serviceAccounts: serviceAccountConfig(values),
    disabled: new Set((['controllers', 'scheduler'] as const).filter((d) => disabled.has(d))),
  }
}

function serviceAccountConfig(values: FlagValues): ServerConfig['serviceAccounts'] {
  const given = list(values, 'service-account-issuer')
  const issuers = given.length > 0 ? given : [`https://kubernetes.default.svc.${text(values, 'cluster-domain') ?? ''}`]
  const expirationSecondsMax = seconds(values, 'service-account-max-token-expiration')
  if (expirationSecondsMax !== 0 && (expirationSecondsMax < 3_600 || expirationSecondsMax > 2 ** 32)) throw new UsageError('--service-account-max-token-expiration: the service-account-max-token-expiration must be between 1 hour and 2^32 seconds')
  const audiences = list(values, 'api-audiences')
  return { issuers, jwksUri: text(values, 'service-account-jwks-uri'), apiAudiences: audiences.length > 0 ? audiences : issuers, expirationSecondsMax: expirationSecondsMax || undefined, extendsExpiration: values['service-account-extend-token-expiration'] !== false, keys: serviceAccountKeys(values) }
}

const seconds = (values: FlagValues, flag: string): number => durationSeconds(text(values, flag) ?? '') ?? 0

const startTimeSeconds = Math.floor(clock.nowMs() / 1000)

function processUsage() {
  const { userCPUTime, systemCPUTime } = resourceUsage()
  return { cpuSeconds: (userCPUTime + systemCPUTime) / 1e6, residentBytes: process.memoryUsage.rss(), startTimeSeconds, ...kernelUsage() }
}

const PAGE_BYTES = 4096

/** What only /proc knows. */
function kernelUsage() {
  try {
    const pages = Number(readFileSync('/proc/self/statm', 'utf8').split(' ')[0])
    const maxFiles = Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 0)
    return { virtualBytes: pages * PAGE_BYTES, openFiles: readdirSync('/proc/self/fd').length, maxFiles }
  } catch {
    // Without /proc these figures are simply left out.
    return {}
  }
}
