/** Text as Go's `%q` prints it, which is how upstream's messages show what they were sent. */

const PRINTABLE_ASCII = /^[ -~]*$/
/** As strconv.IsPrint: letters, marks, numbers, punctuation, symbols, and of spaces the plain one. */
const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u
const NAMED: Readonly<Record<string, string>> = { '"': String.raw`\"`, '\\': String.raw`\\`, '\u0007': String.raw`\a`, '\b': String.raw`\b`, '\f': String.raw`\f`, '\n': String.raw`\n`, '\r': String.raw`\r`, '\t': String.raw`\t`, '\v': String.raw`\v` }

export function goQuote(text: string): string {
  if (PRINTABLE_ASCII.test(text)) return JSON.stringify(text)
  return `"${Array.from(text.toWellFormed(), (c) => NAMED[c] ?? (PRINTABLE.test(c) ? c : escaped(c))).join('')}"`
}

function escaped(c: string): string {
  const code = c.codePointAt(0) ?? 0
  if (code < 0x20 || code === 0x7f) return String.raw`\x${hex(code, 2)}`
  return code > 0xffff ? String.raw`\U${hex(code, 8)}` : String.raw`\u${hex(code, 4)}`
}

const hex = (code: number, digits: number): string => code.toString(16).padStart(digits, '0')
