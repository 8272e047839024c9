/** Validation failures as data, worded as upstream words them (apimachinery `field.Error`). */
import { goQuote } from './go-quote.ts'

export type FieldErrorType = 'FieldValueRequired' | 'FieldValueInvalid' | 'FieldValueNotSupported' | 'FieldValueForbidden' | 'FieldValueDuplicate' | 'FieldValueTooLong' | 'FieldValueTooMany' | 'FieldValueNotFound' | 'FieldValueTypeInvalid' | 'InternalError'

export interface FieldError {
  type: FieldErrorType
  /** e.g. `spec.containers[0].image`. */
  field: string
  /** Ready to print: `Invalid value: "x": must be ...`; what stands after `field: ` in upstream's message. */
  message: string
}

const show = (value: unknown): string => (value === undefined ? 'null' : typeof value === 'string' ? goQuote(value) : JSON.stringify(value))

export const required = (field: string, detail = ''): FieldError => ({ type: 'FieldValueRequired', field, message: detail ? `Required value: ${detail}` : 'Required value' })
export const invalid = (field: string, value: unknown, detail: string): FieldError => ({ type: 'FieldValueInvalid', field, message: `Invalid value: ${show(value)}: ${detail}` })
export const notSupported = (field: string, value: unknown, supported: readonly string[]): FieldError => ({ type: 'FieldValueNotSupported', field, message: `Unsupported value: ${show(value)}: supported values: ${supported.map((s) => goQuote(s)).join(', ')}` })
export const forbidden = (field: string, detail: string): FieldError => ({ type: 'FieldValueForbidden', field, message: `Forbidden: ${detail}` })
export const duplicate = (field: string, value: unknown): FieldError => ({ type: 'FieldValueDuplicate', field, message: `Duplicate value: ${show(value)}` })
export const tooLong = (field: string, max: number): FieldError => ({ type: 'FieldValueTooLong', field, message: `Too long: may not be more than ${max} bytes` })
export const tooMany = (field: string, actual: number, max: number): FieldError => ({ type: 'FieldValueTooMany', field, message: `Too many: ${actual}: must have at most ${max} items` })
export const notFound = (field: string, value: unknown): FieldError => ({ type: 'FieldValueNotFound', field, message: `Not found: ${show(value)}` })
