import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { systemClock } from '#base/clock.ts'
import { harness, items, type Harness, type Loose } from '../app.test-support.ts'
import { MERGE, NS } from '../kinds/kinds.test-support.ts'
import { rows } from '../registry.ts'

const CM = `${NS}/configmaps`
const GROUP = '/apis/admissionregistration.k8s.io/v1'
const open: { close(): unknown }[] = []
after(async () => { for (const one of open) await one.close() })

/** A server with the namespaces `default` (team=a) and `other`. */
async function server(): Promise<Harness> {
  const h = harness({ rows, clock: systemClock })
  open.push(h.api)
  for (const [name, labels] of [['default', { team: 'a' }], ['other', {}]] as const) await h.call('POST', '/api/v1/namespaces', { metadata: { name, labels } })
  return h
}

const CONFIGMAPS = { resourceRules: [{ operations: ['CREATE', 'UPDATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] }] }

async function post(h: Harness, path: string, body: unknown): Promise<void> {
  const answer = await h.call('POST', path, body)
  assert.equal(answer.status, 201, answer.text)
}

async function validating(h: Harness, name: string, spec: object, binding: object = {}): Promise<void> {
  await post(h, `${GROUP}/validatingadmissionpolicies`, { metadata: { name }, spec: { matchConstraints: CONFIGMAPS, ...spec } })
  await post(h, `${GROUP}/validatingadmissionpolicybindings`, { metadata: { name: `${name}-binding` }, spec: { policyName: name, validationActions: ['Deny'], ...binding } })
}

async function mutating(h: Harness, name: string, spec: object, binding: object = {}): Promise<void> {
  await post(h, `${GROUP}/mutatingadmissionpolicies`, { metadata: { name }, spec: { matchConstraints: CONFIGMAPS, ...spec } })
  await post(h, `${GROUP}/mutatingadmissionpolicybindings`, { metadata: { name: `${name}-binding` }, spec: { policyName: name, ...binding } })
}

const apply = (expression: string) => ({ patchType: 'ApplyConfiguration', applyConfiguration: { expression } })
const jsonPatch = (expression: string) => ({ patchType: 'JSONPatch', jsonPatch: { expression } })
const configMap = (name: string, over: Record<string, unknown> = {}) => ({ metadata: { name }, data: { k: 'v' }, ...over })
const said = (answer: { status: number; json: Loose }) => `${answer.status} ${String(answer.json['reason'])} ${String(answer.json['message'])}`

test('a validation that is false refuses, in upstream\'s words', async () => {
  const h = await server()
  await validating(h, 'no-bad', { validations: [{ expression: "!('bad' in object.data)" }] })
  assert.equal((await h.call('POST', CM, configMap('good'))).status, 201)
  const refused = await h.call('POST', CM, configMap('a', { data: { bad: '1' } }))
  const message = "ValidatingAdmissionPolicy 'no-bad' with binding 'no-bad-binding' denied request: failed expression: !('bad' in object.data)"
  assert.deepStrictEqual([refused.status, refused.json['reason'], refused.json['message'], refused.json['details']], [
    422, 'Invalid', `configmaps "a" is forbidden: ${message}`, { name: 'a', kind: 'configmaps', causes: [{ message }] },
  ])
})

test('variables, messageExpression, reason, request and namespaceObject', async () => {
  const h = await server()
  await validating(h, 'p', {
    variables: [{ name: 'n', expression: 'size(object.data)' }, { name: 'twice', expression: 'variables.n * 2' }],
    validations: [
      { expression: 'variables.twice <= 4', messageExpression: "'twice is ' + string(variables.twice) + ' for ' + request.userInfo.username", reason: 'Forbidden' },
      { expression: "request.namespace != 'default' || namespaceObject.metadata.labels['team'] == 'a'", message: 'wrong team' },
    ],
  })
  assert.equal((await h.call('POST', CM, configMap('a'))).status, 201)
  const data = { a: '1', b: '2', c: '3' }
  assert.equal(said(await h.call('POST', CM, configMap('b', { data }))), `403 Forbidden configmaps "b" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'p-binding' denied request: twice is 6 for admin`)
  assert.equal((await h.call('PATCH', '/api/v1/namespaces/default', { metadata: { labels: { team: 'b' } } }, MERGE)).status, 200)
  assert.match(said(await h.call('POST', CM, configMap('c'))), /denied request: wrong team$/)
})

test('Warn and Audit let a request pass', async () => {
  const h = await server()
  await validating(h, 'p', { validations: [{ expression: 'false', message: 'never' }] }, { validationActions: ['Warn', 'Audit'] })
  const answer = await h.call('POST', CM, configMap('a'))
  assert.deepStrictEqual([answer.status, answer.headers['warning']], [201, `299 - "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'p-binding': never"`])
})

test('a runtime error counts as the failure policy says', async () => {
  const h = await server()
  await validating(h, 'strict', { validations: [{ expression: "object.data.missing == 'x'" }] })
  assert.equal(said(await h.call('POST', CM, configMap('a'))), `422 Invalid configmaps "a" is forbidden: ValidatingAdmissionPolicy 'strict' with binding 'strict-binding' denied request: expression 'object.data.missing == 'x'' resulted in error: no such key: missing`)
  await h.call('DELETE', `${GROUP}/validatingadmissionpolicies/strict`)
  await validating(h, 'lax', { failurePolicy: 'Ignore', validations: [{ expression: "object.data.missing == 'x'" }] })
  assert.equal((await h.call('POST', CM, configMap('a'))).status, 201)
})

test('match conditions, selectors, excluded rules and the binding\'s own rules narrow a policy down', async () => {
  const h = await server()
  await validating(h, 'p', {
    matchConstraints: { ...CONFIGMAPS, objectSelector: { matchLabels: { checked: 'yes' } }, excludeResourceRules: [{ ...CONFIGMAPS.resourceRules[0], resourceNames: ['free'] }] },
    matchConditions: [{ name: 'not-skipped', expression: "!has(object.metadata.annotations) || !('skip' in object.metadata.annotations)" }], validations: [{ expression: 'false' }],
  }, { matchResources: { namespaceSelector: { matchLabels: { team: 'a' } } } })
  const labels = { checked: 'yes' }
  const status = async (path: string, body: unknown) => (await h.call('POST', path, body)).status
  assert.deepStrictEqual([
    await status(CM, { metadata: { name: 'a', labels } }), await status(CM, { metadata: { name: 'b' } }), await status(CM, { metadata: { name: 'free', labels } }),
    await status(CM, { metadata: { name: 'c', labels, annotations: { skip: '1' } } }), await status('/api/v1/namespaces/other/configmaps', { metadata: { name: 'd', labels } }),
  ], [422, 201, 201, 201, 201])
})

test('parameters: by name, by selector, and what is done when there are none', async () => {
  const h = await server()
  const spec = { paramKind: { apiVersion: 'v1', kind: 'ConfigMap' }, validations: [{ expression: 'size(object.data) <= int(params.data.max)' }] }
  await post(h, '/api/v1/namespaces/other/configmaps', { metadata: { name: 'limits', labels: { role: 'limits' } }, data: { max: '1' } })
  await validating(h, 'p', spec, { paramRef: { name: 'limits', namespace: 'other', parameterNotFoundAction: 'Deny' } })
  const two = { data: { a: '1', b: '2' } }
  assert.match(said(await h.call('POST', CM, configMap('a', two))), /denied request: failed expression: size\(object.data\) <= int\(params.data.max\)$/)
  assert.equal((await h.call('POST', CM, configMap('b'))).status, 201)
  await h.call('DELETE', `${GROUP}/validatingadmissionpolicybindings/p-binding`)
  await post(h, `${GROUP}/validatingadmissionpolicybindings`, { metadata: { name: 'q' }, spec: { policyName: 'p', validationActions: ['Deny'], paramRef: { selector: { matchLabels: { role: 'limits' } }, namespace: 'other', parameterNotFoundAction: 'Deny' } } })
  assert.equal((await h.call('POST', CM, configMap('c', two))).status, 422)
  await h.call('DELETE', '/api/v1/namespaces/other/configmaps/limits')
  assert.match(said(await h.call('POST', CM, configMap('d'))), /'p' with binding 'q' denied request: failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction$/)
})

test('the authorizer is asked about the user and about service accounts', async () => {
  const h = await server()
  await validating(h, 'p', {
    validations: [
      { expression: "authorizer.group('').resource('secrets').namespace('default').check('create').allowed()", message: 'admins may' },
      { expression: "!authorizer.serviceAccount('default', 'sa').requestResource.check('delete').allowed()".replace('.requestResource', ".group('').resource('configmaps').namespace('default')"), message: 'a service account may not' },
      { expression: "authorizer.requestResource.check('nonsense').allowed()", message: 'masters may anything' },
    ],
  })
  assert.equal((await h.call('POST', CM, configMap('a'))).status, 201)
})

test('expressions that do not compile are refused when they are written', async () => {
  const h = await server()
  const answer = await h.call('POST', `${GROUP}/validatingadmissionpolicies`, {
    metadata: { name: 'p' }, spec: { matchConstraints: CONFIGMAPS, validations: [{ expression: 'foo + 1' }, { expression: '1', messageExpression: 'true' }] },
  })
  assert.deepStrictEqual([answer.status, items<{ field: string; message: string }>(answer.json['details']?.['causes']).map((c) => `${c.field}: ${c.message}`)], [422, [
    `spec.validations[0].expression: Invalid value: "foo + 1": compilation failed: ERROR: <input>:1:1: undeclared reference to 'foo' (in container '')\n | foo + 1\n | ^`,
    'spec.validations[1].expression: Invalid value: "1": must evaluate to bool but got int',
    'spec.validations[1].messageExpression: Invalid value: "true": must evaluate to string but got bool',
  ]])
})

test('an apply configuration is laid over the object; lists with keys merge', async () => {
  const h = await server()
  await mutating(h, 'sidecar', {
    matchConstraints: { resourceRules: [{ operations: ['CREATE'], apiGroups: ['apps'], apiVersions: ['v1'], resources: ['deployments'] }] }, failurePolicy: 'Fail', reinvocationPolicy: 'Never',
    mutations: [apply("Object{metadata: Object.metadata{labels: {'team': 'x'}}, spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{containers: [Object.spec.template.spec.containers{name: 'side', image: 'side:1'}]}}}}")],
  })
  const pod = { metadata: { labels: { app: 'a' } }, spec: { containers: [{ name: 'main', image: 'main:1' }] } }
  const made = await h.call('POST', '/apis/apps/v1/namespaces/default/deployments', { metadata: { name: 'd', labels: { own: '1' } }, spec: { selector: { matchLabels: { app: 'a' } }, template: pod } })
  assert.equal(made.status, 201, made.text)
  const containers = made.json['spec']?.['template']?.['spec']?.['containers'] as unknown as { name: string; image: string; terminationMessagePath: string }[]
  assert.deepStrictEqual([made.json['metadata']?.['labels'], containers.map((c) => [c.name, c.image, c.terminationMessagePath])], [
    { own: '1', team: 'x' }, [['main', 'main:1', '/dev/termination-log'], ['side', 'side:1', '/dev/termination-log']],
  ])
})

test('a JSON patch changes the object; a failed test leaves it', async () => {
  const h = await server()
  await mutating(h, 'p', {
    failurePolicy: 'Fail', reinvocationPolicy: 'Never',
    mutations: [
      jsonPatch("[JSONPatch{op: 'test', path: '/data/k', value: 'v'}, JSONPatch{op: 'add', path: '/metadata/annotations', value: {'x.io/a': 'b'}}, JSONPatch{op: 'add', path: '/metadata/annotations/' + jsonpatch.escapeKey('y.io/b'), value: 'added'}]"),
      jsonPatch("[JSONPatch{op: 'test', path: '/data/k', value: 'other'}, JSONPatch{op: 'remove', path: '/data/k'}]"),
      jsonPatch("has(object.data.k) ? [JSONPatch{op: 'replace', path: '/data/k', value: object.data.k + '!'}] : []"),
    ],
  })
  const made = await h.call('POST', CM, configMap('a'))
  assert.deepStrictEqual([made.status, made.json['metadata']?.['annotations'], made.json['data']], [201, { 'x.io/a': 'b', 'y.io/b': 'added' }, { k: 'v!' }])
})

test('a scalar that is set to an optional value without one is taken away, a map stays', async () => {
  const h = await server()
  await mutating(h, 'p', { failurePolicy: 'Fail', reinvocationPolicy: 'Never', mutations: [apply('Object{data: optional.none(), immutable: optional.none(), metadata: Object.metadata{labels: {"a": "b"}}}')] })
  const made = await h.call('POST', CM, { ...configMap('a'), immutable: true })
  assert.deepStrictEqual([made.status, made.json['data'], made.json['immutable'], made.json['metadata']?.['labels']], [201, { k: 'v' }, undefined, { a: 'b' }])
})

test('what a mutation gets wrong is told', async () => {
  const h = await server()
  const cases = [
    [apply("Object{metadata: Object.spec{}}"), /policy 'p' with binding 'p-binding' denied request: type mismatch: unexpected type name "Object.spec", expected "Object.metadata", which matches field name path from root Object type$/],
    [apply("Object{nonsense: 'x'}"), /denied request: error applying patch: failed to convert patch object to typed object: \.nonsense: field not declared in schema$/],
    [apply("Object{data: {'k': 1}}"), /denied request: error applying patch: failed to convert patch object to typed object: \.data\.k: expected string, got &value\.valueUnstructured\{Value:1\}$/],
    [apply('Object{data: null}'), /denied request: error applying patch: failed to convert patch object to typed object: \.data: expected map, got &\{NULL_VALUE\}$/],
    [jsonPatch("[JSONPatch{op: 'add', path: '/bogus', value: 1}]"), /denied request: Internal error occurred: strict decoding error: unknown field "bogus"$/],
    [jsonPatch("[JSONPatch{op: 'add', path: '/data/k', value: 1}]"), /denied request: Internal error occurred: .*json: cannot unmarshal number into Go struct field ConfigMap\.data of type string$/],
    [jsonPatch("[JSONPatch{op: 'add', path: '/data', value: {1: 'x'}}]"), /denied request: JSONPath valueExpression evaluated to a type that could not marshal to JSON: map keys must be strings in JSON$/],
    [apply("Object{metadata: Object.metadata{ownerReferences: []}, data: {'x': string(object.data.missing)}}"), /resulted in error: no such key: missing$/],
  ] as const
  for (const [mutation, wanted] of cases) {
    await mutating(h, 'p', { failurePolicy: 'Fail', reinvocationPolicy: 'Never', mutations: [mutation] })
    const answer = await h.call('POST', CM, configMap('a'))
    assert.deepStrictEqual([answer.status, answer.json['reason']], [403, 'Invalid'])
    assert.match(String(answer.json['message']), wanted)
    for (const kind of ['policies', 'policybindings']) await h.call('DELETE', `${GROUP}/mutatingadmission${kind}/${kind === 'policies' ? 'p' : 'p-binding'}`)
  }
})

test('a policy that is reinvoked sees what later ones made', async () => {
  const h = await server()
  await mutating(h, 'a-count', {
    failurePolicy: 'Fail', reinvocationPolicy: 'IfNeeded',
    mutations: [apply("Object{data: {'count': string(size(object.data.filter(k, k != 'count')))}}")],
  })
  await mutating(h, 'b-add', { failurePolicy: 'Fail', reinvocationPolicy: 'Never', mutations: [apply("Object{data: {'added': 'yes'}}")] })
  const made = await h.call('POST', CM, configMap('a'))
  assert.deepStrictEqual(made.json['data'], { k: 'v', added: 'yes', count: '2' })
})

test('policies cannot keep people from mending policies', async () => {
  const h = await server()
  await validating(h, 'all', { matchConstraints: { resourceRules: [{ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*'] }] }, validations: [{ expression: 'false' }] })
  assert.equal((await h.call('POST', CM, configMap('a'))).status, 422)
  assert.equal((await h.call('DELETE', `${GROUP}/validatingadmissionpolicies/all`)).status, 200)
  assert.equal((await h.call('POST', CM, configMap('a'))).status, 201)
})

test('what expressions get wrong about the kinds they name is told in the status', async () => {
  const h = await server()
  await validating(h, 'p', {
    matchConstraints: { resourceRules: [{ operations: ['*'], apiGroups: ['apps'], apiVersions: ['v1'], resources: ['deployments', 'replicasets'] }] },
    variables: [{ name: 'spec', expression: 'object.spec' }],
    validations: [{ expression: 'object.replicas > 1' }, { expression: 'variables.spec.replicas > 1', messageExpression: "'x' + object.metadata.name" }, { expression: "variables.spec.strategy.type == 'Recreate'" }],
  })
  const policy = async (): Promise<Loose> => (await h.call('GET', `${GROUP}/validatingadmissionpolicies/p`)).json
  const deadline = Date.now() + 60_000
  while (!(await policy())['status']?.['observedGeneration'] && Date.now() < deadline) await new Promise((resolve) => { setImmediate(resolve) })
  assert.deepStrictEqual((await policy())['status'], {
    observedGeneration: 1,
    typeChecking: {
      expressionWarnings: [
        {
          fieldRef: 'spec.validations[0].expression',
          warning: ['Deployment', 'ReplicaSet'].map((kind) => `apps/v1, Kind=${kind}: ERROR: <input>:1:7: undefined field 'replicas'\n | object.replicas > 1\n | ......^\n`).join('\n'),
        },
        { fieldRef: 'spec.validations[2].expression', warning: "apps/v1, Kind=ReplicaSet: ERROR: <input>:1:15: undefined field 'strategy'\n | variables.spec.strategy.type == 'Recreate'\n | ..............^\n" },
      ],
    },
  })
})

const rule = (group: string, version: string, resource: string, ...operations: string[]) => ({ resourceRules: [{ operations: operations.length > 0 ? operations : ['*'], apiGroups: [group], apiVersions: [version], resources: [resource] }] })

test('deletions have the old object only; objects know their kind', async () => {
  const h = await server()
  await post(h, CM, configMap('a', { metadata: { name: 'a', labels: { keep: 'yes' } } }))
  await validating(h, 'p', {
    matchConstraints: rule('', 'v1', 'configmaps'),
    validations: [
      { expression: "request.operation != 'DELETE' || (object == null && oldObject.kind == 'ConfigMap' && !oldObject.metadata.?labels.?keep.hasValue())", message: 'it is to be kept' },
      { expression: "object == null || object.apiVersion == 'v1' && object.kind == 'ConfigMap'" }, { expression: "request.operation != 'UPDATE' || object.data.k != oldObject.data.k", message: 'nothing new' },
    ],
  })
  assert.match(said(await h.call('DELETE', `${CM}/a`)), /denied request: it is to be kept$/)
  assert.match(said(await h.call('PATCH', `${CM}/a`, { metadata: { labels: { keep: null } } }, MERGE)), /denied request: nothing new$/)
  assert.equal((await h.call('PATCH', `${CM}/a`, { metadata: { labels: { keep: null } }, data: { k: 'w' } }, MERGE)).status, 200)
  assert.equal((await h.call('DELETE', `${CM}/a`)).status, 200)
})

test('a dry run is asked, too, and says so', async () => {
  const h = await server()
  await validating(h, 'p', { validations: [{ expression: '!request.dryRun', message: 'only a try' }] })
  assert.deepStrictEqual([(await h.call('POST', `${CM}?dryRun=All`, configMap('a'))).status, (await h.call('POST', CM, configMap('a'))).status], [422, 201])
})

test('rules for another version of the same objects see them in that version', async () => {
  const h = await server()
  await validating(h, 'p', { matchConstraints: rule('autoscaling', 'v2', 'horizontalpodautoscalers'), validations: [{ expression: "request.kind.version == 'v2' && request.requestKind.version == 'v1' && object.spec.metrics[0].resource.target.averageUtilization == 50" }] })
  await validating(h, 'exact', { matchConstraints: { ...rule('autoscaling', 'v2', 'horizontalpodautoscalers'), matchPolicy: 'Exact' }, validations: [{ expression: 'false' }] })
  const hpa = (target: number) => ({ metadata: { name: `h${target}` }, spec: { maxReplicas: 3, scaleTargetRef: { kind: 'Deployment', name: 'd', apiVersion: 'apps/v1' }, targetCPUUtilizationPercentage: target } })
  const path = '/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers'
  assert.deepStrictEqual([(await h.call('POST', path, hpa(50))).status, (await h.call('POST', path, hpa(60))).status], [201, 422])
})

test('subresources are asked where a rule names them', async () => {
  const h = await server()
  await post(h, '/apis/apps/v1/namespaces/default/deployments', { metadata: { name: 'd' }, spec: { replicas: 1, selector: { matchLabels: { app: 'a' } }, template: { metadata: { labels: { app: 'a' } }, spec: { containers: [{ name: 'c', image: 'i' }] } } } })
  await validating(h, 'p', { matchConstraints: rule('apps', 'v1', 'deployments/scale'), validations: [{ expression: "object.kind == 'Scale' && object.spec.replicas <= 5 && request.subResource == 'scale'", message: 'too many' }] })
  await mutating(h, 'm', { matchConstraints: rule('apps', 'v1', 'deployments/scale'), failurePolicy: 'Fail', reinvocationPolicy: 'Never', mutations: [apply('Object{spec: Object.spec{replicas: object.spec.replicas + 1}}')] })
  const scale = '/apis/apps/v1/namespaces/default/deployments/d/scale'
  const to = async (replicas: number) => h.call('PATCH', scale, { spec: { replicas } }, MERGE)
  assert.deepStrictEqual([said(await to(5)).replace(/.*request: /, ''), (await to(3)).json['spec']], ['too many', { replicas: 4 }])
})

test('custom resources are mutated by their schema', async () => {
  const h = await server()
  await post(h, '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
    metadata: { name: 'things.x.io' },
    spec: {
      group: 'x.io', names: { kind: 'Thing', plural: 'things' }, scope: 'Namespaced',
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', properties: { size: { type: 'integer' }, parts: { type: 'array', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'], items: { type: 'object', required: ['name'], properties: { name: { type: 'string' }, n: { type: 'integer' } } } } } } } } } }],
    },
  })
  await mutating(h, 'm', { matchConstraints: rule('x.io', 'v1', 'things'), failurePolicy: 'Fail', reinvocationPolicy: 'Never', mutations: [apply("Object{spec: Object.spec{size: 3, parts: [Object.spec.parts{name: 'a', n: 2}]}}")] })
  const path = '/apis/x.io/v1/namespaces/default/things'
  const deadline = Date.now() + 60_000
  const thing = { apiVersion: 'x.io/v1', kind: 'Thing', metadata: { name: 't' }, spec: { parts: [{ name: 'b' }, { name: 'a', n: 1 }] } }
  const make = () => h.call('POST', path, thing)
  let made = await make()
  while (made.status === 404 && Date.now() < deadline) made = await make()
  assert.deepStrictEqual([made.status, made.json['spec']], [201, { parts: [{ name: 'b' }, { name: 'a', n: 2 }], size: 3 }])
})

test('expressions about custom resources are checked against their schema, formats included', async () => {
  const h = await server()
  await post(h, '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
    metadata: { name: 'things.x.io' },
    spec: {
      group: 'x.io', names: { kind: 'Thing', plural: 'things' }, scope: 'Namespaced',
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', properties: { when: { type: 'string', format: 'date-time' }, open: { 'x-kubernetes-preserve-unknown-fields': true } } } } } } }],
    },
  })
  const deadline = Date.now() + 60_000
  while ((await h.call('GET', '/apis/x.io/v1/namespaces/default/things')).status === 404 && Date.now() < deadline) await new Promise((resolve) => { setImmediate(resolve) })
  await validating(h, 'p', { matchConstraints: rule('x.io', 'v1', 'things'), validations: [{ expression: "object.spec.when > timestamp('2020-01-01T00:00:00Z') && 'a' in object.metadata.labels" }, { expression: 'object.spec.open.x == 1' }] })
  const policy = async (): Promise<Loose> => (await h.call('GET', `${GROUP}/validatingadmissionpolicies/p`)).json
  while (!(await policy())['status']?.['observedGeneration'] && Date.now() < deadline) await new Promise((resolve) => { setImmediate(resolve) })
  assert.deepStrictEqual((await policy())['status'], {
    observedGeneration: 1,
    typeChecking: { expressionWarnings: [{ fieldRef: 'spec.validations[1].expression', warning: "x.io/v1, Kind=Thing: ERROR: <input>:1:12: undefined field 'open'\n | object.spec.open.x == 1\n | ...........^\n" }] },
  })
})

test('what policies decide is counted', async () => {
  const h = await server()
  await validating(h, 'p', { validations: [{ expression: 'size(object.data) < 2' }, { expression: 'object.data.missing == 1' }], failurePolicy: 'Ignore' }, { validationActions: ['Warn', 'Audit'] })
  await mutating(h, 'm', { failurePolicy: 'Ignore', reinvocationPolicy: 'Never', mutations: [apply('Object{data: {"k": "w"}}'), apply('Object{nonsense: 1}')] })
  await h.call('POST', CM, configMap('a', { data: { a: '1', b: '2' } }))
  const { text } = await h.call('GET', '/metrics')
  assert.deepStrictEqual(text.split('\n').filter((line) => /^apiserver_(validating|mutating)_admission_policy_check_total/.test(line)).sort(), [
    'apiserver_mutating_admission_policy_check_total{error_type="invalid_error",policy="m",policy_binding="m-binding"} 1',
    'apiserver_mutating_admission_policy_check_total{error_type="no_error",policy="m",policy_binding="m-binding"} 1',
    'apiserver_validating_admission_policy_check_total{enforcement_action="allow",error_type="invalid_error",policy="p",policy_binding="p-binding"} 1',
    'apiserver_validating_admission_policy_check_total{enforcement_action="audit",error_type="invalid_error",policy="p",policy_binding="p-binding"} 1',
    'apiserver_validating_admission_policy_check_total{enforcement_action="warn",error_type="invalid_error",policy="p",policy_binding="p-binding"} 1',
  ])
})

test('who may not read parameters may not have a policy read them', async () => {
  const readable = new Set<string>()
  const h = harness({
    rows, clock: systemClock,
    authorizer: {
      authorize: async ({ verb, resource }) => ({ allowed: verb !== 'get' || readable.has(`${resource?.resource} ${resource?.namespace}/${resource?.name}`), reason: '' }),
      rulesFor: async () => ({ resourceRules: [], nonResourceRules: [], incomplete: false }),
    },
  })
  open.push(h.api)
  const asWeak = async (resource: string, body: unknown): Promise<string> => {
    const answer = await h.call('POST', `${GROUP}/${resource}`, body, { authorization: 'Bearer weak' })
    return answer.status === 201 ? 'created' : items<{ field: string; message: string }>(answer.json['details']?.['causes']).map((c) => `${c.field}: ${c.message}`).join()
  }
  const policy = { metadata: { name: 'p' }, spec: { matchConstraints: CONFIGMAPS, paramKind: { apiVersion: 'v1', kind: 'Secret' }, validations: [{ expression: "params.data.x == 'y'" }] } }
  const binding = { metadata: { name: 'b' }, spec: { policyName: 'p', validationActions: ['Deny'], paramRef: { name: 's', namespace: 'default', parameterNotFoundAction: 'Deny' } } }
  const outcomes = [await asWeak('validatingadmissionpolicies', policy)]
  readable.add('secrets */*')
  outcomes.push(await asWeak('validatingadmissionpolicies', policy), await asWeak('validatingadmissionpolicybindings', binding))
  readable.add('secrets default/s')
  outcomes.push(await asWeak('validatingadmissionpolicybindings', binding))
  assert.deepStrictEqual(outcomes, [
    'spec.paramKind: Forbidden: user &{weak  [system:authenticated] map[]} must have "get" permission on all objects of the referenced paramKind (kind=Secret, apiVersion=v1)', 'created',
    'spec.paramRef: Forbidden: user &{weak  [system:authenticated] map[]} does not have "get" permission on the object referenced by paramRef', 'created',
  ])
})
