/**
 * Requests by upstream's names and labels. What is counted of one kind of request is looked up by its row and a short text, so
 * that a request costs no printing of labels. Labels hold only what is served: what clients make up has no series.
 */
import type { KindRow } from '../kind.ts'
import { Metric, type SeriesHandle } from '#base/metrics.ts'

const SECONDS = [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60]
const SLI_SECONDS = SECONDS.slice(2)
const BYTES = [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9]

export interface Answered {
  /** LIST, GET, POST, PUT, PATCH, APPLY, DELETE, DELETECOLLECTION, WATCH, CONNECT. */
  verb: string
  subresource: string
  scope: 'resource' | 'namespace' | 'cluster' | ''
  dryRun: boolean
  code: number
  /** Undefined: it runs long, its time says nothing. */
  seconds: number | undefined
  /** Of answers to GET and LIST. */
  bytes: number | undefined
}

interface Series { labels: string; codes: Map<number, SeriesHandle>; duration: SeriesHandle; sli: SeriesHandle; bytes: SeriesHandle | undefined }

export class RequestMetrics {
  readonly #total = new Metric('apiserver_request_total', 'counter', 'Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, and HTTP response code.')
  readonly #durations = new Metric('apiserver_request_duration_seconds', 'histogram', 'Response latency distribution in seconds for each verb, dry run value, group, version, resource, subresource, scope and component.', SECONDS)
  readonly #sli = new Metric('apiserver_request_sli_duration_seconds', 'histogram', 'Response latency distribution (not counting webhook duration and priority & fairness queue wait times) in seconds for each verb, group, version, resource, subresource, scope and component.', SLI_SECONDS)
  readonly #bytes = new Metric('apiserver_response_sizes', 'histogram', 'Response size distribution in bytes for each group, version, verb, resource, subresource, scope and component.', BYTES)
  readonly #terminations = new Metric('apiserver_request_terminations_total', 'counter', 'Number of requests which apiserver terminated in self-defense.')
  readonly #panics = new Metric('apiserver_request_panics_total', 'counter', 'Requests that ended in an unexpected failure of the server.')
  readonly #series = new WeakMap<KindRow, Map<string, Series>>()

  /** `row` undefined: no resource, or one that nobody serves. */
  answered(row: KindRow | undefined, answer: Answered): void {
    const { code, seconds, bytes } = answer
    if (code === 429 || code === 504) this.#terminations.add(`code="${code}",component="apiserver",group="${row?.ref.group ?? ''}",resource="${row?.ref.resource ?? ''}",scope="${answer.scope}",subresource="",verb="${answer.verb}",version="${row?.ref.version ?? ''}"`)
    if (!row) return this.#total.add(`code="${code}",component="apiserver",dry_run="",group="",resource="",scope="${answer.scope}",subresource="",verb="${answer.verb}",version=""`)
    const series = this.#of(row, answer)
    let counter = series.codes.get(code)
    if (!counter) series.codes.set(code, (counter = this.#total.series(`code="${code}",${series.labels}`)))
    counter.add()
    if (seconds === undefined) return
    series.duration.observe(seconds)
    series.sli.observe(seconds)
    if (bytes !== undefined) series.bytes?.observe(bytes)
  }

  panic(): void { this.#panics.add('') }

  all(): Metric[] { return [this.#total, this.#durations, this.#sli, this.#bytes, this.#terminations, this.#panics] }

  #of(row: KindRow, { verb, subresource, scope, dryRun }: Answered): Series {
    let known = this.#series.get(row)
    if (!known) this.#series.set(row, (known = new Map()))
    const id = `${verb} ${scope} ${subresource}${dryRun ? ' dry' : ''}`
    const found = known.get(id)
    if (found) return found
    const { group, version, resource } = row.ref
    const served = row.subresources.includes(subresource) ? subresource : ''
    const labels = (dry: string): string => `component="apiserver",${dry}group="${group}",resource="${resource}",scope="${scope}",subresource="${served}",verb="${verb}",version="${version}"`
    const full = labels(`dry_run="${dryRun ? 'All' : ''}",`)
    const made: Series = {
      labels: full, codes: new Map(), duration: this.#durations.series(full), sli: this.#sli.series(labels('')),
      bytes: verb === 'GET' || verb === 'LIST' ? this.#bytes.series(labels('')) : undefined,
    }
    // Made-up subresources are one entry.
    if (served === subresource) known.set(id, made)
    return made
  }
}
