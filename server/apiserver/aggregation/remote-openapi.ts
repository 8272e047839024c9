/**
 * OpenAPI of the servers behind this one. Version 3: their group versions are in the index, each document is asked of them.
 * Version 2: what they say of their group versions is merged into the one document. Asked for when somebody asks here.
 */
import { createHash } from 'node:crypto'
import { isBodyStream, type ApiResponse } from '#api/client/transport.ts'
import type { Clock } from '#base/clock.ts'
import type { PathHandler } from '../discovery/paths.ts'
import type { Backend } from './api-services.ts'
import { askJson, type BackendClient } from './backend-client.ts'
import { addSubset, subsetOf, type Swagger } from './merged-openapi.ts'

interface Index { paths: Record<string, { serverRelativeURL: string }> }

/** What is added to this server's version 2. `id` changes with it. */
export interface AddedOpenApi { id: string; addTo(document: Record<string, unknown>): void }

export interface RemoteOpenApi {
  /** Undefined: nothing. Known since the last request for it. */
  added(): AddedOpenApi | undefined
  wrap(own: PathHandler): PathHandler
}

/** Upstream asks once a minute. */
const KEPT_MS = 60_000

export function createRemoteOpenApi(backends: () => ReadonlyMap<string, Backend>, client: BackendClient, clock: Clock): RemoteOpenApi {
  const v3 = createKept<Index['paths']>(clock, async (backend, signal) => {
    const asked = await askJson({ client, clock, signal }, backend, '/openapi/v3')
    return asked.ok ? ((asked.answer as Partial<Index> | null)?.paths ?? {}) : undefined
  })
  // As text: it lies about for long and is seldom used.
  const v2 = createKept<{ text: string; id: string }>(clock, async (backend, signal) => {
    const asked = await askJson({ client, clock, signal }, backend, '/openapi/v2')
    if (!asked.ok) return undefined
    const text = JSON.stringify(subsetOf(asked.answer, backend.group, backend.version) ?? {})
    return { text, id: createHash('sha256').update(text).digest('base64') }
  })
  const available = (): Backend[] => [...backends().values()].filter((backend) => backend.isAvailable)

  return {
    added() {
      const parts = available().flatMap(({ name }) => v2.get(name) ?? []).filter(({ text }) => text !== '{}')
      if (parts.length === 0) return undefined
      return { id: parts.map(({ id }) => id).join(' '), addTo: (document) => { for (const { text } of parts) addSubset(document, JSON.parse(text) as Swagger) } }
    },
    wrap: (own) => async (request) => {
      const behind = available()
      const path = request.info.path.replace(/\/$/, '')
      for (const kept of [v2, v3]) kept.keepOnly(backends())
      if (path === '/openapi/v2') await Promise.all(behind.map((backend) => v2.refresh(backend, request.signal)))
      const response = await own(request)
      if (behind.length === 0 || path !== '/openapi/v3' || response.status !== 200) return response
      const found = await Promise.all(behind.map(async (backend) => {
        const name = `apis/${backend.group}/${backend.version}`
        return [name, (await v3.refresh(backend, request.signal))?.[name]] as const
      }))
      return indexed(response, found)
    },
  }
}

interface Kept<T> {
  /** As it was last. */
  get(name: string): T | undefined
  /** Asks again when it is old; who does not answer keeps what it had. */
  refresh(backend: Backend, signal: AbortSignal): Promise<T | undefined>
  keepOnly(names: ReadonlyMap<string, unknown>): void
}

function createKept<T>(clock: Clock, ask: (backend: Backend, signal: AbortSignal) => Promise<T | undefined>): Kept<T> {
  const kept = new Map<string, { atMs: number; value: T | undefined }>()
  return {
    get: (name) => kept.get(name)?.value,
    async refresh(backend, signal) {
      const before = kept.get(backend.name)
      if (before && clock.monotonicMs() - before.atMs < KEPT_MS) return before.value
      const value = (await ask(backend, signal)) ?? before?.value
      kept.set(backend.name, { atMs: clock.monotonicMs(), value })
      return value
    },
    keepOnly(names) {
      for (const name of kept.keys()) if (!names.has(name)) kept.delete(name)
    },
  }
}

function indexed(response: ApiResponse, found: readonly (readonly [string, { serverRelativeURL?: unknown } | undefined])[]): ApiResponse {
  if (isBodyStream(response.body)) return response
  const index = JSON.parse((Buffer.isBuffer(response.body) ? response.body : Buffer.concat(response.body)).toString()) as Index
  for (const [path, entry] of found) if (typeof entry?.serverRelativeURL === 'string') index.paths[path] = { serverRelativeURL: entry.serverRelativeURL }
  return { ...response, body: Buffer.from(JSON.stringify(index)) }
}
