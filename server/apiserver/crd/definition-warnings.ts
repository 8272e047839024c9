/** What creating or changing a definition is warned of: formats nobody checks, sets that apply cannot take apart. */
import type { CustomResourceDefinition, JSONSchemaProps } from '#api/types/index.ts'
import { isKnownFormat } from './schema/formats.ts'
import { visitSchemas } from './visit-schemas.ts'

/** Of those that `old` had already nothing is said. */
export function definitionWarnings(definition: CustomResourceDefinition, old?: CustomResourceDefinition): string[] {
  const known = new Set(old ? warningsOf(old) : [])
  return warningsOf(definition).filter((text) => !known.has(text))
}

function warningsOf({ spec }: CustomResourceDefinition): string[] {
  const formats: string[] = []
  const sets = new Set<string>()
  for (const { schema } of spec.versions) visitSchemas(schema?.openAPIV3Schema, (props) => look(props, formats, sets))
  return [...formats, ...[...sets].sort()]
}

function look(props: JSONSchemaProps, formats: string[], sets: Set<string>): void {
  if (props.format && !isKnownFormat(props.type ?? '', props.format)) formats.push(`unrecognized format ${JSON.stringify(props.format)}`)
  const items = props.items as JSONSchemaProps | undefined
  if (props['x-kubernetes-list-type'] === 'set' && (items?.type === 'object' || items?.type === 'array')) {
    sets.add(`x-kubernetes-list-type: set for items of type ${JSON.stringify(items.type)} is not supported by server-side apply or CEL validation rules`)
  }
}
