/**
 * Go's zero values, as JSON shows them. Upstream's answers are printed from Go structs: what nobody set is left out or written as a zero, whatever
 * the client sent. Programs rely on it: a JSON patch that adds `/spec/containers/0/resources/limits` wants `resources` to be there.
 * Lists, maps and times that Go writes as null stay absent.
 */
import type { FieldType, ModelSchema, SchemaSet } from '#api/schema/schema.ts'

type Json = Record<string, unknown>

export const isZeroScalar = (value: unknown): boolean => value === '' || value === 0 || value === false

/** Gives the object what its type always writes. Changes it. */
export function fillWritten(object: Json, model: ModelSchema, schema: SchemaSet): void {
  for (const name of model.written) {
    const field = model.fields[name]
    if (object[name] === undefined && field) object[name] = zeroOf(field.type, schema)
  }
}

/** What an unset field of the type holds, and what null leaves in a list or a map. */
export function zeroOf(type: FieldType, schema: SchemaSet): unknown {
  switch (type.kind) {
    case 'list': return []
    case 'map': return {}
    case 'ref': {
      const zero: Json = {}
      const model = schema.model(type.model)
      if (model) fillWritten(zero, model, schema)
      return zero
    }
    case 'any': return null
    case 'scalar':
      switch (type.scalar) {
        case 'boolean': return false
        case 'int32': case 'int64': case 'double': case 'int-or-string': return 0
        case 'quantity': return '0'
        case 'string': case 'byte': case 'date-time': case 'micro-time': return ''
      }
  }
}
