/** What a PodDisruptionBudget's status must say (upstream's disruption controller). Pure: eviction reads it, this writes it. */
import { isPodReady, scaledValue, type Condition, type Pod, type PodDisruptionBudget, type PodDisruptionBudgetStatus, type Stored } from '#api/types/index.ts'
import { nothing, type DecideContext, type Decision } from '#base/reconcile/action.ts'
import { jsonEqual } from '../json-equal.ts'
import { formatTime } from '../time.ts'

export interface DisruptionView {
  budget: Stored<PodDisruptionBudget>
  /** Those the selector means; finished ones left out. */
  pods: readonly Stored<Pod>[]
  /** How many pods the owners of `pods` want, each owner once; an error text when one has no scale. */
  scale: { ok: true; replicas: number } | { ok: false; message: string }
}

export type DisruptionAction =
  | { kind: 'writeStatus'; status: PodDisruptionBudgetStatus }
  | { kind: 'tell'; reason: 'NoPods' | 'CalculateExpectedPodCountFailed'; message: string }

/** An eviction that was granted counts as done for so long, until the pod's deletion is seen (upstream: 2 minutes). */
export const EVICTION_MS_MAX = 120_000
const DISRUPTION_ALLOWED = 'DisruptionAllowed'

export function decideDisruption(view: DisruptionView, ctx: DecideContext): Decision<DisruptionAction> {
  const { budget, pods } = view
  const expected = expectedPods(view)
  const granted = liveGrants(view, ctx.nowMs)
  if (!expected.ok) {
    const failed: PodDisruptionBudgetStatus = { ...emptyStatus(budget), ...budget.status, disruptionsAllowed: 0, observedGeneration: budget.metadata.generation ?? 0 }
    failed.conditions = withCondition(budget, { status: 'False', reason: 'SyncFailed', message: expected.message }, ctx.nowMs)
    if (jsonEqual(failed, budget.status)) return nothing(expected.message)
    return { actions: [{ kind: 'writeStatus', status: failed }, { kind: 'tell', reason: 'CalculateExpectedPodCountFailed', message: `Failed to calculate the number of expected pods: ${expected.message}` }], because: expected.message }
  }
  const currentHealthy = pods.filter((p) => p.metadata.deletionTimestamp === undefined && granted[p.metadata.name] === undefined && isPodReady(p)).length
  const disruptionsAllowed = expected.pods <= 0 ? 0 : Math.max(0, currentHealthy - expected.healthy)
  const status: PodDisruptionBudgetStatus = {
    currentHealthy, desiredHealthy: expected.healthy, expectedPods: expected.pods, disruptionsAllowed,
    observedGeneration: budget.metadata.generation ?? 0,
    ...(Object.keys(granted).length > 0 && { disruptedPods: granted }),
    conditions: withCondition(budget, disruptionsAllowed > 0 ? { status: 'True', reason: 'SufficientPods', message: '' } : { status: 'False', reason: 'InsufficientPods', message: '' }, ctx.nowMs),
  }
  const wakeAtMs = Math.min(...Object.values(granted).map((at) => Date.parse(at) + EVICTION_MS_MAX))
  const actions: DisruptionAction[] = []
  if (!jsonEqual(status, budget.status)) actions.push({ kind: 'writeStatus', status })
  if (pods.length === 0 && (budget.status?.expectedPods ?? -1) !== 0) actions.push({ kind: 'tell', reason: 'NoPods', message: 'No matching pods found' })
  return { actions, because: `${currentHealthy} of ${expected.healthy} needed are healthy`, ...(Number.isFinite(wakeAtMs) && { wakeAtMs }) }
}

type Expected = { ok: true; pods: number; healthy: number } | { ok: false; message: string }

/** A number of minAvailable counts the pods there are; everything else is a part of what their owners want. */
function expectedPods({ budget, pods, scale }: DisruptionView): Expected {
  const { maxUnavailable, minAvailable } = budget.spec ?? {}
  if (maxUnavailable === undefined && typeof minAvailable === 'number') return { ok: true, pods: pods.length, healthy: minAvailable }
  if (maxUnavailable === undefined && minAvailable === undefined) return { ok: true, pods: pods.length, healthy: 0 }
  if (!scale.ok) return scale
  const part = scaledValue(maxUnavailable ?? minAvailable, scale.replicas, 'up') ?? 0
  return { ok: true, pods: scale.replicas, healthy: maxUnavailable === undefined ? part : Math.max(0, scale.replicas - part) }
}

/** Granted evictions whose pod is still there, not yet going, and not too old. */
function liveGrants({ budget, pods }: DisruptionView, nowMs: number): Record<string, string> {
  const waiting = new Set(pods.filter((p) => p.metadata.deletionTimestamp === undefined).map((p) => p.metadata.name))
  return Object.fromEntries(Object.entries(budget.status?.disruptedPods ?? {}).filter(([name, at]) => waiting.has(name) && Date.parse(at) + EVICTION_MS_MAX > nowMs))
}

function emptyStatus(budget: Stored<PodDisruptionBudget>): PodDisruptionBudgetStatus {
  return { currentHealthy: 0, desiredHealthy: 0, expectedPods: 0, disruptionsAllowed: 0, observedGeneration: budget.metadata.generation ?? 0 }
}

function withCondition(budget: Stored<PodDisruptionBudget>, wanted: { status: string; reason: string; message: string }, nowMs: number): Condition[] {
  const others = (budget.status?.conditions ?? []).filter((c) => c.type !== DISRUPTION_ALLOWED)
  const before = budget.status?.conditions?.find((c) => c.type === DISRUPTION_ALLOWED)
  const lastTransitionTime = before?.status === wanted.status && before.lastTransitionTime ? before.lastTransitionTime : formatTime(nowMs)
  return [...others, { type: DISRUPTION_ALLOWED, ...wanted, lastTransitionTime, observedGeneration: budget.metadata.generation ?? 0 }]
}
