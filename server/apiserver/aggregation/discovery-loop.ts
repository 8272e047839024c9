/**
 * Keeps what the servers behind APIServices say they serve, for the aggregated discovery: asked for when an APIService changes and
 * once a minute, as upstream. A server's whole document at once (`/apis`); one that has none is asked for each group version.
 */
import { backoffMs, type BackoffPolicy } from '#base/backoff.ts'
import type { Clock } from '#base/clock.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import { nothing } from '#base/reconcile/action.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { pathOf, type ApiServices, type Backend } from './api-services.ts'
import { AGGREGATOR, ask, DISCOVERING_AGGREGATOR, type Asking, type BackendClient } from './backend-client.ts'
import { followChanges } from './follow-changes.ts'
import { AGGREGATED_ACCEPT, isAggregated, parseGroupDiscoveryList, parseResourceList, type VersionDiscovery } from './remote-discovery.ts'

export interface DiscoveryLoopDeps { apiServices: ApiServices; backends: BackendClient; clock: Clock; random: Random; log: Log }

/** What each extension API server said last, by the APIService's name. What could not be had is stale, with nothing in it. */
export type Discovered = Map<string, VersionDiscovery>

const REFRESH_MS = 60_000
const RETRY: BackoffPolicy = { baseMs: 500, maxMs: REFRESH_MS, jitter: 0 }
const SERVERS_AT_ONCE = 2

type Versions = ReadonlyMap<string, readonly unknown[]>
/** A server's document as it was last; the tag is sent along when it is asked for again. */
interface Kept { etag: string; versions: Versions }
/** `missing`: APIServices of it of which nothing could be learned. */
interface View { missing: readonly string[]; failures: number }

/** One server may serve many group versions. */
const serverOf = ({ service: { namespace, name, port } }: Backend): string => `${namespace}/${name}:${port}`
/** What was heard from whoever the network sent is not passed on as the word of one that is verified. */
const trustOf = ({ insecure, ca }: Backend): string => (insecure ? 'insecure' : ca ?? '')

export async function runDiscovery(deps: DiscoveryLoopDeps, discovered: Discovered, signal: AbortSignal): Promise<void> {
  const { apiServices, clock, random } = deps
  const kept = new Map<string, Map<string, Kept>>()
  const failures = new Map<string, number>()
  const backendsOf = (server: string): Backend[] => [...apiServices.backends().values()].filter((backend) => serverOf(backend) === server)
  const loop = createLoop<View, never>({
    name: 'apiservice-discovery',
    async observe(server, stop) {
      // Whether they are said to be available or not: only what they serve is asked for.
      const behind = backendsOf(server)
      if (behind.length === 0) return undefined
      const documents = kept.get(server) ?? new Map<string, Kept>()
      kept.set(server, documents)
      const missing: string[] = []
      for (const [trust, group] of Map.groupBy(behind, trustOf)) {
        for (const [backend, found] of await discover({ client: deps.backends, clock, signal: stop }, group, documents, trust)) {
          discovered.set(backend.name, found)
          if (found.freshness === 'Stale') missing.push(backend.name)
        }
      }
      // It may have gone while it was asked.
      forget(apiServices, discovered, kept, failures)
      failures.set(server, missing.length > 0 ? (failures.get(server) ?? 0) + 1 : 0)
      return { missing, failures: failures.get(server) ?? 0 }
    },
    decide: ({ missing, failures: count }, { nowMs }) => (missing.length > 0 ? nothing(`nothing was learned of ${missing.join(', ')}`, nowMs + backoffMs(RETRY, count)) : nothing('all is known', nowMs + REFRESH_MS)),
    effects: () => ({}),
  }, { clock, random, log: deps.log, workers: SERVERS_AT_ONCE })

  const changed = (): void => forget(apiServices, discovered, kept, failures)
  const all = (): void => {
    changed()
    for (const backend of apiServices.backends().values()) loop.queue.add(serverOf(backend))
  }
  const own = await apiServices.open()
  const stop = own && followChanges(own, ({ name }) => {
    changed()
    const backend = apiServices.backends().get(name)
    if (backend) loop.queue.add(serverOf(backend))
  }, all)
  all()
  try {
    await loop.run(signal)
  } finally {
    stop?.()
  }
}

function forget(apiServices: ApiServices, discovered: Discovered, kept: Map<string, unknown>, failures: Map<string, number>): void {
  const backends = apiServices.backends()
  const servers = new Set([...backends.values()].map(serverOf))
  for (const name of discovered.keys()) if (!backends.has(name)) discovered.delete(name)
  for (const server of kept.keys()) {
    if (servers.has(server)) continue
    kept.delete(server)
    failures.delete(server)
  }
}

const stale = (version: string): VersionDiscovery => ({ version, freshness: 'Stale' })

/** Of one server, which all of `group` trust alike. */
async function discover(asking: Asking, group: readonly Backend[], documents: Map<string, Kept>, trust: string): Promise<Map<Backend, VersionDiscovery>> {
  const [first] = group
  const document = first && await askDocument(asking, first, documents.get(trust))
  if (document === undefined || document === 'none') documents.delete(trust)
  else documents.set(trust, document)
  const found = new Map<Backend, VersionDiscovery>()
  for (const backend of group) {
    const resources = document === 'none' ? await askVersion(asking, backend) : document && (document.versions.get(backend.name) ?? [])
    found.set(backend, resources ? { version: backend.version, ...(resources.length > 0 && { resources }), freshness: 'Current' } : stale(backend.version))
  }
  return found
}

/** Undefined: it could not be had; `none`: this server has none. */
async function askDocument(asking: Asking, backend: Backend, before: Kept | undefined): Promise<Kept | 'none' | undefined> {
  const asked = await ask(asking, backend, { path: '/apis', headers: { accept: AGGREGATED_ACCEPT, ...(before && before.etag !== '' && { 'if-none-match': before.etag }) }, user: AGGREGATOR })
  if (!asked.ok || asked.answer.status === 503) return undefined
  const { status, headers, text } = asked.answer
  if (status === 304 && before) return before
  if (status !== 200 || !isAggregated(headers['content-type'])) return 'none'
  const versions = parseGroupDiscoveryList(text)
  return versions && { etag: headers.etag ?? '', versions }
}

async function askVersion(asking: Asking, backend: Backend): Promise<readonly unknown[] | undefined> {
  const asked = await ask(asking, backend, { path: pathOf(backend), headers: { accept: 'application/json' }, user: DISCOVERING_AGGREGATOR })
  return asked.ok && asked.answer.status === 200 ? parseResourceList(asked.answer.text, backend.group, backend.version) : undefined
}
