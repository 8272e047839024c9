/**
 * /openapi/v2 and /openapi/v3. Documents are built when asked for and kept only gzipped, a few at a time: clients cache
 * them by hash. The hash is of what a document is made from, so that the index needs none of them.
 */
import { createHash } from 'node:crypto'
import { gunzipSync, gzipSync } from 'node:zlib'
import type { ApiResponse } from '#api/client/transport.ts'
import { parseAccept } from '#api/http/media-types.ts'
import type { SchemaSet } from '#api/schema/schema.ts'
import type { KindRow } from '../kind.ts'
import { documentV2, documentV3, groupVersionsOf, otherDocuments, printV3 } from './documents.ts'
import { encodeOpenApiV2 } from './gnostic.ts'

export interface OpenApiOptions {
  schema: SchemaSet
  /** Looked at anew whenever its generation grows. */
  rows: { readonly all: readonly KindRow[]; readonly generation: number }
  gitVersion: string
  /** What other servers add to version 2; its id changes with it. Asked for with each request. */
  added?: () => { id: string; addTo(document: Record<string, unknown>): void } | undefined
}

export interface OpenApiRequest {
  /** `/openapi/v3/apis/apps/v1`. */
  path: string
  /** The query's `hash`. */
  hash: string | undefined
  /** Lower-case names; accept, accept-encoding and if-none-match are read. */
  headers: Readonly<Record<string, string>>
}

/** Undefined: no such document, 404. */
export type OpenApi = (request: OpenApiRequest) => ApiResponse | undefined

/** Gzipped documents kept: an explain or an apply asks for one or two. About 100 KB each. */
const KEPT_MAX = 3
/** Raised when the documents change though their inputs do not. */
const FORMAT = 4

type Form = 'json' | 'protobuf'

const JSON_MEDIA = new Set(['application/json', '*/*', 'application/*', 'application/com.github.proto-openapi.spec.v3@v1.0+json'])
/** What answers say; clients ask with an `@` in place of the dot before v1.0. Version 3 has a protobuf form upstream that no known client asks for. */
const PROTOBUF_V2 = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf'
const PROTOBUF_V2_MEDIA = new Set([PROTOBUF_V2, 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf'])

export function createOpenApi({ schema, rows: table, gitVersion, added }: OpenApiOptions): OpenApi {
  const look = () => ({ generation: table.generation, rows: table.all, groupVersions: groupVersionsOf(table.all), others: otherDocuments(table.all) })
  const made = look()
  const kept = new Map<string, Buffer>()
  const hashes = new Map<string, string>()

  const refresh = () => {
    if (made.generation === table.generation) return
    Object.assign(made, look())
    // Documents are found by hash: those that did not change are found again.
    hashes.clear()
  }

  const hashOf = (name: string): string => {
    const more = name === 'v2' ? added?.()?.id : undefined
    const key = more === undefined ? name : `${name} ${more}`
    const known = hashes.get(key)
    if (known !== undefined) return known
    const gv = made.groupVersions.get(name)
    const other = made.others.get(name)
    const shown = other ?? made.rows.filter(({ ref }) => !gv || (ref.group === gv.group && ref.version === gv.version)).map(({ ref, model, verbs, subresources, custom }) => ({ ref, model, verbs, subresources, ...(custom && { custom: custom.id }) }))
    const hash = createHash('sha512').update(JSON.stringify([FORMAT, gitVersion, key, shown])).digest('hex').toUpperCase()
    hashes.set(key, hash)
    return hash
  }

  const build = (name: string, form: Form): Buffer | string => {
    const gv = made.groupVersions.get(name)
    const other = made.others.get(name)
    const input = { schema, rows: made.rows, gitVersion }
    const document = gv ? documentV3(input, gv) : other ? printV3(input, other) : documentV2(input)
    if (name === 'v2') added?.()?.addTo(document as Record<string, unknown>)
    return form === 'protobuf' ? encodeOpenApiV2(document) : JSON.stringify(document)
  }

  const gzipped = (name: string, form: Form): Buffer => {
    const key = `${form} ${name} ${hashOf(name)}`
    const bytes = kept.get(key) ?? gzipSync(build(name, form))
    // Last asked for goes last; the first goes first.
    kept.delete(key)
    kept.set(key, bytes)
    for (const oldest of kept.keys()) {
      if (kept.size <= KEPT_MAX) break
      kept.delete(oldest)
    }
    return bytes
  }

  const index = (): Buffer => {
    const paths = [...made.groupVersions.keys(), ...made.others.keys()].toSorted().map((name) => [name, { serverRelativeURL: `/openapi/v3/${name}?hash=${hashOf(name)}` }])
    return Buffer.from(JSON.stringify({ paths: Object.fromEntries(paths) }))
  }

  return ({ path, hash, headers }) => {
    refresh()
    const name = path.replace(/\/$/, '')
    const form = formOf(headers['accept'], name)
    if (!form) return notAcceptable(name)
    if (name === '/openapi/v3') return { status: 200, headers: { 'content-type': 'application/json', vary: 'Accept' }, body: index() }
    const document = name === '/openapi/v2' ? 'v2' : name.startsWith('/openapi/v3/') ? name.slice('/openapi/v3/'.length) : undefined
    if (document === undefined || (document !== 'v2' && !made.groupVersions.has(document) && !made.others.has(document))) return undefined
    const current = hashOf(document)
    // An old hash: the client's index is old. It is sent to the document as it is now.
    if (hash !== undefined && hash !== '' && hash !== current) return { status: 301, headers: { location: `${name}?hash=${current}` }, body: Buffer.alloc(0) }
    const caching = hash ? { 'cache-control': 'public, immutable', expires: FAR } : { 'cache-control': 'no-cache, private' }
    const common = { 'content-type': form === 'protobuf' ? PROTOBUF_V2 : 'application/json', etag: form === 'protobuf' ? `"${current}-P"` : `"${current}"`, vary: 'Accept-Encoding, Accept', ...caching }
    if (headers['if-none-match']?.includes(common.etag)) return { status: 304, headers: common, body: Buffer.alloc(0) }
    const bytes = gzipped(document, form)
    if (/\bgzip\b/.test(headers['accept-encoding'] ?? '')) return { status: 200, headers: { ...common, 'content-encoding': 'gzip' }, body: bytes }
    return { status: 200, headers: common, body: gunzipSync(bytes) }
  }
}

/** HTTP has no "never": upstream says a year from now, which would need a clock. */
const FAR = 'Thu, 31 Dec 2099 00:00:00 GMT'

/** Undefined: none of what the client takes. */
function formOf(accept: string | undefined, name: string): Form | undefined {
  for (const { type } of parseAccept(accept)) {
    if (JSON_MEDIA.has(type)) return 'json'
    if (name === '/openapi/v2' && PROTOBUF_V2_MEDIA.has(type)) return 'protobuf'
  }
  return undefined
}

function notAcceptable(name: string): ApiResponse {
  const types = name === '/openapi/v2' ? `application/json, ${PROTOBUF_V2}` : 'application/json'
  const status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message: `only the following media types are accepted: ${types}`, reason: 'NotAcceptable', code: 406 }
  return { status: 406, headers: { 'content-type': 'application/json' }, body: Buffer.from(JSON.stringify(status)) }
}
