/**
 * All x-kubernetes-validations of a schema: compiled once, run over an object and, for transition rules, what it was before
 * (apiextensions `schema/cel`). Pure but for what is compiled when it is first needed.
 */
import { schemaToCelType, escapeName, type CelType } from '#api/cel/index.ts'
import { Optional } from '#api/cel/value.ts'
import { fromJson } from '#api/cel/json-value.ts'
import type { FieldError } from '../../field-error.ts'
import { canonicalJson } from '../canonical-json.ts'
import { Correlation } from '../schema/correlation.ts'
import { isJsonObject, type Json, type SchemaNode } from '../schema/node.ts'
import { compileRules, type CompiledRule } from './compile-rules.ts'
import { schemaOfNode } from './schema-of-node.ts'

/** Cost of all rules of one request (apis/cel/config.go). */
export const RUNTIME_COST_BUDGET = 10_000_000
const MESSAGE_BYTES_MAX = 5 * 1024

/** Rules at a place and below it. */
interface Place {
  node: SchemaNode
  rules: readonly CompiledRule[]
  usesOldSelf: boolean
  type: CelType | undefined
  items: Place | undefined
  additional: Place | undefined
  properties: ReadonlyMap<string, Place>
  allOf: readonly Place[]
}

export class RuleSet {
  readonly #root: Place

  private constructor(root: Place) { this.#root = root }

  /** Undefined: the schema has no rules. `isResource`: kind, apiVersion and metadata.name are there for rules to see. */
  static of(node: SchemaNode, isResource: boolean): RuleSet | undefined {
    if (!hasRules(node)) return undefined
    const place = placeOf(node, node, schemaToCelType(schemaOfNode(node), { name: 'selfType', resourceRoot: isResource }))
    return place && new RuleSet(place)
  }

  /** `path`: of the value, when it is not the object. `ratchet` false: what did not change is judged as well. */
  validate(value: unknown, old: unknown, node: SchemaNode, options: { path?: string; ratchet?: boolean; /** Told of what is let pass because it was so before. */ stood?: FieldError[] } = {}): FieldError[] {
    const run = new Run()
    run.place(this.#root, value, old, options.path ?? '', options.ratchet !== false && old !== undefined ? { current: new Correlation(value, old, node), parent: undefined } : NOWHERE)
    options.stood?.push(...run.stood)
    return run.errors
  }
}

const known = new WeakMap<SchemaNode, boolean>()

function hasRules(node: SchemaNode): boolean {
  const cached = known.get(node)
  if (cached !== undefined) return cached
  const below = [...Object.values(node.properties ?? {}), ...(node.items ? [node.items] : []), ...(typeof node.additional === 'object' ? [node.additional] : []), ...(node.checks?.allOf ?? [])]
  const found = node.rules !== undefined || below.some(hasRules)
  known.set(node, found)
  return found
}

/** `from`: where rules are read; `node`: the structural schema there (they differ inside allOf). */
function placeOf(from: SchemaNode, node: SchemaNode, type: CelType | undefined): Place | undefined {
  if (!hasRules(from)) return undefined
  const rules = from.rules && type ? compileRules(from.rules, node, type) : []
  const properties = new Map<string, Place>()
  for (const name of Object.keys(from.properties ?? {})) {
    const below = node.properties?.[name]
    const place = below && placeOf((from.properties as Record<string, SchemaNode>)[name] as SchemaNode, below, fieldType(type, name, below))
    if (place) properties.set(name, place)
  }
  return {
    node, rules, type, properties, usesOldSelf: rules.some((rule) => rule.usesOldSelf),
    items: from.items && node.items && placeOf(from.items, node.items, type?.kind === 'list' ? type.element : undefined),
    additional: typeof from.additional === 'object' && typeof node.additional === 'object' ? placeOf(from.additional, node.additional, type?.kind === 'map' ? type.value : undefined) : undefined,
    allOf: (from.checks?.allOf ?? []).flatMap((nested) => placeOf(nested, node, type) ?? []),
  }
}

/** Undefined: rules cannot see the field, nor run at it. */
function fieldType(type: CelType | undefined, name: string, node: SchemaNode): CelType | undefined {
  const escaped = escapeName(name)
  if (escaped === undefined) return schemaToCelType(schemaOfNode(node), { resourceRoot: node.embedded })
  return type?.kind === 'object' ? type.field(escaped)?.type : undefined
}

/** Whether a failure may stand because nothing changed: at the place, or at the nearest ancestor whose old value can be told. */
interface Ratchet { current: Correlation | undefined; parent: Correlation | undefined }

const NOWHERE: Ratchet = { current: undefined, parent: undefined }
const mayStand = ({ current, parent }: Ratchet): boolean => (current ?? parent)?.isUnchanged ?? false

function below(ratchet: Ratchet, step: { key: string } | { index: number }): Ratchet {
  const { current, parent } = ratchet
  if (!current) return ratchet
  if ('index' in step) return { current: current.index(step.index), parent: current }
  return parent === undefined && (step.key === 'apiVersion' || step.key === 'kind') ? NOWHERE : { current: current.key(step.key), parent: current }
}

class Run {
  readonly errors: FieldError[] = []
  /** What was let pass because it was so before. */
  readonly stood: FieldError[] = []
  /** Below zero: nothing more is run. */
  #budget = RUNTIME_COST_BUDGET

  place(place: Place, value: unknown, old: unknown, path: string, ratchet: Ratchet): void {
    // Only what is there is judged: the rules around a nullable value see its null.
    if (value === null || value === undefined || this.#budget < 0) return
    this.#rules(place, value, old ?? undefined, path, ratchet)
    for (const nested of place.allOf) this.place(nested, value, old, path, { current: undefined, parent: ratchet.parent })
    if (Array.isArray(value)) this.#items(place, value as unknown[], old, path, ratchet)
    else if (isJsonObject(value)) this.#members(place, value, old, path, ratchet)
  }

  #items(place: Place, items: readonly unknown[], old: unknown, path: string, ratchet: Ratchet): void {
    if (!place.items) return
    const pairs = new Correlation(items, old, place.node)
    for (const [i, item] of items.entries()) this.place(place.items, item, pairs.index(i)?.old, `${path}[${i}]`, below(ratchet, { index: i }))
  }

  #members(place: Place, object: Json, old: unknown, path: string, ratchet: Ratchet): void {
    const before = isJsonObject(old) ? old : {}
    for (const key of Object.keys(object)) {
      const member = place.properties.get(key)
      const at = member ?? place.additional
      if (!at) continue
      this.place(at, object[key], Object.hasOwn(before, key) ? before[key] : undefined, member ? child(path, key) : `${path}[${key}]`, below(ratchet, { key }))
    }
  }

  #rules(place: Place, value: unknown, old: unknown, path: string, ratchet: Ratchet): void {
    const { rules, type, node } = place
    if (rules.length === 0 || !type) return
    if (this.#budget <= 0) return this.#overBudget(path, node)
    const self = fromJson(value, type)
    const oldSelf = old === undefined ? undefined : fromJson(old, type)
    for (const compiled of rules) {
      const { rule } = compiled
      if (compiled.error !== undefined) {
        this.#tell(path, node.type, `rule compile error: ${compiled.error}`)
        continue
      }
      if (!compiled.program || (compiled.usesOldSelf && old === undefined && !rule.optionalOldSelf)) continue
      const bindings = { self, oldSelf: rule.optionalOldSelf ? (oldSelf === undefined ? Optional.none : new Optional(oldSelf)) : oldSelf }
      const outcome = compiled.program.evaluate(bindings)
      if (outcome.cost > this.#budget) return this.#overBudget(path, node)
      this.#budget -= outcome.cost
      if (!outcome.ok && outcome.kind === 'cost') {
        this.#budget = -1
        return this.#tell(path, node.type, `'${outcome.error}': no further validation rules will be run due to call cost exceeds limit for rule: ${shownRule(compiled)}`)
      }
      if (!outcome.ok) {
        const odd = outcome.error.startsWith('no such overload')
        this.#tell(path, node.type, odd ? `'${outcome.error}': call arguments did not match a supported operator, function or macro signature for rule: ${shownRule(compiled)}` : `${outcome.error} evaluating rule: ${shownRule(compiled)}`)
      } else if (outcome.value !== true) {
        this.#failed(compiled, place, value, bindings, path, ratchet)
        if (this.#budget < 0) return
      }
    }
  }

  #failed(compiled: CompiledRule, { node }: Place, value: unknown, bindings: Readonly<Record<string, unknown>>, path: string, ratchet: Ratchet): void {
    const at = compiled.fieldPath === '' ? path : compiled.fieldPath.startsWith('[') ? path + compiled.fieldPath : child(path, compiled.fieldPath)
    const stands = !compiled.usesOldSelf && mayStand(ratchet)
    const told = this.#message(compiled, bindings)
    if ('fatal' in told) {
      this.#budget = -1
      if (!stands) this.#tell(at, node.type, told.fatal)
      return
    }
    const error = failure(at, node.type === 'object' || node.type === 'array' ? undefined : value, told.text, compiled.rule.reason)
    if (stands) this.stood.push(error)
    else this.errors.push(error)
  }

  #message({ message, rule }: CompiledRule, bindings: Readonly<Record<string, unknown>>): { text: string } | { fatal: string } {
    const usual = { text: rule.message ? rule.message.trim() : `failed rule: ${rule.rule.trim()}` }
    if (!message) return usual
    const outcome = message.evaluate(bindings)
    if (outcome.cost > this.#budget) return { fatal: 'messageExpression evaluation failed due to running out of cost budget, no further validation rules will be run' }
    if (!outcome.ok && outcome.kind === 'cost') return { fatal: `no further validation rules will be run due to call cost exceeds limit for messageExpression: ${JSON.stringify(rule.messageExpression)}` }
    this.#budget -= outcome.cost
    const text = outcome.ok && typeof outcome.value === 'string' ? outcome.value.trim() : ''
    return text === '' || text.includes('\n') || Buffer.byteLength(text) > MESSAGE_BYTES_MAX ? usual : { text }
  }

  #overBudget(path: string, node: SchemaNode): void {
    this.#budget = -1
    this.#tell(path, node.type, 'validation failed due to running out of cost budget, no further validation rules will be run')
  }

  #tell(path: string, type: string, detail: string): void {
    this.errors.push({ type: 'FieldValueInvalid', field: path === '' ? '<nil>' : path, message: `Invalid value: ${JSON.stringify(type)}: ${detail}` })
  }
}

const child = (path: string, key: string): string => (path === '' ? key : `${path}.${key}`)
const shownRule = ({ rule }: CompiledRule): string => (rule.message || rule.rule).trim()

/** `value` undefined: it is too large to be shown. */
function failure(path: string, value: unknown, detail: string, reason: string | undefined): FieldError {
  const field = path === '' ? '<nil>' : path
  const shown = value === undefined ? '' : `: ${canonicalJson(value)}`
  switch (reason) {
    case 'FieldValueForbidden': return { type: reason, field, message: `Forbidden: ${detail}` }
    case 'FieldValueRequired': return { type: reason, field, message: `Required value: ${detail}` }
    case 'FieldValueDuplicate': return { type: reason, field, message: `Duplicate value${shown}` }
    default: return { type: 'FieldValueInvalid', field, message: `Invalid value${shown}: ${detail}` }
  }
}
