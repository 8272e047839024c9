/**
 * JSONPath as client-go's `util/jsonpath` reads it, for printer columns and selectable fields: fields (dots may be escaped or the name
 * quoted in brackets), indexes and slices, `*`, `..`, unions, and filters that compare. Missing keys find nothing. Pure.
 */
import { isJsonObject } from './schema/node.ts'

export type Parsed = { ok: true; find: (value: unknown) => unknown[] } | { ok: false; message: string }

type Step = (values: readonly unknown[]) => unknown[]

/** `.spec.x`: the path without the braces around it. */
export function parseJsonPath(text: string): Parsed {
  try {
    const steps = new PathParser(text).whole()
    return { ok: true, find: (value) => run(steps, [value]) }
  } catch (error) {
    if (error instanceof PathError) return { ok: false, message: error.message }
    throw error
  }
}

class PathError extends Error {}

const run = (steps: readonly Step[], values: readonly unknown[]): unknown[] => steps.reduce<readonly unknown[]>((found, step) => step(found), values) as unknown[]

const NAME_BEGINS = /^[\p{L}\p{Nd}_+\-'" ]/u

/** Paths nested in filters, deeper than anybody writes. */
const DEPTH_MAX = 20

class PathParser {
  readonly #text: string
  #at = 0
  readonly #depth: number

  constructor(text: string, depth = 0) {
    if (depth > DEPTH_MAX) throw new PathError('the path is nested too deep')
    this.#text = text
    this.#depth = depth
  }

  whole(): Step[] {
    const steps: Step[] = []
    if (/^[$@]/.test(this.#text)) this.#at++
    while (this.#at < this.#text.length) steps.push(this.#step())
    return steps
  }

  #step(): Step {
    const rest = this.#text.slice(this.#at)
    if (rest.startsWith('..')) {
      this.#at += this.#text[this.#at + 2] === '[' || this.#at + 2 >= this.#text.length ? 2 : 1
      return recursive
    }
    if (rest[0] === '.') {
      this.#at++
      return this.#text[this.#at] === '[' || this.#at >= this.#text.length ? (values) => [...values] : this.#name()
    }
    if (rest[0] === '[') return this.#bracket()
    const isFirst = this.#at === 0 || (this.#at === 1 && /^[$@]/.test(this.#text))
    if (isFirst && NAME_BEGINS.test(rest)) return this.#name()
    throw new PathError(`unrecognized character in action: U+${(rest.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')} '${rest[0] ?? ''}'`)
  }

  #name(): Step {
    let name = ''
    for (; this.#at < this.#text.length; this.#at++) {
      const c = this.#text[this.#at] as string
      if (c === '\\') name += this.#text[++this.#at] ?? ''
      else if ('.[|, \t\n{}()@$='.includes(c)) break
      else name += c
    }
    if (name === '') throw new PathError('unexpected end of field name')
    return name === '*' ? wildcard : field(name)
  }

  #bracket(): Step {
    const end = closing(this.#text, this.#at)
    if (end < 0) throw new PathError('unterminated array')
    const inside = this.#text.slice(this.#at + 1, end).trim()
    this.#at = end + 1
    if (inside.startsWith('?(')) {
      if (!inside.endsWith(')')) throw new PathError('unterminated filter')
      return this.#filter(inside.slice(2, -1))
    }
    const members = splitOutside(inside, ',')
    const steps = members.map((member) => this.#member(member.trim()))
    return steps.length === 1 ? (steps[0] as Step) : (values) => steps.flatMap((step) => step(values))
  }

  #member(text: string): Step {
    const quoted = /^(['"])(.*)\1$/s.exec(text)
    if (quoted) return field((quoted[2] as string).replaceAll(/\\(.)/gs, '$1'))
    if (text === '*') return wildcard
    const numbers = /^(-?\d*)(?:(:)(-?\d*))?(?:(:)(-?\d*))?$/.exec(text)
    if (!numbers || text === '') throw new PathError(`invalid array index ${text}`)
    const [, from = '', isSlice, to = '', , by = ''] = numbers
    return isSlice === undefined ? element(Number(from)) : slice(from, to, by)
  }

  #filter(text: string): Step {
    const found = /^(.*?)(==|!=|<=|>=|<|>)(.*)$/s.exec(stripQuoted(text))
    const at = found ? (found[1] as string).length : -1
    const operator = found?.[2]
    const left = this.#operand(operator === undefined ? text : text.slice(0, at))
    if (operator === undefined) return (values) => values.flatMap(itemsOf).filter((item) => left(item).length > 0)
    const right = this.#operand(text.slice(at + operator.length))
    return (values) => values.flatMap(itemsOf).filter((item) => {
      const [a, b] = [left(item), right(item)]
      return a.length > 0 && b.length > 0 && compare(a[0], b[0], operator)
    })
  }

  #operand(text: string): (item: unknown) => unknown[] {
    const trimmed = text.trim()
    const quoted = /^(['"])(.*)\1$/s.exec(trimmed)
    if (quoted) return () => [(quoted[2] as string).replaceAll(/\\(.)/gs, '$1')]
    if (/^-?\d+(?:\.\d+)?$/.test(trimmed)) return () => [Number(trimmed)]
    if (trimmed === 'true' || trimmed === 'false') return () => [trimmed === 'true']
    const steps = new PathParser(trimmed, this.#depth + 1).whole()
    return (item) => run(steps, [item])
  }
}

/** The bracket that closes the one at `at`; -1: none. */
function closing(text: string, at: number): number {
  let depth = 0
  let quote = ''
  for (let i = at; i < text.length; i++) {
    const c = text[i] as string
    if (c === '\\') i++
    else if (quote !== '') quote = c === quote ? '' : quote
    else if (c === '"' || c === "'") quote = c
    else if (c === '[') depth++
    else if (c === ']' && --depth === 0) return i
  }
  return -1
}

/** The same text with what is quoted blanked out: for finding operators. */
const stripQuoted = (text: string): string => text.replaceAll(/(["'])(?:\\.|(?!\1).)*\1/gs, (q) => ' '.repeat(q.length))

function splitOutside(text: string, separator: string): string[] {
  const bare = stripQuoted(text)
  const parts: string[] = []
  let start = 0
  for (let i = 0; i <= bare.length; i++) {
    if (i < bare.length && bare[i] !== separator) continue
    parts.push(text.slice(start, i))
    start = i + 1
  }
  return parts
}

const field = (name: string): Step => (values) => values.flatMap((value) => (isJsonObject(value) && Object.hasOwn(value, name) ? [value[name]] : []))
const itemsOf = (value: unknown): unknown[] => (Array.isArray(value) ? (value as unknown[]) : [])
const membersOf = (value: unknown): unknown[] => (Array.isArray(value) ? (value as unknown[]) : isJsonObject(value) ? Object.keys(value).sort().map((key) => value[key]) : [])
const wildcard: Step = (values) => values.flatMap(membersOf)
const recursive: Step = (values) => values.flatMap((value) => [value, ...recursive(membersOf(value))])

const element = (index: number): Step => (values) => values.flatMap((value) => {
  const list = itemsOf(value)
  const at = index < 0 ? list.length + index : index
  return at >= 0 && at < list.length ? [list[at]] : []
})

function slice(from: string, to: string, by: string): Step {
  const step = by === '' ? 1 : Number(by)
  return (values) => values.flatMap((value) => itemsOf(value).slice(from === '' ? 0 : Number(from), to === '' ? undefined : Number(to)).filter((_, i) => step > 0 && i % step === 0))
}

function compare(a: unknown, b: unknown, operator: string): boolean {
  if (operator === '==') return a === b
  if (operator === '!=') return a !== b
  if (typeof a !== typeof b || (typeof a !== 'number' && typeof a !== 'string')) return false
  const [x, y] = [a, b as typeof a]
  switch (operator) {
    case '<': return x < y
    case '<=': return x <= y
    case '>': return x > y
    default: return x >= y
  }
}
