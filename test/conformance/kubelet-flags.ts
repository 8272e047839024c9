/**
 * A KubeletConfiguration as upstream's suite for nodes writes it, as flags of skiff. Pure. What has no flag is told, so that
 * whoever reads why a test failed sees what it did not get.
 */
export type KubeletConfiguration = Readonly<Record<string, unknown>>

type ToFlags = (value: unknown) => string[]

const plain = (flag: string): ToFlags => (value) => [`--${flag}=${String(value)}`]
/** By a mapping's keys; an empty one is no flag, so that the default holds, as upstream. */
const mapping = (flag: string, separator: string): ToFlags => (value) => {
  const entries = Object.entries(value as Record<string, string>)
  return entries.length === 0 ? [] : [`--${flag}=${entries.map(([key, amount]) => `${key}${separator}${amount}`).join(',')}`]
}
const list = (flag: string): ToFlags => (value) => ((value as string[]).length === 0 ? [] : [`--${flag}=${(value as string[]).join(',')}`])

const FLAGS: Readonly<Record<string, ToFlags>> = {
  maxPods: plain('max-pods'), podPidsLimit: plain('pod-max-pids'), oomScoreAdj: plain('oom-score-adj'), protectKernelDefaults: plain('protect-kernel-defaults'),
  podsPerCore: plain('pods-per-core'), singleProcessOOMKill: plain('single-process-oom-kill'), resolvConf: plain('resolv-conf'), mergeDefaultEvictionSettings: plain('merge-default-eviction-settings'),
  serializeImagePulls: (value) => (value === true ? ['--max-parallel-image-pulls=1'] : []), maxParallelImagePulls: plain('max-parallel-image-pulls'),
  crashLoopBackOff: (value) => ((value as { maxContainerRestartPeriod?: string }).maxContainerRestartPeriod ? plain('max-container-restart-period')((value as { maxContainerRestartPeriod: string }).maxContainerRestartPeriod) : []), seccompDefault: plain('seccomp-default'),
  allowedUnsafeSysctls: list('allowed-unsafe-sysctls'), systemReserved: mapping('system-reserved', '='), kubeReserved: mapping('kube-reserved', '='), enforceNodeAllocatable: list('enforce-node-allocatable'),
  evictionHard: mapping('eviction-hard', '<'), evictionSoft: mapping('eviction-soft', '<'), evictionSoftGracePeriod: mapping('eviction-soft-grace-period', '='), evictionMinimumReclaim: mapping('eviction-minimum-reclaim', '='),
  evictionMaxPodGracePeriod: plain('eviction-max-pod-grace-period'), evictionPressureTransitionPeriod: plain('eviction-pressure-transition-period'),
  imageGCHighThresholdPercent: plain('image-gc-high-threshold'), imageGCLowThresholdPercent: plain('image-gc-low-threshold'), imageMinimumGCAge: plain('minimum-image-ttl-duration'), imageMaximumGCAge: plain('image-maximum-gc-age'),
  imagePullCredentialsVerificationPolicy: plain('image-pull-credentials-verification-policy'), preloadedImagesVerificationAllowlist: list('preloaded-images-verification-allowlist'),
  memorySwap: (value) => ((value as { swapBehavior?: string }).swapBehavior ? plain('memory-swap-behavior')((value as { swapBehavior: string }).swapBehavior) : []),
  containerLogMaxSize: plain('container-log-max-size'), containerLogMaxFiles: plain('container-log-max-files'), containerLogMonitorInterval: plain('container-log-monitor-interval'),
  tlsCertFile: plain('kubelet-tls-cert-file'), tlsPrivateKeyFile: plain('kubelet-tls-private-key-file'),
  authentication: (value) => { const file = (value as { x509?: { clientCAFile?: string } }).x509?.clientCAFile; return file ? plain('kubelet-client-ca-file')(file) : [] },
  shutdownGracePeriod: plain('shutdown-grace-period'), shutdownGracePeriodCriticalPods: plain('shutdown-grace-period-critical-pods'),
  shutdownGracePeriodByPodPriority: (value) => list('shutdown-grace-period-by-pod-priority')((value as { priority: number; shutdownGracePeriodSeconds: number }[]).map((one) => `${one.priority}=${one.shutdownGracePeriodSeconds}s`)),
}

/** Changed by nobody: what stands in for the read-only port says of itself, and what Go writes where nothing is set. */
const UNASKED = ['address', 'readOnlyPort', 'logging']

/** As Go writes a field that was never set. */
const isNothing = (value: unknown): boolean => value === undefined || value === null || value === '' || value === 0 || value === false || value === '0s' || (typeof value === 'object' && Object.values(value).every(isNothing))

/** `before`: what the node told of itself when nobody had changed anything. */
export function flagsOf(config: KubeletConfiguration, before: KubeletConfiguration): { flags: string[]; without: string[] } {
  const changed = Object.keys(config).filter((key) => !UNASKED.includes(key) && !isNothing(config[key]) && JSON.stringify(sorted(config[key])) !== JSON.stringify(sorted(before[key])))
  return {
    flags: Object.entries(FLAGS).flatMap(([key, toFlags]) => (config[key] === undefined || config[key] === null || config[key] === '' ? [] : toFlags(config[key]))),
    without: changed.filter((key) => FLAGS[key] === undefined).toSorted(),
  }
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  return Array.isArray(value) ? value.map(sorted) : Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([key, part]) => [key, sorted(part)]))
}
