/**
 * The store as a cache of one form of a resource sees it: values read through a StoredForm. Where the form answers at once, changes
 * pass straight through; where it waits (a conversion webhook), they queue and arrive in order, and whoever needs the newest waits.
 */
import { CodedError } from '#base/errors.ts'
import type { Changes, ChangesOptions, KeyValue, ListOptions, ListResult, Revision, Store, Watch, WatchEvent, WatchListener, WatchOptions } from '#server/store/store.ts'
import type { StoredForm } from '../kind.ts'

/** What a cache needs of a store. */
export interface CacheSource {
  list(options: ListOptions): Promise<ListResult>
  watch(options: WatchOptions, listener: WatchListener): Watch
  changes(options: ChangesOptions): Changes
  /** The revision whose state has been delivered. */
  revision(): Revision
  /** Absent: always. */
  readonly isCurrent?: boolean
  caughtUp?(): Promise<void>
}

export class FormedStore implements CacheSource {
  readonly #store: Store
  readonly #form: StoredForm
  /** A change could not be read: the cache that follows is of no use any more. */
  readonly #onFailed: () => void
  /** Ends when all changes that came so far are delivered. */
  #queue: Promise<void> | undefined
  #delivered = 0

  constructor(store: Store, form: StoredForm, onFailed: () => void) {
    this.#store = store
    this.#form = form
    this.#onFailed = onFailed
  }

  get isCurrent(): boolean { return this.#queue === undefined }

  async caughtUp(): Promise<void> {
    await this.#queue
  }

  revision(): Revision {
    return this.#queue ? this.#delivered : this.#store.revision()
  }

  async list(options: ListOptions): Promise<ListResult> {
    const page = await this.#store.list(options)
    const values = await this.#form.read(page.items.map((kv) => kv.value))
    return { ...page, items: page.items.map((kv, i) => withValue(kv, values[i])) }
  }

  watch(options: WatchOptions, listener: WatchListener): Watch {
    this.#delivered = Math.max(this.#delivered, options.afterRevision)
    const state = { isReplay: true, missed: false, isClosed: false }
    const deliver: WatchListener = (events, revision) => {
      if (state.isClosed) return
      this.#delivered = revision
      listener(events, revision)
    }
    const watch = this.#store.watch(options, (events, revision) => {
      const read = this.#read(events)
      if (!(read instanceof Promise) && !this.#queue) return read ? deliver(read, revision) : this.#onFailed()
      // History is wanted at once; who asks for it lists again.
      if (state.isReplay) {
        state.missed = true
        return
      }
      this.#enqueue(async () => {
        const formed = await read
        if (formed) deliver(formed, revision)
        else if (!state.isClosed) this.#onFailed()
      })
    })
    state.isReplay = false
    if (state.missed) {
      state.isClosed = true
      watch.close()
      throw historyNotKept()
    }
    return { close: () => { state.isClosed = true; watch.close() } }
  }

  changes(options: ChangesOptions): Changes {
    const { events, through } = this.#store.changes(options)
    const read = this.#read(events)
    // History is wanted at once; who asks for it lists again.
    if (!read || read instanceof Promise || this.#queue) throw historyNotKept()
    return { events: read, through }
  }

  #enqueue(work: () => Promise<void>): void {
    const before = this.#queue
    const mine = (async () => {
      await before
      await work()
    })().finally(() => { if (this.#queue === mine) this.#queue = undefined })
    this.#queue = mine
  }

  /** Undefined: not readable. */
  #read(events: readonly WatchEvent[]): WatchEvent[] | undefined | Promise<WatchEvent[] | undefined> {
    const kvs = events.flatMap((e) => [e.current, e.previous].filter((kv) => kv !== undefined))
    const put = (values: readonly Buffer[]): WatchEvent[] => {
      let at = 0
      const next = (kv: KeyValue | undefined) => kv && withValue(kv, values[at++])
      return events.map((e) => ({ ...e, current: next(e.current), previous: next(e.previous) }))
    }
    try {
      const values = this.#form.read(kvs.map((kv) => kv.value))
      return values instanceof Promise ? values.then(put, () => undefined) : put(values)
    } catch {
      // Told by the next list, which fails with the reason.
      return undefined
    }
  }
}

const historyNotKept = () => new CodedError('STORE_COMPACTED', 'the history of a converted resource is not kept')
const withValue = (kv: KeyValue, value: Buffer | undefined): KeyValue => (value === undefined || value === kv.value ? kv : { ...kv, value })
