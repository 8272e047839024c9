/** Text into tokens, by the lexical grammar of the CEL specification. */
import { SyntaxIssue } from './issue.ts'
import type { CelValue } from './value.ts'
import { Uint } from './value.ts'

export type TokenKind = 'ident' | 'int' | 'uint' | 'double' | 'string' | 'bytes' | 'end' | Punctuation
type Punctuation = (typeof PUNCTUATION)[number] | 'in' | 'true' | 'false' | 'null'

export interface Token {
  kind: TokenKind
  at: number
  /** As written. */
  text: string
  /** Of literals but int, whose sign is not known yet. */
  value?: CelValue
}

const PUNCTUATION = ['==', '!=', '<=', '>=', '&&', '||', '<', '>', '[', ']', '{', '}', '(', ')', '.', ',', '-', '!', '?', ':', '+', '*', '/', '%'] as const
const KEYWORDS: ReadonlySet<string> = new Set(['in', 'true', 'false', 'null'])
const SPACE = /(?:[\t \r\n\f]+|\/\/[^\n]*)+/y
const IDENT = /[A-Za-z_][A-Za-z0-9_]*/y
const NUMBER = /(?:\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)|0x[0-9a-fA-F]+[uU]?|\d+[uU]?/y
const QUOTE = /([bB]?[rR]?)("""|'''|"|')/y
const UINT_MAX = (1n << 64n) - 1n
/** Most characters of an unclosed string that an error repeats. */
const SHOWN_MAX = 200

export function tokenize(source: string): Token[] {
  const tokens: Token[] = []
  let pos = 0
  const sticky = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = pos
    return pattern.exec(source)
  }
  while (true) {
    pos += sticky(SPACE)?.[0].length ?? 0
    if (pos >= source.length) {
      tokens.push({ kind: 'end', at: pos, text: '<EOF>' })
      return tokens
    }
    const at = pos
    const quote = sticky(QUOTE)
    if (quote) {
      const token = readString(source, at, quote[1] as string, quote[2] as string)
      tokens.push(token)
      pos += token.text.length
      continue
    }
    const word = sticky(IDENT)?.[0]
    if (word !== undefined) {
      tokens.push({ kind: KEYWORDS.has(word) ? (word as Punctuation) : 'ident', at, text: word })
      pos += word.length
      continue
    }
    const number = sticky(NUMBER)?.[0]
    if (number !== undefined) {
      tokens.push(readNumber(number, at))
      pos += number.length
      continue
    }
    const punctuation = PUNCTUATION.find((p) => source.startsWith(p, pos))
    if (punctuation === undefined) throw new SyntaxIssue(at, `Syntax error: token recognition error at: '${String.fromCodePoint(source.codePointAt(at) as number)}'`)
    tokens.push({ kind: punctuation, at, text: punctuation })
    pos += punctuation.length
  }
}

function readNumber(text: string, at: number): Token {
  if (/[uU]$/.test(text)) {
    const value = BigInt(text.slice(0, -1))
    if (value > UINT_MAX) throw new SyntaxIssue(at, 'invalid uint literal')
    return { kind: 'uint', at, text, value: new Uint(value) }
  }
  if (!text.startsWith('0x') && /[.eE]/.test(text)) {
    const value = Number(text)
    if (!Number.isFinite(value)) throw new SyntaxIssue(at, 'invalid double literal')
    return { kind: 'double', at, text, value }
  }
  return { kind: 'int', at, text }
}

function readString(source: string, at: number, prefix: string, quote: string): Token {
  const raw = /r/i.test(prefix)
  const bytes = /b/i.test(prefix)
  const start = at + prefix.length + quote.length
  let end = start
  while (!source.startsWith(quote, end)) {
    const c = source[end]
    if (c === undefined || (quote.length === 1 && (c === '\n' || c === '\r'))) {
      throw new SyntaxIssue(at, `Syntax error: token recognition error at: '${source.slice(at, Math.min(end, at + SHOWN_MAX))}'`)
    }
    end += c === '\\' && !raw ? 2 : 1
  }
  const text = source.slice(at, end + quote.length)
  const body = source.slice(start, end).replaceAll('\r\n', '\n').replaceAll('\r', '\n')
  const value = bytes ? unescapeBytes(body, raw, at) : raw ? body : unescapeString(body, at)
  return { kind: bytes ? 'bytes' : 'string', at, text, value }
}

const ESCAPES: Readonly<Record<string, number>> = { a: 7, b: 8, f: 12, n: 10, r: 13, t: 9, v: 11, '\\': 92, "'": 39, '"': 34, '`': 96, '?': 63 }
const ESCAPE = /\\(?:([abfnrtv\\'"`?])|[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|[^])/g

function* pieces(body: string, at: number): Iterable<{ plain: string } | { code: number; byte: boolean }> {
  let last = 0
  for (const m of body.matchAll(ESCAPE)) {
    if (m.index > last) yield { plain: body.slice(last, m.index) }
    last = m.index + m[0].length
    if (m[1] !== undefined) yield { code: ESCAPES[m[1]] as number, byte: true }
    else if (m[2] !== undefined) yield { code: Number.parseInt(m[2], 16), byte: true }
    else if (m[5] !== undefined) yield { code: Number.parseInt(m[5], 8), byte: true }
    else if (m[3] !== undefined || m[4] !== undefined) yield { code: Number.parseInt((m[3] ?? m[4]) as string, 16), byte: false }
    else throw new SyntaxIssue(at, `Syntax error: token recognition error at: '${m[0]}'`)
  }
  if (last < body.length) yield { plain: body.slice(last) }
}

function unescapeString(body: string, at: number): string {
  if (!body.includes('\\')) return body
  let out = ''
  for (const piece of pieces(body, at)) {
    if ('plain' in piece) out += piece.plain
    else if (piece.code > 0x10ffff || (piece.code >= 0xd800 && piece.code <= 0xdfff)) throw new SyntaxIssue(at, 'invalid unicode code point')
    else out += String.fromCodePoint(piece.code)
  }
  return out
}

/** In bytes `\x` and octal escapes are single bytes; text and what remains are UTF-8. */
function unescapeBytes(body: string, raw: boolean, at: number): Uint8Array {
  if (raw || !body.includes('\\')) return Buffer.from(body, 'utf8')
  const parts: Buffer[] = []
  for (const piece of pieces(body, at)) {
    if ('plain' in piece) parts.push(Buffer.from(piece.plain, 'utf8'))
    else if (piece.byte) parts.push(Buffer.from([piece.code]))
    else if (piece.code > 0x10ffff) throw new SyntaxIssue(at, 'invalid unicode code point')
    else parts.push(Buffer.from(String.fromCodePoint(piece.code), 'utf8'))
  }
  return Buffer.concat(parts)
}
