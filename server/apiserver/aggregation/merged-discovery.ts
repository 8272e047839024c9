/** /apis of this server and of those behind it as one, in order of priority. Pure. */
import type { Backend } from './api-services.ts'
import { rankGroups, type RankedVersion } from './priorities.ts'
import type { VersionDiscovery } from './remote-discovery.ts'

export interface GroupJson { name: string; versions: { groupVersion: string; version: string }[]; preferredVersion: { groupVersion: string; version: string } }
export interface GroupDiscovery { metadata: { name?: string }; versions: VersionDiscovery[] }

/** `local`: the group versions of this server; those that have a backend are its affair. */
export function mergeGroups(local: readonly RankedVersion[], backends: Iterable<Backend>): GroupJson[] {
  return rankGroups(withBackends(local, backends)).filter(({ group }) => group !== '').map(({ group, versions }) => {
    const shown = versions.map(({ version }) => ({ groupVersion: `${group}/${version}`, version }))
    return { name: group, versions: shown, preferredVersion: shown[0] ?? { groupVersion: '', version: '' } }
  })
}

export function mergeDiscovery(local: readonly RankedVersion[], items: readonly GroupDiscovery[], backends: ReadonlyMap<string, Backend>, discovered: ReadonlyMap<string, VersionDiscovery>): GroupDiscovery[] {
  const own = new Map<string, VersionDiscovery>(items.flatMap(({ metadata, versions }) => versions.map((v) => [`${v.version}.${metadata.name ?? ''}`, v] as const)))
  return rankGroups(withBackends(local, backends.values())).filter(({ group }) => group !== '').map(({ group, versions }) => ({
    metadata: { name: group },
    versions: versions.flatMap(({ version }) => {
      const name = `${version}.${group}`
      const shown = backends.has(name) ? (discovered.get(name) ?? { version, freshness: 'Stale' as const }) : own.get(name)
      return shown ? [shown] : []
    }),
  }))
}

function withBackends(local: readonly RankedVersion[], backends: Iterable<Backend>): RankedVersion[] {
  const all = new Map<string, RankedVersion>(local.map((v) => [`${v.version}.${v.group}`, v]))
  for (const backend of backends) all.set(backend.name, backend)
  return [...all.values()]
}
