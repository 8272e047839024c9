/** Prefers nodes with the most cpu and memory left over (NodeResourcesFit, LeastAllocated strategy). */
import { SCORE_MAX, type ScoreRule } from '../rule.ts'

const free = (total: number, used: number): number => (total === 0 || used > total ? 0 : Math.floor(((total - used) * SCORE_MAX) / total))

export const leastAllocated: ScoreRule = {
  name: 'NodeResourcesFit',
  weight: 1,
  prepare: (pod) => ({ allocatable, assumedCpuMilli, assumedMemoryBytes }) =>
    Math.floor((free(allocatable.cpuMilli, assumedCpuMilli + pod.assumedCpuMilli) + free(allocatable.memoryBytes, assumedMemoryBytes + pod.assumedMemoryBytes)) / 2),
}
