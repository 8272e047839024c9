/** Prefers nodes on which cpu and memory would be used in like parts (NodeResourcesBalancedAllocation). */
import { SCORE_MAX, type ScoreRule } from '../rule.ts'

export const balancedAllocation: ScoreRule = {
  name: 'NodeResourcesBalancedAllocation',
  weight: 1,
  prepare: ({ requests }) => {
    if (requests.cpuMilli === 0 && requests.memoryBytes === 0) return undefined
    return ({ allocatable, requested }) => {
      const part = (used: number, total: number) => (total === 0 ? 1 : Math.min(1, used / total))
      const cpu = part(requested.cpuMilli + requests.cpuMilli, allocatable.cpuMilli)
      const memory = part(requested.memoryBytes + requests.memoryBytes, allocatable.memoryBytes)
      return Math.floor((1 - Math.abs(cpu - memory) / 2) * SCORE_MAX)
    }
  },
}
