import assert from 'node:assert/strict'
import { test } from 'node:test'
import { builtinSchema as schema } from '#api/schema/index.ts'
import { WireReader } from '../protobuf/index.ts'
import { rows } from '../registry.ts'
import { documentV2 } from './documents.ts'
import { encodeOpenApiV2 } from './gnostic.ts'

/** A message without its meaning: the values of each field number, messages and strings as bytes. */
class Fields {
  readonly #values = new Map<number, (Buffer | number)[]>()

  constructor(bytes: Buffer) {
    for (const reader = new WireReader(bytes, 10); reader.at < reader.end; ) {
      reader.varint()
      const [number, wire] = [reader.lo >>> 3, reader.lo & 7]
      const values = this.#values.get(number) ?? []
      this.#values.set(number, values)
      values.push(wire === 2 ? reader.slice() : wire === 1 ? reader.double() : reader.int64())
    }
  }

  get numbers(): number[] { return [...this.#values.keys()] }
  all(number: number): (Buffer | number)[] { return this.#values.get(number) ?? [] }
  texts(number: number): string[] { return this.all(number).map(String) }
  messages(number: number): Fields[] { return this.all(number).map((v) => new Fields(v as Buffer)) }
  message(number: number): Fields {
    const [only, ...more] = this.messages(number)
    assert.ok(only && more.length === 0, `field ${number} once in ${this.numbers.join(' ')}`)
    return only
  }
  /** `{name=1, value=2}` entries in field `number`. */
  map(number: number): Map<string, Fields> { return new Map(this.messages(number).map((e) => [e.texts(1)[0] ?? '', e.message(2)])) }
  entry(number: number, name: string): Fields {
    const found = this.map(number).get(name)
    assert.ok(found, name)
    return found
  }
  /** Extensions, by name: what their YAML says, which here is JSON. */
  extensions(number: number): Record<string, unknown> { return Object.fromEntries(this.map(number).entries().map(([name, any]) => [name, JSON.parse(any.texts(2)[0] ?? '')])) }
}

interface Swagger { paths: Record<string, object>; definitions: Record<string, { description?: string; required?: string[]; properties?: object }> }
const swagger = documentV2({ schema, rows, gitVersion: 'v1.36.0' }) as Swagger
const document = new Fields(encodeOpenApiV2(swagger))
const DEPLOYMENT = 'io.k8s.api.apps.v1.Deployment'

test('a document has its header, and every path and definition in its order', () => {
  assert.deepStrictEqual([document.texts(1), document.message(2).texts(1), document.message(2).texts(2)], [['2.0'], ['Kubernetes'], ['1.36']])
  assert.deepStrictEqual([...document.message(8).map(2).keys()], Object.keys(swagger.paths))
  assert.deepStrictEqual([...document.message(9).map(1).keys()], Object.keys(swagger.definitions))
  const bearer = document.message(13).entry(1, 'BearerToken').message(2)
  assert.deepStrictEqual([bearer.texts(1), bearer.texts(2), bearer.texts(3), bearer.texts(4)], [['apiKey'], ['authorization'], ['header'], ['Bearer Token authentication']])
  assert.deepStrictEqual(document.messages(12).map((s) => [...s.map(1).keys()]), [['BearerToken']])
})

test('schemas keep type, required fields, references, items, maps of values and extensions', () => {
  const definition = (name: string) => document.message(9).entry(1, name)
  const deployment = definition(DEPLOYMENT)
  assert.deepStrictEqual([deployment.texts(4), deployment.message(22).texts(1), deployment.extensions(31)], [[swagger.definitions[DEPLOYMENT]?.description], ['object'], { 'x-kubernetes-group-version-kind': [{ group: 'apps', version: 'v1', kind: 'Deployment' }] }])
  assert.deepStrictEqual([...deployment.message(25).map(1).keys()], Object.keys(swagger.definitions[DEPLOYMENT]?.properties ?? {}))
  assert.deepStrictEqual(deployment.message(25).entry(1, 'spec').texts(1), ['#/definitions/io.k8s.api.apps.v1.DeploymentSpec'])
  const spec = definition('io.k8s.api.apps.v1.DeploymentSpec')
  assert.deepStrictEqual(spec.texts(19), ['selector', 'template'])
  const replicas = spec.message(25).entry(1, 'replicas')
  assert.deepStrictEqual([replicas.texts(2), replicas.message(22).texts(1)], [['int32'], ['integer']])
  const containers = definition('io.k8s.api.core.v1.PodSpec').message(25).entry(1, 'containers')
  assert.deepStrictEqual([containers.message(22).texts(1), containers.message(23).message(1).texts(1), containers.extensions(31)], [
    ['array'], ['#/definitions/io.k8s.api.core.v1.Container'],
    { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'], 'x-kubernetes-patch-merge-key': 'name', 'x-kubernetes-patch-strategy': 'merge' },
  ])
  const data = definition('io.k8s.api.core.v1.ConfigMap').message(25).entry(1, 'data')
  assert.deepStrictEqual(data.message(21).message(1).message(22).texts(1), ['string'])
})

test('operations keep their parameters in place, bodies, answers and what kubectl looks up by kind', () => {
  const item = document.message(8).entry(2, '/apis/apps/v1/namespaces/{namespace}/deployments/{name}')
  const places = item.messages(9).map((p) => p.message(1).message(2))
  assert.deepStrictEqual(places.flatMap((p) => [...p.messages(4).map((m) => ['path', m.all(1)[0], m.texts(4)[0], m.texts(5)[0]]), ...p.messages(3).map((m) => ['query', m.all(1)[0], m.texts(4)[0], m.texts(6)[0]])]), [
    ['path', 1, 'name', 'string'], ['path', 1, 'namespace', 'string'], ['query', undefined, 'pretty', 'string'],
  ])
  const patch = item.message(8)
  assert.deepStrictEqual([patch.texts(5), patch.extensions(13)['x-kubernetes-group-version-kind'], patch.texts(7).length], [['patchAppsV1NamespacedDeployment'], { group: 'apps', version: 'v1', kind: 'Deployment' }, 4])
  const [body] = patch.messages(8).map((p) => p.message(1)).filter((p) => p.numbers.includes(1)).map((p) => p.message(1))
  assert.deepStrictEqual([body?.texts(2), body?.texts(3), body?.all(4), body?.message(5).texts(1)], [['body'], ['body'], [1], ['#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.Patch']])
  const answers = item.message(2).message(9).map(1)
  assert.deepStrictEqual([...answers.keys()], ['200', '401'])
  assert.deepStrictEqual(answers.get('200')?.message(1).message(2).message(1).texts(1), [`#/definitions/${DEPLOYMENT}`])
})

test('booleans that may be false, bounds, defaults and references survive; unknown keys are left out', () => {
  const encoded = new Fields(encodeOpenApiV2({
    definitions: { a: { additionalProperties: false, minimum: -1.5, maxLength: 300, default: { b: [1] }, enum: ['x', 2], readOnly: true, uniqueItems: false, oneOf: [{}], allOf: [{ type: 'string' }] } },
    paths: { '/x': { get: { parameters: [{ $ref: '#/parameters/p' }, { in: 'nowhere', name: 'n' }], responses: { default: { $ref: '#/responses/r' } } } } },
  }))
  const a = encoded.message(9).entry(1, 'a')
  assert.deepStrictEqual(a.numbers, [21, 9, 11, 5, 20, 27, 24])
  assert.deepStrictEqual([a.message(21).all(2), a.all(9), a.all(11), a.message(5).texts(2), a.messages(20).map((v) => v.texts(2)), a.all(27)], [[0], [-1.5], [300], ['{"b":[1]}'], [['"x"'], ['2']], [1]])
  const get = encoded.message(8).entry(2, '/x').message(2)
  assert.deepStrictEqual([get.messages(8).map((p) => p.numbers), get.messages(8)[0]?.message(2).texts(1), get.message(9).entry(1, 'default').message(2).texts(1)], [[[2], [1]], ['#/parameters/p'], ['#/responses/r']])
})

test('parameters that stand once for all, as in documents of other servers, are there and referred to', () => {
  const merged = new Fields(encodeOpenApiV2({ swagger: '2.0', paths: { '/a': { parameters: [{ $ref: '#/parameters/pretty-1' }] } }, parameters: { 'pretty-1': { name: 'pretty', in: 'query', type: 'string' } } }))
  const pretty = merged.message(10).entry(1, 'pretty-1').message(2).message(3)
  assert.deepStrictEqual([pretty.texts(2), pretty.texts(4), pretty.texts(6)], [['query'], ['pretty'], ['string']])
  assert.deepStrictEqual(merged.message(8).entry(2, '/a').message(9).message(2).texts(1), ['#/parameters/pretty-1'])
})
