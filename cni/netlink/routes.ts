/** Routes and neighbours as `ip` and `bridge` list them. */
import { mustRun, type Exec } from './exec.ts'
import { parseList, text } from './json.ts'

/** Marks the routes that are ours (`proto` in `ip route`): 128-255 are free for daemons, listed in /etc/iproute2/rt_protos. */
export const ROUTE_PROTOCOL = 171

export async function listRoutes(exec: Exec): Promise<{ prefix: string; via: string; device: string }[]> {
  const routes = parseList(await mustRun(exec, ['ip', '-4', '-j', 'route', 'show', 'proto', String(ROUTE_PROTOCOL)]))
  return routes.map((route) => ({ prefix: text(route['dst']), via: text(route['gateway']), device: text(route['dev']) }))
}

export async function listNeighbours(exec: Exec, device: string): Promise<{ address: string; mac: string }[]> {
  const list = parseList(await mustRun(exec, ['ip', '-4', '-j', 'neigh', 'show', 'dev', device, 'nud', 'permanent']))
  return list.map((n) => ({ address: text(n['dst']), mac: text(n['lladdr']) }))
}

/** Forwarding entries of a VXLAN device that lead to another node. */
export async function listForwarding(exec: Exec, device: string): Promise<{ mac: string; nodeIp: string }[]> {
  const list = parseList(await mustRun(exec, ['bridge', '-j', 'fdb', 'show', 'dev', device]))
  return list.filter((entry) => typeof entry['dst'] === 'string').map((entry) => ({ mac: text(entry['mac']), nodeIp: text(entry['dst']) }))
}
