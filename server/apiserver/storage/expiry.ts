/** Takes away objects of rows with ttlSeconds (events) once they are old: one sweep a while, no timer per object. */
import type { KindRow } from '../kind.ts'
import { asError } from '#base/errors.ts'
import { TXN_OPS_MAX, type KeyValue } from '#server/store/store.ts'
import type { Parts } from '../verbs/call.ts'
import { STORED_START_BYTES, metadataEnd } from './bytes.ts'
import { prefixOf } from './keys.ts'

/** Coarse on purpose: expiry is housekeeping, and every sweep that finds something writes. */
export const SWEEP_MS = 120_000
/** What one transaction may remove. */
const PAGE = TXN_OPS_MAX

export class ExpirySweeper {
  readonly #parts: Parts
  readonly #rows: readonly KindRow[]
  #cancel: (() => void) | undefined
  #stopped = false

  constructor(parts: Parts) {
    this.#parts = parts
    // Rows that share storage (events in two groups) are swept once.
    const byPrefix = new Map(parts.rows.all.filter((r) => (r.ttlSeconds ?? 0) > 0).map((r) => [prefixOf(r.ref), r]))
    this.#rows = [...byPrefix.values()]
  }

  start(): void {
    if (this.#rows.length === 0 || this.#stopped) return
    this.#cancel = this.#parts.clock.after(SWEEP_MS, () => {
      this.#sweepIfLeading().catch((error: unknown) => {
        if (!this.#stopped) this.#parts.log.warn('expired objects could not be swept; the next sweep tries again', { error: asError(error) })
      }).finally(() => this.start())
    })
  }

  stop(): void {
    this.#stopped = true
    this.#cancel?.()
  }

  /** Of several servers one is enough. */
  async #sweepIfLeading(): Promise<void> {
    if (this.#parts.store.leads?.() !== false) await this.sweep()
  }

  /** Removes what is older than its row's ttl now; returns how many. */
  async sweep(): Promise<number> {
    let removed = 0
    for (const row of this.#rows) removed += await this.#sweepRow(row)
    return removed
  }

  async #sweepRow(row: KindRow): Promise<number> {
    const { store, clock } = this.#parts
    const beforeMs = clock.nowMs() - (row.ttlSeconds ?? 0) * 1000
    let removed = 0
    let after: string | undefined
    for (;;) {
      const page = await store.list({ prefix: prefixOf(row.ref), limit: PAGE, ...(after !== undefined && { after }) })
      const old = page.items.filter((kv) => touchedMs(kv) < beforeMs)
      if (old.length > 0) {
        const result = await store.txn({ compare: old.map((kv) => ({ key: kv.key, modRevision: kv.modRevision })), ops: old.map((kv) => ({ kind: 'delete', key: kv.key })), durability: 'lazy' })
        if (result.ok) removed += old.length
      }
      if (!page.more || this.#stopped) return removed
      after = page.items.at(-1)?.key
    }
  }
}

/** The ttl runs from the last write, as etcd's lease does: managedFields know when that was. */
function touchedMs(kv: KeyValue): number {
  const meta = JSON.parse(kv.value.toString('utf8', STORED_START_BYTES - 1, metadataEnd(kv.value))) as { creationTimestamp?: string; managedFields?: { time?: string }[] }
  const times = [meta.creationTimestamp, ...(meta.managedFields ?? []).map((f) => f.time)].map((t) => Date.parse(t ?? '')).filter(Number.isFinite)
  return times.length > 0 ? Math.max(...times) : Number.POSITIVE_INFINITY
}
