/** The API server's metrics under upstream's names. */
import { Metric, printMetrics, quoteLabel } from './metrics.ts'

/** Upstream's buckets for apiserver_request_duration_seconds, thinned. */
const DURATION_BOUNDS = [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.5, 2, 3, 5, 8, 15, 30, 60]

export interface Gauges { readOnlyInFlight: number; mutatingInFlight: number; watches: ReadonlyMap<string, number>; objects: ReadonlyMap<string, number>; revision: number }

export class ApiMetrics {
  readonly #requests = new Metric('apiserver_request_total', 'counter', 'Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, and HTTP response code.')
  readonly #durations = new Metric('apiserver_request_duration_seconds', 'histogram', 'Response latency distribution in seconds for each verb, dry run value, group, version, resource, subresource, scope and component.', DURATION_BOUNDS)
  readonly #panics = new Metric('apiserver_request_panics_total', 'counter', 'Requests that ended in an unexpected failure of the server.')
  readonly #extra: Metric[] = []

  /** Counted also under `apiserver_request_total`. */
  request(verb: string, group: string, version: string, resource: string, subresource: string, scope: string, code: number, seconds: number | undefined): void {
    const labels = `component="apiserver",group="${quoteLabel(group)}",resource="${quoteLabel(resource)}",scope="${scope}",subresource="${quoteLabel(subresource)}",verb="${verb}",version="${quoteLabel(version)}"`
    this.#requests.add(`code="${code}",${labels}`)
    if (seconds !== undefined) this.#durations.observe(labels, seconds)
  }

  panic(): void { this.#panics.add('') }

  /** Other parts' metrics on the same page. */
  register(metric: Metric): void { this.#extra.push(metric) }

  print(gauges: Gauges, usage: ProcessUsage, more: readonly Metric[] = []): Buffer {
    return printMetrics([this.#requests, this.#durations, this.#panics, ...gaugeMetrics(gauges), ...processMetrics(usage), ...this.#extra, ...more])
  }
}

function gaugeMetrics(gauges: Gauges): Metric[] {
  const inFlight = new Metric('apiserver_current_inflight_requests', 'gauge', 'Maximal number of currently used inflight request limit of this apiserver per request kind in last second.')
  inFlight.set('request_kind="readOnly"', gauges.readOnlyInFlight)
  inFlight.set('request_kind="mutating"', gauges.mutatingInFlight)
  const watches = new Metric('apiserver_longrunning_requests', 'gauge', 'Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, scope and component. Not all requests are tracked this way.')
  for (const [resource, count] of gauges.watches) watches.set(`component="apiserver",resource="${quoteLabel(resource)}",verb="WATCH"`, count)
  const objects = new Metric('apiserver_storage_objects', 'gauge', 'Number of stored objects at the time of last check split by kind.')
  for (const [resource, count] of gauges.objects) objects.set(`resource="${quoteLabel(resource)}"`, count)
  const revision = new Metric('skiff_store_revision', 'gauge', 'The newest revision of the store.')
  revision.set('', gauges.revision)
  return [inFlight, watches, objects, revision]
}

export interface ProcessUsage { cpuSeconds: number; residentBytes: number; startTimeSeconds: number }

function processMetrics(usage: ProcessUsage): Metric[] {
  const gauge = (name: string, help: string, value: number, type: Metric['type'] = 'gauge'): Metric => {
    const metric = new Metric(name, type, help)
    metric.set('', value)
    return metric
  }
  return [
    gauge('process_cpu_seconds_total', 'Total user and system CPU time spent in seconds.', usage.cpuSeconds, 'counter'),
    gauge('process_resident_memory_bytes', 'Resident memory size in bytes.', usage.residentBytes),
    gauge('process_start_time_seconds', 'Start time of the process since unix epoch in seconds.', usage.startTimeSeconds),
  ]
}
