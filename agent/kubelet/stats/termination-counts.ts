/** How often containers ended, by their list, exit code and reason, as upstream counts: once a status first says so. */
import type { ContainerStatus, PodStatus } from '#api/types/index.ts'
import type { MetricFamily } from './metrics-text.ts'

export interface TerminationCounts {
  /** `before`: what the API has; `after`: what it is told. */
  note(before: PodStatus, after: PodStatus): void
  metrics(): MetricFamily[]
}

export function createTerminationCounts(): TerminationCounts {
  const counts = new Map<string, { labels: Record<string, string>; value: number }>()
  return {
    note(before, after) {
      for (const labels of newlyTerminated(before, after)) {
        const key = Object.values(labels).join(' ')
        const count = counts.get(key)
        if (count) count.value++
        else counts.set(key, { labels, value: 1 })
      }
    },
    metrics: () => (counts.size === 0 ? [] : [{ name: 'kubelet_terminated_containers_total', help: '[ALPHA] Cumulative number of container terminations.', type: 'counter', samples: [...counts.values()] }]),
  }
}

function newlyTerminated(before: PodStatus, after: PodStatus): Record<string, string>[] {
  const of = (type: string, was: readonly ContainerStatus[] = [], now: readonly ContainerStatus[] = []) => now.flatMap(({ name, state }) => {
    const ended = state?.terminated
    if (!ended || was.some((s) => s.name === name && s.state?.terminated)) return []
    return [{ container_type: type, exit_code: String(ended.exitCode), reason: ended.reason ?? '' }]
  })
  return [
    ...of('init_container', before.initContainerStatuses, after.initContainerStatuses), ...of('container', before.containerStatuses, after.containerStatuses),
    ...of('ephemeral_container', before.ephemeralContainerStatuses, after.ephemeralContainerStatuses),
  ]
}
