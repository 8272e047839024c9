/**
 * Who the servers of the cluster are, as everybody may see it: the ConfigMap kube-system/skiff-servers, one entry per
 * member. Each server writes its own; the one that leads removes those of members that are gone.
 */
import { isReason, type Client } from '#api/client/client.ts'
import { CONFIG_MAPS, type ConfigMap } from '#api/types/index.ts'
import type { MemberId } from '../raft/types.ts'
import { isAddress } from './member-request.ts'

export const SERVERS_NAME = 'skiff-servers'
export const SERVERS_NAMESPACE = 'kube-system'

export interface ServerEntry {
  /** `--node-name`. */
  name: string
  /** `host:port` of its API. */
  address: string
  /** Of the Node on the same machine, once it is there: a server whose Node was deleted leaves the cluster. */
  nodeUid?: string
  /** It is on its way down. */
  stopping?: boolean
  /** An admin asked for its removal. */
  removing?: boolean
}

export type ServerEntries = ReadonlyMap<MemberId, ServerEntry>

/** What cannot be read counts as not there. */
export function parseServers(map: ConfigMap | undefined): ServerEntries {
  const entries = new Map<MemberId, ServerEntry>()
  for (const [key, text] of Object.entries(map?.data ?? {})) {
    const id = Number(key)
    const entry = Number.isSafeInteger(id) && id > 0 ? parseEntry(text) : undefined
    if (entry) entries.set(id, entry)
  }
  return entries
}

function parseEntry(text: string): ServerEntry | undefined {
  try {
    const { name, address, nodeUid, stopping, removing } = JSON.parse(text) as Record<string, unknown>
    if (typeof name !== 'string' || !isAddress(address)) return undefined
    return { name, address, ...(typeof nodeUid === 'string' && { nodeUid }), ...(stopping === true && { stopping }), ...(removing === true && { removing }) }
  } catch {
    // Changed by hand: its server writes it again at its next start.
    return undefined
  }
}

/** Undefined entries are removed; others are left as they are. */
export async function writeServers(client: Client, changes: ReadonlyMap<MemberId, ServerEntry | undefined>, signal?: AbortSignal): Promise<void> {
  const data = Object.fromEntries([...changes].map(([id, entry]) => [String(id), entry === undefined ? null : JSON.stringify(entry)]))
  const options = signal ? { signal } : {}
  for (let attempt = 1; ; attempt++) {
    try {
      await client.patch<ConfigMap>(CONFIG_MAPS, SERVERS_NAME, SERVERS_NAMESPACE, 'application/merge-patch+json', { data }, options)
      return
    } catch (error) {
      if (!isReason(error, 'NotFound') || attempt > 2) throw error
    }
    const present = Object.fromEntries(Object.entries(data).filter((pair): pair is [string, string] => pair[1] !== null))
    try {
      await client.create<ConfigMap>(CONFIG_MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: SERVERS_NAME, namespace: SERVERS_NAMESPACE }, data: present }, options)
      return
    } catch (error) {
      // Another server was faster: patched then.
      if (!isReason(error, 'AlreadyExists')) throw error
    }
  }
}

export async function readServers(client: Client, signal?: AbortSignal): Promise<ServerEntries> {
  try {
    return parseServers(await client.get<ConfigMap>(CONFIG_MAPS, SERVERS_NAME, SERVERS_NAMESPACE, signal))
  } catch (error) {
    if (isReason(error, 'NotFound')) return new Map()
    throw error
  }
}

/** Of a server that is alone: those of a snapshot of several are none of its cluster. */
export async function forgetServers(client: Client): Promise<void> {
  try {
    await client.delete(CONFIG_MAPS, SERVERS_NAME, SERVERS_NAMESPACE)
  } catch (error) {
    if (!isReason(error, 'NotFound')) throw error
  }
}
