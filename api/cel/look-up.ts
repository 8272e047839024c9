/** Fields, keys and indexes of values. */
import type { CelValue } from './value.ts'
import { CelList, CelMap, EvalError, Optional, typeName, Uint } from './value.ts'
import { show } from './library/show.ts'

export const noFieldOfList = (): EvalError => new EvalError("unsupported index type 'string' in list")

/** Of an optional: a field of what it holds. */
export function selectOptional(v: CelValue, field: string): Optional {
  const inner = v instanceof Optional ? v.value : v
  if (inner instanceof CelList) throw noFieldOfList()
  const found = inner instanceof CelMap ? inner.field(field) : undefined
  return found === undefined ? Optional.none : new Optional(found)
}

export function indexOptional(v: CelValue, key: CelValue): Optional {
  const found = v instanceof CelList || v instanceof CelMap ? lookUp(v, key) : undefined
  return found === undefined ? Optional.none : new Optional(found)
}

/** Undefined: there is no such key or index. */
export function lookUp(v: CelValue, key: CelValue): CelValue | undefined {
  if (v instanceof CelMap) return v.find(key)
  if (!(v instanceof CelList)) return undefined
  const index = listIndex(key)
  return index >= 0 && index < v.size ? v.at(index) : undefined
}

function listIndex(key: CelValue): number {
  if (typeof key === 'bigint') return Number(key)
  if (key instanceof Uint) return Number(key.value)
  if (typeof key === 'number') {
    if (Number.isInteger(key)) return key
    throw new EvalError(`unsupported index value ${show(key)} in list`)
  }
  throw new EvalError(`unsupported index type '${typeName(key)}' in list`)
}
