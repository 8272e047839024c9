/** How long admission takes, by phase and by plugin. */
import { Metric } from './metrics.ts'

const STEP_SECONDS = [0.005, 0.025, 0.1, 0.5, 1, 2.5]

export class AdmissionMetrics {
  readonly #steps = new Metric('apiserver_admission_step_admission_duration_seconds', 'histogram', 'Admission sub-step latency histogram in seconds, broken out for each operation and API resource and step type (validate or admit).', STEP_SECONDS)
  readonly #plugins = new Metric('apiserver_admission_controller_admission_duration_seconds', 'histogram', 'Admission controller latency histogram in seconds, identified by name and broken out for each operation and API resource and type (validate or admit).', STEP_SECONDS)

  step(phase: 'mutate' | 'validate', operation: string, rejected: boolean, seconds: number): void {
    this.#steps.observe(`operation="${operation}",rejected="${rejected}",type="${phase === 'mutate' ? 'admit' : 'validate'}"`, seconds)
  }

  plugin(name: string, phase: 'mutate' | 'validate', operation: string, rejected: boolean, seconds: number): void {
    this.#plugins.observe(`name="${name}",operation="${operation}",rejected="${rejected}",type="${phase === 'mutate' ? 'admit' : 'validate'}"`, seconds)
  }

  all(): Metric[] { return [this.#steps, this.#plugins] }
}
