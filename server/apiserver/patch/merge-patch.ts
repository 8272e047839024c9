/** RFC 7396. */
import { getOwn, isObject, PatchError, refusing, setOwn, type Json, type Patched } from './result.ts'

export function applyMergePatch(original: Json, patch: unknown): Patched {
  return refusing(() => {
    if (!isObject(patch)) throw new PatchError(400, 'Invalid JSON Patch')
    return mergeObject(original, patch)
  })
}

function mergeObject(target: unknown, patch: Json): Json {
  const merged = isObject(target) ? { ...target } : {}
  for (const key of Object.keys(patch)) {
    const value = patch[key]
    if (value === null) delete merged[key]
    else setOwn(merged, key, isObject(value) ? mergeObject(getOwn(merged, key), value) : value)
  }
  return merged
}
