/**
 * Whom a pod that fits nowhere may push aside (upstream's DefaultPreemption): on each node all pods of lower priority go, and
 * come back one after the other as far as it still fits; the node whose loss is smallest is taken. Pure.
 */
import { compileLabelSelector, type PodDisruptionBudget, type Stored } from '#api/types/index.ts'
import { podCondition, podPriority } from '#api/types/pods.ts'
import { nodeInfo, type NodeInfo, type PodInfo, type Snapshot } from './node-info.ts'
import type { Unfit } from './rule.ts'
import { fitsOn } from './schedule.ts'

export interface PreemptionInput {
  pod: PodInfo
  snapshot: Snapshot
  /** Why each node was refused. */
  reasons: ReadonlyMap<string, readonly Unfit[]>
  budgets: readonly Stored<PodDisruptionBudget>[]
}

export type Preemption =
  | { ok: true; node: string; victims: readonly PodInfo[] }
  /** `message`: what is told after why the pod fits nowhere. */
  | { ok: false; message: string }

interface Candidate { node: string; /** Most important first. */ victims: readonly PodInfo[]; violations: number }

/** Nodes that are tried out; upstream tries a tenth of them, at least this many. */
const NODES_TRIED_MAX = 100
export const PREEMPTED = 'PreemptionByScheduler'

export function decidePreemption({ pod, snapshot, reasons, budgets }: PreemptionInput): Preemption {
  if (pod.pod.spec?.preemptionPolicy === 'Never') return { ok: false, message: 'preemption: not eligible due to preemptionPolicy=Never.' }
  if (isMakingRoom(pod, snapshot, reasons)) return { ok: false, message: 'preemption: not eligible due to a terminating pod on the nominated node.' }
  const helpful = snapshot.nodes.filter((node) => !(reasons.get(node.name) ?? []).some((u) => u.unresolvable))
  const candidates: Candidate[] = []
  for (const node of helpful) {
    if (candidates.length >= NODES_TRIED_MAX) break
    const candidate = victimsOn(node, pod, snapshot, budgets)
    if (candidate) candidates.push(candidate)
  }
  const best = candidates.reduce<Candidate | undefined>((a, b) => (a && compareLoss(a, b) <= 0 ? a : b), undefined)
  if (best) return { ok: true, node: best.node, victims: best.victims }
  return { ok: false, message: whyNot(snapshot.nodes.length, helpful.length) }
}

function whyNot(nodes: number, helpful: number): string {
  const counts = [[helpful, 'No preemption victims found for incoming pod'], [nodes - helpful, 'Preemption is not helpful for scheduling']] as const
  const parts = counts.filter(([count]) => count > 0).map(([count, reason]) => `${count} ${reason}`).sort()
  return `preemption: 0/${nodes} nodes are available: ${parts.join(', ')}.`
}

/** It pushed pods aside before, and they have not gone yet. */
function isMakingRoom({ pod }: PodInfo, { nodes }: Snapshot, reasons: ReadonlyMap<string, readonly Unfit[]>): boolean {
  const nominated = pod.status?.nominatedNodeName
  if (!nominated || reasons.get(nominated)?.some((u) => u.unresolvable)) return false
  return nodes.find((n) => n.name === nominated)?.pods.some(({ pod: other }) => other.metadata.deletionTimestamp !== undefined && podPriority(other) < podPriority(pod)
    && podCondition(other.status, 'DisruptionTarget')?.reason === PREEMPTED) ?? false
}

function victimsOn(node: NodeInfo, pod: PodInfo, snapshot: Snapshot, budgets: readonly Stored<PodDisruptionBudget>[]): Candidate | undefined {
  const lesser = node.pods.filter((other) => podPriority(other.pod) < podPriority(pod.pod)).sort(byImportance)
  if (lesser.length === 0) return undefined
  const fitsWithout = (gone: ReadonlySet<PodInfo>): boolean => {
    const left = nodeInfo(node.node, node.pods.filter((other) => !gone.has(other)))
    return fitsOn({ ...snapshot, nodes: snapshot.nodes.map((n) => (n === node ? left : n)) }, pod, left)
  }
  const gone = new Set(lesser)
  if (!fitsWithout(gone)) return undefined
  const { violating, others } = byBudget(lesser, budgets)
  let violations = 0
  for (const [list, counts] of [[violating, true], [others, false]] as const) {
    for (const other of list) {
      gone.delete(other)
      if (fitsWithout(gone)) continue
      gone.add(other)
      if (counts) violations++
    }
  }
  return { node: node.name, victims: lesser.filter((other) => gone.has(other)), violations }
}

/** Those whose end would break a budget, given that those before them end. */
function byBudget(pods: readonly PodInfo[], budgets: readonly Stored<PodDisruptionBudget>[]): { violating: PodInfo[]; others: PodInfo[] } {
  const left = budgets.map((b) => ({ budget: b, allowed: b.status?.disruptionsAllowed ?? 0, matcher: hasTerms(b) ? compileLabelSelector(b.spec?.selector) : undefined }))
  const violating: PodInfo[] = []
  const others: PodInfo[] = []
  for (const info of pods) {
    const { metadata } = info.pod
    let violates = false
    for (const guard of left) {
      if (guard.budget.metadata.namespace !== metadata.namespace || !guard.matcher?.matches(metadata.labels) || guard.budget.status?.disruptedPods?.[metadata.name] !== undefined) continue
      if (--guard.allowed < 0) violates = true
    }
    if (violates) violating.push(info)
    else others.push(info)
  }
  return { violating, others }
}

/** An empty selector guards nobody here, as upstream. */
function hasTerms({ spec }: PodDisruptionBudget): boolean {
  return Object.keys(spec?.selector?.matchLabels ?? {}).length + (spec?.selector?.matchExpressions ?? []).length > 0
}

const startOf = ({ pod }: PodInfo): string => pod.status?.startTime ?? '9'
const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** Most important first: priority, then who has run longest. */
function byImportance(a: PodInfo, b: PodInfo): number {
  return podPriority(b.pod) - podPriority(a.pod) || compareText(startOf(a), startOf(b))
}

/** Upstream's order: broken budgets, the highest priority that goes, the sum of priorities, how many go, and then whose most important victims started last. */
function compareLoss(a: Candidate, b: Candidate): number {
  const highest = (c: Candidate): number => (c.victims[0] ? podPriority(c.victims[0].pod) : -Infinity)
  // Priorities may be below zero: each victim counts for more than nothing.
  const sum = (c: Candidate): number => c.victims.reduce((total, v) => total + podPriority(v.pod) + 2 ** 31, 0)
  const earliest = (c: Candidate): string => c.victims.filter((v) => podPriority(v.pod) === highest(c)).map(startOf).sort()[0] ?? ''
  return a.violations - b.violations || compareNumbers(highest(a), highest(b)) || sum(a) - sum(b) || a.victims.length - b.victims.length || compareText(earliest(b), earliest(a))
}

const compareNumbers = (a: number, b: number): number => (a < b ? -1 : a > b ? 1 : 0)
