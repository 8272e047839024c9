/** Tokens into an expression, by recursive descent with bounded depth; macros are expanded on the way. */
import type { Call, Expr } from './ast.ts'
import { children } from './ast.ts'
import { SyntaxIssue } from './issue.ts'
import type { Token, TokenKind } from './lexer.ts'
import { tokenize } from './lexer.ts'
import { CopyBudget, expandMacro } from './macros.ts'
import type { MacroSet } from './macros.ts'
import { codePoints } from './value.ts'

/** Upstream's limits. The depth keeps this parser within the stack, as the height does for all that walks its result. */
const CODE_POINTS_MAX = 100_000
const DEPTH_MAX = 250
/** Ours: nodes above one another once macros are expanded. */
const HEIGHT_MAX = 800
const INT_MAX = (1n << 63n) - 1n

const RELATIONS: ReadonlySet<TokenKind> = new Set(['<', '<=', '>', '>=', '==', '!=', 'in'])
const RESERVED: ReadonlySet<string> = new Set(['as', 'break', 'const', 'continue', 'else', 'for', 'function', 'if', 'import', 'let', 'loop', 'package', 'namespace', 'return', 'var', 'void', 'while'])
const STARTS_OF_EXPRESSION = "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"
const EXPRESSION_BEGINS: ReadonlySet<TokenKind> = new Set<TokenKind>(['(', '[', '{', '.', '-', '!', 'true', 'false', 'null', 'int', 'uint', 'double', 'string', 'bytes', 'ident'])

/** Throws SyntaxIssue. */
export function parse(source: string, macros: MacroSet): Expr {
  const size = codePoints(source)
  if (size > CODE_POINTS_MAX) throw new SyntaxIssue(-1, `expression code point size exceeds limit: size: ${size}, limit ${CODE_POINTS_MAX}`)
  const e = new Parser(tokenize(source), macros).whole()
  if (height(e) > HEIGHT_MAX) throw new SyntaxIssue(-1, `expression recursion limit exceeded: ${DEPTH_MAX}`)
  return e
}

/** Left-leaning chains (`1 + 1 + ...`) nest as deep as they are long: counted without recursion. */
function height(root: Expr): number {
  let most = 0
  const todo: [Expr, number][] = [[root, 1]]
  for (let next = todo.pop(); next; next = todo.pop()) {
    const [e, depth] = next
    most = Math.max(most, depth)
    for (const child of children(e)) todo.push([child, depth + 1])
  }
  return most
}

class Parser {
  readonly #tokens: readonly Token[]
  readonly #macros: MacroSet
  readonly #copies = new CopyBudget()
  #next = 0
  #depth = 0
  /** Brackets that are not closed yet. */
  #open = 0

  constructor(tokens: readonly Token[], macros: MacroSet) {
    this.#tokens = tokens
    this.#macros = macros
  }

  whole(): Expr {
    const e = this.#expr()
    const rest = this.#peek()
    if (rest.kind !== 'end') throw this.#unwanted(rest, this.#peek(1).kind === 'end', '<EOF>')
    return e
  }

  #peek(ahead = 0): Token { return this.#tokens[Math.min(this.#next + ahead, this.#tokens.length - 1)] as Token }

  #take(): Token {
    const token = this.#peek()
    this.#next++
    return token
  }

  #accept(kind: TokenKind): Token | undefined { return this.#peek().kind === kind ? this.#take() : undefined }

  #expect(kind: TokenKind, named = `'${kind}'`): Token {
    const token = this.#peek()
    if (token.kind === kind) return this.#take()
    throw this.#isAllButClosed(kind) ? this.#missing(kind, token) : this.#unwanted(token, this.#peek(1).kind === kind, named)
  }

  /** `fits`: without it, all would be well so far. As ANTLR tells it. */
  #unwanted({ at, text }: Token, fits: boolean, wanted: string): SyntaxIssue {
    return new SyntaxIssue(at, `Syntax error: ${fits ? 'extraneous' : 'mismatched'} input '${text}' expecting ${wanted}`)
  }

  #missing(kind: string, { at, text }: Token): SyntaxIssue { return new SyntaxIssue(at, `Syntax error: missing '${kind}' at '${text}'`) }

  #isAllButClosed(close: TokenKind): boolean { return (close === ')' || close === ']') && this.#open === 1 && this.#peek().kind === 'end' }

  /** Between brackets, the first of which has been taken. */
  #within<T>(read: () => T): T {
    this.#open++
    const result = read()
    this.#open--
    return result
  }

  #deeper<T>(read: () => T): T {
    if (++this.#depth > DEPTH_MAX) throw new SyntaxIssue(-1, `expression recursion limit exceeded: ${DEPTH_MAX}`)
    const result = read()
    this.#depth--
    return result
  }

  #expr(): Expr {
    return this.#deeper(() => {
      const condition = this.#logical('||')
      const op = this.#accept('?')
      if (!op) return condition
      const truthy = this.#logical('||')
      this.#expect(':')
      return call(op.at, '_?_:_', condition, truthy, this.#expr())
    })
  }

  /** A chain of one logical operator becomes a balanced tree, so that long chains stay shallow. */
  #logical(kind: '||' | '&&'): Expr {
    const operand = (): Expr => (kind === '||' ? this.#logical('&&') : this.#relation())
    const terms = [operand()]
    const ops: number[] = []
    for (let op = this.#accept(kind); op; op = this.#accept(kind)) {
      ops.push(op.at)
      terms.push(operand())
    }
    return balanced(kind === '||' ? '_||_' : '_&&_', terms, ops, 0, ops.length - 1)
  }

  #relation(): Expr {
    let left = this.#sum()
    while (RELATIONS.has(this.#peek().kind)) {
      const op = this.#take()
      left = call(op.at, op.kind === 'in' ? '@in' : `_${op.kind}_`, left, this.#sum())
    }
    return left
  }

  #sum(): Expr {
    let left = this.#product()
    while (this.#peek().kind === '+' || this.#peek().kind === '-') {
      const op = this.#take()
      left = call(op.at, `_${op.kind}_`, left, this.#product())
    }
    return left
  }

  #product(): Expr {
    let left = this.#unary()
    while (this.#peek().kind === '*' || this.#peek().kind === '/' || this.#peek().kind === '%') {
      const op = this.#take()
      left = call(op.at, `_${op.kind}_`, left, this.#unary())
    }
    return left
  }

  /** Pairs of one operator cancel out; the last `-` before a number belongs to the number. */
  #unary(): Expr {
    const op = this.#peek()
    if (op.kind !== '!' && op.kind !== '-') return this.#member()
    let count = 0
    while (this.#peek().kind === op.kind && !(op.kind === '-' && isNumber(this.#peek(1)))) {
      count++
      this.#next++
    }
    const operand = this.#member()
    return count % 2 === 0 ? operand : call(op.at, op.kind === '!' ? '!_' : '-_', operand)
  }

  #member(): Expr {
    let e = this.#primary()
    while (true) {
      const dot = this.#accept('.')
      if (dot) {
        const optional = this.#accept('?')
        const next = this.#peek()
        if (!optional && next.kind !== 'ident') throw new SyntaxIssue(next.at, `Syntax error: no viable alternative at input '.${next.kind === 'end' ? '' : next.text}'`)
        const name = this.#expect('ident', 'IDENTIFIER')
        const open = optional ? undefined : this.#accept('(')
        if (open) e = this.#call(open.at, name.text, e)
        else if (optional) e = call(dot.at, '_?._', e, { kind: 'literal', at: name.at, value: name.text })
        else e = { kind: 'select', at: dot.at, operand: e, field: name.text, testOnly: false }
        continue
      }
      const bracket = this.#accept('[')
      if (!bracket) return e
      const optional = this.#accept('?')
      const index = this.#within(() => {
        const e = this.#expr()
        this.#expect(']')
        return e
      })
      e = call(bracket.at, optional ? '_[?_]' : '_[_]', e, index)
    }
  }

  #call(at: number, fn: string, target: Expr | undefined): Expr {
    const args = this.#commaSeparated(')', () => this.#expr(), false)
    return expandMacro(this.#macros, { kind: 'call', at, fn, target, args } satisfies Call, this.#copies)
  }

  #commaSeparated<T>(close: ')' | ']' | '}', read: () => T, trailingComma: boolean): T[] {
    return this.#within(() => this.#separated(close, read, trailingComma))
  }

  #separated<T>(close: ')' | ']' | '}', read: () => T, trailingComma: boolean): T[] {
    const items: T[] = []
    if (this.#accept(close)) return items
    if (trailingComma && this.#peek().kind === ',' && this.#peek(1).kind === close) {
      this.#next += 2
      return items
    }
    while (true) {
      items.push(read())
      if (this.#accept(close)) return items
      const token = this.#peek()
      if (!this.#accept(',')) throw this.#isAllButClosed(close) ? this.#missing(close, token) : this.#unwanted(token, this.#peek(1).kind === close, close === ')' ? "')'" : `{'${close}', ','}`)
      if (trailingComma && this.#accept(close)) return items
      if (trailingComma && this.#isAllButClosed(close)) throw this.#missing(close, this.#peek())
    }
  }

  #primary(): Expr {
    const token = this.#take()
    const { at } = token
    switch (token.kind) {
      case '(': {
        return this.#within(() => {
          const e = this.#expr()
          this.#expect(')')
          return e
        })
      }
      case '[': {
        const optional = new Set<number>()
        let i = 0
        const items = this.#commaSeparated(']', () => {
          if (this.#accept('?')) optional.add(i)
          i++
          return this.#expr()
        }, true)
        return { kind: 'list', at, items, optional }
      }
      case '{': return { kind: 'map', at, entries: this.#commaSeparated('}', () => this.#mapEntry(), true) }
      case 'true': case 'false': return { kind: 'literal', at, value: token.kind === 'true' }
      case 'null': return { kind: 'literal', at, value: null }
      case 'uint': case 'double': case 'string': case 'bytes': return { kind: 'literal', at, value: token.value ?? null }
      case 'int': return { kind: 'literal', at, value: intLiteral(token, false) }
      case '-': {
        const number = this.#peek()
        if (number.kind === 'int') return { kind: 'literal', at, value: intLiteral(this.#take(), true) }
        if (number.kind === 'double') return { kind: 'literal', at, value: -(this.#take().value as number) }
        break
      }
      case '.': {
        const name = this.#expect('ident', 'IDENTIFIER')
        return this.#named(name, `.${name.text}`)
      }
      case 'ident': return this.#named(token, token.text)
      default:
    }
    this.#next--
    throw this.#unwanted(token, EXPRESSION_BEGINS.has(this.#peek(1).kind), STARTS_OF_EXPRESSION)
  }

  #mapEntry(): { at: number; key: Expr; value: Expr; optional: boolean } {
    const optional = this.#accept('?') !== undefined
    const key = this.#expr()
    const { at } = this.#expect(':')
    return { at, key, value: this.#expr(), optional }
  }

  #named(token: Token, name: string): Expr {
    const open = this.#accept('(')
    if (open) return this.#call(open.at, name, undefined)
    const struct = this.#maybeStruct(name)
    if (struct) return struct
    if (RESERVED.has(token.text)) throw new SyntaxIssue(token.at, `reserved identifier: ${token.text}`)
    return { kind: 'ident', at: token.at, name }
  }

  /** `a.b.C{`: only then are the dots part of a type's name. */
  #maybeStruct(first: string): Expr | undefined {
    let ahead = 0
    let name = first
    while (this.#peek(ahead).kind === '.' && this.#peek(ahead + 1).kind === 'ident') {
      name += `.${this.#peek(ahead + 1).text}`
      ahead += 2
    }
    const open = this.#peek(ahead)
    if (open.kind !== '{') return undefined
    this.#next += ahead + 1
    const fields = this.#commaSeparated('}', () => {
      const optional = this.#accept('?') !== undefined
      const field = this.#expect('ident', 'IDENTIFIER')
      const { at } = this.#expect(':')
      return { at, name: field.text, value: this.#expr(), optional }
    }, true)
    return { kind: 'struct', at: open.at, name, fields }
  }
}

const isNumber = (token: Token): boolean => token.kind === 'int' || token.kind === 'double'

function intLiteral(token: Token, negative: boolean): bigint {
  const value = BigInt(token.text)
  if (value > INT_MAX + (negative ? 1n : 0n)) throw new SyntaxIssue(token.at, 'invalid int literal')
  return negative ? -value : value
}

function call(at: number, fn: string, ...args: Expr[]): Call { return { kind: 'call', at, fn, target: undefined, args } }

function balanced(fn: string, terms: readonly Expr[], ops: readonly number[], low: number, high: number): Expr {
  if (low > high) return terms[low] as Expr
  const mid = (low + high + 1) >> 1
  return call(ops[mid] as number, fn, balanced(fn, terms, ops, low, mid - 1), balanced(fn, terms, ops, mid + 1, high))
}
