/** Definitions that upstream refuses, in its words. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { CustomResourceDefinition } from '#api/types/index.ts'
import { customResourceDefinitionStrategy } from '../kinds/custom-resource-definition.ts'
import { cronTabs, version, type CronTabs } from './crd.test-support.ts'
import { definitionWarnings } from './definition-warnings.ts'
import { validateDefinition, validateDefinitionUpdate } from './validate-definition.ts'

type Json = Record<string, unknown>

function definition(over: CronTabs = {}): CustomResourceDefinition {
  const made = cronTabs(over) as unknown as CustomResourceDefinition
  customResourceDefinitionStrategy.defaults?.(made)
  return made
}

const text = (errors: readonly { field: string; message: string }[]): string[] => errors.map((e) => `${e.field}: ${e.message}`)
const wrong = (over: CronTabs): string[] => text(validateDefinition(definition(over)))
/** Of a schema whose spec is this. */
const wrongSpec = (spec: Json, more: CronTabs = {}): string[] => wrong({ schema: { type: 'object', properties: { spec } }, ...more }).map((t) => t.replaceAll('spec.validation.openAPIV3Schema.properties[spec]', 'SPEC'))
const rules = (...list: Json[]): Json => ({ 'x-kubernetes-validations': list })

const SPEC_CASES: [name: string, over: CronTabs, errors: string[]][] = [
  ['a sound one', {}, []],
  ['a name that does not follow from its names', { metadata: { name: 'tabs.stable.example.com' } }, ['metadata.name: Invalid value: "tabs.stable.example.com": must be spec.names.plural+"."+spec.group']],
  ['a group without a dot', { spec: { group: 'stable' }, metadata: { name: 'crontabs.stable' } }, ['spec.group: Invalid value: "stable": should be a domain with at least one dot']],
  ['an unknown scope', { spec: { scope: 'Galaxy' } }, ['spec.scope: Unsupported value: "Galaxy": supported values: "Cluster", "Namespaced"']],
  ['no schema', { versions: [{ name: 'v1', served: true, storage: true }] }, ['spec.versions[0].schema.openAPIV3Schema: Required value']],
  ['two storage versions', { versions: [version('v1', { storage: true, subresources: { status: {} } }), version('v2', { storage: true })] }, ['spec.versions: Invalid value', 'status.storedVersions: Invalid value: ["v1"]: must have the storage version v2']],
  ['a version twice', { versions: [version('v1', { storage: true, subresources: { status: {} } }), version('v1')] }, ['spec.versions: Invalid value']],
  ['a version that is no label', { version: { name: 'V1' } }, ['spec.versions[0].name: Invalid value: "V1": a DNS-1035 label must consist of lower case alphanumeric characters or \'-\', start with an alphabetic character, and end with an alphanumeric character (e.g. \'my-name\',  or \'abc-123\', regex used for validation is \'[a-z]([-a-z0-9]*[a-z0-9])?\')', 'spec.version: Invalid value: "V1": a DNS-1035 label must consist of lower case alphanumeric characters or \'-\', start with an alphabetic character, and end with an alphanumeric character (e.g. \'my-name\',  or \'abc-123\', regex used for validation is \'[a-z]([-a-z0-9]*[a-z0-9])?\')']],
  ['kind and listKind alike', { names: { listKind: 'CronTab' } }, ['spec.names.listKind: Invalid value: "CronTab": kind and listKind may not be the same']],
  ['preserveUnknownFields', { spec: { preserveUnknownFields: true } }, ['spec.preserveUnknownFields: Invalid value: true: must be false in order to use defaults in the schema', 'spec.preserveUnknownFields: Invalid value: true: cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead']],
  ['a scale outside of spec and status', { version: { subresources: { scale: { specReplicasPath: '.replicas', statusReplicasPath: 'status.replicas', labelSelectorPath: '.x' } } } }, [
    'spec.subresources.scale.specReplicasPath: Invalid value: ".replicas": should be a json path under .spec', 'spec.subresources.scale.statusReplicasPath: Invalid value: "status.replicas": must be a simple json path starting with .',
    'spec.subresources.scale.labelSelectorPath: Invalid value: ".x": should be a json path under either .spec or .status',
  ]],
  ['columns of no known type', { version: { additionalPrinterColumns: [{ name: '', type: 'text', jsonPath: 'spec' }] } }, ['spec.additionalPrinterColumns[0].name: Required value', 'spec.additionalPrinterColumns[0].type: Invalid value: "text": must be one of boolean,date,integer,number,string', 'spec.additionalPrinterColumns[0].JSONPath: Invalid value: "spec": must be a simple json path starting with .']],
  ['selectable fields that are none', { version: { selectableFields: [{ jsonPath: '.spec.none' }, { jsonPath: '.spec' }, { jsonPath: '.spec.image' }, { jsonPath: '.spec.image' }] } }, [
    'spec.selectableFields[0].jsonPath: Invalid value: ".spec.none": is an invalid path: does not refer to a valid field',
    'spec.selectableFields[1].jsonPath: Invalid value: ".spec": must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.', 'spec.selectableFields[3].jsonPath: Duplicate value: ".spec.image"',
  ]],
  ['a conversion without a webhook', { spec: { conversion: { strategy: 'Webhook' } } }, ['spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook', 'spec.conversion.conversionReviewVersions: Required value']],
  ['a webhook of unknown reviews', { spec: { conversion: { strategy: 'Webhook', webhook: { conversionReviewVersions: ['v9'], clientConfig: { url: 'http://a' } } } } }, ['spec.conversion.webhookClientConfig.url: Invalid value: "http": \'https\' is the only allowed URL scheme; desired format: https://host[/path]', 'spec.conversion.conversionReviewVersions: Invalid value: ["v9"]: must include at least one of v1, v1beta1']],
  ['a webhook that is not asked for', { spec: { conversion: { strategy: 'None', webhook: { conversionReviewVersions: ['v1'], clientConfig: { url: 'https://a' } } } } }, ['spec.conversion.webhookClientConfig: Forbidden: should not be set when strategy is not set to Webhook', 'spec.conversion.conversionReviewVersions: Forbidden: should not be set when strategy is not set to Webhook']],
  ['a protected group', { spec: { group: 'x.k8s.io' }, metadata: { name: 'crontabs.x.k8s.io' } }, ['metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have approval annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111']],
  ['a protected group with approval', { spec: { group: 'x.k8s.io' }, metadata: { name: 'crontabs.x.k8s.io', annotations: { 'api-approved.kubernetes.io': 'https://github.com/kubernetes/kubernetes/pull/1' } } }, []],
  ['a warning for a version that is not deprecated', { version: { deprecationWarning: 'x' } }, ['spec.versions[0].deprecationWarning: Invalid value: "x": can only be set for deprecated versions']],
]

const SCHEMA_CASES: [name: string, spec: Json, errors: string[]][] = [
  ['no type', {}, ['SPEC.type: Required value: must not be empty for specified object fields']],
  ['an unknown type', { type: 'text' }, ['SPEC.type: Unsupported value: "text": supported values: "array", "boolean", "integer", "number", "object", "string"']],
  ['a list without items', { type: 'array' }, ['SPEC.items: Required value: must be specified']],
  ['unique items', { type: 'array', uniqueItems: true, items: { type: 'string' } }, ['SPEC.uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic']],
  ['properties and a map', { type: 'object', properties: { a: { type: 'string' } }, additionalProperties: { type: 'string' } }, ['SPEC.additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive']],
  ['a type under an alternative', { type: 'string', anyOf: [{ type: 'string' }] }, ['SPEC.anyOf[0].type: Forbidden: must be empty to be structural']],
  ['int-or-string as upstream writes it', { 'x-kubernetes-int-or-string': true, anyOf: [{ type: 'integer' }, { type: 'string' }] }, []],
  ['a default that does not fit', { type: 'integer', minimum: 5, default: 1 }, ['SPEC.default: Invalid value: 1:  in body should be greater than or equal to 5']],
  ['a default of the wrong type', { type: 'object', properties: { a: { type: 'string', default: 1 } } }, ['SPEC.properties[a].default: Invalid value: "integer":  in body must be of type string: "integer"']],
  ['a default with more than the schema knows', { type: 'object', properties: { a: { type: 'string' } }, default: { b: 1 } }, ['SPEC.default: Invalid value: {"b":1}: must not have unknown fields']],
  ['keywords that are not supported', { type: 'object', $ref: '#/x', definitions: { a: { type: 'string' } }, patternProperties: { a: { type: 'string' } } }, ['SPEC.patternProperties: Forbidden: patternProperties is not supported', 'SPEC.definitions: Forbidden: definitions is not supported', 'SPEC.$ref: Forbidden: $ref is not supported']],
  ['a keyed list without keys', { type: 'array', 'x-kubernetes-list-type': 'map', items: { type: 'object' } }, ['SPEC.x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map']],
  ['keys that may be missing', { type: 'array', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['a', 'b'], items: { type: 'object', properties: { a: { type: 'string' } } } }, ['SPEC.x-kubernetes-list-map-keys: Invalid value: ["a","b"]: entries must all be names of item properties', 'SPEC.items.properties[a].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property']],
  ['a set of objects', { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'object' } }, ['SPEC.items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of a list with x-kubernetes-list-type=set']],
  ['a list type on an object', { type: 'object', 'x-kubernetes-list-type': 'atomic' }, ['SPEC.type: Invalid value: "object": must be array if x-kubernetes-list-type is specified']],
  ['preserve-unknown-fields: false', { type: 'object', 'x-kubernetes-preserve-unknown-fields': false }, ['SPEC.x-kubernetes-preserve-unknown-fields: Invalid value: false: must be true or undefined']],
  ['an embedded resource without anything in it', { type: 'object', 'x-kubernetes-embedded-resource': true }, ['SPEC.properties: Required value: must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields']],
  ['a pattern RE2 does not have', { type: 'string', pattern: '(?=a)' }, ['SPEC.pattern: Invalid value: "(?=a)": must be a valid regular expression, but isn\'t: error parsing regexp: invalid or unsupported Perl syntax: `(?=`']],
]

suite('definitions', () => {
  for (const [name, over, errors] of SPEC_CASES) test(name, () => assert.deepEqual(wrong(over).map((t) => (t.startsWith('spec.versions: Invalid value') ? 'spec.versions: Invalid value' : t)), errors))
  for (const [name, spec, errors] of SCHEMA_CASES) test(`a schema with ${name}`, () => assert.deepEqual(wrongSpec(spec).map((t) => t.replaceAll('spec.validation.openAPIV3Schema.properties[spec]', 'SPEC')), errors))

  test('the root of a schema is an object, without more properties, and says nothing of metadata', () => {
    assert.deepEqual(wrong({ schema: { type: 'object', additionalProperties: { type: 'string' } } }), ['spec.validation.openAPIV3Schema.additionalProperties: Forbidden: must not be used at the root'])
    assert.deepEqual(wrong({ schema: { type: 'object', oneOf: [{ properties: { a: { minLength: 1 } } }] } }), ['spec.validation.openAPIV3Schema.properties[a]: Required value: because it is defined in spec.validation.openAPIV3Schema.oneOf[0].properties[a]'])
    assert.deepEqual(wrong({ schema: { type: 'string' } }), ['spec.validation.openAPIV3Schema.type: Invalid value: "string": must be object at the root'])
    assert.deepEqual(wrong({ schema: { type: 'object', properties: { metadata: { type: 'object', properties: { labels: { type: 'object' } } } } } }), ['spec.validation.openAPIV3Schema.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified'])
    assert.deepEqual(wrong({ schema: { type: 'object', properties: { metadata: { type: 'object', properties: { name: { type: 'string', pattern: '^a' } } } } } }), [])
  })

  test('versions that differ are spoken of one by one', () => {
    assert.deepEqual(wrong({ versions: [version('v1', { storage: true }), version('v2', {}, { type: 'object', properties: { spec: {} } })] }), ['spec.versions[1].schema.openAPIV3Schema.properties[spec].type: Required value: must not be empty for specified object fields'])
  })

  test('rules compile, mean something, and use oldSelf where there is one', () => {
    const object: Json = { type: 'object', properties: { a: { type: 'string', maxLength: 10 }, list: { type: 'array', maxItems: 5, items: { type: 'string', maxLength: 5, ...rules({ rule: 'self == oldSelf' }) } } } }
    assert.deepEqual(wrongSpec(object), ['SPEC.properties[list].items.x-kubernetes-validations[0].rule: Invalid value: "self == oldSelf": oldSelf cannot be used on the uncorrelatable portion of the schema within SPEC.properties[list]'])
    const own = (...list: Json[]): string[] => wrongSpec({ type: 'object', properties: { a: { type: 'string', maxLength: 10 } }, ...rules(...list) }).map((t) => t.replaceAll('SPEC.x-kubernetes-validations', 'RULES'))
    assert.deepEqual(own({ rule: 'self.a == "x"', message: 'm', reason: 'FieldValueForbidden', fieldPath: '.a', messageExpression: '"x" + self.a' }), [])
    assert.match(own({ rule: 'self.b == "x"' }).join(), /^RULES\[0\]\.rule: Invalid value: \{"rule":"self\.b == \\"x\\""\}: compilation failed: ERROR: <input>:1:5: undefined field 'b'/)
    assert.match(own({ rule: 'self.a' }).join(), /^RULES\[0\]\.rule: Invalid value: .*: cel expression must evaluate to a bool$/)
    assert.match(own({ rule: 'true', messageExpression: '1' }).join(), /messageExpression must evaluate to a string$/)
    assert.deepEqual(own({ rule: ' ' }), ['RULES[0].rule: Required value: rule is not specified'])
    assert.deepEqual(own({ rule: 'true', message: ' ' }), ['RULES[0].message: Invalid value: " ": must be non-empty if specified'])
    assert.deepEqual(own({ rule: 'true\n' + '&& true' }), ['RULES[0].message: Required value: message must be specified if rule contains line breaks'])
    assert.deepEqual(own({ rule: 'true', reason: 'Because' }), ['RULES[0].reason: Unsupported value: "Because": supported values: "FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"'])
    assert.deepEqual(own({ rule: 'true', fieldPath: '.nope' }), ['RULES[0].fieldPath: Invalid value: ".nope": must be a valid path'])
    assert.deepEqual(own({ rule: 'true', optionalOldSelf: true }), ['RULES[0].optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule'])
  })

  test('rules that may cost too much are refused, until the schema says how large things get', () => {
    const nested = (max: Json): string[] => wrongSpec({ type: 'object', properties: { list: { type: 'array', ...max, items: { type: 'string', ...max } } }, ...rules({ rule: 'self.list.all(x, self.list.all(y, x == y || x != y))' }) })
    assert.match(nested({}).join('\n'), /^SPEC\.x-kubernetes-validations\[0\]\.rule: Forbidden: estimated rule cost exceeds budget by factor of more than 100x \(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared\)/)
    assert.deepEqual(nested({ maxItems: 10, maxLength: 10 }), [])
  })

  test('an established definition keeps its scope and kind; group and plural never change', () => {
    const status = { conditions: [{ type: 'Established', status: 'True' }], storedVersions: ['v1'] }
    const old = { ...definition(), status }
    const changed = { ...definition({ spec: { scope: 'Cluster' }, names: { kind: 'Tab' } }), status }
    assert.deepEqual(text(validateDefinitionUpdate(changed, old)), ['spec.scope: Invalid value: "Cluster": field is immutable', 'spec.names.kind: Invalid value: "Tab": field is immutable'])
    assert.deepEqual(text(validateDefinitionUpdate(changed, { ...old, status: { storedVersions: ['v1'] } })), [])
  })

  test('what a definition once was let do it may go on to do', () => {
    const set = { type: 'array', items: { type: 'object' }, 'x-kubernetes-list-type': 'set' }
    const keyed = { type: 'array', items: { type: 'object', properties: { key: { type: 'string', nullable: true } } }, 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['key'] }
    const of = (properties: Json, spec: Json = {}): CustomResourceDefinition => definition({ schema: { type: 'object', properties: { spec: { type: 'object', properties } } }, spec })
    const defects: [Json, number][] = [[{ a: { type: 'bogus' } }, 1], [{ a: set }, 1], [{ a: keyed }, 2]]
    for (const [defect, count] of defects) {
      const renamed = { b: defect['a'] }
      assert.equal(validateDefinitionUpdate(of(renamed), of({ c: { type: 'string' } })).length, count)
      assert.deepEqual(validateDefinitionUpdate(of(renamed), of(defect)), [])
    }
    const hook = (...conversionReviewVersions: string[]): Json => ({ conversion: { strategy: 'Webhook', webhook: { clientConfig: { url: 'https://example.com/' }, conversionReviewVersions } } })
    assert.deepEqual(text(validateDefinitionUpdate(of({}, hook('v7')), of({}, hook('v1')))), ['spec.conversion.conversionReviewVersions: Invalid value: ["v7"]: must include at least one of v1, v1beta1'])
    assert.deepEqual(validateDefinitionUpdate(of({}, hook('v7')), of({}, hook('v6'))), [])
  })

  test('fields of defaults that nobody knows may stay where there were such before', () => {
    const of = (value: Json): CustomResourceDefinition => definition({ schema: { type: 'object', properties: { spec: { type: 'object', properties: { a: { type: 'object', properties: { known: { type: 'string' } }, default: value } } } } } })
    const refused = ['spec.validation.openAPIV3Schema.properties[spec].properties[a].default: Invalid value: {"other":1}: must not have unknown fields']
    assert.deepEqual([text(validateDefinition(of({ other: 1 }))), text(validateDefinitionUpdate(of({ other: 1 }), of({ known: 'x' }))), text(validateDefinitionUpdate(of({ other: 1 }), of({ another: 2 })))], [refused, refused, []])
  })

  test('who keeps unknown fields has no defaults, and needs no schema where there was none', () => {
    const kept = (schema: Json | undefined): CustomResourceDefinition => definition({ spec: { preserveUnknownFields: true }, versions: [{ name: 'v1', served: true, storage: true, ...(schema && { schema: { openAPIV3Schema: schema } }) }] })
    assert.deepEqual(text(validateDefinitionUpdate(kept({ type: 'object', properties: { a: { type: 'integer', default: 1 } } }), kept({ type: 'object' }))), ['spec.preserveUnknownFields: Invalid value: true: must be false in order to use defaults in the schema'])
    assert.deepEqual(validateDefinitionUpdate(kept(undefined), kept(undefined)), [])
  })

  test('a default that is a resource is told what is wrong with its metadata', () => {
    const embedded = (value: Json): string[] => wrongSpec({ type: 'object', properties: { a: { type: 'object', 'x-kubernetes-embedded-resource': true, 'x-kubernetes-preserve-unknown-fields': true, default: value } } }).map((t) => t.replace('SPEC.properties[a].default', 'DEFAULT'))
    assert.deepEqual(embedded({ apiVersion: 'v1', kind: 'Pod', metadata: { labels: { a: 42 } } }), ['DEFAULT.metadata: Invalid value: {"labels":{"a":42}}: json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string'])
    assert.deepEqual(embedded({ apiVersion: 1, kind: 'Pod' }), ['DEFAULT.apiVersion: Invalid value: 1: must be a string'])
    assert.deepEqual(wrongSpec({ type: 'object', properties: { a: { type: 'object', default: { b: { apiVersion: 'v1', kind: 'Pod', metadata: 7 } }, properties: { b: { type: 'object', 'x-kubernetes-embedded-resource': true, 'x-kubernetes-preserve-unknown-fields': true } } } } }), ['SPEC.properties[a].default.b.metadata: Invalid value: 7: json: cannot unmarshal number into Go value of type v1.ObjectMeta'])
  })

  test('formats nobody knows are warned of once', () => {
    const odd = definition({ schema: { type: 'object', properties: { spec: { type: 'string', format: 'odd' } } } })
    assert.deepEqual([definitionWarnings(odd), definitionWarnings(odd, odd)], [['unrecognized format "odd"'], []])
  })
})
