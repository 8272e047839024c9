/** RFC 7396, as upstream's evanphx/json-patch has it: nulls in lists that come with the patch are dropped from the objects there, too. */
import { getOwn, isObject, jsonKindOf, PatchError, refusing, setOwn, type Json, type Patched } from './result.ts'

export function applyMergePatch(original: Json, patch: unknown): Patched {
  return refusing(() => {
    if (patch === null) throw new PatchError(400, 'Invalid JSON Patch')
    if (!isObject(patch)) throw new PatchError(400, `error decoding patch: json: cannot unmarshal ${jsonKindOf(patch)} into Go value of type map[string]interface {}`)
    return mergeObject(original, patch)
  })
}

function mergeObject(target: unknown, patch: Json): Json {
  const merged = isObject(target) ? { ...target } : {}
  for (const key of Object.keys(patch)) {
    const value = patch[key]
    if (value === null) delete merged[key]
    else setOwn(merged, key, mergeValue(getOwn(merged, key), value))
  }
  return merged
}

function mergeValue(current: unknown, value: unknown): unknown {
  if (isObject(value)) return mergeObject(current, value)
  // A list in an object's place is taken as it is.
  return Array.isArray(value) && !isObject(current) ? value.map(withoutNulls) : value
}

function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls)
  return isObject(value) ? mergeObject(undefined, value) : value
}
