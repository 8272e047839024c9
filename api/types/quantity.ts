/**
 * Resource quantities (`100m`, `1.5Gi`, `2e3`): exact, as upstream's `resource.Quantity`. The value is an integer
 * number of nano units, the finest step upstream keeps; finer input is rounded up, away from zero.
 */
export type QuantityFormat = 'DecimalSI' | 'BinarySI' | 'DecimalExponent'

export interface Quantity {
  readonly nano: bigint
  /** How it was written; decides how it is printed. */
  readonly format: QuantityFormat
  /** What upstream takes for canonical as it was written, and prints again (`1E3`, `+1`, `1.500`). Absent where it is printed like that anyway. */
  readonly text?: string
}

export type QuantityProblem = { ok: false; message: string }

const NANO = 1_000_000_000n
const LENGTH_MAX = 128
/** Upstream caps binary ones at 2^63-1. */
const UNITS_MAX = (1n << 63n) - 1n

const FORMAT_WRONG = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
const DECIMAL: Readonly<Record<string, number>> = { n: -9, u: -6, m: -3, '': 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 }
const BINARY: Readonly<Record<string, bigint>> = { Ki: 1n << 10n, Mi: 1n << 20n, Gi: 1n << 30n, Ti: 1n << 40n, Pi: 1n << 50n, Ei: 1n << 60n }
/** Upstream reads no digits as zero (`Ki`, `.`, `-`). */
const PARTS = /^([+-]?)(\d*)(?:\.(\d*))?([eEinumkKMGTP]*)([+-]?\d*)$/

export const ZERO: Quantity = { nano: 0n, format: 'DecimalSI' }

/** Numbers are accepted because JSON clients send them (`cpu: 1`). */
export function tryParseQuantity(input: unknown): ParsedQuantity {
  const known = typeof input === 'string' ? RECENT.get(input) : undefined
  if (known) return known
  const parsed = parseAnew(input)
  if (typeof input === 'string' && input.length <= RECENT_LENGTH_MAX) {
    if (RECENT.size >= RECENT_MAX) RECENT.clear()
    RECENT.set(input, parsed)
  }
  return parsed
}

type ParsedQuantity = { readonly ok: true; readonly quantity: Quantity } | QuantityProblem

/** The same few amounts are read again and again: defaults, validation, quotas and the scheduler each look at those of each pod. */
const RECENT = new Map<string, ParsedQuantity>()
const RECENT_MAX = 256
const RECENT_LENGTH_MAX = 16

function parseAnew(input: unknown): ParsedQuantity {
  const text = typeof input === 'number' ? String(input) : typeof input === 'string' ? input.trim() : undefined
  if (text === undefined || text === '' || text.length > LENGTH_MAX) return { ok: false, message: FORMAT_WRONG }
  const match = PARTS.exec(text)
  const whole = match?.[2] ?? ''
  const fraction = match?.[3] ?? ''
  if (!match) return { ok: false, message: FORMAT_WRONG }
  const scale = scaleOf(match[4] ?? '', match[5] ?? '')
  if (!scale) return { ok: false, message: "unable to parse quantity's suffix" }
  if (whole + fraction === '' && !isFast(1, scale)) return { ok: false, message: 'unable to parse numeric part of quantity' }
  const digits = BigInt(whole + fraction)
  const nano = scaled(digits, scale.exponent10 + 9 - fraction.length, scale.factor)
  const capped = scale.format === 'BinarySI' && nano > UNITS_MAX * NANO ? UNITS_MAX * NANO : nano
  const quantity: Quantity = { nano: match[1] === '-' ? -capped : capped, format: scale.format }
  return { ok: true, quantity: PRINTED_ALIKE.test(text) || !isKept(whole, fraction, scale) ? quantity : { ...quantity, text } }
}

/** No zeros in front, no fraction, suffixes in their one form. */
const PRINTED_ALIKE = /^-?[1-9]\d*(?:[numkMGTPE]|[KMGTPE]i|e-?[1-9]\d*)?$/
/** Digits that upstream's fast way holds. */
const FAST_DIGITS_MAX = 18
const FAST_BINARY_DIGITS_MAX = 15

const isFast = (digits: number, { factor, format }: Scale): boolean =>
  format === 'BinarySI' ? FAST_BINARY_DIGITS_MAX - digits - Math.trunc(((factor.toString(2).length - 1) * 3) / 10) - 1 >= 0 : digits <= FAST_DIGITS_MAX

/** Upstream's fast way keeps the text of what it takes for canonical, and goes by the digits alone. */
function isKept(whole: string, fraction: string, scale: Scale): boolean {
  const digits = `${whole.replace(/^0+/, '') || '0'}${fraction}`
  if (!isFast(digits.length, scale)) return false
  if (scale.format === 'BinarySI') return fraction === '' && (BigInt(digits) & 7n) !== 0n
  const exponent = scale.exponent10 - fraction.length
  return exponent >= -9 && exponent % 3 === 0 && !digits.endsWith('000') && !digits.startsWith('0')
}

/** For text that has been validated (it comes from the API server). Throws on anything else. */
export function parseQuantity(input: string | number): Quantity {
  const result = tryParseQuantity(input)
  if (!result.ok) throw new RangeError(`${JSON.stringify(input)}: ${result.message}`)
  return result.quantity
}

/** The one way upstream prints this value: `1000m` is `1`, `1024Mi` is `1Gi`, `0.5` is `500m`. */
export function formatQuantity({ nano, format, text }: Quantity): string {
  if (text !== undefined) return text
  if (nano === 0n) return '0'
  if (format === 'BinarySI') {
    const units = nano / NANO
    // Small or fractional values would lose precision in steps of 1024.
    if (nano % NANO === 0n && (units >= 1024n || units <= -1024n)) return formatBinary(units)
    return formatDecimal(nano, DECIMAL_SUFFIXES)
  }
  return formatDecimal(nano, format === 'DecimalSI' ? DECIMAL_SUFFIXES : EXPONENT_SUFFIXES)
}

/** Canonical text of valid input; what is no quantity comes back as it is, for validation to refuse. */
export function canonicalQuantity(input: string | number): string {
  const result = tryParseQuantity(input)
  return result.ok ? formatQuantity(result.quantity) : String(input)
}

export function compareQuantity(a: string | number, b: string | number): -1 | 0 | 1 {
  const left = parseQuantity(a).nano
  const right = parseQuantity(b).nano
  return left < right ? -1 : left > right ? 1 : 0
}

/** Keeps the format of the first that is not zero, as upstream's Add. */
export function addQuantity(a: Quantity, b: Quantity): Quantity {
  return { nano: a.nano + b.nano, format: a.nano === 0n ? b.format : a.format }
}

export function subtractQuantity(a: Quantity, b: Quantity): Quantity {
  return { nano: a.nano - b.nano, format: a.nano === 0n ? b.format : a.format }
}

/** Whole units, rounded up away from zero (upstream's Value): bytes, counts. Exact up to 2^53. */
export function quantityValue(input: string | number | undefined): number {
  if (input === undefined) return 0
  if (typeof input === 'string' && /^\d{1,15}$/.test(input)) return Number(input)
  return Number(divideUp(parseQuantity(input).nano, NANO))
}

/** Thousandths, rounded up away from zero (upstream's MilliValue): CPU. */
export function quantityMilli(input: string | number | undefined): number {
  if (input === undefined) return 0
  if (typeof input === 'string' && /^\d{1,12}m?$/.test(input)) return input.endsWith('m') ? Number(input.slice(0, -1)) : Number(input) * 1000
  return Number(divideUp(parseQuantity(input).nano, NANO / 1000n))
}

/** A quantity of `milli` thousandths, printed canonically: 1500 -> `1500m`, 2000 -> `2`. */
export const fromMilli = (milli: number): string => formatQuantity({ nano: BigInt(Math.round(milli)) * 1_000_000n, format: 'DecimalSI' })

export const fromValue = (units: number, format: QuantityFormat = 'DecimalSI'): string => formatQuantity({ nano: BigInt(Math.round(units)) * NANO, format })

interface Scale { exponent10: number; factor: bigint; format: QuantityFormat }

function scaleOf(letters: string, digits: string): Scale | undefined {
  if (digits !== '') {
    if ((letters !== 'e' && letters !== 'E') || !/\d/.test(digits)) return undefined
    const exponent10 = Number(digits)
    return Math.abs(exponent10) > 1000 ? undefined : { exponent10, factor: 1n, format: 'DecimalExponent' }
  }
  const factor = Object.hasOwn(BINARY, letters) ? BINARY[letters] : undefined
  if (factor !== undefined) return { exponent10: 0, factor, format: 'BinarySI' }
  const exponent10 = Object.hasOwn(DECIMAL, letters) ? DECIMAL[letters] : undefined
  return exponent10 === undefined ? undefined : { exponent10, factor: 1n, format: 'DecimalSI' }
}

function scaled(digits: bigint, exponent10: number, factor: bigint): bigint {
  const product = digits * factor
  return exponent10 >= 0 ? product * 10n ** BigInt(exponent10) : divideUp(product, 10n ** BigInt(-exponent10))
}

function divideUp(value: bigint, by: bigint): bigint {
  const quotient = value / by
  return value % by === 0n ? quotient : quotient + (value > 0n ? 1n : -1n)
}

const DECIMAL_SUFFIXES = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E']
const EXPONENT_SUFFIXES = ['e-9', 'e-6', 'e-3', '', 'e3', 'e6', 'e9', 'e12', 'e15', 'e18']
const BINARY_SUFFIXES = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei']

function formatDecimal(nano: bigint, suffixes: readonly string[]): string {
  return reduce(nano, 1000n, suffixes)
}

function formatBinary(units: bigint): string {
  return reduce(units, 1024n, BINARY_SUFFIXES)
}

/** The largest suffix that leaves a whole number. */
function reduce(value: bigint, step: bigint, suffixes: readonly string[]): string {
  let mantissa = value
  let at = 0
  while (at + 1 < suffixes.length && mantissa % step === 0n) {
    mantissa /= step
    at++
  }
  // Exponents have no end.
  let beyond = 0
  while (suffixes === EXPONENT_SUFFIXES && at + 1 === suffixes.length && mantissa % step === 0n) {
    mantissa /= step
    beyond += 3
  }
  return `${mantissa}${beyond > 0 ? `e${18 + beyond}` : (suffixes[at] ?? '')}`
}
