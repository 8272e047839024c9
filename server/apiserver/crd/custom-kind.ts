/** One served version of a definition as a row of the table of kinds, like every other kind's. */
import { builtinSchema } from '#api/schema/index.ts'
import type { CustomResourceDefinitionVersion } from '#api/types/index.ts'
import { listKindOf, type CustomKind, type KindRow } from '../kind.ts'
import { row } from '../registry/row.ts'
import { compareVersions } from '../version-order.ts'
import { createConverter, type ConversionParts } from './conversion.ts'
import { isTerminating, type Definition } from './definition.ts'
import { publishedDefinition } from './published-definition.ts'
import { createCustomTypes } from './schema/field-types.ts'
import { conformCustom } from './schema/conform.ts'
import { ANYTHING, compileSchema, type SchemaNode } from './schema/node.ts'
import { StoredForms } from './stored-form.ts'
import { RuleSet } from './rules/rule-set.ts'
import { customStrategy } from './strategy.ts'

/** What is made of a definition once and stays while its spec and accepted names do: schemas, forms of storage. */
export interface Shape {
  id: string
  forms: StoredForms
  readonly schemaOf: (version: string) => SchemaNode
  /** Undefined: it has none. */
  readonly rulesOf: (version: string) => RuleSet | undefined
}

/** Equal while nothing changes that clients of the custom resource can see. */
export const shapeId = (definition: Definition): string => `${definition.uid}/${definition.generation}/${JSON.stringify(definition.status.acceptedNames ?? {})}`

export function createShape(definition: Definition, parts: ConversionParts): Shape {
  const schemas = new Map<string, SchemaNode>()
  const schemaOf = (version: string): SchemaNode => {
    let node = schemas.get(version)
    if (!node) {
      const props = definition.preserveUnknownFields ? undefined : definition.schemaOf(version)
      schemas.set(version, (node = props ? compileSchema(props) : ANYTHING))
    }
    return node
  }
  const rules = new Map<string, RuleSet | undefined>()
  const rulesOf = (version: string): RuleSet | undefined => {
    if (!rules.has(version)) rules.set(version, RuleSet.of(schemaOf(version), true))
    return rules.get(version)
  }
  const id = shapeId(definition)
  const storageVersion = definition.versions.find((v) => v.storage)?.name ?? ''
  return { id, schemaOf, rulesOf, forms: new StoredForms({ id, storageVersion, schemaOf, converter: createConverter(definition, parts) }) }
}

/** One row for each served version. */
export function customRows(definition: Definition, shape: Shape): KindRow[] {
  return definition.versions.filter((v) => v.served).map((version) => customRow(definition, version, shape))
}

function customRow(definition: Definition, version: CustomResourceDefinitionVersion, shape: Shape): KindRow {
  const { group, scope } = definition
  const { plural, kind, singular, shortNames, categories, listKind } = acceptedNames(definition)
  const model = `${group.split('.').toReversed().join('.')}.${version.name}.${kind}`
  const scale = version.subresources?.scale
  const schema = () => shape.schemaOf(version.name)
  const made = row({ group, version: version.name, resource: plural, kind, namespaced: scope === 'Namespaced' }, customStrategy(version, schema, () => shape.rulesOf(version.name)), {
    model, ...(singular && { singular }), short: shortNames ?? [], categories: categories ?? [],
    sub: [...(version.subresources?.status ? ['status'] : []), ...(scale ? ['scale'] : [])],
    ...(scale && { scale: { specPath: scale.specReplicasPath, statusPath: scale.statusReplicasPath, selectorPath: scale.labelSelectorPath ?? '' } }),
  })
  const late: { types?: CustomKind['types'] } = {}
  const custom: CustomKind = {
    id: shape.id,
    form: shape.forms.of(version.name),
    storageVersion: definition.versions.find((v) => v.storage && v.served)?.name,
    get types() { return (late.types ??= createCustomTypes(model, { group, version: version.name, kind }, schema(), builtinSchema)) },
    conform: (value, applied) => conformCustom(value, schema(), applied),
    definition: (dialect) => publishedDefinition(definition, version, dialect),
    isTerminating: isTerminating(definition),
  }
  const warning = version.deprecated ? (version.deprecationWarning ?? deprecation(definition, version.name)) : undefined
  return { ...made, custom, ...(listKind && listKind !== listKindOf(made) && { listKind }), ...(warning !== undefined && { warning }) }
}

/** Names that are accepted; until all are, those that were. */
function acceptedNames({ names, status }: Definition): Definition['names'] {
  return status.acceptedNames?.plural ? status.acceptedNames : names
}

function deprecation({ group, names, versions }: Definition, version: string): string {
  const [newest] = versions.filter((v) => v.served && !v.deprecated && compareVersions(v.name, version) > 0).map((v) => v.name).sort((a, b) => compareVersions(b, a))
  return `${group}/${version} ${names.kind} is deprecated${newest === undefined ? '' : `; use ${group}/${newest} ${names.kind}`}`
}
