/** The API server's metrics under upstream's names. */
import type { VersionInfo } from '../discovery/paths.ts'
import { AdmissionMetrics } from './admission-metrics.ts'
import { Metric, printMetrics, quoteLabel } from '#base/metrics.ts'
import { RequestMetrics } from './request-metrics.ts'
import { WatchMetrics } from './watch-metrics.ts'

export interface KindGauges { group: string; resource: string; version: string; watches: number; objects: number }

export interface Gauges { readOnlyInFlight: number; mutatingInFlight: number; kinds: readonly KindGauges[]; revision: number }

/** None, 30 minutes, 1, 2, 6, 12 hours, 1, 2, 4 days, a week, a month, 3, 6 months, a year. */
const CERTIFICATE_BOUNDS = [0, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400, 172_800, 345_600, 604_800, 2_592_000, 7_776_000, 15_552_000, 31_104_000]

export class ApiMetrics {
  readonly requests = new RequestMetrics()
  readonly watches = new WatchMetrics()
  readonly admission = new AdmissionMetrics()
  readonly #extra: Metric[] = []

  readonly #deprecated = new Metric('apiserver_requested_deprecated_apis', 'gauge', 'Gauge of deprecated APIs that have been requested, broken out by API group, version, resource, subresource, and removed_release.')

  readonly #certificates = new Metric('apiserver_client_certificate_expiration_seconds', 'histogram', 'Distribution of the remaining lifetime on the certificate used to authenticate a request.', CERTIFICATE_BOUNDS)

  panic(): void { this.requests.panic() }

  /** A request with a client's certificate: for how long it is still good. Alerts ask for it. */
  certificateShown(remainingSeconds: number): void { this.#certificates.observe('', remainingSeconds) }

  /** Somebody still asks for what a later release of upstream will not have (`1.39`; '' where none is named). */
  deprecated({ group, version, resource }: { group: string; version: string; resource: string }, subresource: string, removedRelease: string): void {
    this.#deprecated.set(`group="${quoteLabel(group)}",removed_release="${removedRelease}",resource="${quoteLabel(resource)}",subresource="${quoteLabel(subresource)}",version="${quoteLabel(version)}"`, 1)
  }

  /** Other parts' metrics on the same page. */
  register(metric: Metric): void { this.#extra.push(metric) }

  print(gauges: Gauges, usage: ProcessUsage, more: readonly Metric[] = []): Buffer {
    return printMetrics([...this.requests.all(), ...this.watches.all(), ...this.admission.all(), this.#deprecated, this.#certificates, ...gaugeMetrics(gauges), ...processMetrics(usage), ...this.#extra, ...more])
  }
}

function gaugeMetrics(gauges: Gauges): Metric[] {
  const inFlight = new Metric('apiserver_current_inflight_requests', 'gauge', 'Maximal number of currently used inflight request limit of this apiserver per request kind in last second.')
  inFlight.set('request_kind="readOnly"', gauges.readOnlyInFlight)
  inFlight.set('request_kind="mutating"', gauges.mutatingInFlight)
  const watches = new Metric('apiserver_longrunning_requests', 'gauge', 'Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, scope and component. Not all requests are tracked this way.')
  const objects = new Metric('apiserver_storage_objects', 'gauge', '[DEPRECATED, consider using apiserver_resource_objects instead] Number of stored objects at the time of last check split by kind. In case of a fetching error, the value will be -1.')
  const resources = new Metric('apiserver_resource_objects', 'gauge', 'Number of stored objects at the time of last check split by kind. In case of a fetching error, the value will be -1.')
  for (const { group, resource, version, watches: count, objects: stored } of gauges.kinds) {
    watches.set(`component="apiserver",group="${quoteLabel(group)}",resource="${quoteLabel(resource)}",scope="",subresource="",verb="WATCH",version="${quoteLabel(version)}"`, count)
    objects.set(`resource="${quoteLabel(group === '' ? resource : `${resource}.${group}`)}"`, stored)
    resources.set(`group="${quoteLabel(group)}",resource="${quoteLabel(resource)}"`, stored)
  }
  const revision = new Metric('skiff_store_revision', 'gauge', 'The newest revision of the store.')
  revision.set('', gauges.revision)
  return [inFlight, watches, objects, resources, revision]
}

/** Which build answers: dashboards join by it. */
export function buildInfo(version: VersionInfo): Metric {
  const metric = new Metric('kubernetes_build_info', 'gauge', "A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree state, build date, Go version, and compiler from which Kubernetes was built, and platform on which it is running.")
  const labels = { build_date: version.buildDate, compiler: version.compiler, git_commit: version.gitCommit, git_tree_state: version.gitTreeState, git_version: version.gitVersion, go_version: version.goVersion, major: version.major, minor: version.minor, platform: version.platform }
  metric.set(Object.entries(labels).map(([name, value]) => `${name}="${quoteLabel(value)}"`).join(','), 1)
  return metric
}

export interface ProcessUsage {
  cpuSeconds: number
  residentBytes: number
  startTimeSeconds: number
  virtualBytes?: number
  openFiles?: number
  maxFiles?: number
  /** Of the embedded store, on the disk. */
  storeBytes?: number
}

function storageSize(bytes: number): Metric {
  const metric = new Metric('apiserver_storage_size_bytes', 'gauge', 'Size of the storage database file physically allocated in bytes.')
  metric.set('storage_cluster_id="embedded"', bytes)
  return metric
}

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
    ...(usage.virtualBytes === undefined ? [] : [gauge('process_virtual_memory_bytes', 'Virtual memory size in bytes.', usage.virtualBytes)]),
    ...(usage.openFiles === undefined ? [] : [gauge('process_open_fds', 'Number of open file descriptors.', usage.openFiles)]),
    ...(usage.storeBytes === undefined ? [] : [storageSize(usage.storeBytes)]),
    ...(usage.maxFiles === undefined ? [] : [gauge('process_max_fds', 'Maximum number of open file descriptors.', usage.maxFiles)]),
  ]
}
