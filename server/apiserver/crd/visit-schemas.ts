/** Every schema in a schema, itself first. */
import type { JSONSchemaProps } from '#api/types/index.ts'
import { isJsonObject } from './schema/node.ts'

export function visitSchemas(schema: JSONSchemaProps | undefined, visit: (schema: JSONSchemaProps) => void): void {
  if (!schema) return
  visit(schema)
  for (const below of schemasBelow(schema)) visitSchemas(below, visit)
}

function schemasBelow(schema: JSONSchemaProps): JSONSchemaProps[] {
  const { items, additionalProperties, not } = schema
  const single = [items, additionalProperties, not].filter(isJsonObject) as JSONSchemaProps[]
  return [...(Array.isArray(items) ? (items as JSONSchemaProps[]) : []), ...(schema.allOf ?? []), ...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...single, ...Object.values(schema.properties ?? {})]
}
