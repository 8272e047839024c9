/** Paths that are no resources: discovery, version, health, metrics, OpenAPI. */
import { createHash } from 'node:crypto'
import type { ApiResponse } from '#api/client/transport.ts'
import { parseAccept } from '#api/http/media-types.ts'
import type { UserInfo } from '#api/types/index.ts'
import { ACCEPTED } from '../http/negotiate.ts'
import { PROTOBUF_TYPE } from '../protobuf/index.ts'
import type { Query } from '../http/query.ts'
import type { PathInfo } from '../http/request-info.ts'
import { JSON_TYPE, jsonResponse, yamlResponse } from '../http/response.ts'
import { methodNotAllowed, noSuchResource, notAcceptable } from '../http/status.ts'
import type { GroupDiscovery, GroupJson } from '../aggregation/merged-discovery.ts'
import type { Peer } from '../middleware/authenticate.ts'
import type { Rows } from '../rows.ts'
import { aggregated, aggregatedGroups, AGGREGATED_VERSIONS, apiGroup, apiGroupList, apiResourceList, apiVersions, type AggregatedVersion } from './discovery.ts'
import { checksOf, health, type HealthCheck, type HealthHistory } from './health.ts'

export interface VersionInfo { major: string; minor: string; /** What it behaves as, and the oldest it goes together with. */ emulationMajor?: string; emulationMinor?: string; minCompatibilityMajor?: string; minCompatibilityMinor?: string; gitVersion: string; gitCommit: string; gitTreeState: string; buildDate: string; goVersion: string; compiler: string; platform: string }

export interface PathRequest { method: string; info: PathInfo; query: Query; headers: Readonly<Record<string, string>>; body: Buffer | undefined; user: UserInfo; signal: AbortSignal; peer: Peer }

/** What a path outside this file is served by (`options.extraHandlers`), by exact path or, with a trailing slash, by prefix. */
export type PathHandler = (request: PathRequest) => Promise<ApiResponse> | ApiResponse

export interface PathParts {
  rows: Rows
  /** All groups but the core one, in order, with those that other servers serve. */
  groups: () => GroupJson[]
  /** The same for the aggregated form, given this server's own. */
  merged: (own: readonly GroupDiscovery[]) => GroupDiscovery[]
  version: VersionInfo
  /** host:port that clients may use; shown in /api. */
  serverAddress: string
  checks: readonly HealthCheck[]
  isStopping: () => boolean
  healthHistory: HealthHistory
  healthLog: (text: string) => void
  metrics: () => Buffer
  openapi: PathHandler
  extra: Readonly<Record<string, PathHandler>>
}

/** Anyone may ask these, authorization aside. */
export const OPEN_PATHS: ReadonlySet<string> = new Set(['/livez', '/readyz', '/healthz', '/version', '/version/'])

/** What the cases below begin with. */
const OWN_PATHS: ReadonlySet<string> = new Set(['', 'index.html', 'api', 'apis', 'version', 'livez', 'readyz', 'healthz', 'metrics', 'openapi'])

export async function servePath(parts: PathParts, request: PathRequest): Promise<ApiResponse> {
  const [first = '', second, third, ...more] = request.info.segments
  const extra = findExtra(parts.extra, request.info.path)
  if (extra) return extra(request)
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    // Of group versions that are not there, too.
    if (first === 'api' || first === 'apis') await servePath(parts, { ...request, method: 'GET' })
    throw OWN_PATHS.has(first) ? methodNotAllowed() : noSuchResource()
  }
  switch (first) {
    case '': return jsonResponse({ paths: rootPaths(parts) })
    case 'index.html': return second === undefined ? jsonResponse({ paths: rootPaths(parts) }) : refuse()
    case 'api':
      if (second === undefined) return discoveryDocument(parts, true, request, () => apiVersions(parts.rows, parts.serverAddress))
      return third === undefined ? found(apiResourceList(parts.rows, '', second)) : refuse()
    case 'apis':
      if (second === undefined) return discoveryDocument(parts, false, request, () => apiGroupList(parts.groups()))
      if (more.length > 0) return refuse()
      return found(third === undefined ? apiGroup(parts.groups(), second) : apiResourceList(parts.rows, second, third))
    case 'version': return second === undefined ? jsonResponse(parts.version) : refuse()
    case 'livez': case 'readyz': case 'healthz':
      if (request.info.path.endsWith('/')) return refuse()
      return health(first, second && [second, third, ...more].filter((s) => s !== undefined).join('/'), { checks: parts.checks, isStopping: parts.isStopping(), history: parts.healthHistory, log: parts.healthLog }, request.query)
    case 'metrics': return second !== undefined && second !== 'slis' ? refuse() : { status: 200, headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8; escaping=underscores' }, body: second === 'slis' ? await slis(parts) : parts.metrics() }
    case 'openapi': return parts.openapi(request)
    default: return refuse()
  }
}

function findExtra(extra: PathParts['extra'], path: string): PathHandler | undefined {
  if (Object.hasOwn(extra, path)) return extra[path]
  const prefix = Object.keys(extra).find((p) => p.endsWith('/') && path.startsWith(p))
  return prefix === undefined ? undefined : extra[prefix]
}

function refuse(): never {
  throw noSuchResource()
}

function found(document: unknown): ApiResponse {
  if (document === undefined) throw noSuchResource()
  return jsonResponse(document)
}

/** Aggregated when the client asks for it, else the legacy document. */
function discoveryDocument(parts: PathParts, core: boolean, request: PathRequest, legacy: () => unknown): ApiResponse {
  for (const media of parseAccept(request.headers['accept'])) {
    const { g, v, as } = media.params
    if (media.type === 'application/yaml' && as === undefined) return yamlResponse(jsonResponse(legacy()))
    if (media.type === PROTOBUF_TYPE && as === undefined) return jsonResponse(legacy())
    if (media.type !== JSON_TYPE && media.type !== '*/*' && media.type !== 'application/*') continue
    if (as === undefined) return jsonResponse(legacy())
    const version = AGGREGATED_VERSIONS.find((known) => known === v)
    if (g === 'apidiscovery.k8s.io' && as === 'APIGroupDiscoveryList' && version) return aggregatedResponse(parts, core, version, request.headers['if-none-match'])
  }
  throw notAcceptable(ACCEPTED)
}

/** Clients that keep the document ask by its hash. */
function aggregatedResponse({ rows, merged }: PathParts, core: boolean, version: AggregatedVersion, ifNoneMatch: string | undefined): ApiResponse {
  const own = aggregatedGroups(rows, core)
  const response = jsonResponse(aggregated(core ? own : merged(own), version))
  response.headers['content-type'] = `${JSON_TYPE};g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`
  response.headers['vary'] = 'Accept'
  response.headers['cache-control'] = 'public'
  const etag = `"${createHash('sha512').update(response.body as Buffer).digest('hex').toUpperCase()}"`
  response.headers['etag'] = etag
  return ifNoneMatch === etag ? { ...response, status: 304, body: Buffer.alloc(0) } : response
}

/** Each check as it is now, and how often it was what. */
async function slis({ checks, isStopping, healthHistory }: PathParts): Promise<Buffer> {
  for (const probe of ['healthz', 'livez', 'readyz'] as const) {
    for (const check of checksOf(probe, { checks, isStopping: isStopping() })) healthHistory.note(probe, check.name, (await check.problem()) === undefined)
  }
  return healthHistory.print()
}

/** Of what `/` and `/statusz` list: debugging, and what is skiff's own. */
const UNLISTED = ['/debug/', '/db/', '/skiff/']

/** What `/` lists. */
export function rootPaths({ rows, groups, checks, extra }: PathParts): string[] {
  const all = [...rows.versions('').map((v) => `/api/${v.version}`), ...groups().flatMap(({ name, versions }) => [`/apis/${name}`, ...versions.map((v) => `/apis/${v.groupVersion}`)])]
  const probes = (['healthz', 'livez', 'readyz'] as const).flatMap((p) => [`/${p}`, ...checksOf(p, { checks, isStopping: false }).map((c) => `/${p}/${c.name}`)])
  return ['/api', '/apis', '/apis/', ...all, ...probes, '/metrics', '/metrics/slis', '/openapi/v2', '/openapi/v3', '/openapi/v3/', '/version', ...Object.keys(extra).filter((path) => !UNLISTED.some((prefix) => path.startsWith(prefix)))].sort()
}

