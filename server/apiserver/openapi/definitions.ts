/** Types as OpenAPI schemas, for version 2 or 3, with Kubernetes' extensions. */
import type { FieldSchema, FieldType, GroupVersionKind, ModelDocs, ModelSchema, ScalarType, SchemaSet } from '#api/schema/schema.ts'
import { listKindOf, type KindRow } from '../kind.ts'
import { valuesByField } from './enums.ts'

export type Dialect = 'v2' | 'v3'
export type Definition = Record<string, unknown>

const META = 'io.k8s.apimachinery.pkg.apis.meta.v1'
const REFERENCED: Readonly<Partial<Record<ScalarType, string>>> = {
  'date-time': `${META}.Time`, 'micro-time': `${META}.MicroTime`, quantity: 'io.k8s.apimachinery.pkg.api.resource.Quantity', 'int-or-string': 'io.k8s.apimachinery.pkg.util.intstr.IntOrString',
}
const INLINE: Readonly<Partial<Record<ScalarType, Definition>>> = {
  string: { type: 'string' }, boolean: { type: 'boolean' }, int32: { type: 'integer', format: 'int32' }, int64: { type: 'integer', format: 'int64' }, double: { type: 'number', format: 'double' }, byte: { type: 'string', format: 'byte' },
}

export const PATCH_DEFINITION = `${META}.Patch`

/** Definitions that are no models. */
export function wellKnownDefinition(name: string, dialect: Dialect): Definition | undefined {
  const short = name.slice(name.lastIndexOf('.') + 1)
  switch (short) {
    case 'Time': return { description: 'Time is a wrapper around time.Time which supports correct marshaling to YAML and JSON.', type: 'string', format: 'date-time' }
    case 'MicroTime': return { description: 'MicroTime is version of Time with microsecond level precision.', type: 'string', format: 'date-time' }
    case 'Quantity': {
      const description = 'Quantity is a fixed-point representation of a number: digits, an optional fraction, and a suffix: n, u, m, k, M, G, T, P, E (powers of ten), Ki, Mi, Gi, Ti, Pi, Ei (powers of 1024), or a decimal exponent (e3).'
      return dialect === 'v2' ? { description, type: 'string' } : { description, oneOf: [{ type: 'string' }, { type: 'number' }] }
    }
    case 'IntOrString': {
      const description = 'IntOrString is a type that can hold an int32 or a string.  When used in JSON or YAML marshalling and unmarshalling, it produces or consumes the inner type.  This allows you to have, for example, a JSON field that can accept a name or number.'
      return dialect === 'v2' ? { description, type: 'string', format: 'int-or-string' } : { description, format: 'int-or-string', oneOf: [{ type: 'integer' }, { type: 'string' }] }
    }
    case 'RawExtension': return { description: 'RawExtension is used to hold extensions in external versions: any JSON object.', type: 'object' }
    case 'FieldsV1': return { description: "FieldsV1 stores a set of fields in a data structure like a Trie, in JSON format. Keys are '.' (the field itself), 'f:<name>' (a struct's field or a map's key), 'v:<value>' (a list's item by value), 'i:<index>' and 'k:<keys>' (a list's item by its key fields).", type: 'object' }
    case 'Patch': return { description: 'Patch is provided to give a concrete name and type to the Kubernetes PATCH request body.', type: 'object' }
    case 'JSON': return { description: 'JSON represents any valid JSON value. These types are supported: bool, int64, float64, string, []interface{}, map[string]interface{} and nil.' }
    case 'JSONSchemaPropsOrArray': return { description: 'JSONSchemaPropsOrArray represents a value that can either be a JSONSchemaProps or an array of JSONSchemaProps. Mainly here for serialization purposes.' }
    case 'JSONSchemaPropsOrBool': return { description: 'JSONSchemaPropsOrBool represents JSONSchemaProps or a boolean value. Defaults to true for the boolean property.' }
    case 'JSONSchemaPropsOrStringArray': return { description: 'JSONSchemaPropsOrStringArray represents a JSONSchemaProps or a string array.' }
    default: return undefined
  }
}

/** Groups whose types are not client-go's, by which upstream makes the documents of custom resources. */
const NOT_IN_CLIENTS_SCHEME: ReadonlySet<string> = new Set(['admission.k8s.io', 'apiextensions.k8s.io', 'apiregistration.k8s.io', 'imagepolicy.k8s.io'])

/** Collects the definitions reachable from the models asked for. */
export class DefinitionSet {
  readonly #schema: SchemaSet
  readonly #docs: ReadonlyMap<string, ModelDocs>
  readonly #dialect: Dialect
  readonly #isTold: (gvk: GroupVersionKind) => boolean
  readonly #definitions = new Map<string, Definition>()
  readonly #values = valuesByField()
  /** Of custom resources, by the names of the kind's definition and of its list's. */
  readonly #custom = new Map<string, KindRow>()

  /** `of`: the group version that a document of version 3 is of. What belongs to all of them is told as its own and the core's; in documents of custom resources as everybody's whom clients' scheme knows. */
  constructor(schema: SchemaSet, docs: ReadonlyMap<string, ModelDocs>, dialect: Dialect, rows: readonly KindRow[] = [], of?: { group: string; version: string } | 'custom') {
    this.#isTold = ({ group, version }) => {
      if (of === 'custom') return !NOT_IN_CLIENTS_SCHEME.has(group)
      return !of || (group === '' && version === 'v1') || (group === of.group && version === of.version)
    }
    for (const row of rows) if (row.custom) this.#custom.set(row.model, row).set(listModelOf(row), row)
    this.#schema = schema
    this.#docs = docs
    this.#dialect = dialect
  }

  /** By name, in alphabetical order. */
  all(): Record<string, Definition> {
    return Object.fromEntries([...this.#definitions].toSorted(([a], [b]) => (a < b ? -1 : 1)))
  }

  /** `$ref` to a model or well-known definition, which is added with all it needs. */
  refTo(definition: string): Definition {
    if (!this.#definitions.has(definition)) {
      const known = wellKnownDefinition(definition, this.#dialect)
      if (known) this.#definitions.set(definition, known)
    }
    return { $ref: `#/${this.#dialect === 'v2' ? 'definitions' : 'components/schemas'}/${definition}` }
  }

  refToModel(name: string): Definition {
    const custom = this.#custom.get(name)
    if (custom) return this.#refToCustom(name, custom)
    const model = this.#schema.model(name)
    if (!model) throw new Error(`bug: no model ${name}`)
    if (!this.#definitions.has(model.definition)) {
      // Before its fields: types may contain themselves.
      const definition: Definition = {}
      this.#definitions.set(model.definition, definition)
      Object.assign(definition, this.#struct(model))
    }
    return this.refTo(model.definition)
  }

  #refToCustom(name: string, row: KindRow): Definition {
    if (!this.#definitions.has(name)) {
      const published = row.custom?.definition(this.#dialect)
      this.#definitions.set(name, {})
      const made = name === row.model ? published?.object(this.refToModel('ObjectMeta')) : published?.list(this.refToModel('ListMeta'), this.refToModel(row.model))
      this.#definitions.set(name, made ?? {})
    }
    return this.refTo(name)
  }

  #struct(model: ModelSchema): Definition {
    const docs = this.#docs.get(model.model)
    const properties = Object.fromEntries(Object.entries(model.fields).map(([name, field]) => [name, this.#property(model, name, field, docs?.fields[name])]))
    const required = Object.keys(model.fields).filter((name) => model.fields[name]?.required)
    const kinds = model.groupVersionKinds.length > 1 ? model.groupVersionKinds.filter(this.#isTold) : model.groupVersionKinds
    return {
      ...(docs?.description && { description: docs.description }),
      type: 'object',
      ...(Object.keys(properties).length > 0 && { properties }),
      ...(required.length > 0 && { required }),
      ...(kinds.length > 0 && { 'x-kubernetes-group-version-kind': kinds }),
      ...(model.structType === 'atomic' && { 'x-kubernetes-map-type': 'atomic' }),
      ...(docs?.unions && { 'x-kubernetes-unions': docs.unions }),
    }
  }

  #property(model: ModelSchema, name: string, field: FieldSchema, description: string | undefined): Definition {
    const type = withValues(this.#type(field.type, !isUnmarkedList(model, name)), this.#values.get(`${model.definition.replace(/^io\.k8s\.api\./, '')}.${name}`))
    const { $ref } = type
    const value = this.#dialect === 'v3' ? defaultOf(name, field) : undefined
    const extras: Definition = {
      ...(description && { description }),
      ...(value !== undefined && { default: value }),
      ...(field.patchStrategy !== undefined && { 'x-kubernetes-patch-strategy': field.patchStrategy }),
    }
    // In version 3 a $ref stands alone: what is said beside it needs allOf.
    if (this.#dialect === 'v3' && $ref !== undefined && Object.keys(extras).length + Object.keys(type).length > 1) {
      const { $ref: _, ...rest } = type
      return { ...extras, ...rest, allOf: [{ $ref }] }
    }
    return { ...extras, ...type }
  }

  #type(type: FieldType, marked = false): Definition {
    switch (type.kind) {
      case 'scalar': return INLINE[type.scalar] ?? this.refTo(REFERENCED[type.scalar] ?? '')
      case 'ref': return { ...this.refToModel(type.model), ...(type.structType && { 'x-kubernetes-map-type': type.structType }) }
      case 'any': return type.definition === undefined ? {} : this.refTo(type.definition)
      case 'map': return { type: 'object', additionalProperties: this.#type(type.values), ...(type.mapType === 'atomic' && { 'x-kubernetes-map-type': 'atomic' }) }
      case 'list': return {
        type: 'array',
        items: this.#type(type.items),
        ...(marked && { 'x-kubernetes-list-type': type.listType }),
        ...(type.listMapKeys && { 'x-kubernetes-list-map-keys': type.listMapKeys }),
        ...(type.patchMergeKey !== undefined && { 'x-kubernetes-patch-merge-key': type.patchMergeKey }),
        ...(type.patchStrategy !== undefined && { 'x-kubernetes-patch-strategy': type.patchStrategy }),
      }
    }
  }
}

function withValues(type: Definition, values: readonly string[] | undefined): Definition {
  if (!values) return type
  const items = { type: 'string', enum: values }
  if (type['type'] === 'array') return { ...type, items }
  return type['type'] === 'object' ? { ...type, additionalProperties: items } : { ...type, enum: values }
}

const ZEROS: Readonly<Partial<Record<ScalarType, unknown>>> = { string: '', boolean: false, int32: 0, int64: 0, double: 0 }

/** As upstream tells it in version 3: also what Go makes of a field that nobody has set, where that is written. */
function defaultOf(name: string, field: FieldSchema): unknown {
  if (field.default !== undefined) return field.default
  const { type } = field
  if (type.kind === 'ref') return field.zero === 'written' || name === 'metadata' ? {} : undefined
  return type.kind === 'scalar' && field.zero === 'written' ? ZEROS[type.scalar] : undefined
}

/** The name of a row's list in the schema, or in OpenAPI. */
export const listModelOf = (row: KindRow): string => (row.custom ? row.model.slice(0, -row.ref.kind.length) + listKindOf(row) : `${row.model}List`)

/** Lists of objects, and discovery's verbs, carry no list type upstream. */
function isUnmarkedList(model: ModelSchema, field: string): boolean {
  return (field === 'items' && model.model.endsWith('List')) || (model.model === 'APIResource' && field === 'verbs')
}
