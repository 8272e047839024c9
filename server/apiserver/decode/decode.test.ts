import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { builtinSchema as schema, type SchemaSet } from '#api/schema/index.ts'
import type { KubeObject } from '#api/types/index.ts'
import { canonicalText, decodeObject, decodeValue, encodeCanonical, printCanonical, type Decoded, type Strictness } from './index.ts'
import { explainJson, measureJson } from './json-scan.ts'
import { printYaml } from './print-yaml.ts'
import { parseYaml } from './yaml.ts'

const decode = (body: string | Buffer, model = 'Pod', strictness: Strictness = 'Warn', type = 'application/json'): Decoded<object> =>
  decodeObject(Buffer.from(body), type, { schema, model, strictness })
const refusal = (decoded: Decoded<object>) => (decoded.ok ? 'no refusal' : `${decoded.code} ${decoded.message}`)
const warnings = (decoded: Decoded<object>) => (decoded.ok ? decoded.problems.map((p) => p.message) : ['refused'])

test('an object comes out with its kind, canonical quantities and times, without nulls and empty maps', () => {
  const decoded = decode(JSON.stringify({
    metadata: { name: 'a', creationTimestamp: null, labels: {}, annotations: { x: null, y: 'z' }, deletionTimestamp: '2026-01-01T02:00:00.5+02:00', finalizers: [] },
    spec: { containers: [{ name: 'c', resources: { requests: { cpu: '0.5', memory: '1024Mi', pods: 1 } }, env: [] }], volumes: [{ name: 'v', emptyDir: {} }], hostNetwork: false, terminationGracePeriodSeconds: 0 },
  }))
  assert.deepStrictEqual(decoded, {
    ok: true,
    problems: [],
    object: {
      kind: 'Pod', apiVersion: 'v1',
      metadata: { name: 'a', annotations: { x: '', y: 'z' }, deletionTimestamp: '2026-01-01T00:00:00Z' },
      spec: { containers: [{ name: 'c', resources: { requests: { cpu: '500m', memory: '1Gi', pods: '1' } } }], volumes: [{ name: 'v', emptyDir: {} }], terminationGracePeriodSeconds: 0 }, status: {},
    },
  })
})

test('amounts of resources are whole thousandths, other quantities are as fine as they were written', () => {
  const limits = (cpu: unknown): unknown => {
    const decoded = decode(JSON.stringify({ spec: { containers: [{ name: 'c', resources: { limits: { cpu } } }] } }))
    return decoded.ok && (decoded.object as { spec: { containers: { resources: { limits: unknown } }[] } }).spec.containers[0]?.resources.limits
  }
  assert.deepStrictEqual(['100u', '0.0015', '-1n', '250m', 2].map(limits), ['1m', '2m', '-1m', '250m', '2'].map((cpu) => ({ cpu })))
  const divided = decode('{"spec":{"containers":[{"name":"c","env":[{"name":"e","valueFrom":{"resourceFieldRef":{"resource":"limits.cpu","divisor":"100u"}}}]}]}}')
  assert.match(JSON.stringify(divided), /"divisor":"100u"/)
})

test('zeros are as Go writes them: what says nothing is left out, structs and plain fields are there though nobody set them, pointers are as they came', () => {
  const decoded = decode('{"spec":{"replicas":0,"paused":false,"template":{"spec":{"containers":[{"image":"","ports":[{"name":""}],"securityContext":{"privileged":false}}, null]}}},"status":{"readyReplicas":0}}', 'Deployment')
  const container = { name: '', resources: {} }
  const object = {
    kind: 'Deployment', apiVersion: 'apps/v1', metadata: {}, status: {},
    spec: { replicas: 0, strategy: {}, template: { metadata: {}, spec: { containers: [{ ...container, ports: [{ containerPort: 0 }], securityContext: { privileged: false } }, container] } } },
  }
  assert.deepStrictEqual(decoded.ok && decoded.object, object)
  // The stored form says the same of an object that was made here.
  const bare = { kind: 'Deployment', apiVersion: 'apps/v1', spec: { paused: false, replicas: 0, template: { spec: { containers: [{ image: '', ports: [{}], securityContext: { privileged: false } }, {}] } } } } as KubeObject
  assert.deepStrictEqual(JSON.parse(canonicalText(bare, { schema, model: 'Deployment' })), { metadata: {}, spec: object.spec, status: {} })
})

test('micro times have six digits of the second, no more and no fewer', () => {
  const renewed = (at: string) => decode(JSON.stringify({ spec: { renewTime: at } }), 'Lease')
  const decoded = renewed('2026-01-01T00:00:00.123456+02:00')
  assert.deepStrictEqual(decoded.ok && decoded.object, { spec: { renewTime: '2025-12-31T22:00:00.123456Z' }, kind: 'Lease', apiVersion: 'coordination.k8s.io/v1', metadata: {} })
  for (const [at, rest, element] of [['2026-01-01T00:00:00Z', 'Z', '.000000'], ['2026-01-01T00:00:00.5Z', '.5Z', '.000000'], ['2026-01-01T00:00:00.1234567Z', '7Z', 'Z07:00'], ['\u00fcn', '\\xc3\\xbcn', '2006']] as const) {
    const shown = at === '\u00fcn' ? rest : at
    assert.ok(refusal(renewed(at)).endsWith(`parsing time "${shown}" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "${rest}" as "${element}"`), refusal(renewed(at)))
  }
})

test('unknown fields are pruned, and told as the strictness says', () => {
  const body = '{"spec":{"foo":{"deep":[1]},"containers":[{"name":"a","imagee":"x"}]},"bar":1}'
  const pruned = { spec: { containers: [{ name: 'a', resources: {} }] }, kind: 'Pod', apiVersion: 'v1', metadata: {}, status: {} }
  const warned = decode(body)
  assert.deepStrictEqual(warned.ok && warned.object, pruned)
  assert.deepStrictEqual(warnings(warned), ['unknown field "spec.foo"', 'unknown field "spec.containers[0].imagee"', 'unknown field "bar"'])
  assert.deepStrictEqual(decode(body, 'Pod', 'Ignore'), { ok: true, object: pruned, problems: [] })
  assert.equal(refusal(decode(body, 'Pod', 'Strict')), '400 Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "spec.foo", unknown field "spec.containers[0].imagee", unknown field "bar"')
})

test('duplicate keys are found, the last wins', () => {
  const body = '{"metadata":{"name":"a","name":"b"},"spec":{"containers":[{"name":"c","name":"d"}]}}'
  const decoded = decode(body)
  assert.deepStrictEqual(warnings(decoded), ['duplicate field "metadata.name"', 'duplicate field "spec.containers[0].name"'])
  assert.deepStrictEqual(decoded.ok && decoded.object, { metadata: { name: 'b' }, spec: { containers: [{ name: 'd', resources: {} }] }, status: {}, kind: 'Pod', apiVersion: 'v1' })
  assert.match(refusal(decode(body, 'Pod', 'Strict')), /strict decoding error: duplicate field "metadata.name", duplicate field/)
  assert.deepStrictEqual(warnings(decode(body, 'Pod', 'Ignore')), [])
})

test('what is wrong is told in the order of the text, of unknown fields once', () => {
  const body = '{"spec":{"new":1,"new":2,"hostname":"a","hostname":"b","containers":[{"odd":1,"name":"c","name":"d"}]},"last":1,"spec":{}}'
  assert.deepStrictEqual(warnings(decode(body.replace(',"spec":{}', ''))), ['unknown field "spec.new"', 'duplicate field "spec.hostname"', 'unknown field "spec.containers[0].odd"', 'duplicate field "spec.containers[0].name"', 'unknown field "last"'])
})

const WRONG: [string, string, string][] = [
  ['Deployment', '{"spec":{"replicas":"3"}}', 'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32'],
  ['Deployment', '{"spec":{"replicas":1.5}}', 'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32'],
  ['Deployment', '{"spec":{"template":{"spec":{"containers":[{"env":[{"value":1}]}]}}}}', 'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal number into Go struct field EnvVar.spec.template.spec.containers.env.value of type string'],
  ['Pod', '{"spec":{"containers":"x"}}', 'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type []v1.Container'],
  ['Pod', '{"metadata":{"labels":{"a":true}}}', 'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.labels of type string'],
  ['Pod', '{"metadata":[]}', 'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal array into Go struct field Pod.metadata of type v1.ObjectMeta'],
  ['Pod', '{"metadata":{"creationTimestamp":"yesterday"}}', 'Pod in version "v1" cannot be handled as a Pod: parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006"'],
  ['Pod', '{"metadata":{"creationTimestamp":"2026-02-30T00:00:00Z"}}', 'Pod in version "v1" cannot be handled as a Pod: parsing time "2026-02-30T00:00:00Z": day out of range'],
  ['Pod', '{"spec":{"containers":[{"resources":{"limits":{"cpu":"lots"}}}]}}', "Pod in version \"v1\" cannot be handled as a Pod: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"],
  ['Secret', '{"data":{"a":"!!"}}', 'Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 0'],
  ['Pod', '{"kind":"Service","apiVersion":"v1"}', 'Service in version "v1" cannot be handled as a Pod: converting (v1.Service) to (core.Pod): unknown conversion'],
  ['Deployment', '{"kind":"Deployment","apiVersion":"apps/v1beta1"}', 'Deployment in version "v1beta1" cannot be handled as a Deployment: no kind "Deployment" is registered for version "apps/v1beta1" in scheme "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"'],
  ['CoreV1Event', '{"kind":"Event","apiVersion":"events.k8s.io/v1"}', 'the API version in the data (events.k8s.io/v1) does not match the expected API version (v1)'],
  ['Pod', '{"kind":', 'the object provided is unrecognized (must be of type Pod): couldn\'t get version/kind; json parse error: unexpected end of JSON input ({"kind":)'],
  ['Pod', 'hello', "the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: invalid character 'h' looking for beginning of value (68656c6c6f)"],
  ['Pod', '', "the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)"],
]
for (const [model, body, message] of WRONG) test(`refused: ${message.slice(-90)}`, () => assert.equal(refusal(decode(body, model)), `400 ${message}`))

const objectOf = (d: ReturnType<typeof decode>): unknown => (d.ok ? d.object : undefined)

test('a version that says that its group has no name is the one without a group', () => {
  const { apiVersion } = objectOf(decode('{"kind":"ConfigMap","apiVersion":"/v1"}', 'ConfigMap')) as { apiVersion?: string }
  assert.equal(apiVersion, 'v1')
  assert.equal(decode('{"kind":"Deployment","apiVersion":"/v1"}', 'Deployment').ok, false)
})

test('DeleteOptions are taken in any group version', () => {
  assert.equal(decode('{"kind":"DeleteOptions","apiVersion":"policy/v1","gracePeriodSeconds":0}', 'DeleteOptions').ok, true)
})

test('nesting of 10,000, in JSON and YAML, known field or not, is refused without a stack overflow', () => {
  const deep = `${'['.repeat(10_000)}${']'.repeat(10_000)}`
  for (const body of [deep, `{"metadata":${'{"a":'.repeat(10_000)}1${'}'.repeat(10_001)}`, `{"kind":"ControllerRevision","data":${deep}}`]) {
    assert.match(refusal(decode(body, 'ControllerRevision')), /^400 .*invalid character '[[{]' exceeded max depth/)
    assert.match(refusal(decode(body, 'ControllerRevision', 'Warn', 'application/yaml')), /^400 /)
  }
  assert.match(refusal(decode('['.repeat(3_000_000), 'Pod')), /^400 /)
  assert.equal(explainJson(deep.slice(1)).ok, false)
})

test('invalid UTF-8 and unknown content types are refused', () => {
  assert.match(refusal(decode(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))), /^400 .*invalid UTF-8/)
  assert.match(refusal(decode('{}', 'Pod', 'Warn', 'text/html')), /^415 /)
})

test('YAML means what the JSON means; bombs, duplicate keys and broken text are refused', () => {
  const yaml = (body: string, strictness: Strictness = 'Warn') => decode(body, 'ConfigMap', strictness, 'application/yaml; charset=utf-8')
  const config = yaml('metadata:\n  name: &n a\n  namespace: *n\ndata:\n  x: "1"\n  2: two\n')
  assert.deepStrictEqual(config.ok && config.object, { metadata: { name: 'a', namespace: 'a' }, data: { 2: 'two', x: '1' }, kind: 'ConfigMap', apiVersion: 'v1' })
  let bomb = 'a0: &a0 [x,x,x,x,x,x,x,x,x]\n'
  for (let i = 1; i < 10; i++) bomb += `a${i}: &a${i} [${`*a${i - 1},`.repeat(9).slice(0, -1)}]\n`
  assert.match(refusal(yaml(bomb)), /^400 .*excessive aliasing/)
  assert.match(refusal(yaml('a: &a [*a]')), /^400 /)
  const again = 'metadata:\n  name: a\n  name: b\n  "name": c\nbar: 1\n'
  assert.equal(refusal(yaml(again, 'Strict')), '400 ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: yaml: unmarshal errors:\n  line 3: key "name" already set in map\n  line 4: key "name" already set in map, unknown field "bar"')
  assert.deepStrictEqual([warnings(yaml(again)), yaml(again, 'Ignore')], [['line 3: key "name" already set in map', 'line 4: key "name" already set in map', 'unknown field "bar"'], { ok: true, object: { metadata: { name: 'c' }, kind: 'ConfigMap', apiVersion: 'v1' }, problems: [] }])
  assert.match(refusal(yaml('a: [')), /^400 .*yaml:/)
})

test('unknown fields are told as the body has them, of YAML by name and place, of what a patch has made by their words', () => {
  const containers = [{ name: 'a', z: 1 }, ...Array.from({ length: 9 }, () => ({ name: 'a' })), { name: 'a', a: 1 }]
  const value = () => ({ spec: { x: 1, containers: structuredClone(containers), b: 1 }, metadata: { odd: 1 } })
  const body = JSON.stringify(value())
  const [x, b, z, a, odd] = ['spec.x', 'spec.b', 'spec.containers[0].z', 'spec.containers[10].a', 'metadata.odd'].map((path) => `unknown field "${path}"`)
  assert.deepStrictEqual(warnings(decode(body, 'Pod', 'Warn', 'application/yaml')), [odd, b, z, a, x])
  assert.deepStrictEqual(warnings(decodeValue(value(), { schema, model: 'Pod' })), [odd, b, z, a, x])
  assert.deepStrictEqual(new Set(warnings(decode(body))), new Set([x, b, z, a, odd]))
})

test('keys named like parts of JavaScript are plain keys', () => {
  const body = '{"metadata":{"labels":{"__proto__":"a","constructor":"b"}},"__proto__":{"x":1},"constructor":2}'
  const decoded = decode(body)
  assert.ok(decoded.ok)
  assert.deepStrictEqual(warnings(decoded), ['unknown field "__proto__"', 'unknown field "constructor"'])
  assert.equal(canonicalText(decoded.object, { schema, model: 'Pod' }), '{"metadata":{"labels":{"__proto__":"a","constructor":"b"}},"spec":{},"status":{}}')
})

test('the stored form begins with metadata and leaves out what the reader splices in', () => {
  const object = {
    kind: 'ConfigMap', apiVersion: 'v1', data: { b: '1', a: '' }, binaryData: {}, immutable: false,
    metadata: { resourceVersion: '5', name: 'x', generateName: '', labels: {}, generation: 0, deletionGracePeriodSeconds: 0 },
  }
  assert.equal(encodeCanonical(object, { schema, model: 'ConfigMap' }).toString(), '{"metadata":{"deletionGracePeriodSeconds":0,"name":"x"},"data":{"a":"","b":"1"},"immutable":false}')
})

test('the stored form does not depend on the order of keys', () => {
  const shuffled = (value: unknown, flip: boolean): unknown => {
    if (Array.isArray(value)) return value.map((v) => shuffled(v, flip))
    if (typeof value !== 'object' || value === null) return value
    const entries = Object.entries(value).map(([k, v]): [string, unknown] => [k, shuffled(v, !flip)])
    return Object.fromEntries(flip ? entries.reverse() : entries)
  }
  fc.assert(fc.property(fc.dictionary(fc.string(), fc.string(), { minKeys: 1 }), fc.dictionary(fc.string(), fc.string()), (labels, data) => {
    const object = { metadata: { name: 'x', labels }, data }
    assert.equal(canonicalText(object, { schema, model: 'ConfigMap' }), canonicalText(shuffled(object, true) as object, { schema, model: 'ConfigMap' }))
    assert.deepStrictEqual(JSON.parse(canonicalText(object, { schema, model: 'Foo' })), JSON.parse(JSON.stringify({ metadata: { name: 'x', labels }, data })))
  }))
})

test('what is put in order and printed as a whole is what is printed member by member', () => {
  const key = fc.oneof(fc.constantFrom('name', 'labels', 'annotations', 'spec', 'containers', 'env', 'value', 'resources', 'limits', 'cpu', 'replicas', 'status', 'template', 'strategy', 'type', 'managedFields', 'fieldsV1', '0', '10', '2', '-', '__proto__', 'toJSON'), fc.string())
  const leaf = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constantFrom(null, undefined, '', 0, false))
  const { tree } = fc.letrec((of) => ({ tree: fc.oneof({ maxDepth: 5 }, leaf, fc.array(of('tree'), { maxLength: 3 }), fc.dictionary(key, of('tree'), { maxKeys: 4 })) }))
  const object = (spec: object, metadata: object) => ({ kind: 'X', apiVersion: 'v1', metadata: { resourceVersion: '1', ...metadata }, spec }) as object
  fc.assert(fc.property(fc.dictionary(key, tree), fc.dictionary(key, tree), fc.constantFrom('Foo', 'Deployment', 'Pod', 'ConfigMap'), (spec, metadata, model) => {
    const before = JSON.stringify([spec, metadata])
    const text = (print: () => string) => { try { return print() } catch { return 'of the wrong shape' } }
    assert.equal(text(() => canonicalText(object(spec, metadata), { schema, model })), text(() => printCanonical(object(spec, metadata), schema.model(model), schema)))
    assert.equal(JSON.stringify([spec, metadata]), before)
  }), { numRuns: 2_000 })
})

test('a pod is printed the same in whatever order its fields come, nested as deep as they are', () => {
  const some = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined })
  const container = fc.record({
    name: fc.string(), image: some(fc.string()), tty: some(fc.boolean()), env: some(fc.array(fc.record({ name: fc.string(), value: some(fc.string()) }), { maxLength: 2 })), resources: some(fc.record({ limits: some(fc.dictionary(fc.string(), fc.string(), { maxKeys: 2 })) })),
    ports: some(fc.array(fc.record({ containerPort: fc.nat(), protocol: some(fc.string()) }), { maxLength: 2 })), odd: some(fc.string()),
  })
  const pod = fc.record({ metadata: fc.record({ name: fc.string(), uid: some(fc.string()), labels: some(fc.dictionary(fc.string(), fc.string())) }), spec: some(fc.record({ restartPolicy: some(fc.string()), containers: some(fc.array(container, { maxLength: 2 })), hostNetwork: some(fc.boolean()) })), status: some(fc.record({ phase: some(fc.string()) })) })
  const shuffled = (value: unknown, g: fc.GeneratorValue): unknown => {
    if (Array.isArray(value)) return value.map((item) => shuffled(item, g))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(g(fc.shuffledSubarray, Object.entries(value), { minLength: Object.keys(value).length }).map(([key, member]: [string, unknown]) => [key, shuffled(member, g)]))
  }
  fc.assert(fc.property(pod, fc.gen(), (object, g) => {
    const mixed = shuffled(object, g) as object
    const expected = printCanonical(object as object, schema.model('Pod'), schema)
    assert.deepStrictEqual([canonicalText(object as object, { schema, model: 'Pod' }), canonicalText(mixed, { schema, model: 'Pod' })], [expected, expected])
  }), { numRuns: 500 })
})

test('the measure agrees with a naive count, and the explanation accepts what JSON.parse accepts', () => {
  const count = (v: unknown): { keys: number; depth: number } => {
    if (typeof v !== 'object' || v === null) return { keys: 0, depth: 0 }
    const inner = Object.values(v).map(count)
    return { keys: (Array.isArray(v) ? 0 : inner.length) + inner.reduce((n, i) => n + i.keys, 0), depth: 1 + Math.max(0, ...inner.map((i) => i.depth)) }
  }
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    const text = JSON.stringify(value)
    assert.deepStrictEqual(measureJson(Buffer.from(text)), count(value))
    assert.deepStrictEqual(explainJson(text), { ok: true, duplicates: [], order: new Map() })
  }))
  fc.assert(fc.property(fc.jsonValue(), fc.nat(), fc.string({ maxLength: 2 }), (value, at, noise) => {
    const text = JSON.stringify(value)
    const broken = text.slice(0, at % (text.length + 1)) + noise
    let parses = true
    try { JSON.parse(broken) } catch { parses = false }
    assert.equal(explainJson(broken).ok, parses, broken)
  }))
})

test('schemas inside a definition\'s schema are read as schemas; what they do not know is dropped silently, as Go\'s own decoders do', () => {
  const body = (items: unknown) => JSON.stringify({ spec: { versions: [{ name: 'v1', schema: { openAPIV3Schema: { type: 'array', items } } }] } })
  const decoded = decode(body({ type: 'object', odd: 1, properties: { a: { type: 'string', additionalProperties: { type: 'string', odd: 2 } } } }), 'CustomResourceDefinition', 'Strict')
  assert.ok(decoded.ok)
  assert.deepEqual((decoded.object as { spec: { versions: { schema: unknown }[] } }).spec.versions[0]?.schema, { openAPIV3Schema: { type: 'array', items: { type: 'object', properties: { a: { type: 'string', additionalProperties: { type: 'string' } } } } } })
  assert.match(refusal(decode(body({ type: 5 }), 'CustomResourceDefinition')), /^400 .*json: cannot unmarshal number into Go struct field JSONSchemaProps\.type of type string$/)
})

test('what is neither JSON nor YAML is 415 with the formats the kind has', () => {
  const refused = (model: string) => refusal(decode('x', model, 'Warn', 'application/cbor'))
  assert.equal(refused('ConfigMap'), '415 the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf')
  // The model stands for a custom resource: it has no form on the wire.
  const custom: SchemaSet = { ...schema, model: () => ({ model: 'com.example.v1.Shirt', definition: 'com.example.v1.Shirt', fields: {}, names: [], written: [], nulls: [], structType: 'granular', groupVersionKinds: [] }) }
  assert.equal(refusal(decodeObject(Buffer.from('x'), 'application/cbor', { schema: custom, model: 'com.example.v1.Shirt' })), '415 the body of the request was in an unknown format - accepted media types include: application/json, application/yaml')
})

test('YAML says what it says to sigs.k8s.io/yaml', () => {
  const read = (text: string) => { const parsed = parseYaml(text, { maxDepth: 10, maxValues: 1_000 }); return parsed.ok ? parsed.value : parsed.message }
  for (const [text, value] of [
    ['yes', true], ['On', true], ['y', true], ['OFF', false], ['n', false], ['No', false], ['oN', 'oN'], ['"yes"', 'yes'],
    ['0777', 511], ['0o17', 15], ['0x1F', 31], ['0b101', 5], ['-0b11', -3], ['1_000', 1000], ['0x_ff', 255], ['+12', 12], ['-7', -7], ['0', 0], ['00', 0], ['08', 8], ['089.5', 89.5], ['0o8', '0o8'],
    ['1.', 1], ['.5', 0.5], ['-.5', -0.5], ['1e3', 1000], ['1E-2', 0.01], ['1_0.5', 10.5], ['1e999', '1e999'], ['190:20:30', '190:20:30'], ['0x', '0x'], ['1__', 1], ['._5', '._5'],
    ['18446744073709551615', 2 ** 64], ['18446744073709551616', 2 ** 64], ['0xfffffffffffffffff', '0xfffffffffffffffff'], ['-9223372036854775808', -(2 ** 63)],
    ['2026-01-02', '2026-01-02'], ['2026-01-02T03:04:05Z', '2026-01-02T03:04:05Z'], ['~', null], ['a:', { a: null }], ['NULL', null], ['nULL', 'nULL'], ['1.2.3', '1.2.3'], ['1Gi', '1Gi'], ['100m', '100m'],
    ['!!str 0777', '0777'], ['!!float 3', 3], ['!!int "0x10"', 16], ['yes: 1', { true: 1 }], ['010: x', { 8: 'x' }],
    ['{<<: {a: 1, b: 2}, b: 3}', { a: 1, b: 3 }],
  ] as const) assert.deepStrictEqual(read(text), value, text)
})

test('text that is printed as YAML is read back as text', () => {
  const shady = fc.array(fc.constantFrom(...'0123456789_.eE+-xXoObBfFyYnN~<=:tT '.split('')), { minLength: 1, maxLength: 6 }).map((chars) => chars.join(''))
  fc.assert(fc.property(shady, fc.double({ noNaN: true, noDefaultInfinity: true }), (text, number) => {
    const value = { a: text, [text]: [text, number === 0 ? 0 : number] }
    const parsed = parseYaml(printYaml(value).toString(), { maxDepth: 10, maxValues: 1_000 })
    assert.deepStrictEqual(parsed, { ok: true, value, duplicates: [] })
  }), { numRuns: 2_000 })
})

test('YAML is laid out as Go lays it out: keys in order, lists at the margin of their key', () => {
  assert.equal(printYaml({ kind: 'ConfigMap', apiVersion: 'v1', metadata: { name: 'a', finalizers: ['x/y'] }, data: { b: 'x', a: 'y z' } }).toString(),
    'apiVersion: v1\ndata:\n  a: y z\n  b: x\nkind: ConfigMap\nmetadata:\n  finalizers:\n  - x/y\n  name: a\n')
})
