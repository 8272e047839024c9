/** Values in messages. */
import type { CelValue } from '../value.ts'
import { typeName, Uint } from '../value.ts'

export function show(v: CelValue): string {
  if (typeof v === 'string') return v
  if (v instanceof Uint) return String(v.value)
  return typeof v === 'bigint' || typeof v === 'number' || typeof v === 'boolean' ? String(v) : v === null ? 'null' : typeName(v)
}
