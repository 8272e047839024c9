/**
 * Where a pod goes, as a pure function: every filter over every node, then weighted scores over those that are left.
 * The tables below are the scheduler's configuration: adding a rule is one file and one line here.
 */
import type { Random } from '#base/random.ts'
import { dynamicResources } from './filters/dynamic-resources.ts'
import { interPodAffinity } from './filters/inter-pod-affinity.ts'
import { nodeAffinity } from './filters/node-affinity.ts'
import { nodeDeclaredFeatures } from './filters/node-declared-features.ts'
import { nodeName } from './filters/node-name.ts'
import { nodePorts } from './filters/node-ports.ts'
import { nodeResourcesFit } from './filters/node-resources-fit.ts'
import { nodeVolumeLimits } from './filters/node-volume-limits.ts'
import { nodeUnschedulable } from './filters/node-unschedulable.ts'
import { podTopologySpread } from './filters/pod-topology-spread.ts'
import { taintToleration } from './filters/taint-toleration.ts'
import { volumeBinding } from './filters/volume-binding.ts'
import { volumeRestrictions } from './filters/volume-restrictions.ts'
import { volumeZone } from './filters/volume-zone.ts'
import type { NodeInfo, PodInfo, Snapshot } from './node-info.ts'
import type { FilterRule, ScoreRule, Unfit } from './rule.ts'
import { balancedAllocation } from './scores/balanced-allocation.ts'
import { dynamicResourcesScore } from './scores/dynamic-resources.ts'
import { imageLocality } from './scores/image-locality.ts'
import { interPodAffinityScore } from './scores/inter-pod-affinity.ts'
import { leastAllocated } from './scores/least-allocated.ts'
import { nodeAffinityScore } from './scores/node-affinity.ts'
import { podTopologySpreadScore } from './scores/pod-topology-spread.ts'
import { taintTolerationScore } from './scores/taint-toleration.ts'

/** In upstream's order: the first filter that refuses a node gives the reason. */
export const FILTERS: readonly FilterRule[] = [nodeUnschedulable, nodeName, taintToleration, nodeAffinity, nodePorts, nodeResourcesFit, volumeRestrictions, nodeVolumeLimits, volumeBinding, volumeZone, podTopologySpread, interPodAffinity, dynamicResources, nodeDeclaredFeatures]

export const SCORES: readonly ScoreRule[] = [taintTolerationScore, nodeAffinityScore, podTopologySpreadScore, interPodAffinityScore, dynamicResourcesScore, leastAllocated, balancedAllocation, imageLocality]

/** `refusedBy`: the filters that refused a node. */
export interface Nowhere { ok: false; nodes: number; reasons: ReadonlyMap<string, readonly Unfit[]>; refusedBy: ReadonlySet<string> }
export interface Placement { ok: true; node: string; scores: ReadonlyMap<string, number> }
export type ScheduleResult = Placement | Nowhere

interface PreparedFilter { name: string; unfitness: (node: NodeInfo) => readonly Unfit[] }
interface Refusal { by: string; unfit: readonly Unfit[] }

export function schedule(snapshot: Snapshot, pod: PodInfo, random: Random): ScheduleResult {
  const found = findCandidates(snapshot, pod)
  return found.ok ? chooseNode(snapshot, pod, found.candidates, random) : found
}

/** The first half: the nodes that no filter refuses. */
export function findCandidates(snapshot: Snapshot, pod: PodInfo): { ok: true; candidates: readonly NodeInfo[] } | Nowhere {
  const filters = prepareFilters(snapshot, pod)
  const reasons = new Map<string, readonly Unfit[]>()
  const refusedBy = new Set<string>()
  const candidates: NodeInfo[] = []
  for (const node of snapshot.nodes) {
    const refusal = firstRefusal(filters, node)
    if (!refusal) {
      candidates.push(node)
      continue
    }
    if (refusal.unfit.some((u) => u.isError)) return { ok: false, nodes: snapshot.nodes.length, reasons: new Map(snapshot.nodes.map(({ name }) => [name, refusal.unfit])), refusedBy: new Set([refusal.by]) }
    reasons.set(node.name, refusal.unfit)
    refusedBy.add(refusal.by)
  }
  return candidates.length > 0 ? { ok: true, candidates } : { ok: false, nodes: snapshot.nodes.length, reasons, refusedBy }
}

/** The second half: the best of them. */
export function chooseNode(snapshot: Snapshot, pod: PodInfo, candidates: readonly NodeInfo[], random: Random): Placement {
  const scores = candidates.length === 1 ? new Map([[candidates[0]?.name ?? '', 0]]) : scoreNodes(snapshot, pod, candidates)
  const best = Math.max(...scores.values())
  const winners = [...scores].filter(([, score]) => score === best).map(([name]) => name)
  // Among equals any will do; a random one spreads what arrives together.
  return { ok: true, node: winners[Math.floor(random.next() * winners.length)] ?? '', scores }
}

/** Whether no filter refuses the node, which is one of the snapshot's. */
export function fitsOn(snapshot: Snapshot, pod: PodInfo, node: NodeInfo): boolean {
  return firstRefusal(prepareFilters(snapshot, pod), node) === undefined
}

function prepareFilters(snapshot: Snapshot, pod: PodInfo): PreparedFilter[] {
  return FILTERS.flatMap((rule) => {
    const unfitness = rule.prepare(pod, snapshot)
    return unfitness ? [{ name: rule.name, unfitness }] : []
  })
}

function firstRefusal(filters: readonly PreparedFilter[], node: NodeInfo): Refusal | undefined {
  for (const { name, unfitness } of filters) {
    const unfit = unfitness(node)
    if (unfit.length > 0) return { by: name, unfit }
  }
  return undefined
}

function scoreNodes(snapshot: Snapshot, pod: PodInfo, candidates: readonly NodeInfo[]): Map<string, number> {
  const totals = new Map(candidates.map((n) => [n.name, 0]))
  for (const rule of SCORES) {
    const score = rule.prepare(pod, snapshot, candidates)
    if (!score) continue
    const raw = candidates.map(score)
    const normal = rule.normalize?.(raw) ?? raw
    candidates.forEach((node, i) => totals.set(node.name, (totals.get(node.name) ?? 0) + rule.weight * (normal[i] ?? 0)))
  }
  return totals
}

/** Upstream's FitError text: `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable.` */
export function unschedulableMessage(result: Pick<Nowhere, 'nodes' | 'reasons'>): string {
  if (result.nodes === 0) return 'no nodes available to schedule pods'
  const ofPod = [...result.reasons.values()].flat().find((unfit) => unfit.ofPod)
  if (ofPod) return `0/${result.nodes} nodes are available: ${ofPod.reason}.`
  const counts = new Map<string, number>()
  for (const unfit of result.reasons.values()) for (const { reason } of unfit) counts.set(reason, (counts.get(reason) ?? 0) + 1)
  const parts = [...counts].map(([reason, count]) => `${count} ${reason}`).sort()
  return `0/${result.nodes} nodes are available: ${parts.join(', ')}.`
}
