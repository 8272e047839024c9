/** The horizontal pod autoscaler's decisions, after upstream's pkg/controller/podautoscaler. Pure. */
import type { V2HorizontalPodAutoscaler as Autoscaler, V2HorizontalPodAutoscalerCondition as Condition, V2HorizontalPodAutoscalerStatus as Status, V2MetricStatus, Stored } from '#api/types/index.ts'
import type { DecideContext, Decision } from '#base/reconcile/action.ts'
import { jsonEqual } from '../json-equal.ts'
import { formatTime } from '../time.ts'
import { limited, type History } from './limits.ts'
import type { Outcome } from './replicas.ts'

export interface AutoscalerView {
  hpa: Stored<Autoscaler>
  /** The target's; a text: why it cannot be had. */
  scale: { replicas: number; selector: string } | string
  /** What each metric asks for, in order; only where the target is one to scale. */
  metrics: readonly MetricResult[]
  history: History
}

export interface MetricResult { /** `cpu resource utilization (percentage of request)`. */ name: string; /** `FailedGetResourceMetric`. */ failure: string; outcome: Outcome; status: V2MetricStatus | undefined }

export type AutoscalerAction =
  | { kind: 'tell'; type: 'Normal' | 'Warning'; reason: string; message: string }
  | { kind: 'remember'; proposal: number }
  /** Then it is told, and the status written. */
  | { kind: 'scale'; from: number; replicas: number; because: string }
  | { kind: 'writeStatus'; status: Status }

/** Upstream's --horizontal-pod-autoscaler-sync-period: usage comes from outside, nothing tells of it. */
const LOOK_MS = 15_000

/** Whether metrics are worth asking for. */
export function isScaled({ hpa, scale }: Pick<AutoscalerView, 'hpa' | 'scale'>): boolean {
  if (typeof scale === 'string' || scale.selector === '') return false
  const { minReplicas = 1, maxReplicas } = hpa.spec
  return !(scale.replicas === 0 && minReplicas !== 0) && scale.replicas <= maxReplicas && scale.replicas >= minReplicas
}

export function decideAutoscaler(view: AutoscalerView, { nowMs }: DecideContext): Decision<AutoscalerAction> {
  const { hpa, scale, metrics, history } = view
  const conditions = [...(hpa.status?.conditions ?? [])]
  const say = (type: string, status: 'True' | 'False', reason: string, message: string): void => {
    const at = conditions.findIndex((c) => c.type === type)
    const old = conditions[at]
    const made: Condition = { type, status, reason, message, lastTransitionTime: old?.status === status && old.lastTransitionTime !== undefined ? old.lastTransitionTime : formatTime(nowMs) }
    if (at < 0) conditions.push(made)
    else conditions[at] = made
  }
  const done = (next: Omit<Status, 'conditions' | 'observedGeneration'>, because: string, ...actions: AutoscalerAction[]): Decision<AutoscalerAction> => {
    const status: Status = { ...next, ...(hpa.metadata.generation !== undefined && { observedGeneration: hpa.metadata.generation }), conditions }
    return { actions: [...actions, ...(jsonEqual(status, hpa.status) ? [] : [{ kind: 'writeStatus' as const, status }])], because, wakeAtMs: nowMs + LOOK_MS }
  }
  const { conditions: _c, observedGeneration: _o, ...before } = hpa.status ?? { desiredReplicas: 0 }
  const warn = (reason: string, message: string): AutoscalerAction => ({ kind: 'tell', type: 'Warning', reason, message })
  if (typeof scale === 'string') {
    say('AbleToScale', 'False', 'FailedGetScale', `the HPA controller was unable to get the target's current scale: ${scale}`)
    return done(before, scale, warn('FailedGetScale', scale))
  }
  say('AbleToScale', 'True', 'SucceededGetScale', "the HPA controller was able to get the target's current scale")
  if (scale.selector === '') {
    say('ScalingActive', 'False', 'InvalidSelector', "the HPA target's scale is missing a selector")
    return done({ ...before, currentReplicas: scale.replicas }, 'no selector', warn('SelectorRequired', 'selector is required'))
  }
  const current = scale.replicas
  const { minReplicas = 1, maxReplicas } = hpa.spec
  let desired = current
  let because = ''
  let currentMetrics = before.currentMetrics
  const actions: AutoscalerAction[] = []
  if (current === 0 && minReplicas !== 0) {
    say('ScalingActive', 'False', 'ScalingDisabled', 'scaling is disabled since the replica count of the target is zero')
    desired = 0
  } else if (current > maxReplicas) {
    desired = maxReplicas
    because = 'Current number of replicas above Spec.MaxReplicas'
  } else if (current < minReplicas) {
    desired = minReplicas
    because = 'Current number of replicas below Spec.MinReplicas'
  } else {
    const failed = metrics.find((m) => !m.outcome.ok)
    const valid = metrics.flatMap((m) => (m.outcome.ok ? [{ name: m.name, replicas: m.outcome.replicas }] : []))
    const best = valid.reduce<{ name: string; replicas: number } | undefined>((a, b) => (a && a.replicas >= b.replicas ? a : b), undefined)
    currentMetrics = metrics.flatMap((m) => m.status ?? [])
    // What some metrics do not tell may be more: without them nothing gets smaller.
    if (failed && !failed.outcome.ok && (!best || best.replicas < current)) {
      const message = `the HPA was unable to compute the replica count: ${failed.outcome.message}`
      say('ScalingActive', 'False', failed.failure, message)
      const all = `invalid metrics (${metrics.filter((m) => !m.outcome.ok).length} invalid out of ${metrics.length}), first error is: ${failed.outcome.message}`
      return done({ ...before, currentReplicas: current, desiredReplicas: before.desiredReplicas, currentMetrics: currentMetrics.length > 0 ? currentMetrics : (before.currentMetrics ?? []) }, failed.outcome.message, warn(failed.failure, failed.outcome.message), warn('FailedComputeMetricsReplicas', all))
    }
    say('ScalingActive', 'True', 'ValidMetricFound', `the HPA was able to successfully calculate a replica count from ${best?.name ?? ''}`)
    const proposed = best?.replicas ?? current
    actions.push({ kind: 'remember', proposal: proposed })
    const limits = limited(hpa, current, proposed, history, nowMs)
    desired = limits.replicas
    because = desired > current ? `${best?.name ?? ''} above target` : 'All metrics below target'
    if (limits.stabilized) say('AbleToScale', 'True', limits.stabilized, limits.stabilized === 'ScaleUpStabilized' ? 'recent recommendations were lower than current one, applying the lowest recent recommendation' : 'recent recommendations were higher than current one, applying the highest recent recommendation')
    else say('AbleToScale', 'True', 'ReadyForNewScale', 'recommended size matches current size')
    say('ScalingLimited', limits.isLimited ? 'True' : 'False', limits.reason, limits.message)
  }
  const next = { ...before, currentReplicas: current, desiredReplicas: desired, ...(currentMetrics && { currentMetrics }) }
  if (desired === current) return done(next, 'as it should be', ...actions)
  say('AbleToScale', 'True', 'SucceededRescale', `the HPA controller was able to update the target scale to ${desired}`)
  return done({ ...next, lastScaleTime: formatTime(nowMs) }, because, ...actions, { kind: 'scale', from: current, replicas: desired, because })
}
