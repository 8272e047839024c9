/** Which pods a node cannot do without (upstream's pkg/kubelet/types IsCriticalPod). */
import type { Pod } from '#api/types/index.ts'

const SYSTEM_CRITICAL_PRIORITY = 2_000_000_000

/** Static pods and those of the system's priorities: they are never evicted for pressure, find room, and do not swap. */
export function isCritical({ metadata, spec }: Pod): boolean {
  const source = metadata?.annotations?.['kubernetes.io/config.source']
  return (source !== undefined && source !== 'api') || (spec?.priority ?? 0) >= SYSTEM_CRITICAL_PRIORITY
}
