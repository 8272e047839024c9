/** Whole OpenAPI documents: one of version 3 for each group version, one of version 2 for all. Pure. */
import type { SchemaSet } from '#api/schema/schema.ts'
import type { KindRow } from '../kind.ts'
import { customOperationsOf } from './custom-operations.ts'
import { DefinitionSet, PATCH_DEFINITION, type Definition } from './definitions.ts'
import { groupPath, groupTag, operationsOf, type Operation } from './operations.ts'
import type { Parameter } from './parameters.ts'

const OBJECT_TYPES = ['application/json', 'application/yaml']
const PRODUCES: Readonly<Record<Operation['produces'], readonly string[]>> = {
  object: OBJECT_TYPES,
  list: [...OBJECT_TYPES, 'application/json;stream=watch'],
  any: ['*/*'],
  text: ['text/plain', ...OBJECT_TYPES],
  json: ['application/json'],
  keys: ['application/jwk-set+json'],
}
const PROTOBUF = 'application/vnd.kubernetes.protobuf'
const PROTOBUF_PRODUCES: Readonly<Partial<Record<Operation['produces'], readonly string[]>>> = { object: [PROTOBUF], text: [PROTOBUF], list: [PROTOBUF, `${PROTOBUF};stream=watch`] }
const typesOf = ({ produces, protobuf }: Operation): string[] => [...PRODUCES[produces], ...((protobuf && PROTOBUF_PRODUCES[produces]) ?? [])].toSorted()
function consumedBy({ consumes, protobuf, body }: Operation): readonly string[] {
  if (body?.of === 'patch') return patchTypes(body)
  switch (consumes) {
    case 'any': return ['*/*']
    case 'object': return protobuf ? [...OBJECT_TYPES, PROTOBUF] : OBJECT_TYPES
    case 'json': return ['application/json']
    case 'nothing': return []
  }
}
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

function allOperationsOf(rows: readonly KindRow[], { group, version }: GroupVersion): Operation[] {
  const own = rows.filter(({ ref }) => ref.group === group && ref.version === version)
  return [...operationsOf(group, version, own), ...customOperationsOf(group, version, own)]
}

export function documentV3(input: DocumentInput, of: GroupVersion): unknown {
  return printV3(input, allOperationsOf(input.rows, of), of)
}

/** A document of some operations; `of`: those of a group version. What is of custom resources alone is a document of its own making, with every group version there is. */
export function printV3({ schema, rows, gitVersion }: DocumentInput, operations: readonly Operation[], of: GroupVersion = { group: '', version: 'v1' }): unknown {
  const isCustom = operations.every(({ protobuf, kind }) => !protobuf && kind !== undefined)
  const definitions = new DefinitionSet(schema, schema.docs(), 'v3', rows, isCustom ? 'custom' : of)
  const paths = pathsOf(operations, (operation, own) => ({
    ...common(operation),
    ...whereAny('parameters', own.map(parameterV3)),
    ...bodyV3(operation, definitions),
    responses: responses(operation, (ok) => {
      const schemaOf = operation.answer === 'string' ? { type: 'string' } : definitions.refToModel(operation.answer.model)
      return { description: ok, content: Object.fromEntries(typesOf(operation).map((type) => [type, { schema: schemaOf }])) }
    }),
  }), parameterV3)
  const schemas = definitions.all()
  const info = isCustom ? { title: 'Kubernetes CRD Swagger', version: 'v0.1.0' } : infoOf(gitVersion)
  return { openapi: '3.0.0', info, paths, components: { ...(Object.keys(schemas).length > 0 && { schemas }), ...(!isCustom && { securitySchemes: BEARER }) } }
}

export function documentV2({ schema, rows, gitVersion }: DocumentInput): unknown {
  const definitions = new DefinitionSet(schema, schema.docs(), 'v2', rows)
  const operations = [...groupVersionsOf(rows).values()].flatMap((of) => allOperationsOf(rows, of))
  const paths = pathsOf([...operations, ...groupOperations(rows)], (operation, own) => ({
    ...common(operation),
    ...whereAny('consumes', consumedBy(operation)),
    produces: typesOf(operation),
    schemes: ['https'],
    ...whereAny('parameters', [...bodyV2(operation, definitions), ...own.map(parameterV2)]),
    responses: responses(operation, (description) => ({ description, schema: operation.answer === 'string' ? { type: 'string' } : definitions.refToModel(operation.answer.model) })),
  }), parameterV2)
  return { swagger: '2.0', info: infoOf(gitVersion), paths, definitions: definitions.all(), securityDefinitions: BEARER, security: [{ BearerToken: [] }] }
}

const whereAny = (key: string, list: readonly unknown[]): Definition => (list.length > 0 ? { [key]: list } : {})

/** The version as upstream tells it: `1.36`. */
const infoOf = (gitVersion: string): Definition => ({ title: 'Kubernetes', version: /^v?(\d+\.\d+)/.exec(gitVersion)?.[1] ?? gitVersion })

/** `/api/`, `/apis/`, `/apis/apps/`, `/version/`. Groups of custom resources alone have none. */
function groupOperations(rows: readonly KindRow[]): Operation[] {
  const get = (path: string, id: string, description: string, tag: string, model: string): Operation => ({ path, method: 'get', id, description, tag, parameters: [], answer: { model }, codes: [200], consumes: 'object', produces: 'object', protobuf: true })
  const groups = [...new Set(rows.filter(({ custom }) => !custom).map(({ ref }) => ref.group))].filter((group) => group !== '')
  const capital = (text: string) => text.slice(0, 1).toUpperCase() + text.slice(1)
  return [
    get('/api/', 'getCoreAPIVersions', 'get available API versions', 'core', 'APIVersions'),
    get('/apis/', 'getAPIVersions', 'get available API versions', 'apis', 'APIGroupList'),
    ...groups.map((group) => get(`/apis/${group}/`, `get${capital(groupTag(group))}APIGroup`, 'get information of a group', groupTag(group), 'APIGroup')),
    { ...get('/.well-known/openid-configuration/', 'getServiceAccountIssuerOpenIDConfiguration', "get service account issuer OpenID configuration, also known as the 'OIDC discovery doc'", 'WellKnown', ''), answer: 'string', consumes: 'nothing', produces: 'json' },
    { ...get('/openid/v1/jwks/', 'getServiceAccountIssuerOpenIDKeyset', 'get service account issuer OpenID JSON Web Key Set (contains public token verification keys)', 'openid', ''), answer: 'string', consumes: 'nothing', produces: 'keys' },
    { ...get('/version/', 'getCodeVersion', 'get the version information for this server', 'version', 'VersionInfo'), consumes: 'json', produces: 'json' },
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

/** `render` is given an operation and what parameters it has beside those of its path, by name. */
function pathsOf(operations: readonly Operation[], render: (operation: Operation, own: readonly Parameter[]) => Definition, parameter: (p: Parameter) => Definition): Record<string, Definition> {
  const paths = Object.entries(Object.groupBy(operations, ({ path }) => path)).map(([path, ofPath = []]): [string, Definition] => {
    const isShared = (p: Parameter): boolean => ofPath.every(({ parameters }) => parameters.some((other) => other.name === p.name && other.in === p.in))
    const shared = byName(ofPath[0]?.parameters.filter(isShared) ?? [])
    const methods = ofPath.map((operation) => [operation.method, render(operation, byName(operation.parameters.filter((p) => !isShared(p))))])
    return [path, { ...whereAny('parameters', shared.map(parameter)), ...Object.fromEntries(methods) as Definition }]
  })
  return Object.fromEntries(paths.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

function responses(operation: Operation, ok: (description: string) => Definition): Definition {
  return { ...Object.fromEntries(operation.codes.map((code) => [String(code), ok(CODES[code] ?? '')])), 401: { description: 'Unauthorized' } }
}

function bodySchema(body: NonNullable<Operation['body']>, definitions: DefinitionSet): Definition {
  if (body.of === 'model') return definitions.refToModel(body.model)
  return body.of === 'patch' ? definitions.refTo(PATCH_DEFINITION) : definitions.refToModel('DeleteOptions')
}

function bodyV3(operation: Operation, definitions: DefinitionSet): Definition {
  const { body } = operation
  if (!body) return {}
  const schema = bodySchema(body, definitions)
  const types = consumedBy(operation)
  return { requestBody: { content: Object.fromEntries(types.map((type) => [type, { schema }])), ...(body.of !== 'deleteOptions' && { required: true }) } }
}

function bodyV2({ body }: Operation, definitions: DefinitionSet): Definition[] {
  return body ? [{ in: 'body', name: 'body', ...(body.of !== 'deleteOptions' && { required: true }), schema: bodySchema(body, definitions) }] : []
}

const byName = (parameters: readonly Parameter[]): Parameter[] => parameters.toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
const parameterV3 = (p: Parameter): Definition => ({ name: p.name, in: p.in, description: p.description, ...(p.in === 'path' && { required: true }), schema: { type: p.type, uniqueItems: true } })
const parameterV2 = (p: Parameter): Definition => ({ name: p.name, in: p.in, description: p.description, ...(p.in === 'path' && { required: true }), type: p.type, uniqueItems: true })
