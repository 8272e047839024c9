/** Definitions whose schemas are of each shape that a document tells in its own way: what is left out of version 2, what is unfolded in version 3. None of them has objects. */
import type { Json } from './exchange.ts'

const GROUP = 'shapes.oracle.example.com'
const IN_OTHER_GROUP = 'oracle-shapes.k8s.io'

const object = (properties: Json, more: Json = {}): Json => ({ type: 'object', properties, ...more })
const text: Json = { type: 'string' }

/** Each keyword at the root, in a property, in items and in values. */
const keywords: Json = object({
  spec: object({
    plain: { type: 'string', title: 'A title', description: 'What it is\n\nin two paragraphs', example: 'an example', externalDocs: { description: 'more', url: 'https://example.com/docs' }, format: 'hostname', pattern: '^a', minLength: 1, maxLength: 9, enum: ['a', 'ab'], default: 'a' },
    number: { type: 'number', minimum: 1, maximum: 5.5, exclusiveMinimum: true, exclusiveMaximum: true, multipleOf: 2, format: 'double', default: 2 },
    zero: { type: 'integer', minimum: 0, maximum: 0, default: 0, format: 'int64' },
    no: { type: 'boolean', default: false },
    empty: { type: 'string', default: '', description: '', minLength: 0, maxLength: 0 },
    nullable: { type: 'object', nullable: true, properties: { a: text }, required: ['a'] },
    nullableList: { type: 'array', nullable: true, items: { type: 'string', nullable: true } },
    nullableDefault: { type: 'string', nullable: true, default: null },
    mapOfNullable: { type: 'object', additionalProperties: { type: 'string', nullable: true } },
    open: { type: 'object', additionalProperties: true },
    openWithProperties: object({ a: text }, { 'x-kubernetes-preserve-unknown-fields': true, required: ['a'] }),
    anything: { 'x-kubernetes-preserve-unknown-fields': true, description: 'whatever' },
    list: { type: 'array', items: { type: 'array', items: { 'x-kubernetes-preserve-unknown-fields': true } }, minItems: 1, maxItems: 3 },
    sets: { type: 'array', 'x-kubernetes-list-type': 'set', items: object({ a: text }, { 'x-kubernetes-map-type': 'atomic' }) },
    keyed: { type: 'array', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['b', 'a'], items: object({ a: { type: 'string', default: 'x' }, b: text }, { required: ['b'] }) },
    atomic: { type: 'array', 'x-kubernetes-list-type': 'atomic', items: text },
    granular: { type: 'object', 'x-kubernetes-map-type': 'granular', additionalProperties: text, minProperties: 1, maxProperties: 2 },
    junctors: {
      type: 'object', properties: { a: { type: 'string', not: { pattern: '^b' } }, b: { type: 'integer', anyOf: [{ minimum: 5 }, { maximum: 2 }] }, c: { type: 'array', items: text } },
      oneOf: [{ required: ['a'] }, { required: ['b'], properties: { b: { minimum: 1 } } }], allOf: [{ properties: { c: { items: { maxLength: 5 } } } }, { not: { required: ['d'] } }], not: { properties: { a: { enum: ['no'] } }, required: ['a'] },
    },
    rules: object({ a: text }, { 'x-kubernetes-validations': [{ rule: 'has(self.a)', message: 'a is needed', reason: 'FieldValueRequired', fieldPath: '.a' }, { rule: '!oldSelf.hasValue() || self == oldSelf.value()', optionalOldSelf: true, messageExpression: '"no"' }] }),
    default: object({ default: { type: 'string', default: 'default' }, properties: text, required: { type: 'boolean' } }, { required: ['properties', 'default'] }),
    required: object({ gone: { type: 'string', nullable: true }, there: text }, { required: ['gone', 'there'] }),
    onlyNullable: object({ gone: { type: 'string', nullable: true } }, { required: ['gone'] }),
  }, { required: ['plain', 'nullable'] }),
  status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
}, { description: 'Keyword is of each keyword', title: 'Keyword', required: ['spec'] })

const unions: Json = object({
  bare: { 'x-kubernetes-int-or-string': true },
  told: { 'x-kubernetes-int-or-string': true, anyOf: [{ type: 'integer' }, { type: 'string' }], default: 5 },
  toldFirst: { 'x-kubernetes-int-or-string': true, allOf: [{ anyOf: [{ type: 'integer' }, { type: 'string' }] }, { pattern: '^a' }] },
  other: { 'x-kubernetes-int-or-string': true, anyOf: [{ pattern: '^a' }, { minimum: 1 }], pattern: '%$' },
  all: { 'x-kubernetes-int-or-string': true, allOf: [{ pattern: '^a' }], anyOf: [{ minimum: 1 }] },
  nullable: { 'x-kubernetes-int-or-string': true, nullable: true },
  list: { type: 'array', items: { 'x-kubernetes-int-or-string': true } },
  map: { type: 'object', additionalProperties: { 'x-kubernetes-int-or-string': true } },
})

const embedded: Json = object({
  open: { type: 'object', 'x-kubernetes-embedded-resource': true, 'x-kubernetes-preserve-unknown-fields': true },
  closed: object({ spec: object({ a: text }), metadata: object({ name: { type: 'string', maxLength: 5 } }), kind: { type: 'string', enum: ['A'] } }, { 'x-kubernetes-embedded-resource': true, required: ['spec', 'kind'] }),
  nullable: object({ a: text }, { 'x-kubernetes-embedded-resource': true, nullable: true }),
  list: { type: 'array', items: object({ a: text }, { 'x-kubernetes-embedded-resource': true }) },
  map: { type: 'object', additionalProperties: { type: 'object', 'x-kubernetes-embedded-resource': true, 'x-kubernetes-preserve-unknown-fields': true } },
  apiVersion: { type: 'string', description: 'own words', pattern: 'v1$' }, kind: { type: 'string', enum: ['Embedded'] }, metadata: object({ name: { type: 'string', maxLength: 12 } }),
})

type Version = { name: string; schema?: Json } & Json
function definition(plural: string, kind: string, versions: readonly Version[], { group = GROUP, scope = 'Namespaced', names = {}, annotations }: { group?: string; scope?: string; names?: Json; annotations?: Json } = {}): Json {
  return {
    apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition', metadata: { name: `${plural}.${group}`, ...(annotations && { annotations }) },
    spec: { group, scope, names: { plural, kind, ...names }, versions: versions.map(({ schema, ...version }, i) => ({ served: true, storage: i === 0, ...version, schema: { openAPIV3Schema: schema } })) },
  }
}

/** Group versions that have a document. */
export const SHAPED: readonly (readonly [group: string, version: string])[] = [...['v1', 'v2alpha1', 'v2'].map((version) => [GROUP, version] as const), [IN_OTHER_GROUP, 'v1']]

export const SHAPES: readonly Json[] = [
  definition('keywords', 'Keyword', [{ name: 'v1', schema: keywords, subresources: { status: {} } }, { name: 'v2alpha1', schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } }, { name: 'v0', served: false, schema: { type: 'object' } }]),
  definition('unions', 'Union', [{ name: 'v1', schema: unions }], { scope: 'Cluster' }),
  definition('embeddeds', 'Embedded', [{ name: 'v1', schema: embedded }, { name: 'v2', schema: { ...embedded, 'x-kubernetes-preserve-unknown-fields': true } }]),
  definition('endpoints', 'Endpoints', [{ name: 'v1', schema: { type: 'object' }, subresources: { scale: { specReplicasPath: '.spec.r', statusReplicasPath: '.status.r' } } }], { scope: 'Cluster', names: { listKind: 'ManyEndpoints', singular: 'endpoint' } }),
  definition('items', 'Item', [{ name: 'v1', schema: object({ spec: object({ a: text, n: { type: 'integer' } }) }), selectableFields: [{ jsonPath: '.spec.a' }, { jsonPath: '.spec.n' }] }], { group: IN_OTHER_GROUP, annotations: { 'api-approved.kubernetes.io': 'unapproved, of a test' } }),
]
