/**
 * Label selectors: the string form of query parameters and the LabelSelector object, compiled to one matcher that the
 * API server, controllers and scheduler share. Messages are those of apimachinery `labels` and `metav1/validation`.
 */
import type { LabelSelector } from './generated/models.ts'
import { checkLabelValue, checkQualifiedName } from './names.ts'

export type Labels = Readonly<Record<string, string>>

export type LabelOperator = '=' | '==' | '!=' | 'in' | 'notin' | 'exists' | '!' | 'gt' | 'lt'

export interface LabelRequirement {
  readonly key: string
  readonly operator: LabelOperator
  /** Sorted, without repeats; empty for `exists` and `!`. */
  readonly values: readonly string[]
}

/** Requirements that must all hold; none: everything matches. */
export interface LabelMatcher {
  readonly requirements: readonly LabelRequirement[]
  matches(labels: Labels | undefined): boolean
}

export type SelectorResult<T> = { ok: true; selector: T } | { ok: false; message: string }

export const EVERYTHING: LabelMatcher = { requirements: [], matches: () => true }
export const NOTHING: LabelMatcher = { requirements: [], matches: () => false }

/** As the query parameter `labelSelector`. '' and undefined match everything. */
export function parseLabelSelector(text: string | undefined): SelectorResult<LabelMatcher> {
  if (text === undefined || text === '') return { ok: true, selector: EVERYTHING }
  try {
    return { ok: true, selector: compileRequirements(new Parser(text).requirements()) }
  } catch (error) {
    if (error instanceof SelectorSyntaxError) return { ok: false, message: error.message }
    throw error
  }
}

/**
 * As `metav1.LabelSelectorAsSelector`: undefined matches nothing, empty matches everything. Throws a RangeError on an
 * operator nobody knows, which validation keeps out of the store.
 */
export function compileLabelSelector(selector: LabelSelector | undefined): LabelMatcher {
  if (!selector) return NOTHING
  const requirements: LabelRequirement[] = Object.entries(selector.matchLabels ?? {}).map(([key, value]) => ({ key, operator: '=', values: [value] }))
  for (const { key, operator, values } of selector.matchExpressions ?? []) {
    const known = Object.hasOwn(OBJECT_OPERATORS, operator) ? OBJECT_OPERATORS[operator] : undefined
    if (!known) throw new RangeError(`${JSON.stringify(operator)} is not a valid label selector operator`)
    requirements.push({ key, operator: known, values: sortedUnique(values ?? []) })
  }
  return compileRequirements(requirements)
}

/** A plain map, as in Service.spec.selector: empty or undefined matches everything, the caller decides what that means. */
export function matchesSet(wanted: Labels | undefined, labels: Labels | undefined): boolean {
  for (const key in wanted) if (!labels || !Object.hasOwn(labels, key) || labels[key] !== wanted[key]) return false
  return true
}

export function compileRequirements(requirements: readonly LabelRequirement[]): LabelMatcher {
  if (requirements.length === 0) return EVERYTHING
  const tests = requirements.map(compileOne)
  return { requirements, matches: (labels) => tests.every((test) => test(labels ?? {})) }
}

/** Canonical text, as upstream prints it (status.selector of /scale, kubectl's listing). */
export function formatLabelSelector(matcher: LabelMatcher): string {
  return matcher.requirements.toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)).map(formatRequirement).join(',')
}

/** `metav1.FormatLabelSelector`: what `kubectl get -o wide` shows in the SELECTOR column. */
export function describeLabelSelector(selector: LabelSelector | undefined): string {
  const isKnown = (selector?.matchExpressions ?? []).every(({ operator }) => Object.hasOwn(OBJECT_OPERATORS, operator))
  if (!isKnown) return '<error>'
  return (selector && formatLabelSelector(compileLabelSelector(selector))) || '<none>'
}

/** A single requirement, as node affinity's match expressions use it. Undefined key: does not hold but for negations. */
export function matchesRequirement(requirement: LabelRequirement, labels: Labels | undefined): boolean {
  return compileOne(requirement)(labels ?? {})
}

/** The names of LabelSelector's and NodeSelector's operators, mapped to ours. */
export const OBJECT_OPERATORS: Readonly<Record<string, LabelOperator>> = { In: 'in', NotIn: 'notin', Exists: 'exists', DoesNotExist: '!', Gt: 'gt', Lt: 'lt' }

function compileOne({ key, operator, values }: LabelRequirement): (labels: Labels) => boolean {
  const has = (labels: Labels): boolean => Object.hasOwn(labels, key) && labels[key] !== undefined
  const among = values.length > 8 ? new Set(values) : { has: (v: string) => values.includes(v) }
  switch (operator) {
    case '=':
    case '==':
    case 'in':
      return (labels) => has(labels) && among.has(labels[key] ?? '')
    case '!=':
    case 'notin':
      return (labels) => !has(labels) || !among.has(labels[key] ?? '')
    case 'exists':
      return has
    case '!':
      return (labels) => !has(labels)
    case 'gt':
    case 'lt': {
      const bound = parseInt64(values[0])
      return (labels) => {
        const actual = has(labels) ? parseInt64(labels[key]) : undefined
        if (actual === undefined || bound === undefined || values.length !== 1) return false
        return operator === 'gt' ? actual > bound : actual < bound
      }
    }
  }
}

function parseInt64(text: string | undefined): bigint | undefined {
  if (text === undefined || !/^[+-]?\d{1,19}$/.test(text)) return undefined
  const value = BigInt(text.startsWith('+') ? text.slice(1) : text)
  return BigInt.asIntN(64, value) === value ? value : undefined
}

function formatRequirement({ key, operator, values }: LabelRequirement): string {
  switch (operator) {
    case '!': return `!${key}`
    case 'exists': return key
    case '=':
    case '==':
    case '!=': return `${key}${operator}${values[0] ?? ''}`
    case 'gt': return `${key}>${values[0] ?? ''}`
    case 'lt': return `${key}<${values[0] ?? ''}`
    case 'in':
    case 'notin': return `${key} ${operator} (${values.toSorted().join(',')})`
  }
}

const sortedUnique = (values: readonly string[]): string[] => [...new Set(values)].sort()

class SelectorSyntaxError extends Error {}

const SYMBOLS = ['==', '!=', '=', '!', '(', ')', ',', '>', '<']
const BINARY_OPERATORS = ['in', 'notin', '=', '==', '!=', 'gt', 'lt']

interface Token { text: string; kind: 'identifier' | 'symbol' | 'end' }

/** Recursive descent over upstream's grammar; `in` and `notin` are words only where an operator may stand. */
class Parser {
  readonly #tokens: Token[]
  #at = 0

  constructor(text: string) {
    this.#tokens = tokenize(text)
  }

  requirements(): LabelRequirement[] {
    const out: LabelRequirement[] = []
    for (;;) {
      const token = this.#peek()
      if (token.kind === 'end') break
      if (token.kind !== 'identifier' && token.text !== '!') throw new SelectorSyntaxError(`found '${token.text}', expected: !, identifier, or 'end of string'`)
      out.push(this.#requirement())
      const after = this.#next()
      if (after.kind === 'end') break
      if (after.text !== ',' || after.kind !== 'symbol') throw new SelectorSyntaxError(`found '${after.text}', expected: ',' or 'end of string'`)
      const following = this.#peek()
      if (following.kind !== 'identifier' && following.text !== '!') throw new SelectorSyntaxError(`found '${following.text}', expected: identifier after ','`)
    }
    return out.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
  }

  #requirement(): LabelRequirement {
    try {
      return this.#parseOne()
    } catch (error) {
      if (error instanceof SelectorSyntaxError) throw new SelectorSyntaxError(`unable to parse requirement: ${error.message}`)
      throw error
    }
  }

  #parseOne(): LabelRequirement {
    let token = this.#next()
    const negated = token.kind === 'symbol' && token.text === '!'
    if (negated) token = this.#next()
    if (token.kind !== 'identifier') throw new SelectorSyntaxError(`found '${token.text}', expected: identifier`)
    const key = token.text
    const keyProblems = checkQualifiedName(key)
    if (keyProblems.length > 0) throw new SelectorSyntaxError(`<nil>: Invalid value: ${JSON.stringify(key)}: ${keyProblems.join('; ')}`)
    // Upstream reads what follows `!key` only as the end of the requirement.
    if (negated) return { key, operator: '!', values: [] }
    const following = this.#peek()
    if (following.kind === 'end' || (following.kind === 'symbol' && following.text === ',')) return { key, operator: 'exists', values: [] }
    return checked({ key, ...this.#restriction() })
  }

  #restriction(): { operator: LabelOperator; values: string[] } {
    const token = this.#next()
    if (token.kind === 'identifier' && (token.text === 'in' || token.text === 'notin')) return { operator: token.text, values: this.#set() }
    if (token.kind === 'symbol' && (token.text === '=' || token.text === '==' || token.text === '!=')) return { operator: token.text, values: this.#exact() }
    if (token.kind === 'symbol' && token.text === '>') return { operator: 'gt', values: this.#exact() }
    if (token.kind === 'symbol' && token.text === '<') return { operator: 'lt', values: this.#exact() }
    throw new SelectorSyntaxError(`found '${token.text}', expected: ${BINARY_OPERATORS.join(', ')}`)
  }

  #exact(): string[] {
    const token = this.#peek()
    if (token.kind === 'end' || (token.kind === 'symbol' && token.text === ',')) return ['']
    this.#next()
    if (token.kind !== 'identifier') throw new SelectorSyntaxError(`found '${token.text}', expected: identifier`)
    return [token.text]
  }

  /** `(a,,b)` holds the empty string too. */
  #set(): string[] {
    const open = this.#next()
    if (open.text !== '(') throw new SelectorSyntaxError(`found '${open.text}' expected: '('`)
    const values: string[] = []
    let afterComma = true
    for (;;) {
      const token = this.#next()
      if (token.kind === 'symbol' && token.text === ')') {
        if (afterComma) values.push('')
        return sortedUnique(values)
      }
      if (token.kind === 'symbol' && token.text === ',') {
        if (afterComma) values.push('')
        afterComma = true
      } else if (token.kind === 'identifier') {
        if (!afterComma) throw new SelectorSyntaxError(`found '${token.text}', expected: ',' or ')'`)
        values.push(token.text)
        afterComma = false
      } else {
        throw new SelectorSyntaxError(afterComma ? `found '${token.text}', expected: ',', ')' or identifier` : `found '${token.text}', expected: ',' or ')'`)
      }
    }
  }

  #peek(): Token { return this.#tokens[this.#at] ?? END }
  #next(): Token { return this.#tokens[this.#at++] ?? END }
}

const END: Token = { text: '', kind: 'end' }

function tokenize(text: string): Token[] {
  const out: Token[] = []
  for (let at = 0; at < text.length;) {
    const char = text[at] ?? ''
    if (' \t\r\n'.includes(char)) { at++; continue }
    const symbol = SYMBOLS.find((s) => text.startsWith(s, at))
    if (symbol) {
      out.push({ text: symbol, kind: 'symbol' })
      at += symbol.length
      continue
    }
    let end = at
    while (end < text.length && !' \t\r\n=!(),><'.includes(text[end] ?? '')) end++
    out.push({ text: text.slice(at, end), kind: 'identifier' })
    at = end
  }
  return out
}

function checked(requirement: LabelRequirement): LabelRequirement {
  const problems = requirement.values.flatMap((value, i) => {
    const at = `values[${i}][${requirement.key}]`
    const found = checkLabelValue(value)
    const isNoNumber = (requirement.operator === 'gt' || requirement.operator === 'lt') && parseInt64(value) === undefined
    return [
      ...(isNoNumber ? [`values[${i}]: Invalid value: ${JSON.stringify(value)}: for 'Gt', 'Lt' operators, the value must be an integer`] : []),
      ...(found.length > 0 ? [`${at}: Invalid value: ${JSON.stringify(value)}: ${found.join('; ')}`] : []),
    ]
  })
  if (problems.length === 0) return requirement
  throw new SelectorSyntaxError(problems.length === 1 ? (problems[0] ?? '') : `[${problems.join(', ')}]`)
}
