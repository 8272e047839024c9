/** What pods ask of their nodes, each by itself, as upstream's scheduler tells it on /metrics/resources. Counted up when somebody asks. */
import { parseQuantity, type Pod, type Stored } from '#api/types/index.ts'
import { isPodTerminal, podLimits, podRequests } from '#api/types/pods.ts'
import { Metric, quoteLabel } from '#base/metrics.ts'

const UNITS: Readonly<Record<string, string>> = { cpu: 'cores', memory: 'bytes', storage: 'bytes', 'ephemeral-storage': 'bytes' }

function unitOf(resource: string): string {
  if (resource.startsWith('hugepages-')) return 'bytes'
  return resource.startsWith('attachable-volumes-') ? 'integer' : UNITS[resource] ?? ''
}

/** `seriesMax`: pods have several each. */
export function podResourceMetrics(pods: readonly Stored<Pod>[], seriesMax: number): readonly Metric[] {
  const requests = new Metric('kube_pod_resource_request', 'gauge', 'Resources requested by workloads on the cluster, broken down by pod. This shows the resource usage the scheduler and kubelet expect per pod for resources along with the unit for the resource if any.', [], seriesMax)
  const limits = new Metric('kube_pod_resource_limit', 'gauge', 'Resources limit for workloads on the cluster, broken down by pod. This shows the resource usage the scheduler and kubelet expect per pod for resources along with the unit for the resource if any.', [], seriesMax)
  for (const pod of pods) {
    if (pod.spec?.nodeName && isPodTerminal(pod)) continue
    const { nodeName = '', priority, schedulerName = '' } = pod.spec ?? {}
    const own = { namespace: pod.metadata.namespace ?? '', node: nodeName, pod: pod.metadata.name, priority: priority === undefined ? '' : String(priority) }
    const labels = Object.entries(own).map(([name, value]) => `${name}="${quoteLabel(value)}"`).join(',')
    for (const [metric, amounts] of [[requests, podRequests(pod)], [limits, podLimits(pod)]] as const) {
      for (const [resource, amount] of Object.entries(amounts)) {
        const value = Number(parseQuantity(amount).nano) / 1e9
        if (value !== 0) metric.set(`${labels},resource="${quoteLabel(resource)}",scheduler="${quoteLabel(schedulerName)}",unit="${unitOf(resource)}"`, value)
      }
    }
  }
  return [limits, requests]
}
