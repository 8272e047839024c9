/** Preferred pod (anti-)affinity of the pod and of pods already placed, and the pull of their required affinity. */
import type { Pod, Stored, WeightedPodAffinityTerm } from '#api/types/index.ts'
import { affinityTerm, domainOf, requiredAffinity } from '../pod-affinity.ts'
import { SCORE_MAX, type ScoreRule } from '../rule.ts'

/** Upstream's HardPodAffinityWeight. */
const REQUIRED_WEIGHT = 1

function preferred(pod: Stored<Pod>): { term: WeightedPodAffinityTerm; sign: 1 | -1 }[] {
  const { podAffinity, podAntiAffinity } = pod.spec?.affinity ?? {}
  return [
    ...(podAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map((term) => ({ term, sign: 1 as const })),
    ...(podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map((term) => ({ term, sign: -1 as const })),
  ]
}

export const interPodAffinityScore: ScoreRule = {
  name: 'InterPodAffinity',
  weight: 2,
  prepare: ({ pod }, snapshot) => {
    const sums = new Map<string, number>()
    const own = preferred(pod).map(({ term, sign }) => ({ term: affinityTerm(term.podAffinityTerm, pod, snapshot), weight: sign * term.weight }))
    for (const node of snapshot.nodes) {
      const add = (key: string, weight: number) => {
        const domain = domainOf(key, node.node.metadata.labels)
        if (domain !== undefined) sums.set(domain, (sums.get(domain) ?? 0) + weight)
      }
      for (const { pod: other } of node.pods) {
        for (const { term, weight } of own) if (term.matches(other)) add(term.topologyKey, weight)
        if (!other.spec?.affinity) continue
        for (const { term, sign } of preferred(other)) if (affinityTerm(term.podAffinityTerm, other, snapshot).matches(pod)) add(term.podAffinityTerm.topologyKey, sign * term.weight)
        for (const term of requiredAffinity(other)) if (affinityTerm(term, other, snapshot).matches(pod)) add(term.topologyKey, REQUIRED_WEIGHT)
      }
    }
    if (sums.size === 0) return undefined
    const keys = new Set([...sums.keys()].map((d) => d.slice(0, d.indexOf('='))))
    return ({ node }) => [...keys].reduce((sum, key) => sum + (sums.get(domainOf(key, node.metadata.labels) ?? '') ?? 0), 0)
  },
  normalize: (raw) => {
    const [min, max] = [Math.min(...raw), Math.max(...raw)]
    return raw.map((r) => (max === min ? 0 : Math.floor((SCORE_MAX * (r - min)) / (max - min))))
  },
}
