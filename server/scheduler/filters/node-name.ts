/** spec.nodeName names the only node that will do. */
import { FITS, type FilterRule } from '../rule.ts'

export const nodeName: FilterRule = {
  name: 'NodeName',
  prepare: ({ pod }) => {
    const wanted = pod.spec?.nodeName
    if (!wanted) return undefined
    return (node) => (node.name === wanted ? FITS : [{ reason: "node(s) didn't match the requested node name", unresolvable: true }])
  },
}
