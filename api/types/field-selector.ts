/** Field selectors (`metadata.name=x,status.phase!=Running`): upstream's syntax, escapes and messages. */
export interface FieldTerm {
  readonly field: string
  readonly negated: boolean
  readonly value: string
}

export interface FieldMatcher {
  readonly terms: readonly FieldTerm[]
  /** `read` yields a field's text, '' when it is not set. */
  matches(read: (field: string) => string): boolean
}

export type FieldSelectorResult = { ok: true; selector: FieldMatcher } | { ok: false; message: string }

/** '' and undefined match everything. Whether a field is selectable is for the kind to say. */
export function parseFieldSelector(text: string | undefined): FieldSelectorResult {
  const terms: FieldTerm[] = []
  for (const part of splitTerms(text ?? '').sort()) {
    if (part === '') continue
    const split = /^(.*?)(!=|==|=)(.*)$/s.exec(part)
    if (!split) return { ok: false, message: `invalid selector: '${text ?? ''}'; can't understand '${part}'` }
    const value = unescape(split[3] ?? '')
    if (!value.ok) return value
    terms.push({ field: split[1] ?? '', negated: split[2] === '!=', value: value.text })
  }
  return { ok: true, selector: { terms, matches: (read) => terms.every((t) => (read(t.field) === t.value) !== t.negated) } }
}

/** Makes a value safe to stand in a field selector. */
export function escapeFieldValue(value: string): string {
  return value.replace(/[\\,=]/g, (c) => `\\${c}`)
}

/** The value the selector pins `field` to (`metadata.name=x`): lets a list be answered by one get. */
export function requiredFieldValue(selector: FieldMatcher, field: string): string | undefined {
  return selector.terms.find((t) => t.field === field && !t.negated)?.value
}

/** At commas that no backslash precedes; the backslashes stay in the terms. */
function splitTerms(text: string): string[] {
  const terms: string[] = []
  let start = 0
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === ',') {
      terms.push(text.slice(start, at))
      start = at + 1
    }
  }
  return [...terms, text.slice(start)]
}

function unescape(text: string): { ok: true; text: string } | { ok: false; message: string } {
  let out = ''
  for (let at = 0; at < text.length; at++) {
    const char = text[at] ?? ''
    if (char === '\\') {
      const following = text[at + 1] ?? ''
      if (!['\\', ',', '='].includes(following)) return { ok: false, message: `invalid field selector: invalid escape sequence: \\${following}` }
      out += following
      at++
    } else if (char === ',' || char === '=') {
      // Upstream prints the rune's number here.
      return { ok: false, message: `invalid field selector: unescaped character in value: ${char.charCodeAt(0)}` }
    } else {
      out += char
    }
  }
  return { ok: true, text: out }
}
