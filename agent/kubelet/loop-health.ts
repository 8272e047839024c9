/** Whether the kubelet still goes round: upstream's `syncloop` check, and those that others add. */
import type { Clock } from '#base/clock.ts'
import type { HealthCheck } from './streams.ts'

export interface LoopHealth {
  /** All pods are looked at. */
  passed(): void
  /** `problem`: asked with each check. */
  add(name: string, problem: () => string | undefined): void
  checks(): HealthCheck[]
}

/** `everyMs`: how often all pods are looked at. Twice as long without is an illness; before the first time it is none. */
export function createLoopHealth(everyMs: number, clock: Clock): LoopHealth {
  const others = new Map<string, () => string | undefined>()
  const state: { passedMs: number | undefined } = { passedMs: undefined }
  return {
    passed() { state.passedMs = clock.monotonicMs() },
    add(name, problem) { others.set(name, problem) },
    checks() {
      const isLate = state.passedMs !== undefined && clock.monotonicMs() - state.passedMs > 2 * everyMs
      return [{ name: 'syncloop', problem: isLate ? 'sync Loop took longer than expected' : undefined }, ...[...others].map(([name, problem]) => ({ name, problem: problem() }))]
    },
  }
}
