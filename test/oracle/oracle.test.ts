import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { builtinSchema } from '#api/schema/index.ts'
import { Chance } from '../fuzz/chance.ts'
import { firstDifference } from './differ.ts'
import { allDifferences, comparableDocument, placeIn } from './documents.ts'
import type { Segment } from './edits.ts'
import { FAMILIES } from './families/index.ts'
import { applied, edited, jsonPatch, mergePatch, strategicPatch } from './forms.ts'
import { KNOWN } from './known.ts'
import { normalised } from './normalise.ts'
import { grouped, type Finding } from './report.ts'
import { SEEDS } from './seeds.ts'

const field = (model: string, name: string): Segment => ({ field: name, type: builtinSchema.model(model)?.fields[name]?.type })

describe('the first difference of two answers', () => {
  it('is none between the same, whatever the order of keys', () => {
    assert.equal(firstDifference({ a: 1, b: [{ c: null }] }, { b: [{ c: null }], a: 1 }), undefined)
  })

  it('is the code before the message before all else', () => {
    assert.deepEqual(firstDifference({ status: 200, body: { message: 'x' } }, { status: 409, body: { message: 'y' } }), { path: 'status', ours: 200, theirs: 409 })
    assert.deepEqual(firstDifference({ body: { a: 1, message: 'x' } }, { body: { a: 2, message: 'y' } }), { path: 'body.message', ours: 'x', theirs: 'y' })
  })

  it('is the whole of what one of them lacks, in lists, too', () => {
    assert.deepEqual(firstDifference({ l: [1, { a: 1 }] }, { l: [1] }), { path: 'l[1]', ours: { a: 1 }, theirs: undefined })
    assert.deepEqual(firstDifference({ l: [] }, { l: {} }), { path: 'l', ours: [], theirs: {} })
  })
})

describe('an OpenAPI document', () => {
  const differences = (ours: object, theirs: object) => allDifferences(comparableDocument(ours), comparableDocument(theirs))

  it('is the same in other words and another order, whether parameters stand once or with each operation', () => {
    const path = (parameters: object[], description: string) => ({ paths: { '/a': { get: { description, tags: ['a', 'b'], parameters } } } })
    const [first, second] = [{ name: 'a', in: 'query', description: 'x' }, { name: 'a', in: 'path' }]
    assert.deepEqual(differences(path([first, second], 'ours'), { ...path([second, { $ref: '#/parameters/a-1' }], 'theirs'), parameters: { 'a-1': first } }), [])
  })

  it('differs in each place that does, a missing description among them, a property of that name, too', () => {
    const schema = (properties: object) => ({ definitions: { A: { required: ['b', 'a'], properties } } })
    assert.deepEqual(differences(schema({ a: { description: 'x', default: 1 }, description: { type: 'string' } }), schema({ a: { default: 2 }, description: { type: 'object' }, c: {} })), [
      { path: 'definitions.A.properties.a.default', ours: 1, theirs: 2 },
      { path: 'definitions.A.properties.a.description', ours: '…', theirs: undefined },
      { path: 'definitions.A.properties.c', ours: undefined, theirs: {} },
      { path: 'definitions.A.properties.description.type', ours: 'string', theirs: 'object' },
    ])
  })

  it('tells of the same place in many definitions as one', () => {
    assert.equal(placeIn('body.components.schemas.io.k8s.api.core.v1.Pod.properties.spec.default'), 'body.components.schemas.….properties.….default')
    assert.equal(placeIn('body.paths./apis/a.example.com/v1/b/{name}.get.responses.200'), 'body.paths.….get.responses.200')
  })
})

describe('an answer', () => {
  it('loses what two servers cannot have in common, and keeps that it was there', () => {
    const object = (n: number, time: string) => ({ status: 201, warnings: [], body: { metadata: { uid: `1234567${n}-0000-0000-0000-000000000000`, resourceVersion: `${n}`, creationTimestamp: time, managedFields: [{ manager: 'm', time, fieldsV1: {} }] }, spec: { clusterIP: `10.43.0.${n}` } } })
    assert.equal(firstDifference(normalised(object(1, '2026-05-01T00:00:00Z')), normalised(object(2, '2026-05-01T00:00:01Z'))), undefined)
    assert.equal(firstDifference(normalised(object(1, '2026-05-01T00:00:00Z')), normalised({ status: 201, warnings: [], body: {} }))?.path, 'body.metadata')
  })

  it('keeps times that were sent, and what is null is as if it were absent', () => {
    assert.deepEqual(normalised({ status: 200, warnings: [], body: { a: null, renewTime: '2026-01-01T00:00:00Z', other: '2026-05-01T00:00:00Z' } }), { status: 200, body: { renewTime: '2026-01-01T00:00:00Z', other: '<time>' } })
  })

  it('has its causes in an order of their own', () => {
    const refusal = (...causes: string[]) => ({ status: 422, warnings: [], body: { kind: 'Status', message: `Pod "o1" is invalid: [${causes.join(', ')}]`, details: { causes: causes.map((message) => ({ message })) } } })
    assert.deepEqual(normalised(refusal('a: x', 'b: y')), normalised(refusal('b: y', 'a: x')))
  })
})

describe('an edit in its forms', () => {
  const object = { spec: { containers: [{ name: 'a', image: 'i' }, { name: 'b', image: 'j' }] } }
  const path: Segment[] = [field('Pod', 'spec'), field('PodSpec', 'containers'), { index: 1 }, field('Container', 'image')]
  const edit = { path, value: 'k' }

  it('changes one field of a copy', () => {
    assert.deepEqual(edited(object, edit), { spec: { containers: [{ name: 'a', image: 'i' }, { name: 'b', image: 'k' }] } })
    assert.equal(object.spec.containers[1]?.image, 'j')
    assert.deepEqual(edited(object, { path: path.slice(0, 3), value: undefined }), { spec: { containers: [{ name: 'a', image: 'i' }] } })
  })

  it('sends lists as a whole in a merge patch', () => {
    assert.deepEqual(mergePatch(object, edit), { spec: { containers: [{ name: 'a', image: 'i' }, { name: 'b', image: 'k' }] } })
  })

  it('is an operation on the first part that is there in a JSON patch', () => {
    assert.deepEqual(jsonPatch(object, edit), [{ op: 'replace', path: '/spec/containers/1/image', value: 'k' }])
    assert.deepEqual(jsonPatch({}, { path: [field('Pod', 'metadata'), field('ObjectMeta', 'labels'), { field: 'a/b~c', type: undefined }], value: 'v' }), [{ op: 'add', path: '/metadata', value: { labels: { 'a/b~c': 'v' } } }])
    assert.deepEqual(jsonPatch(object, { path, value: undefined }), [{ op: 'remove', path: '/spec/containers/1/image' }])
  })

  it('names items by their keys in a strategic merge patch and where it is applied', () => {
    assert.deepEqual(strategicPatch(object, edit), { spec: { containers: [{ name: 'b', image: 'k' }] } })
    assert.deepEqual(strategicPatch(object, { path: path.slice(0, 3), value: undefined }), { spec: { containers: [{ $patch: 'delete', name: 'b' }] } })
    assert.deepEqual(applied(object, edit), { spec: { containers: [{ name: 'b', image: 'k' }] } })
    assert.deepEqual(applied(object, { path, value: undefined }), { spec: { containers: [{ name: 'b' }] } })
  })
})

describe('the cases', () => {
  const cases = (seed: number) => Object.values(FAMILIES).flatMap((family) => {
    let n = 0
    return Array.from(family({ chance: new Chance(seed), seeds: SEEDS, count: 2, next: () => ++n }))
  })
  const text = (seed: number) => JSON.stringify(cases(seed))

  it('are the same for the same seed, and others for another', () => {
    assert.equal(text(1), text(1))
    assert.notEqual(text(1), text(2))
  })

  it('have no object together within a family', () => {
    // Those about addresses read and go.
    for (const [name, family] of Object.entries(FAMILIES).filter(([n]) => n !== 'addresses')) {
      let n = 0
      const objects = Array.from(family({ chance: new Chance(1), seeds: SEEDS, count: 3, next: () => ++n }), (c) => c.object).filter((object) => object !== '')
      assert.equal(new Set(objects).size, objects.length, name)
    }
  })
})

describe('the report', () => {
  it('puts answers that differ alike into one group, however objects are called', () => {
    const finding = (n: number): Finding => ({
      case: { family: 'f', kind: 'v1 pods', steps: [], object: '' }, step: { form: 'PUT', method: 'PUT', path: `/o${n}` }, sent: {}, difference: { path: 'body.message', ours: `"o${n}" no`, theirs: `"o${n}" never` },
      ours: { status: 422, body: {}, warnings: [] }, theirs: { status: 422, body: {}, warnings: [] },
    })
    assert.deepEqual(grouped([finding(1), finding(22)], true).map(({ count }) => count), [2])
  })

  it('looks for what is known in answers to any request', () => {
    const refused = { status: 422, body: { message: 'no' } }
    for (const step of [{ form: 'PUT', method: 'PUT', path: '/x', body: () => ({}) }, { form: 'GET', method: 'GET', path: '/x' }]) {
      assert.deepEqual(KNOWN.filter(({ matches }) => matches({ of: { family: 'f', kind: 'v1 pods', steps: [step], object: '' }, step, sent: '', difference: { path: 'status', ours: 422, theirs: 404 }, ours: refused, theirs: { status: 404, body: { message: 'other' } } })), [])
    }
  })

  it('takes what upstream finds after the first syntax error, and in a namespace, for known, and nothing besides', () => {
    const refusal = (...causes: [field: string, message: string][]) => ({ status: 422, body: { message: `x is invalid: ${causes.map((cause) => cause.join(': ')).join(', ')}`, details: { causes: causes.map(([field, message]) => ({ field, message })) } } })
    const lines = (ours: object, theirs: object) => KNOWN.filter(({ matches }) => matches({ of: { family: '', kind: '', steps: [], object: '' }, step: { form: 'POST', method: 'POST', path: '/' }, sent: '', difference: { path: 'body.message', ours: 1, theirs: 2 }, ours: ours as never, theirs: theirs as never })).map(({ line }) => line)
    const [first, second] = ["compilation failed: ERROR: <input>:1:1: Syntax error: mismatched input '*'\n | *\n | ^", "\nERROR: <input>:1:2: Syntax error: mismatched input '<EOF>'\n | *\n | .^"]
    assert.deepEqual(lines(refusal(['a', first]), refusal(['a', first + second])), ['syntax errors of CEL'])
    assert.deepEqual(lines(refusal(['a', first.replace('1:1', '1:3')]), refusal(['a', first + second])), [])
    const [admin, other] = [['spec.devices.requests[0].adminAccess', 'Forbidden'], ['spec.x', 'Required value']] as [string, string][]
    assert.deepEqual(lines(refusal(other as never), refusal(admin as never, other as never)), ['errors of expressions in an object that has other errors'])
    assert.deepEqual(lines(refusal(), refusal(admin as never)), [])
  })

  it('does not take a complaint for known because its words are the same', () => {
    const refused = (field: string) => ({ status: 422, body: { message: 'Pod "o1" is invalid: spec.x: Required value', details: { causes: [{ field, message: 'Required value' }] } } })
    const step = { form: 'PUT', method: 'PUT', path: '/x' }
    assert.deepEqual(KNOWN.filter(({ matches }) => matches({ of: { family: 'f', kind: 'v1 pods', steps: [step], object: '' }, step, sent: '{"spec":{"x":[]}}', difference: { path: 'body.details.causes[0].field', ours: 'spec.x', theirs: 'spec.y' }, ours: refused('spec.x'), theirs: refused('spec.y') })), [])
  })

  it('calls nothing known that server/DIVERGENCE.md does not tell', () => {
    const told = readFileSync(join(import.meta.dirname, '../../server/DIVERGENCE.md'), 'utf8')
    assert.deepEqual(KNOWN.filter(({ line }) => !told.includes(`\n| ${line}`)).map(({ line }) => line), [])
  })
})
