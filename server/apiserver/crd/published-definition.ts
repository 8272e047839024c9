/** A custom resource's OpenAPI definitions, from its schema as written: for documents, explain and clients' own validation. */
import type { CustomResourceDefinitionVersion, JSONSchemaProps } from '#api/types/index.ts'
import type { Definition } from './definition.ts'
import type { PublishedDefinitions } from '../kind.ts'
import { isJsonObject, type Json } from './schema/node.ts'

const CONVENTIONS = 'https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md'
const API_VERSION = { type: 'string', description: `APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: ${CONVENTIONS}#resources` }
const KIND = { type: 'string', description: `Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: ${CONVENTIONS}#types-kinds` }
const EMBEDDED_API_VERSION = { type: 'string', description: `apiVersion defines the versioned schema of this representation of an object. More info: ${CONVENTIONS}#resources` }
const EMBEDDED_KIND = { type: 'string', description: `kind is a string value representing the type of this object. In CamelCase. More info: ${CONVENTIONS}#types-kinds` }
const METADATA_DOC = `Standard object's metadata. More info: ${CONVENTIONS}#metadata`
const LIST_METADATA_DOC = `Standard list metadata. More info: ${CONVENTIONS}#types-kinds`

type Dialect = 'v2' | 'v3'

export function publishedDefinition({ group, names, preserveUnknownFields, schemaOf }: Definition, version: CustomResourceDefinitionVersion, dialect: Dialect): PublishedDefinitions {
  const gvk = (kind: string): Json => ({ group, version: version.name, kind })
  const fields = version.selectableFields?.map(({ jsonPath }) => ({ fieldPath: jsonPath.replace(/^\./, '') }))
  const extensions = (kind: string): Json => ({ 'x-kubernetes-group-version-kind': [gvk(kind)], ...(fields && { 'x-kubernetes-selectable-fields': fields }) })
  return {
    object: (metadata) => ({ ...rootDefinition(schemaOf(version.name), preserveUnknownFields, dialect, metadata), ...extensions(names.kind) }),
    list: (metadata, item) => ({
      description: `${names.listKind ?? ''} is a list of ${names.kind}`, type: 'object', required: ['items'],
      properties: {
        apiVersion: API_VERSION,
        items: { description: `List of ${names.plural}. More info: ${CONVENTIONS}`, type: 'array', items: item },
        kind: KIND,
        metadata: referring(metadata, LIST_METADATA_DOC, dialect),
      },
      ...extensions(names.listKind ?? `${names.kind}List`),
    }),
  }
}

function rootDefinition(schema: JSONSchemaProps | undefined, preserveAll: boolean, dialect: Dialect, metadata: Json): Json {
  // kubectl takes properties for all that may be there: where more may be, none are named.
  if (!schema || (dialect === 'v2' && (preserveAll || schema['x-kubernetes-preserve-unknown-fields']))) return { type: 'object' }
  const root = published(schema, dialect, metadata)
  return { ...root, properties: sorted({ ...(root['properties'] as Json | undefined), apiVersion: API_VERSION, kind: KIND, metadata: referring(metadata, METADATA_DOC, dialect) }) }
}

/** In version 3 a $ref stands alone. */
const referring = (ref: Json, description: string, dialect: Dialect): Json => (dialect === 'v2' ? { description, ...ref } : { description, allOf: [ref] })

const JUNCTORS = ['allOf', 'anyOf', 'oneOf', 'not'] as const

function published(schema: JSONSchemaProps, dialect: Dialect, metadata: Json): Json {
  const out: Json = { ...schema }
  const down = (below: unknown): Json => published(below as JSONSchemaProps, dialect, metadata)
  if (dialect === 'v2') reduceToV2(out, schema)
  else if (schema['x-kubernetes-int-or-string'] && !saysIntOrString(schema)) unfoldIntOrString(out, schema)
  if (out['properties']) out['properties'] = sorted(Object.fromEntries(Object.entries(out['properties'] as Json).map(([name, below]) => [name, down(below)])))
  if (isJsonObject(out['items'])) out['items'] = down(out['items'])
  if (isJsonObject(out['additionalProperties'])) out['additionalProperties'] = down(out['additionalProperties'])
  if (schema['x-kubernetes-embedded-resource'] && !(dialect === 'v2' && schema['x-kubernetes-preserve-unknown-fields'])) {
    out['properties'] = sorted({ ...(out['properties'] as Json | undefined), apiVersion: EMBEDDED_API_VERSION, kind: EMBEDDED_KIND, metadata: referring(metadata, METADATA_DOC, dialect) })
    out['required'] = [...new Set([...((out['required'] as string[] | undefined) ?? []), 'kind', 'apiVersion'])]
  }
  return out
}

const sorted = (properties: Json): Json => Object.fromEntries(Object.entries(properties).toSorted(([a], [b]) => (a < b ? -1 : 1)))

/** What OpenAPI version 2, or kubectl reading it, cannot take is left out (apiextensions `ToStructuralOpenAPIV2`). */
function reduceToV2(out: Json, schema: JSONSchemaProps): void {
  for (const key of [...JUNCTORS, 'default']) delete out[key]
  if (schema.nullable) for (const key of ['type', 'nullable', 'items', 'properties']) delete out[key]
  if (schema['x-kubernetes-preserve-unknown-fields']) {
    delete out['items']
    delete out['properties']
    if (out['type'] === 'object') delete out['type']
  }
  if (out['type'] === 'array' && !out['items']) delete out['type']
  const properties = (out['properties'] ?? {}) as Record<string, JSONSchemaProps>
  const required = schema.required?.filter((name) => !properties[name]?.nullable)
  const more = schema.additionalProperties
  if (required && required.length > 0 && !(isJsonObject(more) && more['nullable'])) out['required'] = required
  else delete out['required']
}

const INT_OR_STRING = [{ type: 'integer' }, { type: 'string' }]
const isIntOrString = (any: readonly JSONSchemaProps[] | undefined): boolean => any?.length === 2 && any[0]?.type === 'integer' && any[1]?.type === 'string'
const saysIntOrString = (schema: JSONSchemaProps): boolean => isIntOrString(schema.anyOf) || isIntOrString(schema.allOf?.[0]?.anyOf)

function unfoldIntOrString(out: Json, schema: JSONSchemaProps): void {
  if (!schema.anyOf) out['anyOf'] = INT_OR_STRING
  else out['allOf'] = [{ anyOf: INT_OR_STRING }, ...(schema.allOf ?? [])]
}
