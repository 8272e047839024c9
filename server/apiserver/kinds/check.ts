/** Checks that many kinds share, with upstream's words. Each returns the complaints, none when the value is fine. */
import type { LabelSelector } from '#api/types/index.ts'
import { checkLabelValue, checkPercent, checkPortName, checkPortNumber, checkQualifiedName, tryParseQuantity } from '#api/types/index.ts'
import { type FieldError, forbidden, invalid, notSupported, required } from '../field-error.ts'
import { semanticEqual } from './semantic-equal.ts'

export const FIELD_IMMUTABLE = 'field is immutable'
const NEGATIVE = 'must be greater than or equal to 0'

/** A FieldError for each complaint of a name rule. */
export const named = (field: string, value: string, check: (value: string) => string[]): FieldError[] => check(value).map((message) => invalid(field, value, message))

/** Required and by rule. */
export function requiredName(field: string, value: string | undefined, check: (value: string) => string[], detail = ''): FieldError[] {
  return value ? named(field, value, check) : [required(field, detail)]
}

export const nonNegative = (field: string, value: number | undefined): FieldError[] => (value !== undefined && value < 0 ? [invalid(field, value, NEGATIVE)] : [])

export const positive = (field: string, value: number | undefined): FieldError[] => (value !== undefined && value <= 0 ? [invalid(field, value, 'must be greater than zero')] : [])

/** `given`: a pointer in Go, where '' is a value like any other. */
export function oneOf(field: string, value: string | undefined, allowed: readonly string[], need: 'optional' | 'required' | 'given' = 'optional'): FieldError[] {
  if (value === undefined || (value === '' && need !== 'given')) return need === 'required' ? [required(field)] : []
  return allowed.includes(value) ? [] : [notSupported(field, value, allowed)]
}

export const immutable = (field: string, value: unknown, old: unknown): FieldError[] => (semanticEqual(value, old, field.slice(field.lastIndexOf('.') + 1)) ? [] : [invalid(field, value, FIELD_IMMUTABLE)])

export function checkLabels(field: string, labels: Readonly<Record<string, string>> | undefined): FieldError[] {
  return Object.entries(labels ?? {}).flatMap(([key, value]) => [...named(field, key, checkQualifiedName), ...named(field, value, checkLabelValue)])
}

/** metav1.LabelSelector. With `allowInvalidValues` (an update that does not change the selector) values are not looked at. */
export function checkLabelSelector(field: string, selector: LabelSelector | undefined): FieldError[] {
  if (!selector) return []
  const out = checkLabels(`${field}.matchLabels`, selector.matchLabels)
  for (const [i, { key, operator, values }] of (selector.matchExpressions ?? []).entries()) {
    const at = `${field}.matchExpressions[${i}]`
    const count = values?.length ?? 0
    if (operator === 'In' || operator === 'NotIn') {
      if (count === 0) out.push(required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"))
    } else if (operator === 'Exists' || operator === 'DoesNotExist') {
      if (count > 0) out.push(forbidden(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
    } else {
      out.push(invalid(`${at}.operator`, operator, 'not a valid selector operator'))
    }
    out.push(...named(`${at}.key`, key ?? '', checkQualifiedName))
    for (const [v, value] of (values ?? []).entries()) out.push(...named(`${at}.values[${v}]`, value, checkLabelValue))
  }
  return out
}

/** Whether a selector without any requirement was given where upstream refuses it. */
export const isEmptySelector = (selector: LabelSelector): boolean => Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions ?? []).length === 0

/** A number of at least 0, or a percentage. */
export function intOrPercent(field: string, value: number | string | undefined): FieldError[] {
  if (value === undefined) return []
  return typeof value === 'number' ? nonNegative(field, value) : named(field, value, checkPercent)
}

/** A port number or the name of a container's port. */
export function portOrName(field: string, value: number | string | undefined): FieldError[] {
  if (typeof value === 'number') return checkPortNumber(value).map((m) => invalid(field, value, m))
  return named(field, value ?? '', checkPortName)
}

/** A quantity that is well formed and at least 0. */
export function quantity(field: string, value: string): FieldError[] {
  const parsed = tryParseQuantity(value)
  if (!parsed.ok) return [invalid(field, value, parsed.message)]
  return parsed.quantity.nano < 0n ? [invalid(field, value, NEGATIVE)] : []
}

/** Sets `key` unless it has a value; for defaults, where '' and absent are the same. */
export function setDefault<T extends object, K extends keyof T>(target: T, key: K, value: NonNullable<T[K]>): void {
  const current: unknown = target[key]
  if (current === undefined || current === null || current === '') target[key] = value
}
