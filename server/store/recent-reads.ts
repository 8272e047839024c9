/**
 * What was read or written last, so that the usual look, change, compare-and-put of one object asks the database once.
 * Also remembers that a key is absent. Least recently used goes first; bounded by count and by bytes.
 */
import type { KeyValue } from './store.ts'

const ENTRIES_MAX = 512
/** A board's memory is the reason. */
const BYTES_MAX = 1024 * 1024
/** One large object must not push out all others. */
const VALUE_BYTES_MAX = 64 * 1024

export class RecentReads {
  readonly #found = new Map<string, KeyValue | undefined>()
  #bytes = 0

  /** `known: false`: ask the database. */
  get(key: string): { known: boolean; item: KeyValue | undefined } {
    const item = this.#found.get(key)
    if (item === undefined && !this.#found.has(key)) return UNKNOWN
    this.#found.delete(key)
    this.#found.set(key, item)
    return { known: true, item }
  }

  set(key: string, item: KeyValue | undefined): void {
    this.forget(key)
    if (item && item.value.length > VALUE_BYTES_MAX) return
    this.#found.set(key, item)
    this.#bytes += size(key, item)
    for (const oldest of this.#found.keys()) {
      if (this.#found.size <= ENTRIES_MAX && this.#bytes <= BYTES_MAX) return
      this.forget(oldest)
    }
  }

  forget(key: string): void {
    if (!this.#found.has(key)) return
    this.#bytes -= size(key, this.#found.get(key))
    this.#found.delete(key)
  }

  clear(): void {
    this.#found.clear()
    this.#bytes = 0
  }
}

const UNKNOWN = { known: false, item: undefined } as const

const size = (key: string, item: KeyValue | undefined): number => 100 + key.length + (item?.value.length ?? 0)
