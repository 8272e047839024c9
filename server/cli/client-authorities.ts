/** Authorities of client certificates by file (`--client-ca-file`, `--requestheader-client-ca-file`), followed while the server runs. */
import { resolve } from 'node:path'
import type { Clock } from '#base/clock.ts'
import type { Log } from '#base/log.ts'
import type { ClientAuthorities } from '../door.ts'
import { certificatesFile } from './authentication.ts'
import type { FlagValues } from './flags.ts'
import { followFile } from './follow-file.ts'
import { text } from './node-config.ts'

const FLAGS = { clients: 'client-ca-file', proxies: 'requestheader-client-ca-file' } as const

/** Throws UsageError for a file without a certificate; later the one before it stays in force. */
export function followClientAuthorities(values: FlagValues, deps: { clock: Clock; log: Log }): ClientAuthorities {
  const read = (which: keyof typeof FLAGS): string => certificatesFile(values, FLAGS[which])
  const pem = { clients: read('clients'), proxies: read('proxies') }
  const listeners = new Set<() => void>()
  const follow = (which: keyof typeof FLAGS): (() => void)[] => {
    const path = text(values, FLAGS[which])
    if (path === undefined) return []
    return [followFile(resolve(path), () => {
      const now = read(which)
      if (now === pem[which]) return
      pem[which] = now
      for (const listener of listeners) listener()
    }, deps)]
  }
  const closers = [...follow('clients'), ...follow('proxies')]
  return {
    clients: () => pem.clients,
    proxies: () => pem.proxies,
    onChange(listener) {
      listeners.add(listener)
      return () => { listeners.delete(listener) }
    },
    close() { for (const close of closers) close() },
  }
}
