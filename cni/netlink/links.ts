/** What devices there are, as `ip -j -d addr show` tells, and batches of changes to them. */
import { mustRun, type Exec } from './exec.ts'
import { parseList, text } from './json.ts'

export interface Link {
  name: string
  mac: string
  mtu: number
  isUp: boolean
  /** The bridge it is a port of. */
  master: string | undefined
  /** `veth`, `bridge`, `vxlan`, …; undefined for hardware and lo. */
  kind: string | undefined
  alias: string
  /** IPv4 only, with prefix length: `10.42.0.1/24`. */
  addresses: string[]
  vxlan: { id: number; local: string; port: number; learning: boolean } | undefined
}

export async function listLinks(exec: Exec): Promise<Link[]> {
  return parseLinks(await mustRun(exec, ['ip', '-4', '-j', '-d', 'addr', 'show']), await mustRun(exec, ['ip', '-j', '-d', 'link', 'show']))
}

/** `ip -4 addr` leaves out devices without an IPv4 address on some versions, so both lists are read. */
export function parseLinks(addrJson: string, linkJson: string): Link[] {
  const addresses = new Map<string, string[]>()
  for (const raw of parseList(addrJson)) {
    const infos = (raw['addr_info'] as { family?: string; local?: string; prefixlen?: number }[] | undefined) ?? []
    addresses.set(text(raw['ifname']), infos.filter((a) => a.family === 'inet').map((a) => `${a.local ?? ''}/${a.prefixlen ?? 32}`))
  }
  return parseList(linkJson).map((raw) => {
    const info = raw['linkinfo'] as { info_kind?: string; info_data?: Record<string, unknown> } | undefined
    const data = info?.info_data ?? {}
    return {
      name: text(raw['ifname']),
      mac: text(raw['address']),
      mtu: Number(raw['mtu']),
      isUp: ((raw['flags'] as string[] | undefined) ?? []).includes('UP'),
      master: raw['master'] === undefined ? undefined : text(raw['master']),
      kind: info?.info_kind,
      alias: text(raw['ifalias']),
      addresses: addresses.get(text(raw['ifname'])) ?? [],
      vxlan: info?.info_kind === 'vxlan'
        ? { id: Number(data['id']), local: text(data['local']), port: Number(data['port']), learning: data['learning'] === true }
        : undefined,
    }
  })
}

/** `ip` commands without the leading `ip`, run in order by one process; stops at the first that fails. */
export async function ipBatch(exec: Exec, commands: readonly string[]): Promise<void> {
  if (commands.length > 0) await mustRun(exec, ['ip', '-batch', '-'], { input: `${commands.join('\n')}\n` })
}

/** Fine when it is already gone. */
export async function deleteLink(exec: Exec, name: string): Promise<void> {
  const result = await exec(['ip', 'link', 'del', name])
  if (result.code !== 0 && !/Cannot find device/.test(result.stderr)) await mustRun(exec, ['ip', 'link', 'del', name])
}
