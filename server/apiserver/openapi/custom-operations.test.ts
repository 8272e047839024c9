import { deepStrictEqual } from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { cronTabs, DEFINITIONS, server, until } from '../crd/crd.test-support.ts'

interface Parameter { name: string }
interface Operation {
  description: string; operationId: string; tags: string[]; parameters?: Parameter[]; consumes?: string[]; produces?: string[]
  requestBody?: { content: object }; responses: Record<string, { content?: object }>; 'x-kubernetes-action': string; 'x-kubernetes-group-version-kind': { group: string; kind: string }
}
interface Document { info: object; paths: Record<string, Record<string, Operation> & { parameters?: Parameter[] }>; components: { securitySchemes?: object; schemas: Record<string, Record<string, unknown>> }; definitions: Record<string, { properties: { spec: { properties: Record<string, object> } } }> }

const GROUP = 'my-group.example.com'
const ROOT = `/apis/${GROUP}/v1`
const scale = { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas' }
const h = server()
let v3: Document
let v2: Document

before(async () => {
  await h.call('POST', DEFINITIONS, cronTabs({ metadata: { name: `crontabs.${GROUP}` }, spec: { group: GROUP }, version: { subresources: { status: {}, scale } } }))
  v3 = await until(async () => {
    const { status, json } = await h.call('GET', `/openapi/v3${ROOT}`)
    return status === 200 ? json as unknown as Document : undefined
  }, 'the document of a new group version')
  v2 = (await h.call('GET', '/openapi/v2')).json as unknown as Document
})
after(() => h.api.close())

const names = (parameters: readonly Parameter[] = []): string[] => parameters.map(({ name }) => name)
const WRITE = ['dryRun', 'fieldManager', 'fieldValidation']
const LIST = ['allowWatchBookmarks', 'continue', 'fieldSelector', 'labelSelector', 'limit', 'resourceVersion', 'resourceVersionMatch', 'sendInitialEvents', 'shardSelector', 'timeoutSeconds', 'watch']

test('the document of a custom group version is one of its own making: no discovery, no old watches, no way to log in', () => {
  const object = `${ROOT}/namespaces/{namespace}/crontabs`
  deepStrictEqual(Object.keys(v3.paths), [`${ROOT}/crontabs`, object, `${object}/{name}`, `${object}/{name}/scale`, `${object}/{name}/status`])
  deepStrictEqual([v3.info, v3.components.securitySchemes], [{ title: 'Kubernetes CRD Swagger', version: 'v0.1.0' }, undefined])
  deepStrictEqual(Object.keys(v2.paths).filter((path) => path.startsWith(`/apis/${GROUP}`)), Object.keys(v3.paths))
})

test('each operation on a custom resource has upstream\'s id, parameters, codes and media types', () => {
  const told = Object.entries(v3.paths).map(([path, { parameters, ...methods }]) => [
    path.slice(ROOT.length), names(parameters), ...Object.entries(methods as Record<string, Operation>).map(([method, o]) => [method, o.operationId, o.description, names(o.parameters), Object.keys(o.requestBody?.content ?? {}), Object.keys(o.responses)]),
  ])
  const OBJECT = ['application/json', 'application/yaml']
  const PATCH = ['application/json-patch+json', 'application/merge-patch+json', 'application/apply-patch+yaml']
  const part = (name: string, suffix: string) => [
    `/namespaces/{namespace}/crontabs/{name}/${name}`, ['name', 'namespace', 'pretty'],
    ['get', `readMyGroupExampleComV1NamespacedCronTab${suffix}`, `read ${name} of the specified CronTab`, ['resourceVersion'], [], ['200', '401']],
    ['put', `replaceMyGroupExampleComV1NamespacedCronTab${suffix}`, `replace ${name} of the specified CronTab`, WRITE, OBJECT, ['200', '201', '401']],
    ['patch', `patchMyGroupExampleComV1NamespacedCronTab${suffix}`, `partially update ${name} of the specified CronTab`, [...WRITE, 'force'], PATCH, ['200', '401']],
  ]
  deepStrictEqual(told, [
    ['/crontabs', [...LIST.slice(0, 5), 'pretty', ...LIST.slice(5)], ['get', 'listMyGroupExampleComV1CronTabForAllNamespaces', 'list objects of kind CronTab', [], [], ['200', '401']]],
    [
      '/namespaces/{namespace}/crontabs', ['namespace', 'pretty'],
      ['get', 'listMyGroupExampleComV1NamespacedCronTab', 'list objects of kind CronTab', LIST, [], ['200', '401']],
      ['post', 'createMyGroupExampleComV1NamespacedCronTab', 'create a CronTab', WRITE, OBJECT, ['200', '201', '202', '401']],
      ['delete', 'deleteMyGroupExampleComV1CollectionNamespacedCronTab', 'delete collection of CronTab', LIST, [], ['200', '401']],
    ],
    [
      '/namespaces/{namespace}/crontabs/{name}', ['name', 'namespace', 'pretty'],
      ['get', 'readMyGroupExampleComV1NamespacedCronTab', 'read the specified CronTab', ['resourceVersion'], [], ['200', '401']],
      ['put', 'replaceMyGroupExampleComV1NamespacedCronTab', 'replace the specified CronTab', WRITE, OBJECT, ['200', '201', '401']],
      ['patch', 'patchMyGroupExampleComV1NamespacedCronTab', 'partially update the specified CronTab', [...WRITE, 'force'], PATCH, ['200', '401']],
      ['delete', 'deleteMyGroupExampleComV1NamespacedCronTab', 'delete a CronTab', ['dryRun', 'gracePeriodSeconds', 'ignoreStoreReadErrorWithClusterBreakingPotential', 'orphanDependents', 'propagationPolicy'], OBJECT, ['200', '202', '401']],
    ],
    part('scale', 'Scale'), part('status', 'Status'),
  ])
})

test('the scale of a custom resource is told as the resource\'s own kind', () => {
  deepStrictEqual(v3.paths[`${ROOT}/namespaces/{namespace}/crontabs/{name}/scale`]?.['get']?.['x-kubernetes-group-version-kind'], { group: GROUP, version: 'v1', kind: 'CronTab' })
})

test('version 2 says what each operation takes, and no defaults', () => {
  const { get, patch } = v2.paths[`${ROOT}/namespaces/{namespace}/crontabs/{name}`] ?? {}
  deepStrictEqual([get?.consumes, get?.produces, patch?.consumes], [['application/json', 'application/yaml'], ['application/json', 'application/yaml'], ['application/json-patch+json', 'application/merge-patch+json', 'application/apply-patch+yaml']])
  deepStrictEqual(v2.definitions['com.example.my-group.v1.CronTab']?.properties.spec.properties['replicas'], { type: 'integer', minimum: 1, maximum: 10 })
})

test('DeleteOptions are told as those of every group version that clients know', () => {
  const kinds = v3.components.schemas['io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions']?.['x-kubernetes-group-version-kind'] as { group: string }[]
  const groups = new Set(kinds.map(({ group }) => group))
  deepStrictEqual(['apps', 'extensions', 'apiextensions.k8s.io', 'admission.k8s.io', GROUP].map((group) => groups.has(group)), [true, true, false, false, false])
})
