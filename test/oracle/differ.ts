/** The first place in which two values differ. Pure. */
import { isObject } from './exchange.ts'

export interface Difference { path: string; ours: unknown; theirs: unknown }

/** Undefined: they are the same. Keys in any order, lists in theirs. */
export function firstDifference(ours: unknown, theirs: unknown, path = ''): Difference | undefined {
  if (Array.isArray(ours) && Array.isArray(theirs)) {
    for (let i = 0; i < Math.max(ours.length, theirs.length); i++) {
      const found = firstDifference(ours[i], theirs[i], `${path}[${i}]`)
      if (found) return found
    }
    return undefined
  }
  if (isObject(ours) && isObject(theirs)) {
    // The code first, then what the answer says of itself: a Status beside an object differs in its kind.
    const keys = [...new Set([...Object.keys(theirs), ...Object.keys(ours)])].toSorted((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))
    for (const key of keys) {
      const found = firstDifference(ours[key], theirs[key], path === '' ? key : `${path}.${key}`)
      if (found) return found
    }
    return undefined
  }
  return Object.is(ours, theirs) ? undefined : { path, ours, theirs }
}

const FIRST = ['status', 'kind', 'message', 'warnings']
function rank(key: string): number {
  const at = FIRST.indexOf(key)
  return at < 0 ? FIRST.length : at
}
