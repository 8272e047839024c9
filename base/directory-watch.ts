/**
 * Tells that something in some directories changed, once it has been quiet for a while: whoever copies a file there is
 * given time to finish. A hint, nothing more: the listener looks for itself. Where the kernel has no watch to give
 * (its limit is reached, a directory comes and goes), it is told to look every now and then instead.
 */
import { watch, type FSWatcher } from 'node:fs'
import type { Clock } from './clock.ts'

export interface DirectoryWatchOptions {
  clock: Clock
  /** After the last change. */
  quietMs: number
  /** Also while something keeps changing, it is told at least this often. */
  quietMsMax: number
  onQuiet: () => void
  /** At once: an entry of this name came, went, or took another's place. Where nothing can be watched it is not told. */
  onEntry?: (name: string) => void
}

export interface DirectoryWatch {
  /** From now on these, and no others. Not recursive. */
  watch(paths: readonly string[]): void
  close(): void
}

/** Between looks while a directory cannot be watched. */
const POLL_MS = 10_000

export function createDirectoryWatch({ clock, quietMs, quietMsMax, onQuiet, onEntry }: DirectoryWatchOptions): DirectoryWatch {
  const watchers = new Map<string, FSWatcher>()
  const state: { isClosed: boolean; cancel?: (() => void) | undefined; sinceMs?: number | undefined; cancelPoll?: (() => void) | undefined } = { isClosed: false }

  const tell = () => {
    state.cancel = state.sinceMs = undefined
    onQuiet()
  }
  const changed = () => {
    if (state.isClosed) return
    const now = clock.monotonicMs()
    state.sinceMs ??= now
    state.cancel?.()
    state.cancel = clock.after(Math.max(0, Math.min(quietMs, state.sinceMs + quietMsMax - now)), tell)
  }
  const poll = () => {
    if (state.isClosed || state.cancelPoll) return
    state.cancelPoll = clock.after(POLL_MS, () => {
      state.cancelPoll = undefined
      onQuiet()
    })
  }
  const lose = (path: string) => {
    watchers.get(path)?.close()
    watchers.delete(path)
    poll()
  }

  return {
    watch(paths) {
      for (const path of watchers.keys()) {
        if (paths.includes(path)) continue
        watchers.get(path)?.close()
        watchers.delete(path)
      }
      for (const path of paths) {
        if (state.isClosed || watchers.has(path)) continue
        let watcher: FSWatcher
        try {
          watcher = watch(path, { persistent: false })
        } catch {
          // Gone, or no more watches to be had: looked at every now and then.
          poll()
          continue
        }
        watcher.on('change', (what, name) => {
          if (what === 'rename' && typeof name === 'string') onEntry?.(name)
          changed()
        })
        watcher.on('error', () => lose(path))
        watchers.set(path, watcher)
      }
    },
    close() {
      state.isClosed = true
      state.cancel?.()
      state.cancelPoll?.()
      for (const watcher of watchers.values()) watcher.close()
      watchers.clear()
    },
  }
}
