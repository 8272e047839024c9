/** YAML bodies as JSON values. What YAML can do beyond JSON is bounded or refused. */
import { load, YAMLException } from 'js-yaml'
import { KUBERNETES_SCHEMA } from './yaml-scalars.ts'

export interface YamlLimits {
  maxDepth: number
  /** Values after aliases are written out: an alias bomb is small text and a huge object. */
  maxValues: number
}

export type YamlResult =
  /** `duplicates`: keys given again, in upstream's words. */
  | { ok: true; value: unknown; duplicates: string[] }
  | { ok: false; message: string }

const ALIASES_MAX = 1_000
/** Keys given again that are looked for; each costs a pass over the text. */
const DUPLICATES_MAX = 32
/** Longer ones are cut. */
const KEY_LENGTH_MAX = 256

/** One document. Aliased parts come out as copies. Of keys given again the last wins, and they are told of. */
export function parseYaml(text: string, limits: YamlLimits): YamlResult {
  const parse = (source: string, json: boolean): unknown => load(source, { schema: KUBERNETES_SCHEMA, maxDepth: limits.maxDepth, maxAliases: ALIASES_MAX, json })
  let value: unknown
  const duplicates: string[] = []
  try {
    try {
      value = parse(text, false)
    } catch (error) {
      if (!isDuplicate(error)) throw error
      value = parse(text, true)
      duplicates.push(...duplicateKeys(text, (source) => parse(source, false)))
    }
  } catch (error) {
    if (error instanceof YAMLException && (error as { reason?: unknown }).reason === EMPTY) return { ok: true, value: null, duplicates: [] }
    if (error instanceof YAMLException) return { ok: false, message: `yaml: ${yamlMessage(error)}` }
    throw error
  }
  const budget = { left: limits.maxValues }
  const copied = copy(value, budget, limits.maxDepth)
  if (copied === TOO_MUCH) return { ok: false, message: 'yaml: document contains excessive aliasing' }
  return { ok: true, value: copied, duplicates }
}

type Duplicate = YAMLException & { mark: { line: number; position: number } }

function isDuplicate(error: unknown): error is Duplicate {
  return error instanceof YAMLException && error.reason === 'duplicated mapping key' && typeof error.mark?.position === 'number'
}

/** The parser stops at the first one: it is given another name, and the parser told to go on. */
function duplicateKeys(text: string, parse: (source: string) => unknown): string[] {
  const found: string[] = []
  for (let source = text; found.length < DUPLICATES_MAX;) {
    try {
      parse(source)
      return found
    } catch (error) {
      if (!isDuplicate(error)) return found
      const { line, position } = error.mark
      const key = /^[^\s:"',{}[\]]+/.exec(source.slice(position, position + KEY_LENGTH_MAX))?.[0] ?? ''
      found.push(`line ${line + 1}: key ${JSON.stringify(key)} already set in map`)
      source = `${source.slice(0, position)}again${found.length}-${source.slice(position)}`
    }
  }
  return found
}

/** The parser's complaint of a text in which there is nothing; go-yaml takes that for null. */
const EMPTY = 'expected a document, but the input is empty'
const MISPLACED = 'mapping values are not allowed in this context'
/** What go-yaml says of the same. */
const GO_WORDS: Readonly<Record<string, string>> = { 'unexpected end of the stream within a flow collection': 'did not find expected node content', 'null byte is not allowed in input': 'control characters are not allowed', 'bad indentation of a mapping entry': MISPLACED }

function yamlMessage(error: YAMLException): string {
  const said: unknown = (error as { reason?: unknown }).reason
  const reason = typeof said === 'string' ? (GO_WORDS[said] ?? said) : said
  // It reads characters before lines.
  if (reason === 'control characters are not allowed') return reason
  const mark = (error as { mark?: { line?: unknown } }).mark
  // Its scanner tells no first line.
  const line = typeof mark?.line === 'number' && !(mark.line === 0 && reason === MISPLACED) ? `line ${mark.line + 1}: ` : ''
  return `${line}${typeof reason === 'string' ? reason : error.message}`
}

const TOO_MUCH = Symbol('too much')

function copy(value: unknown, budget: { left: number }, depth: number): unknown {
  if (--budget.left < 0 || depth < 0) return TOO_MUCH
  if (typeof value !== 'object' || value === null) return typeof value === 'number' && !Number.isFinite(value) ? null : value
  if (Array.isArray(value)) {
    const list: unknown[] = []
    for (const item of value as unknown[]) {
      const next = copy(item, budget, depth - 1)
      if (next === TOO_MUCH) return TOO_MUCH
      list.push(next)
    }
    return list
  }
  const entries: [string, unknown][] = []
  for (const [key, item] of Object.entries(value)) {
    const next = copy(item, budget, depth - 1)
    if (next === TOO_MUCH) return TOO_MUCH
    entries.push([key, next])
  }
  return Object.fromEntries(entries)
}
