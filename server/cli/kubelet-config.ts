/**
 * A KubeletConfiguration (kubelet.config.k8s.io/v1beta1), which `--kubelet-config` names, as values of skiff's own flags. Strict: a field that upstream does not
 * have is refused, and so is one that asks for what a node here does not do. Pure, and loaded only where there is such a file.
 */
import { resolve } from 'node:path'
import { durationMs } from '#agent/kubelet/eviction/thresholds.ts'
import { asError, UsageError } from '#base/errors.ts'
import { convertFlag, type Flag } from './flags.ts'

type Kind = 'text' | 'number' | 'boolean' | 'duration' | 'list' | 'mapping'
type FlagInput = Readonly<Record<string, unknown>>

interface Field {
  readonly kind: Kind
  /** What Go's zero value says is said; otherwise it says nothing, so that the default holds. */
  readonly zero?: true
  readonly flags?: (value: never, directory: string) => FlagInput
  /** No setting here: these alone say what is done. None: whatever says nothing. */
  readonly only?: readonly unknown[]
  /** What to do in its place. */
  readonly instead?: string
}

const to = (kind: Kind, flag: string, options: Pick<Field, 'zero'> = {}): Field => ({ kind, ...options, flags: (value: unknown) => ({ [flag]: value }) })
/** As upstream: relative to the file that names it. */
const path = (flag: string): Field => ({ kind: 'text', flags: (value: string, directory) => ({ [flag]: resolve(directory, value) }) })
const pairs = (flag: string, separator: string): Field => ({ kind: 'mapping', flags: (value: Record<string, unknown>) => ({ [flag]: Object.entries(value).map(([key, amount]) => `${key}${separator}${String(amount)}`) }) })
const fixed = (kind: Kind, only: readonly unknown[], instead?: string): Field => ({ kind, zero: true, only, ...(instead !== undefined && { instead }) })
const zero = { zero: true } as const

const NO_POLICIES = 'there are no policies of managers of CPUs, memory and topology'
const NFTABLES = 'the node has nftables'
const OF_CLUSTER = 'it is the whole cluster\'s: give it to the servers'

/** By the names of fields; those of objects within with dots between. */
const FIELDS: Readonly<Record<string, Field>> = {
  // What a node is and tells.
  maxPods: to('number', 'max-pods'), podsPerCore: to('number', 'pods-per-core'), podPidsLimit: to('number', 'pod-max-pids', zero), registerNode: to('boolean', 'register-node', zero), providerID: to('text', 'provider-id'),
  registerWithTaints: { kind: 'list', flags: (taints: readonly { key?: string; value?: string; effect?: string }[]) => ({ 'node-taint': taints.map(({ key = '', value, effect = '' }) => `${key}${value === undefined || value === '' ? '' : `=${value}`}:${effect}`) }) },
  nodeStatusUpdateFrequency: to('duration', 'node-status-update-frequency'), nodeStatusReportFrequency: to('duration', 'node-status-report-frequency'), nodeStatusMaxImages: to('number', 'node-status-max-images', zero), nodeLeaseDurationSeconds: fixed('number', [0, 40]),
  oomScoreAdj: to('number', 'oom-score-adj', zero), protectKernelDefaults: to('boolean', 'protect-kernel-defaults'), failSwapOn: fixed('boolean', [false], 'a node with swap starts; see --memory-swap-behavior'), failCgroupV1: fixed('boolean', [false], 'version 1 of cgroups is good here'),
  kubeReserved: pairs('kube-reserved', '='), systemReserved: pairs('system-reserved', '='), enforceNodeAllocatable: { kind: 'list', flags: (value: readonly unknown[]) => ({ 'enforce-node-allocatable': value.map(String).join(',') }) },
  shutdownGracePeriod: to('duration', 'shutdown-grace-period'), shutdownGracePeriodCriticalPods: to('duration', 'shutdown-grace-period-critical-pods'),
  shutdownGracePeriodByPodPriority: { kind: 'list', flags: (value: readonly { priority?: number; shutdownGracePeriodSeconds?: number }[]) => ({ 'shutdown-grace-period-by-pod-priority': value.map(({ priority = 0, shutdownGracePeriodSeconds = 0 }) => `${priority}=${shutdownGracePeriodSeconds}s`) }) },
  // What containers get.
  cpuCFSQuota: to('boolean', 'cpu-cfs-quota', zero), cpuCFSQuotaPeriod: to('duration', 'cpu-cfs-quota-period', zero), 'memorySwap.swapBehavior': to('text', 'memory-swap-behavior'), singleProcessOOMKill: to('boolean', 'single-process-oom-kill', zero), seccompDefault: to('boolean', 'seccomp-default', zero),
  allowedUnsafeSysctls: to('list', 'allowed-unsafe-sysctls'), 'userNamespaces.idsPerPod': to('number', 'user-namespaces-ids-per-pod', zero), 'crashLoopBackOff.maxContainerRestartPeriod': to('duration', 'max-container-restart-period', zero), resolvConf: path('resolv-conf'),
  containerLogMaxSize: to('text', 'container-log-max-size'), containerLogMaxFiles: to('number', 'container-log-max-files', zero), containerLogMonitorInterval: to('duration', 'container-log-monitor-interval', zero), containerLogMaxWorkers: fixed('number', [1]),
  cgroupRoot: { kind: 'text', flags: (value: string) => ({ 'cgroup-root': value === '/' ? '' : value }) }, containerRuntimeEndpoint: to('text', 'container-runtime-endpoint'), imageServiceEndpoint: fixed('text', [''], 'images are the container runtime\'s'),
  // Room.
  evictionHard: pairs('eviction-hard', '<'), evictionSoft: pairs('eviction-soft', '<'), evictionSoftGracePeriod: pairs('eviction-soft-grace-period', '='), evictionMinimumReclaim: pairs('eviction-minimum-reclaim', '='), mergeDefaultEvictionSettings: to('boolean', 'merge-default-eviction-settings', zero),
  evictionMaxPodGracePeriod: to('number', 'eviction-max-pod-grace-period'), evictionPressureTransitionPeriod: to('duration', 'eviction-pressure-transition-period'), localStorageCapacityIsolation: fixed('boolean', [true]), volumeStatsAggPeriod: fixed('duration', ['0s', '1m']),
  imageGCHighThresholdPercent: to('number', 'image-gc-high-threshold', zero), imageGCLowThresholdPercent: to('number', 'image-gc-low-threshold', zero), imageMinimumGCAge: to('duration', 'minimum-image-ttl-duration'), imageMaximumGCAge: to('duration', 'image-maximum-gc-age'),
  serializeImagePulls: { kind: 'boolean', ...zero, flags: (value: boolean): FlagInput => (value ? { 'max-parallel-image-pulls': 1 } : {}) }, maxParallelImagePulls: to('number', 'max-parallel-image-pulls', zero), registryPullQPS: fixed('number', [0, 5]), registryBurst: fixed('number', [0, 10]),
  imagePullCredentialsVerificationPolicy: to('text', 'image-pull-credentials-verification-policy'), preloadedImagesVerificationAllowlist: to('list', 'preloaded-images-verification-allowlist'),
  // Its ports.
  tlsCertFile: path('kubelet-tls-cert-file'), tlsPrivateKeyFile: path('kubelet-tls-private-key-file'), tlsMinVersion: to('text', 'kubelet-tls-min-version'), tlsCipherSuites: to('list', 'kubelet-tls-cipher-suites'), tlsCurvePreferences: fixed('list', [[]]), rotateCertificates: fixed('boolean', [true, false]), serverTLSBootstrap: fixed('boolean', [true, false]),
  'authentication.x509.clientCAFile': path('kubelet-client-ca-file'), 'authentication.webhook.enabled': fixed('boolean', [true]), 'authentication.webhook.cacheTTL': fixed('duration', ['0s', '2m']), 'authentication.anonymous.enabled': fixed('boolean', [false], 'whoever asks must say who he is'),
  'authorization.mode': fixed('text', ['', 'Webhook']), 'authorization.webhook.cacheAuthorizedTTL': fixed('duration', ['0s', '5m']), 'authorization.webhook.cacheUnauthorizedTTL': fixed('duration', ['0s', '30s']),
  enableServer: fixed('boolean', [true]), address: fixed('text', ['', '0.0.0.0']), port: fixed('number', [0, 10_250]), readOnlyPort: fixed('number', [0], 'there is no port without authentication'), healthzPort: to('number', 'healthz-port', zero), healthzBindAddress: fixed('text', ['', '127.0.0.1']), streamingConnectionIdleTimeout: fixed('duration', ['0s', '4h']),
  enableDebuggingHandlers: fixed('boolean', [true]), enableContentionProfiling: fixed('boolean', [false]), enableProfilingHandler: fixed('boolean', [false]), enableDebugFlagsHandler: fixed('boolean', [false]), enableSystemLogHandler: fixed('boolean', [true]), enableSystemLogQuery: fixed('boolean', [false]),
  // What is not a node's alone, or not done by a node here.
  clusterDNS: fixed('list', [[]], `${OF_CLUSTER} (--cluster-dns)`), clusterDomain: fixed('text', [''], `${OF_CLUSTER} (--cluster-domain)`), podCIDR: fixed('text', [''], `${OF_CLUSTER} (--cluster-cidr)`),
  staticPodPath: fixed('text', [''], 'manifests of static pods are in <data-dir>/agent/pod-manifests'), staticPodURL: fixed('text', ['']), staticPodURLHeader: fixed('mapping', [{}]), podLogsDir: fixed('text', ['', '/var/log/pods']), runOnce: fixed('boolean', [false]),
  syncFrequency: fixed('duration', ['0s', '1m']), fileCheckFrequency: fixed('duration', ['0s', '20s'], 'directories are watched'), httpCheckFrequency: fixed('duration', ['0s', '20s']), configMapAndSecretChangeDetectionStrategy: fixed('text', ['', 'Watch']),
  eventRecordQPS: fixed('number', [0, 50]), eventBurst: fixed('number', [0, 100]), kubeAPIQPS: fixed('number', [0, 50]), kubeAPIBurst: fixed('number', [0, 100]), contentType: fixed('text', ['', 'application/json', 'application/vnd.kubernetes.protobuf']), runtimeRequestTimeout: fixed('duration', ['0s', '2m']), maxOpenFiles: fixed('number', [0, 1_000_000]),
  kubeletCgroups: fixed('text', ['']), systemCgroups: fixed('text', ['']), systemReservedCgroup: fixed('text', ['']), kubeReservedCgroup: fixed('text', ['']), cgroupsPerQOS: fixed('boolean', [true]), cgroupDriver: fixed('text', ['', 'cgroupfs'], 'cgroups are made without systemd'), qosReserved: fixed('mapping', [{}]), memoryThrottlingFactor: fixed('number', [0.9]), memoryReservationPolicy: fixed('text', ['', 'None']), kernelMemcgNotification: fixed('boolean', [false]),
  cpuManagerPolicy: fixed('text', ['', 'none'], NO_POLICIES), cpuManagerPolicyOptions: fixed('mapping', [{}], NO_POLICIES), cpuManagerReconcilePeriod: fixed('duration', ['0s', '10s']), memoryManagerPolicy: fixed('text', ['', 'None'], NO_POLICIES), reservedMemory: fixed('list', [[]], NO_POLICIES), reservedSystemCPUs: fixed('text', [''], NO_POLICIES),
  topologyManagerPolicy: fixed('text', ['', 'none'], NO_POLICIES), topologyManagerScope: fixed('text', ['', 'container'], NO_POLICIES), topologyManagerPolicyOptions: fixed('mapping', [{}], NO_POLICIES),
  hairpinMode: fixed('text', ['', 'promiscuous-bridge', 'hairpin-veth']), makeIPTablesUtilChains: fixed('boolean', [true, false]), iptablesMasqueradeBit: fixed('number', [14], NFTABLES), iptablesDropBit: fixed('number', [15], NFTABLES), enableControllerAttachDetach: fixed('boolean', [true]), volumePluginDir: fixed('text', ['', '/usr/libexec/kubernetes/kubelet-plugins/volume/exec/'], 'there are no FlexVolumes'),
  featureGates: fixed('mapping', [{}], 'there are no feature gates'), showHiddenMetricsForVersion: fixed('text', ['']), tracing: fixed('mapping', [{}], 'nothing is traced'),
  'logging.format': to('text', 'log-format'), 'logging.verbosity': fixed('number', [0], 'see --log-level'), 'logging.flushFrequency': { kind: 'text', only: ['', 0, '0s', '5s', 5_000_000_000] }, 'logging.vmodule': fixed('list', [[]], 'see --log-level'), 'logging.options': fixed('mapping', []),
}

const API_VERSION = 'kubelet.config.k8s.io/v1beta1'
const KIND = 'KubeletConfiguration'

export interface FieldProblem { readonly field: string; readonly problem: string }

/** `directory`: of the file. What is wrong with a value a flag says, too, once it is one. */
export function kubeletFields(config: FlagInput, directory: string): { flags: FlagInput; fields: ReadonlyMap<string, string>; problems: readonly FieldProblem[] } {
  const problems: FieldProblem[] = []
  const flags: Record<string, unknown> = {}
  /** By flag, which said it. */
  const fields = new Map<string, string>()
  const { apiVersion, kind, ...rest } = config
  if (apiVersion !== API_VERSION || kind !== KIND) problems.push({ field: 'kind', problem: `it must be of kind ${KIND} and apiVersion ${API_VERSION}` })
  const walk = (value: unknown, name: string): void => {
    const field = Object.hasOwn(FIELDS, name) ? FIELDS[name] : undefined
    if (!field) return descend(value, name)
    if (value === undefined || value === null || (field.zero === undefined && isZero(value))) return
    const wrong = field.only ? unlike(field, value) : kindProblem(field.kind, value)
    if (wrong !== undefined) return void problems.push({ field: name, problem: wrong })
    for (const [flag, given] of Object.entries(field.flags?.(value as never, directory) ?? {})) {
      flags[flag] = given
      fields.set(flag, name)
    }
  }
  const descend = (value: unknown, name: string): void => {
    const isPrefix = name === '' || Object.keys(FIELDS).some((known) => known.startsWith(`${name}.`))
    if (!isPrefix) return void problems.push({ field: name, problem: 'unknown field' })
    if (value === undefined || value === null) return
    if (typeof value !== 'object' || Array.isArray(value)) return void problems.push({ field: name, problem: WANTED.mapping })
    for (const [key, part] of Object.entries(value)) walk(part, name === '' ? key : `${name}.${key}`)
  }
  descend(rest, '')
  if (config['serializeImagePulls'] === true && Number(config['maxParallelImagePulls'] ?? 1) > 1) problems.push({ field: 'maxParallelImagePulls', problem: `${String(config['maxParallelImagePulls'])} cannot be larger than 1 unless serializeImagePulls is set to false` })
  return { flags, fields, problems }
}

/** As a config file of skiff would say it. Throws UsageError that names all fields that are wrong. */
export function kubeletFlags(config: FlagInput, directory: string, flags: readonly Flag[]): FlagInput {
  const { flags: given, fields, problems } = kubeletFields(config, directory)
  const wrong = [...problems]
  for (const [name, value] of Object.entries(given)) {
    const flag = flags.find((f) => f.name === name)
    if (!flag) continue
    try {
      convertFlag(flag, value)
    } catch (error) {
      wrong.push({ field: fields.get(name) ?? name, problem: asError(error).message.replace(`--${name}: `, '') })
    }
  }
  if (wrong.length > 0) throw new UsageError(wrong.map(({ field, problem }) => `${field}: ${problem}`).join('; '))
  return given
}

const WANTED: Readonly<Record<Kind, string>> = { text: 'must be a text', number: 'must be a number', boolean: 'must be true or false', duration: 'must be a duration such as 1m30s', list: 'must be a list', mapping: 'must be a mapping' }

function kindProblem(kind: Kind, value: unknown): string | undefined {
  const fits = { text: typeof value === 'string', number: typeof value === 'number', boolean: typeof value === 'boolean', duration: typeof value === 'string', list: Array.isArray(value), mapping: typeof value === 'object' && !Array.isArray(value) }[kind]
  return fits ? undefined : WANTED[kind]
}

function unlike({ kind, only = [], instead }: Field, value: unknown): string | undefined {
  const isSame = (one: unknown) => (kind === 'duration' ? sameDuration(one, value) : JSON.stringify(one) === JSON.stringify(value))
  if (only.length === 0 ? isNothing(value) : only.some(isSame)) return undefined
  const said = only.filter((one) => typeof one === 'boolean' || !isZero(one)).map((one) => JSON.stringify(one))
  return `${JSON.stringify(value)} cannot be had${said.length > 0 ? `, but ${said.join(' or ')}` : ''}${instead === undefined ? '' : `: ${instead}`}`
}

function sameDuration(a: unknown, b: unknown): boolean {
  try {
    return durationMs(String(a)) === durationMs(String(b))
  } catch {
    return false // No duration: it is like none.
  }
}

const isZero = (value: unknown): boolean => value === '' || value === 0 || value === false || value === '0' || value === '0s' || (typeof value === 'object' && value !== null && Object.keys(value).length === 0)

/** Also of what is in it: as Go writes an object of which nothing was ever set. */
const isNothing = (value: unknown): boolean => value === undefined || value === null || isZero(value) || (typeof value === 'object' && Object.values(value).every(isNothing))
