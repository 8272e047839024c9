/**
 * Plain scalars as sigs.k8s.io/yaml reads them, which is YAML 1.1 but for numbers to base 60: `yes` and `on` are booleans,
 * `0777` is octal, `1_000` a number, a mapping takes another's fields over with `<<`. Dates stay text.
 */
import { CORE_SCHEMA, defineScalarTag, mergeTag, NOT_RESOLVED, type Schema } from 'js-yaml'

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ...['y', 'Y', 'yes', 'Yes', 'YES', 'true', 'True', 'TRUE', 'on', 'On', 'ON'].map((text) => [text, true] as const),
  ...['n', 'N', 'no', 'No', 'NO', 'false', 'False', 'FALSE', 'off', 'Off', 'OFF'].map((text) => [text, false] as const),
])
const SPECIAL_FLOATS: Readonly<Record<string, number>> = { nan: Number.NaN, inf: Number.POSITIVE_INFINITY, '+inf': Number.POSITIVE_INFINITY, '-inf': Number.NEGATIVE_INFINITY }
const DIGITS = '0123456789'.split('')
const INT64_MIN = -(2n ** 63n)
const UINT64_MAX = 2n ** 64n - 1n

const dumped = () => false

const boolTag = defineScalarTag('tag:yaml.org,2002:bool', { implicit: true, implicitFirstChars: 'yYnNtTfFoO'.split(''), identify: dumped, resolve: (source) => BOOLEANS.get(source) ?? NOT_RESOLVED })
export const intTag = defineScalarTag('tag:yaml.org,2002:int', { implicit: true, implicitFirstChars: [...DIGITS, '+', '-'], identify: dumped, resolve: (source) => integer(source.replaceAll('_', '')) ?? NOT_RESOLVED })
export const floatTag = defineScalarTag('tag:yaml.org,2002:float', {
  implicit: true, implicitFirstChars: [...DIGITS, '+', '-', '.'], identify: dumped,
  resolve: (source, isExplicit) => float(source) ?? (isExplicit ? integer(source.replaceAll('_', '')) : undefined) ?? NOT_RESOLVED,
})

export const KUBERNETES_SCHEMA: Schema = CORE_SCHEMA.withTags(boolTag, intTag, floatTag, mergeTag)

/** As Go's ParseInt with base 0, then ParseUint. Undefined for what is none, or too large. */
function integer(text: string): number | undefined {
  const match = /^([-+]?)(?:(0[xX][\da-fA-F]+)|(0[bB][01]+)|0[oO]?([0-7]+)|(0|[1-9]\d*))$/.exec(text)
  if (!match) return undefined
  const [, sign = '', hex, binary, octal, decimal] = match
  const size = BigInt(hex ?? binary ?? (octal === undefined ? (decimal ?? '0') : `0o${octal}`))
  const value = sign === '-' ? -size : size
  // With a sign it is an int64, without one it may be a uint64.
  const max = sign === '' ? UINT64_MAX : 2n ** 63n - 1n
  return value < INT64_MIN || value > max ? undefined : Number(value)
}

function float(source: string): number | undefined {
  const special = /^([-+]?)\.(nan|NaN|NAN|inf|Inf|INF)$/.exec(source)
  if (special) return SPECIAL_FLOATS[`${special[1] ?? ''}${(special[2] ?? '').toLowerCase()}`]
  const text = source.startsWith('.') ? source : source.replaceAll('_', '')
  if (!/^[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?$/.test(text)) return undefined
  const value = Number(text)
  return Number.isFinite(value) ? value : undefined
}
