import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KUBELET_DEFAULTS } from '#agent/kubelet/config.ts'
import { parseFlags } from './flags.ts'
import { KUBELET_FLAGS, kubeletSettings } from './kubelet-flags.ts'

const settings = (...argv: string[]) => kubeletSettings(parseFlags('agent', KUBELET_FLAGS, { argv, env: {}, readConfig: () => ({}) }).values)
const problem = (...argv: string[]): string => {
  try {
    settings(...argv)
    return ''
  } catch (error) {
    return (error as Error).message
  }
}

test('nothing said is upstream\'s defaults', () => {
  const said = settings()
  for (const [name, value] of Object.entries(said)) assert.deepStrictEqual(value, KUBELET_DEFAULTS[name as keyof typeof KUBELET_DEFAULTS], name)
})

test('each is taken in upstream\'s form, on the command line and in the config file', () => {
  const argv = [
    '--eviction-hard', 'memory.available<200Mi,nodefs.available<5%', '--eviction-soft=memory.available<500Mi', '--eviction-soft-grace-period=memory.available=1m30s', '--eviction-minimum-reclaim', 'nodefs.available=1Gi', '--eviction-max-pod-grace-period=30',
    '--eviction-pressure-transition-period=1m', '--image-gc-high-threshold=70', '--image-gc-low-threshold=60', '--minimum-image-ttl-duration=30s', '--image-maximum-gc-age=48h', '--kube-reserved=cpu=100m,memory=256Mi', '--system-reserved', 'memory=128Mi', '--system-reserved', 'pid=200',
    '--device', 'gpio:4', '--device=example.com/radio=/dev/ttyUSB*', '--enforce-node-allocatable=none', '--max-pods=30', '--pod-max-pids=1000', '--memory-swap-behavior=LimitedSwap', '--oom-score-adj=-500', '--protect-kernel-defaults', '--pods-per-core=8', '--single-process-oom-kill', '--max-container-restart-period=30s', '--max-parallel-image-pulls=1', '--resolv-conf=/dev/null', '--healthz-port=0', '--kubelet-tls-cert-file=/dev/null', '--kubelet-tls-private-key-file=/dev/zero', '--kubelet-client-ca-file=/dev/null', '--container-log-monitor-interval=3s', '--seccomp-default=false', '--container-log-max-size=1Mi', '--container-log-max-files=2',
    '--shutdown-grace-period-by-pod-priority', '0=20s,1000=10s', '--cpu-cfs-quota-period=10ms', '--user-namespaces-ids-per-pod=131072', '--register-node=false', '--provider-id=rack://7', '--node-status-update-frequency=20s', '--node-status-report-frequency=1m', '--node-status-max-images=-1', '--kubelet-tls-min-version=VersionTLS13', '--kubelet-tls-cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256',
    '--image-pull-credentials-verification-policy=NeverVerifyAllowlistedImages', '--preloaded-images-verification-allowlist=reg.example:5000/a,reg.example/*',
  ]
  const expected = {
    cpuPeriodUs: 10_000, usersPerPod: 131_072, registersNode: false, providerId: 'rack://7', statusLookMs: 20_000, statusReportMs: 60_000, statusImagesMax: -1, tlsMinVersion: 'VersionTLS13', tlsCipherSuites: ['TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256'],
    maxPods: 30, podsPerCore: 8, singleProcessOomKill: true, restartSecondsMax: 30, maxParallelPulls: 1, containerLogMonitorMs: 3_000, healthzPort: 0, tlsCertFile: '/dev/null', tlsPrivateKeyFile: '/dev/zero', clientCaFile: '/dev/null', memorySwapBehavior: 'LimitedSwap', seccompDefault: false, podPidsLimit: 1_000, oomScoreAdj: -500, protectKernelDefaults: true, allowedUnsafeSysctls: [], containerLogMaxSize: '1Mi', containerLogMaxFiles: 2, kubeReserved: { cpu: '100m', memory: '256Mi' }, systemReserved: { memory: '128Mi', pid: '200' }, enforcePods: false,
    evictionHard: { 'memory.available': '200Mi', 'nodefs.available': '5%' }, evictionSoft: { 'memory.available': '500Mi' }, evictionSoftGracePeriod: { 'memory.available': '1m30s' }, evictionMinimumReclaim: { 'nodefs.available': '1Gi' }, evictionMaxPodGraceSeconds: 30,
    evictionTransitionMs: 60_000, shutdownPeriods: [{ priority: 0, seconds: 20 }, { priority: 1_000, seconds: 10 }], imageGcHighPercent: 70, imageGcLowPercent: 60, imageGcMinimumAgeMs: 30_000, imageGcMaximumAgeMs: 172_800_000, imageVerification: 'NeverVerifyAllowlistedImages', imageVerificationAllowlist: ['reg.example:5000/a', 'reg.example/*'],
    boardDevices: [{ resource: 'skiff.io/gpio', patterns: ['/dev/gpiochip*'], together: true, shares: 4 }, { resource: 'example.com/radio', patterns: ['/dev/ttyUSB*'], together: false, shares: 1 }],
  }
  assert.deepStrictEqual(settings(...argv), expected)
  const file = {
    'eviction-hard': ['memory.available<200Mi', 'nodefs.available<5%'], 'eviction-soft': 'memory.available<500Mi', 'eviction-soft-grace-period': 'memory.available=1m30s', 'eviction-minimum-reclaim': ['nodefs.available=1Gi'], 'eviction-max-pod-grace-period': 30,
    'eviction-pressure-transition-period': '1m', 'image-gc-high-threshold': 70, 'image-gc-low-threshold': 60, 'minimum-image-ttl-duration': '30s', 'image-maximum-gc-age': '48h', 'kube-reserved': ['cpu=100m', 'memory=256Mi'], 'system-reserved': ['memory=128Mi', 'pid=200'],
    'cpu-cfs-quota-period': '10ms', 'user-namespaces-ids-per-pod': 131_072, 'register-node': false, 'provider-id': 'rack://7', 'node-status-update-frequency': '20s', 'node-status-report-frequency': '1m', 'node-status-max-images': -1, 'kubelet-tls-min-version': 'VersionTLS13', 'kubelet-tls-cipher-suites': 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256',
    device: ['gpio:4', 'example.com/radio=/dev/ttyUSB*'], 'enforce-node-allocatable': 'none', 'max-pods': 30, 'pod-max-pids': 1_000, 'memory-swap-behavior': 'LimitedSwap', 'oom-score-adj': -500, 'protect-kernel-defaults': true, 'pods-per-core': 8, 'single-process-oom-kill': true, 'max-container-restart-period': '30s', 'max-parallel-image-pulls': 1, 'resolv-conf': '/dev/null', 'healthz-port': 0, 'kubelet-tls-cert-file': '/dev/null', 'kubelet-tls-private-key-file': '/dev/zero', 'kubelet-client-ca-file': '/dev/null', 'container-log-monitor-interval': '3s', 'seccomp-default': false, 'container-log-max-size': '1Mi', 'container-log-max-files': 2, 'shutdown-grace-period-by-pod-priority': ['0=20s', '1000=10s'],
    'image-pull-credentials-verification-policy': 'NeverVerifyAllowlistedImages', 'preloaded-images-verification-allowlist': ['reg.example:5000/a', 'reg.example/*'],
  }
  const flags = [...KUBELET_FLAGS, { name: 'config', kind: 'string' as const, help: '' }]
  assert.deepStrictEqual(kubeletSettings(parseFlags('agent', flags, { argv: [], env: {}, readConfig: () => file }).values), expected)
})

test('thresholds that are given replace all, or with --merge-default-eviction-settings those of the same signal', () => {
  assert.deepStrictEqual(settings('--eviction-hard', 'memory.available<1Gi').evictionHard, { 'memory.available': '1Gi' })
  assert.deepStrictEqual(settings('--eviction-hard', 'memory.available<1Gi', '--merge-default-eviction-settings').evictionHard, { ...KUBELET_DEFAULTS.evictionHard, 'memory.available': '1Gi' })
})

test('limits of CPU that are not held have no period', () => {
  assert.deepStrictEqual(settings('--cpu-cfs-quota=false', '--cpu-cfs-quota-period=10ms').cpuPeriodUs, 0)
})

const refused: [string[], RegExp][] = [
  [['--eviction-hard', 'memory.free<1Gi'], /^--eviction-hard: unknown eviction signal "memory\.free": there are memory\.available, /],
  [['--eviction-hard', 'memory.available=1Gi'], /^--eviction-hard: "memory\.available=1Gi" is not of the form memory\.available<100Mi$/],
  [['--eviction-hard', 'memory.available<much'], /^--eviction-hard: .*"much" is neither an amount \(100Mi\) nor a percentage/],
  [['--eviction-soft', 'memory.available<1Gi'], /^--eviction-soft-grace-period: grace period must be specified for the soft eviction threshold memory\.available$/],
  [['--eviction-soft-grace-period', 'memory.available=soon'], /^--eviction-soft-grace-period: "soon" is not a duration/],
  [['--eviction-minimum-reclaim', 'memory.available=-1'], /^--eviction-minimum-reclaim: /],
  [['--eviction-pressure-transition-period', '5'], /^--eviction-pressure-transition-period: "5" is not a duration such as 1m30s$/],
  [['--container-log-max-size', 'big'], /^--container-log-max-size: "big" is no amount such as 10Mi$/],
  [['--container-log-monitor-interval', '2s'], /^--container-log-monitor-interval: 2s must be a positive time duration greater than or equal to 3s$/],
  [['--max-container-restart-period', '6m'], /^--max-container-restart-period: 6m must be between 1s and 300s$/],
  [['--max-container-restart-period', '0'], /^--max-container-restart-period: 0 must be between 1s and 300s$/],
  [['--cpu-cfs-quota-period', '2s'], /^--cpu-cfs-quota-period: 2s must be between 1ms and 1sec, inclusive$/],
  [['--user-namespaces-ids-per-pod', '65535'], /^--user-namespaces-ids-per-pod: must not be less than 65536$/],
  [['--user-namespaces-ids-per-pod', '65537'], /^--user-namespaces-ids-per-pod: must be a multiple of 65536$/],
  [['--user-namespaces-ids-per-pod', '4294967296'], /^--user-namespaces-ids-per-pod: must not be more than 4294967295$/],
  [['--user-namespaces-ids-per-pod', '131072', '--max-pods', '32768'], /^--user-namespaces-ids-per-pod: user assigned IDs are not enough to support 32768 pods: /],
  [['--node-status-max-images', '-2'], /^--node-status-max-images: -2 must be -1 or greater$/],
  [['--node-status-update-frequency', '0'], /^--node-status-update-frequency: 0 must be 1s or more$/],
  [['--kubelet-tls-min-version', 'VersionTLS10'], /^--kubelet-tls-min-version: "VersionTLS10" is none of VersionTLS12, VersionTLS13$/],
  [['--kubelet-tls-cipher-suites', 'TLS_NONE'], /^--kubelet-tls-cipher-suites: Cipher suite TLS_NONE not supported or doesn't exist$/],
  [['--healthz-port', '65536'], /^--healthz-port: must be a valid port between 0 and 65535, inclusive, got 65536$/],
  [['--kubelet-tls-cert-file', '/dev/null'], /^--kubelet-tls-cert-file: pass --kubelet-tls-private-key-file, too$/],
  [['--kubelet-tls-private-key-file', '/dev/null'], /^--kubelet-tls-private-key-file: pass --kubelet-tls-cert-file, too$/],
  [['--kubelet-client-ca-file', '/no/such'], /^--kubelet-client-ca-file: ENOENT: /],
  [['--resolv-conf', '/no/such'], /^--resolv-conf: ENOENT: /],
  [['--container-log-max-files', '1'], /^--container-log-max-files: 1 must be greater than 1$/],
  [['--image-gc-high-threshold', '101'], /^--image-gc-high-threshold: 101 is not a percentage/],
  [['--image-gc-low-threshold', '85'], /^--image-gc-low-threshold: 85 must be less than --image-gc-high-threshold 85$/],
  [['--image-maximum-gc-age', '1m'], /^--image-maximum-gc-age: must be longer than --minimum-image-ttl-duration$/],
  [['--kube-reserved', 'gpu=1'], /^--kube-reserved: "gpu=1": cpu, memory, ephemeral-storage, pid can be reserved/],
  [['--system-reserved', 'memory=lots'], /^--system-reserved: "memory=lots": "lots" is no amount/],
  [['--device', 'radar'], /^--device: "radar" is neither one of gpio, i2c, spi, serial, video nor of the form/],
  [['--device', 'gpio', '--device', 'skiff.io/gpio=/dev/x'], /^--device: skiff\.io\/gpio is named twice/],
  [['--shutdown-grace-period', '500ms'], /^--shutdown-grace-period: 500ms must be either zero or otherwise >= 1 sec$/],
  [['--shutdown-grace-period', '10s', '--shutdown-grace-period-critical-pods', '20s'], /^--shutdown-grace-period-critical-pods: 20s must be <= --shutdown-grace-period 10s$/],
  [['--shutdown-grace-period', '10s', '--shutdown-grace-period-by-pod-priority', '0=5s'], /^--shutdown-grace-period-by-pod-priority: cannot be given together/],
  [['--shutdown-grace-period-by-pod-priority', 'high=5s'], /^--shutdown-grace-period-by-pod-priority: "high=5s" is not of the form 1000=10s$/],
  [['--image-pull-credentials-verification-policy', 'Sometimes'], /^--image-pull-credentials-verification-policy: "Sometimes" is none of NeverVerify, /],
  [['--preloaded-images-verification-allowlist', 'busybox'], /^--preloaded-images-verification-allowlist: is only for --image-pull-credentials-verification-policy NeverVerifyAllowlistedImages$/],
  [['--preloaded-images-verification-allowlist', 'reg.example/a:1'], /^--preloaded-images-verification-allowlist: "reg\.example\/a:1" is not the name of an image without tag and digest$/],
  [['--oom-score-adj', '1001'], /^--oom-score-adj: 1001 must be between -1000 and 1000, inclusive$/],
  [['--pod-max-pids', '0'], /^--pod-max-pids: "0" is neither a number of processes nor -1$/],
  [['--enforce-node-allocatable', 'system-reserved'], /^--enforce-node-allocatable: "system-reserved" is none of pods, none$/],
]
for (const [argv, says] of refused) test(`refused, by the flag's name: ${argv.join(' ')}`, () => assert.match(problem(...argv), says))
