/** Upstream's metrics of admission webhooks. */
import { Metric, quoteLabel } from '#base/metrics.ts'
import type { AdmissionRequest } from '../admission.ts'

export type WebhookType = 'admit' | 'validating'

const DURATION_BOUNDS = [0.005, 0.025, 0.1, 0.5, 1, 2.5, 10, 25]

export class WebhookMetrics {
  readonly #durations = new Metric('apiserver_admission_webhook_admission_duration_seconds', 'histogram', 'Admission webhook latency histogram in seconds, identified by name and broken out for each operation and API resource and type (validate or admit).', DURATION_BOUNDS)
  readonly #requests = new Metric('apiserver_admission_webhook_request_total', 'counter', 'Admission webhook request total, identified by name and broken out for each admission type (validating or mutating) and operation. Additional labels specify whether the request was rejected or not and an HTTP status code.')
  readonly #rejections = new Metric('apiserver_admission_webhook_rejection_count', 'counter', 'Admission webhook rejection count, identified by name and broken out for each admission type (validating or admit) and operation.')
  readonly #failOpen = new Metric('apiserver_admission_webhook_fail_open_count', 'counter', 'Admission webhook fail open count, identified by name and broken out for each admission type (validating or admit).')

  get all(): readonly Metric[] { return [this.#durations, this.#requests, this.#rejections, this.#failOpen] }

  /** One call that ended. `code`: of the refusal, or of what the failure became; 200 when it let the request through. */
  called(name: string, type: WebhookType, operation: AdmissionRequest['operation'], outcome: { kind: 'allowed' | 'rejected' | 'failed'; failsOpen: boolean; code: number }, seconds: number): void {
    const { kind, failsOpen, code } = outcome
    const hook = `name="${quoteLabel(name)}",operation="${operation}"`
    const rejected = kind === 'rejected' || (kind === 'failed' && !failsOpen)
    this.#durations.observe(`${hook},rejected="${rejected}",type="${type}"`, seconds)
    this.#requests.add(`code="${code}",${hook},rejected="${rejected}",type="${type}"`)
    if (rejected) this.#rejections.add(`error_type="${kind === 'rejected' ? 'no_error' : 'calling_webhook_error'}",${hook},rejection_code="${kind === 'rejected' ? code : 0}",type="${type}"`)
    if (kind === 'failed' && failsOpen) this.#failOpen.add(`name="${quoteLabel(name)}",type="${type}"`)
  }
}
