/** Definitions of custom resources that stand while all is asked, with much in their schemas; and objects of them. */
import { builtinSchema, type SchemaSet } from '#api/schema/index.ts'
import type { JSONSchemaProps } from '#api/types/index.ts'
import { compileSchema } from '#server/apiserver/crd/schema/node.ts'
import { createCustomTypes } from '#server/apiserver/crd/schema/field-types.ts'
import type { Json } from './exchange.ts'

const GROUP = 'oracle.example.com'

/** Each keyword of a schema once, and each type of list. */
const spec: JSONSchemaProps = {
  type: 'object', required: ['size'],
  properties: {
    size: { type: 'integer', minimum: 1, maximum: 100, 'x-kubernetes-validations': [{ rule: 'self >= oldSelf || oldSelf > 50', message: 'size must not shrink' }] } as JSONSchemaProps,
    replicas: { type: 'integer', format: 'int32', default: 1 },
    share: { type: 'number', multipleOf: 0.5, exclusiveMinimum: true, minimum: 0 },
    color: { type: 'string', enum: ['red', 'green', 'blue'], default: 'red' },
    code: { type: 'string', pattern: '^[a-z]+$', minLength: 2, maxLength: 5 },
    at: { type: 'string', format: 'date-time' },
    address: { type: 'string', format: 'ipv4' },
    contents: { type: 'string', format: 'byte' },
    isOn: { type: 'boolean', default: true },
    maybe: { type: 'string', nullable: true },
    defaulted: { type: 'object', default: {}, properties: { a: { type: 'string', default: 'x' }, b: { type: 'integer' } } },
    port: { 'x-kubernetes-int-or-string': true } as JSONSchemaProps,
    anything: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } as JSONSchemaProps,
    template: { type: 'object', 'x-kubernetes-embedded-resource': true, 'x-kubernetes-preserve-unknown-fields': true } as JSONSchemaProps,
    texts: { type: 'array', items: { type: 'string', maxLength: 3 }, maxItems: 3 },
    names: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' } as JSONSchemaProps,
    ports: {
      type: 'array', minItems: 1, maxItems: 4, 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['port', 'protocol'],
      items: { type: 'object', required: ['port'], properties: { port: { type: 'integer' }, protocol: { type: 'string', default: 'TCP' }, name: { type: 'string' }, tags: { type: 'object', additionalProperties: { type: 'string', maxLength: 4 } } } },
    } as JSONSchemaProps,
    map: { type: 'object', additionalProperties: { type: 'integer' }, maxProperties: 2 },
    atomic: { type: 'object', 'x-kubernetes-map-type': 'atomic', properties: { a: { type: 'string' }, b: { type: 'string' } } } as JSONSchemaProps,
    either: { type: 'object', properties: { a: { type: 'string' }, b: { type: 'string' } }, oneOf: [{ required: ['a'] }, { required: ['b'] }] },
    low: { type: 'integer' }, high: { type: 'integer' },
    fixed: { type: 'string', 'x-kubernetes-validations': [{ rule: 'self == oldSelf', message: 'fixed is immutable', reason: 'FieldValueForbidden' }] } as JSONSchemaProps,
  },
  'x-kubernetes-validations': [
    { rule: '!has(self.low) || !has(self.high) || self.low <= self.high', messageExpression: 'self.low > 10 ? "far above high" : "above high"', fieldPath: '.low' },
    { rule: 'has(self.color) && self.color != "blue" || self.size < 50', message: 'blue ones are small', reason: 'FieldValueInvalid' },
  ],
} as JSONSchemaProps
const status: JSONSchemaProps = { type: 'object', properties: { replicas: { type: 'integer' }, selector: { type: 'string' }, phase: { type: 'string', enum: ['Here', 'Gone'] }, conditions: { type: 'array', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'], items: { type: 'object', required: ['type'], properties: { type: { type: 'string' }, status: { type: 'string' } } } } } } as JSONSchemaProps
const schema: JSONSchemaProps = { type: 'object', required: ['spec'], properties: { spec, status } }
const loose: JSONSchemaProps = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true, properties: { value: { type: 'integer' }, metadata: { type: 'object', properties: { name: { type: 'string', maxLength: 12 } } } } } as JSONSchemaProps

const columns = [
  { name: 'Size', type: 'integer', jsonPath: '.spec.size', description: 'How large it is' }, { name: 'Color', type: 'string', jsonPath: '.spec.color', priority: 1 }, { name: 'Names', type: 'string', jsonPath: '.spec.names' }, { name: 'First', type: 'string', jsonPath: '.spec.ports[0].port' },
  { name: 'On', type: 'boolean', jsonPath: '.spec.isOn' }, { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' }, { name: 'Map', type: 'string', jsonPath: '.spec.map' }, { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
]
const subresources = { status: {}, scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas', labelSelectorPath: '.status.selector' } }
const selectableFields = [{ jsonPath: '.spec.color' }, { jsonPath: '.spec.size' }, { jsonPath: '.spec.isOn' }]

export const DEFINITIONS: readonly Json[] = [
  {
    apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition', metadata: { name: `widgets.${GROUP}` },
    spec: {
      group: GROUP, scope: 'Namespaced', names: { plural: 'widgets', singular: 'widget', kind: 'Widget', shortNames: ['wd'], categories: ['all'] },
      versions: [
        { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema }, subresources, selectableFields, additionalPrinterColumns: columns },
        { name: 'v1beta1', served: true, storage: false, deprecated: true, deprecationWarning: 'oracle.example.com/v1beta1 Widget goes away', schema: { openAPIV3Schema: schema }, subresources: { status: {} } },
        { name: 'v1alpha1', served: true, storage: false, deprecated: true, schema: { openAPIV3Schema: loose } },
      ],
    },
  },
  {
    apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition', metadata: { name: `gauges.${GROUP}` },
    spec: { group: GROUP, scope: 'Cluster', names: { plural: 'gauges', kind: 'Gauge' }, versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: loose } }] },
  },
]

export interface CustomKind { version: string; resource: string; kind: string; namespaced: boolean; subresources: readonly string[]; object: Json; status?: Json; model: string; types: SchemaSet }

const typed = (version: string, kind: string, props: JSONSchemaProps): Pick<CustomKind, 'model' | 'types'> => {
  const model = `com.example.oracle.${version}.${kind}`
  return { model, types: createCustomTypes(model, { group: GROUP, version, kind }, compileSchema(props), builtinSchema) }
}
const widget: Json = {
  metadata: { labels: { app: 'a' }, annotations: { 'example.com/a': 'b' }, finalizers: ['example.com/f'] },
  spec: {
    size: 5, share: 1.5, color: 'green', code: 'abc', at: '2026-01-01T00:00:00Z', address: '10.0.0.1', contents: 'YQ==', maybe: null, port: '25%', anything: { x: [1, { y: 2 }] }, template: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 't' }, spec: { a: 1 } },
    texts: ['a', 'a'], names: ['x', 'y'], ports: [{ port: 80, name: 'http' }, { port: 53, protocol: 'UDP', tags: { a: 'b' } }], map: { a: 1 }, atomic: { a: 'x', b: 'y' }, either: { a: 'x' }, low: 1, high: 2, fixed: 'f', unknown: 1,
  },
}
const widgetStatus: Json = { status: { replicas: 2, selector: 'app=a', phase: 'Here', conditions: [{ type: 'Ready', status: 'True' }] } }

export const CUSTOM_KINDS: readonly CustomKind[] = [
  { version: 'v1', resource: 'widgets', kind: 'Widget', namespaced: true, subresources: ['status', 'scale'], object: widget, status: widgetStatus, ...typed('v1', 'Widget', schema) },
  { version: 'v1', resource: 'widgets', kind: 'Widget', namespaced: true, subresources: ['status', 'scale'], object: { spec: { size: 1 } }, status: widgetStatus, ...typed('v1', 'Widget', schema) },
  { version: 'v1beta1', resource: 'widgets', kind: 'Widget', namespaced: true, subresources: ['status'], object: widget, status: widgetStatus, ...typed('v1beta1', 'Widget', schema) },
  { version: 'v1', resource: 'gauges', kind: 'Gauge', namespaced: false, subresources: [], object: { value: 1, other: { a: ['b'] } }, ...typed('v1', 'Gauge', loose) },
]
/** Those with a document of their own. */
export const CUSTOM_VERSIONS: readonly (readonly [group: string, version: string])[] = ['v1', 'v1beta1', 'v1alpha1'].map((version) => [GROUP, version])
export const CUSTOM_ROOT = `/apis/${GROUP}`
