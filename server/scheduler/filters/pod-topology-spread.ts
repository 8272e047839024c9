/** Hard topology spread constraints (KEP-895): placing the pod may not make a domain exceed the emptiest by more than maxSkew. */
import { FITS, type FilterRule } from '../rule.ts'
import { domainCounts, spreadConstraints } from '../topology.ts'

export const podTopologySpread: FilterRule = {
  name: 'PodTopologySpread',
  prepare: (info, snapshot) => {
    const constraints = spreadConstraints(info, 'DoNotSchedule')
    if (constraints.length === 0) return undefined
    const keys = constraints.map((c) => c.topologyKey)
    const { namespace, labels: own } = info.pod.metadata
    const prepared = constraints.map((constraint) => {
      const counts = domainCounts(constraint, snapshot.nodes, keys, namespace)
      // With fewer domains than minDomains the emptiest counts as zero.
      const least = counts.size < constraint.minDomains ? 0 : Math.min(...counts.values())
      return { constraint, counts, least, self: constraint.selector.matches(own) ? 1 : 0 }
    })
    return ({ node }) => {
      for (const { constraint, counts, least, self } of prepared) {
        const domain = node.metadata.labels?.[constraint.topologyKey]
        if (domain === undefined) return [{ reason: "node(s) didn't match pod topology spread constraints (missing required label)", unresolvable: true }]
        if ((counts.get(domain) ?? 0) + self - least > constraint.maxSkew) return [{ reason: "node(s) didn't match pod topology spread constraints" }]
      }
      return FITS
    }
  },
}
