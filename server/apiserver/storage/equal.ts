/** Equality of JSON values; a property that is undefined counts as absent. Pure. */
export function equalJson(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && equalItems(a, b)
  }
  return coversAll(a as Record<string, unknown>, b as Record<string, unknown>) && hasNoMore(b as Record<string, unknown>, a as Record<string, unknown>)
}

function equalItems(a: readonly unknown[], b: readonly unknown[]): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (!equalJson(a[i], b[i])) return false
  return true
}

function coversAll(a: Record<string, unknown>, b: Record<string, unknown>): boolean {
  for (const key in a) if (!equalJson(a[key], b[key])) return false
  return true
}

function hasNoMore(b: Record<string, unknown>, a: Record<string, unknown>): boolean {
  for (const key in b) if (b[key] !== undefined && a[key] === undefined) return false
  return true
}
