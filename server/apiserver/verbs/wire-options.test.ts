import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CM, configMap, harness, items, type Answer } from '../app.test-support.ts'
import { rows } from '../registry.ts'

const told = (a: Answer): string => `${a.status} ${String(a.json['message'])}`

describe('options of deletions', () => {
  test('preconditions that do not hold are 409 in upstream\'s words, which name the kind', async () => {
    const { call } = harness()
    const { json } = await call('POST', CM, configMap('a'))
    const [uid, revision] = [String(json['metadata']?.['uid']), String(json['metadata']?.['resourceVersion'])]
    assert.equal(told(await call('DELETE', `${CM}/a`, { preconditions: { uid: 'x' } })), `409 Operation cannot be fulfilled on ConfigMap "a": the UID in the precondition (x) does not match the UID in record (${uid}). The object might have been deleted and then recreated`)
    assert.equal(told(await call('DELETE', `${CM}/a`, { preconditions: { uid, resourceVersion: '1' } })), `409 Operation cannot be fulfilled on ConfigMap "a": the ResourceVersion in the precondition (1) does not match the ResourceVersion in record (${revision}). The object might have been modified`)
    assert.equal((await call('DELETE', `${CM}/a`, { preconditions: { uid, resourceVersion: revision } })).status, 200)
  })

  test('without a body, uid and resourceVersion in the query are preconditions, and dryRun is looked at as it is', async () => {
    const { call } = harness()
    const { json } = await call('POST', CM, configMap('a'))
    const [uid, revision] = [String(json['metadata']?.['uid']), String(json['metadata']?.['resourceVersion'])]
    assert.match(told(await call('DELETE', `${CM}/a?uid=x`)), /^409 .*the UID in the precondition \(x\) does not match/)
    assert.match(told(await call('DELETE', `${CM}/a?uid=${uid}&resourceVersion=1`)), /^409 .*the ResourceVersion in the precondition \(1\) does not match/)
    assert.match(told(await call('DELETE', `${CM}?resourceVersion=0`)), /^409 .*the ResourceVersion in the precondition \(0\) does not match/)
    assert.equal(told(await call('DELETE', `${CM}/a?dryRun=`)), '422 DeleteOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: [""]: supported values: "All"')
    assert.equal((await call('GET', `${CM}/a`)).status, 200)
    assert.equal((await call('DELETE', `${CM}/a?uid=${uid}&resourceVersion=${revision}`)).status, 200)
  })

  test('what is on its way is 202 for who asked for its dependents by orphanDependents, and 200 for all others', async () => {
    const { call } = harness()
    for (const name of ['a', 'b']) await call('POST', CM, configMap(name, { metadata: { name, finalizers: ['example.com/f'] } }))
    assert.deepEqual([(await call('DELETE', `${CM}/a`, { orphanDependents: false })).status, (await call('DELETE', `${CM}/b`, { propagationPolicy: 'Background' })).status], [202, 200])
  })

  test('a page that a selector leaves short of what is there goes on, to a page of nothing', async () => {
    const { call } = harness()
    for (const name of ['a', 'b', 'c']) await call('POST', CM, configMap(name, { metadata: { name, labels: { odd: String(name !== 'c') } } }))
    const first = await call('GET', `${CM}?limit=2&labelSelector=odd%3Dtrue`)
    assert.deepEqual([items(first.json['items']).length, first.json['metadata']?.['remainingItemCount']], [2, undefined])
    const rest = await call('GET', `${CM}?limit=2&labelSelector=odd%3Dtrue&continue=${encodeURIComponent(String(first.json['metadata']?.['continue']))}`)
    assert.deepEqual([items(rest.json['items']).length, rest.json['metadata']?.['continue']], [0, undefined])
  })

  test('what does not go together is 422', async () => {
    const { call } = harness()
    await call('POST', CM, configMap('a'))
    const refused = (text: string) => `422 DeleteOptions.meta.k8s.io "" is invalid: ${text}`
    assert.equal(told(await call('DELETE', `${CM}/a`, { propagationPolicy: 'Orphan', orphanDependents: true })), refused('propagationPolicy: Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be both set'))
    assert.equal(told(await call('DELETE', `${CM}/a?propagationPolicy=Sideways`)), refused('propagationPolicy: Unsupported value: "Sideways": supported values: "Foreground", "Background", "Orphan", "nil"'))
    assert.equal(told(await call('DELETE', `${CM}/a`, { ignoreStoreReadErrorWithClusterBreakingPotential: true, gracePeriodSeconds: 0, dryRun: ['All'] })),
      refused('[ignoreStoreReadErrorWithClusterBreakingPotential: Invalid value: true: cannot be set together with .dryRun, ignoreStoreReadErrorWithClusterBreakingPotential: Invalid value: true: cannot be set together with .gracePeriodSeconds]'))
    assert.equal(told(await call('DELETE', `${CM}/a?ignoreStoreReadErrorWithClusterBreakingPotential=true&propagationPolicy=Orphan`)), refused('ignoreStoreReadErrorWithClusterBreakingPotential: Invalid value: true: cannot be set together with .propagationPolicy'))
    assert.equal((await call('GET', `${CM}/a`)).status, 200)
  })

  test('a collection is deleted as far as its limit, and answered in the form asked for', async () => {
    const { call } = harness()
    for (const name of ['a', 'b', 'c']) await call('POST', CM, configMap(name))
    const first = await call('DELETE', `${CM}?limit=2`, undefined, { accept: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io' })
    assert.deepEqual([String(first.json['kind']), items(first.json['items']).map((i) => String(i['metadata']?.['name'])), typeof first.json['metadata']?.['continue']], ['PartialObjectMetadataList', ['a', 'b'], 'string'])
    assert.equal(items((await call('GET', CM)).json['items']).length, 1)
    assert.equal(told(await call('DELETE', `${CM}?resourceVersionMatch=Exact`)), '422 ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided')
  })
})

describe('kinds that differ', () => {
  test('some kinds answer a deletion with what is gone, and a PUT may create some', async () => {
    const { call } = harness({ rows })
    const storage = '/apis/storage.k8s.io/v1/storageclasses'
    const created = await call('POST', storage, { metadata: { name: 'a' }, provisioner: 'x.y/z' })
    assert.equal(created.status, 201, created.text)
    assert.equal(String((await call('DELETE', `${storage}/a`)).json['kind']), 'StorageClass')
    const runtimes = '/apis/node.k8s.io/v1/runtimeclasses'
    assert.equal((await call('PUT', `${runtimes}/a`, { metadata: { name: 'a' }, handler: 'h' })).status, 201)
    assert.equal(String((await call('DELETE', `${runtimes}/a`)).json['kind']), 'Status')
    assert.equal((await call('PUT', `${storage}/a`, { metadata: { name: 'a' }, provisioner: 'x.y/z' })).status, 404)
  })
})

describe('options of writes', () => {
  test('names of managers are printable', async () => {
    const { call } = harness()
    assert.equal(told(await call('POST', `${CM}?fieldManager=a%07b%C3%BC%0A`, configMap('a'))),
      '422 CreateOptions.meta.k8s.io "" is invalid: [fieldManager: Invalid value: "a\\abü\\n": invalid character U+0007 (at position 1), fieldManager: Invalid value: "a\\abü\\n": invalid character U+000A (at position 5)]')
    assert.equal((await call('POST', `${CM}?fieldManager=%C3%BC%20b`, configMap('a'))).status, 201)
  })

  test('patches are validated as strictly as asked: twice given keys, unknown fields', async () => {
    const { call } = harness()
    const path = '/apis/apps/v1/namespaces/default/deployments'
    await call('POST', path, { metadata: { name: 'd' }, spec: { selector: { matchLabels: { a: 'b' } }, template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } } } })
    const patch = (validation: string, type: string, text: string) => call('PATCH', `${path}/d?fieldValidation=${validation}`, Buffer.from(text), { 'content-type': `application/${type}+json` })
    const twice = '{"spec":{"paused":true,"paused":false,"nope":1}}'
    for (const type of ['merge-patch', 'strategic-merge-patch']) {
      const strict = await patch('Strict', type, twice)
      assert.equal(strict.status, 422)
      if (type === 'merge-patch') assert.match(String(strict.json['message']), /strict decoding error: duplicate field "spec.paused", unknown field "spec.nope"$/)
    }
    const warned = await patch('Warn', 'merge-patch', twice)
    assert.deepEqual([warned.status, warned.headers['warning']], [200, '299 - "duplicate field \\"spec.paused\\"", 299 - "unknown field \\"spec.nope\\""'])
    const ignored = await patch('Ignore', 'merge-patch', twice)
    assert.deepEqual([ignored.status, ignored.headers['warning']], [200, undefined])
    const operations = await patch('Strict', 'json-patch', '[{"op":"add","path":"/spec/paused","path":"/spec/paused","value":true,"why":"x"}]')
    const several = await patch('Strict', 'json-patch', '[{"op":"add","path":"/spec/paused","value":true,"why":"x"},{"op":"add","path":"/spec/paused","path":"/spec/paused","value":true}]')
    assert.match(told(several), /^422 .*strict decoding error: json patch unknown field "\[0\]\.why", json patch duplicate field "\[1\]\.path"$/)
    assert.match(told(operations), /^422 .*strict decoding error: json patch duplicate field "\[0\]\.path", json patch unknown field "\[0\]\.why"$/)
  })
})

describe('forms of answers', () => {
  test('people\'s tools get indented JSON, also when the media type asks', async () => {
    const { call } = harness()
    await call('POST', CM, configMap('a'))
    const isPretty = async (query: string, headers: Record<string, string>) => (await call('GET', `${CM}/a${query}`, undefined, headers)).text.startsWith('{\n  "kind"')
    assert.deepEqual(await Promise.all([isPretty('', {}), isPretty('', { 'user-agent': 'curl/8.5.0' }), isPretty('?pretty=false', { 'user-agent': 'curl/8.5.0' }), isPretty('?pretty=1', {}), isPretty('', { accept: 'application/json;pretty=1' })]), [false, true, false, true, true])
  })

  test('what is written is answered in the form accepted, and nothing is written for who accepts none', async () => {
    const { call } = harness()
    const table = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' }
    const created = await call('POST', CM, configMap('a'), table)
    assert.deepEqual([created.status, String(created.json['kind']), items(created.json['rows']).map((r) => items(r['cells'])[0])], [201, 'Table', ['a']])
    assert.equal(String((await call('PUT', `${CM}/a`, configMap('a'), table)).json['kind']), 'Table')
    const discovered = await call('GET', '/api/v1', undefined, { accept: 'application/yaml' })
    assert.deepEqual([discovered.headers['content-type'], /^kind: APIResourceList$/m.test(discovered.text)], ['application/yaml', true])
    assert.match((await call('PATCH', `${CM}/a`, { data: { k: '2' } }, { 'content-type': 'application/merge-patch+json', accept: 'application/yaml' })).text, /^apiVersion: v1\ndata:\n/)
    assert.equal((await call('POST', CM, configMap('b'), { accept: 'text/html' })).status, 406)
    assert.equal((await call('GET', `${CM}/b`)).status, 404)
    assert.equal(String((await call('DELETE', `${CM}/a`, undefined, table)).json['kind']), 'Status')
  })

  test('a transformation needs its group and version', async () => {
    const { call } = harness()
    assert.equal((await call('GET', CM, undefined, { accept: 'application/json;as=Table' })).status, 406)
    assert.equal((await call('GET', CM, undefined, { accept: 'application/json;v=v1;g=meta.k8s.io' })).status, 406)
    assert.equal(String((await call('GET', CM, undefined, { accept: 'application/json;as=Table,application/json' })).json['kind']), 'ConfigMapList')
  })
})
