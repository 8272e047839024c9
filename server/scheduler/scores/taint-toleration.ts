/** Fewer untolerated PreferNoSchedule taints are better. */
import { scaleToMax, type ScoreRule } from '../rule.ts'
import { tolerates } from '#api/types/index.ts'

export const taintTolerationScore: ScoreRule = {
  name: 'TaintToleration',
  weight: 3,
  prepare: ({ pod }) => ({ node }) => (node.spec?.taints ?? []).filter((t) => t.effect === 'PreferNoSchedule' && !pod.spec?.tolerations?.some((o) => tolerates(o, t))).length,
  normalize: (raw) => scaleToMax(raw, true),
}
