/**
 * The types of a custom resource for ownership of fields (managedFields, server-side apply), as a SchemaSet over the
 * built-in one: models are made from the structural schema when they are first asked for.
 */
import type { FieldSchema, FieldType, GroupVersionKind, ModelSchema, SchemaSet } from '#api/schema/schema.ts'
import type { SchemaNode } from './node.ts'

/** Where unknown fields are kept their values say what they are: objects by member, everything else whole. */
const DEDUCED: FieldType = (() => {
  const type: FieldType & { kind: 'map' } = { kind: 'map', values: { kind: 'any' }, mapType: 'granular' }
  type.values = type
  return type
})()

const STRING: FieldSchema = { type: { kind: 'scalar', scalar: 'string' }, required: false }
const METADATA: FieldSchema = { type: { kind: 'ref', model: 'ObjectMeta' }, required: false }

/** `name`: the model's name, that of its OpenAPI definition. */
export function createCustomTypes(name: string, gvk: GroupVersionKind, root: SchemaNode, builtin: SchemaSet): SchemaSet {
  const pending = new Map<string, SchemaNode>([[name, root]])
  const models = new Map<string, ModelSchema>()

  const typeOf = (node: SchemaNode, path: string): FieldType => {
    if (node.intOrString) return { kind: 'scalar', scalar: 'int-or-string' }
    switch (node.type) {
      case 'array': return {
        kind: 'list',
        items: node.items ? typeOf(node.items, `${path}[]`) : DEDUCED,
        listType: node.listType === 'set' || node.listType === 'map' ? node.listType : 'atomic',
        ...(node.listMapKeys && { listMapKeys: node.listMapKeys }),
      }
      case 'object':
        if (typeof node.additional === 'object') return { kind: 'map', values: typeOf(node.additional, `${path}{}`), mapType: node.mapType === 'atomic' ? 'atomic' : 'granular' }
        if (node.additional === true && !node.properties) return node.mapType === 'atomic' ? { kind: 'map', values: DEDUCED, mapType: 'atomic' } : DEDUCED
        pending.set(path, node)
        return { kind: 'ref', model: path }
      case 'string': return { kind: 'scalar', scalar: 'string' }
      case 'boolean': return { kind: 'scalar', scalar: 'boolean' }
      case 'integer': return { kind: 'scalar', scalar: 'int64' }
      case 'number': return { kind: 'scalar', scalar: 'double' }
      default: return DEDUCED
    }
  }

  const modelOf = (path: string, node: SchemaNode): ModelSchema => {
    const fields = Object.create(null) as Record<string, FieldSchema>
    for (const key of Object.keys(node.properties ?? {})) {
      const member = node.properties?.[key] as SchemaNode
      fields[key] = { type: typeOf(member, `${path}/${key}`), required: node.checks?.required.includes(key) ?? false, ...(member.default !== undefined && { default: member.default }) }
    }
    if (node.embedded || path === name) Object.assign(fields, { apiVersion: STRING, kind: STRING, metadata: METADATA })
    return {
      model: path, definition: path, fields, names: Object.keys(fields).sort(), written: [], nulls: [], structType: node.mapType === 'atomic' ? 'atomic' : 'granular', groupVersionKinds: path === name ? [gvk] : [],
      isCustom: true, ...(node.preserve && { rest: DEDUCED }),
    }
  }

  return {
    model(wanted) {
      const node = pending.get(wanted)
      if (!node) return builtin.model(wanted)
      let model = models.get(wanted)
      if (!model) models.set(wanted, (model = modelOf(wanted, node)))
      return model
    },
    models: () => builtin.models(),
    docs: () => builtin.docs(),
  }
}
