/** OpenAPI v3 of the servers behind this one: their group versions are in the index, each document is asked of them. */
import type { ApiResponse } from '#api/client/transport.ts'
import { isBodyStream } from '#api/client/transport.ts'
import type { Clock } from '#base/clock.ts'
import type { PathHandler } from '../discovery/paths.ts'
import type { Backend } from './api-services.ts'
import { askJson, type BackendClient } from './backend-client.ts'

interface Index { paths: Record<string, { serverRelativeURL: string }> }

/** Upstream asks once a minute. */
const KEPT_MS = 60_000

/** Adds to the index that `own` answers. */
export function withRemoteOpenApi(own: PathHandler, backends: () => ReadonlyMap<string, Backend>, client: BackendClient, clock: Clock): PathHandler {
  const kept = new Map<string, { atMs: number; paths: Index['paths'] }>()

  const pathsOf = async (backend: Backend, signal: AbortSignal): Promise<Index['paths']> => {
    const { namespace, name, port } = backend.service
    const key = `${namespace}/${name}:${port}`
    const before = kept.get(key)
    if (before && clock.monotonicMs() - before.atMs < KEPT_MS) return before.paths
    const asked = await askJson(client, backend, '/openapi/v3', clock, signal)
    // Who does not answer now keeps the entries it had.
    const paths = asked.ok ? ((asked.value as Partial<Index> | null)?.paths ?? {}) : (before?.paths ?? {})
    kept.set(key, { atMs: clock.monotonicMs(), paths })
    return paths
  }

  return async (request) => {
    const response = await own(request)
    const behind = backends()
    if (behind.size === 0 || request.info.path.replace(/\/$/, '') !== '/openapi/v3' || response.status !== 200) return response
    for (const key of kept.keys()) if (![...behind.values()].some(({ service: s }) => `${s.namespace}/${s.name}:${s.port}` === key)) kept.delete(key)
    const available = [...behind.values()].filter((backend) => backend.isAvailable)
    const found = await Promise.all(available.map(async (backend) => [`apis/${backend.group}/${backend.version}`, (await pathsOf(backend, request.signal))[`apis/${backend.group}/${backend.version}`]] as const))
    return indexed(response, found)
  }
}

function indexed(response: ApiResponse, found: readonly (readonly [string, { serverRelativeURL?: unknown } | undefined])[]): ApiResponse {
  if (isBodyStream(response.body)) return response
  const index = JSON.parse((Buffer.isBuffer(response.body) ? response.body : Buffer.concat(response.body)).toString()) as Index
  for (const [path, entry] of found) if (typeof entry?.serverRelativeURL === 'string') index.paths[path] = { serverRelativeURL: entry.serverRelativeURL }
  return { ...response, body: Buffer.from(JSON.stringify(index)) }
}

