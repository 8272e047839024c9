/** How many pods the node has, starts and refuses, under the kubelet's names: counted as upstream does, each try to make a sandbox or a container once. */
import type { Pod, PodCondition } from '#api/types/index.ts'
import { asError } from '#base/errors.ts'
import type { Effects } from '#base/reconcile/action.ts'
import type { ContainerType, PodAction } from '../pod-action.ts'
import { StartError } from '../start-error.ts'
import { isStaticPod } from '../static/manifest.ts'
import type { Rejection } from '../view.ts'
import { createCounter } from './counter.ts'
import type { MetricFamily } from './metrics-text.ts'

/** `conditions`: as the API was told last. */
export interface CountedPod { pod: Pod; isActive: boolean; hasMirror: boolean; conditions: readonly PodCondition[] }

export interface PodCounts {
  /** The same effects, counted. `pod`: stands for one life of it. */
  counted(effects: Effects<PodAction>, memory: { pod: Pod; rejected?: Rejection | undefined }): Effects<PodAction>
  rejected(reason: string): void
  metrics(pods: readonly CountedPod[], cgroupVersion: number | undefined): MetricFamily[]
}

/** Reasons that are told apart: any other may be anything. */
const REASONS = new Set([
  'AppArmor', 'PodOSSelectorNodeLabelDoesNotMatch', 'PodOSNotSupported', 'InvalidNodeInfo', 'InitContainerRestartPolicyForbidden', 'SupplementalGroupsPolicyNotSupported', 'UnexpectedAdmissionError', 'UnknownReason',
  'UnexpectedPredicateFailureType', 'OutOfcpu', 'OutOfmemory', 'OutOfephemeral-storage', 'OutOfpods', 'PodLevelResourcesNotSupported', 'PodFeatureUnsupported', 'node(s) had taints that the pod didn\'t tolerate', 'Evicted', 'SysctlForbidden', 'TopologyAffinityError',
  'NodeShutdown', 'VolumeAttachmentLimitExceeded',
])
const TYPES: Readonly<Record<ContainerType, string>> = { app: 'container', init: 'init_container', sidecar: 'init_container', ephemeral: 'ephemeral_container' }

export function createPodCounts(): PodCounts {
  let [started, startErrors, ownUsers, ownUsersErrors] = [0, 0, 0, 0]
  const imageVolumes = { requested: 0, mounted: 0, failed: 0 }
  const containers = createCounter()
  const containerErrors = createCounter()
  const rejections = createCounter()
  /** Pods with users of their own whose last sandbox is not known to have failed in any way. */
  const fresh = new WeakSet<object>()
  const failed = (memory: object): void => {
    if (fresh.delete(memory)) ownUsersErrors++
  }
  const refused = (reason: string): void => rejections.add({ reason: REASONS.has(reason) ? reason : reason.startsWith('OutOf') ? 'OutOfExtendedResources' : 'Other' })
  /** As upstream counts: a volume whose image cannot be had was not asked for yet, one of a container that fails for another reason was mounted. */
  const countImageVolumes = ({ spec }: Pod, container: string, error: unknown): void => {
    const images = new Map(spec?.volumes?.flatMap((v) => (v.image ? [[v.name, v.image.reference]] : [])))
    const mounts = [...(spec?.initContainers ?? []), ...(spec?.containers ?? []), ...(spec?.ephemeralContainers ?? [])].find((c) => c.name === container)?.volumeMounts?.filter((m) => images.has(m.name)) ?? []
    if (error instanceof StartError && error.image !== undefined && [...images.values()].includes(error.image)) return
    imageVolumes.requested += new Set(mounts.map((m) => m.name)).size
    if (error instanceof StartError && error.reason === 'CreateContainerError' && error.message.startsWith('ImageVolumeMountFailed')) imageVolumes.failed += mounts.length
    else imageVolumes.mounted += mounts.length
  }
  return {
    counted: (effects, memory) => ({
      ...effects,
      async preparePod(action, signal) {
        await effects.preparePod(action, signal)
        // For want of devices or of room for volumes.
        if (memory.rejected && !memory.rejected.eviction) refused(memory.rejected.reason)
      },
      async createSandbox(action, signal) {
        started++
        if (memory.pod.spec?.hostUsers === false) {
          ownUsers++
          fresh.add(memory)
        }
        try {
          await effects.createSandbox(action, signal)
        } catch (error) {
          // A pod that is to go has not failed.
          if (!signal.aborted) {
            startErrors++
            failed(memory)
          }
          throw error
        }
      },
      async startContainer(action, signal) {
        const type = TYPES[action.type]
        containers.add({ container_type: type })
        try {
          await effects.startContainer(action, signal)
          countImageVolumes(memory.pod, action.name, undefined)
        } catch (error) {
          if (!signal.aborted) countImageVolumes(memory.pod, action.name, error)
          if (!signal.aborted) {
            containerErrors.add({ code: error instanceof StartError ? error.reason : asError(error).name, container_type: type })
            failed(memory)
          }
          throw error
        }
      },
    }),
    rejected: refused,
    metrics(pods, cgroupVersion) {
      const counter = (name: string, help: string, samples: MetricFamily['samples']): MetricFamily => ({ name: `kubelet_${name}`, help: `[ALPHA] ${help}`, type: 'counter', samples })
      const gauge = (name: string, help: string, samples: MetricFamily['samples']): MetricFamily => ({ name: `kubelet_${name}`, help: `[ALPHA] ${help}`, type: 'gauge', samples })
      const beta = (name: string, help: string, value: number): MetricFamily => ({ name: `kubelet_${name}`, help: `[BETA] ${help}`, type: 'counter', samples: [{ value }] })
      const byKind = (counts: (pod: CountedPod) => boolean): MetricFamily['samples'] => ['', 'true'].map((label) => ({ labels: { static: label }, value: pods.filter((p) => counts(p) && isStaticPod(p.pod) === (label === 'true')).length }))
      return [
        gauge('active_pods', 'The number of pods the kubelet considers active and which are being considered when admitting new pods. static is true if the pod is not from the apiserver.', byKind((p) => p.isActive)),
        counter('admission_rejections_total', 'Cumulative number pod admission rejections by the Kubelet.', rejections.samples()),
        gauge('cgroup_version', 'cgroup version on the hosts.', cgroupVersion === undefined ? [] : [{ value: cgroupVersion }]),
        gauge('desired_pods', 'The number of pods the kubelet is being instructed to run. static is true if the pod is not from the apiserver.', byKind(() => true)),
        beta('image_volume_mounted_errors_total', 'Number of failed image volume mounts.', imageVolumes.failed),
        beta('image_volume_mounted_succeed_total', 'Number of successful image volume mounts.', imageVolumes.mounted),
        beta('image_volume_requested_total', 'Number of requested image volumes.', imageVolumes.requested),
        gauge('managed_ephemeral_containers', 'Current number of ephemeral containers in pods managed by this kubelet.', [{ value: pods.reduce((sum, { pod }) => sum + (pod.spec?.ephemeralContainers?.length ?? 0), 0) }]),
        gauge('mirror_pods', 'The number of mirror pods the kubelet will try to create (one per admitted static pod)', [{ value: pods.filter((p) => p.hasMirror).length }]),
        gauge('pod_in_progress_resizes', 'Number of in-progress resizes for pods.', [{ value: pods.filter((p) => p.conditions.some((c) => c.type === 'PodResizeInProgress')).length }]),
        gauge('pod_pending_resizes', 'Number of pending resizes for pods.', [...Map.groupBy(pods.flatMap((p) => p.conditions.find((c) => c.type === 'PodResizePending')?.reason?.toLowerCase() ?? []), (reason) => reason)].map(([reason, of]) => ({ labels: { reason }, value: of.length }))),
        counter('started_containers_errors_total', 'Cumulative number of errors when starting containers', containerErrors.samples()),
        counter('started_containers_total', 'Cumulative number of containers started', containers.samples()),
        counter('started_pods_errors_total', 'Cumulative number of errors when starting pods', [{ value: startErrors }]),
        counter('started_pods_total', 'Cumulative number of pods started', [{ value: started }]),
        counter('started_user_namespaced_pods_errors_total', 'Cumulative number of errors when starting pods with user namespaces. This metric will only be collected on Linux.', [{ value: ownUsersErrors }]),
        counter('started_user_namespaced_pods_total', 'Cumulative number of pods with user namespaces started. This metric will only be collected on Linux.', [{ value: ownUsers }]),
      ]
    },
  }
}
