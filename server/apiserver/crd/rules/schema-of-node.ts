/** A structural schema as CEL's types are made from. Only wanted while rules are compiled. */
import type { OpenApiSchema } from '#api/cel/index.ts'
import type { SchemaNode } from '../schema/node.ts'

export function schemaOfNode(node: SchemaNode): OpenApiSchema {
  const { checks, properties, items, additional } = node
  return {
    ...(node.type !== '' && { type: node.type }),
    // What built-in kinds say by this format, custom resources say by the extension alone.
    ...(checks?.format && checks.format !== 'int-or-string' && { format: checks.format }),
    ...(node.nullable && { nullable: true }),
    ...(properties && { properties: Object.fromEntries(Object.keys(properties).map((name) => [name, schemaOfNode(properties[name] as SchemaNode)])) }),
    ...(additional !== undefined && { additionalProperties: typeof additional === 'object' ? schemaOfNode(additional) : additional }),
    ...(items && { items: schemaOfNode(items) }),
    ...(checks && checks.required.length > 0 && { required: checks.required }),
    ...(checks && checks.enum.length > 0 && { enum: checks.enum }),
    ...(node.default !== undefined && { default: node.default }),
    ...(checks?.maxLength !== undefined && { maxLength: checks.maxLength }),
    ...(checks?.maxItems !== undefined && { maxItems: checks.maxItems }),
    ...(checks?.maxProperties !== undefined && { maxProperties: checks.maxProperties }),
    ...(node.intOrString && { 'x-kubernetes-int-or-string': true }),
    ...(node.embedded && { 'x-kubernetes-embedded-resource': true }),
    ...(node.preserve && { 'x-kubernetes-preserve-unknown-fields': true }),
    ...(node.listType !== undefined && { 'x-kubernetes-list-type': node.listType }),
    ...(node.listMapKeys && { 'x-kubernetes-list-map-keys': node.listMapKeys }),
  }
}
