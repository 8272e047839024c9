/** `kubectl get pods`: the one word for a pod's state follows upstream's printPod rule by rule. */
import type { ContainerState, ContainerStatus, Pod } from '#api/types/index.ts'
import { isPodReady, isPodTerminal, isSidecar, podCondition } from '#api/types/index.ts'
import type { Column, RowCondition } from '../kind.ts'
import { ageColumn, column, nameColumn, since, wide } from './table-columns.ts'

interface Summary { ready: number; total: number; reason: string; restarts: number; lastRestartMs: number }

export const podColumns: readonly Column<Pod>[] = [
  nameColumn(),
  column('Ready', 'The aggregate readiness state of this pod for accepting traffic.', (pod) => {
    const { ready, total } = summarize(pod)
    return `${ready}/${total}`
  }),
  column('Status', 'The aggregate status of the containers in this pod.', (pod) => summarize(pod).reason),
  column('Restarts', 'The number of times the containers in this pod have been restarted and when the last container in this pod has restarted.', (pod, nowMs) => {
    const { restarts, lastRestartMs } = summarize(pod)
    return restarts > 0 && lastRestartMs > 0 ? `${restarts} (${since(new Date(lastRestartMs).toISOString(), nowMs)} ago)` : `${restarts}`
  }),
  ageColumn(),
  wide('IP', 'podIP address allocated to the pod. Routable at least within the cluster. Empty if not yet allocated.', (pod) => (pod.status?.podIPs?.[0]?.ip || pod.status?.podIP) || '<none>'),
  wide('Node', 'NodeName indicates in which node this pod is scheduled.', (pod) => pod.spec?.nodeName || '<none>'),
  wide('Nominated Node', 'nominatedNodeName is set only when this pod preempts other pods on the node, but it cannot be scheduled right away as preemption victims receive their graceful termination periods.', (pod) => pod.status?.nominatedNodeName || '<none>'),
  wide('Readiness Gates', 'If specified, all readiness gates will be evaluated for pod readiness. A pod is ready when all its containers are ready AND all conditions specified in the readiness gates have status equal to "True" More info: https://git.k8s.io/enhancements/keps/sig-network/580-pod-readiness-gates', readinessGates),
]

const FINISHED: Readonly<Record<string, string>> = { Succeeded: 'The pod has completed successfully.', Failed: 'The pod failed.' }

export function podRowConditions(pod: Pod): RowCondition[] | undefined {
  const reason = pod.status?.phase ?? ''
  const message = FINISHED[reason]
  return message === undefined ? undefined : [{ type: 'Completed', status: 'True', reason, message }]
}

function readinessGates(pod: Pod): string {
  const gates = pod.spec?.readinessGates ?? []
  if (gates.length === 0) return '<none>'
  return `${gates.filter((g) => podCondition(pod.status, g.conditionType)?.status === 'True').length}/${gates.length}`
}

function summarize(pod: Pod): Summary {
  const status = pod.status ?? {}
  const init = summarizeInit(pod)
  let { reason, restarts, lastRestartMs } = init
  let ready = init.ready
  const initialized = podCondition(status, 'Initialized')?.status === 'True'
  if (!init.initializing || initialized) {
    restarts = init.sidecarRestarts
    lastRestartMs = init.sidecarLastRestartMs
    let hasRunning = false
    let failed = ''
    for (const container of (status.containerStatuses ?? []).toReversed()) {
      restarts += container.restartCount
      lastRestartMs = Math.max(lastRestartMs, finishedMs(container.lastState))
      const { waiting, terminated, running } = container.state ?? {}
      if (waiting?.reason) reason = waiting.reason
      else if (terminated) {
        reason = terminated.reason || exitText(terminated)
        if (terminated.exitCode !== 0) failed = reason
      } else if (container.ready && running) {
        hasRunning = true
        ready++
      }
    }
    // The first container is done; another one may still run, or have failed.
    if (reason === 'Completed') {
      if (hasRunning && isPodReady(pod)) reason = 'Running'
      else if (failed !== '') reason = failed
      else if (hasRunning) reason = 'NotReady'
    }
  }
  if (pod.metadata?.deletionTimestamp) {
    if (status.reason === 'NodeLost') reason = 'Unknown'
    else if (!isPodTerminal(pod)) reason = 'Terminating'
  }
  return { ready, total: init.total, reason, restarts, lastRestartMs }
}

function summarizeInit(pod: Pod): Summary & { initializing: boolean; sidecarRestarts: number; sidecarLastRestartMs: number } {
  const status = pod.status ?? {}
  const specs = new Map((pod.spec?.initContainers ?? []).map((c) => [c.name, c]))
  const sidecars = [...specs.values()].filter(isSidecar).length
  const out = { ready: 0, total: (pod.spec?.containers ?? []).length + sidecars, reason: status.reason || (status.phase ?? ''), restarts: 0, lastRestartMs: 0, initializing: false, sidecarRestarts: 0, sidecarLastRestartMs: 0 }
  if (status.conditions?.some((c) => c.type === 'PodScheduled' && c.reason === 'SchedulingGated')) out.reason = 'SchedulingGated'
  for (const [i, container] of (status.initContainerStatuses ?? []).entries()) {
    const spec = specs.get(container.name)
    const sidecar = spec !== undefined && isSidecar(spec)
    const endedMs = finishedMs(container.lastState)
    out.restarts += container.restartCount
    out.lastRestartMs = Math.max(out.lastRestartMs, endedMs)
    if (sidecar) {
      out.sidecarRestarts += container.restartCount
      out.sidecarLastRestartMs = Math.max(out.sidecarLastRestartMs, endedMs)
    }
    const blocked = initBlockedBy(container, sidecar, `${i}/${specs.size}`)
    if (blocked === undefined) {
      if (sidecar && container.ready && !container.state?.terminated) out.ready++
      continue
    }
    out.reason = `Init:${blocked}`
    out.initializing = true
    break
  }
  return out
}

/** Undefined when the next init container may go on. */
function initBlockedBy(container: ContainerStatus, sidecar: boolean, progress: string): string | undefined {
  const { terminated, waiting } = container.state ?? {}
  if (terminated?.exitCode === 0 || (sidecar && container.started)) return undefined
  if (terminated) return terminated.reason || exitText(terminated)
  return waiting?.reason && waiting.reason !== 'PodInitializing' ? waiting.reason : progress
}

const exitText = (ended: { signal?: number; exitCode: number }): string => (ended.signal ? `Signal:${ended.signal}` : `ExitCode:${ended.exitCode}`)

function finishedMs(state: ContainerState | undefined): number {
  const ms = Date.parse(state?.terminated?.finishedAt ?? '')
  return Number.isFinite(ms) ? ms : 0
}
