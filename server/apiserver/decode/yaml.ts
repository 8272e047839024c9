/** YAML bodies as JSON values. What YAML can do beyond JSON is bounded or refused. */
import { CORE_SCHEMA, load, YAMLException } from 'js-yaml'

export interface YamlLimits {
  maxDepth: number
  /** Values after aliases are written out: an alias bomb is small text and a huge object. */
  maxValues: number
}

export type YamlResult = { ok: true; value: unknown; duplicates: string[] } | { ok: false; message: string }

const ALIASES_MAX = 1_000

/** One document. Aliased parts come out as copies. Duplicate keys are an error only when `strict`; else the last wins. */
export function parseYaml(text: string, limits: YamlLimits, strict: boolean): YamlResult {
  let value: unknown
  try {
    value = load(text, { schema: CORE_SCHEMA, maxDepth: limits.maxDepth, maxAliases: ALIASES_MAX, json: !strict })
  } catch (error) {
    if (error instanceof YAMLException) return { ok: false, message: `yaml: ${yamlMessage(error)}` }
    throw error
  }
  const budget = { left: limits.maxValues }
  const copied = copy(value, budget, limits.maxDepth)
  if (copied === TOO_MUCH) return { ok: false, message: 'yaml: document contains excessive aliasing' }
  return { ok: true, value: copied, duplicates: [] }
}

function yamlMessage(error: YAMLException): string {
  const reason: unknown = (error as { reason?: unknown }).reason
  const mark = (error as { mark?: { line?: unknown } }).mark
  const line = typeof mark?.line === 'number' ? `line ${mark.line + 1}: ` : ''
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
