/**
 * What to apply, and when: everything that is new, that changed in its file, or that somebody changed or deleted in the
 * cluster. Pure. Nothing is ever deleted: an object whose file goes stays, as with k3s.
 */
import { backoffMs, type BackoffPolicy } from '#base/backoff.ts'
import type { DecideContext, Decision } from '#base/reconcile/action.ts'
import type { KubeObject } from '#api/types/index.ts'

export interface WantedObject {
  /** `group/Kind/namespace/name`, whatever version it is written in. */
  key: string
  file: string
  /** Of the object as written. */
  hash: string
  object: KubeObject
}

/** What is remembered of an object; losing it costs one more apply. */
export interface AppliedObject {
  hash: string
  /** Of the object as it was after it was applied: see signatureOf. */
  signature: string
  /** How often in a row it had to be put right again. */
  repairs: number
  repairedMs: number
}

export interface FailedObject { hash: string; failures: number; failedMs: number }

export interface ManifestsView {
  wanted: readonly WantedObject[]
  /** By file: cannot be read or parsed. */
  problems: ReadonlyMap<string, string>
  applied: ReadonlyMap<string, AppliedObject>
  failed: ReadonlyMap<string, FailedObject>
  /** What was last heard of an object in the cluster: its signature, `gone`, or nothing. */
  heard: ReadonlyMap<string, string>
  /** Problems that were told, by file. */
  told: ReadonlyMap<string, string>
}

export type ManifestAction =
  | { kind: 'apply'; wanted: WantedObject; because: 'new' | 'edited' | 'changedInCluster' | 'deletedInCluster' }
  | { kind: 'tellProblem'; file: string; problem: string }
  | { kind: 'forgetProblem'; file: string }

const RETRY: BackoffPolicy = { baseMs: 1_000, maxMs: 120_000, jitter: 0 }
/** Somebody else may want the same fields otherwise: the two must not fight at full speed. */
const REPAIR: BackoffPolicy = { baseMs: 500, maxMs: 300_000, jitter: 0 }
/** This long without a repair, and the next one is the first again. */
const REPAIR_CALM_MS = 600_000

/** What others stand on comes first. */
const RANK: Readonly<Record<string, number>> = { Namespace: 0, CustomResourceDefinition: 1 }
const RANK_LAST = 2

export function decideManifests(view: ManifestsView, ctx: Pick<DecideContext, 'nowMs'>): Decision<ManifestAction> {
  const actions: ManifestAction[] = []
  const problems = new Map(view.problems)
  const chosen = new Map<string, WantedObject>()
  for (const wanted of view.wanted) {
    const first = chosen.get(wanted.key)
    if (!first) chosen.set(wanted.key, wanted)
    else if (first.hash !== wanted.hash) problems.set(wanted.file, `${wanted.key} is also in ${first.file}, which comes first and is used`)
  }
  for (const [file, problem] of problems) if (view.told.get(file) !== problem) actions.push({ kind: 'tellProblem', file, problem })
  for (const file of view.told.keys()) if (!problems.has(file)) actions.push({ kind: 'forgetProblem', file })

  let wakeAtMs: number | undefined
  const later = (atMs: number) => { wakeAtMs = Math.min(wakeAtMs ?? atMs, atMs) }
  const ordered = [...chosen.values()].sort((a, b) => rank(a) - rank(b))
  for (const wanted of ordered) {
    const because = reasonToApply(wanted, view)
    if (because === undefined) continue
    const dueMs = dueAtMs(wanted, view, ctx.nowMs)
    if (dueMs > ctx.nowMs) later(dueMs)
    else actions.push({ kind: 'apply', wanted, because })
  }
  return { actions, because: `${actions.length} of ${chosen.size} objects to be seen to`, ...(wakeAtMs !== undefined && { wakeAtMs }) }
}

/** When a repair is counted from the first again. */
export function nextRepairs(before: AppliedObject | undefined, isRepair: boolean, nowMs: number): number {
  if (!isRepair || !before) return 0
  return nowMs - before.repairedMs > REPAIR_CALM_MS ? 1 : before.repairs + 1
}

function reasonToApply(wanted: WantedObject, view: ManifestsView) {
  const applied = view.applied.get(wanted.key)
  if (!applied) return 'new'
  if (applied.hash !== wanted.hash) return 'edited'
  const heard = view.heard.get(wanted.key)
  if (heard === undefined || heard === applied.signature) return undefined
  return heard === 'gone' ? 'deletedInCluster' : 'changedInCluster'
}

function dueAtMs(wanted: WantedObject, view: ManifestsView, nowMs: number): number {
  const failed = view.failed.get(wanted.key)
  // Edited since: that may have been the mend.
  if (failed?.hash === wanted.hash) return failed.failedMs + backoffMs(RETRY, failed.failures)
  const applied = view.applied.get(wanted.key)
  if (!applied || applied.hash !== wanted.hash || applied.repairs === 0) return nowMs
  return applied.repairedMs + backoffMs(REPAIR, applied.repairs)
}

const rank = (wanted: WantedObject): number => RANK[wanted.object.kind ?? ''] ?? RANK_LAST
