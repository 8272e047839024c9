/** The host's /etc/resolv.conf: where to send what is not the cluster's. */
import { isIP } from 'node:net'

/** resolv.conf(5) reads three; more would only make a failing lookup slower. */
const SERVERS_MAX = 3

/**
 * Name servers in order, `own` addresses left out and told in `loops`: forwarding to ourselves would never end.
 * Addresses with a zone (`fe80::1%eth0`) are kept as they are.
 */
export function parseResolvConf(text: string, own: readonly string[]): { servers: string[]; loops: string[] } {
  const servers: string[] = []
  const loops: string[] = []
  for (const line of text.split('\n')) {
    const [keyword, address] = line.trim().split(/\s+/)
    if (keyword !== 'nameserver' || address === undefined || isIP(address.split('%')[0] ?? '') === 0) continue
    if (own.includes(address)) loops.push(address)
    else if (!servers.includes(address) && servers.length < SERVERS_MAX) servers.push(address)
  }
  return { servers, loops }
}
