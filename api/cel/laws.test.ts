import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { Expr } from './ast.ts'
import { copy } from './ast.ts'
import { compile, DYN, kubernetesEnvironment, schemaToCelType, toJson } from './index.ts'
import { SyntaxIssue } from './issue.ts'
import { ALL_MACROS } from './macros.ts'
import { parse } from './parser.ts'
import { print } from './print.test-support.ts'
import { compileRegex } from './regex/regex.ts'
import { Duration, EvalError, Optional, Timestamp, TypeValue, Uint } from './value.ts'

const INT_MAX = (1n << 63n) - 1n
const VARIABLES = { x: DYN, y: DYN, z: DYN }

function evaluate(expression: string, bindings: Record<string, unknown> = {}): unknown {
  const compiled = compile(expression, { variables: VARIABLES })
  if (!compiled.ok) return `? ${compiled.error}`
  const result = compiled.program.evaluate(bindings)
  return result.ok ? toJson(result.value) : `! ${result.error}`
}

const int64 = fc.oneof(fc.bigInt({ min: -(1n << 63n), max: INT_MAX }), fc.constantFrom(0n, 1n, -1n, INT_MAX, -INT_MAX - 1n, 1n << 53n, (1n << 53n) + 1n))
const text = fc.constantFrom('', 'a', 'é', '👑', 'quote " and \\', 'tab\t')
const name = fc.constantFrom('a', 'b', 'foo', 'x1', '_y')

const leaf: fc.Arbitrary<Expr> = fc.oneof(
  fc.oneof(int64, fc.boolean(), text, fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constant(null)).map((value): Expr => ({ kind: 'literal', at: 0, value: Object.is(value, -0) ? 0 : value })),
  name.map((n): Expr => ({ kind: 'ident', at: 0, name: n })),
)
const tree = fc.letrec<{ e: Expr }>((tie) => {
  const call = (fn: string, ...args: Expr[]): Expr => ({ kind: 'call', at: 0, fn, target: undefined, args })
  const e = tie('e')
  return {
    e: fc.oneof(
      { depthSize: 'small', withCrossShrink: true }, leaf, leaf,
      fc.tuple(fc.constantFrom('_+_', '_-_', '_*_', '_/_', '_%_', '_==_', '_<=_', '@in', '_[_]', '_[?_]'), e, e).map(([fn, a, b]) => call(fn, a, b)),
      fc.tuple(e, e, e).map(([a, b, c]) => call('_?_:_', a, b, c)),
      e.map((a) => call('!_', a)).filter((a) => a.kind === 'call' && !(a.args[0]?.kind === 'call' && a.args[0].fn === '!_')),
      fc.tuple(e, name).map(([operand, field]): Expr => ({ kind: 'select', at: 0, operand, field, testOnly: false })),
      fc.tuple(e, name, fc.array(e, { maxLength: 2 })).map(([target, fn, args]): Expr => ({ kind: 'call', at: 0, fn, target, args })),
      fc.array(e, { maxLength: 3 }).map((items): Expr => ({ kind: 'list', at: 0, items, optional: new Set() })),
      fc.array(fc.tuple(e, e), { maxLength: 2 }).map((pairs): Expr => ({ kind: 'map', at: 0, entries: pairs.map(([key, value]) => ({ at: 0, key, value, optional: false })) })),
    ),
  }
}).e

/** Without places. */
function bare(e: Expr): unknown {
  return JSON.parse(JSON.stringify(copy(e), (key, value: unknown) => (key === 'at' || key === 'written' ? undefined : typeof value === 'bigint' ? `${value}n` : value instanceof Set ? [...value] : value)))
}

describe('laws of CEL', () => {
  it('what is printed parses to the same', () => {
    fc.assert(fc.property(tree, (e) => {
      assert.deepStrictEqual(bare(parse(print(e), ALL_MACROS)), bare(e))
    }), { numRuns: 300 })
  })

  it('macros print as they were written', () => {
    const texts = ['has(a.b)', 'a.all(x, x > 1)', 'a.exists(k, v, k == v)', '[1].map(x, x > 0, x + 1).filter(y, y != 2)', 'a.?b[?0].optMap(v, v + 1).orValue(2)', 'm.transformMap(k, v, v > 1, v)', 'cel.bind(t, 1, t + t)']
    assert.deepStrictEqual(texts.map((t) => print(parse(t, ALL_MACROS))), texts)
  })

  it('integers are exact, and overflow is an error', () => {
    const twins: Record<string, (a: bigint, b: bigint) => bigint> = { '+': (a, b) => a + b, '-': (a, b) => a - b, '*': (a, b) => a * b, '/': (a, b) => a / b, '%': (a, b) => a % b }
    fc.assert(fc.property(int64, int64, fc.constantFrom('+', '-', '*', '/', '%'), (a, b, op) => {
      const got = evaluate(`x ${op} y`, { x: a, y: b })
      if (b === 0n && (op === '/' || op === '%')) return assert.equal(got, op === '/' ? '! division by zero' : '! modulus by zero')
      const exact = (twins[op] as (a: bigint, b: bigint) => bigint)(a, b)
      const overflows = exact > INT_MAX || exact < -INT_MAX - 1n || (op === '%' && a === -INT_MAX - 1n && b === -1n)
      assert.equal(overflows ? got : BigInt(got as bigint | number), overflows ? '! integer overflow' : exact)
    }))
  })

  it('comparison is one order, and equality agrees with it', () => {
    const value = fc.oneof(int64, fc.string({ unit: 'grapheme', maxLength: 4 }), fc.double({ noNaN: true }))
    fc.assert(fc.property(value, value, (a, b) => {
      const bindings = { x: a, y: b }
      const less = evaluate('x < y', bindings)
      if (typeof less === 'string') return assert.equal(less, '! no such overload')
      assert.deepStrictEqual([evaluate('x > y', bindings), evaluate('x == y', bindings)], [evaluate('y < x', bindings), evaluate('x <= y && y <= x', bindings)])
    }))
  })

  it('&& and || do not care about sides, nor about errors the other side makes good', () => {
    const operand = fc.constantFrom('true', 'false', '1 / 0 == 1', 'x')
    fc.assert(fc.property(operand, operand, fc.constantFrom(true, false, 7), (a, b, x) => {
      const outcome = (e: string): unknown => {
        const result = evaluate(e, { x })
        return typeof result === 'string' ? 'error' : result
      }
      for (const op of ['&&', '||']) assert.equal(outcome(`${a} ${op} ${b}`), outcome(`${b} ${op} ${a}`), `${a} ${op} ${b}`)
      assert.equal(outcome(`!((${a}) && (${b}))`), outcome(`!(${a}) || !(${b})`))
      assert.equal(outcome(`[${a === 'x' || b === 'x' ? 'true' : a}].all(t, t)`), outcome(a === 'x' || b === 'x' ? 'true' : a))
    }))
  })

  it('macros agree with loops', () => {
    fc.assert(fc.property(fc.array(fc.integer({ min: -5, max: 5 })), (x) => {
      assert.deepStrictEqual(
        [evaluate('x.map(i, i * 2)', { x }), evaluate('x.filter(i, i > 0)', { x }), evaluate('x.all(i, i > 0)', { x }), evaluate('x.exists(i, i > 0)', { x }), evaluate('x.exists_one(i, i > 0)', { x }), evaluate('x.transformList(i, v, v + i)', { x })],
        [x.map((i) => i * 2 + 0), x.filter((i) => i > 0), x.every((i) => i > 0), x.some((i) => i > 0), x.filter((i) => i > 0).length === 1, x.map((v, i) => v + i)],
      )
    }))
  })

  it('patterns match what JavaScript\'s match, without its time', () => {
    const atom = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '(?:ab)', '(a|b)', '\\d', '^', '$', '\\b')
    const pattern = fc.array(fc.tuple(atom, fc.constantFrom('', '', '*', '+', '?', '*?', '{1,2}')).map(([a, q]) => (/^[\^$]$|\\b/.test(a) ? a : a + q)), { maxLength: 5 }).map((parts) => parts.join(''))
    fc.assert(fc.property(pattern, fc.string({ unit: fc.constantFrom('a', 'b', '1', ' '), maxLength: 8 }), (source, input) => {
      const theirs = new RegExp(source).exec(input)
      const ours = compileRegex(source)
      assert.equal(ours.test(input), theirs !== null)
      const found = ours.find(input)
      assert.deepStrictEqual(found && input.slice(found.start, found.end), theirs === null ? undefined : theirs[0])
    }), { numRuns: 500 })
    // The processor's time, not the machine's, which others use as well: backtracking would take for ever.
    const started = process.cpuUsage()
    assert.equal(compileRegex('(a+)+$').test(`${'a'.repeat(20_000)}!`), false)
    assert.ok(process.cpuUsage(started).user < 4_000_000)
  })

  it('nothing that is written makes the parser fail otherwise than by saying so', () => {
    const piece = fc.constantFrom('a', '1', '"s"', '(', ')', '[', ']', '{', '}', '.', '?', ':', ',', '+', '-', '!', '&&', '||', 'in', '==', 'has(', '.all(x, ', 'true', "'", 'b"', 'r\'', '0x', '1e', '\\', '`', '\u{1f600}', '//c\n', 'Object{', '9223372036854775808')
    fc.assert(fc.property(fc.oneof(fc.string(), fc.array(piece, { maxLength: 30 }).map((p) => p.join(''))), (source) => {
      try {
        parse(source, ALL_MACROS)
      } catch (e) {
        assert.ok(e instanceof SyntaxIssue, String(e))
      }
      assert.doesNotThrow(() => compile(source, { variables: VARIABLES }))
    }), { numRuns: 1_000 })
  })

  it('no function is upset by values it does not expect', () => {
    const pool = [null, true, 0n, -1n, 5n, 1.5, NaN, '', 'a', '[', 'é👑', '2020-01-01T00:00:00Z', '1h', '1.2.3', '10.0.0.0/8', [], [1n, 'a', null], [[1n], ['b']], { a: 1 }, {}, new Uint(3n), new Timestamp(0n), new Duration(1n), Buffer.from('é'), Optional.none, new Optional(1n), new TypeValue('int')]
    const value = fc.constantFrom<unknown>(...pool)
    const environment = kubernetesEnvironment({ patches: true })
    const names = Array.from(environment.functions.values()).flat().filter((o) => !/[_@]/.test(o.fn) && !o.fn.startsWith('!') && !o.fn.startsWith('-'))
    for (const overload of names) {
      const [first, ...rest] = ['x', 'y', 'z', 'x'].slice(0, overload.args.length)
      const text = overload.member ? `${first}.${overload.fn}(${rest.join(', ')})` : `${overload.fn}(${[first, ...rest].filter((n) => n !== undefined).join(', ')})`
      const compiled = compile(text, { variables: VARIABLES, environment })
      assert.ok(compiled.ok, `${text} ${compiled.ok ? '' : compiled.error}`)
      fc.assert(fc.property(value, value, value, (x, y, z) => {
        const result = compiled.program.evaluate({ x, y, z })
        assert.ok(result.ok || result.kind === 'error' || result.kind === 'cost', text)
      }), { numRuns: 60 })
    }
  })

  it('a null where a type was promised is an error of the expression', () => {
    const self = schemaToCelType({ type: 'object', properties: { names: { type: 'array', items: { type: 'string', nullable: true } }, n: { type: 'array', items: { type: 'integer', nullable: true } } } })
    assert.ok(self)
    const outcome = (e: string): unknown => {
      const compiled = compile(e, { variables: { self } })
      assert.ok(compiled.ok)
      const result = compiled.program.evaluate({ self: { names: [null], n: [null] } })
      return result.ok ? toJson(result.value) : result.error
    }
    assert.deepStrictEqual(['self.names[0].startsWith("a")', 'self.n[0] + 1', 'self.n[0] < 1', 'self.names.join()', 'self.n.sum()', 'self.names[0].replace("a", "b")', 'self.names[0] + "a"'].map(outcome), [
      'no such overload', 'no such overload: _+_', 'no such overload: _<_', 'join: invalid input: null', 'no such overload', 'no such overload: replace(null_type, string, string)', 'no such overload: _+_',
    ])
  })

  it('depth and length are bounded, never the stack', () => {
    const n = 20_000
    const deep = [
      '('.repeat(n) + '1' + ')'.repeat(n), '['.repeat(n), '!('.repeat(n) + 'true' + ')'.repeat(n), '-'.repeat(n) + '1', `1${' + 1'.repeat(n)}`, `x${'.a'.repeat(n)}`, `x${'[0]'.repeat(n)}`,
      `${'true ? '.repeat(n)}1${' : 2'.repeat(n)}`, `${'[1].all(x, '.repeat(n)}true${')'.repeat(n)}`, '{1: '.repeat(n) + '1' + '}'.repeat(n), 'a'.repeat(100_001), `${'x.optMap(y, '.repeat(300)}1${')'.repeat(300)}`,
    ]
    for (const source of deep) assert.equal(compile(source, { variables: VARIABLES }).ok, source.startsWith('-'), source.slice(0, 20))
    // What is just within the bounds is evaluated, too.
    for (const source of [`${'('.repeat(200)}1${')'.repeat(200)}`, `1${' + 1'.repeat(200)}`, `x${'.a'.repeat(200)}`, `${'[1].all(x, '.repeat(60)}true${')'.repeat(60)}`, `true${' && true'.repeat(5_000)}`]) {
      const compiled = compile(source, { variables: VARIABLES })
      assert.ok(compiled.ok, source.slice(0, 20))
      compiled.program.evaluate({ x: {} })
    }
  })

  it('values that grow behind the costs are stopped', () => {
    const outcome = (e: string): unknown => {
      const compiled = compile(e, { variables: VARIABLES })
      assert.ok(compiled.ok)
      const result = compiled.program.evaluate({})
      return result.ok ? result.value : result.kind
    }
    const twice = (e: string): string => Array.from({ length: 40 }, () => e).join('')
    // Lists that double, lists that hold themselves twice (compared, printed), ranges, replacements of nothing.
    assert.deepStrictEqual([
      outcome(`[[1]]${twice('.map(v, v + v)')}[0].size()`), outcome(`[1]${twice('.map(v, [v, v])')} == [1]${twice('.map(v, [v, v])')}`), outcome(`'%s'.format([[1]${twice('.map(v, [v, v])')}])`),
      outcome('lists.range(100000000).size()'), outcome(`'aaaaaaaaaa'${twice(".replace('', 'aaaaaaaaaa')")}.size()`),
    ], ['cost', 'cost', 'cost', 'cost', 'cost'])
    const chain = compile(Array.from({ length: 40 }, () => 0).reduce((inner) => `optional.of(${inner}).optMap(v, v + v).value()`, '[1]'), { variables: VARIABLES })
    assert.ok(!chain.ok && /macros make the expression too large/.test(chain.error))
  })

  it('no pattern makes the matcher fail, or keep more than its share', () => {
    const piece = fc.constantFrom('a', 'é', '👑', '.', '[', ']', '(', ')', '(?i)', '(?:', '*', '+', '?', '{2,3}', '{', '|', '^', '$', '\\', '\\d', '\\pL', '\\p{Greek}', '\\b', '[^', '-', '[[:alpha:]]', '\\Q', '\\x{41}')
    fc.assert(fc.property(fc.oneof(fc.string(), fc.array(piece, { maxLength: 12 }).map((p) => p.join(''))), fc.string({ unit: 'grapheme' }), (source, input) => {
      try {
        const regex = compileRegex(source)
        assert.equal(regex.find(input) !== undefined, regex.test(input))
        regex.findAll(input, 5)
      } catch (e) {
        assert.ok(e instanceof EvalError, String(e))
      }
    }), { numRuns: 500 })
    assert.throws(() => compileRegex('((a{1000}){1000}){1000}'), EvalError)
    assert.throws(() => compileRegex(`${'('.repeat(5_000)}a${')'.repeat(5_000)}`), EvalError)
    const every = Array.from({ length: 50_000 }, (_, i) => String.fromCodePoint(i < 0xd000 ? i : i + 0x10000)).join('')
    assert.deepStrictEqual([compileRegex('^[\\s\\S]*$').test(every), compileRegex('(x|y)*z$').test(`${every}z`), compileRegex('\\x{FFFF}').test(every)], [true, true, false])
  })

  it('patterns that RE2 refuses are refused in its words', () => {
    const cases = {
      'a**': 'invalid nested repetition operator: `**`', '(?=a)': 'invalid or unsupported Perl syntax: `(?=`', '(?<!a)': 'invalid or unsupported Perl syntax: `(?<!`', '\\1': 'invalid escape sequence: `\\1`',
      '[a': 'missing closing ]: `[a`', '(a': 'missing closing ): `(a`', 'a)': 'unexpected ): `a)`', '*': 'missing argument to repetition operator: `*`', 'a{1001}': 'invalid repeat count: `{1001}`', '[b-a]': 'invalid character class range: `b-a`',
    }
    for (const [source, message] of Object.entries(cases)) assert.throws(() => compileRegex(source), (e) => e instanceof EvalError && e.message === `error parsing regexp: ${message}`, source)
  })
})
