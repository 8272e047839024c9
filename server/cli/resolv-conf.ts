/** Which resolver configuration pods get that do not want cluster DNS. */
import { readFileSync } from 'node:fs'
import { hasCode } from '#base/errors.ts'

const OWN = '/etc/resolv.conf'
/** Where systemd-resolved writes the servers that it asks itself. */
const RESOLVED = '/run/systemd/resolve/resolv.conf'

/** As k3s has it: a file that names this machine's own loopback alone is of no use in a pod, whose loopback is another. */
export function resolvConfFor(given: string | undefined, read: (path: string) => string | undefined = readText): string {
  if (given !== undefined) return given
  const servers = [...(read(OWN) ?? '').matchAll(/^[ \t]*nameserver[ \t]+(\S+)/gm)].map(([, server = '']) => server)
  const isLoopback = servers.length > 0 && servers.every((server) => server.startsWith('127.') || server === '::1')
  return isLoopback && read(RESOLVED) !== undefined ? RESOLVED : OWN
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}
