/** RE2's syntax into a tree. What RE2 lacks (backreferences, lookaround, possessive repeats) is refused in Go's words. */
import { characters } from '../value.ts'

export type RegexNode =
  | { kind: 'empty' }
  | { kind: 'set'; set: CharSet }
  | { kind: 'sequence'; items: RegexNode[] }
  | { kind: 'alternatives'; items: RegexNode[] }
  | { kind: 'repeat'; item: RegexNode; min: number; max: number; greedy: boolean }
  | { kind: 'assert'; what: Assertion }

export type Assertion = 'text-start' | 'text-end' | 'line-start' | 'line-end' | 'word' | 'not-word'

/** Whether a code point belongs. */
export type CharSet = (cp: number) => boolean

export class RegexError {
  readonly message: string
  constructor(what: string, where: string) { this.message = `error parsing regexp: ${what}: \`${where}\`` }
}

interface Flags { fold: boolean; multiLine: boolean; dotAll: boolean; ungreedy: boolean }

const REPEAT_MAX = 1000
const DEPTH_MAX = 250

export function parseRegex(pattern: string): RegexNode {
  return new RegexParser(pattern).whole()
}

const range = (low: number, high: number): CharSet => (cp) => cp >= low && cp <= high
const code = (c: string): number => c.codePointAt(0) as number
const DIGIT = range(0x30, 0x39)
const SPACE: CharSet = (cp) => cp === 9 || cp === 10 || cp === 12 || cp === 13 || cp === 32
export const WORD: CharSet = (cp) => (cp >= 0x61 && cp <= 0x7a) || (cp >= 0x41 && cp <= 0x5a) || DIGIT(cp) || cp === 0x5f
const PERL: Readonly<Record<string, CharSet>> = { d: DIGIT, s: SPACE, w: WORD }
const among = (pattern: RegExp): CharSet => (cp) => cp < 0x80 && pattern.test(String.fromCodePoint(cp))
const POSIX: Readonly<Record<string, CharSet>> = {
  alnum: among(/[0-9A-Za-z]/), alpha: among(/[A-Za-z]/), ascii: range(0, 0x7f), blank: among(/[\t ]/), cntrl: (cp) => cp < 0x20 || cp === 0x7f, digit: DIGIT, graph: range(0x21, 0x7e),
  lower: range(0x61, 0x7a), print: range(0x20, 0x7e), punct: among(/[!-/:-@[-`{-~]/), space: among(/[\t\n\v\f\r ]/), upper: range(0x41, 0x5a), word: WORD, xdigit: among(/[0-9A-Fa-f]/),
}
const CONTROL: Readonly<Record<string, number>> = { a: 7, f: 12, t: 9, n: 10, r: 13, v: 11 }
const not = (set: CharSet): CharSet => (cp) => !set(cp)
const SURROGATES = range(0xd800, 0xdfff)

class RegexParser {
  readonly #chars: readonly string[]
  readonly #pattern: string
  #pos = 0
  #depth = 0
  #flags: Flags = { fold: false, multiLine: false, dotAll: false, ungreedy: false }

  constructor(pattern: string) {
    this.#pattern = pattern
    this.#chars = characters(pattern)
  }

  whole(): RegexNode {
    const node = this.#alternatives()
    if (this.#pos < this.#chars.length) throw new RegexError('unexpected )', this.#pattern)
    return node
  }

  #peek(): string | undefined { return this.#chars[this.#pos] }

  #looking(at: string): boolean { return this.#chars.slice(this.#pos, this.#pos + at.length).join('') === at }

  #rest(): string { return this.#chars.slice(this.#pos).join('') }

  #alternatives(): RegexNode {
    if (++this.#depth > DEPTH_MAX) throw new RegexError('expression nests too deeply', this.#pattern)
    const items = [this.#sequence()]
    while (this.#peek() === '|') {
      this.#pos++
      items.push(this.#sequence())
    }
    this.#depth--
    return items.length === 1 ? (items[0] as RegexNode) : { kind: 'alternatives', items }
  }

  #sequence(): RegexNode {
    const items: RegexNode[] = []
    for (let c = this.#peek(); c !== undefined && c !== '|' && c !== ')'; c = this.#peek()) {
      const start = this.#pos
      const atom = this.#atom()
      if (atom) items.push(this.#repeats(atom, start))
    }
    return items.length === 1 ? (items[0] as RegexNode) : items.length === 0 ? { kind: 'empty' } : { kind: 'sequence', items }
  }

  #repeats(atom: RegexNode, start: number): RegexNode {
    let node = atom
    for (let times = 0; ; times++) {
      const operator = this.#pos
      const bounds = this.#bounds()
      if (!bounds) return node
      if (times > 0) throw new RegexError('invalid nested repetition operator', this.#chars.slice(start + 1, this.#pos).join(''))
      if (bounds.min > REPEAT_MAX || (bounds.max !== Infinity && (bounds.max > REPEAT_MAX || bounds.max < bounds.min))) {
        throw new RegexError('invalid repeat count', this.#chars.slice(operator, this.#pos).join(''))
      }
      const lazy = this.#peek() === '?'
      if (lazy) this.#pos++
      node = { kind: 'repeat', item: node, ...bounds, greedy: lazy === this.#flags.ungreedy }
    }
  }

  #bounds(): { min: number; max: number } | undefined {
    switch (this.#peek()) {
      case '*': this.#pos++; return { min: 0, max: Infinity }
      case '+': this.#pos++; return { min: 1, max: Infinity }
      case '?': this.#pos++; return { min: 0, max: 1 }
      case '{': {
        const m = /^\{(\d+)(,(\d*))?\}/.exec(this.#rest())
        if (!m) return undefined
        this.#pos += m[0].length
        const min = Number(m[1])
        return { min, max: m[2] === undefined ? min : m[3] === '' ? Infinity : Number(m[3]) }
      }
      default: return undefined
    }
  }

  /** Undefined for what matches nothing by itself (flags). */
  #atom(): RegexNode | undefined {
    const c = this.#peek() as string
    switch (c) {
      case '(': return this.#group()
      case '[': return { kind: 'set', set: this.#class() }
      case '.': this.#pos++; return { kind: 'set', set: this.#flags.dotAll ? () => true : (cp) => cp !== 10 }
      case '^': this.#pos++; return { kind: 'assert', what: this.#flags.multiLine ? 'line-start' : 'text-start' }
      case '$': this.#pos++; return { kind: 'assert', what: this.#flags.multiLine ? 'line-end' : 'text-end' }
      case '*': case '+': case '?': throw new RegexError('missing argument to repetition operator', c)
      case '\\': return this.#escape()
      default:
        this.#pos++
        return this.#literal(code(c))
    }
  }

  #literal(cp: number): RegexNode { return { kind: 'set', set: this.#folded((x) => x === cp) } }

  /** Under `(?i)` also what differs only in case. */
  #folded(set: CharSet): CharSet {
    if (!this.#flags.fold) return set
    return (cp) => {
      if (set(cp)) return true
      const text = String.fromCodePoint(cp)
      const [lower, upper] = [text.toLowerCase(), text.toUpperCase()]
      return (lower !== text && characters(lower).length === 1 && set(code(lower))) || (upper !== text && characters(upper).length === 1 && set(code(upper)))
    }
  }

  #group(): RegexNode | undefined {
    const start = this.#pos
    this.#pos++
    const outer = this.#flags
    if (this.#peek() === '?') {
      const named = /^\?P?<([^>]*)>/.exec(this.#rest())
      if (named && !/^\?<[=!]/.test(this.#rest())) {
        if (!/^\w+$/.test(named[1] as string)) throw new RegexError('invalid named capture', `(${named[0]}`)
        this.#pos += characters(named[0]).length
      } else {
        const flags = /^\?([imsU]*)(-[imsU]+)?([:)])/.exec(this.#rest())
        if (!flags || (flags[1] === '' && flags[3] === ')' && flags[2] === undefined)) {
          const shown = /^\?(?:<[=!]|P[=>]?|[=!>#]|[^:)]{0,2})/.exec(this.#rest())?.[0] ?? '?'
          throw new RegexError('invalid or unsupported Perl syntax', `(${shown}`)
        }
        this.#pos += flags[0].length
        this.#flags = withFlags(withFlags(outer, flags[1] as string, true), flags[2] ?? '', false)
        if (flags[3] === ')') return undefined
      }
    }
    const node = this.#alternatives()
    if (this.#peek() !== ')') throw new RegexError('missing closing )', start === 0 ? this.#pattern : this.#pattern)
    this.#pos++
    this.#flags = outer
    // An empty group still takes a repeat.
    return node
  }

  #escape(): RegexNode {
    const next = this.#chars[this.#pos + 1]
    switch (next) {
      case undefined: throw new RegexError('trailing backslash at end of expression', '')
      case 'A': this.#pos += 2; return { kind: 'assert', what: 'text-start' }
      case 'z': this.#pos += 2; return { kind: 'assert', what: 'text-end' }
      case 'b': this.#pos += 2; return { kind: 'assert', what: 'word' }
      case 'B': this.#pos += 2; return { kind: 'assert', what: 'not-word' }
      case 'Q': {
        this.#pos += 2
        const items: RegexNode[] = []
        while (this.#pos < this.#chars.length && !this.#looking('\\E')) items.push(this.#literal(code(this.#chars[this.#pos++] as string)))
        if (this.#looking('\\E')) this.#pos += 2
        return { kind: 'sequence', items }
      }
      case 'C': throw new RegexError('invalid escape sequence', '\\C')
      default:
    }
    const set = this.#classEscape()
    if (set) return { kind: 'set', set: this.#folded(set) }
    return this.#literal(this.#charEscape())
  }

  /** `\d`, `\pL` and their like; undefined (and nothing read) for an escaped character. */
  #classEscape(): CharSet | undefined {
    const next = this.#chars[this.#pos + 1] as string
    const perl = PERL[next.toLowerCase()]
    if (perl) {
      this.#pos += 2
      return next === next.toLowerCase() ? perl : not(perl)
    }
    if (next !== 'p' && next !== 'P') return undefined
    const m = /^\\[pP](?:\{(\^?)([^}]*)\}|([A-Za-z]))/.exec(this.#rest())
    const name = m?.[2] ?? m?.[3]
    if (!m || name === undefined) throw new RegexError('invalid character class range', this.#rest().slice(0, 2))
    this.#pos += characters(m[0]).length
    const set = unicodeSet(name)
    if (!set) throw new RegexError('invalid character class range', m[0])
    return (next === 'P') !== (m[1] === '^') ? not(set) : set
  }

  #charEscape(): number {
    const rest = this.#rest()
    const hex = /^\\x(?:([0-9a-fA-F]{2})|\{([0-9a-fA-F]+)\})/.exec(rest)
    const octal = /^\\(?:0[0-7]{0,2}|[1-7][0-7]{1,2})/.exec(rest)
    if (hex) {
      const cp = Number.parseInt((hex[1] ?? hex[2]) as string, 16)
      if (cp > 0x10ffff) throw new RegexError('invalid escape sequence', hex[0])
      this.#pos += hex[0].length
      return cp
    }
    if (octal) {
      this.#pos += octal[0].length
      return Number.parseInt(octal[0].slice(1), 8)
    }
    const next = this.#chars[this.#pos + 1]
    if (next === undefined) throw new RegexError('trailing backslash at end of expression', '')
    const control = CONTROL[next]
    if (control === undefined && (/[0-9A-Za-z]/.test(next) || code(next) > 0x7f)) throw new RegexError('invalid escape sequence', `\\${next}`)
    this.#pos += 2
    return control ?? code(next)
  }

  #class(): CharSet {
    const start = this.#pos
    this.#pos++
    const negated = this.#peek() === '^'
    if (negated) this.#pos++
    const sets: CharSet[] = []
    const missing = (): RegexError => new RegexError('missing closing ]', this.#chars.slice(start).join(''))
    for (let first = true; ; first = false) {
      const c = this.#peek()
      if (c === undefined) throw missing()
      if (c === ']' && !first) break
      const posix = /^\[:(\^?)(\w+):\]/.exec(this.#rest())
      if (posix) {
        const known = POSIX[posix[2] as string]
        if (!known) throw new RegexError('invalid character class range', posix[0])
        this.#pos += posix[0].length
        sets.push(posix[1] === '^' ? not(known) : known)
        continue
      }
      const escaped = c === '\\' && this.#chars[this.#pos + 1] !== undefined ? this.#classEscape() : undefined
      if (escaped) {
        sets.push(escaped)
        continue
      }
      const from = this.#pos
      const low = this.#classChar(missing)
      if (this.#peek() !== '-' || this.#chars[this.#pos + 1] === ']' || this.#chars[this.#pos + 1] === undefined) {
        sets.push((cp) => cp === low)
        continue
      }
      this.#pos++
      const high = this.#classChar(missing)
      if (high < low) throw new RegexError('invalid character class range', this.#chars.slice(from, this.#pos).join(''))
      sets.push(range(low, high))
    }
    this.#pos++
    const set = this.#folded((cp) => sets.some((s) => s(cp)))
    return negated ? not(set) : set
  }

  #classChar(missing: () => RegexError): number {
    const c = this.#peek()
    if (c === undefined) throw missing()
    if (c === '\\') return this.#charEscape()
    this.#pos++
    return code(c)
  }
}

function withFlags(flags: Flags, letters: string, on: boolean): Flags {
  const next = { ...flags }
  for (const letter of letters.replace('-', '')) {
    if (letter === 'i') next.fold = on
    else if (letter === 'm') next.multiLine = on
    else if (letter === 's') next.dotAll = on
    else next.ungreedy = on
  }
  return next
}

/** General categories and scripts by JavaScript's own tables. */
function unicodeSet(name: string): CharSet | undefined {
  if (name === 'Any') return () => true
  for (const property of [name, `Script=${name}`]) {
    if (!/^[A-Z][A-Za-z_]*(=[A-Za-z_]+)?$/.test(property)) return undefined
    let pattern: RegExp
    try {
      pattern = new RegExp(`\\p{${property}}`, 'u')
    } catch {
      // Not a name of this kind: try the next.
      continue
    }
    return (cp) => !SURROGATES(cp) && pattern.test(String.fromCodePoint(cp))
  }
  return undefined
}
