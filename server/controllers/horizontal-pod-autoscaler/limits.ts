/** How fast and how far an autoscaler may go: bounds, policies and stabilization (KEP-853). Pure. */
import type { V2HPAScalingRules, V2HorizontalPodAutoscaler as Autoscaler } from '#api/types/index.ts'

/** What was done and proposed lately, oldest first; lost with a restart. */
export interface History {
  proposals: readonly { atMs: number; replicas: number }[]
  changes: readonly { atMs: number; delta: number }[]
}

export interface Limited { replicas: number; /** For the condition ScalingLimited. */ reason: string; message: string; isLimited: boolean; /** For AbleToScale, where an older proposal holds it. */ stabilized?: 'ScaleUpStabilized' | 'ScaleDownStabilized' }

const DOWN_WINDOW_SECONDS = 300
const LIMITS: Readonly<Record<string, string>> = {
  TooManyReplicas: 'the desired replica count is more than the maximum replica count', TooFewReplicas: 'the desired replica count is less than the minimum replica count',
  ScaleUpLimit: 'the desired replica count is increasing faster than the maximum scale rate', ScaleDownLimit: 'the desired replica count is decreasing faster than the maximum scale rate',
}

export function limited(hpa: Autoscaler, current: number, proposed: number, history: History, nowMs: number): Limited {
  const { behavior, minReplicas = 1, maxReplicas } = hpa.spec
  const steady = stabilized(behavior, current, proposed, history, nowMs)
  let replicas = steady.replicas
  let reason = ''
  const bound = (at: number, below: boolean, why: string): void => {
    if (below ? replicas < at : replicas > at) {
      replicas = at
      reason = why
    }
  }
  if (replicas > current) {
    const rate = behavior?.scaleUp ? upLimit(behavior.scaleUp, current, history, nowMs) : Math.max(2 * current, 4)
    if (rate < maxReplicas) bound(Math.max(rate, current), false, 'ScaleUpLimit')
    else bound(maxReplicas, false, 'TooManyReplicas')
  } else if (replicas < current) {
    const rate = behavior?.scaleDown ? downLimit(behavior.scaleDown, current, history, nowMs) : 0
    if (rate > minReplicas) bound(Math.min(rate, current), true, 'ScaleDownLimit')
    else bound(minReplicas, true, 'TooFewReplicas')
  }
  bound(minReplicas, true, 'TooFewReplicas')
  bound(maxReplicas, false, 'TooManyReplicas')
  const held = steady.held === undefined ? {} : { stabilized: steady.held }
  return reason === '' ? { replicas, reason: 'DesiredWithinRange', message: 'the desired count is within the acceptable range', isLimited: false, ...held } : { replicas, reason, message: LIMITS[reason] ?? '', isLimited: true, ...held }
}

/** Of the proposals of the window the one that changes least. */
function stabilized(behavior: Autoscaler['spec']['behavior'], current: number, proposed: number, { proposals }: History, nowMs: number): { replicas: number; held?: Limited['stabilized'] } {
  const since = (seconds: number) => proposals.filter((p) => p.atMs > nowMs - seconds * 1000).map((p) => p.replicas)
  const up = Math.min(proposed, ...since(behavior?.scaleUp?.stabilizationWindowSeconds ?? 0))
  const down = Math.max(proposed, ...since(behavior?.scaleDown?.stabilizationWindowSeconds ?? DOWN_WINDOW_SECONDS))
  const replicas = current < up ? up : current > down ? down : current
  if (replicas === proposed) return { replicas }
  return { replicas, held: proposed > current ? 'ScaleUpStabilized' : 'ScaleDownStabilized' }
}

const changed = ({ changes }: History, periodSeconds: number, nowMs: number, isUp: boolean): number =>
  changes.filter((c) => c.atMs > nowMs - periodSeconds * 1000 && (isUp ? c.delta > 0 : c.delta < 0)).reduce((sum, c) => sum + Math.abs(c.delta), 0)

function upLimit({ policies = [], selectPolicy }: V2HPAScalingRules, current: number, history: History, nowMs: number): number {
  if (selectPolicy === 'Disabled') return current
  const limits = policies.map(({ type, value, periodSeconds }) => {
    const start = current - changed(history, periodSeconds, nowMs, true) + changed(history, periodSeconds, nowMs, false)
    return type === 'Pods' ? start + value : Math.ceil(start * (1 + value / 100))
  })
  return selectPolicy === 'Min' ? Math.min(...limits) : Math.max(...limits)
}

function downLimit({ policies = [], selectPolicy }: V2HPAScalingRules, current: number, history: History, nowMs: number): number {
  if (selectPolicy === 'Disabled') return current
  const limits = policies.map(({ type, value, periodSeconds }) => {
    const start = current - changed(history, periodSeconds, nowMs, true) + changed(history, periodSeconds, nowMs, false)
    return type === 'Pods' ? start - value : Math.floor(start * (1 - value / 100))
  })
  return selectPolicy === 'Min' ? Math.max(...limits) : Math.min(...limits)
}
