/** Required pod affinity and anti-affinity, of the pod itself and of pods already placed. */
import type { NodeInfo } from '../node-info.ts'
import { affinityTerm, domainOf, requiredAffinity, requiredAntiAffinity, type AffinityTerm } from '../pod-affinity.ts'
import { FITS, type FilterRule } from '../rule.ts'

export const interPodAffinity: FilterRule = {
  name: 'InterPodAffinity',
  prepare: ({ pod }, snapshot) => {
    const affinity = requiredAffinity(pod).map((t) => affinityTerm(t, pod, snapshot))
    const anti = requiredAntiAffinity(pod).map((t) => affinityTerm(t, pod, snapshot))
    const repelled = new Set<string>()
    for (const node of snapshot.nodes) {
      for (const other of node.pods) {
        for (const term of requiredAntiAffinity(other.pod)) {
          const domain = domainOf(term.topologyKey, node.node.metadata.labels)
          if (domain !== undefined && affinityTerm(term, other.pod, snapshot).matches(pod)) repelled.add(domain)
        }
      }
    }
    if (affinity.length === 0 && anti.length === 0 && repelled.size === 0) return undefined
    const domains = (terms: readonly AffinityTerm[], matches: (node: NodeInfo, term: AffinityTerm) => boolean) => terms.map((term) => {
      const found = new Set<string>()
      for (const node of snapshot.nodes) {
        const domain = domainOf(term.topologyKey, node.node.metadata.labels)
        if (domain !== undefined && matches(node, term)) found.add(domain)
      }
      return { term, found }
    })
    // Upstream: a pod counts for affinity only when it matches all terms.
    const attracted = domains(affinity, (node) => node.pods.some((o) => affinity.every((t) => t.matches(o.pod))))
    const avoided = domains(anti, (node, term) => node.pods.some((o) => term.matches(o.pod)))
    // The first of a group that is attracted to itself may go anywhere that has the labels.
    const isFirst = attracted.every((a) => a.found.size === 0) && affinity.every((t) => t.matches(pod))
    return ({ node }) => {
      const labels = node.metadata.labels
      const has = (key: string) => domainOf(key, labels)
      for (const { term, found } of attracted) {
        const domain = has(term.topologyKey)
        if (domain === undefined || (!found.has(domain) && !isFirst)) return [{ reason: "node(s) didn't match pod affinity rules", unresolvable: true }]
      }
      for (const { term, found } of avoided) {
        const domain = has(term.topologyKey)
        if (domain !== undefined && found.has(domain)) return [{ reason: "node(s) didn't match pod anti-affinity rules" }]
      }
      for (const domain of repelled) {
        const key = domain.slice(0, domain.indexOf('='))
        if (has(key) === domain) return [{ reason: "node(s) didn't satisfy existing pods anti-affinity rules" }]
      }
      return FITS
    }
  },
}
