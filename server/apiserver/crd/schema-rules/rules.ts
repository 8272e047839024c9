/** Validation rules compile, stay within what may be spent, and use oldSelf only where there is one. Pure. */
import { escapeName, schemaToCelType, type CelType } from '#api/cel/index.ts'
import { smallestBytes } from '#api/cel/schema-type.ts'
import { forbidden, invalid, type FieldError } from '../../field-error.ts'
import { compileRules } from '../rules/compile-rules.ts'
import { schemaOfNode } from '../rules/schema-of-node.ts'
import type { SchemaNode } from '../schema/node.ts'

/** Of one expression, and of all of a schema (apiextensions/validation). */
const EXPRESSION_COST_MAX = 10_000_000
const SCHEMA_COST_MAX = 100_000_000
const REQUEST_BYTES_MAX = 3 * 1024 * 1024
/** The most expensive rules that are named when all together cost too much. */
const NAMED_MAX = 4
const NAMED_COST_MIN = SCHEMA_COST_MAX / 100

/** How the type of a place is found: upstream asks the place above first, where that one is typed. */
interface Context {
  /** From above; null: what is above has no such part; undefined: the place's own schema tells. */
  type: CelType | null | undefined
  /** There are rules here or above: only then anything is typed. */
  inScope: boolean
  /** How often the place may occur; undefined: as often as a request is large. */
  cardinality: number | undefined
  /** The first place above whose parts cannot be told apart between old and new. */
  uncorrelatable: string | undefined
  isResource: boolean
}

interface Spent { at: string; cost: number }

export interface RuleOptions {
  /** False: what one expression may cost is not looked at. */
  checkCost: boolean
  /** Complaints about the schema itself: rules at their places and above those are left alone. */
  complaints: readonly FieldError[]
}

export function validateRules(root: SchemaNode, at: string, options: RuleOptions): FieldError[] {
  const spent: Spent[] = []
  const out = visit(root, at, { type: undefined, inScope: false, cardinality: 1, uncorrelatable: undefined, isResource: true }, options, spent)
  const total = spent.reduce((sum, { cost }) => sum + cost, 0)
  if (total > SCHEMA_COST_MAX) {
    for (const { at: field } of spent.filter(({ cost }) => cost >= NAMED_COST_MIN).toSorted((a, b) => b.cost - a.cost).slice(0, NAMED_MAX)) out.push(forbidden(field, 'contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema'))
    out.push(forbidden(at, costMessage('x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema', total, SCHEMA_COST_MAX)))
  }
  return out
}

const rootType = (node: SchemaNode, resourceRoot: boolean): CelType | undefined => schemaToCelType(schemaOfNode(node), { name: 'selfType', resourceRoot })

function visit(node: SchemaNode, at: string, context: Context, options: RuleOptions, spent: Spent[]): FieldError[] {
  const out: FieldError[] = []
  const { cardinality } = context
  const inScope = context.inScope || node.rules !== undefined
  const type = inScope && context.type === undefined ? rootType(node, context.isResource) : context.type
  const { additional, items, properties, listType } = node
  if (typeof additional === 'object') {
    const times = multiplied(cardinality, node.checks?.maxProperties)
    out.push(...visit(additional, `${at}.additionalProperties`, { ...context, inScope, type: type && (type.kind === 'map' ? type.value : null), cardinality: times, isResource: additional.embedded }, options, spent))
  }
  for (const name of Object.keys(properties ?? {})) {
    const member = (properties as Record<string, SchemaNode>)[name] as SchemaNode
    out.push(...visit(member, `${at}.properties[${name}]`, { ...context, inScope, type: memberType(type, name), isResource: member.embedded }, options, spent))
  }
  if (items) {
    const times = multiplied(cardinality, node.checks?.maxItems)
    const uncorrelatable = context.uncorrelatable ?? (listType === 'map' ? undefined : at)
    out.push(...visit(items, `${at}.items`, { inScope, type: type && (type.kind === 'list' ? type.element : null), cardinality: times, uncorrelatable, isResource: items.embedded }, options, spent))
  }
  const isFaulty = options.complaints.some(({ field }) => field.startsWith(at))
  return isFaulty ? out : [...out, ...ownRules(node, at, { ...context, type }, options, spent)]
}

/** Undefined: rules above cannot see it. */
function memberType(type: CelType | null | undefined, name: string): CelType | undefined {
  const escaped = escapeName(name)
  return escaped !== undefined && type?.kind === 'object' ? type.field(escaped)?.type : undefined
}

/** Undefined: unbounded. */
const multiplied = (cardinality: number | undefined, max: number | undefined): number | undefined => (cardinality === undefined || max === undefined ? undefined : cardinality * max)

function ownRules(node: SchemaNode, at: string, { type, cardinality, uncorrelatable, isResource }: Context, { checkCost }: RuleOptions, spent: Spent[]): FieldError[] {
  if (!node.rules) return []
  const field = `${at}.x-kubernetes-validations`
  if (!type) {
    const why = type === null ? 'failed to convert to declType for CEL validation rules' : 'internal error: failed to construct type information for x-kubernetes-validations rules: unable to convert structural schema to CEL declarations'
    return [{ type: 'InternalError', field, message: `Internal error: ${why}` }]
  }
  const out: FieldError[] = []
  const times = cardinality ?? Math.floor(REQUEST_BYTES_MAX / (smallestBytes(schemaOfNode(node), { resourceRoot: isResource }) + 1))
  for (const [i, compiled] of compileRules(node.rules, node, type).entries()) {
    const { rule, error, messageError, message, usesOldSelf } = compiled
    const cost = compiled.maxCost * times
    if (checkCost && cost > EXPRESSION_COST_MAX) out.push(forbidden(`${field}[${i}].rule`, costMessage('estimated rule cost', cost, EXPRESSION_COST_MAX)))
    spent.push({ at: `${field}[${i}].rule`, cost })
    if (error !== undefined) out.push(invalid(`${field}[${i}].rule`, rule, error))
    if (messageError !== undefined) out.push(invalid(`${field}[${i}].messageExpression`, rule, messageError))
    else if (message) {
      if (checkCost && compiled.messageMaxCost > EXPRESSION_COST_MAX) out.push(forbidden(`${field}[${i}].messageExpression`, costMessage('estimated messageExpression cost', compiled.messageMaxCost, EXPRESSION_COST_MAX)))
      spent.push({ at: `${field}[${i}].messageExpression`, cost: compiled.messageMaxCost })
    }
    if (usesOldSelf && uncorrelatable !== undefined) out.push(invalid(`${field}[${i}].rule`, rule.rule, `oldSelf cannot be used on the uncorrelatable portion of the schema within ${uncorrelatable}`))
    else if (!usesOldSelf && rule.optionalOldSelf !== undefined) out.push(invalid(`${field}[${i}].optionalOldSelf`, rule.optionalOldSelf, 'may not be set if oldSelf is not used in rule'))
  }
  return out
}

function costMessage(what: string, cost: number, limit: number): string {
  const times = cost / limit
  const factor = times > 100 ? 'more than 100x' : times < 1.5 ? `${times.toFixed(6)}x` : `${times.toFixed(1)}x`
  return `${what} exceeds budget by factor of ${factor} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)`
}
