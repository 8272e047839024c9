/** Delivers committed events to the watches they concern, synchronously and in order. */
import type { Revision, Watch, WatchEvent, WatchListener, WatchOptions } from './store.ts'

export class WatchHub {
  readonly #watchers = new Set<WatchOptions & { listener: WatchListener }>()

  get size(): number { return this.#watchers.size }

  /** `afterRevision` may be ahead of what this server shows: what was seen elsewhere is not told again. */
  add(options: WatchOptions, listener: WatchListener): Watch {
    const watcher = { ...options, listener }
    this.#watchers.add(watcher)
    return { close: () => void this.#watchers.delete(watcher) }
  }

  publish(events: readonly WatchEvent[], revision: Revision): void {
    for (const watcher of this.#watchers) {
      if (revision <= watcher.afterRevision) continue
      const own = below(watcher.prefix, events)
      if (own.length > 0) watcher.listener(own, revision)
    }
  }

  gap(): void {
    for (const { onGap } of Array.from(this.#watchers)) onGap?.()
  }

  closeAll(): void {
    this.#watchers.clear()
  }
}

/** Asked for each watch at each write: nearly always none of them, or all. */
function below(prefix: string, events: readonly WatchEvent[]): readonly WatchEvent[] {
  let count = 0
  for (const { key } of events) if (key.startsWith(prefix)) count++
  if (count === 0) return NONE
  return count === events.length ? events : events.filter(({ key }) => key.startsWith(prefix))
}

const NONE: readonly WatchEvent[] = []
