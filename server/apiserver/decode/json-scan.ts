/**
 * What JSON.parse does not tell. `measureJson` is the cheap pass over every body: depth, and how many keys it holds, so
 * that duplicates show as a difference from the keys of the parsed value. `explainJson` is the slow pass, run when
 * something is wrong: the message Go's decoder would give, or the paths of duplicate keys.
 */

/** Nesting of objects and arrays, and the number of object keys. Meaningful only for text that JSON.parse accepts. */
export function measureJson(bytes: Uint8Array): { depth: number; keys: number } {
  let open = 0
  let depth = 0
  let keys = 0
  for (let i = 0; i < bytes.length; i++) {
    switch (bytes[i]) {
      case 0x22:
        for (i++; i < bytes.length && bytes[i] !== 0x22; i++) if (bytes[i] === 0x5c) i++
        break
      case 0x3a: keys++; break
      case 0x7b: case 0x5b: if (++open > depth) depth = open; break
      case 0x7d: case 0x5d: open--; break
      default:
    }
  }
  return { depth, keys }
}

export type JsonExplanation =
  /** Paths of keys given again, as upstream prints them: `spec.containers[0].name`. `order`: how manieth in the text each of them (with a NUL after it), and each path asked for, is. */
  | { ok: true; duplicates: string[]; order: ReadonlyMap<string, number> }
  | { ok: false; message: string }

/** The deepest nesting followed here, as upstream's. */
const DEPTH_MAX = 10_000
/** As many strict problems as upstream reports. */
const DUPLICATES_MAX = 100

class GoSyntaxError extends Error {}

/** Go's `encoding/json` verdict on the text. Not recursive: any nesting is survived. */
export function explainJson(text: string, asked?: ReadonlySet<string>, depthMax = DEPTH_MAX): JsonExplanation {
  try {
    return { ok: true, ...scan(text, asked, depthMax) }
  } catch (error) {
    if (error instanceof GoSyntaxError) return { ok: false, message: error.message }
    throw error
  }
}

interface Frame { array: boolean; keys: Set<string>; path: string; index: number }

function scan(text: string, asked: ReadonlySet<string> | undefined, depthMax: number): { duplicates: string[]; order: ReadonlyMap<string, number> } {
  const duplicates = new Set<string>()
  const order = new Map<string, number>()
  const stack: Frame[] = []
  let at = 0
  const fail = (context: string): never => {
    if (at >= text.length) throw new GoSyntaxError('unexpected end of JSON input')
    throw new GoSyntaxError(`invalid character ${goQuote(text, at)} ${context}`)
  }
  const space = () => { while (' \t\r\n'.includes(text[at] ?? 'x')) at++ }

  const string = (): string => {
    const start = at++
    for (;; at++) {
      const c = text.charCodeAt(at)
      if (Number.isNaN(c)) fail('')
      if (c === 0x22) break
      if (c < 0x20) fail('in string literal')
      if (c !== 0x5c) continue
      at++
      if (text[at] === 'u') {
        for (let n = 0; n < 4; n++) if (!/[0-9a-fA-F]/.test(text[++at] ?? '')) fail('in \\u hexadecimal character escape')
      } else if (!'"\\/bfnrt'.includes(text[at] ?? 'x')) fail('in string escape code')
    }
    at++
    return JSON.parse(text.slice(start, at)) as string
  }
  const digits = (context: string) => {
    if (!isDigit(text[at])) fail(context)
    while (isDigit(text[at])) at++
  }
  const number = () => {
    if (text[at] === '-') at++
    if (text[at] === '0') at++
    else digits('in numeric literal')
    if (text[at] === '.') { at++; digits('after decimal point in numeric literal') }
    if (text[at] === 'e' || text[at] === 'E') {
      at++
      if (text[at] === '+' || text[at] === '-') at++
      digits('in exponent of numeric literal')
    }
  }
  const literal = (word: string) => {
    for (let n = 1; n < word.length; n++) { at++; if (text[at] !== word[n]) fail(`in literal ${word} (expecting ${goQuote(word, n)})`) }
    at++
  }

  /** The path of the value about to be read. */
  let path = ''
  const key = (frame: Frame) => {
    space()
    if (text[at] !== '"') fail('looking for beginning of object key string')
    const name = string()
    path = frame.path === '' ? name : `${frame.path}.${name}`
    if (frame.keys.has(name) && duplicates.size < DUPLICATES_MAX && !duplicates.has(path)) {
      duplicates.add(path)
      order.set(`${path}\0`, order.size)
    } else if (asked?.has(path) && !order.has(path)) {
      order.set(path, order.size)
    }
    frame.keys.add(name)
    space()
    if (text[at] !== ':') fail('after object key')
    at++
  }

  for (;;) {
    // A value.
    space()
    const c = text[at]
    if (c === '{' || c === '[') {
      if (stack.length >= depthMax) fail('exceeded max depth')
      at++
      const frame: Frame = { array: c === '[', keys: new Set(), path, index: 0 }
      space()
      if (text[at] === (frame.array ? ']' : '}')) at++
      else {
        stack.push(frame)
        if (frame.array) path = `${frame.path}[0]`
        else key(frame)
        continue
      }
    } else if (c === '"') string()
    else if (c === 't') literal('true')
    else if (c === 'f') literal('false')
    else if (c === 'n') literal('null')
    else if (c === '-' || isDigit(c)) number()
    else fail('looking for beginning of value')

    // What follows it.
    for (;;) {
      space()
      const frame = stack.at(-1)
      if (!frame) {
        if (at < text.length) fail('after top-level value')
        return { duplicates: [...duplicates], order }
      }
      if (text[at] === ',') {
        at++
        if (frame.array) path = `${frame.path}[${++frame.index}]`
        else key(frame)
        break
      }
      if (text[at] !== (frame.array ? ']' : '}')) fail(frame.array ? 'after array element' : 'after object key:value pair')
      at++
      stack.pop()
    }
  }
}

const isDigit = (c: string | undefined): boolean => c !== undefined && c >= '0' && c <= '9'

/** A character as Go's quoteChar prints it. */
const GO_CONTROLS: Readonly<Record<string, string>> = { '\b': '\\b', '\f': '\\f', '\n': '\\n', '\r': '\\r', '\t': '\\t', '\u0007': '\\a', '\v': '\\v' }

function goQuote(text: string, at: number): string {
  const c = String.fromCodePoint(text.codePointAt(at) ?? 0xfffd)
  if (c === "'") return String.raw`'\''`
  if (c === '"') return `'"'`
  return `'${c < ' ' ? (GO_CONTROLS[c] ?? `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`) : JSON.stringify(c).slice(1, -1)}'`
}
