/** Audit events to a webhook, in batches (upstream's default mode): requests never wait for it, what it cannot take is dropped and counted. */
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { AuditBackend } from './auditor.ts'
import type { AuditEvent } from './event.ts'

export interface WebhookBackendOptions {
  /** POSTs one EventList; rejects when it was not taken. */
  send: (body: Buffer, signal: AbortSignal) => Promise<void>
  clock: Clock
  log: Log
  limits?: Partial<WebhookLimits>
}

/** Upstream's --audit-webhook-batch-* defaults. */
export interface WebhookLimits { bufferSize: number; maxSize: number; maxWaitMs: number; attempts: number; backoffMs: number; /** Of batches; undefined: as fast as it goes. */ throttle: { perSecond: number; burst: number } | undefined }
export const WEBHOOK_LIMITS: WebhookLimits = { bufferSize: 10_000, maxSize: 400, maxWaitMs: 30_000, attempts: 5, backoffMs: 10_000, throttle: { perSecond: 10, burst: 15 } }
/** At the end what is left gets this long. */
const CLOSE_MS = 2_000

export function createWebhookBackend(options: WebhookBackendOptions): AuditBackend {
  const { clock, send } = options
  const log = options.log.with('audit')
  const limits = { ...WEBHOOK_LIMITS, ...options.limits }
  const stop = new AbortController()
  const state: { events: AuditEvent[]; cancel: (() => void) | undefined; sending: Promise<void> | undefined; /** When, at this pace, the next batch may go. */ freeAtMs: number } = { freeAtMs: Number.NEGATIVE_INFINITY, events: [], cancel: undefined, sending: undefined }

  const flush = (): Promise<void> => {
    state.cancel?.()
    state.cancel = undefined
    return (state.sending ??= sendAll().finally(() => { state.sending = undefined }))
  }

  async function sendAll(): Promise<void> {
    while (state.events.length > 0 && !stop.signal.aborted) {
      const items = state.events.splice(0, limits.maxSize)
      const body = Buffer.from(JSON.stringify({ kind: 'EventList', apiVersion: 'audit.k8s.io/v1', metadata: {}, items }))
      try {
        await turn()
        await attempt(body)
      } catch (error) {
        if (!stop.signal.aborted) log.error('audit events could not be sent to the webhook and are lost', { events: items.length, error: asError(error) })
      }
    }
  }

  /** A bucket of `burst` that fills by itself. */
  async function turn(): Promise<void> {
    const { throttle } = limits
    if (!throttle) return
    const nowMs = clock.monotonicMs()
    state.freeAtMs = Math.max(state.freeAtMs, nowMs - (throttle.burst * 1000) / throttle.perSecond) + 1000 / throttle.perSecond
    if (state.freeAtMs > nowMs) await clock.sleep(state.freeAtMs - nowMs, stop.signal)
  }

  async function attempt(body: Buffer): Promise<void> {
    for (let tried = 1; ; tried++) {
      try {
        return await send(body, stop.signal)
      } catch (error) {
        if (tried >= limits.attempts || stop.signal.aborted) throw error
        await clock.sleep(limits.backoffMs * 1.5 ** (tried - 1), stop.signal)
      }
    }
  }

  return {
    write(event) {
      if (state.events.length >= limits.bufferSize) return false
      state.events.push(event)
      if (state.events.length >= limits.maxSize) void flush()
      else state.cancel ??= clock.after(limits.maxWaitMs, () => void flush())
      return true
    },
    async close() {
      const cancel = clock.after(CLOSE_MS, () => stop.abort())
      await flush()
      cancel()
      stop.abort()
    },
  }
}
