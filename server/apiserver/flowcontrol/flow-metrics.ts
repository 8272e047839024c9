/** Upstream's apiserver_flowcontrol_* metrics: counted where requests pass, gauges read when asked. */
import { Metric, quoteLabel } from '#base/metrics.ts'

const SECONDS_BOUNDS = [0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30]
const PREFIX = 'apiserver_flowcontrol_'
const metric = (name: string, type: Metric['type'], help: string, bounds?: readonly number[]): Metric => new Metric(`${PREFIX}${name}`, type, help, bounds)

/** As labels are printed. */
export const levelLabels = (level: string): string => `priority_level="${quoteLabel(level)}"`
export const flowLabels = (level: string, schema: string): string => `flow_schema="${quoteLabel(schema)}",${levelLabels(level)}`

export interface LevelFigures {
  name: string
  limits: { nominal: number; min: number; max: number; current: number }
  demand: { high: number; smooth: number }
  currentR: number
}

export interface FlowFigures { labels: string; waiting: number; waitingSeats: number; executing: number; seats: number }

export class FlowMetrics {
  readonly rejected = metric('rejected_requests_total', 'counter', 'Number of requests rejected by API Priority and Fairness subsystem')
  readonly dispatched = metric('dispatched_requests_total', 'counter', 'Number of requests executed by API Priority and Fairness subsystem')
  readonly queueLength = metric('request_queue_length_after_enqueue', 'histogram', 'Length of queue in the API Priority and Fairness subsystem, as seen by each request after it is enqueued', [0, 10, 25, 50, 100, 250, 500, 1000])
  readonly waited = metric('request_wait_duration_seconds', 'histogram', 'Length of time a request spent waiting in its queue', SECONDS_BOUNDS)
  readonly executed = metric('request_execution_seconds', 'histogram', 'Duration of initial stage (for a WATCH) or any (for a non-WATCH) stage of request execution in the API Priority and Fairness subsystem', SECONDS_BOUNDS)
  readonly estimatedSeats = metric('work_estimated_seats', 'histogram', 'Number of estimated seats (maximum of initial and final seats) associated with requests in API Priority and Fairness', [1, 2, 4, 8, 16, 32, 64, 100])
  readonly noAccommodation = metric('request_dispatch_no_accommodation_total', 'counter', 'Number of times a dispatch attempt resulted in a non accommodation due to lack of available seats')

  all(levels: readonly LevelFigures[], flows: readonly FlowFigures[]): Metric[] {
    return [this.rejected, this.dispatched, this.queueLength, this.waited, this.executed, this.estimatedSeats, this.noAccommodation, ...levelGauges(levels), ...flowGauges(flows)]
  }
}

function levelGauges(levels: readonly LevelFigures[]): Metric[] {
  const gauge = (name: string, help: string, value: (level: LevelFigures) => number): Metric => {
    const made = metric(name, 'gauge', help)
    for (const level of levels) made.set(levelLabels(level.name), value(level))
    return made
  }
  return [
    gauge('nominal_limit_seats', 'Nominal number of execution seats configured for each priority level', (l) => l.limits.nominal),
    gauge('lower_limit_seats', 'Configured lower bound on number of execution seats available to each priority level', (l) => l.limits.min),
    gauge('upper_limit_seats', 'Configured upper bound on number of execution seats available to each priority level', (l) => l.limits.max),
    gauge('current_limit_seats', 'current derived number of execution seats available to each priority level', (l) => l.limits.current),
    gauge('demand_seats_high_watermark', 'High watermark, over last adjustment period, of demand_seats', (l) => l.demand.high),
    gauge('demand_seats_smoothed', 'Smoothed seat demands', (l) => l.demand.smooth),
    gauge('current_r', 'R(time of last change)', (l) => l.currentR),
  ]
}

function flowGauges(flows: readonly FlowFigures[]): Metric[] {
  const gauge = (name: string, help: string, value: (flow: FlowFigures) => number): Metric => {
    const made = metric(name, 'gauge', help)
    for (const flow of flows) made.set(flow.labels, value(flow))
    return made
  }
  return [
    gauge('current_inqueue_requests', 'Number of requests currently pending in queues of the API Priority and Fairness subsystem', (f) => f.waiting),
    gauge('current_inqueue_seats', 'Number of seats currently pending in queues of the API Priority and Fairness subsystem', (f) => f.waitingSeats),
    gauge('current_executing_requests', 'Number of requests in initial (for a WATCH) or any (for a non-WATCH) execution stage in the API Priority and Fairness subsystem', (f) => f.executing),
    gauge('current_executing_seats', 'Concurrency (number of seats) occupied by the currently executing (initial stage for a WATCH, any stage otherwise) requests in the API Priority and Fairness subsystem', (f) => f.seats),
  ]
}
