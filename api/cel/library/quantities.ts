/** Resource quantities and semantic versions. */
import type { Quantity } from '#api/types/quantity.ts'
import { addQuantity, subtractQuantity, tryParseQuantity } from '#api/types/quantity.ts'
import type { Declaration } from '../overload.ts'
import type { CelValue } from '../value.ts'
import { EvalError, OpaqueValue } from '../value.ts'

const NANO = 1_000_000_000n
/** Beyond 18 digits upstream keeps decimals that do not convert. */
const INTEGER_MAX = 10n ** 18n

export class QuantityValue extends OpaqueValue {
  readonly typeName = 'kubernetes.Quantity'
  readonly quantity: Quantity
  constructor(quantity: Quantity) { super(); this.quantity = quantity }
  equals(other: OpaqueValue): boolean { return other instanceof QuantityValue && other.quantity.nano === this.quantity.nano }
  compareTo(other: CelValue): number { return order(this.quantity.nano, (other as QuantityValue).quantity.nano) }
}

const order = (a: bigint | number, b: bigint | number): number => (a < b ? -1 : a > b ? 1 : 0)

/** Blanks are part of no quantity. */
function parse(text: string): ReturnType<typeof tryParseQuantity> {
  const parsed = tryParseQuantity(text)
  return parsed.ok && /\s/.test(text) ? { ok: false, message: NOT_A_QUANTITY } : parsed
}

const NOT_A_QUANTITY = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"

export function quantity(text: string): QuantityValue {
  const parsed = parse(text)
  if (!parsed.ok) throw new EvalError(parsed.message)
  return new QuantityValue(parsed.quantity)
}
const units = (v: bigint): Quantity => ({ nano: v * NANO, format: 'DecimalExponent' })
const isInteger = ({ quantity: { nano } }: QuantityValue): boolean => nano % NANO === 0n && nano / NANO < INTEGER_MAX && nano / NANO > -INTEGER_MAX
const T = 'kubernetes.Quantity'

export const QUANTITIES: readonly Declaration[] = [
  ['string_to_quantity', `quantity(string): ${T}`, quantity],
  ['is_quantity_string', 'isQuantity(string): bool', (text: string) => parse(text).ok],
  ['quantity_sign', `sign(${T}): int`, (q: QuantityValue) => BigInt(order(q.quantity.nano, 0n))],
  ['quantity_is_greater_than', `${T}->isGreaterThan(${T}): bool`, (a: QuantityValue, b: QuantityValue) => a.compareTo(b) > 0],
  ['quantity_is_less_than', `${T}->isLessThan(${T}): bool`, (a: QuantityValue, b: QuantityValue) => a.compareTo(b) < 0],
  ['quantity_compare_to', `${T}->compareTo(${T}): int`, (a: QuantityValue, b: QuantityValue) => BigInt(a.compareTo(b))],
  ['quantity_get_float', `${T}->asApproximateFloat(): double`, (q: QuantityValue) => Number(q.quantity.nano) / 1e9],
  ['quantity_get_int', `${T}->asInteger(): int`, (q: QuantityValue) => {
    if (!isInteger(q)) throw new EvalError('cannot convert value to integer')
    return q.quantity.nano / NANO
  }],
  ['quantity_is_integer', `${T}->isInteger(): bool`, isInteger],
  ['quantity_add', `${T}->add(${T}): ${T}`, (a: QuantityValue, b: QuantityValue) => new QuantityValue(addQuantity(a.quantity, b.quantity))],
  ['quantity_add_int', `${T}->add(int): ${T}`, (a: QuantityValue, b: bigint) => new QuantityValue(addQuantity(a.quantity, units(b)))],
  ['quantity_sub', `${T}->sub(${T}): ${T}`, (a: QuantityValue, b: QuantityValue) => new QuantityValue(subtractQuantity(a.quantity, b.quantity))],
  ['quantity_sub_int', `${T}->sub(int): ${T}`, (a: QuantityValue, b: bigint) => new QuantityValue(subtractQuantity(a.quantity, units(b)))],
]

export class SemverValue extends OpaqueValue {
  readonly typeName = 'kubernetes.Semver'
  readonly numbers: readonly [bigint, bigint, bigint]
  readonly prerelease: readonly string[]
  constructor(numbers: readonly [bigint, bigint, bigint], prerelease: readonly string[]) {
    super()
    this.numbers = numbers
    this.prerelease = prerelease
  }
  equals(other: OpaqueValue): boolean { return other instanceof SemverValue && this.compareTo(other) === 0 }
  /** By semver.org, 11: build metadata does not count. */
  compareTo(other: CelValue): number {
    const that = other as SemverValue
    for (const i of [0, 1, 2] as const) if (this.numbers[i] !== that.numbers[i]) return order(this.numbers[i], that.numbers[i])
    if (this.prerelease.length === 0 || that.prerelease.length === 0) return order(that.prerelease.length, this.prerelease.length)
    for (const [i, mine] of this.prerelease.entries()) {
      const theirs = that.prerelease[i]
      if (theirs === undefined) return 1
      if (mine === theirs) continue
      const [x, y] = [/^\d+$/.test(mine), /^\d+$/.test(theirs)]
      if (x && y) return order(BigInt(mine), BigInt(theirs))
      return x !== y ? (x ? -1 : 1) : mine < theirs ? -1 : 1
    }
    return order(this.prerelease.length, that.prerelease.length)
  }
}

const NUMBER_MAX = (1n << 64n) - 1n

/** One of the three numbers; a text says what is wrong. */
function semverNumber(text: string, name: string): bigint | string {
  if (!/^\d*$/.test(text)) return `Invalid character(s) found in ${name.toLowerCase()} number ${JSON.stringify(text)}`
  if (/^0\d/.test(text)) return `${name} number must not contain leading zeroes ${JSON.stringify(text)}`
  if (text === '') return 'strconv.ParseUint: parsing "": invalid syntax'
  const value = BigInt(text)
  return value > NUMBER_MAX ? `strconv.ParseUint: parsing ${JSON.stringify(text)}: value out of range` : value
}

function prereleaseProblem(part: string): string | undefined {
  if (part === '') return 'Prerelease is empty'
  if (/^\d+$/.test(part)) {
    const value = semverNumber(part, '')
    return /^0\d/.test(part) ? `Numeric PreRelease version must not contain leading zeroes ${JSON.stringify(part)}` : typeof value === 'string' ? value : undefined
  }
  return /^[0-9A-Za-z-]+$/.test(part) ? undefined : `Invalid character(s) found in prerelease ${JSON.stringify(part)}`
}

function buildProblem(part: string): string | undefined {
  if (part === '') return 'Build meta data is empty'
  return /^[0-9A-Za-z-]+$/.test(part) ? undefined : `Invalid character(s) found in build meta data ${JSON.stringify(part)}`
}

function parseSemver(text: string, normalize: boolean): SemverValue | string {
  let version = text
  if (normalize) {
    const parts = text.replace(/^v/, '').split('.')
    const three = parts.length > 3 ? [...parts.slice(0, 2), parts.slice(2).join('.')] : parts
    if (three.length < 3 && /[+-]/.test(three.at(-1) ?? '')) return 'short version cannot contain PreRelease/Build meta data'
    version = [...three.map((part) => part.replace(/^0+(?=\d)/, '')), '0', '0'].slice(0, Math.max(3, three.length)).join('.')
  }
  if (version === '') return 'Version string empty'
  const [, majorText, minorText, rest] = /^([^.]*)\.([^.]*)\.(.*)$/s.exec(version) ?? []
  if (majorText === undefined || minorText === undefined || rest === undefined) return 'No Major.Minor.Patch elements found'
  const [, patchText = '', prereleaseText, buildText] = /^([^+-]*)(?:-([^+]*))?(?:\+(.*))?$/s.exec(rest) ?? []
  const prerelease = prereleaseText?.split('.') ?? []
  const [major, minor, patch] = [semverNumber(majorText, 'Major'), semverNumber(minorText, 'Minor'), semverNumber(patchText, 'Patch')]
  if (typeof major === 'string') return major
  if (typeof minor === 'string') return minor
  if (typeof patch === 'string') return patch
  for (const part of prerelease) {
    const problem = prereleaseProblem(part)
    if (problem !== undefined) return problem
  }
  for (const part of buildText?.split('.') ?? []) {
    const problem = buildProblem(part)
    if (problem !== undefined) return problem
  }
  return new SemverValue([major, minor, patch], prerelease)
}

export function semver(text: string, normalize: boolean): SemverValue {
  const parsed = parseSemver(text, normalize)
  if (typeof parsed === 'string') throw new EvalError(parsed)
  return parsed
}
const V = 'kubernetes.Semver'

export const SEMVERS: readonly Declaration[] = [
  ['string_to_semver', `semver(string): ${V}`, (text: string) => semver(text, false)],
  ['string_bool_to_semver', `semver(string, bool): ${V}`, semver],
  ['is_semver_string', 'isSemver(string): bool', (text: string) => typeof parseSemver(text, false) !== 'string'],
  ['is_semver_string_bool', 'isSemver(string, bool): bool', (text: string, normalize: boolean) => typeof parseSemver(text, normalize) !== 'string'],
  ['semver_is_greater_than', `${V}->isGreaterThan(${V}): bool`, (a: SemverValue, b: SemverValue) => a.compareTo(b) > 0],
  ['semver_is_less_than', `${V}->isLessThan(${V}): bool`, (a: SemverValue, b: SemverValue) => a.compareTo(b) < 0],
  ['semver_compare_to', `${V}->compareTo(${V}): int`, (a: SemverValue, b: SemverValue) => BigInt(a.compareTo(b))],
  ['semver_major', `${V}->major(): int`, (v: SemverValue) => v.numbers[0]],
  ['semver_minor', `${V}->minor(): int`, (v: SemverValue) => v.numbers[1]],
  ['semver_patch', `${V}->patch(): int`, (v: SemverValue) => v.numbers[2]],
]
