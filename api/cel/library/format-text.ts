/** `'%s is %d'.format([...])`: the clauses s, d, f, e, b, x, X, o. */
import { formatDuration, formatTimestamp } from '../time-text.ts'
import type { CelValue } from '../value.ts'
import { CelList, CelMap, compareStrings, Duration, EvalError, Timestamp, typeName, TypeValue, Uint } from '../value.ts'
import { work } from '../work.ts'
import { formatDouble } from './standard.ts'

const PRECISION = 6
const CLAUSE = /%(?:\.(\d+))?([^])?/g

export function formatText(text: string, args: CelList): string {
  let next = 0
  return text.replace(CLAUSE, (whole, precision: string | undefined, verb: string | undefined) => {
    if (verb === '%' && precision === undefined) return '%'
    if (verb === undefined) throw new EvalError('unexpected end of string')
    if (next >= args.size) throw new EvalError(`index ${next} out of range`)
    const arg = args.at(next++)
    const digits = precision === undefined ? PRECISION : Number(precision)
    if (digits > 100) throw new EvalError(`precision ${digits} out of range`)
    return clause(verb, arg, digits, whole)
  })
}

function clause(verb: string, v: CelValue, digits: number, whole: string): string {
  switch (verb) {
    case 's': return textOf(v)
    case 'd': return decimal(v)
    case 'f': return fixed(v, digits, 'fixed-point')
    case 'e': return fixed(v, digits, 'scientific')
    case 'b': return binary(v)
    case 'x': return hex(v)
    case 'X': return hex(v).toUpperCase()
    case 'o': {
      const n = integer(v)
      if (n === undefined) throw new EvalError(`error during formatting: octal clause can only be used on integers, was given ${typeName(v)}`)
      return n.toString(8)
    }
    default: throw new EvalError(`could not parse formatting clause: unrecognized formatting clause "${whole.slice(-1)}"`)
  }
}

const integer = (v: CelValue): bigint | undefined => (typeof v === 'bigint' ? v : v instanceof Uint ? v.value : undefined)

function decimal(v: CelValue): string {
  const n = integer(v)
  if (n === undefined) throw new EvalError(`error during formatting: decimal clause can only be used on integers, was given ${typeName(v)}`)
  return String(n)
}

function fixed(v: CelValue, digits: number, name: string): string {
  const n = typeof v === 'number' ? v : v === 'NaN' ? NaN : v === 'Infinity' ? Infinity : v === '-Infinity' ? -Infinity : undefined
  if (n === undefined) throw new EvalError(`error during formatting: ${name} clause can only be used on doubles, was given ${typeName(v)}`)
  if (Number.isNaN(n)) return 'NaN'
  if (!Number.isFinite(n)) return n > 0 ? '∞' : '-∞'
  if (name === 'fixed-point') return roundHalfEven(n, digits).replace(/\B(?<!\.\d*)(?=(?:\d{3})+(?!\d))/g, ',')
  const [mantissa = '', exponent = ''] = n.toExponential(digits).split('e')
  const power = exponent.replace(/^([+-])(\d)$/, (_, sign: string, digit: string) => `${sign}0${digit}`)
  return `${mantissa}×10${superscript(power)}`
}

/** As Go rounds: a number exactly between two goes to the even one. `toFixed` is exact, but takes ties away from zero. */
function roundHalfEven(n: number, digits: number): string {
  const up = n.toFixed(digits)
  const exact = Math.abs(n) < 1e21 ? n.toFixed(Math.min(100, digits + 60)) : up
  const rest = exact.slice(exact.indexOf('.') + 1 + digits)
  const kept = exact.slice(0, exact.indexOf('.') + (digits === 0 ? 0 : 1 + digits))
  return exact.includes('.') && /^50*$/.test(rest) && /[02468]$/.test(kept) ? kept : up
}

/** Go's locale-aware printer writes exponents raised. */
const SUPERSCRIPTS: Readonly<Record<string, string>> = { '+': '', '-': '⁻', 0: '⁰', 1: '¹', 2: '²', 3: '³', 4: '⁴', 5: '⁵', 6: '⁶', 7: '⁷', 8: '⁸', 9: '⁹' }
const superscript = (power: string): string => Array.from(power, (c) => SUPERSCRIPTS[c] ?? c).join('')

function binary(v: CelValue): string {
  if (typeof v === 'boolean') return v ? '1' : '0'
  const n = integer(v)
  if (n === undefined) throw new EvalError(`error during formatting: only integers and bools can be formatted as binary, was given ${typeName(v)}`)
  return n.toString(2)
}

function hex(v: CelValue): string {
  if (typeof v === 'string') return Buffer.from(v, 'utf8').toString('hex')
  if (v instanceof Uint8Array) return Buffer.from(v).toString('hex')
  const n = integer(v)
  if (n === undefined) throw new EvalError(`error during formatting: only integers, byte buffers, and strings can be formatted as hex, was given ${typeName(v)}`)
  return n.toString(16)
}

/** `%s`: any value as text. */
function textOf(v: CelValue): string {
  work.step(typeof v === 'string' ? v.length : 1)
  if (typeof v === 'string') return v
  if (typeof v === 'bigint' || typeof v === 'boolean') return String(v)
  if (typeof v === 'number') return formatDouble(v)
  if (v === null) return 'null'
  if (v instanceof Uint) return String(v.value)
  if (v instanceof Timestamp) return formatTimestamp(v)
  if (v instanceof Duration) return formatDuration(v.nanos)
  if (v instanceof Uint8Array) return Buffer.from(v).toString('utf8')
  if (v instanceof TypeValue) return v.name
  if (v instanceof CelList) return `[${Array.from(v, nested).join(', ')}]`
  if (v instanceof CelMap) {
    const entries = Array.from(v.keys(), (key) => [nested(key), nested(v.find(key) ?? null)] as const).sort(([a], [b]) => compareStrings(a, b))
    return `{${entries.map(([key, value]) => `${key}:${value}`).join(', ')}}`
  }
  throw new EvalError(`error during formatting: string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps, was given ${typeName(v)}`)
}

/** Inside lists and maps values are written as CEL would write them. */
function nested(v: CelValue): string {
  if (typeof v === 'string') return JSON.stringify(v)
  if (typeof v === 'number') return Number.isFinite(v) ? v.toFixed(PRECISION) : JSON.stringify(formatDouble(v))
  if (v instanceof Uint8Array) return `b${JSON.stringify(Buffer.from(v).toString('utf8'))}`
  if (v instanceof Timestamp) return `timestamp(${JSON.stringify(formatTimestamp(v))})`
  if (v instanceof Duration) return `duration(${JSON.stringify(formatDuration(v.nanos))})`
  return textOf(v)
}
