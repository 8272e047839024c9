/** Upstream's metrics of admission policies. */
import type { Clock } from '#base/clock.ts'
import { Metric, quoteLabel } from '#base/metrics.ts'

export interface PolicyParts { metrics: PolicyMetrics; clock: Clock }

const BOUNDS = [0.000_000_5, 0.001, 0.01, 0.1, 1]

export class PolicyMetrics {
  readonly #checks = new Metric('apiserver_validating_admission_policy_check_total', 'counter', 'Validation admission policy check total, labeled by policy and further identified by binding and enforcement action taken.')
  readonly #checkSeconds = new Metric('apiserver_validating_admission_policy_check_duration_seconds', 'histogram', 'Validation admission latency for individual validation expressions in seconds, labeled by policy and further including binding and enforcement action taken.', BOUNDS)
  readonly #mutations = new Metric('apiserver_mutating_admission_policy_check_total', 'counter', 'Mutation admission policy check total, labeled by policy and further identified by binding.')
  readonly #mutationSeconds = new Metric('apiserver_mutating_admission_policy_check_duration_seconds', 'histogram', 'Mutation admission latency for individual mutation expressions in seconds, labeled by policy and binding.', BOUNDS)

  get all(): readonly Metric[] { return [this.#checks, this.#checkSeconds, this.#mutations, this.#mutationSeconds] }

  /** `failure`: why an expression could not be evaluated; '' for one that was. */
  checked(policy: string, binding: string, action: 'allow' | 'deny' | 'warn' | 'audit', failure: string, seconds: number): void {
    const labels = `enforcement_action="${action}",error_type="${errorType(failure)}",policy="${quoteLabel(policy)}",policy_binding="${quoteLabel(binding)}"`
    this.#checks.add(labels)
    this.#checkSeconds.observe(labels, seconds)
  }

  mutated(policy: string, binding: string, failure: string, seconds: number): void {
    const labels = `error_type="${errorType(failure)}",policy="${quoteLabel(policy)}",policy_binding="${quoteLabel(binding)}"`
    this.#mutations.add(labels)
    this.#mutationSeconds.observe(labels, seconds)
  }
}

function errorType(failure: string): string {
  if (failure === '') return 'no_error'
  if (failure.startsWith('compilation')) return 'compile_error'
  return failure.startsWith('validation failed due to running out of cost budget') ? 'out_of_budget' : 'invalid_error'
}
