/** One probe's verdict over time: upstream's prober worker as a pure state machine. */
import type { Probe } from '#api/types/index.ts'
import type { ProbeKind, ProbeResult } from '../view.ts'

export interface ProbeState {
  /** What counts now. */
  result: ProbeResult
  /** The last outcome and how often in a row. */
  last: 'success' | 'failure' | undefined
  run: number
  /** The container is to be restarted: nothing more is asked of it. */
  onHold: boolean
}

/** liveness counts as good and readiness as bad until something is known. `known` survives an agent's restart. */
export function initialProbeState(kind: ProbeKind, known?: ProbeResult): ProbeState {
  return { result: known ?? (kind === 'liveness' ? 'success' : kind === 'readiness' ? 'failure' : 'unknown'), last: undefined, run: 0, onHold: false }
}

export function nextProbeState(kind: ProbeKind, probe: Probe, state: ProbeState, outcome: 'success' | 'failure'): ProbeState {
  const run = state.last === outcome ? state.run + 1 : 1
  const threshold = outcome === 'failure' ? (probe.failureThreshold ?? 3) : (probe.successThreshold ?? 1)
  if (run < threshold) return { ...state, last: outcome, run }
  const onHold = outcome === 'failure' && kind !== 'readiness'
  return { result: outcome, last: onHold ? undefined : outcome, run: onHold ? 0 : run, onHold }
}

/** When to ask next. The first time: `initialDelaySeconds` after the container's start, or at once when that has passed. */
export function firstProbeAtMs(probe: Probe, startedAtMs: number, nowMs: number): number {
  return Math.max(nowMs, startedAtMs + (probe.initialDelaySeconds ?? 0) * 1000)
}

export const probePeriodMs = (probe: Probe): number => (probe.periodSeconds || 10) * 1000
export const probeTimeoutMs = (probe: Probe): number => (probe.timeoutSeconds || 1) * 1000
