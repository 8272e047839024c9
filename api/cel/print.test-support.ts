/** An expression back as text, for tests of the parser: what it prints parses to the same. */
import type { Expr } from './ast.ts'
import type { CelValue } from './value.ts'
import { Uint } from './value.ts'

const BINARY: Readonly<Record<string, number>> = { '_||_': 1, '_&&_': 2, '_==_': 3, '_!=_': 3, '_<_': 3, '_<=_': 3, '_>_': 3, '_>=_': 3, '@in': 3, '_+_': 4, '_-_': 4, '_*_': 5, '_/_': 5, '_%_': 5 }

export function print(e: Expr): string {
  if (e.written) return call(e.written.fn, e.written.target, e.written.args)
  switch (e.kind) {
    case 'literal': return literal(e.value)
    case 'ident': return e.name
    case 'select': return e.testOnly ? `has(${operand(e.operand, 8)}.${e.field})` : `${operand(e.operand, 8)}.${e.field}`
    case 'call': return call(e.fn, e.target, e.args)
    case 'list': return `[${e.items.map((item, i) => (e.optional.has(i) ? '?' : '') + print(item)).join(', ')}]`
    case 'map': return `{${e.entries.map((x) => `${x.optional ? '?' : ''}${print(x.key)}: ${print(x.value)}`).join(', ')}}`
    case 'struct': return `${e.name}{${e.fields.map((x) => `${x.optional ? '?' : ''}${x.name}: ${print(x.value)}`).join(', ')}}`
    case 'comprehension': throw new Error('a comprehension that nobody wrote')
  }
}

function call(fn: string, target: Expr | undefined, args: readonly Expr[]): string {
  const [a, b, c] = args as [Expr, Expr, Expr]
  const level = BINARY[fn]
  if (level !== undefined) return `${operand(a, level)} ${fn === '@in' ? 'in' : fn.replaceAll('_', '')} ${operand(b, level + 1)}`
  switch (fn) {
    case '_?_:_': return `${operand(a, 1)} ? ${operand(b, 1)} : ${operand(c, 0)}`
    case '!_': return `!${operand(a, 7)}`
    case '-_': return `-(${print(a)})`
    case '_[_]': return `${operand(a, 8)}[${print(b)}]`
    case '_[?_]': return `${operand(a, 8)}[?${print(b)}]`
    case '_?._': return `${operand(a, 8)}.?${b.kind === 'literal' ? String(b.value as string) : ''}`
    default: return `${target ? `${operand(target, 8)}.` : ''}${fn}(${args.map(print).join(', ')})`
  }
}

/** In parentheses where it binds less tightly than what is around it. */
function operand(e: Expr, around: number): string {
  const own = levelOf(e)
  return own < around ? `(${print(e)})` : print(e)
}

function levelOf(e: Expr): number {
  if (e.written) return 9
  if (e.kind === 'literal') return (typeof e.value === 'bigint' || typeof e.value === 'number') && e.value < 0 ? 6 : 9
  if (e.kind !== 'call') return 9
  if (e.fn === '_?_:_') return 0
  if (e.fn === '!_' || e.fn === '-_') return 6
  return BINARY[e.fn] ?? 9
}

function literal(v: CelValue): string {
  if (typeof v === 'string') return JSON.stringify(v).replace(/\\u([0-9a-f]{4})/g, '\\u$1')
  if (v instanceof Uint) return `${v.value}u`
  if (typeof v === 'number') return Number.isInteger(v) && Math.abs(v) < 1e21 ? `${v}.0` : String(v).replace(/^(-?\d+)e/, '$1.0e')
  if (v instanceof Uint8Array) return `b"${Array.from(v, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}"`
  return String(v as string | bigint | boolean | null)
}
