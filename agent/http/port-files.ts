/** Certificate, key and the authority of callers for the node's port out of files of the machine's owner, in place of the cluster's; changes are followed. */
import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { createSecureContext } from 'node:tls'
import type { Clock } from '#base/clock.ts'
import { createDirectoryWatch } from '#base/directory-watch.ts'
import { asError, CodedError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'

/** Certificate and key are written one after the other. */
const QUIET = { quietMs: 500, quietMsMax: 5_000 }

export interface PortFiles {
  serving(): { cert: string; key: string } | undefined
  clientCa(): string | undefined
  onChange(listener: () => void): () => void
  close(): void
}

/** Each by its path, '' for none. Throws KUBELET_TLS when what is there at first makes no sense; later the one before it stays in use. */
export function followPortFiles({ cert, key, clientCa }: { cert: string; key: string; clientCa: string }, { clock, log }: { clock: Clock; log: Log }): PortFiles {
  const read = () => {
    const pair = cert === '' ? undefined : { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') }
    const ca = clientCa === '' ? undefined : readFileSync(clientCa, 'utf8')
    // Of a pair of which one is new and the other is not it says so.
    createSecureContext({ ...pair, ...(ca !== undefined && { ca }) })
    return { pair, ca }
  }
  const paths = [cert, key, clientCa].filter((path) => path !== '')
  let now: ReturnType<typeof read>
  try {
    now = read()
  } catch (error) {
    throw new CodedError('KUBELET_TLS', `the kubelet API cannot be served with ${paths.join(', ')}: ${asError(error).message}`, { cause: error })
  }
  const listeners = new Set<() => void>()
  const watch = createDirectoryWatch({
    clock, ...QUIET, onQuiet: () => {
      try {
        const next = read()
        if (JSON.stringify(next) === JSON.stringify(now)) return
        now = next
      } catch (error) {
        return log.error('changed certificates of the kubelet API are not used; those before stay in force', { files: paths.join(' '), error: asError(error) })
      }
      log.info('changed certificates of the kubelet API are in force', { files: paths.join(' ') })
      for (const listener of listeners) listener()
    },
  })
  watch.watch([...new Set(paths.map((path) => dirname(path)))])
  return {
    serving: () => now.pair,
    clientCa: () => now.ca,
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    close: () => watch.close(),
  }
}
