/** What this machine says of itself: names and addresses for defaults. */
import { readFileSync } from 'node:fs'
import { hostname, networkInterfaces } from 'node:os'
import { UsageError } from '#base/errors.ts'

/** Lower case, as node names are. */
export function hostName(): string {
  return hostname().toLowerCase()
}

/** The IPv4 address of the interface that has the default route, else the first that is not loopback. */
export function defaultNodeIp(): string {
  const interfaces = networkInterfaces()
  const preferred = defaultRouteInterface()
  const candidates = [...(preferred ? (interfaces[preferred] ?? []) : []), ...Object.entries(interfaces).filter(([name]) => !/^(lo|skiff|veth|docker|cni|flannel)/.test(name)).flatMap(([, list]) => list ?? [])]
  const found = candidates.find((a) => a.family === 'IPv4' && !a.internal)
  if (!found) throw new UsageError('this machine has no IPv4 address besides loopback: connect it, or pass --node-ip')
  return found.address
}

/** /proc/net/route: destination 0 is the default route. */
function defaultRouteInterface(): string | undefined {
  return readFileSync('/proc/net/route', 'utf8').split('\n').slice(1).map((l) => l.split('\t')).find((f) => f[1] === '00000000')?.[0]
}

