/** How server-side apply sees a type: one leaf, members by name, or a list whose items have names. */
import type { FieldType, ModelSchema, SchemaSet } from '#api/schema/schema.ts'
import type { ListType } from './path-element.ts'

export type Shape =
  | { kind: 'leaf' }
  | { kind: 'struct'; model: ModelSchema }
  | { kind: 'map'; values: FieldType }
  | { kind: 'list'; list: ListType }

const LEAF: Shape = { kind: 'leaf' }

/** Scalars, free-form JSON and everything atomic are leaves. */
export function shapeOf(type: FieldType | undefined, schema: SchemaSet): Shape {
  switch (type?.kind) {
    case 'ref': {
      const model = schema.model(type.model)
      return model && (type.structType ?? model.structType) === 'granular' ? { kind: 'struct', model } : LEAF
    }
    case 'map': return type.mapType === 'granular' ? { kind: 'map', values: type.values } : LEAF
    case 'list': return type.listType === 'atomic' ? LEAF : { kind: 'list', list: type }
    default: return LEAF
  }
}

/** The type of a struct's field; undefined for what the schema does not know. */
export const fieldType = (model: ModelSchema, name: string): FieldType | undefined => model.fields[name]?.type ?? model.rest

/** The type of a member by its path element; undefined for what the schema does not know. */
export function memberType(shape: Shape, element: string): FieldType | undefined {
  switch (shape.kind) {
    case 'struct': return element.startsWith('f:') ? fieldType(shape.model, element.slice(2)) : undefined
    case 'map': return shape.values
    case 'list': return shape.list.items
    case 'leaf': return undefined
  }
}
