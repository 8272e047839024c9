/** Cordoned nodes take only pods that tolerate it. */
import { FITS, type FilterRule } from '../rule.ts'
import { tolerates } from '#api/types/index.ts'

const TAINT = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }

export const nodeUnschedulable: FilterRule = {
  name: 'NodeUnschedulable',
  prepare: ({ pod }) => (node) =>
    node.node.spec?.unschedulable && !pod.spec?.tolerations?.some((t) => tolerates(t, TAINT)) ? [{ reason: 'node(s) were unschedulable', unresolvable: true }] : FITS,
}
