/** What the scheduler tells of its work, under upstream's names. Counted at its edges; what lies in its queue and view is read when somebody asks. */
import { exponentialBounds, Metric, quoteLabel } from '#base/metrics.ts'
import type { Pod, Stored } from '#api/types/index.ts'
import { podResourceMetrics } from './pod-resource-metrics.ts'
import type { QueueName, QueueSizes } from './scheduling-queue.ts'

export type AttemptResult = 'scheduled' | 'unschedulable' | 'error'
/** Of upstream's framework: those that are told apart here. */
export type ExtensionPoint = 'Filter' | 'Score' | 'PostFilter' | 'Reserve' | 'PreBind' | 'Bind'
export type PointStatus = 'Success' | 'Unschedulable' | 'Error'

/** As they are now. */
export interface SchedulerState { /** All that are known. */ podList: () => readonly Stored<Pod>[]; queue: QueueSizes; /** Of each pod that is not tried: by which plugin. */ gatedBy: readonly string[]; nodes: number; pods: number; assumed: number }

/** There is one. */
const PROFILE = 'profile="default-scheduler"'
const LATENCY = exponentialBounds(0.001, 2, 15)
/** More attempts than this are told as one. */
const ATTEMPTS_TOLD_MAX = 15
/** Of what pods ask for: text that is made and sent, and not kept. */
const RESOURCE_SERIES_MAX = 100_000

export class SchedulerMetrics {
  /** Undefined: it does not run here. */
  #state: (() => SchedulerState) | undefined
  readonly #attempts = new Metric('scheduler_schedule_attempts_total', 'counter', "Number of attempts to schedule pods, by the result. 'unschedulable' means a pod could not be scheduled, while 'error' means an internal scheduler problem.")
  readonly #attemptSeconds = new Metric('scheduler_scheduling_attempt_duration_seconds', 'histogram', 'Scheduling attempt latency in seconds (scheduling algorithm + binding)', LATENCY)
  readonly #algorithmSeconds = new Metric('scheduler_scheduling_algorithm_duration_seconds', 'histogram', 'Scheduling algorithm latency in seconds', LATENCY)
  readonly #podSeconds = new Metric('scheduler_pod_scheduling_sli_duration_seconds', 'histogram', 'E2e latency for a pod being scheduled, from the time the pod enters the scheduling queue and might involve multiple scheduling attempts.', exponentialBounds(0.01, 2, 20))
  readonly #podAttempts = new Metric('scheduler_pod_scheduling_attempts', 'histogram', 'Number of attempts to successfully schedule a pod.', exponentialBounds(1, 2, 5))
  readonly #pointSeconds = new Metric('scheduler_framework_extension_point_duration_seconds', 'histogram', 'Latency for running all plugins of a specific extension point.', exponentialBounds(0.0001, 2, 12))
  readonly #preemptions = new Metric('scheduler_preemption_attempts_total', 'counter', 'Total preemption attempts in the cluster till now')
  readonly #victims = new Metric('scheduler_preemption_victims', 'histogram', 'Number of selected preemption victims', exponentialBounds(1, 2, 7))
  readonly #incoming = new Metric('scheduler_queue_incoming_pods_total', 'counter', 'Number of pods added to scheduling queues by event and queue type.')

  constructor() {
    // There from the start, as upstream: rates of what has not happened yet are zero.
    this.#preemptions.series('')
    this.#podAttempts.series('')
    this.#algorithmSeconds.series('')
    this.#victims.series('')
  }

  /** It runs here from now on. Returns what ends that. */
  runs(state: () => SchedulerState): () => void {
    this.#state = state
    return () => { if (this.#state === state) this.#state = undefined }
  }

  attempt(result: AttemptResult, ms: number): void {
    this.#attempts.add(`${PROFILE},result="${result}"`)
    this.#attemptSeconds.observe(`${PROFILE},result="${result}"`, ms / 1000)
  }

  algorithm(ms: number): void { this.#algorithmSeconds.observe('', ms / 1000) }

  /** `sinceAddedMs`: since it came to the queue. */
  scheduled(attempts: number, sinceAddedMs: number): void {
    this.#podAttempts.observe('', attempts)
    this.#podSeconds.observe(`attempts="${attempts >= ATTEMPTS_TOLD_MAX ? `${ATTEMPTS_TOLD_MAX}+` : attempts}"`, sinceAddedMs / 1000)
  }

  point(point: ExtensionPoint, status: PointStatus, ms: number): void { this.#pointSeconds.observe(`extension_point="${point}",${PROFILE},status="${status}"`, ms / 1000) }

  /** `victims`: undefined where it would not have helped. */
  preemption(victims: number | undefined): void {
    this.#preemptions.add('')
    if (victims !== undefined) this.#victims.observe('', victims)
  }

  queued(queue: QueueName, event: string): void { this.#incoming.add(`event="${event}",queue="${queue}"`) }

  /** For /metrics/resources. */
  resources(): readonly Metric[] { return podResourceMetrics(this.#state?.().podList() ?? [], RESOURCE_SERIES_MAX) }

  all(): readonly Metric[] {
    const pending = new Metric('scheduler_pending_pods', 'gauge', "Number of pending pods, by the queue type. 'active' means number of pods in activeQ; 'backoff' means number of pods in backoffQ; 'unschedulable' means number of pods in unschedulablePods that the scheduler attempted to schedule and failed; 'gated' is the number of unschedulable pods that the scheduler never attempted to schedule because they are gated.")
    const refused = new Metric('scheduler_unschedulable_pods', 'gauge', 'The number of unschedulable pods broken down by plugin name. A pod will increment the gauge for all plugins that caused it to not schedule and so this metric have meaning only when broken down by plugin.')
    const cache = new Metric('scheduler_cache_size', 'gauge', 'Number of nodes, pods, and assumed (bound) pods in the scheduler cache.')
    const state = this.#state?.()
    if (state) {
      const { queue, gatedBy } = state
      for (const [name, count] of Object.entries({ active: queue.active, backoff: queue.backoff, gated: gatedBy.length, unschedulable: queue.unschedulable })) pending.set(`queue="${name}"`, count)
      for (const [plugin, count] of [...queue.refusedBy, ...gatedBy.map((name) => [name, 1] as const)]) refused.add(`plugin="${quoteLabel(plugin)}",${PROFILE}`, count)
      for (const [type, count] of Object.entries({ assumed_pods: state.assumed, nodes: state.nodes, pods: state.pods })) cache.set(`type="${type}"`, count)
    }
    return [this.#attempts, this.#attemptSeconds, this.#algorithmSeconds, this.#podSeconds, this.#podAttempts, this.#pointSeconds, this.#preemptions, this.#victims, this.#incoming, pending, refused, cache]
  }
}
