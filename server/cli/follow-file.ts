/** Configuration files that may change while the server runs. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Clock } from '#base/clock.ts'
import { createDirectoryWatch } from '#base/directory-watch.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { ReloadMetrics } from '../apiserver/metrics/reload-metrics.ts'

/** An editor's or a mount's several writes are one change. */
const QUIET = { quietMs: 500, quietMsMax: 5_000 }

/**
 * `load` is called when the file, or one of them, says something else than what was loaded last, one call after the other; when it
 * throws, what was loaded before stays, the log says why, and the next change beside it is another try. Returns the end of it.
 */
export function followFile(path: string | readonly string[], load: (signal: AbortSignal) => void | Promise<void>, { clock, log, reloads }: { clock: Clock; log: Log; reloads?: ReloadMetrics }): () => void {
  const paths = typeof path === 'string' ? [path] : path
  const file = paths.join(' ')
  const stop = new AbortController()
  const state = { isLoading: false, isChanged: false, loaded: contentOf(paths) }
  const reload = async (): Promise<void> => {
    state.isChanged = true
    if (state.isLoading) return
    state.isLoading = true
    while (state.isChanged && !stop.signal.aborted) {
      state.isChanged = false
      await once()
    }
    state.isLoading = false
  }
  const once = async (): Promise<void> => {
    const now = contentOf(paths)
    if (now === state.loaded) return
    try {
      await load(stop.signal)
      state.loaded = now
      reloads?.reloaded('success')
      log.info('a changed configuration file is in force', { file })
    } catch (error) {
      if (stop.signal.aborted) return
      reloads?.reloaded('failure')
      log.error('a changed configuration file is not used; the one before it stays in force', { file, error: asError(error) })
    }
  }
  const watch = createDirectoryWatch({ clock, ...QUIET, onQuiet: () => void reload() })
  watch.watch([...new Set(paths.map((one) => dirname(one)))])
  return () => {
    watch.close()
    stop.abort()
  }
}

/** What is in them, in short; of one that cannot be read, that. */
function contentOf(paths: readonly string[]): string {
  const hash = createHash('sha256')
  for (const path of paths) {
    try {
      hash.update(createHash('sha256').update(readFileSync(path)).digest())
    } catch {
      // Whoever loads it says why.
      hash.update('unreadable')
    }
  }
  return hash.digest('hex')
}
