/** Kinds of api/schema as CEL types, one level at a time: for checking expressions of policies against what they match. */
import type { FieldType, ModelSchema, ScalarType, SchemaSet } from '#api/schema/schema.ts'
import { escapeName, RESERVED } from './names.ts'
import type { CelField, CelObjectType, CelType } from './type.ts'
import { BOOL, BYTES, DOUBLE, INT, list, map, object, STRING, TIMESTAMP } from './type.ts'

const SCALARS: Readonly<Record<ScalarType, CelType>> = {
  string: STRING, boolean: BOOL, int32: INT, int64: INT, double: DOUBLE, byte: BYTES, 'date-time': TIMESTAMP, 'micro-time': TIMESTAMP, quantity: STRING,
  'int-or-string': { kind: 'dynamic-union', max: Number.MAX_SAFE_INTEGER },
}

/** Undefined for a model nobody knows. `name` is shown in messages. */
export function modelToCelType(schema: SchemaSet, model: string, name: string): CelObjectType | undefined {
  const known = schema.model(model)
  return known && typeOfModel(schema, known, name)
}

function typeOfModel(schema: SchemaSet, model: ModelSchema, name: string): CelObjectType {
  const fields = new Map<string, CelField | undefined>()
  const make = (celName: string): CelField | undefined => {
    const jsonName = Object.keys(model.fields).find((field) => escapeName(field) === celName || (RESERVED.has(celName) && field === celName))
    const field = jsonName === undefined ? undefined : model.fields[jsonName]
    return field && jsonName !== undefined ? { jsonName, type: typeOfField(schema, field.type, `${name}.${jsonName}`) } : undefined
  }
  return {
    kind: 'object', name,
    field(celName) {
      if (!fields.has(celName)) fields.set(celName, make(celName))
      return fields.get(celName)
    },
    fieldNames: () => Object.keys(model.fields).flatMap((field) => escapeName(field) ?? []),
  }
}

function typeOfField(schema: SchemaSet, type: FieldType, name: string): CelType {
  switch (type.kind) {
    case 'scalar': return SCALARS[type.scalar]
    case 'ref': return modelToCelType(schema, type.model, name) ?? object(name, {})
    case 'list': return list(typeOfField(schema, type.items, `${name}.@idx`))
    // A map of itself stands for what no schema tells of.
    case 'map': return type.values === type ? { kind: 'dyn' } : map(STRING, typeOfField(schema, type.values, `${name}.@elem`))
    // Free-form JSON: nothing inside can be known, so nothing inside is complained of.
    case 'any': return { kind: 'dyn' }
  }
}
