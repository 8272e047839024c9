/** What all patches answer: the patched value, or upstream's refusal as data. */
export type Json = Record<string, unknown>

export interface PatchRefusal {
  ok: false
  code: 400 | 413 | 422
  reason: 'BadRequest' | 'RequestEntityTooLarge' | 'Invalid'
  message: string
}

/** `value` shares parts with the original and the patch; neither was changed. */
export type Patched = { ok: true; value: Json } | PatchRefusal

/** Thrown inside this folder only, caught by `refusing`. */
export class PatchError extends Error {
  readonly refusal: PatchRefusal
  constructor(code: PatchRefusal['code'], message: string) {
    super(message)
    this.refusal = { ok: false, code, reason: code === 400 ? 'BadRequest' : code === 413 ? 'RequestEntityTooLarge' : 'Invalid', message }
  }
}

export function refusing(patch: () => Json): Patched {
  try {
    return { ok: true, value: patch() }
  } catch (error) {
    if (error instanceof PatchError) return error.refusal
    throw error
  }
}

export const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)

/** Assignment that treats `__proto__` as the plain key it is in JSON. */
export function setOwn(object: Json, key: string, value: unknown): void {
  if (key === '__proto__') Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true })
  else object[key] = value
}

export const getOwn = (object: Json, key: string): unknown => (Object.hasOwn(object, key) ? object[key] : undefined)

/** As Go names it. */
export const jsonKindOf = (value: unknown): string => (Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value)
