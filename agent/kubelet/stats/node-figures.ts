/** The pages of the kubelet API that tell of the node, from what is measured when they are asked for. */
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { ContainerRuntime } from '#cri/index.ts'
import type { KubeletConfig } from '../config.ts'
import { goDuration } from '../image-puller.ts'
import type { HostFacts } from '../node/host-facts.ts'
import { CRITICAL_PRIORITY, totalSeconds } from '../shutdown/periods.ts'
import type { HealthCheck, NodeFigures } from '../streams.ts'
import { readHostDisks } from './host-disks.ts'
import { cadvisorMetrics, logMetrics, metricsText, probeMetrics, resourceMetrics, volumeMetrics, type MetricFamily, type ProbeCount } from './metrics-text.ts'
import type { StatsSource } from './stats-source.ts'
import { summaryOf } from './summary.ts'

export interface NodeFiguresDeps {
  stats: StatsSource
  runtime: Pick<ContainerRuntime, 'listContainers' | 'listPodSandbox' | 'listMetricDescriptors' | 'listPodSandboxMetrics'>
  probes(): ProbeCount[]
  probeDurations(): MetricFamily[]
  /** Counters that others keep: evictions, garbage collection. */
  counters: () => MetricFamily[]
  health: () => readonly HealthCheck[]
  nodeName: string
  config: KubeletConfig
  facts: HostFacts
  clock: Clock
  log: Log
}

export function createNodeFigures(deps: NodeFiguresDeps): NodeFigures {
  const { stats, runtime, facts, log } = deps
  return {
    async summary(onlyCpuAndMemory) {
      const { node, pods } = await stats.measure({ onlyCpuAndMemory })
      return summaryOf(node, pods, onlyCpuAndMemory)
    },
    async metrics(page) {
      switch (page) {
        case 'kubelet': return (await kubeletMetrics(deps)) + logMetrics(await stats.logs()) + volumeMetrics(await stats.claimedVolumes())
        case 'probes': return metricsText([processStart()]) + metricsText(deps.probeDurations()) + probeMetrics(deps.probes())
        case 'cadvisor': {
          const [measured, disks, descriptors, pods] = await Promise.all([stats.measure({ withNetworks: false }), readHostDisks(), runtime.listMetricDescriptors(), runtime.listPodSandboxMetrics()])
          return cadvisorMetrics({ ...measured, disks, machine: facts, counted: { descriptors, pods } })
        }
        case 'resource':
          try {
            return resourceMetrics(await stats.measure({ onlyCpuAndMemory: true }))
          } catch (error) {
            log.warn('nothing could be measured', { error: asError(error) })
            return resourceMetrics(undefined)
          }
      }
    },
    health: deps.health,
    configz: () => ({ kubeletconfig: kubeletConfiguration(deps.config) }),
  }
}

async function kubeletMetrics({ runtime, nodeName, counters, config }: NodeFiguresDeps): Promise<string> {
  const [containers, sandboxes] = await Promise.all([runtime.listContainers(), runtime.listPodSandbox({ state: 'ready' })])
  const { rss } = process.memoryUsage()
  const { user, system } = process.cpuUsage()
  const gauge = (name: string, help: string, ...samples: MetricFamily['samples']): MetricFamily => ({ name, help, type: 'gauge', samples })
  return metricsText([
    gauge('kubelet_node_name', '[STABLE] The node\'s name. The count is always 1.', { labels: { node: nodeName }, value: 1 }),
    gauge('kubelet_running_containers', '[STABLE] Number of containers currently running', ...(['created', 'exited', 'running', 'unknown'] as const).map((state) => ({ labels: { container_state: state }, value: containers.filter((c) => c.state === state).length }))),
    gauge('kubelet_running_pods', '[STABLE] Number of pods that have a running pod sandbox', { value: sandboxes.length }),
    gauge('kubernetes_build_info', '[BETA] A metric with a constant \'1\' value labeled by major, minor, git version, git commit, git tree state, build date, Go version, and compiler from which Kubernetes was built, and platform on which it is running.', { labels: { git_version: config.version }, value: 1 }),
    { name: 'process_cpu_seconds_total', help: 'Total user and system CPU time spent in seconds.', type: 'counter', samples: [{ value: (user + system) / 1e6 }] },
    gauge('process_resident_memory_bytes', 'Resident memory size in bytes.', { value: rss }),
    processStart(),
    ...counters(),
  ])
}

const processStart = (): MetricFamily => ({ name: 'process_start_time_seconds', help: 'Start time of the process since unix epoch in seconds.', type: 'gauge', samples: [{ value: Math.round(performance.timeOrigin / 1000) }] })

/** kubelet.config.k8s.io/v1beta1, as far as it means something here. */
export function kubeletConfiguration(config: KubeletConfig): object {
  return {
    kind: 'KubeletConfiguration', apiVersion: 'kubelet.config.k8s.io/v1beta1',
    enableServer: config.kubeletPort !== 0, port: config.kubeletPort, healthzPort: config.healthzPort, healthzBindAddress: '127.0.0.1', staticPodPath: config.staticPodPath,
    ...(config.tlsCertFile !== '' && { tlsCertFile: config.tlsCertFile, tlsPrivateKeyFile: config.tlsPrivateKeyFile }),
    tlsMinVersion: config.tlsMinVersion, ...(config.tlsCipherSuites.length > 0 && { tlsCipherSuites: [...config.tlsCipherSuites] }),
    authentication: { x509: config.clientCaFile === '' ? {} : { clientCAFile: config.clientCaFile }, webhook: { enabled: true, cacheTTL: '2m0s' }, anonymous: { enabled: false } },
    authorization: { mode: 'Webhook', webhook: { cacheAuthorizedTTL: '5m0s', cacheUnauthorizedTTL: '30s' } },
    clusterDomain: config.clusterDomain, clusterDNS: [...config.clusterDns], nodeStatusUpdateFrequency: goDuration(config.statusLookMs), nodeStatusReportFrequency: goDuration(config.statusReportMs), nodeLeaseDurationSeconds: 40,
    imageMinimumGCAge: goDuration(config.imageGcMinimumAgeMs), imageMaximumGCAge: goDuration(config.imageGcMaximumAgeMs), imageGCHighThresholdPercent: config.imageGcHighPercent, imageGCLowThresholdPercent: config.imageGcLowPercent, cgroupRoot: config.cgroupRoot === '' ? '/' : config.cgroupRoot, cgroupsPerQOS: true, cgroupDriver: 'cgroupfs',
    maxPods: config.maxPods, ...(config.podsPerCore > 0 && { podsPerCore: config.podsPerCore }), singleProcessOOMKill: config.singleProcessOomKill, crashLoopBackOff: { maxContainerRestartPeriod: goDuration(config.restartSecondsMax * 1000) }, podPidsLimit: config.podPidsLimit, oomScoreAdj: config.oomScoreAdj, protectKernelDefaults: config.protectKernelDefaults, resolvConf: config.resolvConf, cpuCFSQuota: config.cpuPeriodUs > 0, ...(config.cpuPeriodUs > 0 && { cpuCFSQuotaPeriod: goDuration(config.cpuPeriodUs / 1000) }), userNamespaces: { idsPerPod: config.usersPerPod }, serializeImagePulls: config.maxParallelPulls === 1, maxParallelImagePulls: config.maxParallelPulls,
    evictionHard: { ...config.evictionHard }, evictionSoft: { ...config.evictionSoft }, evictionSoftGracePeriod: { ...config.evictionSoftGracePeriod }, evictionPressureTransitionPeriod: goDuration(config.evictionTransitionMs), evictionMaxPodGracePeriod: config.evictionMaxPodGraceSeconds,
    evictionMinimumReclaim: { ...config.evictionMinimumReclaim }, containerLogMaxSize: config.containerLogMaxSize, containerLogMaxFiles: config.containerLogMaxFiles, systemReserved: { ...config.systemReserved }, kubeReserved: { ...config.kubeReserved },
    enforceNodeAllocatable: [config.enforcePods ? 'pods' : 'none'],
    allowedUnsafeSysctls: [...config.allowedUnsafeSysctls], failSwapOn: false, memorySwap: { swapBehavior: config.memorySwapBehavior }, enableDebuggingHandlers: true, enableSystemLogHandler: true, enableSystemLogQuery: false, enableProfilingHandler: false, enableDebugFlagsHandler: false,
    seccompDefault: config.seccompDefault, podLogsDir: config.podLogsDir, containerLogMonitorInterval: goDuration(config.containerLogMonitorMs), volumeStatsAggPeriod: '1m0s', nodeStatusMaxImages: config.statusImagesMax, registerNode: config.registersNode, ...(config.providerId !== '' && { providerID: config.providerId }), registerWithTaints: config.nodeTaints.map((taint) => ({ ...taint })), localStorageCapacityIsolation: true,
    imagePullCredentialsVerificationPolicy: config.imageVerification, ...(config.imageVerificationAllowlist.length > 0 && { preloadedImagesVerificationAllowlist: [...config.imageVerificationAllowlist] }), ...shutdownConfiguration(config),
  }
}

/** As it was given: all and the critical ones' part of it, or by priority. */
function shutdownConfiguration({ shutdownPeriods }: KubeletConfig): object {
  const [all, critical] = shutdownPeriods
  if (!all) return { shutdownGracePeriod: '0s', shutdownGracePeriodCriticalPods: '0s' }
  const isPair = shutdownPeriods.length === 2 && all.priority === 0 && critical?.priority === CRITICAL_PRIORITY
  if (isPair) return { shutdownGracePeriod: goDuration(totalSeconds(shutdownPeriods) * 1000), shutdownGracePeriodCriticalPods: goDuration(critical.seconds * 1000) }
  return { shutdownGracePeriod: '0s', shutdownGracePeriodCriticalPods: '0s', shutdownGracePeriodByPodPriority: shutdownPeriods.map(({ priority, seconds }) => ({ priority, shutdownGracePeriodSeconds: seconds })) }
}
