/** How long a machine takes to become a node, as upstream's NodeStartupLatencyTracker counts it: told once, of a node that is new to the cluster. */
import type { Clock } from '#base/clock.ts'
import type { MetricFamily } from '../stats/metrics-text.ts'

export interface NodeStartup {
  /** Asks the cluster to take it. */
  registers(): void
  /** The cluster did not know it before. */
  isRegistered(): void
  isReady(): void
  metrics(): MetricFamily[]
}

/** `bootMs`, `startedMs`: of the machine and of this agent, by the wall clock; a machine whose boot is not known tells nothing of it. */
export function createNodeStartup({ bootMs, startedMs, clock }: { bootMs: number | undefined; startedMs: number; clock: Clock }): NodeStartup {
  let registersMs: number | undefined
  let registeredMs: number | undefined
  let readyMs: number | undefined
  return {
    registers() {
      registersMs ??= clock.nowMs()
    },
    isRegistered() {
      registeredMs ??= clock.nowMs()
    },
    isReady() {
      if (registeredMs !== undefined) readyMs ??= clock.nowMs()
    },
    metrics() {
      const gauge = (name: string, help: string, from: number | undefined, to: number | undefined): MetricFamily => ({ name: `kubelet_${name}`, help: `[ALPHA] ${help}`, type: 'gauge', samples: [{ value: from === undefined || to === undefined || registeredMs === undefined ? 0 : (to - from) / 1000 }] })
      return [
        gauge('node_startup_duration_seconds', 'Duration in seconds of node startup in total.', bootMs, readyMs),
        gauge('node_startup_post_registration_duration_seconds', 'Duration in seconds of node startup after registration.', registeredMs, readyMs),
        gauge('node_startup_pre_kubelet_duration_seconds', 'Duration in seconds of node startup before kubelet starts.', bootMs, startedMs),
        gauge('node_startup_pre_registration_duration_seconds', 'Duration in seconds of node startup before registration.', startedMs, registersMs),
        gauge('node_startup_registration_duration_seconds', 'Duration in seconds of node startup during registration.', registersMs, registeredMs),
      ]
    },
  }
}
