import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { builtinSchema as schema } from '#api/schema/index.ts'
import type { ApiResponse } from '#api/client/transport.ts'
import { createOpenApi } from './index.ts'
import { documentV2, documentV3, groupVersionsOf } from './documents.ts'
import { encodeOpenApiV2 } from './gnostic.ts'
import { valuesByField } from './enums.ts'
import { rows } from '../registry.ts'

const gitVersion = 'v1.36.0'
const openapi = createOpenApi({ schema, rows: { all: rows, generation: 0 }, gitVersion })
const get = (path: string, headers: Record<string, string> = {}): ApiResponse => {
  const [pathname = '', query] = path.split('?hash=')
  const response = openapi({ path: pathname, hash: query, headers })
  assert.ok(response, path)
  return response
}
const bodyOf = (response: ApiResponse) => JSON.parse((response.body as Buffer).toString()) as unknown
const index = () => (bodyOf(get('/openapi/v3')) as { paths: Record<string, { serverRelativeURL: string }> }).paths

interface Doc { paths: Record<string, Record<string, { operationId?: string; 'x-kubernetes-action'?: string }>>; components: { schemas: Record<string, Record<string, unknown>> }; definitions: Record<string, unknown> }
const core = documentV3({ schema, rows, gitVersion }, { group: '', version: 'v1' }) as Doc

function refsIn(value: unknown, found = new Set<string>()): Set<string> {
  if (typeof value !== 'object' || value === null) return found
  for (const [key, inner] of Object.entries(value)) {
    if (key === '$ref' && typeof inner === 'string') found.add(inner)
    else refsIn(inner, found)
  }
  return found
}

test('the index names each group version and each other document once, in order, with the hash that its document answers to', () => {
  const others = ['.well-known/openid-configuration', 'api', 'apis', 'openid/v1/jwks', 'version', ...new Set(rows.filter(({ ref }) => ref.group !== '').map(({ ref }) => `apis/${ref.group}`))]
  assert.deepStrictEqual(Object.keys(index()), [...groupVersionsOf(rows).keys(), ...others].toSorted())
  assert.deepStrictEqual(Object.keys((bodyOf(get('/openapi/v3/apis/apps')) as Doc).paths), ['/apis/apps/'])
  const { serverRelativeURL } = index()['apis/apps/v1'] ?? { serverRelativeURL: '' }
  assert.match(serverRelativeURL, /^\/openapi\/v3\/apis\/apps\/v1\?hash=[0-9A-F]{128}$/)
  const response = get(serverRelativeURL)
  assert.deepStrictEqual([response.status, response.headers['cache-control'], response.headers['content-type']], [200, 'public, immutable', 'application/json'])
})

test('an old hash is sent to the document as it is now', () => {
  const moved = get('/openapi/v3/api/v1?hash=OLD')
  assert.deepStrictEqual([moved.status, moved.headers['location']], [301, index()['api/v1']?.serverRelativeURL])
})

test('documents are gzipped for who can read that, and 304 for who has them', () => {
  const plain = get('/openapi/v3/api/v1')
  const packed = get('/openapi/v3/api/v1', { 'accept-encoding': 'deflate, gzip' })
  assert.equal(packed.headers['content-encoding'], 'gzip')
  assert.deepStrictEqual(gunzipSync(packed.body as Buffer), plain.body)
  assert.deepStrictEqual(bodyOf(plain), JSON.parse(JSON.stringify(core)))
  assert.equal(get('/openapi/v3/api/v1', { 'if-none-match': plain.headers['etag'] ?? '' }).status, 304)
})

test('version 2 has a protobuf form for who asks for it, by either of its names, with its own etag', () => {
  const asked = ['v2@v1.0', 'v2.v1.0'].map((name) => get('/openapi/v2', { accept: `application/com.github.proto-openapi.spec.${name}+protobuf, application/json;q=0.5` }))
  assert.deepStrictEqual(asked.map((r) => [r.status, r.headers['content-type'], r.body]), asked.map(() => [200, 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf', encodeOpenApiV2(documentV2({ schema, rows, gitVersion }))]))
  const json = get('/openapi/v2', { accept: 'application/json, application/com.github.proto-openapi.spec.v2@v1.0+protobuf' })
  assert.equal(json.headers['content-type'], 'application/json')
  assert.notEqual(json.headers['etag'], asked[0]?.headers['etag'])
  assert.equal(get('/openapi/v2', { accept: 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf', 'if-none-match': asked[0]?.headers['etag'] ?? '' }).status, 304)
})

test('forms nobody serves are refused with 406, unknown documents are not there', () => {
  assert.equal(get('/openapi/v3/api/v1', { accept: 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf' }).status, 406)
  assert.equal(get('/openapi/v2', { accept: 'text/html' }).status, 406)
  assert.equal(openapi({ path: '/openapi/v3/apis/nope/v1', hash: undefined, headers: {} }), undefined)
  assert.equal(openapi({ path: '/openapi/v4', hash: undefined, headers: {} }), undefined)
})

test('what is seldom asked for is built again, not kept: the answer is the same', () => {
  const first = get('/openapi/v3/api/v1').body
  for (const path of groupVersionsOf(rows).keys()) get(`/openapi/v3/${path}`)
  assert.deepStrictEqual(get('/openapi/v3/api/v1').body, first)
})

test('in all documents every reference resolves and every operation id is unique', () => {
  const documents = [documentV2({ schema, rows, gitVersion }), ...[...groupVersionsOf(rows).values()].map((gv) => documentV3({ schema, rows, gitVersion }, gv))] as Doc[]
  for (const document of documents) {
    const names = document.definitions ? Object.keys(document.definitions).map((n) => `#/definitions/${n}`) : Object.keys(document.components.schemas).map((n) => `#/components/schemas/${n}`)
    assert.deepStrictEqual([...refsIn(document)].filter((ref) => !names.includes(ref)), [])
    const ids = Object.values(document.paths).flatMap((item) => Object.values(item).map((o) => o.operationId)).filter((id) => id !== undefined)
    assert.equal(new Set(ids).size, ids.length)
  }
})

test('a path carries upstream\'s operations', () => {
  const actions = (path: string) => Object.fromEntries(Object.entries(core.paths[path] ?? {}).filter(([m]) => m !== 'parameters').map(([m, o]) => [m, `${o['x-kubernetes-action']} ${o.operationId}`]))
  assert.deepStrictEqual(actions('/api/v1/namespaces/{namespace}/pods'), { get: 'list listCoreV1NamespacedPod', post: 'post createCoreV1NamespacedPod', delete: 'deletecollection deleteCoreV1CollectionNamespacedPod' })
  assert.deepStrictEqual(actions('/api/v1/namespaces/{namespace}/pods/{name}/exec'), { get: 'connect connectCoreV1GetNamespacedPodExec', post: 'connect connectCoreV1PostNamespacedPodExec' })
  assert.deepStrictEqual(actions('/api/v1/namespaces/{namespace}/pods/{name}/eviction'), { post: 'post createCoreV1NamespacedPodEviction' })
})

test('kubectl finds what it checks before it trusts the server with field validation', () => {
  const patch = core.paths['/api/v1/namespaces/{namespace}/configmaps/{name}']?.['patch'] as unknown as { parameters: { name: string; in: string }[]; 'x-kubernetes-group-version-kind': unknown }
  assert.ok(patch.parameters.some((p) => p.name === 'fieldValidation' && p.in === 'query'))
  assert.deepStrictEqual(patch['x-kubernetes-group-version-kind'], { group: '', version: 'v1', kind: 'ConfigMap' })
})

test('in version 3 what belongs to every group version is told as the document\'s own and the core\'s, and what is always written has its zero for default', () => {
  const apps = documentV3({ schema, rows, gitVersion }, { group: 'apps', version: 'v1' }) as Doc
  const { schemas } = apps.components
  assert.deepStrictEqual(schemas['io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions']?.['x-kubernetes-group-version-kind'], [{ group: '', version: 'v1', kind: 'DeleteOptions' }, { group: 'apps', version: 'v1', kind: 'DeleteOptions' }])
  assert.deepStrictEqual(schemas['io.k8s.api.autoscaling.v1.Scale']?.['x-kubernetes-group-version-kind'], [{ group: 'autoscaling', version: 'v1', kind: 'Scale' }])
  const defaults = (name: string) => Object.fromEntries(Object.entries(schemas[name]?.['properties'] as Record<string, { default?: unknown }>).filter(([, p]) => p.default !== undefined).map(([k, p]) => [k, p.default]))
  assert.deepStrictEqual(defaults('io.k8s.api.apps.v1.Deployment'), { metadata: {}, spec: {}, status: {} })
  assert.deepStrictEqual(defaults('io.k8s.api.apps.v1.DeploymentCondition'), { status: '', type: '' })
  const list = apps.paths['/apis/apps/v1/deployments'] as unknown as { get: { responses: Record<string, { content: object }> }; parameters: { name: string }[] }
  assert.deepStrictEqual(Object.keys(list.get.responses['200']?.content ?? {}), ['application/json', 'application/json;stream=watch', 'application/vnd.kubernetes.protobuf', 'application/vnd.kubernetes.protobuf;stream=watch', 'application/yaml'])
  assert.deepStrictEqual(list.parameters.map((p) => p.name), ['allowWatchBookmarks', 'continue', 'fieldSelector', 'labelSelector', 'limit', 'pretty', 'resourceVersion', 'resourceVersionMatch', 'sendInitialEvents', 'shardSelector', 'timeoutSeconds', 'watch'])
})

test('parameters that all operations of a path have are told of the path, where there is only one operation all of them', () => {
  const listed = documentV3({ schema, rows: rows.filter(({ model }) => model === 'Node').map((row) => ({ ...row, verbs: ['list'] })), gitVersion }, { group: '', version: 'v1' }) as Doc
  const named = (path: string, { paths } = core) => {
    const { parameters, ...methods } = paths[path] as unknown as Record<string, { parameters?: { name: string }[] }> & { parameters?: { name: string }[] }
    return [parameters?.map((p) => p.name), Object.fromEntries(Object.entries(methods).map(([method, o]) => [method, o.parameters?.map((p) => p.name)]))]
  }
  assert.deepStrictEqual(named('/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token'), [['dryRun', 'fieldManager', 'fieldValidation', 'name', 'namespace', 'pretty'], { post: undefined }])
  assert.deepStrictEqual(named('/api/v1/nodes', listed), [['allowWatchBookmarks', 'continue', 'fieldSelector', 'labelSelector', 'limit', 'pretty', 'resourceVersion', 'resourceVersionMatch', 'sendInitialEvents', 'shardSelector', 'timeoutSeconds', 'watch'], { get: undefined }])
  assert.deepStrictEqual(named('/api/v1/namespaces/{name}/status'), [['name', 'pretty'], { get: undefined, put: ['dryRun', 'fieldManager', 'fieldValidation'], patch: ['dryRun', 'fieldManager', 'fieldValidation', 'force'] }])
})

test('what tells of kinds with Go types is told as protobuf, too; the version of a document is that of the API', () => {
  const v2 = documentV2({ schema, rows, gitVersion }) as { info: object; paths: Record<string, { get: { consumes?: string[]; produces: string[] } }> }
  const types = (path: string) => [v2.paths[path]?.get.consumes, v2.paths[path]?.get.produces]
  const all = ['application/json', 'application/vnd.kubernetes.protobuf', 'application/yaml']
  assert.deepStrictEqual([types('/apis/apps/v1/').map((list) => list?.toSorted()), types('/api/v1/namespaces/{namespace}/pods/{name}/log')[1], types('/openid/v1/jwks/'), types('/version/')], [[all, all], [...all, 'text/plain'], [undefined, ['application/jwk-set+json']], [['application/json'], ['application/json']]])
  assert.deepStrictEqual(v2.info, { title: 'Kubernetes', version: '1.36' })
})

test('what upstream says nothing about is not described, and what it always writes has a default', () => {
  const property = (name: string, field: string) => (core.components.schemas[name] as { properties: Record<string, object> } | undefined)?.properties[field]
  assert.deepStrictEqual(Object.keys(property('io.k8s.apimachinery.pkg.apis.meta.v1.Status', 'details') ?? {}), ['description', 'allOf'])
  assert.equal((property('io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent', 'type') as { default?: unknown }).default, '')
  const certificates = documentV3({ schema, rows, gitVersion }, { group: 'certificates.k8s.io', version: 'v1' }) as Doc
  assert.deepStrictEqual((certificates.components.schemas['io.k8s.api.certificates.v1.CertificateSigningRequest'] as { properties: object } | undefined)?.properties['metadata' as never], { default: {}, allOf: [{ $ref: '#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta' }] })
})

test('schemas say how lists merge, and stand beside references by allOf', () => {
  const properties = (name: string) => core.components.schemas[`io.k8s.api.core.v1.${name}`]?.['properties'] as Record<string, Record<string, unknown>>
  const { description: _, ...ports } = properties('Container')['ports'] ?? {}
  assert.deepStrictEqual(ports, {
    type: 'array', items: { $ref: '#/components/schemas/io.k8s.api.core.v1.ContainerPort' }, 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['containerPort', 'protocol'],
    'x-kubernetes-patch-merge-key': 'containerPort', 'x-kubernetes-patch-strategy': 'merge',
  })
  assert.equal(properties('ContainerPort')['protocol']?.['default'], 'TCP')
  assert.deepStrictEqual(properties('PersistentVolumeSpec')['claimRef']?.['allOf'], [{ $ref: '#/components/schemas/io.k8s.api.core.v1.ObjectReference' }])
})

test('fields of few values list them, in lists and maps those of the items', () => {
  const { schemas } = core.components
  const property = (model: string, field: string) => (schemas[`io.k8s.api.core.v1.${model}`] as { properties: Record<string, { enum?: string[]; items?: object; additionalProperties?: object }> }).properties[field]
  assert.deepStrictEqual(property('Container', 'imagePullPolicy')?.enum, ['Always', 'IfNotPresent', 'Never'])
  assert.deepStrictEqual(property('HostPathVolumeSource', 'type')?.enum?.[0], '')
  assert.deepStrictEqual(property('PersistentVolumeClaimSpec', 'accessModes')?.items, { type: 'string', enum: ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'] })
  assert.deepStrictEqual(Object.keys(property('PersistentVolumeClaimStatus', 'allocatedResourceStatuses')?.additionalProperties ?? {}), ['type', 'enum'])
  assert.equal(property('Container', 'name')?.enum, undefined)
})

test('every field of few values is one of the schema', () => {
  const fields = new Set([...schema.models()].flatMap((model) => Object.keys(model.fields).map((field) => `${model.definition.replace(/^io\.k8s\.api\./, '')}.${field}`)))
  assert.deepStrictEqual([...valuesByField().keys()].filter((field) => !fields.has(field)), [])
})
