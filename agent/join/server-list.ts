/**
 * The servers that this node knows: those it was told, and those of the `kubernetes` Service, which holds every server
 * that is there. Kept on disk: a node that starts while its first server is down finds the others.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Informers } from '#api/client/client.ts'
import { ENDPOINT_SLICES, type EndpointSlice } from '#api/types/index.ts'
import { writeFileAtomic } from '#base/atomic-file.ts'
import { asError, hasCode } from '#base/errors.ts'
import type { Log } from '#base/log.ts'

export interface ServerList {
  /** `https://host:port`; those of the command line first. */
  current(): readonly string[]
  /** From now on it follows what the API says. The informers are started by the caller. */
  follow(informers: Informers): void
  onChange(listener: () => void): () => void
}

/** More are not believed. */
const SERVERS_MAX = 64
const SERVICE_LABEL = 'kubernetes.io/service-name'

export async function openServerList(options: { configured: readonly string[]; dataDir: string; log: Log }): Promise<ServerList> {
  const { configured } = options
  const log = options.log.with('servers')
  const path = join(options.dataDir, 'servers.json')
  let learned = await readList(path)
  const listeners = new Set<() => void>()
  let writing: Promise<void> = Promise.resolve()

  const learn = (found: readonly string[]): void => {
    // Nobody can tell that there are none.
    if (found.length === 0 || (found.length === learned.length && found.every((s, i) => s === learned[i]))) return
    learned = found
    log.info('servers of the cluster', { servers: found.join(' ') })
    writing = writing.then(() => writeFileAtomic(path, JSON.stringify(found), { mode: 0o644, directoryMode: 0o700 })).catch((error: unknown) => log.warn('the servers of the cluster could not be noted', { error: asError(error) }))
    for (const listener of listeners) listener()
  }

  return {
    current: () => [...new Set([...configured, ...learned])],
    follow(informers) {
      const slices = informers.of<EndpointSlice>(ENDPOINT_SLICES)
      const isOurs = (slice: EndpointSlice | undefined) => slice?.metadata?.namespace === 'default' && slice.metadata.labels?.[SERVICE_LABEL] === 'kubernetes'
      const look = () => { if (slices.hasSynced()) learn(serversOf(slices.inNamespace('default').filter(isOurs))) }
      void slices.synced.then(look)
      slices.onChange((before, after) => { if (isOurs(after ?? before)) look() })
    },
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

/** In order, so that the same servers are the same list. */
export function serversOf(slices: readonly EndpointSlice[]): string[] {
  const urls = slices.flatMap((slice) => (slice.endpoints ?? []).flatMap((endpoint) => (endpoint.conditions?.ready === false ? [] : endpoint.addresses)).flatMap((address) => {
    const port = slice.ports?.find((p) => p.name === 'https')?.port
    return port === undefined ? [] : [`https://${address.includes(':') ? `[${address}]` : address}:${port}`]
  }))
  return [...new Set(urls)].sort().slice(0, SERVERS_MAX)
}

async function readList(path: string): Promise<readonly string[]> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'))
    return Array.isArray(value) ? value.filter((s): s is string => typeof s === 'string' && s.startsWith('https://') && URL.canParse(s)).slice(0, SERVERS_MAX) : []
  } catch (error) {
    // Damaged: the API tells them again.
    if (hasCode(error, 'ENOENT') || error instanceof SyntaxError) return []
    throw error
  }
}
