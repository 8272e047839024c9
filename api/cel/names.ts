/** Property names as CEL identifiers and back: CEL has reserved words and no `-`, `.` or `/` in names (Kubernetes' escaping). */

export const RESERVED: ReadonlySet<string> = new Set([
  'true', 'false', 'null', 'in', 'as', 'break', 'const', 'continue', 'else', 'for', 'function', 'if', 'import', 'let', 'loop', 'package', 'namespace', 'return', 'var', 'void', 'while',
])
const IDENTIFIER = /^[a-zA-Z_][a-zA-Z0-9_]*$/
const WORDS: Readonly<Record<string, string>> = { '__': '__underscores__', '.': '__dot__', '-': '__dash__', '/': '__slash__' }
const BACK: Readonly<Record<string, string>> = { __underscores__: '__', __dot__: '.', __dash__: '-', __slash__: '/' }

/** Undefined: no expression can name the property. */
export function escapeName(name: string): string | undefined {
  if (RESERVED.has(name)) return `__${name}__`
  if (!/^[a-zA-Z_.\-/][a-zA-Z0-9_.\-/]*$/.test(name)) return undefined
  const escaped = name.replace(/__|[.\-/]/g, (found) => WORDS[found] as string)
  return IDENTIFIER.test(escaped) ? escaped : undefined
}

/** Undefined for what `escapeName` never returns. */
export function unescapeName(name: string): string | undefined {
  const reserved = /^__([a-z]+)__$/.exec(name)?.[1]
  if (reserved !== undefined && RESERVED.has(reserved)) return reserved
  let fits = true
  const text = name.replace(/__(?:underscores|dot|dash|slash)__|__/g, (found) => {
    const original = BACK[found]
    if (original === undefined) fits = false
    return original ?? ''
  })
  return fits ? text : undefined
}
