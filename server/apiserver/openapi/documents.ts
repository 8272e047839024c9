/** Whole OpenAPI documents: one of version 3 for each group version, one of version 2 for all. Pure. */
import type { SchemaSet } from '#api/schema/schema.ts'
import type { KindRow } from '../kind.ts'
import { DefinitionSet, PATCH_DEFINITION, type Definition } from './definitions.ts'
import { groupPath, groupTag, operationsOf, type Operation } from './operations.ts'
import type { Parameter } from './parameters.ts'

const OBJECT_TYPES = ['application/json', 'application/yaml']
const PRODUCES: Readonly<Record<Operation['produces'], readonly string[]>> = {
  object: OBJECT_TYPES,
  list: [...OBJECT_TYPES, 'application/json;stream=watch'],
  any: ['*/*'],
  text: ['text/plain', ...OBJECT_TYPES],
  discovery: OBJECT_TYPES,
  json: ['application/json'],
  keys: ['application/jwk-set+json'],
}
const PROTOBUF = 'application/vnd.kubernetes.protobuf'
const PROTOBUF_PRODUCES: Readonly<Partial<Record<Operation['produces'], readonly string[]>>> = { object: [PROTOBUF], list: [PROTOBUF, `${PROTOBUF};stream=watch`] }
const typesOf = ({ produces, protobuf }: Operation): string[] => [...PRODUCES[produces], ...((protobuf && PROTOBUF_PRODUCES[produces]) ?? [])].toSorted()
const PATCH_TYPES = ['application/json-patch+json', 'application/merge-patch+json', 'application/strategic-merge-patch+json', 'application/apply-patch+yaml']
const patchTypes = (body: { strategic: boolean }): string[] => PATCH_TYPES.filter((type) => body.strategic || !type.includes('strategic'))
const CODES: Readonly<Record<number, string>> = { 200: 'OK', 201: 'Created', 202: 'Accepted' }
const BEARER = { BearerToken: { description: 'Bearer Token authentication', in: 'header', name: 'authorization', type: 'apiKey' } }

export interface DocumentInput { schema: SchemaSet; rows: readonly KindRow[]; /** `v1.36.1+skiff`. */ gitVersion: string }
export interface GroupVersion { group: string; version: string }

/** Documents besides those of group versions, by their path: `api`, `apis/apps`, `version`. */
export function otherDocuments(rows: readonly KindRow[]): Map<string, readonly Operation[]> {
  return new Map(groupOperations(rows).map((operation): [string, readonly Operation[]] => [operation.path.slice(1, -1), [operation]]))
}

/** Group versions that have a document, in table order, by their path: `api/v1`, `apis/apps/v1`. */
export function groupVersionsOf(rows: readonly KindRow[]): Map<string, GroupVersion> {
  return new Map(rows.map(({ ref }): [string, GroupVersion] => [groupPath(ref.group, ref.version), { group: ref.group, version: ref.version }]))
}

export function documentV3(input: DocumentInput, of: GroupVersion): unknown {
  const { group, version } = of
  return printV3(input, operationsOf(group, version, input.rows.filter(({ ref }) => ref.group === group && ref.version === version)), of)
}

/** A document of some operations; `of`: those of a group version. */
export function printV3({ schema, rows, gitVersion }: DocumentInput, operations: readonly Operation[], of: GroupVersion = { group: '', version: 'v1' }): unknown {
  const definitions = new DefinitionSet(schema, schema.docs(), 'v3', rows, of)
  const paths = pathsOf(operations, (operation) => ({
    ...common(operation),
    ...(operation.parameters.length > 0 && { parameters: byName(operation.parameters).map(parameterV3) }),
    ...bodyV3(operation, definitions),
    responses: responses(operation, (ok) => {
      const schemaOf = operation.answer === 'string' ? { type: 'string' } : definitions.refToModel(operation.answer.model)
      return { description: ok, content: Object.fromEntries(typesOf(operation).map((type) => [type, { schema: schemaOf }])) }
    }),
  }), parameterV3)
  const schemas = definitions.all()
  return { openapi: '3.0.0', info: { title: 'Kubernetes', version: gitVersion }, paths, components: { ...(Object.keys(schemas).length > 0 && { schemas }), securitySchemes: BEARER } }
}

export function documentV2({ schema, rows, gitVersion }: DocumentInput): unknown {
  const definitions = new DefinitionSet(schema, schema.docs(), 'v2', rows)
  const operations = [...groupVersionsOf(rows).values()].flatMap(({ group, version }) => operationsOf(group, version, rows.filter(({ ref }) => ref.group === group && ref.version === version)))
  const paths = pathsOf([...operations, ...groupOperations(rows)], (operation) => ({
    ...common(operation),
    consumes: operation.body?.of === 'patch' ? patchTypes(operation.body) : operation.produces === 'discovery' ? OBJECT_TYPES : operation.produces === 'json' || operation.produces === 'keys' ? ['application/json'] : ['*/*'],
    produces: typesOf(operation),
    schemes: ['https'],
    parameters: [...bodyV2(operation, definitions), ...operation.parameters.map(parameterV2)],
    responses: responses(operation, (description) => ({ description, schema: operation.answer === 'string' ? { type: 'string' } : definitions.refToModel(operation.answer.model) })),
  }), parameterV2)
  return { swagger: '2.0', info: { title: 'Kubernetes', version: gitVersion }, paths, definitions: definitions.all(), securityDefinitions: BEARER, security: [{ BearerToken: [] }] }
}

/** `/api/`, `/apis/`, `/apis/apps/`, `/version/`. Groups of custom resources alone have none. */
function groupOperations(rows: readonly KindRow[]): Operation[] {
  const get = (path: string, id: string, description: string, tag: string, model: string): Operation => ({ path, method: 'get', id, description, tag, parameters: [], pathParameters: [], answer: { model }, codes: [200], produces: 'discovery' })
  const groups = [...new Set(rows.filter(({ custom }) => !custom).map(({ ref }) => ref.group))].filter((group) => group !== '')
  const capital = (text: string) => text.slice(0, 1).toUpperCase() + text.slice(1)
  return [
    get('/api/', 'getCoreAPIVersions', 'get available API versions', 'core', 'APIVersions'),
    get('/apis/', 'getAPIVersions', 'get available API versions', 'apis', 'APIGroupList'),
    ...groups.map((group) => get(`/apis/${group}/`, `get${capital(groupTag(group))}APIGroup`, 'get information of a group', groupTag(group), 'APIGroup')),
    { ...get('/.well-known/openid-configuration/', 'getServiceAccountIssuerOpenIDConfiguration', "get service account issuer OpenID configuration, also known as the 'OIDC discovery doc'", 'WellKnown', ''), answer: 'string', produces: 'json' },
    { ...get('/openid/v1/jwks/', 'getServiceAccountIssuerOpenIDKeyset', 'get service account issuer OpenID JSON Web Key Set (contains public token verification keys)', 'openid', ''), answer: 'string', produces: 'keys' },
    { ...get('/version/', 'getCodeVersion', 'get the version information for this server', 'version', 'VersionInfo'), produces: 'json' },
  ]
}

function common(operation: Operation): Definition {
  return {
    description: operation.description,
    operationId: operation.id,
    tags: [operation.tag],
    ...(operation.action !== undefined && { 'x-kubernetes-action': operation.action }),
    ...(operation.kind && { 'x-kubernetes-group-version-kind': operation.kind }),
  }
}

function pathsOf(operations: readonly Operation[], render: (operation: Operation) => Definition, parameter: (p: Parameter) => Definition): Record<string, Definition> {
  const paths = new Map<string, Definition>()
  for (const operation of operations) {
    const item = paths.get(operation.path) ?? (operation.pathParameters.length > 0 ? { parameters: byName(operation.pathParameters).map(parameter) } : {})
    item[operation.method] = render(operation)
    paths.set(operation.path, item)
  }
  return Object.fromEntries([...paths].toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

function responses(operation: Operation, ok: (description: string) => Definition): Definition {
  return { ...Object.fromEntries(operation.codes.map((code) => [String(code), ok(CODES[code] ?? '')])), 401: { description: 'Unauthorized' } }
}

function bodySchema(body: NonNullable<Operation['body']>, definitions: DefinitionSet): Definition {
  if (body.of === 'model') return definitions.refToModel(body.model)
  return body.of === 'patch' ? definitions.refTo(PATCH_DEFINITION) : definitions.refToModel('DeleteOptions')
}

function bodyV3({ body }: Operation, definitions: DefinitionSet): Definition {
  if (!body) return {}
  const schema = bodySchema(body, definitions)
  const types = body.of === 'patch' ? patchTypes(body) : ['*/*']
  return { requestBody: { content: Object.fromEntries(types.map((type) => [type, { schema }])), ...(body.of !== 'deleteOptions' && { required: true }) } }
}

function bodyV2({ body }: Operation, definitions: DefinitionSet): Definition[] {
  return body ? [{ in: 'body', name: 'body', ...(body.of !== 'deleteOptions' && { required: true }), schema: bodySchema(body, definitions) }] : []
}

const byName = (parameters: readonly Parameter[]): Parameter[] => parameters.toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
const parameterV3 = (p: Parameter): Definition => ({ name: p.name, in: p.in, description: p.description, ...(p.in === 'path' && { required: true }), schema: { type: p.type, uniqueItems: true } })
const parameterV2 = (p: Parameter): Definition => ({ name: p.name, in: p.in, description: p.description, ...(p.in === 'path' && { required: true }), type: p.type, uniqueItems: true })
