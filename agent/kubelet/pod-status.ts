/** The report on one pod, as upstream's kubelet writes it. Pure: equal views give equal reports. */
import type { ContainerStatus, PodStatus, ResourceRequirements } from '#api/types/index.ts'
import { podLimits, podQosClass, podRequests } from '#api/types/pods.ts'
import type { DecideContext } from '#base/reconcile/action.ts'
import { containerStatuses } from './container-status.ts'
import { endedStatuses } from './ended-statuses.ts'
import { DEADLINE_MESSAGE } from './messages.ts'
import { podConditions } from './pod-conditions.ts'
import { podPhase } from './pod-phase.ts'
import { podCgroupLimits } from './resources.ts'
import { podEnd, startTimeMs } from './termination.ts'
import { time } from './time.ts'
import { appContainers, ephemeralContainers, initContainers, isTerminalPhase, readySandbox, type PodView } from './view.ts'

export function podStatus(view: PodView, ctx: DecideContext): PodStatus {
  const { pod, reported } = view
  const end = podEnd(view, ctx.nowMs)
  const running = view.containers.some((c) => c.state === 'running' || c.state === 'unknown')
  const stopped = end !== undefined && !running && !view.inFlight.some((f) => f.action.kind === 'startContainer')
  const all = { view, ctx, stopped, ending: end !== undefined }
  const seen = { init: containerStatuses(all, initContainers(pod)), app: containerStatuses(all, appContainers(pod)) }
  const { init, app } = stopped ? endedStatuses(view, seen) : seen
  const ephemeral = containerStatuses(all, ephemeralContainers(pod))

  const failure = end?.why === 'deadline' ? { reason: 'DeadlineExceeded', message: DEADLINE_MESSAGE } : view.rejected
  let phase = isTerminalPhase(reported.phase) ? reported.phase : failure ? 'Failed' : podPhase(view, { init, app }, stopped)
  // Terminal only once nothing runs any more: whoever sees Succeeded may reuse what the pod held.
  if (isTerminalPhase(phase) && !isTerminalPhase(reported.phase) && (running || view.holdsClaims)) phase = reported.phase ?? 'Pending'

  const told = isTerminalPhase(phase) ? (failure ?? (isTerminalPhase(reported.phase) ? reported : undefined)) : undefined
  const hostIps = view.node.hostIps
  const ips = pod.spec?.hostNetwork ? (view.sandboxes.length > 0 ? [...hostIps] : []) : (readySandbox(view)?.ips ?? (stopped || isTerminalPhase(phase) ? (reported.podIPs ?? []).flatMap((p) => (p.ip === undefined ? [] : [p.ip])) : []))
  return {
    // What others own (nominatedNodeName, resize, claims) passes through.
    ...others(reported),
    phase: phase ?? 'Pending',
    ...(pod.metadata.generation !== undefined && { observedGeneration: pod.metadata.generation }),
    ...(told?.reason !== undefined && { reason: told.reason }),
    ...(told?.message !== undefined && { message: told.message }),
    ...podResources(view, phase),
    conditions: podConditions(view, { init, app, phase: phase ?? 'Pending', nowMs: ctx.nowMs, ending: all.ending, stopped }),
    startTime: time(startTimeMs(view)),
    qosClass: podQosClass(pod),
    ...(hostIps[0] !== undefined && { hostIP: hostIps[0], hostIPs: hostIps.map((ip) => ({ ip })) }),
    ...(ips[0] !== undefined && { podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) }),
    ...(init.length > 0 && { initContainerStatuses: init }),
    // Those of init containers stay in the order in which they run.
    containerStatuses: app.toSorted(byName),
    ...(ephemeral.length > 0 && { ephemeralContainerStatuses: ephemeral.toSorted(byName) }),
  }
}

/** Of the pod as a whole (KEP-5419): what is allocated; once it runs, CPU and memory as its cgroup has them, and of the rest only what the pod asks for itself. */
function podResources({ pod, podBefore }: PodView, phase: string | undefined): Pick<PodStatus, 'resources' | 'allocatedResources'> {
  const own = pod.spec?.resources
  const requests = podRequests(pod)
  const allocated = Object.keys(requests).length > 0 ? { allocatedResources: requests } : {}
  if (phase !== 'Running') return { resources: filled({ requests, limits: podLimits(pod) }), ...allocated }
  if (podBefore) return { resources: podBefore, ...allocated }
  const { cpuQuota, memoryLimitBytes } = podCgroupLimits(pod)
  const limits = podLimits(pod)
  return {
    resources: filled({
      requests: { ...own?.requests, ...cpuAndMemory(requests, true, true) },
      limits: { ...own?.limits, ...cpuAndMemory(limits, cpuQuota !== undefined, memoryLimitBytes !== undefined) },
    }),
    ...allocated,
  }
}

const cpuAndMemory = ({ cpu, memory }: Readonly<Record<string, string>>, withCpu: boolean, withMemory: boolean): Record<string, string> => ({ ...(withCpu && cpu !== undefined && { cpu }), ...(withMemory && memory !== undefined && { memory }) })

const filled = (all: Required<Pick<ResourceRequirements, 'requests' | 'limits'>>): ResourceRequirements => Object.fromEntries(Object.entries(all).filter(([, amounts]) => Object.keys(amounts).length > 0))

const byName = (a: ContainerStatus, b: ContainerStatus): number => (a.name < b.name ? -1 : 1)

const OWN = new Set(['resources', 'allocatedResources', 'phase', 'observedGeneration', 'reason', 'message', 'conditions', 'startTime', 'qosClass', 'hostIP', 'hostIPs', 'podIP', 'podIPs', 'initContainerStatuses', 'containerStatuses', 'ephemeralContainerStatuses'])

function others(reported: PodStatus): PodStatus {
  return Object.fromEntries(Object.entries(reported).filter(([key]) => !OWN.has(key)))
}
