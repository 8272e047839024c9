/** Preferred node affinity: the sum of the weights of the terms that match. */
import { matchesTerm } from '#api/types/index.ts'
import { scaleToMax, type ScoreRule } from '../rule.ts'

export const nodeAffinityScore: ScoreRule = {
  name: 'NodeAffinity',
  weight: 2,
  prepare: ({ pod }) => {
    const preferred = pod.spec?.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []
    if (preferred.length === 0) return undefined
    return ({ node }) => preferred.reduce((sum, p) => sum + (matchesTerm(p.preference, node) ? p.weight : 0), 0)
  },
  normalize: (raw) => scaleToMax(raw),
}
