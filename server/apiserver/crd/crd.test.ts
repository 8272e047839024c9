/** Custom resources through the whole handler. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { items } from '../app.test-support.ts'
import { causes, conditionsOf, cronTab, cronTabs, define, DEFINITIONS, MERGE, server, TABS, until, version } from './crd.test-support.ts'

suite('custom resources', () => {
  test('a patch may not make something else of one, and an empty list of managedFields says nothing', async () => {
    const h = server()
    await define(h, cronTabs())
    await h.call('POST', TABS, cronTab('a', { cronSpec: '* * * * *' }))
    const told = async (patch: object) => { const { status, json } = await h.call('PATCH', `${TABS}/a`, patch, MERGE); return [status, json['message']] }
    assert.deepEqual(await told({ kind: 'Other' }), [422, 'Other.stable.example.com "a" is invalid: kind: Invalid value: "Other": must be CronTab'])
    assert.deepEqual(await told({ apiVersion: 'x/v1', kind: 'Other' }), [422, 'Other.x "a" is invalid: [kind: Invalid value: "Other": must be CronTab, apiVersion: Invalid value: "x/v1": must be stable.example.com/v1]'])
    assert.deepEqual(await told({ apiVersion: null }), [400, "Object 'apiVersion' is missing in 'object has no apiVersion field'"])
    assert.match(String((await told({ kind: null }))[1]), /Object 'Kind' is missing in /)
    const other = await h.call('PUT', `${TABS}/a`, { ...cronTab('a', { cronSpec: '* * * * *' }), apiVersion: 'x/v1' })
    assert.deepEqual([other.status, other.json['message']], [400, 'the API version in the data (x/v1) does not match the expected API version (stable.example.com/v1)'])
    const owners = async (managedFields: object[]) => items((await h.call('PATCH', `${TABS}/a`, { metadata: { managedFields } }, MERGE)).json['metadata']?.['managedFields']).length
    assert.deepEqual([await owners([]), await owners([{}])], [1, 0])
  })

  test('an object says of itself what it is', async () => {
    const h = server()
    await define(h, cronTabs())
    const { apiVersion, kind, ...bare } = cronTab('a', { cronSpec: '* * * * *' }) as unknown as Record<string, unknown>
    const told = async (sent: object) => { const { status, json } = await h.call('POST', TABS, sent); return [status, json['message']] }
    const version = (named: string) => [400, `the API version in the data (${named}) does not match the expected API version (stable.example.com/v1)`]
    assert.deepEqual(await told({ kind, ...bare }), version(''))
    assert.deepEqual(await told({ apiVersion: '', kind: 'Other', ...bare }), version(''))
    assert.deepEqual(await told({ apiVersion: 'x/v1', kind: 'Other', ...bare }), version('x/v1'))
    const [status, message] = await told({ apiVersion, ...bare })
    assert.equal(status, 400)
    assert.match(String(message), /^the object provided is unrecognized \(must be of type CronTab\): Object 'Kind' is missing in '\{"apiVersion":"stable.example.com\/v1","metadata":/)
    assert.deepEqual(await told({ apiVersion, kind, ...bare }), [201, undefined])
  })

  test('what is applied of metadata is of its type, too', async () => {
    const h = server()
    await define(h, cronTabs())
    const { status, json } = await h.call('PATCH', `${TABS}/a?fieldManager=m`, { ...cronTab('a', { cronSpec: '* * * * *' }), metadata: { name: 'a', finalizers: [null] } }, { 'content-type': 'application/apply-patch+yaml' })
    assert.deepEqual([status, json['message']], [400, "failed to create typed patch object (/a; stable.example.com/v1, Kind=CronTab): .metadata.finalizers: element 0: associative list without keys has an element that's an explicit null"])
  })

  test('a definition is established, its objects are created, read, listed, changed, watched and deleted', async () => {
    const h = server()
    const crd = await define(h, cronTabs())
    assert.deepEqual(conditionsOf(crd).map((c) => `${c.type}=${c.status} ${c.reason}`), ['NamesAccepted=True NoConflicts', 'Established=True InitialNamesAccepted'])
    assert.deepEqual([crd['status']?.['storedVersions'], crd['status']?.['acceptedNames']], [['v1'], { plural: 'crontabs', singular: 'crontab', kind: 'CronTab', listKind: 'CronTabList', shortNames: ['ct'] }])
    const made = await h.call('POST', TABS, cronTab('a', { cronSpec: '* * * * *', extra: 1 }))
    assert.equal(made.status, 201, made.text)
    assert.deepEqual(made.json['spec'], { cronSpec: '* * * * *', replicas: 1 })
    assert.equal(made.headers['warning'], '299 - "unknown field \\"spec.extra\\""')
    assert.equal(made.json['metadata']?.['generation'], 1)
    const listed = await h.call('GET', TABS)
    assert.deepEqual([listed.json['kind'], listed.json['items']?.['length']], ['CronTabList', 1])
    // Upstream's lists of custom resources say what each item is, and that there is no more.
    assert.match(listed.text, /"continue":""\},"items":\[\{"apiVersion":"stable.example.com\/v1","kind":"CronTab","metadata":\{"resourceVersion"/)
    const patched = await h.call('PATCH', `${TABS}/a`, { spec: { replicas: 3 } }, MERGE)
    assert.deepEqual([patched.json['spec']?.['replicas'], patched.json['metadata']?.['generation']], [3, 2])
    const w = await h.watch(`${TABS}?watch=true`)
    assert.deepEqual(await w.next(1), ['ADDED a'])
    const gone = await h.call('DELETE', `${TABS}/a`)
    assert.deepEqual([gone.status, gone.json['status']], [200, 'Success'])
    assert.deepEqual(await w.next(1), ['DELETED a'])
    w.stop()
    h.api.close()
  })

  test('strategic merge patches, protobuf and PUTs without a resourceVersion are refused as upstream refuses them', async () => {
    const h = server()
    await define(h, cronTabs())
    await h.call('POST', TABS, cronTab('a'))
    const strategic = await h.call('PATCH', `${TABS}/a`, {}, { 'content-type': 'application/strategic-merge-patch+json' })
    assert.deepEqual([strategic.status, strategic.json['message']], [415, 'the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml'])
    assert.equal((await h.call('GET', `${TABS}/a`, undefined, { accept: 'application/vnd.kubernetes.protobuf' })).status, 406)
    assert.equal((await h.call('GET', `${TABS}/a`, undefined, { accept: 'application/vnd.kubernetes.protobuf,application/json' })).status, 200)
    assert.equal((await h.call('POST', TABS, Buffer.from('k8s\0'), { 'content-type': 'application/vnd.kubernetes.protobuf' })).status, 415)
    const everywhere = TABS.replace(/namespaces\/[^/]+\//, '')
    assert.deepEqual([(await h.call('GET', everywhere)).status, (await h.call('POST', everywhere, cronTab('b'))).status, (await h.call('DELETE', everywhere)).status], [200, 404, 404])
    const put = await h.call('PUT', `${TABS}/a`, cronTab('a'))
    assert.deepEqual([put.status, causes(put.json)], [422, ['metadata.resourceVersion: Invalid value: 0: must be specified for an update']])
    for (const path of [`${TABS}/none`, `${TABS}/none/status`]) assert.equal((await h.call('PUT', path, cronTab('none'))).status, 404)
    h.api.close()
  })

  test('a strict request names every unknown and duplicate field; one that is ignored prunes them silently', async () => {
    const h = server()
    await define(h, cronTabs())
    const body = Buffer.from('{"apiVersion":"stable.example.com/v1","kind":"CronTab","metadata":{"name":"a","unknownMeta":1},"spec":{"cronSpec":"* * * * *","cronSpec":"* * * * *","foo":1},"bar":2}')
    const strict = await h.call('POST', `${TABS}?fieldValidation=Strict`, body, { 'content-type': 'application/json' })
    assert.deepEqual([strict.status, strict.json['message']], [400, 'CronTab in version "v1" cannot be handled as a CronTab: strict decoding error: duplicate field "spec.cronSpec", unknown field "metadata.unknownMeta", unknown field "bar", unknown field "spec.foo"'])
    const ignored = await h.call('POST', `${TABS}?fieldValidation=Ignore`, body, { 'content-type': 'application/json' })
    assert.deepEqual([ignored.status, ignored.headers['warning'], ignored.json['spec'], ignored.json['bar']], [201, undefined, { cronSpec: '* * * * *', replicas: 1 }, undefined])
    h.api.close()
  })

  test('status is its own endpoint where the version has one, and part of the object where not', async () => {
    const h = server()
    await define(h, cronTabs({ version: { subresources: { status: {} } } }))
    const made = await h.call('POST', TABS, cronTab('a', undefined, { status: { replicas: 5 } }))
    assert.equal(made.json['status'], undefined)
    const patched = await h.call('PATCH', `${TABS}/a`, { status: { replicas: 5 }, spec: { image: 'x' } }, MERGE)
    assert.deepEqual([patched.json['status'], patched.json['spec']?.['image'], patched.json['metadata']?.['generation']], [undefined, 'x', 2])
    const status = await h.call('PATCH', `${TABS}/a/status`, { status: { replicas: 7 }, spec: { image: 'y' }, metadata: { labels: { a: 'b' } } }, MERGE)
    assert.deepEqual([status.json['status'], status.json['spec']?.['image'], status.json['metadata']?.['labels'], status.json['metadata']?.['generation']], [{ replicas: 7 }, 'x', undefined, 2])
    const wrong = await h.call('PATCH', `${TABS}/a/status`, { status: { replicas: 'many' } }, MERGE)
    assert.deepEqual(causes(wrong.json), ['status.replicas: Invalid value: "string": replicas in body must be of type integer: "string"'])
    h.api.close()

    const plain = server()
    await define(plain, cronTabs())
    assert.equal((await plain.call('GET', `${TABS}/a/status`)).status, 404)
    const whole = await plain.call('POST', TABS, cronTab('a', undefined, { status: { replicas: 5 } }))
    assert.deepEqual(whole.json['status'], { replicas: 5 })
    const changed = await plain.call('PATCH', `${TABS}/a`, { status: { replicas: 6 } }, MERGE)
    assert.equal(changed.json['metadata']?.['generation'], 2)
    const labelled = await plain.call('PATCH', `${TABS}/a`, { metadata: { labels: { a: 'b' } } }, MERGE)
    assert.equal(labelled.json['metadata']?.['generation'], 2)
    plain.api.close()
  })

  test('a custom resource of the cluster is scaled by a patch, too', async () => {
    const h = server()
    await define(h, cronTabs({ spec: { scope: 'Cluster' }, version: { subresources: { scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas' } } } }))
    await h.call('POST', '/apis/stable.example.com/v1/crontabs', cronTab('a', { cronSpec: '* * * * *', replicas: 3 }))
    const { status, json } = await h.call('PATCH', '/apis/stable.example.com/v1/crontabs/a/scale', { metadata: { annotations: { a: 'b' } }, spec: { replicas: 5 } }, MERGE)
    assert.deepEqual([status, json['spec'], 'namespace' in (json['metadata'] ?? {})], [200, { replicas: 5 }, false])
    h.api.close()
  })

  test('scale reads and writes the paths the version names', async () => {
    const h = server()
    await define(h, cronTabs({ version: { subresources: { status: {}, scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas', labelSelectorPath: '.status.labelSelector' } } } }))
    await h.call('POST', TABS, cronTab('a', { cronSpec: '* * * * *', replicas: 3 }))
    await h.call('PATCH', `${TABS}/a/status`, { status: { replicas: 2, labelSelector: 'a=b' } }, MERGE)
    const scale = await h.call('GET', `${TABS}/a/scale`)
    assert.deepEqual([scale.json['kind'], scale.json['apiVersion'], scale.json['spec'], scale.json['status']], ['Scale', 'autoscaling/v1', { replicas: 3 }, { replicas: 2, selector: 'a=b' }])
    const patched = await h.call('PATCH', `${TABS}/a/scale`, { spec: { replicas: 5 } }, MERGE)
    assert.deepEqual(patched.json['spec'], { replicas: 5 })
    const after = await h.call('GET', `${TABS}/a`)
    assert.deepEqual([after.json['spec']?.['replicas'], after.json['metadata']?.['generation']], [5, 2])
    const other = await h.call('PATCH', `${TABS}/a/scale`, { metadata: { name: 'b' }, spec: { replicas: 5 } }, MERGE)
    assert.deepEqual([other.status, other.json['message']], [400, 'the name of the object (b) does not match the name on the URL (a)'])
    const negative = await h.call('PATCH', `${TABS}/a/scale`, { spec: { replicas: -1 } }, MERGE)
    assert.deepEqual([negative.json['details']?.['kind'], causes(negative.json).at(-1)], ['CronTab', '.spec.replicas: Invalid value: -1: should be a non-negative integer'])
    const wrong = await h.call('PATCH', `${TABS}/a`, { spec: { replicas: -1 } }, MERGE)
    assert.deepEqual(causes(wrong.json), ['spec.replicas: Invalid value: -1: spec.replicas in body should be greater than or equal to 1', '.spec.replicas: Invalid value: -1: should be a non-negative integer'])
    h.api.close()
  })

  test('selectable fields select, others are refused', async () => {
    const h = server()
    await define(h, cronTabs({ version: { selectableFields: [{ jsonPath: '.spec.image' }, { jsonPath: '.spec.replicas' }] } }))
    await h.call('POST', TABS, cronTab('a', { cronSpec: '* * * * *', image: 'x' }))
    await h.call('POST', TABS, cronTab('b', { cronSpec: '* * * * *', replicas: 4 }))
    const names = async (selector: string) => items<{ metadata: { name: string } }>((await h.call('GET', `${TABS}?fieldSelector=${encodeURIComponent(selector)}`)).json['items']).map((o) => o.metadata.name)
    assert.deepEqual([await names('spec.image=x'), await names('spec.image='), await names('spec.replicas=4'), await names('spec.replicas!=4,metadata.name=a')], [['a'], ['b'], ['b'], ['a']])
    const wrong = await h.call('GET', `${TABS}?fieldSelector=spec.cronSpec%3Dx`)
    assert.deepEqual([wrong.status, wrong.json['message']], [400, 'field label not supported: spec.cronSpec'])
    h.api.close()
  })

  test('tables have the columns of the version, dates as ages, and Name and Age without any', async () => {
    const h = server()
    await define(h, cronTabs({ version: { additionalPrinterColumns: [
      { name: 'Spec', type: 'string', jsonPath: '.spec.cronSpec', description: 'When' }, { name: 'Replicas', type: 'integer', jsonPath: '.spec.replicas', format: 'int32' },
      { name: 'Whole', type: 'string', jsonPath: '.spec', priority: 1 }, { name: 'None', type: 'string', jsonPath: '.spec.none' }, { name: 'Wrong', type: 'integer', jsonPath: '.spec.cronSpec' }, { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
    ] } }))
    await h.call('POST', TABS, cronTab('a'))
    await h.clock.advance(60_000)
    const accept = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' }
    const table = (await h.call('GET', TABS, undefined, accept)).json
    assert.deepEqual(items<{ name: string; type: string; format: string; description: string; priority: number }>(table['columnDefinitions']).slice(1, 4), [
      { name: 'Spec', type: 'string', format: '', description: 'When', priority: 0 },
      { name: 'Replicas', type: 'integer', format: 'int32', description: 'Custom resource definition column (in JSONPath format): .spec.replicas', priority: 0 },
      { name: 'Whole', type: 'string', format: '', description: 'Custom resource definition column (in JSONPath format): .spec', priority: 1 },
    ])
    assert.deepEqual(items<{ cells: unknown[] }>(table['rows'])[0]?.cells, ['a', '* * * * *', 1, '{"cronSpec":"* * * * *","replicas":1}', null, null, '60s'])
    h.api.close()
  })

  test('names that another definition of the group has are not accepted, and are once they are free', async () => {
    const h = server()
    await define(h, cronTabs())
    const other = await define(h, cronTabs({ metadata: { name: 'tabs.stable.example.com' }, names: { plural: 'tabs', singular: 'tab', kind: 'CronTab', listKind: 'TabList', shortNames: ['ct', 'tb'] } }))
    assert.deepEqual(conditionsOf(other).map((c) => `${c.type}=${c.status} ${c.reason}: ${c.message}`), [
      'NamesAccepted=False KindConflict: "CronTab" is already in use', 'Established=False NotAccepted: not all names are accepted',
    ])
    assert.deepEqual(other['status']?.['acceptedNames'], { plural: 'tabs', singular: 'tab', kind: '', listKind: 'TabList' })
    assert.equal((await h.call('GET', '/apis/stable.example.com/v1/tabs')).status, 404)
    await h.call('DELETE', `${DEFINITIONS}/crontabs.stable.example.com`)
    const freed = await until(async () => {
      const { json } = await h.call('GET', `${DEFINITIONS}/tabs.stable.example.com`)
      return conditionsOf(json).some((c) => c.type === 'Established' && c.status === 'True') ? json : undefined
    }, 'the name is free')
    assert.equal(freed['status']?.['acceptedNames']?.['kind'], 'CronTab')
    assert.equal((await h.call('GET', '/apis/stable.example.com/v1/tabs')).status, 200)
    h.api.close()
  })

  test('finalizers may have short names; those are warned of', async () => {
    const h = server()
    await define(h, cronTabs())
    const made = await h.call('POST', TABS, cronTab('held', undefined, { metadata: { name: 'held', finalizers: ['mine'] } }))
    assert.deepEqual([made.status, made.headers['warning']], [201, '299 - "metadata.finalizers: \\"mine\\": prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers"'])
    assert.equal((await h.call('PATCH', `${TABS}/held`, { metadata: { finalizers: ['other'] } }, MERGE)).status, 200)
    assert.equal((await h.call('POST', TABS, cronTab('not', undefined, { metadata: { name: 'not', finalizers: ['not a name'] } }))).status, 422)
    h.api.close()
  })

  test('a definition goes after its objects; while it goes nothing is created', async () => {
    const h = server()
    await define(h, cronTabs())
    await h.call('POST', TABS, cronTab('free'))
    await h.call('POST', TABS, cronTab('held', undefined, { metadata: { name: 'held', finalizers: ['example.com/hold'] } }))
    const deleted = await h.call('DELETE', `${DEFINITIONS}/crontabs.stable.example.com`)
    assert.deepEqual([deleted.status, deleted.json['metadata']?.['finalizers']], [200, ['customresourcecleanup.apiextensions.k8s.io']])
    assert.deepEqual(conditionsOf(deleted.json).at(-1), { type: 'Terminating', status: 'True', reason: 'InstanceDeletionPending', message: 'CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon', lastTransitionTime: deleted.json['metadata']?.['deletionTimestamp'] as unknown as string })
    const names = await until(async () => {
      const { json } = await h.call('GET', TABS)
      const left = items<{ metadata: { name: string } }>(json['items']).map((o) => o.metadata.name)
      return left.length === 1 ? left : undefined
    }, 'one object is left')
    assert.deepEqual(names, ['held'])
    const discovered = await h.call('GET', '/apis/stable.example.com/v1')
    assert.deepEqual(items<{ verbs: string[] }>(discovered.json['resources'])[0]?.verbs, ['delete', 'deletecollection', 'get', 'list', 'watch'])
    const refused = await h.call('POST', TABS, cronTab('new'))
    assert.deepEqual([refused.status, refused.json['message']], [403, 'crontabs.stable.example.com "new" is forbidden: create not allowed while custom resource definition is terminating'])
    await h.call('PATCH', `${TABS}/held`, { metadata: { finalizers: null } }, MERGE)
    await until(async () => ((await h.call('GET', `${DEFINITIONS}/crontabs.stable.example.com`)).status === 404 ? true : undefined), 'the definition is gone')
    assert.equal((await h.call('GET', TABS)).status, 404)
    h.api.close()
  })

  test('discovery and OpenAPI follow the definitions at once', async () => {
    const h = server()
    const before = await h.call('GET', '/openapi/v3')
    await define(h, cronTabs({ names: { categories: ['all'] }, version: { subresources: { status: {} } } }))
    const list = await h.call('GET', '/apis/stable.example.com/v1')
    assert.deepEqual(items<{ name: string; categories?: string[] }>(list.json['resources']).map((r) => [r.name, r.categories]), [['crontabs', ['all']], ['crontabs/status', undefined]])
    const after = await h.call('GET', '/openapi/v3')
    assert.deepEqual([before.json['paths']?.['apis/stable.example.com/v1'], after.json['paths']?.['apis/apps/v1']], [undefined, before.json['paths']?.['apis/apps/v1']])
    const path = String(after.json['paths']?.['apis/stable.example.com/v1']?.['serverRelativeURL'])
    const document = (await h.call('GET', path)).json
    const definition = document['components']?.['schemas']?.['com.example.stable.v1.CronTab']
    assert.deepEqual(Object.keys(definition?.['properties'] ?? {}), ['apiVersion', 'kind', 'metadata', 'spec', 'status'])
    assert.deepEqual(definition?.['x-kubernetes-group-version-kind'], [{ group: 'stable.example.com', version: 'v1', kind: 'CronTab' }])
    assert.ok(document['components']?.['schemas']?.['com.example.stable.v1.CronTabList'])
    // kubectl apply asks here which patches are taken.
    assert.deepEqual(Object.keys(document['paths']?.['/apis/stable.example.com/v1/namespaces/{namespace}/crontabs/{name}']?.['patch']?.['requestBody']?.['content'] ?? {}), ['application/json-patch+json', 'application/merge-patch+json', 'application/apply-patch+yaml'])
    const v2 = (await h.call('GET', '/openapi/v2')).json
    assert.ok(v2['definitions']?.['com.example.stable.v1.CronTab'] && v2['paths']?.['/apis/stable.example.com/v1/namespaces/{namespace}/crontabs/{name}/status'])
    const aggregated = { accept: 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList' }
    const { headers } = await h.call('GET', '/apis', undefined, aggregated)
    const kept = { ...aggregated, 'if-none-match': headers['etag'] ?? '' }
    assert.equal((await h.call('GET', '/apis', undefined, kept)).status, 304)
    // A changed schema has another hash.
    const { json } = await h.call('GET', `${DEFINITIONS}/crontabs.stable.example.com`)
    const changed = JSON.parse(JSON.stringify(json)) as { spec: { versions: { schema: { openAPIV3Schema: { description?: string } } }[] } }
    if (changed.spec.versions[0]) changed.spec.versions[0].schema.openAPIV3Schema.description = 'other'
    assert.equal((await h.call('PUT', `${DEFINITIONS}/crontabs.stable.example.com`, changed)).status, 200)
    const again = await h.call('GET', '/openapi/v3')
    assert.notEqual(String(again.json['paths']?.['apis/stable.example.com/v1']?.['serverRelativeURL']), path)
    await h.call('DELETE', `${DEFINITIONS}/crontabs.stable.example.com`)
    await until(async () => ((await h.call('GET', '/apis/stable.example.com/v1')).status === 404 ? true : undefined), 'the group is gone')
    assert.equal((await h.call('GET', '/openapi/v3')).json['paths']?.['apis/stable.example.com/v1'], undefined)
    assert.equal((await h.call('GET', '/apis', undefined, kept)).status, 200)
    h.api.close()
  })

  test('a group version that has built-in kinds has no others; the definition\'s other versions are served', async () => {
    const h = server()
    const versions = [version('v1', { storage: true }), version('vfake')]
    await define(h, cronTabs({ spec: { group: 'storage.k8s.io' }, versions, metadata: { name: 'crontabs.storage.k8s.io', annotations: { 'api-approved.kubernetes.io': 'https://github.com/kubernetes/kubernetes/pull/1' } } }))
    const names = async (path: string) => items<{ name: string }>((await h.call('GET', path)).json['resources']).map((r) => r.name)
    assert.deepEqual([await names('/apis/storage.k8s.io/vfake'), (await names('/apis/storage.k8s.io/v1')).includes('crontabs'), (await names('/apis/storage.k8s.io/v1')).includes('csidrivers')], [['crontabs'], false, true])
    assert.deepEqual([(await h.call('GET', '/apis/storage.k8s.io/v1/namespaces/default/crontabs')).status, (await h.call('GET', '/apis/storage.k8s.io/vfake/namespaces/default/crontabs')).status, (await h.call('GET', '/apis/storage.k8s.io/v1/csidrivers')).status], [404, 200, 200])
    h.api.close()
  })

  test('a changed definition sends watchers away; what is stored is shown by the new schema', async () => {
    const h = server()
    await define(h, cronTabs())
    await h.call('POST', TABS, cronTab('a', { cronSpec: '* * * * *', image: 'x' }))
    const w = await h.watch(`${TABS}?watch=true`)
    assert.deepEqual(await w.next(1), ['ADDED a'])
    const { json } = await h.call('GET', `${DEFINITIONS}/crontabs.stable.example.com`)
    const changed = JSON.parse(JSON.stringify(json)) as { spec: { versions: unknown[] } }
    changed.spec.versions = [version('v1', { storage: true }, { type: 'object', properties: { spec: { type: 'object', properties: { cronSpec: { type: 'string' }, timezone: { type: 'string', default: 'UTC' } } } } })]
    assert.equal((await h.call('PUT', `${DEFINITIONS}/crontabs.stable.example.com`, changed)).status, 200)
    await w.ended
    for (const read of [await h.call('GET', `${TABS}/a`), { json: items((await h.call('GET', TABS)).json['items'])[0] }]) assert.deepEqual(read.json?.['spec'], { cronSpec: '* * * * *', timezone: 'UTC' })
    h.api.close()
  })

  test('an apply owns items of keyed lists by their keys, and refuses what the schema does not know', async () => {
    const h = server()
    const schema = { type: 'object', properties: { spec: { type: 'object', properties: {
      ports: { type: 'array', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name', 'protocol'], items: { type: 'object', required: ['name'], properties: { name: { type: 'string' }, protocol: { type: 'string', default: 'TCP' }, port: { type: 'integer' } } } },
      plain: { type: 'array', items: { type: 'string' } }, free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    } } } }
    await define(h, cronTabs({ schema }))
    const apply = (manager: string, spec: unknown) => h.call('PATCH', `${TABS}/a?fieldManager=${manager}`, cronTab('a', spec), { 'content-type': 'application/apply-patch+yaml' })
    assert.equal((await apply('one', { ports: [{ name: 'a', port: 1 }], plain: ['x'], free: { deep: { er: 1 } } })).status, 201)
    const second = await apply('two', { ports: [{ name: 'b', port: 2 }] })
    assert.deepEqual(second.json['spec']?.['ports'], [{ name: 'a', port: 1, protocol: 'TCP' }, { name: 'b', port: 2, protocol: 'TCP' }])
    const fields = items<{ manager: string; fieldsV1: Record<string, unknown> }>(second.json['metadata']?.['managedFields']).find((f) => f.manager === 'one')?.fieldsV1
    assert.deepEqual(fields, { 'f:spec': { 'f:free': { 'f:deep': { '.': {}, 'f:er': {} } }, 'f:plain': {}, 'f:ports': { 'k:{"name":"a","protocol":"TCP"}': { '.': {}, 'f:name': {}, 'f:port': {} } } } })
    const conflict = await apply('two', { ports: [{ name: 'a', port: 3 }], plain: ['y'] })
    assert.deepEqual([conflict.status, items<{ field: string }>(conflict.json['details']?.['causes']).map((c) => c.field)], [409, ['.spec.plain', '.spec.ports[name="a",protocol="TCP"].port']])
    const unknown = await apply('two', { nope: 1 })
    assert.match(unknown.json['message']?.toString() ?? '', /\.spec\.nope: field not declared in schema/)
    const gone = await apply('two', { ports: [] })
    assert.deepEqual(gone.json['spec']?.['ports'], [{ name: 'a', port: 1, protocol: 'TCP' }])
    h.api.close()
  })

  test('dry runs, generated names, pages and deletion of collections are as for every kind', async () => {
    const h = server()
    await define(h, cronTabs())
    assert.equal((await h.call('POST', `${TABS}?dryRun=All`, cronTab('dry'))).status, 201)
    for (let i = 0; i < 5; i++) await h.call('POST', TABS, { ...cronTab(''), metadata: { generateName: 'gen-' } })
    const page = await h.call('GET', `${TABS}?limit=2`)
    assert.deepEqual([page.json['items']?.['length'], page.json['metadata']?.['remainingItemCount']], [2, 3])
    const rest = await h.call('GET', `${TABS}?limit=5&continue=${String(page.json['metadata']?.['continue'])}`)
    assert.equal(rest.json['items']?.['length'], 3)
    assert.equal((await h.call('DELETE', TABS)).status, 200)
    assert.deepEqual((await h.call('GET', TABS)).json['items'], [])
    h.api.close()
  })

  test('a deprecated version warns, naming the one to use', async () => {
    const h = server()
    await define(h, cronTabs({ versions: [version('v1beta1', { deprecated: true }), version('v1', { storage: true, subresources: { status: {} } }), version('v2alpha1', { deprecated: true, deprecationWarning: 'do not' })] }))
    assert.equal((await h.call('GET', TABS.replace('/v1/', '/v1beta1/'))).headers['warning'], '299 - "stable.example.com/v1beta1 CronTab is deprecated; use stable.example.com/v1 CronTab"')
    assert.equal((await h.call('GET', TABS.replace('/v1/', '/v2alpha1/'))).headers['warning'], '299 - "do not"')
    const group = await h.call('GET', '/apis/stable.example.com')
    assert.deepEqual(items<{ version: string }>(group.json['versions']).map((v) => v.version), ['v1', 'v1beta1', 'v2alpha1'])
    h.api.close()
  })

  test('a server that starts again serves what was defined before', async () => {
    const h = server()
    await define(h, cronTabs())
    await h.call('POST', TABS, cronTab('a'))
    h.api.close()
    const again = server({ store: h.store })
    assert.deepEqual([(await again.call('GET', `${TABS}/a`)).status, (await again.call('GET', '/readyz/poststarthook/crd-informer-synced')).status], [200, 200])
    again.api.close()
  })

  test('an applied null stays one: where it may not be, the apply is refused', async () => {
    const h = server()
    const inner = { type: 'object', properties: { a: { type: 'string' } } }
    await define(h, cronTabs({ schema: { type: 'object', properties: { spec: { type: 'object', properties: { plain: inner, nullable: { ...inner, nullable: true } } } } } }))
    const apply = (spec: unknown) => h.call('PATCH', `${TABS}/a?fieldManager=m`, cronTab('a', spec), { 'content-type': 'application/apply-patch+yaml' })
    assert.equal((await apply({ plain: { a: '1' }, nullable: { a: '1' } })).status, 201)
    assert.deepEqual(causes((await apply({ plain: null })).json), ['spec.plain: Invalid value: "null": spec.plain in body must be of type object: "null"'])
    assert.deepEqual((await apply({ nullable: null })).json['spec'], { nullable: null })
    h.api.close()
  })

  test('a definition whose webhook shows no certificate is not established', async () => {
    const h = server()
    const webhook = (caBundle: string) => ({ conversion: { strategy: 'Webhook', webhook: { conversionReviewVersions: ['v1'], clientConfig: { url: 'https://127.0.0.1', caBundle } } } })
    const crd = await define(h, cronTabs({ spec: webhook(Buffer.from('none').toString('base64')) }))
    assert.deepEqual(conditionsOf(crd).map((c) => `${c.type}=${c.status} ${c.reason}: ${c.message}`), ['NamesAccepted=True NoConflicts: no conflicts found', 'Established=False InvalidCABundle: The conversion webhook CABundle is invalid'])
    h.api.close()
  })

  test('null is dropped where it is not allowed, unless there is a default', async () => {
    const h = server()
    const leaf = (over: Record<string, unknown>) => ({ type: 'string', ...over })
    await define(h, cronTabs({ schema: { type: 'object', properties: { spec: { type: 'object', properties: { plain: leaf({}), nullable: leaf({ nullable: true }), defaulted: leaf({ default: 'd' }), both: leaf({ nullable: true, default: 'd' }), list: { type: 'array', items: leaf({ nullable: true }) } } } } } }))
    const made = await h.call('POST', TABS, cronTab('a', { plain: null, nullable: null, defaulted: null, both: null, list: [null, 'x'] }))
    assert.deepEqual(made.json['spec'], { nullable: null, defaulted: 'd', both: null, list: [null, 'x'] })
    assert.deepEqual((await h.call('GET', `${TABS}/a`)).json['spec'], made.json['spec'])
    h.api.close()
  })

})
