/**
 * Writes core/v1 Events as upstream's recorder does: a repetition raises `count` by patch, many of a kind are combined,
 * an object that talks too much is cut off. Best effort: it never blocks and never fails its caller; what does not fit
 * its queue is dropped.
 */
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import { EVENTS, type CoreV1Event, type KubeObject, type ObjectReference } from '../types/index.ts'
import { ApiError, isReason, type Client } from './client.ts'
import { correlate, createEventMemory, noteWritten, type EventInput } from './event-correlator.ts'

export interface EventRecorderOptions {
  /** `deployment-controller`, `kubelet`: source.component and reportingComponent. */
  component: string
  /** The node's name, where the component is one of a node. */
  host?: string
  clock: Clock
  random: Random
  log: Log
}

export interface EventRecorder {
  /** Returns at once. `about` needs apiVersion, kind, name, uid; or is a reference (with fieldPath). */
  event(about: KubeObject | ObjectReference, type: 'Normal' | 'Warning', reason: string, message: string, annotations?: Readonly<Record<string, string>>): void
  /** Resolves when what was recorded so far is written or given up. */
  flush(): Promise<void>
  /** Drops what waits and takes nothing more. Twice is fine. */
  close(): void
}

/** Events waiting to be written; beyond it new ones are dropped (upstream: 1000). */
const QUEUE_EVENTS_MAX = 1_000
/** As upstream: 12 tries, 10 s apart, then the event is lost. Only for failures of the network; a refusal is final. */
const TRIES_MAX = 12
const RETRY_MS = 10_000
/** Upstream's limit is 1 KiB. */
const MESSAGE_CHARS_MAX = 1_024

export function createEventRecorder(client: Client, options: EventRecorderOptions): EventRecorder {
  const { clock, random } = options
  const log = options.log.with('events')
  const memory = createEventMemory()
  const queue: EventInput[] = []
  const stop = new AbortController()
  let writing: Promise<void> | undefined

  const write = async (input: EventInput) => {
    const plan = correlate(memory, input, clock.nowMs())
    if (plan.kind === 'drop') return
    if (plan.kind === 'count') {
      try {
        const patch = { count: plan.count, lastTimestamp: seconds(clock.nowMs()), message: plan.message }
        await client.patch(EVENTS, plan.name, plan.namespace, 'application/strategic-merge-patch+json', patch, { signal: stop.signal })
        return
      } catch (error) {
        if (!isReason(error, 'NotFound')) throw error
      }
    }
    const event = newEvent(input, plan.message, plan.kind === 'count' ? plan.count : 1)
    await client.create<CoreV1Event>(EVENTS, event, { signal: stop.signal })
    noteWritten(memory, plan.key, { name: event.metadata.name ?? '', namespace: event.metadata.namespace ?? '' })
  }

  const newEvent = (input: EventInput, message: string, count: number): CoreV1Event => {
    const now = seconds(clock.nowMs())
    const namespace = input.about.namespace || 'default'
    const { component, host } = options
    // Upstream's form: name.<nanoseconds in hex>; the last digits, which our clock lacks, are drawn.
    const suffix = (BigInt(Math.floor(clock.nowMs())) * 1_000_000n + BigInt(Math.floor(random.next() * 1_000_000))).toString(16)
    return {
      apiVersion: 'v1', kind: 'Event',
      metadata: { name: `${(input.about.name ?? '').slice(0, 230)}.${suffix}`, namespace, ...(input.annotations && { annotations: { ...input.annotations } }) },
      involvedObject: input.about, reason: input.reason, message, type: input.type,
      source: { component, ...(host !== undefined && { host }) },
      firstTimestamp: now, lastTimestamp: now, count,
      reportingComponent: component, reportingInstance: host ?? '',
    }
  }

  const writeAll = async () => {
    for (let input = queue.shift(); input && !stop.signal.aborted; input = queue.shift()) {
      for (let tries = 1; tries <= TRIES_MAX; tries++) {
        try {
          await write(input)
          break
        } catch (thrown) {
          if (stop.signal.aborted) return
          const error = asError(thrown)
          // A namespace that is going away refuses events: nobody will miss them.
          if (error instanceof ApiError && error.code !== 429 && error.code < 500) {
            log[isReason(error, 'NotFound', 'Forbidden') ? 'debug' : 'warn']('event refused', { reason: input.reason, about: input.about.name, error })
            break
          }
          if (tries === TRIES_MAX) log.warn('event lost', { reason: input.reason, about: input.about.name, error })
          try {
            await clock.sleep(RETRY_MS, stop.signal)
          } catch {
            return // Only close() ends the sleep early.
          }
        }
      }
    }
  }

  const wake = () => {
    writing ??= writeAll().finally(() => {
      writing = undefined
      if (queue.length > 0 && !stop.signal.aborted) wake()
    })
  }

  return {
    event(about, type, reason, message, annotations) {
      if (stop.signal.aborted) return
      if (queue.length >= QUEUE_EVENTS_MAX) {
        log.debug('event dropped, too many are waiting', { reason })
        return
      }
      queue.push({ about: referenceTo(about), type, reason, message: message.slice(0, MESSAGE_CHARS_MAX), ...(annotations && { annotations }) })
      wake()
    },
    async flush() {
      while (writing) await writing
    },
    close() {
      queue.length = 0
      stop.abort()
    },
  }
}

export function referenceTo(about: KubeObject | ObjectReference): ObjectReference {
  if (!('metadata' in about)) return about as ObjectReference
  const { apiVersion, kind, metadata } = about as KubeObject
  return {
    ...(apiVersion !== undefined && { apiVersion }), ...(kind !== undefined && { kind }),
    ...(metadata?.name !== undefined && { name: metadata.name }), ...(metadata?.namespace && { namespace: metadata.namespace }),
    ...(metadata?.uid !== undefined && { uid: metadata.uid }), ...(metadata?.resourceVersion !== undefined && { resourceVersion: metadata.resourceVersion }),
  }
}

/** metav1.Time: whole seconds. */
function seconds(nowMs: number): string {
  return `${new Date(nowMs).toISOString().slice(0, 19)}Z`
}
