/** What upstream's conformance tests of sig-api-machinery ask beyond single kinds: field validation, apply, discovery, OpenAPI, policies, watch lists, time-outs. */
import { deepStrictEqual, match, ok } from 'node:assert'
import { describe, test } from 'node:test'
import { type Answer, items, type Loose } from '#server/apiserver/app.test-support.ts'
import { type Cluster, MERGE } from '#server/apiserver/kinds/kinds.test-support.ts'
import { good, prepared } from './server.ts'

const DEPLOYMENTS = '/apis/apps/v1/namespaces/default/deployments'
const APPLY = { 'content-type': 'application/apply-patch+yaml' }
const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'

const labels = { app: 'nginx' }
function deployment(name: string, spec: object = {}, pod: object = {}, metadata: object = {}): Record<string, unknown> {
  return {
    apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name, labels, ...metadata },
    spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers: [{ name: 'nginx', image: 'nginx:latest' }], ...pod } }, ...spec },
  }
}
const apply = (call: Cluster['call'], path: string, object: unknown, manager: string, more = ''): Promise<Answer> => call('PATCH', `${path}?fieldManager=${manager}${more}`, object, APPLY)

const PORTS = { type: 'array', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['containerPort', 'protocol'], items: { type: 'object', required: ['containerPort', 'protocol'], properties: { containerPort: { type: 'integer', format: 'int32' }, name: { type: 'string' }, protocol: { type: 'string' } } } }
const CRON = { foo: { type: 'string' }, cronSpec: { type: 'string', pattern: '^(\\d+|\\*)(/\\d+)?(\\s+(\\d+|\\*)(/\\d+)?){4}$' }, ports: PORTS }
const closed = { type: 'object', properties: { spec: { type: 'object', properties: CRON } } }
const embedding = { type: 'object', properties: { spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true, properties: { ...CRON, template: { type: 'object', 'x-kubernetes-embedded-resource': true, properties: { metadata: { type: 'object', properties: { name: { type: 'string' } } }, spec: { type: 'object' } } } } } } }
const open = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }

/** Two versions, of which the second is stored. */
async function define(cluster: Cluster, schema: object): Promise<string> {
  const version = (name: string, storage: boolean) => ({ name, served: true, storage, subresources: { status: {} }, schema: { openAPIV3Schema: schema } })
  await cluster.create(CRDS, { metadata: { name: 'noxus.e2e.example.com' }, spec: { group: 'e2e.example.com', scope: 'Cluster', names: { plural: 'noxus', singular: 'noxu', kind: 'Noxu', listKind: 'NoxuList' }, versions: [version('v1beta1', false), version('v1', true)] } })
  await until(async () => (await cluster.call('GET', '/apis/e2e.example.com/v1beta1/noxus')).status === 200)
  return '/apis/e2e.example.com/v1beta1/noxus'
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const deadline = performance.now() + 5_000; !await holds();) {
    ok(performance.now() < deadline, 'what is waited for does not come')
    await new Promise<void>((resolve) => setImmediate(resolve))
  }
}

const noxu = (more: string): Buffer => Buffer.from(`apiVersion: e2e.example.com/v1beta1\nkind: Noxu\nmetadata:\n  name: mytest\n${more}`)
const SPEC = 'spec:\n  foo: foo1\n  cronSpec: "* * * * */5"\n  ports:\n  - name: x\n    containerPort: 80\n    protocol: TCP\n'

describe('field validation', () => {
  test('unknown and duplicate fields of a typed object, and unknown metadata, are told', async () => {
    const { call } = await prepared()
    const text = JSON.stringify(deployment('my-dep', { replicas: 2 })).replace('"replicas":2', '"unknownField":"foo","replicas":2,"replicas":3')
    const strict = await call('POST', `${DEPLOYMENTS}?fieldManager=m&fieldValidation=Strict`, Buffer.from(text))
    match(String(strict.json['message']), /strict decoding error: unknown field "spec\.unknownField", duplicate field "spec\.replicas"$/)
    const meta = await call('POST', `${DEPLOYMENTS}?fieldValidation=Strict`, deployment('my-dep', {}, {}, { unknownMeta: 'foo' }))
    match(String(meta.json['message']), /strict decoding error: unknown field "metadata\.unknownMeta"$/)
  })

  test('custom resources: a valid one, any where there is no schema, none with more than the schema knows', async () => {
    for (const [schema, body, wanted] of [[closed, SPEC, 201], [open, SPEC.replace('foo', 'unknown'), 201], [closed, `unknownField: unknown\n${SPEC}`, '.unknownField: field not declared in schema']] as const) {
      const cluster = await prepared()
      const path = await define(cluster, schema)
      const { status, text } = await apply(cluster.call, `${path}/mytest`, noxu(body), 'm', '&fieldValidation=Strict')
      if (typeof wanted === 'number') deepStrictEqual([status, status === wanted ? '' : text], [wanted, ''])
      else ok(text.includes(wanted), text)
    }
  })

  test('unknown metadata of a custom resource and of what is embedded in it; keys given twice, by their lines', async () => {
    const cluster = await prepared()
    const path = await define(cluster, embedding)
    const applied = async (text: string) => String((await apply(cluster.call, `${path}/mytest`, Buffer.from(`\n${text}`), 'm', '&fieldValidation=Strict')).json['message'])
    const template = '  template:\n    apiversion: foo/v1\n    kind: Sub\n    metadata:\n      unknownSubMeta: unknown\n      name: subobject\n'
    match(await applied(noxu(`${SPEC}${template}`).toString().replace('  name: mytest', '  name: mytest\n  unknownMeta: unknown')), /\.spec\.template\.metadata\.unknownSubMeta: field not declared in schema|\.metadata\.unknownMeta: field not declared in schema/)
    const twice = noxu(SPEC.replace('  foo: foo1\n', '  unknown: uk1\n  foo: foo1\n  foo: foo2\n')).toString()
    deepStrictEqual(await applied(twice), 'error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  line 9: key "foo" already set in map')
  })
})

describe('server-side apply', () => {
  test('creates what is not there; who applies the same owns it, too', async () => {
    const { call } = await prepared()
    const cases: [string, object, object][] = [
      ['pods/p', { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'i' }] } }, { 'f:spec': { 'f:containers': { 'k:{"name":"c"}': { '.': {}, 'f:image': {}, 'f:name': {} } } } }],
      ['services/s', { apiVersion: 'v1', kind: 'Service', metadata: { name: 's' }, spec: { ports: [{ port: 8080, protocol: 'UDP' }] } }, { 'f:spec': { 'f:ports': { 'k:{"port":8080,"protocol":"UDP"}': { '.': {}, 'f:port': {}, 'f:protocol': {} } } } }],
    ]
    for (const [at, object, fields] of cases) {
      await good(apply(call, `/api/v1/namespaces/default/${at}`, object, 'one'), 201)
      const { json } = await good(apply(call, `/api/v1/namespaces/default/${at}`, object, 'two'))
      const owners = items<{ manager: string; fieldsV1: object }>(json['metadata']?.['managedFields']).toSorted((a, b) => (a.manager < b.manager ? -1 : 1))
      deepStrictEqual(owners.map((o) => [o.manager, o.fieldsV1]), [['one', fields], ['two', fields]])
    }
  })

  test('writes a status where it is asked for at /status alone', async () => {
    const { call } = await prepared()
    const pod = '/api/v1/namespaces/default/pods/p'
    await good(apply(call, pod, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'i' }] } }, 'one'), 201)
    const status = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, status: { conditions: [{ type: 'MyStatus', status: 'True' }] } }
    const types = (answer: Answer) => items<{ type: string }>(answer.json['status']?.['conditions']).map((c) => c.type)
    deepStrictEqual([types(await good(apply(call, pod, status, 'two'))), types(await good(apply(call, `${pod}/status`, status, 'two')))], [[], ['MyStatus']])
  })

  test('takes away what is no longer applied, unless another owns it; conflicts end with force', async () => {
    const { call } = await prepared()
    const at = `${DEPLOYMENTS}/d`
    const whole = deployment('d', { replicas: 3 }, { hostname: 'test-hostname', containers: [{ name: 'nginx', image: 'nginx', ports: [{ containerPort: 80, protocol: 'TCP' }] }] })
    for (const [manager, code] of [['one', 201], ['two', 200]] as const) await good(apply(call, at, whole, manager), code)
    const less = deployment('d', {}, { containers: [{ name: 'nginx', image: 'nginx' }] })
    const spec = (answer: Answer) => { const s = answer.json['spec'] as Loose; const pod = s['template']?.['spec'] as Loose; return [Number(s['replicas']), pod['hostname'], items<{ ports?: unknown[] }>(pod['containers'])[0]?.ports?.length] }
    deepStrictEqual(spec(await good(apply(call, at, less, 'one'))), [3, 'test-hostname', 1])
    deepStrictEqual(spec(await good(apply(call, at, less, 'two'))), [1, undefined, undefined])
    await good(call('PATCH', at, { spec: { replicas: 5 } }, MERGE))
    const again = deployment('d', { replicas: 3 })
    const refused = await apply(call, at, again, 'one')
    deepStrictEqual([refused.status, String(refused.json['reason']), items(refused.json['details']?.['causes']).length >= 1], [409, 'Conflict', true])
    await good(apply(call, at, again, 'one', '&force=true'))
  })
})

describe('discovery and OpenAPI', () => {
  const AGGREGATED = { accept: 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList' }
  const resources = (answer: Answer): string[] => items<Loose>(answer.json['items']).flatMap((g) => items<Loose>(g['versions']).flatMap((v) => items<Loose>(v['resources']).map((r) => `${String(g['metadata']?.['name'] ?? '')}/${String(v['version'])}/${String(r['resource'])}`)))

  test('the aggregated documents have what is built in, and what is defined while it is', async () => {
    const cluster = await prepared()
    const BUILT_IN = ['admissionregistration.k8s.io/v1/validatingwebhookconfigurations', 'apiextensions.k8s.io/v1/customresourcedefinitions', 'apiregistration.k8s.io/v1/apiservices', 'apps/v1/deployments', 'authentication.k8s.io/v1/tokenreviews', 'authorization.k8s.io/v1/selfsubjectaccessreviews', 'autoscaling/v1/horizontalpodautoscalers', 'autoscaling/v2/horizontalpodautoscalers', 'batch/v1/jobs', 'certificates.k8s.io/v1/certificatesigningrequests', 'coordination.k8s.io/v1/leases', 'discovery.k8s.io/v1/endpointslices', 'events.k8s.io/v1/events', 'networking.k8s.io/v1/ingresses', 'node.k8s.io/v1/runtimeclasses', 'policy/v1/poddisruptionbudgets', 'scheduling.k8s.io/v1/priorityclasses', 'storage.k8s.io/v1/csinodes']
    const all = async () => resources(await good(cluster.call('GET', '/apis', undefined, AGGREGATED)))
    const found = await all()
    deepStrictEqual([BUILT_IN.filter((r) => !found.includes(r)), resources(await good(cluster.call('GET', '/api', undefined, AGGREGATED))).includes('/v1/namespaces')], [[], true])
    await define(cluster, open)
    deepStrictEqual((await all()).filter((r) => r.startsWith('e2e')), ['e2e.example.com/v1/noxus', 'e2e.example.com/v1beta1/noxus'])
    await good(cluster.call('DELETE', `${CRDS}/noxus.e2e.example.com`))
    await until(async () => !(await all()).some((r) => r.startsWith('e2e')))
  })

  test('every group version has an OpenAPI v3 document at the address that the index names; a definition\'s comes and goes', async () => {
    const cluster = await prepared()
    const paths = async () => Object.entries((await good(cluster.call('GET', '/openapi/v3'))).json['paths'] as unknown as Record<string, { serverRelativeURL: string }>)
    for (const [path, { serverRelativeURL }] of await paths()) {
      match(serverRelativeURL, new RegExp(`^/openapi/v3/${path}\\?hash=`))
      const { json } = await good(cluster.call('GET', serverRelativeURL))
      ok(String(json['openapi']).startsWith('3.0') && Object.keys(json['paths'] ?? {}).every((p) => p.startsWith(`/${path}`) || path === 'version' || p === `/${path}/`), path)
    }
    await define(cluster, closed)
    const defined = async () => (await paths()).map(([path]) => path).filter((p) => p.includes('e2e'))
    deepStrictEqual((await defined()).sort(), ['apis/e2e.example.com/v1', 'apis/e2e.example.com/v1beta1'])
    await good(cluster.call('DELETE', `${CRDS}/noxus.e2e.example.com`))
    await until(async () => (await defined()).length === 0)
  })
})

describe('requests', () => {
  test('time-outs that are no time are refused, those that are too long or zero are the server\'s own', async () => {
    const { call } = await prepared()
    const asked = async (timeout: string) => { const { status, text } = await call('GET', `/version?timeout=${timeout}`); return status === 200 ? 200 : [status, text.includes('invalid timeout specified in the request URL')] }
    deepStrictEqual([await asked('invalid'), await asked('3m'), await asked('0s')], [[400, true], 200, 200])
  })

  test('a watch that lists has tables for who wants them: the columns once, and the end of the list told in the last', async () => {
    const cluster = await prepared()
    for (const name of ['a', 'b']) await cluster.create('/api/v1/namespaces/default/secrets', { metadata: { name } })
    const watched = await cluster.watch('/api/v1/namespaces/default/secrets?watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan', { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' })
    await watched.next(3)
    const tables = watched.events.map(({ type, object }) => {
      const { kind, columnDefinitions, rows } = object as unknown as { kind: string; columnDefinitions: object[] | null; rows: { object: { metadata: { name?: string; annotations?: object } } }[] }
      return [type, kind, columnDefinitions?.length, rows.map(({ object: { metadata } }) => metadata.name ?? metadata.annotations)]
    })
    deepStrictEqual(tables, [['ADDED', 'Table', 4, ['a']], ['ADDED', 'Table', undefined, ['b']], ['BOOKMARK', 'Table', undefined, [{ 'k8s.io/initial-events-end': 'true' }]]])
    watched.stop()
  })
})

describe('admission policies', () => {
  const rule = { resourceRules: [{ apiGroups: ['apps'], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE'], resources: ['deployments'] }] }
  const POLICIES = '/apis/admissionregistration.k8s.io/v1'

  test('a deployment is refused in the words of the expression, a replica set is not looked at; variables are shared', async () => {
    const cluster = await prepared()
    const { call } = cluster
    await cluster.create(`${POLICIES}/validatingadmissionpolicies`, { metadata: { name: 'p' }, spec: { matchConstraints: rule, variables: [{ name: 'replicas', expression: 'object.spec.replicas' }, { name: 'oddReplicas', expression: 'variables.replicas % 2 == 1' }], validations: [{ expression: 'variables.replicas > 1', messageExpression: "'wants replicas > 1, got ' + string(variables.replicas)" }, { expression: 'variables.oddReplicas' }] } })
    await cluster.create(`${POLICIES}/validatingadmissionpolicybindings`, { metadata: { name: 'b' }, spec: { policyName: 'p', validationActions: ['Deny'] } })
    const made = async (replicas: number) => { const { status, json } = await call('POST', DEPLOYMENTS, deployment(`d${replicas}`, { replicas })); return status === 201 ? 'made' : `${status} ${String(json['message'])}` }
    deepStrictEqual([await made(1), await made(2), await made(3)], [
      `422 deployments.apps "d1" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: wants replicas > 1, got 1`,
      `422 deployments.apps "d2" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: failed expression: variables.oddReplicas`, 'made',
    ])
    await good(call('POST', '/apis/apps/v1/namespaces/default/replicasets', { ...deployment('r', { replicas: 1 }), kind: 'ReplicaSet' }), 201)
  })

  test('a mutating policy changes what is created', async () => {
    const cluster = await prepared()
    const { call } = cluster
    await cluster.create(`${POLICIES}/mutatingadmissionpolicies`, { metadata: { name: 'm' }, spec: { matchConstraints: rule, reinvocationPolicy: 'Never', mutations: [{ patchType: 'ApplyConfiguration', applyConfiguration: { expression: 'Object{metadata: Object.metadata{labels: {"mutated": "yes"}}}' } }, { patchType: 'JSONPatch', jsonPatch: { expression: '[JSONPatch{op: "add", path: "/metadata/annotations", value: {"by": "patch"}}]' } }] } })
    await cluster.create(`${POLICIES}/mutatingadmissionpolicybindings`, { metadata: { name: 'b' }, spec: { policyName: 'm' } })
    const { json } = await good(call('POST', DEPLOYMENTS, deployment('d')), 201)
    deepStrictEqual([json['metadata']?.['labels'], json['metadata']?.['annotations']], [{ app: 'nginx', mutated: 'yes' }, { by: 'patch' }])
  })
})
