/** What control loops tell of their work, under upstream's names: counted where it is done, or counted up from what is known when somebody asks. */
import { NODES, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, type Job, type JobStatus, type Node, type PersistentVolume, type PersistentVolumeClaim } from '#api/types/index.ts'
import type { Informers } from '#api/client/client.ts'
import type { Clock } from '#base/clock.ts'
import { exponentialBounds, Metric, quoteLabel } from '#base/metrics.ts'
import { WorkQueueMetrics, type NamedQueueMeter } from '#base/workqueue-metrics.ts'

/** What upstream calls the queues of these; those of others have the loop's name. */
const QUEUES: Readonly<Record<string, string>> = {
  'bootstrap-signer-controller': 'bootstrap_signer_queue', 'certificate-controller': 'certificate', 'clusterrole-aggregation-controller': 'ClusterRoleAggregator', 'cronjob-controller': 'cronjob',
  'daemonset-controller': 'daemonset', 'deployment-controller': 'deployment', 'disruption-controller': 'disruption', 'endpoint-controller': 'endpoint', 'endpointslice-controller': 'endpoint_slice',
  'endpointslice-mirroring-controller': 'endpoint_slice_mirroring', 'ephemeral-volume-controller': 'ephemeral_volume', 'garbage-collector-controller': 'garbage_collector_attempt_to_delete',
  'horizontal-pod-autoscaler-controller': 'horizontalpodautoscaler', 'job-controller': 'job', 'namespace-controller': 'namespace', 'node-lifecycle-controller': 'node_lifecycle_controller',
  'persistentvolume-protection-controller': 'pvprotection', 'persistentvolumeclaim-protection-controller': 'pvcprotection', 'replicaset-controller': 'replicaset', 'replicationcontroller-controller': 'replicationmanager',
  'resourcequota-controller': 'resourcequota_primary', 'root-ca-certificate-publisher': 'root_ca_cert_publisher', 'serviceaccount-controller': 'serviceaccount', 'statefulset-controller': 'statefulset',
  'taint-eviction-controller': 'noexec_taint_pod', 'token-cleaner-controller': 'token_cleaner', 'ttl-after-finished-controller': 'ttl_jobs_to_delete', 'ttl-controller': 'ttlcontroller', 'volumeattributesclass-protection-controller': 'vacprotection',
}

export type JobSyncAction = 'reconciling' | 'tracking' | 'pods_created' | 'pods_deleted'

const modeOf = (job: Job | undefined): string => `completion_mode="${job?.spec?.completionMode === 'Indexed' ? 'Indexed' : 'NonIndexed'}"`

export class ControllerMetrics {
  readonly #queues: WorkQueueMetrics
  readonly #running = new Map<string, number>()
  /** Undefined: they do not run here. */
  #informers: Informers | undefined
  readonly #jobSyncs = new Metric('job_controller_job_syncs_total', 'counter', 'The number of job syncs')
  readonly #jobSyncSeconds = new Metric('job_controller_job_sync_duration_seconds', 'histogram', 'The time it took to sync a job', exponentialBounds(0.004, 2, 15))
  readonly #jobsFinished = new Metric('job_controller_jobs_finished_total', 'counter', 'The number of finished jobs')
  readonly #jobPods = new Metric('job_controller_job_pods_finished_total', 'counter', 'The number of finished Pods that are fully tracked')
  readonly #skew = new Metric('cronjob_controller_job_creation_skew_duration_seconds', 'histogram', 'Time between when a cronjob is scheduled to be run, and when the corresponding job is created', exponentialBounds(1, 2, 10))
  readonly #evictions = new Metric('node_collector_evictions_total', 'counter', 'Number of Node evictions that happened since current instance of NodeController started.')

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#queues = new WorkQueueMetrics(clock)
    this.#skew.series('')
  }

  /** Of the queue of a reconcile loop. */
  of(loop: string): NamedQueueMeter { return this.#queues.of(QUEUES[loop] ?? loop) }

  /** All of them run here until the returned function is called. What others keep is counted up: this keeps nothing more. */
  run(names: readonly string[], informers: Informers): () => void {
    this.#informers = informers
    for (const name of names) this.#running.set(name, 1)
    return () => {
      this.#informers = undefined
      for (const name of names) this.#running.set(name, 0)
    }
  }

  jobSynced(job: Job | undefined, action: JobSyncAction, isOk: boolean, ms: number): void {
    const labels = `action="${action}",${modeOf(job)},result="${isOk ? 'success' : 'error'}"`
    this.#jobSyncs.add(labels)
    this.#jobSyncSeconds.observe(labels, ms / 1000)
  }

  /** After it was written: what of it ended by that. */
  jobStatus(job: Job, status: JobStatus): void {
    const before = job.status ?? {}
    for (const result of ['succeeded', 'failed'] as const) {
      const more = (status[result] ?? 0) - (before[result] ?? 0)
      if (more > 0) this.#jobPods.add(`${modeOf(job)},result="${result}"`, more)
    }
    const finished = ({ conditions }: JobStatus) => conditions?.find((c) => (c.type === 'Complete' || c.type === 'Failed') && c.status === 'True')
    const end = finished(status)
    if (end && !finished(before)) this.#jobsFinished.add(`${modeOf(job)},reason="${quoteLabel(end.reason ?? '')}",result="${end.type === 'Complete' ? 'succeeded' : 'failed'}"`)
  }

  cronJobSkew(ms: number): void { this.#skew.observe('', ms / 1000) }

  nodeEvicted(node: Node): void { this.#evictions.add(zoneLabel(node)) }

  all(): readonly Metric[] {
    const running = new Metric('running_managed_controllers', 'gauge', 'Indicates where instances of a controller are currently running')
    for (const [name, value] of this.#running) running.set(`manager="kube-controller-manager",name="${quoteLabel(name)}"`, value)
    return [
      ...this.#queues.all(), running, this.#jobSyncs, this.#jobSyncSeconds, this.#jobsFinished, this.#jobPods, this.#skew, this.#evictions,
      ...(this.#informers ? [...zones(this.#informers.of<Node>(NODES).list()), ...volumes(this.#informers.of<PersistentVolume>(PERSISTENT_VOLUMES).list(), this.#informers.of<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS).list())] : []),
    ]
  }
}

/** Upstream's key of a zone. */
function zoneLabel({ metadata }: Node): string {
  const { 'topology.kubernetes.io/region': region = '', 'topology.kubernetes.io/zone': zone = '' } = metadata?.labels ?? {}
  return `zone="${region === '' && zone === '' ? '' : quoteLabel(`${region}:\0:${zone}`)}"`
}

function zones(nodes: readonly Node[]): Metric[] {
  const counts = new Map<string, { all: number; unhealthy: number }>()
  for (const node of nodes) {
    const label = zoneLabel(node)
    const count = counts.get(label) ?? { all: 0, unhealthy: 0 }
    count.all++
    if (node.status?.conditions?.find((c) => c.type === 'Ready')?.status !== 'True') count.unhealthy++
    counts.set(label, count)
  }
  const size = new Metric('node_collector_zone_size', 'gauge', 'Gauge measuring number of registered Nodes per zones.')
  const health = new Metric('node_collector_zone_health', 'gauge', 'Gauge measuring percentage of healthy nodes per zone.')
  const bad = new Metric('node_collector_unhealthy_nodes_in_zone', 'gauge', 'Gauge measuring number of not Ready Nodes per zones.')
  for (const [label, { all, unhealthy }] of counts) {
    size.set(label, all)
    health.set(label, (100 * (all - unhealthy)) / all)
    bad.set(label, unhealthy)
  }
  return [size, health, bad]
}

function volumes(known: readonly PersistentVolume[], claims: readonly PersistentVolumeClaim[]): Metric[] {
  const bound = new Metric('pv_collector_bound_pv_count', 'gauge', 'Gauge measuring number of persistent volume currently bound')
  const unbound = new Metric('pv_collector_unbound_pv_count', 'gauge', 'Gauge measuring number of persistent volume currently unbound')
  const boundClaims = new Metric('pv_collector_bound_pvc_count', 'gauge', 'Gauge measuring number of persistent volume claim currently bound')
  const unboundClaims = new Metric('pv_collector_unbound_pvc_count', 'gauge', 'Gauge measuring number of persistent volume claim currently unbound')
  for (const { spec, status, metadata } of known) (status?.phase === 'Bound' ? bound : unbound).add(`storage_class="${quoteLabel(spec?.storageClassName ?? metadata?.annotations?.['volume.beta.kubernetes.io/storage-class'] ?? '')}"`)
  for (const { spec, status, metadata } of claims) {
    const storageClass = metadata?.annotations?.['volume.beta.kubernetes.io/storage-class'] ?? spec?.storageClassName ?? ''
    ;(status?.phase === 'Bound' ? boundClaims : unboundClaims).add(`namespace="${quoteLabel(metadata?.namespace ?? '')}",storage_class="${quoteLabel(storageClass)}",volume_attributes_class="${quoteLabel(spec?.volumeAttributesClassName ?? '')}"`)
  }
  return [bound, unbound, boundClaims, unboundClaims]
}
