/** What a Job's podFailurePolicy makes of a failed pod (KEP-3329). Pure. */
import type { ContainerStatus, Job, Pod, PodFailurePolicyRule } from '#api/types/index.ts'

export interface FailureVerdict {
  action: 'FailJob' | 'FailIndex' | 'Ignore' | 'Count'
  /** Upstream's words for the condition; '' where no rule spoke. */
  message: string
}

const COUNT: FailureVerdict = { action: 'Count', message: '' }

/** The first rule that matches decides; only pods that have failed are looked at. */
export function judgeFailure({ spec }: Job, pod: Pod): FailureVerdict {
  if (pod.status?.phase !== 'Failed') return COUNT
  for (const [i, rule] of (spec?.podFailurePolicy?.rules ?? []).entries()) {
    const what = matchOf(rule, pod)
    if (what === undefined) continue
    const action = rule.action as FailureVerdict['action']
    // Which index it is of is only counted where there is a limit for each.
    if (action === 'FailIndex' && spec?.backoffLimitPerIndex === undefined) return COUNT
    return { action, message: `${what} matching ${action} rule at index ${i}` }
  }
  return COUNT
}

function matchOf({ onExitCodes, onPodConditions }: PodFailurePolicyRule, pod: Pod): string | undefined {
  const name = `${pod.metadata?.namespace ?? ''}/${pod.metadata?.name ?? ''}`
  if (onExitCodes) {
    const isOne = ({ name: container, state }: ContainerStatus): boolean => {
      const code = state?.terminated?.exitCode
      if (code === undefined || code === 0 || (onExitCodes.containerName !== undefined && onExitCodes.containerName !== container)) return false
      return onExitCodes.values.includes(code) === (onExitCodes.operator === 'In')
    }
    const found = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])].find(isOne)
    return found && `Container ${found.name} for pod ${name} failed with exit code ${found.state?.terminated?.exitCode}`
  }
  const condition = pod.status?.conditions?.find((c) => onPodConditions?.some((p) => p.type === c.type && (p.status ?? 'True') === c.status))
  return condition && `Pod ${name} has condition ${condition.type}`
}
