import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CM, configMap, harness, items, PODS, type Loose } from '../app.test-support.ts'

describe('discovery', () => {
  test('legacy documents', async () => {
    const { call } = harness()
    assert.deepEqual((await call('GET', '/api')).json, { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: '127.0.0.1:6443' }] })
    const groups = await call('GET', '/apis')
    assert.deepEqual(items<{ name: string }>(groups.json['groups']).map((g) => g.name), ['apps', 'authentication.k8s.io', 'authorization.k8s.io', 'policy'])
    assert.deepEqual((await call('GET', '/apis/apps')).json, { kind: 'APIGroup', apiVersion: 'v1', name: 'apps', versions: [{ groupVersion: 'apps/v1', version: 'v1' }], preferredVersion: { groupVersion: 'apps/v1', version: 'v1' } })
    const apps = await call('GET', '/apis/apps/v1')
    assert.deepEqual(apps.json, {
      kind: 'APIResourceList', apiVersion: 'v1', groupVersion: 'apps/v1', resources: [
        { name: 'deployments', singularName: 'deployment', namespaced: true, kind: 'Deployment', verbs: ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'], storageVersionHash: '8aSe+NMegvE=' },
        { name: 'deployments/scale', singularName: '', namespaced: true, group: 'autoscaling', version: 'v1', kind: 'Scale', verbs: ['get', 'patch', 'update'] },
        { name: 'deployments/status', singularName: '', namespaced: true, kind: 'Deployment', verbs: ['get', 'patch', 'update'] },
      ],
    })
  })

  test('aggregated documents by Accept, with their own content type', async () => {
    const { call } = harness()
    const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json'
    const core = await call('GET', '/api', undefined, { accept })
    assert.equal(core.headers['content-type'], 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList')
    const versions = items<{ version: string; resources: { resource: string; scope: string }[] }>(items<Loose>(core.json['items'])[0]?.['versions'])
    assert.deepEqual(versions.map((v) => [v.version, v.resources.map((r) => `${r.resource} ${r.scope}`)]), [['v1', ['bindings Namespaced', 'componentstatuses Cluster', 'configmaps Namespaced', 'events Namespaced', 'namespaces Cluster', 'nodes Cluster', 'pods Namespaced', 'serviceaccounts Namespaced']]])
    const beta = await call('GET', '/apis', undefined, { accept: 'application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList' })
    assert.deepEqual([beta.json['apiVersion'], beta.headers['content-type']], ['apidiscovery.k8s.io/v2beta1', 'application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList'])
  })

  test('health: all, one, verbose, excluded, and not ready while stopping', async () => {
    const wrong: { text: string | undefined } = { text: undefined }
    const withoutHooks = (text: string) => text.replaceAll(/^\[\+\](?:poststarthook\/\S+|autoregister-completion) ok\n/gm, '')
    const { call, api } = harness({ checks: [{ name: 'store', live: true, problem: () => wrong.text }] })
    assert.deepEqual([(await call('GET', '/livez')).text, (await call('GET', '/livez/store')).text], ['ok', 'ok'])
    const verbose = (await call('GET', '/readyz?verbose')).text
    assert.ok(verbose.includes('\n[+]poststarthook/apiservice-registration-controller ok\n'))
    assert.equal(withoutHooks(verbose), '[+]ping ok\n[+]log ok\n[+]store ok\n[+]shutdown ok\nreadyz check passed\n')
    wrong.text = 'disk full'
    const failed = await call('GET', '/livez')
    assert.deepEqual([failed.status, withoutHooks(failed.text)], [500, '[+]ping ok\n[+]log ok\n[-]store failed: reason withheld\nlivez check failed\n'])
    assert.deepEqual([(await call('GET', '/livez?exclude=store')).status, (await call('GET', '/livez/store')).status, (await call('GET', '/livez/none')).status], [200, 500, 404])
    assert.equal((await call('GET', '/livez/store')).text, 'internal server error: disk full\n')
    assert.match((await call('GET', '/metrics/slis')).text, /^kubernetes_healthcheck\{name="store",type="livez"\} 0$/m)
    wrong.text = undefined
    assert.equal(withoutHooks((await call('GET', '/livez?verbose&exclude=store&exclude=none')).text), '[+]ping ok\n[+]log ok\n[+]store excluded: ok\nwarn: some health checks cannot be excluded: no matches for "none"\nlivez check passed\n')
    api.stopping()
    assert.deepEqual([(await call('GET', '/readyz')).status, (await call('GET', '/livez')).status], [500, 200])
  })

  test('what lists the paths answers to /index.html, too; checks have no path that ends in a slash', async () => {
    const { call } = harness()
    const root = await call('GET', '/')
    assert.deepEqual([(await call('GET', '/index.html')).json, (root.json['paths'] as unknown as string[]).includes('/apis/')], [root.json, true])
    assert.deepEqual([(await call('GET', '/readyz/')).status, (await call('GET', '/livez/')).status, (await call('GET', '/version/')).status], [404, 404, 200])
  })

  test('metrics carry upstream\'s names', async () => {
    const { call } = harness()
    await call('GET', CM)
    const { text } = await call('GET', '/metrics')
    for (const line of [/^apiserver_request_total\{code="200",component="apiserver",dry_run="",group="",resource="configmaps",scope="namespace",subresource="",verb="LIST",version="v1"\} 1$/m, /^apiserver_resource_objects\{group="",resource="configmaps"\} 0$/m, /^etcd_requests_total\{group="",operation="list",resource="configmaps"\} 1$/m, /^apiserver_request_sli_duration_seconds_count\{component="apiserver",group="",resource="configmaps",scope="namespace",subresource="",verb="LIST",version="v1"\} 1$/m, /^apiserver_response_sizes_count\{.*verb="LIST".*\} 1$/m, /^apiserver_request_duration_seconds_bucket\{.*le="\+Inf"\} 1$/m, /^apiserver_current_inflight_requests\{request_kind="readOnly"\} 1$/m, /^apiserver_storage_objects\{resource="configmaps"\} 0$/m, /^process_resident_memory_bytes 2$/m, /^kubernetes_build_info\{build_date="[^"]*",compiler="[^"]*",git_commit="[^"]*",git_tree_state="[^"]*",git_version="v1\.36[^"]*",go_version="[^"]*",major="1",minor="36",platform="[^"]*"\} 1$/m]) assert.match(text, line)
  })

  test('openapi is served from the same table', async () => {
    const { call } = harness()
    const index = await call('GET', '/openapi/v3')
    assert.ok(index.json['paths']?.['apis/apps/v1'])
    assert.equal((await call('GET', '/openapi/v3/apis/none/v1')).status, 404)
  })
})

describe('forms of answers', () => {
  test('tables: one object, lists, watches; objects as metadata, whole or none', async () => {
    const { call, watch } = harness()
    const created = (await call('POST', CM, configMap('a'))).json['metadata']?.['creationTimestamp']
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json'
    const list = await call('GET', CM, undefined, { accept })
    assert.deepEqual([list.json['kind'], list.json['apiVersion'], list.json['metadata']], ['Table', 'meta.k8s.io/v1', { resourceVersion: '2' }])
    assert.deepEqual(items<{ name: string; type: string }>(list.json['columnDefinitions']).map((c) => `${c.name} ${c.type}`), ['Name string', 'Created At date'])
    const row = items<{ cells: unknown[]; object: Loose }>(list.json['rows'])[0]
    assert.deepEqual([row?.cells, row?.object['kind'], row?.object['metadata']?.['name'], row?.object['data']], [['a', created], 'PartialObjectMetadata', 'a', undefined])
    const one = await call('GET', `${CM}/a?includeObject=Object`, undefined, { accept })
    assert.equal(items<{ object: Loose }>(one.json['rows'])[0]?.object['data']?.['k']?.toString(), 'v')
    const none = await call('GET', `${CM}?includeObject=None`, undefined, { accept })
    assert.equal(items<{ object: unknown }>(none.json['rows'])[0]?.object, null)
    const w = await watch(`${CM}?watch=1`, { accept })
    await w.next(1)
    assert.deepEqual([w.events[0]?.['type'], w.events[0]?.['object']?.['kind'], items<{ cells: unknown[] }>(w.events[0]?.['object']?.['rows'])[0]?.cells], ['ADDED', 'Table', ['a', created]])
    const missing = await call('GET', `${CM}/none`, undefined, { accept })
    assert.deepEqual([missing.status, missing.json['kind']], [404, 'Status'])
  })

  test('metadata alone, for objects, lists and watches', async () => {
    const { call, watch } = harness()
    await call('POST', PODS, { metadata: { name: 'p' }, spec: { containers: [] } })
    const list = await call('GET', PODS, undefined, { accept: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io' })
    const item = items<Loose>(list.json['items'])[0]
    assert.deepEqual([list.json['kind'], item?.['kind'], item?.['metadata']?.['name'], item?.['spec']], ['PartialObjectMetadataList', 'PartialObjectMetadata', 'p', undefined])
    const one = await call('GET', `${PODS}/p`, undefined, { accept: 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io' })
    assert.deepEqual([one.json['kind'], one.json['spec']], ['PartialObjectMetadata', undefined])
    const w = await watch(`${PODS}?watch=1`, { accept: 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io' })
    await w.next(1)
    assert.equal(w.events[0]?.['object']?.['kind']?.toString(), 'PartialObjectMetadata')
  })

  test('yaml and pretty JSON', async () => {
    const { call } = harness()
    await call('POST', CM, configMap('a'))
    const yaml = await call('GET', `${CM}/a`, undefined, { accept: 'application/yaml' })
    assert.match(yaml.text, /^apiVersion: v1\n[^]*kind: ConfigMap\nmetadata:\n/)
    const versions = await call('GET', '/api', undefined, { accept: 'application/yaml' })
    assert.deepEqual([versions.headers['content-type'], versions.text.slice(0, 18)], ['application/yaml', 'kind: APIVersions\n'])
    assert.match((await call('GET', `${CM}/a?pretty=true`)).text, /^\{\n {2}"kind": "ConfigMap",\n/)
  })
})
