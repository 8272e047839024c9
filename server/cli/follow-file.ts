/** Configuration files that may change while the server runs. */
import { dirname } from 'node:path'
import type { Clock } from '#base/clock.ts'
import { createDirectoryWatch } from '#base/directory-watch.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'

/** An editor's or a mount's several writes are one change. */
const QUIET = { quietMs: 500, quietMsMax: 5_000 }

/** `load` is called after changes beside the file; when it throws, what was loaded before stays, and the log says why. Returns the end of it. */
export function followFile(path: string, load: () => void, { clock, log }: { clock: Clock; log: Log }): () => void {
  const reload = (): void => {
    try {
      load()
      log.info('a changed configuration file is in force', { file: path })
    } catch (error) {
      log.error('a changed configuration file is not used; the one before it stays in force', { file: path, error: asError(error) })
    }
  }
  const watch = createDirectoryWatch({ clock, ...QUIET, onQuiet: reload })
  watch.watch([dirname(path)])
  return () => watch.close()
}
