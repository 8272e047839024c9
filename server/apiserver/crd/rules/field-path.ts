/** JSON paths that name one field of a schema (apiextensions `cel.ValidFieldPath`): a rule's fieldPath, selectable fields. Pure. */
import type { SchemaNode } from '../schema/node.ts'

export type FieldPath =
  /** `path` as field paths are printed: `spec.map[key].x`; `first`: its first step. */
  | { ok: true; path: string; first: string; node: SchemaNode | undefined }
  | { ok: false; message: string }

export function parseFieldPath(text: string, root: SchemaNode, options: { arrayNotation: boolean } = { arrayNotation: true }): FieldPath {
  const tokens = tokensOf(text)
  let node: SchemaNode | undefined = root
  let path = ''
  let first = ''
  const fail = (message: string): FieldPath => ({ ok: false, message })
  const step = (name: string): string | undefined => {
    if (first === '') first = name
    if (node?.properties) {
      path = path === '' ? name : `${path}.${name}`
      node = node.properties[name]
      return node ? undefined : 'does not refer to a valid field'
    }
    if (node?.additional === undefined) return 'does not refer to a valid field'
    path = `${path}[${name}]`
    node = typeof node.additional === 'object' ? node.additional : undefined
    return undefined
  }
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]
    if (token !== '[' && token !== '.') return fail(`expected [ or . but got: ${token ?? ''}`)
    if (token === '[' && !options.arrayNotation) return fail('array notation is not allowed')
    const name = tokens[++i]
    if (name === undefined) return fail('unexpected end of JSON path')
    if (token === '.') {
      const problem = step(name)
      if (problem !== undefined) return fail(problem)
      continue
    }
    if (name.length < 2 || !name.startsWith("'") || !name.endsWith("'")) return fail(`expected single quoted string but got ${name}`)
    const unescaped = unescape(name.slice(1, -1))
    if (!unescaped.ok) return fail(`invalid string literal: invalid escape char ${unescaped.bad}`)
    const problem = step(unescaped.text)
    if (problem !== undefined) return fail(problem)
    const close = tokens[++i]
    if (close === undefined) return fail('unexpected end of JSON path')
    if (close !== ']') return fail(`expected ] but got ${close}`)
  }
  return { ok: true, path, first, node }
}

/** The delimiters `.`, `[` and `]`, quoted strings, and what stands between. */
function tokensOf(text: string): string[] {
  const tokens: string[] = []
  for (let at = 0; at < text.length;) {
    const rest = text.slice(at)
    const token = /^(?:[.[\]]|'(?:\\.|[^'])*'|'.*$|[^.[\]]+)/s.exec(rest)?.[0] ?? rest
    tokens.push(token)
    at += token.length
  }
  return tokens
}

const ESCAPES: Readonly<Record<string, string>> = { a: '\u0007', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v', "'": "'", '\\': '\\' }

function unescape(text: string): { ok: true; text: string } | { ok: false; bad: string } {
  let bad = ''
  const unescaped = text.replaceAll(/\\(.)/gs, (whole, c: string) => {
    const known = ESCAPES[c]
    if (known === undefined) bad = whole
    return known ?? ''
  })
  return bad === '' ? { ok: true, text: unescaped } : { ok: false, bad }
}
