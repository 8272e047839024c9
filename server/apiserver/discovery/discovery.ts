/** Discovery documents from the table of kinds: legacy (APIVersions, APIGroupList, APIResourceList) and aggregated (v2, v2beta1). Pure. */
import { createHash } from 'node:crypto'
import type { GroupDiscovery, GroupJson } from '../aggregation/merged-discovery.ts'
import type { KindRow } from '../kind.ts'
import { ALL_VERBS, type GroupVersion, type Rows } from '../rows.ts'

const STORAGE_HASH_BYTES = 8
export const AGGREGATED_VERSIONS = ['v2', 'v2beta1'] as const
export type AggregatedVersion = (typeof AGGREGATED_VERSIONS)[number]

const gv = (group: string, version: string): string => (group === '' ? version : `${group}/${version}`)

interface Subresource { name: string; kind: string; group: string; version: string; verbs: readonly string[] }

const READ_WRITE = ['get', 'patch', 'update']

/** What a subresource speaks, where it is not the row's own kind. */
const SUBRESOURCE_KINDS: Record<string, { kind: string; group: string; version: string; verbs: readonly string[] }> = {
  scale: { kind: 'Scale', group: 'autoscaling', version: 'v1', verbs: READ_WRITE },
  binding: { kind: 'Binding', group: '', version: 'v1', verbs: ['create'] },
  eviction: { kind: 'Eviction', group: 'policy', version: 'v1', verbs: ['create'] },
  token: { kind: 'TokenRequest', group: 'authentication.k8s.io', version: 'v1', verbs: ['create'] },
  attach: { kind: 'PodAttachOptions', group: '', version: 'v1', verbs: ['create', 'get'] },
  exec: { kind: 'PodExecOptions', group: '', version: 'v1', verbs: ['create', 'get'] },
  portforward: { kind: 'PodPortForwardOptions', group: '', version: 'v1', verbs: ['create', 'get'] },
}
const PROXY_VERBS = ['create', 'delete', 'get', 'patch', 'update']
const PROXY_KINDS: Record<string, string> = { pods: 'PodProxyOptions', services: 'ServiceProxyOptions', nodes: 'NodeProxyOptions' }
const OWN_VERBS: Record<string, readonly string[]> = { log: ['get'], finalize: ['update'], approval: READ_WRITE }

function subresources(row: KindRow): Subresource[] {
  return (row.custom ? row.subresources : row.subresources.toSorted()).map((name) => {
    if (name === 'proxy') return { name, kind: PROXY_KINDS[row.ref.resource] ?? row.ref.kind, group: row.ref.group, version: row.ref.version, verbs: PROXY_VERBS }
    const other = SUBRESOURCE_KINDS[name]
    return other ? { name, ...other } : { name, kind: row.ref.kind, group: row.ref.group, version: row.ref.version, verbs: OWN_VERBS[name] ?? READ_WRITE }
  })
}

/** As upstream lists them of custom resources: kubectl api-resources -o wide shows the order. */
const CUSTOM_VERBS = ['delete', 'deletecollection', 'get', 'list', 'patch', 'create', 'update', 'watch']
/** Not while the definition goes away. */
const MAKING_VERBS: ReadonlySet<string> = new Set(['patch', 'create', 'update'])

const verbsOf = (row: KindRow): string[] => (row.custom && !row.verbs ? CUSTOM_VERBS.filter((verb) => !row.custom?.isTerminating || !MAKING_VERBS.has(verb)) : [...(row.verbs ?? ALL_VERBS)].sort())
const sortedRows = (version: GroupVersion): KindRow[] => version.rows.toSorted((a, b) => (a.ref.resource < b.ref.resource ? -1 : 1))

/** Tells clients when a kind is stored in another version. */
function storageHash(row: KindRow): { storageVersionHash?: string } {
  if (!verbsOf(row).includes('watch') || (row.custom && row.custom.storageVersion === undefined)) return {}
  const { group, version: ownVersion, kind } = (row.storedAs ?? row).ref
  const version = row.custom?.storageVersion ?? ownVersion
  return { storageVersionHash: createHash('sha256').update(`${group}/${version}/${kind}`).digest().subarray(0, STORAGE_HASH_BYTES).toString('base64') }
}

/** `/api`. */
export function apiVersions(rows: Rows, serverAddress: string): unknown {
  return { kind: 'APIVersions', versions: rows.versions('').map((v) => v.version), serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress }] }
}

/** `/apis/apps`. */
export function apiGroup(groups: readonly GroupJson[], group: string): unknown {
  const found = groups.find(({ name }) => name === group)
  return found && { kind: 'APIGroup', apiVersion: 'v1', ...found }
}

/** `/apis`. */
export function apiGroupList(groups: readonly GroupJson[]): unknown {
  return { kind: 'APIGroupList', apiVersion: 'v1', groups }
}

/** `/api/v1`, `/apis/apps/v1`. */
export function apiResourceList(rows: Rows, group: string, version: string): unknown {
  const found = rows.versions(group).find((v) => v.version === version)
  if (!found) return undefined
  const resources = sortedRows(found).flatMap((row) => [
    {
      name: row.ref.resource, singularName: row.singular, namespaced: row.ref.namespaced, kind: row.ref.kind, verbs: verbsOf(row),
      ...(row.shortNames.length > 0 && { shortNames: row.shortNames }), ...(row.categories.length > 0 && { categories: row.categories }),
      ...storageHash(row),
    },
    ...subresources(row).map((s) => ({
      name: `${row.ref.resource}/${s.name}`, singularName: '', namespaced: row.ref.namespaced,
      ...((s.group !== group || s.version !== version) && { group: s.group, version: s.version }), kind: s.kind, verbs: s.verbs,
    })),
  ])
  return { kind: 'APIResourceList', ...(group !== '' && { apiVersion: 'v1' }), groupVersion: gv(group, version), resources }
}

/** `core`: what `/api` answers; otherwise `/apis`. */
export function aggregatedGroups(rows: Rows, core: boolean): GroupDiscovery[] {
  return [...rows.groups()].filter(([group]) => (group === '') === core).map(([group, versions]) => ({
    metadata: { ...(group !== '' && { name: group }) },
    versions: versions.map((v) => ({ version: v.version, resources: sortedRows(v).map(aggregatedResource), freshness: 'Current' as const })),
  }))
}

export function aggregated(items: readonly GroupDiscovery[], version: AggregatedVersion): unknown {
  return { kind: 'APIGroupDiscoveryList', apiVersion: `apidiscovery.k8s.io/${version}`, metadata: {}, items }
}

function aggregatedResource(row: KindRow): unknown {
  const subs = subresources(row)
  // What is of the resource's own group version is left empty, but for custom resources.
  const responseKind = ({ group, version, kind }: { group: string; version: string; kind: string }) => (row.custom || group !== row.ref.group || version !== row.ref.version ? { group, version, kind } : { group: '', version: '', kind })
  return {
    resource: row.ref.resource, responseKind: responseKind(row.ref),
    scope: row.ref.namespaced ? 'Namespaced' : 'Cluster', singularResource: row.singular, verbs: verbsOf(row),
    ...(row.shortNames.length > 0 && { shortNames: row.shortNames }), ...(row.categories.length > 0 && { categories: row.categories }),
    ...(subs.length > 0 && { subresources: subs.map((s) => ({ subresource: s.name, responseKind: responseKind(s), verbs: s.verbs })) }),
  }
}
