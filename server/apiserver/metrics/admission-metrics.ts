/** How long admission takes, by phase and by plugin. */
import type { AdmissionPlugin } from '../admission.ts'
import { Metric, type SeriesHandle } from '#base/metrics.ts'

const STEP_SECONDS = [0.005, 0.025, 0.1, 0.5, 1, 2.5]

export interface AdmissionPlan {
  steps: readonly { run: NonNullable<AdmissionPlugin['mutate']>; admitted: SeriesHandle; rejected: () => SeriesHandle }[]
  admitted: SeriesHandle
  rejected: () => SeriesHandle
}

export class AdmissionMetrics {
  readonly #steps = new Metric('apiserver_admission_step_admission_duration_seconds', 'histogram', 'Admission sub-step latency histogram in seconds, broken out for each operation and API resource and step type (validate or admit).', STEP_SECONDS)
  readonly #plugins = new Metric('apiserver_admission_controller_admission_duration_seconds', 'histogram', 'Admission controller latency histogram in seconds, identified by name and broken out for each operation and API resource and type (validate or admit).', STEP_SECONDS)

  readonly #plans = new WeakMap<readonly AdmissionPlugin[], Map<string, AdmissionPlan>>()

  /** What runs in a phase of an operation, in order, with where its times are counted: made once, because all of it runs for each write. */
  plan(plugins: readonly AdmissionPlugin[], phase: 'mutate' | 'validate', operation: string): AdmissionPlan {
    let plans = this.#plans.get(plugins)
    if (!plans) this.#plans.set(plugins, (plans = new Map()))
    const id = `${operation} ${phase}`
    const found = plans.get(id)
    if (found) return found
    const labels = (rejected: boolean): string => `operation="${operation}",rejected="${rejected}",type="${phase === 'mutate' ? 'admit' : 'validate'}"`
    const made: AdmissionPlan = {
      steps: plugins.flatMap((plugin) => {
        const run = plugin[phase]?.bind(plugin)
        return run ? [{ run, admitted: this.#plugins.series(`name="${plugin.name}",${labels(false)}`), rejected: () => this.#plugins.series(`name="${plugin.name}",${labels(true)}`) }] : []
      }),
      admitted: this.#steps.series(labels(false)),
      rejected: () => this.#steps.series(labels(true)),
    }
    plans.set(id, made)
    return made
  }

  all(): Metric[] { return [this.#steps, this.#plugins] }
}
