/** Requests that a careless, a broken or an unkind client might send. */
import { dump } from 'js-yaml'
import { apiVersionOf, type KubeObject } from '#api/types/index.ts'
import type { KindRow } from '#server/apiserver/kind.ts'
import { encodeProtobuf, hasProtobuf, PROTOBUF_TYPE } from '#server/apiserver/protobuf/index.ts'
import { BODIES, mutateBytes } from './bytes.ts'
import type { Chance } from './chance.ts'
import { anyJson, mutateStructure, objectOf, type Json } from './objects.ts'

export interface FuzzRequest { method: string; path: string; headers: Record<string, string>; body?: Buffer }

const NAMES = ['a', 'b', 'default', 'web']
const NAMESPACES = ['default', 'default', 'default', 'kube-system', 'nowhere']
const METHODS = ['GET', 'GET', 'POST', 'POST', 'PUT', 'PATCH', 'PATCH', 'PATCH', 'DELETE']
const RARE_METHODS = ['HEAD', 'OPTIONS', 'TRACE', 'CONNECT', 'x']
const APPLY = 'application/apply-patch+yaml'
const PATCH_TYPES = ['application/json-patch+json', 'application/merge-patch+json', 'application/strategic-merge-patch+json', APPLY]
const TYPES = ['application/json', 'application/yaml', PROTOBUF_TYPE, 'application/json; charset=utf-8', 'text/plain', '', 'application/cbor', 'a/b;;;=;"']
const ACCEPTS = ['application/json', PROTOBUF_TYPE, 'application/yaml', '*/*', `${PROTOBUF_TYPE};q=0.5,application/json;q=0.1`, 'application/json;as=Table;v=v1;g=meta.k8s.io', 'application/json;as=Table;v=v9;g=x,application/json', `${PROTOBUF_TYPE};as=PartialObjectMetadata;v=v1;g=meta.k8s.io`, 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io', 'text/html', ';;;,,,', 'application/json;stream=watch', 'application/yaml;as=Table;v=v1;g=meta.k8s.io']
/** Paths that are no resources. */
const PATHS = ['/', '/api', '/apis', '/api/v1', '/apis/apps', '/apis/apps/v1', '/version', '/livez?verbose', '/readyz/ping', '/metrics', '/openapi/v2', '/openapi/v3', '/openapi/v3/apis/apps/v1', '/logs', '//', '/api//v1', '/apis/%2e%2e/x', '/api/v1/namespaces//pods', '/api/v1/namespaces/%00/pods', '/api/v1/pods/%', '/healthz/../x']
const QUERIES: Readonly<Record<string, readonly string[]>> = {
  limit: ['1', '0', '-1', '999999999999999999999', 'x', ''], continue: ['x', 'e30', 'AAAA', '%ff'], resourceVersion: ['', '0', '1', '5', '99999', '9999999999999999', '-1', 'x'],
  resourceVersionMatch: ['Exact', 'NotOlderThan', 'x'], watch: ['1', 'true', '0', 'x'], sendInitialEvents: ['true', 'false', 'x'], allowWatchBookmarks: ['true', 'x'], timeoutSeconds: ['1', '0', '-1', 'x', '99999999'],
  labelSelector: ['a=b', 'a in (b', 'a,!b', '=', 'a==b,c!=d', ',,,', 'a>x', '('.repeat(500)], fieldSelector: ['metadata.name=a', 'metadata.name=a,metadata.name=b', 'spec.nodeName!=', '=', 'x', '\\', 'metadata.namespace=default'],
  shardSelector: ["shardRange(object.metadata.uid, '0x0', '0x8000000000000000')", 'shardRange(', '||'], dryRun: ['All', 'x', ''], fieldManager: ['m', 'x'.repeat(200), '\u0000', ''], fieldValidation: ['Strict', 'Warn', 'Ignore', 'x'], force: ['true', 'false', 'x'],
  propagationPolicy: ['Background', 'Foreground', 'Orphan', 'x'], orphanDependents: ['true', 'x'], gracePeriodSeconds: ['0', '-1', 'x', '30'], pretty: ['1', 'x'], includeObject: ['None', 'Object', 'x'], ignoreStoreReadErrorWithClusterBreakingPotential: ['true'], exact: ['1'], '': ['', '='], '%': ['%'], __proto__: ['x'],
}

/** An object that is stored, as it was answered, and where. */
export interface Known { path: string; object: Json }

/** Rows that are `quiet` are written as dry runs alone. */
export function makeRequest(chance: Chance, rows: readonly KindRow[], known: readonly Known[], quiet: (row: KindRow) => boolean): FuzzRequest {
  const headers = headersOf(chance)
  if (chance.oneIn(25)) return { method: chance.pick(METHODS), path: damaged(chance, chance.pick(PATHS)), headers }
  if (known.length > 0 && !chance.oneIn(3)) return changeKnown(chance, chance.pick(known), headers)
  const row = chance.pick(rows)
  const method = chance.oneIn(30) ? chance.pick(RARE_METHODS) : chance.pick(METHODS)
  const name = chance.pick(NAMES)
  const path = pathTo(chance, row, method, name)
  const isSilenced = quiet(row) && method !== 'GET'
  const query = queryOf(chance, isSilenced)
  const hasBody = method === 'POST' || method === 'PUT' || method === 'PATCH' || (method === 'DELETE' && chance.oneIn(2) && !isSilenced)
  const target = isSilenced ? `${path}${query}` : damaged(chance, `${path}${query}`)
  if (!hasBody) return { method, path: target, headers }
  const { type, body } = method === 'PATCH' ? patchBody(chance, chance.pick(PATCH_TYPES), partOf(chance, row, name)) : objectBody(chance, row, method, name)
  return { method, path: target, headers: { ...headers, ...(chance.oneIn(30) ? { 'content-type': chance.pick(TYPES) } : { 'content-type': type }) }, body }
}

/** Something near to what is there: an update, a patch, an apply, a part of it, a deletion. */
function changeKnown(chance: Chance, { path, object }: Known, headers: Record<string, string>): FuzzRequest {
  const sub = chance.oneIn(6) ? `/${chance.pick(['status', 'scale', 'eviction', 'binding', 'resize', 'ephemeralcontainers', 'token', 'approval'])}` : ''
  const target = `${path}${sub}${chance.oneIn(4) ? queryOf(chance, false) : `?fieldManager=${chance.pick(['m', 'n'])}`}`
  const copy = JSON.parse(JSON.stringify(object)) as Json
  const metadata = copy['metadata'] as Json
  if (!chance.oneIn(4)) delete metadata['resourceVersion']
  const type = chance.pick(PATCH_TYPES)
  const isApply = type === APPLY
  if (isApply || !chance.oneIn(4)) delete metadata['managedFields']
  let value: unknown = copy
  for (let n = chance.int(4); n > 0; n--) value = mutateStructure(chance, value)
  switch (chance.int(9)) {
    case 0: return { method: 'DELETE', path: target, headers }
    case 1: return { method: 'GET', path: target, headers }
    case 2: return { method: 'POST', path: `${path.slice(0, path.lastIndexOf('/'))}`, headers: { ...headers, 'content-type': 'application/json' }, body: bodyOf({ ...copy, metadata: { ...metadata, name: chance.pick(NAMES), resourceVersion: undefined, uid: undefined } }) }
    case 3: case 4: return { method: 'PUT', path: target, headers: { ...headers, 'content-type': 'application/json' }, body: bodyOf(value) }
    default: {
      const { type: contentType, body } = patchBody(chance, type, isApply ? value : trimmed(chance, value))
      return { method: 'PATCH', path: isApply && !target.includes('force') && chance.oneIn(2) ? `${target}${target.includes('?') ? '&' : '?'}force=true` : target, headers: { ...headers, 'content-type': contentType }, body }
    }
  }
}

const bodyOf = (value: unknown): Buffer => Buffer.from(JSON.stringify(value) ?? 'null')

/** A patch of a whole object says little: some of it goes. Changes the value. */
function trimmed(chance: Chance, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  for (const key of Object.keys(value)) {
    if (chance.oneIn(2)) Reflect.deleteProperty(value, key)
    else trimmed(chance, (value as Json)[key])
  }
  return value
}

function pathTo(chance: Chance, { ref, subresources }: KindRow, method: string, name: string): string {
  const root = ref.group === '' ? `/api/${ref.version}` : `/apis/${ref.group}/${ref.version}`
  const watch = chance.oneIn(40) ? '/watch' : ''
  const namespace = ref.namespaced && !chance.oneIn(10) ? `/namespaces/${chance.pick(NAMESPACES)}` : ''
  const isOne = method === 'POST' ? chance.oneIn(15) : method === 'PUT' || method === 'PATCH' ? !chance.oneIn(15) : !chance.oneIn(3)
  const sub = isOne && chance.oneIn(5) ? `/${chance.oneIn(8) ? chance.pick(['status', 'scale', 'proxy/x', 'log', 'exec', 'eviction', 'nope']) : (subresources[chance.int(subresources.length)] ?? 'status')}` : ''
  return `${root}${watch}${namespace}/${ref.resource}${isOne ? `/${chance.oneIn(20) ? chance.pick(NAMES) : name}${sub}` : ''}`
}

function queryOf(chance: Chance, isDryRun: boolean): string {
  const params = new URLSearchParams(isDryRun ? { dryRun: 'All' } : {})
  for (let n = chance.int(3); n > 0; n--) {
    const name = chance.pick(Object.keys(QUERIES))
    if (!isDryRun || name !== 'dryRun') params.append(name, chance.pick(QUERIES[name] ?? ['']))
  }
  if (!params.has('fieldManager') && chance.oneIn(2)) params.set('fieldManager', chance.pick(['m', 'n']))
  const text = params.toString()
  return text === '' ? '' : `?${text}`
}

function headersOf(chance: Chance): Record<string, string> {
  return {
    ...(chance.oneIn(4) && { accept: chance.pick(ACCEPTS) }),
    ...(chance.oneIn(10) && { 'user-agent': chance.pick(['kubectl/v1', 'curl/8', '', '/', '\u0000x', 'x'.repeat(5_000)]) }),
    ...(chance.oneIn(40) && { 'impersonate-user': chance.pick(['bob', 'system:serviceaccount:default:x', '']) }),
    ...(chance.oneIn(40) && { 'audit-id': 'x'.repeat(chance.int(200)) }),
    ...(chance.oneIn(40) && { 'accept-encoding': chance.pick(['gzip', 'x;;q', 'gzip;q=0']) }),
    ...(chance.oneIn(40) && { authorization: chance.pick(['Bearer', 'Basic x', 'Bearer a.b.c']) }),
  }
}

function objectBody(chance: Chance, row: KindRow, method: string, name: string): { type: string; body: Buffer } {
  if (chance.oneIn(25)) return { type: chance.pick(TYPES), body: chance.pick(BODIES) }
  const model = method === 'DELETE' ? 'DeleteOptions' : row.custom ? 'ConfigMap' : row.model
  const object = named(chance, objectOf(chance, model), row, name)
  const wanted = method === 'DELETE' ? { ...object, kind: 'DeleteOptions', apiVersion: 'v1' } : object
  const value = chance.oneIn(2) ? wanted : mutateStructure(chance, wanted)
  const encoded = encode(chance, value, model)
  return chance.oneIn(4) ? { type: encoded.type, body: mutateBytes(chance, encoded.body) } : encoded
}

/** So that most go past the checks of who they claim to be. */
function named(chance: Chance, object: Json, { ref }: KindRow, name: string): Json {
  const metadata = typeof object['metadata'] === 'object' && object['metadata'] !== null ? (object['metadata'] as Json) : {}
  for (const key of ['namespace', 'uid', 'resourceVersion', 'deletionTimestamp', 'generateName', 'name']) if (!chance.oneIn(10)) delete metadata[key]
  for (const key of ['ownerReferences', 'finalizers', 'managedFields', 'labels', 'annotations']) if (!chance.oneIn(4)) delete metadata[key]
  metadata['name'] ??= name
  return { ...object, kind: ref.kind, apiVersion: apiVersionOf(ref), metadata }
}

function encode(chance: Chance, value: unknown, model: string): { type: string; body: Buffer } {
  if (chance.oneIn(4) && hasProtobuf(model) && typeof value === 'object' && value !== null && !Array.isArray(value)) {
    try {
      return { type: PROTOBUF_TYPE, body: encodeProtobuf(value as KubeObject, model) }
    } catch {
      // A value of a wrong type has no such form: it goes as JSON.
    }
  }
  if (chance.oneIn(6)) return { type: 'application/yaml', body: Buffer.from(dump(value, { noRefs: true, skipInvalid: true })) }
  return { type: 'application/json', body: Buffer.from(JSON.stringify(value) ?? 'null') }
}

function patchBody(chance: Chance, type: string, wanted: unknown): { type: string; body: Buffer } {
  if (chance.oneIn(25)) return { type, body: chance.pick(BODIES) }
  const value = type === 'application/json-patch+json' ? jsonPatch(chance) : wanted
  const patch = type === 'application/strategic-merge-patch+json' ? withDirectives(chance, value) : value
  const body = Buffer.from(JSON.stringify(chance.oneIn(3) ? mutateStructure(chance, patch) : patch) ?? 'null')
  return { type, body: chance.oneIn(6) ? mutateBytes(chance, body) : body }
}

function partOf(chance: Chance, row: KindRow, name: string): Json {
  const object = named(chance, objectOf(chance, row.custom ? 'ConfigMap' : row.model), row, name)
  if (chance.oneIn(2)) delete (object['metadata'] as Json)['name']
  return object
}

const POINTERS = ['', '/', '/metadata', '/metadata/labels/a', '/metadata/name', '/metadata/managedFields', '/spec', '/spec/containers/0', '/spec/containers/-', '/spec/template/spec/containers/0/ports/-1', '/data/a~1b', '/data/~2', '/__proto__/x', '/metadata/resourceVersion', '/status', 'x']
function jsonPatch(chance: Chance): unknown {
  return Array.from({ length: 1 + chance.int(4) }, () => ({ op: chance.pick(['add', 'remove', 'replace', 'move', 'copy', 'test', 'x']), path: chance.pick(POINTERS), from: chance.pick(POINTERS), value: anyJson(chance, 4) }))
}

/** Sprinkles strategic merge patch's own keys. Changes the value. */
function withDirectives(chance: Chance, value: unknown, depth = 0): unknown {
  if (typeof value !== 'object' || value === null || depth > 8) return value
  if (Array.isArray(value)) {
    if (chance.oneIn(6)) value.push({ $patch: chance.pick(['replace', 'delete', 'merge', 'x']), name: 'a' })
    for (const item of value as unknown[]) withDirectives(chance, item, depth + 1)
    return value
  }
  const object = value as Json
  for (const key of Object.keys(object)) {
    withDirectives(chance, object[key], depth + 1)
    if (Array.isArray(object[key]) && chance.oneIn(4)) object[`$setElementOrder/${key}`] = chance.oneIn(3) ? anyJson(chance, 6) : object[key]
    if (Array.isArray(object[key]) && chance.oneIn(8)) object[`$deleteFromPrimitiveList/${key}`] = chance.oneIn(3) ? anyJson(chance, 6) : ['a', 1]
  }
  if (chance.oneIn(15)) object['$patch'] = chance.pick(['replace', 'delete', 'merge', 'x'])
  if (chance.oneIn(15)) object['$retainKeys'] = chance.oneIn(2) ? ['name', 'type'] : anyJson(chance, 6)
  return object
}

function damaged(chance: Chance, target: string): string {
  return chance.oneIn(15) ? mutateBytes(chance, Buffer.from(target)).toString('latin1').replace(/^(?!\/)/, '/') : target
}
