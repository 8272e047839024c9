/** What queues of reconcile loops tell of themselves, under upstream's names (`workqueue_*`), by the name of each queue. */
import type { Clock } from './clock.ts'
import { exponentialBounds, Metric, quoteLabel } from './metrics.ts'
import type { WorkQueueMeter, WorkQueueState } from './workqueue.ts'

/** From 10 ns on: upstream's. */
const BOUNDS = exponentialBounds(10e-9, 10, 10)

/** Of one queue: what it is made with, and who it is once it is made. */
export interface NamedQueueMeter extends WorkQueueMeter {
  /** A key is to come back later. */
  retried(): void
  watch(queue: WorkQueueState): void
}

export class WorkQueueMetrics {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #queues = new Map<string, WorkQueueState>()
  readonly #adds = new Metric('workqueue_adds_total', 'counter', 'Total number of adds handled by workqueue')
  readonly #retries = new Metric('workqueue_retries_total', 'counter', 'Total number of retries handled by workqueue')
  readonly #waits = new Metric('workqueue_queue_duration_seconds', 'histogram', 'How long in seconds an item stays in workqueue before being requested.', BOUNDS)
  readonly #works = new Metric('workqueue_work_duration_seconds', 'histogram', 'How long in seconds processing an item from workqueue takes.', BOUNDS)

  constructor(clock: Pick<Clock, 'monotonicMs'>) { this.#clock = clock }

  /** A queue that takes the place of another of its name goes on with that one's counts. */
  of(name: string): NamedQueueMeter {
    const labels = `name="${quoteLabel(name)}"`
    const [adds, retries, waits, works] = [this.#adds, this.#retries, this.#waits, this.#works].map((metric) => metric.series(labels))
    return {
      nowMs: () => this.#clock.monotonicMs(),
      added: () => adds?.add(),
      began: (ms) => waits?.observe(ms / 1000),
      ended: (ms) => works?.observe(ms / 1000),
      retried: () => retries?.add(),
      watch: (queue) => { this.#queues.set(labels, queue) },
    }
  }

  all(): readonly Metric[] {
    const depth = new Metric('workqueue_depth', 'gauge', 'Current depth of workqueue')
    const unfinished = new Metric('workqueue_unfinished_work_seconds', 'gauge', "How many seconds of work has done that is in progress and hasn't been observed by work_duration. Large values indicate stuck threads. One can deduce the number of stuck threads by observing the rate at which this increases.")
    const longest = new Metric('workqueue_longest_running_processor_seconds', 'gauge', 'How many seconds has the longest running processor for workqueue been running.')
    const nowMs = this.#clock.monotonicMs()
    for (const [labels, queue] of this.#queues) {
      const seconds = [...queue.startsMs()].map((ms) => (nowMs - ms) / 1000)
      depth.set(labels, queue.length)
      unfinished.set(labels, seconds.reduce((sum, s) => sum + s, 0))
      longest.set(labels, Math.max(0, ...seconds))
    }
    return [this.#adds, depth, longest, this.#waits, this.#retries, unfinished, this.#works]
  }
}
