/** A deep copy of a JSON value: several times faster than structuredClone, which must expect anything. Pure. */
export function cloneJson<T>(value: T): T {
  return copy(value) as T
}

function copy(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(copy)
  const from = value as Record<string, unknown>
  const to: Record<string, unknown> = {}
  // Not of Object.keys: a list of them, for each object of each write, is a good part of what it allocates. JSON inherits none.
  for (const key in from) {
    // A plain key in JSON; assigned, it would set the prototype.
    if (key === '__proto__') Object.defineProperty(to, key, { value: copy(from[key]), enumerable: true, configurable: true, writable: true })
    else to[key] = copy(from[key])
  }
  return to
}
