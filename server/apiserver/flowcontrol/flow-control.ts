/**
 * API priority and fairness of this server: classifies each request, lets it in when its priority level has seats, has it
 * wait in its flow's queue when not, and refuses it when even that is full. Where nobody waits a request costs a
 * few comparisons and no promise.
 */
import type { FlowSchema, PriorityLevelConfiguration } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import type { Log } from '#base/log.ts'
import { compileSchema, inMatchingOrder, type CompiledSchema, type RequestDigest } from './classify.ts'
import { MANDATORY_FLOW_SCHEMAS, MANDATORY_PRIORITY_LEVELS } from './default-objects.ts'
import { flowLabels, FlowMetrics, levelLabels, type LevelFigures } from './flow-metrics.ts'
import { QueueSet, type QueuedRequest, type QueueSetConfig } from './queue-set.ts'
import { RetryAfter } from './retry-after.ts'
import { DemandMeter, lendSeats, shareSeats, type LevelSeats } from './seats.ts'
import { seatsMaxOf } from './work.ts'
import type { Metric } from '#base/metrics.ts'

export interface FlowControlOptions {
  clock: Clock
  log: Log
  /** --max-requests-inflight and --max-mutating-requests-inflight together. */
  serverSeats: number
  /** Longest wait in a queue; upstream's is a quarter of --request-timeout. */
  waitMsMax: number
}

/** What became of a request that wanted in. */
export type Turn =
  | { ok: true; flowSchemaUid: string; priorityLevelUid: string; /** Gives the seats back. Twice is fine. */ leave: () => void }
  | { ok: false; flowSchemaUid: string; priorityLevelUid: string; why: Refused; retryAfterSeconds: number }

export type Refused = 'queue-full' | 'concurrency-limit' | 'time-out' | 'cancelled'

/** Levels' seats are shared anew this often while somebody waits; upstream's period. */
export const BORROW_MS = 10_000

interface Level {
  name: string
  uid: string
  /** Undefined: exempt. */
  queueSet: QueueSet<Pending> | undefined
  config: PriorityLevelConfiguration
  seats: LevelSeats
  seatsMax: number
  meter: DemandMeter
  demand: { high: number; smooth: number }
  /** Gone from the configuration; serves who is still in it. */
  quiescing: boolean
  outcomes: Outcomes
  retryAfter: RetryAfter
}

export interface Outcomes { dispatched: number; rejected: number; timedOut: number; cancelled: number }

/** Kept while its schema exists: what is counted of it. */
interface Flow { labels: string; labelsWaited: string; labelsExecuted: string; waiting: number; executing: number; seats: number }

export interface Pending {
  digest: RequestDigest
  schema: string
  distinguisher: string
  arrivedWallMs: number
  flow: Flow
  begin: (() => void) | undefined
}

export class FlowControl {
  readonly #options: FlowControlOptions
  readonly #levels = new Map<string, Level>()
  readonly #flows = new Map<string, Flow>()
  #schemas: readonly CompiledSchema[] = []
  /** Flows by the schemas in force: no labels are printed for each request. */
  readonly #flowOfSchema = new WeakMap<CompiledSchema, Flow>()
  readonly #metrics = new FlowMetrics()
  #lentAtMs = Number.NEGATIVE_INFINITY
  #cancelLending: (() => void) | undefined
  #closed = false

  constructor(options: FlowControlOptions) {
    this.#options = options
    this.configure([], [])
  }

  /**
   * The configuration from now on. What is mandatory and not there is imagined; a schema whose level does not exist is not
   * used. Returns the names of those.
   */
  configure(schemas: readonly FlowSchema[], levels: readonly PriorityLevelConfiguration[]): { dangling: ReadonlySet<string> } {
    const nowMs = this.#options.clock.monotonicMs()
    const allLevels = withMandatory(levels.filter(isUsable), MANDATORY_PRIORITY_LEVELS)
    const wanted = new Set(allLevels.map((l) => l.metadata?.name ?? ''))
    for (const level of this.#levels.values()) {
      if (wanted.has(level.name)) continue
      level.quiescing = true
      if (level.queueSet?.isIdle !== false) this.#levels.delete(level.name)
    }
    const lingering = [...this.#levels.values()].filter((l) => l.quiescing && !wanted.has(l.name)).map((l) => l.config)
    const shares = shareSeats([...allLevels, ...lingering], this.#options.serverSeats)
    for (const config of [...allLevels, ...lingering]) this.#setLevel(config, shares.get(config.metadata?.name ?? '') as LevelSeats, !lingering.includes(config), nowMs)
    const usable = withMandatory(schemas.filter((s) => wanted.has(s.spec?.priorityLevelConfiguration.name ?? '')), MANDATORY_FLOW_SCHEMAS)
    this.#schemas = inMatchingOrder(usable.map(compileSchema))
    this.#forgetFlows()
    return { dangling: new Set(schemas.filter((s) => !wanted.has(s.spec?.priorityLevelConfiguration.name ?? '')).map((s) => s.metadata?.name ?? '')) }
  }

  /**
   * Lets the request in, now or later. `seatsFor` is told how many seats one request may take at most. The caller gives
   * the seats back as soon as the request is served (a watch: as soon as it has begun).
   */
  enter(digest: RequestDigest, seatsFor: (seatsMax: number) => number, signal: AbortSignal): Turn | Promise<Turn> {
    const { schema, level } = this.#classify(digest)
    const flow = this.#flowOf(schema, level)
    const uids = { flowSchemaUid: schema.uid, priorityLevelUid: level.uid }
    const { queueSet } = level
    const nowMs = this.#options.clock.monotonicMs()
    if (!queueSet) {
      flow.executing++
      level.outcomes.dispatched++
      this.#metrics.dispatched.add(flow.labels)
      return { ok: true, ...uids, leave: once(() => { flow.executing-- }) }
    }
    const distinguisher = schema.distinguisher(digest)
    const seats = seatsFor(level.seatsMax)
    this.#metrics.estimatedSeats.observe(flow.labels, seats)
    const pending: Pending = { digest, schema: schema.name, distinguisher, arrivedWallMs: 0, flow, begin: undefined }
    const arrival = queueSet.arrive(pending, `${schema.name}\0${distinguisher}`, seats, nowMs)
    if (arrival.kind === 'refused') {
      this.#lendSoon()
      return this.#refuse(level, flow, uids, arrival.why)
    }
    level.meter.set(queueSet.seatsInUse + queueSet.waitingSeats, nowMs)
    const { request } = arrival
    if (arrival.kind === 'executing') return this.#begun(level, request, uids)
    flow.waiting++
    pending.arrivedWallMs = this.#options.clock.nowMs()
    this.#metrics.queueLength.observe(flow.labels, request.queue?.waiting.length ?? 0)
    this.#metrics.noAccommodation.add(flow.labels)
    const waiting = this.#wait(level, request, uids, signal)
    this.#lendSoon()
    return waiting
  }

  /** All that is waiting or running, for the dumps. */
  get levels(): readonly Readonly<Pick<Level, 'name' | 'quiescing' | 'queueSet' | 'outcomes'> & { executing: number }>[] {
    const flows = [...this.#flows.values()]
    const executing = ({ name, queueSet }: Level): number => queueSet?.executing ?? flows.reduce((sum, flow) => (flow.labels.endsWith(`,${levelLabels(name)}`) ? sum + flow.executing : sum), 0)
    return [...this.#levels.values()].sort((a, b) => (a.name < b.name ? -1 : 1)).map((level) => ({ ...level, executing: executing(level) }))
  }

  metrics(): Metric[] {
    const figures: LevelFigures[] = [...this.#levels.values()].map((l) => ({
      name: l.name, limits: { ...l.seats, current: l.queueSet?.limit ?? l.seats.nominal }, demand: l.demand, currentR: l.queueSet?.virtualTime ?? 0,
    }))
    const waitingSeats = new Map<Flow, number>()
    for (const { queueSet } of this.#levels.values()) for (const { waiting } of queueSet?.queues ?? []) for (const { seats, of: { flow } } of waiting) waitingSeats.set(flow, (waitingSeats.get(flow) ?? 0) + seats)
    return this.#metrics.all(figures, [...this.#flows.values()].map((flow) => ({ ...flow, waitingSeats: waitingSeats.get(flow) ?? 0 })))
  }

  close(): void {
    this.#closed = true
    this.#cancelLending?.()
  }

  #setLevel(config: PriorityLevelConfiguration, seats: LevelSeats, desired: boolean, nowMs: number): void {
    const name = config.metadata?.name ?? ''
    const queues = queuesOf(config)
    let level = this.#levels.get(name)
    if (!level) {
      level = { name, uid: '', queueSet: queues && new QueueSet<Pending>(queues, seats.nominal, nowMs), config, seats, seatsMax: 1, meter: new DemandMeter(nowMs), demand: { high: 0, smooth: 0 }, quiescing: false, outcomes: { dispatched: 0, rejected: 0, timedOut: 0, cancelled: 0 }, retryAfter: new RetryAfter() }
      this.#levels.set(name, level)
    }
    Object.assign(level, { uid: config.metadata?.uid ?? '', config, seats, seatsMax: seatsMaxOf(seats.nominal), quiescing: !desired })
    if (queues && level.queueSet) start(level.queueSet.configure(queues, seats.nominal, nowMs))
  }

  #classify(digest: RequestDigest): { schema: CompiledSchema; level: Level } {
    // The last one takes everybody: authenticated or not.
    const schema = this.#schemas.find((s) => s.matches(digest)) ?? (this.#schemas.at(-1) as CompiledSchema)
    return { schema, level: this.#levels.get(schema.level) as Level }
  }

  #flowOf(schema: CompiledSchema, level: Level): Flow {
    const known = this.#flowOfSchema.get(schema)
    if (known) return known
    const labels = flowLabels(level.name, schema.name)
    const flow = this.#flows.get(labels) ?? { labels, labelsWaited: `execute="true",${labels}`, labelsExecuted: `${labels},type="regular"`, waiting: 0, executing: 0, seats: 0 }
    this.#flows.set(labels, flow)
    this.#flowOfSchema.set(schema, flow)
    return flow
  }

  #forgetFlows(): void {
    const kept = new Set(this.#schemas.map((s) => flowLabels(s.level, s.name)))
    for (const [labels, flow] of this.#flows) if (!kept.has(labels) && flow.executing === 0 && flow.waiting === 0) this.#flows.delete(labels)
  }

  #refuse(level: Level, flow: Flow, uids: { flowSchemaUid: string; priorityLevelUid: string }, why: Refused): Turn {
    level.outcomes[why === 'time-out' ? 'timedOut' : why === 'cancelled' ? 'cancelled' : 'rejected']++
    this.#metrics.rejected.add(`${flow.labels},reason="${why}"`)
    return { ok: false, ...uids, why, retryAfterSeconds: level.retryAfter.refused(this.#options.clock.monotonicMs()) }
  }

  #begun(level: Level, request: QueuedRequest<Pending>, uids: { flowSchemaUid: string; priorityLevelUid: string }): Turn {
    const { flow } = request.of
    flow.executing++
    flow.seats += request.seats
    level.outcomes.dispatched++
    this.#metrics.dispatched.add(flow.labels)
    this.#metrics.waited.observe(flow.labelsWaited, (request.dispatchedMs - request.arrivedMs) / 1000)
    return { ok: true, ...uids, leave: once(() => this.#leave(level, request)) }
  }

  #leave(level: Level, request: QueuedRequest<Pending>): void {
    const { flow } = request.of
    const queueSet = level.queueSet as QueueSet<Pending>
    const nowMs = this.#options.clock.monotonicMs()
    flow.executing--
    flow.seats -= request.seats
    this.#metrics.executed.observe(flow.labelsExecuted, (nowMs - request.dispatchedMs) / 1000)
    const next = queueSet.finish(request, nowMs)
    level.meter.set(queueSet.seatsInUse + queueSet.waitingSeats, nowMs)
    start(next)
    if (level.quiescing && queueSet.isIdle) this.#levels.delete(level.name)
  }

  #wait(level: Level, request: QueuedRequest<Pending>, uids: { flowSchemaUid: string; priorityLevelUid: string }, signal: AbortSignal): Promise<Turn> {
    const { clock, waitMsMax } = this.#options
    const { of: pending } = request
    const { flow } = pending
    return new Promise((resolve) => {
      const stop = (): void => {
        flow.waiting--
        cancelTimer()
        signal.removeEventListener('abort', onAbort)
      }
      const giveUp = (why: 'time-out' | 'cancelled'): void => {
        const queueSet = level.queueSet as QueueSet<Pending>
        const nowMs = clock.monotonicMs()
        stop()
        start(queueSet.cancel(request, nowMs))
        level.meter.set(queueSet.seatsInUse + queueSet.waitingSeats, nowMs)
        this.#metrics.waited.observe(`execute="false",${flow.labels}`, (nowMs - request.arrivedMs) / 1000)
        resolve(this.#refuse(level, flow, uids, why))
      }
      const onAbort = (): void => giveUp('cancelled')
      const cancelTimer = clock.after(waitMsMax, () => giveUp('time-out'))
      signal.addEventListener('abort', onAbort, { once: true })
      pending.begin = () => {
        stop()
        resolve(this.#begun(level, request, uids))
      }
    })
  }

  /** Somebody had to wait: seats that others do not need come to where they are wanted, now or when the period is over. */
  #lendSoon(): void {
    if (this.#cancelLending || this.#closed) return
    const dueMs = this.#lentAtMs + BORROW_MS - this.#options.clock.monotonicMs()
    if (dueMs <= 0) this.#lend()
    this.#cancelLending = this.#options.clock.after(dueMs > 0 ? dueMs : BORROW_MS, () => {
      this.#cancelLending = undefined
      this.#lend()
      // Nothing is timed while nobody waits.
      if ([...this.#levels.values()].some((l) => (l.queueSet?.waiting ?? 0) > 0)) this.#lendSoon()
    })
  }

  #lend(): void {
    const nowMs = this.#options.clock.monotonicMs()
    this.#lentAtMs = nowMs
    const levels = [...this.#levels.values()].filter((l) => l.queueSet)
    for (const level of levels) level.demand = level.meter.take(nowMs)
    const lent = lendSeats(levels.map((l) => ({ name: l.name, seats: l.seats, ...l.demand })), this.#options.serverSeats)
    for (const level of levels) start((level.queueSet as QueueSet<Pending>).setLimit(lent.get(level.name) ?? level.seats.nominal, nowMs))
  }
}

function start(begun: readonly QueuedRequest<Pending>[]): void {
  for (const request of begun) request.of.begin?.()
}

function once(fn: () => void): () => void {
  let done = false
  return () => {
    if (done) return
    done = true
    fn()
  }
}

type Named = FlowSchema | PriorityLevelConfiguration

function withMandatory<T extends Named>(given: readonly T[], mandatory: readonly T[]): T[] {
  const names = new Set(given.map((o) => o.metadata?.name))
  return [...given, ...mandatory.filter((o) => !names.has(o.metadata?.name))]
}

/** Validation does not let others through; what is stored may be older than it. */
function isUsable({ metadata, spec }: PriorityLevelConfiguration): boolean {
  return spec !== undefined && (spec.type === 'Exempt') === (metadata?.name === 'exempt') && (spec.type === 'Exempt' || spec.limited !== undefined)
}

function queuesOf({ spec }: PriorityLevelConfiguration): QueueSetConfig | undefined {
  if (spec?.type === 'Exempt') return undefined
  const response = spec?.limited?.limitResponse
  const { queues = 64, handSize = 8, queueLengthLimit = 50 } = response?.queuing ?? {}
  const isJail = spec?.limited?.nominalConcurrencyShares === 0
  return response?.type === 'Queue' ? { queues, handSize, queueLengthLimit, isJail } : { queues: 0, handSize: 0, queueLengthLimit: 0 }
}
