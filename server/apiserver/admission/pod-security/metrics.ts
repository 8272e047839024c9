/** Upstream's counters of Pod Security (`pod_security_*`). */
import { KUBERNETES_MINOR } from '#api/version.ts'
import type { AdmissionRequest } from '../../admission.ts'
import { Metric } from '#base/metrics.ts'
import type { LevelVersion, Policy } from './policy.ts'

/** Of the API this server speaks: later policies are counted together. */
const NEWEST_MINOR = Number(KUBERNETES_MINOR)

const RESOURCES: Readonly<Record<string, string>> = { pods: 'pod', namespaces: 'namespace' }

const of = ({ operation, ref, subresource }: AdmissionRequest): string =>
  `request_operation="${operation.toLowerCase()}",resource="${(ref.group === '' && RESOURCES[ref.resource]) || 'controller'}",subresource="${subresource}"`

export class PodSecurityMetrics {
  readonly #evaluations = new Metric('pod_security_evaluations_total', 'counter', 'Number of policy evaluations that occurred, not counting ignored or exempt requests.')
  readonly #exemptions = new Metric('pod_security_exemptions_total', 'counter', 'Number of exempt requests, not counting ignored or out of scope requests.')
  readonly #errors = new Metric('pod_security_errors_total', 'counter', 'Number of errors preventing normal evaluation. Non-fatal errors may result in the latest restricted profile being used for evaluation.')

  get all(): readonly Metric[] { return [this.#evaluations, this.#exemptions, this.#errors] }

  evaluated(request: AdmissionRequest, mode: keyof Policy, { level, minor }: LevelVersion, isAllowed: boolean): void {
    const version = minor === 'latest' || level === 'privileged' ? 'latest' : minor > NEWEST_MINOR ? 'future' : `v1.${minor}`
    this.#evaluations.add(`decision="${isAllowed ? 'allow' : 'deny'}",policy_level="${level}",policy_version="${version}",mode="${mode}",${of(request)}`)
  }

  exempt(request: AdmissionRequest): void { this.#exemptions.add(of(request)) }

  failed(request: AdmissionRequest, fatal: boolean): void { this.#errors.add(`fatal="${fatal}",${of(request)}`) }
}
