/** spec.nodeSelector and requiredDuringScheduling node affinity. */
import { matchesSet } from '#api/types/labels.ts'
import { matchesNodeSelector } from '#api/types/index.ts'
import { FITS, type FilterRule } from '../rule.ts'

const UNFIT = [{ reason: "node(s) didn't match Pod's node affinity/selector", unresolvable: true }]

export const nodeAffinity: FilterRule = {
  name: 'NodeAffinity',
  prepare: ({ pod }) => {
    const required = pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
    const selector = pod.spec?.nodeSelector
    if (!required && !selector) return undefined
    return ({ node }) => (matchesSet(selector, node.metadata.labels) && (!required || matchesNodeSelector(required, node)) ? FITS : UNFIT)
  },
}
