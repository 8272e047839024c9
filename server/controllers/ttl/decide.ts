/** How long kubelets may keep what they have read. Pure. */
import type { Node, Stored } from '#api/types/index.ts'
import { nothing, type Decision } from '#base/reconcile/action.ts'

export const TTL_ANNOTATION = 'node.alpha.kubernetes.io/ttl'

export interface TtlView { node: Stored<Node>; step: number }
export type TtlAction = { kind: 'annotate'; seconds: number }

/** Upstream's: from `min` nodes down, up to `max`; they overlap so that one node more or less changes nothing. */
const STEPS = [
  { min: 0, max: 100, seconds: 0 }, { min: 90, max: 500, seconds: 15 }, { min: 450, max: 1_000, seconds: 30 }, { min: 900, max: 2_000, seconds: 60 }, { min: 1_800, max: Infinity, seconds: 300 },
] as const

export function nextStep(step: number, nodes: number): number {
  const { min, max } = STEPS[step] ?? STEPS[0]
  return nodes > max ? nextStep(step + 1, nodes) : nodes < min ? nextStep(step - 1, nodes) : step
}

export function decideTtl({ node, step }: TtlView): Decision<TtlAction> {
  const seconds = (STEPS[step] ?? STEPS[0]).seconds
  return node.metadata.annotations?.[TTL_ANNOTATION] === String(seconds) ? nothing('told') : { actions: [{ kind: 'annotate', seconds }], because: `${seconds} s` }
}
