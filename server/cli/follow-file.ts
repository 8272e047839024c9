/** Configuration files that may change while the server runs. */
import { dirname } from 'node:path'
import type { Clock } from '#base/clock.ts'
import { createDirectoryWatch } from '#base/directory-watch.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'

/** An editor's or a mount's several writes are one change. */
const QUIET = { quietMs: 500, quietMsMax: 5_000 }

/** `load` is called after changes beside the file, one call after the other; when it throws, what was loaded before stays, and the log says why. Returns the end of it. */
export function followFile(path: string, load: (signal: AbortSignal) => void | Promise<void>, { clock, log }: { clock: Clock; log: Log }): () => void {
  const stop = new AbortController()
  const state = { isLoading: false, isChanged: false }
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
    try {
      await load(stop.signal)
      log.info('a changed configuration file is in force', { file: path })
    } catch (error) {
      if (stop.signal.aborted) return
      log.error('a changed configuration file is not used; the one before it stays in force', { file: path, error: asError(error) })
    }
  }
  const watch = createDirectoryWatch({ clock, ...QUIET, onQuiet: () => void reload() })
  watch.watch([dirname(path)])
  return () => {
    watch.close()
    stop.abort()
  }
}
