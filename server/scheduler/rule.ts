/**
 * The two shapes every scheduling rule has, after upstream's scheduling framework: filters say why a node will not do,
 * scores say how well it would. A rule prepares once per pod and then answers per node. Pure functions.
 */
import type { NodeInfo, PodInfo, Snapshot } from './node-info.ts'

/** Why a node will not do. `unresolvable`: no change to other pods could help. `ofPod`: it is no matter of nodes, and said once. `isError`: the pod goes nowhere, whatever other nodes are like. */
export interface Unfit { reason: string; unresolvable?: boolean; ofPod?: boolean; isError?: boolean }

export interface FilterRule {
  /** Upstream's plugin name. */
  name: string
  /** Undefined: the rule has nothing to say about this pod. */
  prepare(pod: PodInfo, snapshot: Snapshot): ((node: NodeInfo) => readonly Unfit[]) | undefined
}

export interface ScoreRule {
  name: string
  /** Upstream's default weight. */
  weight: number
  prepare(pod: PodInfo, snapshot: Snapshot, candidates: readonly NodeInfo[]): ((node: NodeInfo) => number) | undefined
  /** Raw scores of all candidates to 0..100. Default: they are that already. */
  normalize?(raw: readonly number[]): number[]
}

export const SCORE_MAX = 100
export const FITS: readonly Unfit[] = []

/** Upstream's DefaultNormalizeScore: scaled so that the greatest is 100, or reversed. */
export function scaleToMax(raw: readonly number[], reverse = false): number[] {
  const max = Math.max(0, ...raw)
  if (max === 0) return raw.map(() => (reverse ? SCORE_MAX : 0))
  return raw.map((r) => (reverse ? SCORE_MAX - Math.floor((SCORE_MAX * r) / max) : Math.floor((SCORE_MAX * r) / max)))
}
