import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { CM, configMap, harness, items, PODS, ROWS, type Harness } from '../app.test-support.ts'

const pod = (name: string, over: Record<string, unknown> = {}): Record<string, unknown> => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name, labels: { app: name } }, spec: { containers: [{ name: 'c', image: 'i' }] }, ...over })
const onNode = { spec: { nodeName: 'n1', containers: [{ name: 'c', image: 'i' }] } }

describe('writing objects', () => {
  test('create, get, update and delete answer as upstream does', async () => {
    const { call } = harness()
    const made = await call('POST', CM, configMap('a'))
    assert.equal(made.status, 201)
    assert.deepEqual(Object.keys(made.json), ['kind', 'apiVersion', 'metadata', 'data'])
    assert.equal(made.json['metadata']?.['namespace'], 'default')
    assert.equal(made.json['metadata']?.['resourceVersion'], '2')
    const got = await call('GET', `${CM}/a`)
    assert.deepEqual([got.status, got.json], [200, made.json])
    const put = await call('PUT', `${CM}/a`, { ...made.json, data: { k: 'w' } })
    assert.deepEqual([put.status, put.json['data'], put.json['metadata']?.['resourceVersion']], [200, { k: 'w' }, '3'])
    const gone = await call('DELETE', `${CM}/a`)
    assert.deepEqual([gone.status, gone.json], [200, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details: { name: 'a', kind: 'configmaps', uid: made.json['metadata']?.['uid'] } }])
    const missing = await call('GET', `${CM}/a`)
    assert.deepEqual([missing.status, missing.json], [404, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message: 'configmaps "a" not found', reason: 'NotFound', details: { name: 'a', kind: 'configmaps' }, code: 404 }])
  })

  test('the stored bytes begin with metadata and hold neither kind, apiVersion nor resourceVersion', async () => {
    const { call, store } = harness()
    await call('POST', CM, configMap('a'))
    const kv = await store.get('/registry/core/configmaps/default/a')
    const text = kv?.value.toString() ?? ''
    assert.ok(text.startsWith('{"metadata":{"'))
    const { metadata, ...rest } = JSON.parse(text) as { metadata: object }
    assert.deepEqual([Object.keys(rest), 'resourceVersion' in metadata], [['data'], false])
  })

  test('a name that is taken is 409 AlreadyExists', async () => {
    const { call } = harness()
    await call('POST', CM, configMap('a'))
    const again = await call('POST', CM, configMap('a'))
    assert.deepEqual([again.status, again.json['reason'], again.json['message']], [409, 'AlreadyExists', 'configmaps "a" already exists'])
  })

  test('generateName makes names, and another one when the first is taken', async () => {
    const taken = new Set<string>()
    const { call } = harness()
    for (let i = 0; i < 20; i++) {
      const made = await call('POST', CM, { metadata: { generateName: 'x-' } })
      assert.equal(made.status, 201)
      taken.add(String(made.json['metadata']?.['name']))
    }
    assert.equal(taken.size, 20)
    assert.ok([...taken].every((n) => /^x-[a-z0-9]{5}$/.test(n)))
    const constant = { next: () => 0, bytes: (n: number) => Buffer.alloc(n) }
    const stuck = harness({ random: constant })
    await stuck.call('POST', CM, { metadata: { generateName: 'x-' } })
    const clash = await stuck.call('POST', CM, { metadata: { generateName: 'x-' } })
    assert.deepEqual([clash.status, clash.json['message'], clash.headers['retry-after']], [409, 'configmaps "x-bbbbb" already exists, the server was not able to generate a unique name for the object', '1'])
  })

  test('an object that names another namespace or name than the URL is refused', async () => {
    const { call } = harness()
    const elsewhere = await call('POST', CM, configMap('a', { metadata: { name: 'a', namespace: 'other' } }))
    assert.deepEqual([elsewhere.status, elsewhere.json['message']], [400, 'the namespace of the provided object does not match the namespace sent on the request'])
    await call('POST', CM, configMap('a'))
    const renamed = await call('PUT', `${CM}/a`, configMap('b'))
    assert.deepEqual([renamed.status, renamed.json['message']], [400, 'the name of the object (b) does not match the name on the URL (a)'])
    const versioned = await call('POST', CM, configMap('c', { metadata: { name: 'c', resourceVersion: '1' } }))
    assert.equal((await call('POST', CM, configMap('no-revision', { metadata: { name: 'no-revision', resourceVersion: 'none' } }))).status, 201, 'what is no revision says nothing')
    assert.equal((await call('GET', `${CM}/no-revision?export=true`)).json['message'], 'the export parameter, deprecated since v1.14, is no longer supported')
    assert.equal((await call('GET', `${CM}/no-revision?export=false`)).status, 200)
    assert.deepEqual([versioned.status, versioned.json['message'], versioned.json['reason']], [500, 'resourceVersion should not be set on objects to be created', undefined])
    assert.equal((await call('POST', `${CM}?dryRun=All`, configMap('c', { metadata: { name: 'c', resourceVersion: '1' } }))).status, 201)
  })

  test('an update at an old resourceVersion is 409 Conflict, without one it goes through, without a change it writes nothing', async () => {
    const { call, store } = harness()
    const made = await call('POST', CM, configMap('a'))
    await call('PUT', `${CM}/a`, configMap('a', { data: { k: '2' } }))
    const stale = await call('PUT', `${CM}/a`, { ...made.json, data: { k: '3' } })
    assert.deepEqual([stale.status, stale.json['message']], [409, 'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again'])
    const before = store.revision()
    const same = await call('PUT', `${CM}/a`, configMap('a', { data: { k: '2' } }))
    assert.deepEqual([same.status, store.revision(), same.json['metadata']?.['resourceVersion']], [200, before, String(before)])
    const other = await call('PUT', `${CM}/a`, configMap('a', { metadata: { name: 'a', uid: 'x' } }))
    assert.match(String(other.json['message']), /^Operation cannot be fulfilled on configmaps "a": StorageError: invalid object, Code: 4, Key: .*, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: x, UID in object meta: /)
  })

  test('many unconditional writers at once all succeed', async () => {
    const { call } = harness()
    await call('POST', CM, configMap('a'))
    const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => call('PATCH', `${CM}/a`, { data: { [`k${i}`]: 'v' } }, { 'content-type': 'application/merge-patch+json' })))
    const won = answers.filter((a) => a.status === 200).length
    const got = await call('GET', `${CM}/a`)
    // Each that was told 200 is there; upstream too gives up a patch after five conflicts.
    assert.equal(Object.keys(got.json['data'] ?? {}).length, won + 1)
    assert.ok(answers.every((a) => a.status === 200 || a.status === 409))
    const puts = await Promise.all(Array.from({ length: 20 }, (_, i) => call('PUT', `${CM}/a`, configMap('a', { data: { i: String(i) } }))))
    assert.deepEqual(puts.map((p) => p.status), puts.map(() => 200))
  })

  test('generation rises with the spec, not with metadata or status', async () => {
    const { call } = harness()
    const path = '/apis/apps/v1/namespaces/default/deployments'
    const deployment = { metadata: { name: 'd' }, spec: { replicas: 1, selector: { matchLabels: { a: 'b' } }, template: { metadata: { labels: { a: 'b' } }, spec: { containers: [] } } } }
    const generation = async (): Promise<unknown> => (await call('GET', `${path}/d`)).json['metadata']?.['generation']
    await call('POST', path, deployment)
    assert.equal(await generation(), 1)
    await call('PATCH', `${path}/d`, { metadata: { labels: { x: 'y' } } }, { 'content-type': 'application/merge-patch+json' })
    await call('PATCH', `${path}/d/status`, { status: { replicas: 3 } }, { 'content-type': 'application/merge-patch+json' })
    assert.equal(await generation(), 1)
    await call('PATCH', `${path}/d`, { spec: { replicas: 2 } }, { 'content-type': 'application/merge-patch+json' })
    assert.equal(await generation(), 2)
  })

  test('/status changes status and metadata, the object alone everything but status', async () => {
    const { call } = harness()
    await call('POST', PODS, pod('p'))
    const status = await call('PUT', `${PODS}/p/status`, pod('p', { metadata: { name: 'p', labels: { app: 'q' } }, spec: { containers: [], nodeName: 'x' }, status: { phase: 'Running' } }))
    assert.deepEqual([status.status, status.json['status'], status.json['spec']?.['nodeName'], status.json['metadata']?.['labels']], [200, { phase: 'Running' }, undefined, { app: 'q' }])
    const main = await call('PUT', `${PODS}/p`, pod('p', { status: { phase: 'Failed' } }))
    assert.deepEqual(main.json['status'], { phase: 'Running' })
  })

  test('patches: json, merge, strategic; a bad one changes nothing', async () => {
    const { call } = harness()
    await call('POST', PODS, pod('p'))
    const json = await call('PATCH', `${PODS}/p`, [{ op: 'add', path: '/metadata/labels/x', value: 'y' }], { 'content-type': 'application/json-patch+json' })
    assert.deepEqual(json.json['metadata']?.['labels'], { app: 'p', x: 'y' })
    const merge = await call('PATCH', `${PODS}/p`, { metadata: { labels: { x: null } } }, { 'content-type': 'application/merge-patch+json' })
    assert.deepEqual(merge.json['metadata']?.['labels'], { app: 'p' })
    const strategic = await call('PATCH', `${PODS}/p`, { spec: { containers: [{ name: 'd', image: 'j' }] } }, { 'content-type': 'application/strategic-merge-patch+json' })
    assert.equal(items(strategic.json['spec']?.['containers']).length, 2)
    const bad = await call('PATCH', `${PODS}/p`, [{ op: 'remove', path: '/metadata/labels/none' }], { 'content-type': 'application/json-patch+json' })
    assert.equal(bad.status, 422)
    const typed = await call('PATCH', `${PODS}/p`, {}, { 'content-type': 'application/json' })
    assert.equal(typed.status, 415)
    const stale = await call('PATCH', `${PODS}/p`, { metadata: { resourceVersion: '1' } }, { 'content-type': 'application/merge-patch+json' })
    assert.deepEqual([stale.status, stale.json['reason']], [409, 'Conflict'])
  })

  test('a strategic merge patch of a wrong type is shown as Go prints it, in the converter\'s words', async () => {
    const { call } = harness()
    await call('POST', PODS, pod('p'))
    const message = async (type: string, patch: object) => {
      const { status, json } = await call('PATCH', `${PODS}/p`, patch, { 'content-type': `application/${type}+json` })
      return `${status} ${String(json['message'])}`
    }
    assert.deepEqual(
      await Promise.all([
        { metadata: { labels: 'invalid' } }, { spec: { tolerations: 7 } }, { spec: { securityContext: ['x', null, 1.5] } }, { spec: { hostname: 5, dnsPolicy: null } }, { spec: { hostNetwork: 'yes' } }, { spec: { priority: 0.5 } },
      ].map((patch) => message('strategic-merge-patch', patch))),
      [
        ' "" is invalid: patch: Invalid value: "map[metadata:map[labels:invalid]]": cannot restore map from string',
        ' "" is invalid: patch: Invalid value: "map[spec:map[tolerations:7]]": cannot restore slice from int64',
        ' "" is invalid: patch: Invalid value: "map[spec:map[securityContext:[x <nil> 1.5]]]": cannot restore struct from: slice',
        ' "" is invalid: patch: Invalid value: "map[spec:map[dnsPolicy:<nil> hostname:5]]": cannot convert int64 to string',
        ' "" is invalid: patch: Invalid value: "map[spec:map[hostNetwork:yes]]": unrecognized type: bool',
        ' "" is invalid: patch: Invalid value: "map[spec:map[priority:0.5]]": cannot convert float64 to int32',
      ].map((text) => `422 ${text}`),
    )
    assert.equal(await message('merge-patch', { metadata: { labels: 'invalid' } }), '422  "" is invalid: patch: Invalid value: "{\\"metadata\\":{\\"labels\\":\\"invalid\\"}}": json: cannot unmarshal string into Go struct field ObjectMeta.metadata.labels of type map[string]string')
  })

  test('apply creates with 201, changes with 200, and tells conflicts by manager and field', async () => {
    const { call } = harness()
    const apply = (manager: string, data: Record<string, string>, query = '') => call('PATCH', `${CM}/a?fieldManager=${manager}${query}`, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data }, { 'content-type': 'application/apply-patch+yaml' })
    assert.equal((await apply('one', { k: '1' })).status, 201)
    const same = await apply('one', { k: '1' })
    assert.deepEqual([same.status, same.json['metadata']?.['resourceVersion']], [200, '2'])
    const clash = await apply('two', { k: '2' })
    assert.deepEqual([clash.status, clash.json['reason'], clash.json['details']?.['causes']], [409, 'Conflict', [{ reason: 'FieldManagerConflict', message: 'conflict with "one"', field: '.data.k' }]])
    assert.equal((await apply('two', { k: '2' }, '&force=true')).json['data']?.['k']?.toString(), '2')
    const nobody = await call('PATCH', `${CM}/a`, {}, { 'content-type': 'application/apply-patch+yaml' })
    assert.deepEqual([nobody.status, nobody.json['message']], [422, 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'])
  })

  test('dryRun=All answers as if, and writes nothing', async () => {
    const { call, store } = harness()
    const made = await call('POST', `${CM}?dryRun=All`, configMap('a'))
    assert.deepEqual([made.status, made.json['metadata']?.['resourceVersion'], store.revision()], [201, undefined, 1])
    await call('POST', CM, configMap('b'))
    await call('PUT', `${CM}/b?dryRun=All`, configMap('b', { data: { k: 'new' } }))
    await call('DELETE', `${CM}/b?dryRun=All`)
    assert.deepEqual([store.revision(), (await call('GET', `${CM}/b`)).json['data']], [2, { k: 'v' }])
    const wrong = await call('POST', `${CM}?dryRun=Some`, configMap('c'))
    assert.deepEqual([wrong.status, wrong.json['message']], [422, 'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All"'])
  })

  test('unknown fields are refused, warned of or dropped as fieldValidation says', async () => {
    const { call } = harness()
    const odd = (name: string) => configMap(name, { oops: 1 })
    const strict = await call('POST', `${CM}?fieldValidation=Strict`, odd('a'))
    assert.deepEqual([strict.status, strict.json['message']], [400, 'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "oops"'])
    const warn = await call('POST', `${CM}?fieldValidation=Warn`, odd('b'))
    assert.deepEqual([warn.status, warn.headers['warning'], warn.json['oops']], [201, '299 - "unknown field \\"oops\\""', undefined])
    const ignore = await call('POST', `${CM}?fieldValidation=Ignore`, odd('c'))
    assert.deepEqual([ignore.status, ignore.headers['warning']], [201, undefined])
  })

  test('managedFields name the manager given, or else the user agent up to its slash', async () => {
    const { call } = harness()
    const managers = (a: Awaited<ReturnType<Harness['call']>>) => items<{ manager: string; operation: string }>(a.json['metadata']?.['managedFields']).map((f) => `${f.manager} ${f.operation}`)
    assert.deepEqual(managers(await call('POST', CM, configMap('a'), { 'user-agent': 'helm/3 (linux)' })), ['helm Update'])
    const changed = await call('PATCH', `${CM}/a?fieldManager=me`, { data: { z: '1' } }, { 'content-type': 'application/merge-patch+json' })
    assert.deepEqual(managers(changed), ['helm Update', 'me Update'])
  })
})

describe('deleting', () => {
  test('a pod on a node is marked, shortened, and gone once its grace is over', async () => {
    const { call, clock } = harness()
    await call('POST', PODS, pod('p', onNode))
    const marked = await call('DELETE', `${PODS}/p`)
    assert.deepEqual([marked.status, marked.json['metadata']?.['deletionGracePeriodSeconds'], marked.json['metadata']?.['generation']], [200, 30, 2])
    assert.equal(String(marked.json['metadata']?.['deletionTimestamp']), new Date(clock.nowMs() + 30_000).toISOString().replace('.000', ''))
    const shorter = await call('DELETE', `${PODS}/p?gracePeriodSeconds=5`)
    assert.deepEqual([shorter.json['metadata']?.['deletionGracePeriodSeconds'], String(shorter.json['metadata']?.['deletionTimestamp'])], [5, new Date(clock.nowMs() + 5_000).toISOString().replace('.000', '')])
    const longer = await call('DELETE', `${PODS}/p?gracePeriodSeconds=50`)
    assert.deepEqual(longer.json['metadata'], shorter.json['metadata'])
    assert.equal((await call('DELETE', `${PODS}/p?gracePeriodSeconds=0`)).status, 200)
    assert.equal((await call('GET', `${PODS}/p`)).status, 404)
  })

  test('finalizers hold an object until the last one goes', async () => {
    const { call } = harness()
    await call('POST', CM, configMap('a', { metadata: { name: 'a', finalizers: ['x.io/a', 'x.io/b'] } }))
    const marked = await call('DELETE', `${CM}/a`)
    assert.deepEqual([marked.status, marked.json['kind'], marked.json['metadata']?.['deletionGracePeriodSeconds']], [200, 'ConfigMap', 0])
    const merge = { 'content-type': 'application/merge-patch+json' }
    assert.equal((await call('PATCH', `${CM}/a`, { metadata: { finalizers: ['x.io/b'] } }, merge)).status, 200)
    assert.equal((await call('GET', `${CM}/a`)).status, 200)
    assert.equal((await call('PATCH', `${CM}/a`, { metadata: { finalizers: null } }, merge)).status, 200)
    assert.equal((await call('GET', `${CM}/a`)).status, 404)
  })

  test('propagation policies become the garbage collector\'s finalizers', async () => {
    const { call } = harness()
    const finalizers = async (name: string, body: unknown): Promise<unknown> => {
      await call('POST', CM, configMap(name))
      await call('DELETE', `${CM}/${name}`, body)
      return (await call('GET', `${CM}/${name}`)).json['metadata']?.['finalizers']
    }
    const policy = (propagationPolicy: string) => ({ kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy })
    assert.deepEqual(await finalizers('a', policy('Foreground')), ['foregroundDeletion'])
    assert.deepEqual(await finalizers('b', policy('Orphan')), ['orphan'])
    assert.deepEqual(await finalizers('c', { kind: 'DeleteOptions', apiVersion: 'v1', orphanDependents: true }), ['orphan'])
    assert.deepEqual(await finalizers('d', policy('Background')), undefined)
    const wrong = await call('DELETE', `${CM}/a`, policy('Sideways'))
    assert.equal(wrong.status, 422)
  })

  test('preconditions on uid and resourceVersion', async () => {
    const { call } = harness()
    const made = await call('POST', CM, configMap('a'))
    const wrong = await call('DELETE', `${CM}/a`, { preconditions: { uid: 'nope' } })
    assert.deepEqual([wrong.status, wrong.json['reason']], [409, 'Conflict'])
    const old = await call('DELETE', `${CM}/a`, { preconditions: { resourceVersion: '1' } })
    assert.equal(old.status, 409)
    assert.equal((await call('DELETE', `${CM}/a`, { preconditions: { uid: made.json['metadata']?.['uid'], resourceVersion: '2' } })).status, 200)
  })

  test('a collection is deleted by selector, the rest stays', async () => {
    const { call } = harness()
    for (let i = 0; i < 30; i++) await call('POST', CM, configMap(`c${i}`, { metadata: { name: `c${i}`, labels: { odd: String(i % 2) } } }))
    const gone = await call('DELETE', `${CM}?labelSelector=odd%3D1`)
    assert.deepEqual([gone.status, (gone.json['items'] as unknown as unknown[]).length], [200, 15])
    assert.equal(((await call('GET', CM)).json['items'] as unknown as unknown[]).length, 15)
  })

  test('a namespace goes only when its spec.finalizers are gone, by /finalize', async () => {
    const rows = ROWS.map((r) => (r.ref.resource === 'namespaces' ? { ...r, strategy: { ...r.strategy, prepareDelete: (o: object) => { (o as { status?: object }).status = { phase: 'Terminating' } }, mayRemove: (o: object) => ((o as { spec?: { finalizers?: string[] } }).spec?.finalizers ?? []).length === 0 } } : r))
    const { call } = harness({ rows })
    const made = await call('POST', '/api/v1/namespaces', { metadata: { name: 'n' }, spec: { finalizers: ['kubernetes'] } })
    const marked = await call('DELETE', '/api/v1/namespaces/n')
    assert.deepEqual([marked.status, typeof marked.json['metadata']?.['deletionTimestamp'], marked.json['status']], [200, 'string', { phase: 'Terminating' }])
    assert.equal((await call('DELETE', '/api/v1/namespaces/n')).json['kind']?.toString(), 'Namespace')
    const final = await call('PUT', '/api/v1/namespaces/n/finalize', { ...made.json, metadata: { name: 'n' }, spec: { finalizers: [] } })
    assert.equal(final.status, 200)
    assert.equal((await call('GET', '/api/v1/namespaces/n')).status, 404)
  })
})

describe('subresources', () => {
  test('a pod is bound once', async () => {
    const { call } = harness()
    await call('POST', PODS, pod('p'))
    const bind = (node: string) => call('POST', `${PODS}/p/binding`, { apiVersion: 'v1', kind: 'Binding', metadata: { name: 'p' }, target: { kind: 'Node', name: node } })
    assert.equal((await bind('n1')).status, 201)
    const bound = (await call('GET', `${PODS}/p`)).json
    assert.deepEqual([bound['spec']?.['nodeName'], items<{ type: string; status: string }>(bound['status']?.['conditions']).map((c) => `${c.type}=${c.status}`)], ['n1', ['PodScheduled=True']])
    const again = await bind('n2')
    assert.deepEqual([again.status, again.json['message']], [409, 'Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n1"'])
  })

  test('an eviction takes from the disruption budget, and is 429 when there is nothing to take', async () => {
    const { call } = harness()
    const pdbs = '/apis/policy/v1/namespaces/default/poddisruptionbudgets'
    const running = { status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] } }
    for (const name of ['a', 'b']) {
      await call('POST', PODS, pod(name, { metadata: { name, labels: { app: 'x' } } }))
      await call('PATCH', `${PODS}/${name}/status`, running, { 'content-type': 'application/merge-patch+json' })
    }
    await call('POST', pdbs, { metadata: { name: 'pdb' }, spec: { minAvailable: 1, selector: { matchLabels: { app: 'x' } } } })
    const evict = (name: string) => call('POST', `${PODS}/${name}/eviction`, { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name } })
    const early = await evict('a')
    assert.deepEqual([early.status, early.json['details']?.['causes']], [429, [{ reason: 'DisruptionBudget', message: 'The disruption budget pdb is still being processed by the server.' }]])
    await call('PATCH', `${pdbs}/pdb/status`, { status: { observedGeneration: 1, disruptionsAllowed: 1, currentHealthy: 2, desiredHealthy: 1, expectedPods: 2 } }, { 'content-type': 'application/merge-patch+json' })
    assert.equal((await evict('a')).status, 201)
    assert.equal((await call('GET', `${PODS}/a`)).status, 404)
    const refused = await evict('b')
    assert.deepEqual([refused.status, refused.json['reason'], refused.json['message']], [429, 'TooManyRequests', "Cannot evict pod as it would violate the pod's disruption budget."])
    assert.equal((await call('GET', `${PODS}/b`)).status, 200)
  })

  test('who is evicted says so until it is gone; kubectl before 1.22 asks in its own words', async () => {
    const { call } = harness()
    await call('POST', PODS, pod('p', { spec: { nodeName: 'n', containers: [{ name: 'c', image: 'i' }] } }))
    const revision = (await call('GET', `${PODS}/p`)).json['metadata']?.['resourceVersion']
    const evict = (body: object, query = '') => call('POST', `${PODS}/p/eviction${query}`, { apiVersion: 'policy/v1beta1', kind: 'Eviction', metadata: { name: 'p' }, ...body })
    assert.equal((await evict({}, '?dryRun=All')).status, 201)
    assert.equal((await call('GET', `${PODS}/p`)).json['metadata']?.['resourceVersion'], revision)
    assert.equal((await evict({ deleteOptions: { preconditions: { uid: 'another' } } })).status, 409)
    assert.equal((await evict({ deleteOptions: { preconditions: { resourceVersion: String(revision), uid: null } } })).status, 201)
    const { metadata, status } = (await call('GET', `${PODS}/p`)).json
    assert.ok(metadata?.['deletionTimestamp'])
    assert.deepEqual(items(status?.['conditions']), [{ type: 'DisruptionTarget', status: 'True', reason: 'EvictionByEvictionAPI', message: 'Eviction API: evicting', lastTransitionTime: metadata['creationTimestamp'] }])
    const wrong = await evict({ apiVersion: 'policy/v1alpha1' })
    assert.deepEqual([wrong.status, wrong.json['message']], [400, 'Eviction in version "v1alpha1" cannot be handled as a Eviction: no kind "Eviction" is registered for version "policy/v1alpha1" in scheme "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"'])
  })

  test('a name that cannot be printed is shown as Go shows it', async () => {
    const { call } = harness()
    const missing = await call('GET', '/api/v1/namespaces/default/configmaps/a%00b')
    assert.deepEqual([missing.status, missing.json['message'], missing.json['details']], [404, String.raw`configmaps "a\x00b" not found`, { name: 'a\0b', kind: 'configmaps' }])
  })

  test('scale shows and sets replicas of any kind that has it', async () => {
    const { call } = harness()
    const path = '/apis/apps/v1/namespaces/default/deployments'
    await call('POST', path, { metadata: { name: 'd' }, spec: { replicas: 1, selector: { matchLabels: { a: 'b' } }, template: { spec: { containers: [] } } } })
    const got = await call('GET', `${path}/d/scale`)
    assert.deepEqual([got.json['kind'], got.json['apiVersion'], got.json['spec'], got.json['status']], ['Scale', 'autoscaling/v1', { replicas: 1 }, { replicas: 0, selector: 'a=b' }])
    const shown = await call('GET', `${path}/d/scale`, undefined, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' })
    const { columnDefinitions, rows } = shown.json as unknown as { columnDefinitions: { name: string; format: string }[]; rows: { cells: unknown[] }[] }
    assert.deepEqual(columnDefinitions.map((c) => c.format), ['', '', '', ''])
    assert.deepEqual([columnDefinitions.map((c) => c.name), rows[0]?.cells.slice(0, 3)], [['Name', 'Desired', 'Available', 'Age'], ['d', 1, 0]])
    const put = await call('PUT', `${path}/d/scale`, { ...got.json, spec: { replicas: 4 } })
    assert.deepEqual([put.status, put.json['spec']], [200, { replicas: 4 }])
    const patched = await call('PATCH', `${path}/d/scale`, { spec: { replicas: 2 } }, { 'content-type': 'application/merge-patch+json' })
    assert.deepEqual([patched.status, patched.json['spec']], [200, { replicas: 2 }])
    const stale = await call('PUT', `${path}/d/scale`, { ...got.json, spec: { replicas: 9 } })
    assert.equal(stale.status, 409)
    assert.deepEqual([(await call('GET', `${path}/d`)).json['spec']?.['replicas'], (await call('GET', `${CM}/x/scale`)).status], [2, 404])
  })

  test('a service account token is what the issuer says', async () => {
    const asked: unknown[] = []
    const { call } = harness({
      issueToken: async (input) => {
        asked.push(input)
        return input.audiences.length > 0 ? { ok: true, token: 't', id: 'i', expirationTimestamp: '2026-01-01T01:00:00Z', audiences: input.audiences, expirationSeconds: 3600 } : { ok: false, code: 422, reason: 'Invalid', message: 'no' }
      },
    })
    const path = '/api/v1/namespaces/default/serviceaccounts'
    await call('POST', path, { metadata: { name: 's' } })
    const given = await call('POST', `${path}/s/token`, { spec: { audiences: ['x'] } })
    assert.deepEqual([given.status, given.json['status']], [201, { token: 't', expirationTimestamp: '2026-01-01T01:00:00Z' }])
    assert.equal((await call('POST', `${path}/s/token`, { spec: { audiences: [] } })).status, 422)
    assert.equal((await call('POST', `${path}/none/token`, { spec: { audiences: ['x'] } })).status, 404)
    assert.equal(asked.length, 2)
  })
})

test('who may change what is there, but make nothing, makes nothing by changing what is not there', async () => {
  const asked: string[] = []
  const may = { create: false }
  const h = harness({
    authorizer: {
      authorize: async ({ verb, resource }) => {
        asked.push(`${verb} ${resource?.resource ?? ''}/${resource?.name ?? ''}`)
        return { allowed: verb !== 'create' || may.create, reason: '' }
      },
      rulesFor: async () => ({ resourceRules: [], nonResourceRules: [], incomplete: false }),
    },
  })
  const event = { metadata: { name: 'e', namespace: 'default' }, involvedObject: { namespace: 'default' }, reason: 'r', type: 'Normal' }
  const requests = [
    () => h.call('PATCH', '/api/v1/namespaces/default/configmaps/a?fieldManager=m', { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' } }, { 'content-type': 'application/apply-patch+yaml' }),
    () => h.call('PUT', '/api/v1/namespaces/default/events/e', event),
  ]
  const refused = await Promise.all(requests.map((request) => request()))
  assert.deepStrictEqual(refused.map(({ status, json }) => [status, String(json['message'])]), [
    [403, 'configmaps "a" is forbidden: User "admin" cannot create resource "configmaps" in API group "" in the namespace "default"'],
    [403, 'events "e" is forbidden: User "admin" cannot create resource "events" in API group "" in the namespace "default"'],
  ])
  may.create = true
  assert.deepStrictEqual((await Promise.all(requests.map((request) => request()))).map(({ status }) => status), [201, 201])
  may.create = false
  asked.length = 0
  assert.deepStrictEqual([(await requests[0]?.())?.status, asked], [200, ['patch configmaps/a']], 'nobody is asked about what is there')
})
