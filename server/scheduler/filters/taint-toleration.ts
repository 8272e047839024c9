/** Taints with NoSchedule or NoExecute keep away who does not tolerate them. */
import { FITS, type FilterRule } from '../rule.ts'
import { untolerated } from '#api/types/index.ts'

export const taintToleration: FilterRule = {
  name: 'TaintToleration',
  prepare: ({ pod }) => (node) => {
    const taint = untolerated(node.node.spec?.taints, pod.spec?.tolerations, ['NoSchedule', 'NoExecute'])
    return taint ? [{ reason: `node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`, unresolvable: true }] : FITS
  },
}
