/** The kubelet's own flags of a node: names, forms and defaults are upstream's kubelet's. */
import { accessSync, constants } from 'node:fs'
import { KUBELET_DEFAULTS, type KubeletConfig } from '#agent/kubelet/config.ts'
import { durationMs, parseThresholds, type EvictionConfig } from '#agent/kubelet/eviction/thresholds.ts'
import { parseBoardRule } from '#agent/kubelet/devices/board-rules.ts'
import { VERIFICATION_POLICIES, type VerificationPolicy } from '#agent/kubelet/image-access/access.ts'
import { BACKOFF_MAX_SECONDS } from '#agent/kubelet/restart.ts'
import { periodsOf } from '#agent/kubelet/shutdown/periods.ts'
import { RANGE_UNIT } from '#agent/kubelet/user-ranges.ts'
import { parseQuantity } from '#api/types/quantity.ts'
import { asError, UsageError } from '#base/errors.ts'
import { suiteProblem } from '#base/tls-suites.ts'
import { atLeastOne, oneOf, sysctls } from './flag-checks.ts'
import type { Flag, FlagValues } from './flags.ts'

export type KubeletSettings = Pick<KubeletConfig,
  | 'cpuPeriodUs' | 'usersPerPod' | 'statusImagesMax' | 'statusLookMs' | 'statusReportMs' | 'registersNode' | 'providerId' | 'tlsMinVersion' | 'tlsCipherSuites' | 'maxPods' | 'podsPerCore' | 'singleProcessOomKill' | 'restartSecondsMax' | 'maxParallelPulls' | 'containerLogMonitorMs' | 'healthzPort' | 'tlsCertFile' | 'tlsPrivateKeyFile' | 'clientCaFile' | 'memorySwapBehavior' | 'seccompDefault' | 'podPidsLimit' | 'oomScoreAdj' | 'protectKernelDefaults' | 'allowedUnsafeSysctls' | 'containerLogMaxSize' | 'containerLogMaxFiles' | 'systemReserved' | 'kubeReserved' | 'enforcePods' | 'imageGcHighPercent' | 'imageGcLowPercent' | 'imageGcMinimumAgeMs' | 'imageGcMaximumAgeMs'
  | 'evictionHard' | 'evictionSoft' | 'evictionSoftGracePeriod' | 'evictionMinimumReclaim' | 'evictionMaxPodGraceSeconds' | 'evictionTransitionMs' | 'shutdownPeriods' | 'boardDevices' | 'imageVerification' | 'imageVerificationAllowlist'>

const RESERVABLE = ['cpu', 'memory', 'ephemeral-storage', 'pid']

const percent = (v: string): string | undefined => (Number(v) <= 100 ? undefined : `${v} is not a percentage (0 to 100)`)
/** Upstream's words. */
const oomScore = (v: string): string | undefined => (/^-?\d{1,4}$/.test(v) && Math.abs(Number(v)) <= 1_000 ? undefined : `${v} must be between -1000 and 1000, inclusive`)
const pids = (v: string): string | undefined => (/^(-1|[1-9]\d{0,9})$/.test(v) ? undefined : `${JSON.stringify(v)} is neither a number of processes nor -1`)
/** Upstream's words. */
const twoOrMore = (v: string): string | undefined => (Number(v) > 1 ? undefined : `${v} must be greater than 1`)
const pair = (separator: string, example: string) => (v: string): string | undefined => (v.indexOf(separator) > 0 && v.length > v.indexOf(separator) + 1 ? undefined : `${JSON.stringify(v)} is not of the form ${example}`)
const threshold = pair('<', 'memory.available<100Mi')

function amount(v: string): string | undefined {
  try {
    parseQuantity(v)
    return undefined
  } catch {
    return `${JSON.stringify(v)} is no amount such as 10Mi`
  }
}

function goDuration(v: string): string | undefined {
  try {
    durationMs(v)
    return undefined
  } catch (error) {
    return v === '0' ? undefined : asError(error).message
  }
}

/** A name without tag and digest, or `registry/*`. */
function imageName(v: string): string | undefined {
  const name = v.endsWith('/*') ? v.slice(0, -2) : v
  if (v.slice(0, -1).includes('*')) return `not a valid wildcard pattern, only patterns ending with '/*' are allowed: ${v}`
  return /^[a-zA-Z0-9._:/-]+$/.test(name) && !/:[^/]*$/.test(v.endsWith('/*') ? '' : name.slice(name.indexOf('/') + 1)) ? undefined : `${JSON.stringify(v)} is not the name of an image without tag and digest`
}

/** Upstream's words. */
function wholeSeconds(v: string): string | undefined {
  const wrong = goDuration(v)
  if (wrong !== undefined || v === '0') return wrong
  const ms = durationMs(v)
  return ms > 0 && ms < 1_000 ? `${v} must be either zero or otherwise >= 1 sec` : undefined
}

/** Upstream's bounds. */
function restartPeriod(v: string): string | undefined {
  return goDuration(v) ?? (v === '0' || durationMs(v) < 1_000 || durationMs(v) > BACKOFF_MAX_SECONDS * 1000 ? `${v} must be between 1s and ${BACKOFF_MAX_SECONDS}s` : undefined)
}

/** Upstream's bounds, and words. */
function quotaPeriod(v: string): string | undefined {
  return goDuration(v) ?? (v === '0' || durationMs(v) < 1 || durationMs(v) > 1_000 ? `${v} must be between 1ms and 1sec, inclusive` : undefined)
}

/** Uids are numbers of 32 bits. */
const ID_MAX = 2 ** 32 - 1

/** Upstream's words. */
function idsPerPod(v: string): string | undefined {
  if (Number(v) < RANGE_UNIT) return `must not be less than ${RANGE_UNIT}`
  if (Number(v) % RANGE_UNIT !== 0) return `must be a multiple of ${RANGE_UNIT}`
  return Number(v) > ID_MAX ? `must not be more than ${ID_MAX}` : undefined
}

const imagesMax = (v: string): string | undefined => (/^(-1|\d{1,9})$/.test(v) ? undefined : `${v} must be -1 or greater`)

function oneSecondOrMore(v: string): string | undefined {
  return goDuration(v) ?? (v === '0' || durationMs(v) < 1_000 ? `${v} must be 1s or more` : undefined)
}

/** Upstream's least. */
function logInterval(v: string): string | undefined {
  return goDuration(v) ?? (v === '0' || durationMs(v) < 3_000 ? `${v} must be a positive time duration greater than or equal to 3s` : undefined)
}

const healthPort = (v: string): string | undefined => (Number(v) <= 65_535 ? undefined : `must be a valid port between 0 and 65535, inclusive, got ${v}`)

function readable(v: string): string | undefined {
  try {
    accessSync(v, constants.R_OK)
    return undefined
  } catch (error) {
    return asError(error).message
  }
}

function priorityPeriod(v: string): string | undefined {
  const [priority, period] = split(v, '=')
  if (!/^-?\d{1,10}$/.test(priority)) return `${JSON.stringify(v)} is not of the form 1000=10s`
  return goDuration(period)
}

function boardRule(v: string): string | undefined {
  try {
    parseBoardRule(v)
    return undefined
  } catch (error) {
    return asError(error).message
  }
}

function reservation(v: string): string | undefined {
  const [name, amount] = split(v, '=')
  if (!RESERVABLE.includes(name) && !name.startsWith('hugepages-')) return `${JSON.stringify(v)}: ${RESERVABLE.join(', ')} can be reserved, such as memory=256Mi`
  try {
    return parseQuantity(amount).nano < 0n ? `${JSON.stringify(v)}: less than nothing cannot be reserved` : undefined
  } catch {
    return `${JSON.stringify(v)}: ${JSON.stringify(amount)} is no amount such as 256Mi or 200m`
  }
}

export const KUBELET_FLAGS: readonly Flag[] = [
  { name: 'max-pods', kind: 'number', value: 'N', default: KUBELET_DEFAULTS.maxPods, help: 'pods this node takes at most', check: atLeastOne },
  { name: 'pods-per-core', kind: 'number', value: 'N', default: KUBELET_DEFAULTS.podsPerCore, help: 'nor more than so many for each processor; 0: however many' },
  { name: 'pod-max-pids', kind: 'string', value: 'N', default: String(KUBELET_DEFAULTS.podPidsLimit), help: 'processes a pod may have; -1 for any number', check: pids },
  { name: 'memory-swap-behavior', kind: 'string', value: 'NoSwap|LimitedSwap', default: KUBELET_DEFAULTS.memorySwapBehavior, help: 'LimitedSwap: on a machine with swap, containers of burstable pods get as much of it as of its memory (cgroup version 2)', check: oneOf('NoSwap', 'LimitedSwap') },
  { name: 'oom-score-adj', kind: 'string', value: 'SCORE', default: String(KUBELET_DEFAULTS.oomScoreAdj), help: 'of skiff itself when memory runs out, -1000 to 1000: what has less is spared longer', check: oomScore },
  { name: 'protect-kernel-defaults', kind: 'boolean', default: KUBELET_DEFAULTS.protectKernelDefaults, help: 'do not start where settings of the kernel are not as a node wants them; without it they are made so' },
  { name: 'single-process-oom-kill', kind: 'boolean', default: KUBELET_DEFAULTS.singleProcessOomKill, help: 'a container that has too much memory loses one process, not all (cgroup version 2)' },
  { name: 'max-container-restart-period', kind: 'string', value: 'DURATION', default: '5m0s', help: 'longest wait for the next attempt of a container that keeps failing, 1s to 5m (a kubelet\'s crashLoopBackOff.maxContainerRestartPeriod)', check: restartPeriod },
  { name: 'resolv-conf', kind: 'string', value: 'PATH', help: 'the resolver configuration of pods that do not want cluster DNS, and where cluster DNS sends what is not the cluster\'s (default: /etc/resolv.conf; for pods that of systemd-resolved where it names this machine alone)', check: readable },
  { name: 'max-parallel-image-pulls', kind: 'number', value: 'N', default: KUBELET_DEFAULTS.maxParallelPulls, help: 'images pulled at one time; 1: one after the other', check: atLeastOne },
  { name: 'cpu-cfs-quota', kind: 'boolean', default: true, help: 'containers are held to their limits of CPU; =false: they are not' },
  { name: 'cpu-cfs-quota-period', kind: 'string', value: 'DURATION', default: '100ms', help: 'what these are counted in, 1ms to 1s: shorter ones stop busy containers for a shorter time, and more often', check: quotaPeriod },
  { name: 'user-namespaces-ids-per-pod', kind: 'number', value: 'N', default: KUBELET_DEFAULTS.usersPerPod, help: `users of pods with users of their own (hostUsers: false), a multiple of ${RANGE_UNIT} (a kubelet's userNamespaces.idsPerPod)`, check: idsPerPod },
  { name: 'allowed-unsafe-sysctls', kind: 'list', value: 'NAMES', help: 'kernel settings of their own that pods may have besides the safe ones; a name may end in *', check: sysctls },
  { name: 'seccomp-default', kind: 'boolean', default: KUBELET_DEFAULTS.seccompDefault, help: 'containers that ask for no seccomp profile get the runtime\'s default one; =false: none, as kubelets do it' },
  { name: 'container-log-max-size', kind: 'string', value: 'SIZE', default: KUBELET_DEFAULTS.containerLogMaxSize, help: 'a container\'s log that has grown so large is rotated; -1: never', check: amount },
  { name: 'container-log-max-files', kind: 'number', value: 'N', default: KUBELET_DEFAULTS.containerLogMaxFiles, help: 'logs that are kept of a container, with the present one; 2 or more', check: twoOrMore },
  { name: 'container-log-monitor-interval', kind: 'string', value: 'DURATION', default: '10s', help: 'how often the sizes of logs are looked at; 3s or more', check: logInterval },
  { name: 'healthz-port', kind: 'number', value: 'PORT', default: KUBELET_DEFAULTS.healthzPort, help: 'of 127.0.0.1, where /healthz says whether the agent answers; 0: nowhere', check: healthPort },
  { name: 'register-node', kind: 'boolean', default: KUBELET_DEFAULTS.registersNode, help: '=false: the Node is made by somebody else, and kept up to date once it is there' },
  { name: 'provider-id', kind: 'string', value: 'ID', default: KUBELET_DEFAULTS.providerId, help: 'what this machine is called where it comes from, told when the node registers (spec.providerID)' },
  { name: 'node-status-update-frequency', kind: 'string', value: 'DURATION', default: '10s', help: 'how often conditions and figures of the node are looked at; 1s or more', check: oneSecondOrMore },
  { name: 'node-status-report-frequency', kind: 'string', value: 'DURATION', default: '5m0s', help: 'how often its status is written where nothing has changed (a kubelet\'s nodeStatusReportFrequency)', check: oneSecondOrMore },
  { name: 'node-status-max-images', kind: 'string', value: 'N', default: String(KUBELET_DEFAULTS.statusImagesMax), help: 'images that the node\'s status names, the largest first; -1 for all', check: imagesMax },
  { name: 'kubelet-tls-cert-file', kind: 'string', value: 'FILE', help: 'certificate of the node\'s port 10250 (default: one of the cluster\'s); changes are followed', check: readable },
  { name: 'kubelet-tls-private-key-file', kind: 'string', value: 'FILE', help: 'its key', check: readable },
  { name: 'kubelet-client-ca-file', kind: 'string', value: 'FILE', help: 'authority of client certificates there (default: the cluster\'s); changes are followed', check: readable },
  { name: 'kubelet-tls-min-version', kind: 'string', value: 'VERSION', default: KUBELET_DEFAULTS.tlsMinVersion, help: 'oldest version of TLS there: VersionTLS12 or VersionTLS13', check: oneOf('VersionTLS12', 'VersionTLS13') },
  { name: 'kubelet-tls-cipher-suites', kind: 'list', value: 'NAMES', help: 'cipher suites of TLS 1.2 there, by their IANA names (default: all that are good)', check: suiteProblem },
  { name: 'kube-reserved', kind: 'list', value: 'RESOURCE=AMOUNT', help: 'kept from pods for skiff, e.g. cpu=200m,memory=256Mi,ephemeral-storage=1Gi,pid=500', check: reservation },
  { name: 'system-reserved', kind: 'list', value: 'RESOURCE=AMOUNT', help: 'kept from pods for the rest of the machine', check: reservation },
  { name: 'enforce-node-allocatable', kind: 'string', value: 'pods|none', default: 'pods', help: 'whether the kernel holds all pods together to what is not reserved', check: oneOf('pods', 'none') },
  { name: 'eviction-hard', kind: 'list', value: 'SIGNAL<AMOUNT', help: `less left than this, and pods are evicted at once; given, it replaces all of ${Object.entries(KUBELET_DEFAULTS.evictionHard).map((t) => t.join('<')).join(',')}`, check: threshold },
  { name: 'merge-default-eviction-settings', kind: 'boolean', default: false, help: 'signals that --eviction-hard does not name keep their defaults' },
  { name: 'eviction-soft', kind: 'list', value: 'SIGNAL<AMOUNT', help: 'the same, with a grace period', check: threshold },
  { name: 'eviction-soft-grace-period', kind: 'list', value: 'SIGNAL=DURATION', help: 'how long a soft threshold must be met, e.g. memory.available=1m30s', check: pair('=', 'memory.available=1m30s') },
  { name: 'eviction-minimum-reclaim', kind: 'list', value: 'SIGNAL=AMOUNT', help: 'how much more than the threshold an eviction is to free, e.g. nodefs.available=500Mi', check: pair('=', 'nodefs.available=500Mi') },
  { name: 'eviction-max-pod-grace-period', kind: 'number', value: 'SECONDS', default: KUBELET_DEFAULTS.evictionMaxPodGraceSeconds, help: 'most time that pods get which a soft threshold evicts' },
  { name: 'eviction-pressure-transition-period', kind: 'string', value: 'DURATION', default: '5m0s', help: 'how long a pressure that is over is still told', check: goDuration },
  { name: 'image-credential-provider-config', kind: 'string', value: 'PATH', help: 'which programs tell credentials for which images (CredentialProviderConfig)' },
  { name: 'image-credential-provider-bin-dir', kind: 'string', value: 'DIR', help: 'where those programs are' },
  { name: 'image-pull-credentials-verification-policy', kind: 'string', value: 'POLICY', default: KUBELET_DEFAULTS.imageVerification, help: `whether pods show a registry their secrets again for images that others have pulled: ${VERIFICATION_POLICIES.join(', ')}`, check: oneOf(...VERIFICATION_POLICIES) },
  { name: 'preloaded-images-verification-allowlist', kind: 'list', value: 'IMAGES', help: 'for NeverVerifyAllowlistedImages: names without tags, or beginnings that end in /*', check: imageName },
  { name: 'shutdown-grace-period', kind: 'string', value: 'DURATION', default: '0s', help: 'when the machine goes down, pods have so long to end, and fail so that they start elsewhere; 0s: they have 5 s, and start again with the next boot', check: wholeSeconds },
  { name: 'shutdown-grace-period-critical-pods', kind: 'string', value: 'DURATION', default: '0s', help: 'the last of that time is for critical pods', check: wholeSeconds },
  { name: 'shutdown-grace-period-by-pod-priority', kind: 'list', value: 'PRIORITY=DURATION', help: 'instead: times one after the other, lowest priority first, e.g. 0=20s,1000=10s,2000000000=10s', check: priorityPeriod },
  { name: 'device', kind: 'list', value: 'KIND[:SHARES]', help: 'devices for pods, without a plugin: gpio, i2c, spi, serial, video (as skiff.io/gpio, ...), or example.com/radio=/dev/ttyUSB*; SHARES: how many containers may have each at once', check: boardRule },
  { name: 'image-gc-high-threshold', kind: 'number', value: 'PERCENT', default: KUBELET_DEFAULTS.imageGcHighPercent, help: 'disk used by more than this: images that nobody uses are removed', check: percent },
  { name: 'image-gc-low-threshold', kind: 'number', value: 'PERCENT', default: KUBELET_DEFAULTS.imageGcLowPercent, help: 'down to this', check: percent },
  { name: 'minimum-image-ttl-duration', kind: 'string', value: 'DURATION', default: '2m0s', help: 'images that came less than this ago are not removed for it', check: goDuration },
  { name: 'image-maximum-gc-age', kind: 'string', value: 'DURATION', default: '0s', help: 'images that nobody has used for so long are removed in any case; 0s for never', check: goDuration },
]

/** Throws UsageError that names the flag. */
export function kubeletSettings(values: FlagValues): KubeletSettings {
  const items = (name: string): readonly string[] => (values[name] as readonly string[] | undefined) ?? []
  const mapping = (name: string, separator: string) => Object.fromEntries(items(name).map((item) => split(item, separator)))
  const ms = (name: string): number => (values[name] === '0' ? 0 : durationMs(String(values[name])))
  const settings: KubeletSettings = {
    maxPods: Number(values['max-pods']), podsPerCore: Number(values['pods-per-core']), singleProcessOomKill: values['single-process-oom-kill'] === true, restartSecondsMax: ms('max-container-restart-period') / 1000, maxParallelPulls: Number(values['max-parallel-image-pulls']), memorySwapBehavior: values['memory-swap-behavior'] as 'NoSwap' | 'LimitedSwap', seccompDefault: values['seccomp-default'] === true, podPidsLimit: Number(values['pod-max-pids']), oomScoreAdj: Number(values['oom-score-adj']), protectKernelDefaults: values['protect-kernel-defaults'] === true, allowedUnsafeSysctls: items('allowed-unsafe-sysctls'),
    containerLogMaxSize: String(values['container-log-max-size']), containerLogMaxFiles: Number(values['container-log-max-files']), containerLogMonitorMs: ms('container-log-monitor-interval'),
    kubeReserved: mapping('kube-reserved', '='), systemReserved: mapping('system-reserved', '='), enforcePods: values['enforce-node-allocatable'] === 'pods',
    evictionHard: items('eviction-hard').length === 0 ? KUBELET_DEFAULTS.evictionHard : { ...(values['merge-default-eviction-settings'] === true && KUBELET_DEFAULTS.evictionHard), ...mapping('eviction-hard', '<') },
    evictionSoft: mapping('eviction-soft', '<'), evictionSoftGracePeriod: mapping('eviction-soft-grace-period', '='), evictionMinimumReclaim: mapping('eviction-minimum-reclaim', '='),
    evictionMaxPodGraceSeconds: Number(values['eviction-max-pod-grace-period']), evictionTransitionMs: ms('eviction-pressure-transition-period'),
    imageGcHighPercent: Number(values['image-gc-high-threshold']), imageGcLowPercent: Number(values['image-gc-low-threshold']),
    imageGcMinimumAgeMs: ms('minimum-image-ttl-duration'), imageGcMaximumAgeMs: ms('image-maximum-gc-age'),
    imageVerification: values['image-pull-credentials-verification-policy'] as VerificationPolicy, imageVerificationAllowlist: items('preloaded-images-verification-allowlist'),
    shutdownPeriods: shutdownPeriods(ms('shutdown-grace-period'), ms('shutdown-grace-period-critical-pods'), items('shutdown-grace-period-by-pod-priority')),
    boardDevices: items('device').map(parseBoardRule),
    cpuPeriodUs: values['cpu-cfs-quota'] === true ? ms('cpu-cfs-quota-period') * 1000 : 0, usersPerPod: Number(values['user-namespaces-ids-per-pod']),
    registersNode: values['register-node'] === true, providerId: String(values['provider-id'] ?? ''), statusLookMs: ms('node-status-update-frequency'), statusReportMs: ms('node-status-report-frequency'), statusImagesMax: Number(values['node-status-max-images']),
    tlsMinVersion: values['kubelet-tls-min-version'] as KubeletSettings['tlsMinVersion'], tlsCipherSuites: items('kubelet-tls-cipher-suites'),
    healthzPort: Number(values['healthz-port']), tlsCertFile: String(values['kubelet-tls-cert-file'] ?? ''), tlsPrivateKeyFile: String(values['kubelet-tls-private-key-file'] ?? ''), clientCaFile: String(values['kubelet-client-ca-file'] ?? ''),
  }
  checkTogether(settings)
  return settings
}

function shutdownPeriods(allMs: number, criticalMs: number, byPriority: readonly string[]): KubeletConfig['shutdownPeriods'] {
  if (byPriority.length > 0 && allMs + criticalMs > 0) throw new UsageError('--shutdown-grace-period-by-pod-priority: cannot be given together with --shutdown-grace-period')
  if (criticalMs > allMs) throw new UsageError(`--shutdown-grace-period-critical-pods: ${criticalMs / 1_000}s must be <= --shutdown-grace-period ${allMs / 1_000}s`)
  if (byPriority.length === 0) return periodsOf(allMs / 1_000, criticalMs / 1_000)
  return byPriority.map((item) => {
    const [priority, period] = split(item, '=')
    return { priority: Number(priority), seconds: period === '0' ? 0 : Math.floor(durationMs(period) / 1_000) }
  })
}

function checkTogether(s: KubeletSettings): void {
  if ((s.maxPods + 1) * s.usersPerPod > ID_MAX + 1) throw new UsageError(`--user-namespaces-ids-per-pod: user assigned IDs are not enough to support ${s.maxPods} pods: pass less, or a lower --max-pods`)
  if (s.tlsCertFile !== '' && s.tlsPrivateKeyFile === '') throw new UsageError('--kubelet-tls-cert-file: pass --kubelet-tls-private-key-file, too')
  if (s.tlsCertFile === '' && s.tlsPrivateKeyFile !== '') throw new UsageError('--kubelet-tls-private-key-file: pass --kubelet-tls-cert-file, too')
  const twice = s.boardDevices.find((rule, i) => s.boardDevices.findIndex((r) => r.resource === rule.resource) !== i)
  if (twice) throw new UsageError(`--device: ${twice.resource} is named twice: join its patterns by +`)
  if (s.imageVerificationAllowlist.length > 0 && s.imageVerification !== 'NeverVerifyAllowlistedImages') throw new UsageError('--preloaded-images-verification-allowlist: is only for --image-pull-credentials-verification-policy NeverVerifyAllowlistedImages')
  if (s.imageGcLowPercent >= s.imageGcHighPercent) throw new UsageError(`--image-gc-low-threshold: ${s.imageGcLowPercent} must be less than --image-gc-high-threshold ${s.imageGcHighPercent}`)
  if (s.imageGcMaximumAgeMs > 0 && s.imageGcMaximumAgeMs <= s.imageGcMinimumAgeMs) throw new UsageError('--image-maximum-gc-age: must be longer than --minimum-image-ttl-duration')
  const nothing: EvictionConfig = { evictionHard: {}, evictionSoft: {}, evictionSoftGracePeriod: {}, evictionMinimumReclaim: {} }
  const parse = (flag: string, part: Partial<EvictionConfig>) => {
    try {
      parseThresholds({ ...nothing, ...part })
    } catch (error) {
      throw new UsageError(`--${flag}: ${asError(error).message}`, { cause: error })
    }
  }
  parse('eviction-hard', { evictionHard: s.evictionHard })
  // Each by itself first, as if the others were right: so that the flag that is wrong is named.
  const each = (of: object, value: string) => Object.fromEntries(Object.keys(of).map((signal) => [signal, value]))
  parse('eviction-soft', { evictionSoft: s.evictionSoft, evictionSoftGracePeriod: each(s.evictionSoft, '1s') })
  parse('eviction-soft-grace-period', { evictionSoft: each(s.evictionSoftGracePeriod, '1'), evictionSoftGracePeriod: s.evictionSoftGracePeriod })
  parse('eviction-soft-grace-period', { evictionSoft: s.evictionSoft, evictionSoftGracePeriod: s.evictionSoftGracePeriod })
  parse('eviction-minimum-reclaim', { evictionHard: each(s.evictionMinimumReclaim, '1'), evictionMinimumReclaim: s.evictionMinimumReclaim })
}

function split(item: string, separator: string): [string, string] {
  const at = item.indexOf(separator)
  return at < 0 ? [item.trim(), ''] : [item.slice(0, at).trim(), item.slice(at + 1).trim()]
}
