/** `$(VAR)` references in env values, command and args (third_party/forked/golang/expansion). Pure. */

/** `$$` is a literal `$`; what cannot be resolved stays as it was written. */
export function expandReferences(text: string, lookup: (name: string) => string | undefined): string {
  let out = ''
  for (let i = 0; i < text.length; i++) {
    const char = text[i] ?? ''
    if (char !== '$' || i + 1 >= text.length) {
      out += char
      continue
    }
    const next = text[i + 1] ?? ''
    if (next === '$') {
      out += '$'
      i++
    } else if (next === '(') {
      const end = text.indexOf(')', i + 2)
      if (end < 0) {
        out += '$('
        i++
        continue
      }
      const name = text.slice(i + 2, end)
      out += lookup(name) ?? `$(${name})`
      i = end
    } else {
      out += `$${next}`
      i++
    }
  }
  return out
}
