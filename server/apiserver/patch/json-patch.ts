/**
 * RFC 6902, as upstream's evanphx/json-patch applies it. Own code because the library has no limit on what `copy`
 * may multiply and writes through `__proto__`.
 */
import { PatchError, refusing, getOwn, isObject, jsonKindOf, setOwn, type Json, type Patched } from './result.ts'

/** Upstream's limit. */
export const JSON_PATCH_OPERATIONS_MAX = 10_000
/** Upstream's limit on the sum of what `copy` duplicates. */
export const JSON_PATCH_COPY_BYTES_MAX = 3 * 1024 * 1024

/** All 422s of upstream's JSON patch say no more than this; the operation that failed is told after it. */
const REJECTED = 'the server rejected our request due to an error in our request'

/** The document, which an operation may replace as a whole. */
interface Held { document: unknown }
type Fail = (why: string) => never

/** What it makes shares nothing with the original and the patch. */
export function applyJsonPatch(original: Json, patch: unknown): Patched {
  return refusing(() => {
    if (patch === null) return structuredCloneJson(original) as Json
    if (!Array.isArray(patch)) throw new PatchError(400, `error decoding patch: json: cannot unmarshal ${jsonKindOf(patch)} into Go value of type []handlers.jsonPatchOp`)
    if (patch.length > JSON_PATCH_OPERATIONS_MAX) throw new PatchError(413, `Request entity too large: The allowed maximum operations in a JSON patch is ${JSON_PATCH_OPERATIONS_MAX}, got ${patch.length}`)
    const wrong: unknown = patch.find((operation) => operation !== null && !isObject(operation))
    if (wrong !== undefined) throw new PatchError(400, `error decoding patch: json: cannot unmarshal ${jsonKindOf(wrong)} into Go value of type handlers.jsonPatchOp`)
    const held: Held = { document: structuredCloneJson(original) }
    let copiedBytes = 0
    for (const operation of patch as (Json | null)[]) {
      copiedBytes += applyOperation(held, operation ?? {})
      if (copiedBytes > JSON_PATCH_COPY_BYTES_MAX) throw new PatchError(422, `${REJECTED}: Unable to complete the copy, the accumulated size increase of copy is ${copiedBytes}, exceeding the limit ${JSON_PATCH_COPY_BYTES_MAX}`)
    }
    const result = held.document
    if (!isObject(result)) throw new PatchError(422, `${REJECTED}: the patched document is no object`)
    return result
  })
}

/** Returns how many bytes were duplicated. */
function applyOperation(held: Held, operation: Json): number {
  const kind = typeof operation['op'] === 'string' ? operation['op'] : 'unknown'
  const pointer = (name: 'path' | 'from'): string => {
    const given = operation[name]
    if (typeof given !== 'string') throw new PatchError(422, `${REJECTED}: ${kind} operation failed to decode ${name}: missing value`)
    return given
  }
  const fail = (why: string): never => {
    throw new PatchError(422, `${REJECTED}: ${kind} operation ${why}`)
  }
  const value = (): unknown => structuredCloneJson(operation['value'] ?? null)
  switch (kind) {
    case 'add': add(find(held, pointer('path'), 'path', fail), value(), fail); return 0
    case 'remove': remove(find(held, pointer('path'), 'path', fail), fail); return 0
    case 'replace': replace(held, pointer('path'), value(), fail); return 0
    case 'test': assertValue(held, pointer('path'), operation['value'] ?? null, fail); return 0
    case 'move': {
      const from = find(held, pointer('from'), 'from path', fail)
      const moved = read(from, fail)
      remove(from, fail)
      add(find(held, pointer('path'), 'destination path', fail), moved, fail)
      return 0
    }
    case 'copy': {
      const text = JSON.stringify(read(find(held, pointer('from'), 'from path', fail), fail) ?? null)
      const to = find(held, pointer('path'), 'destination path', fail)
      if (text.length <= JSON_PATCH_COPY_BYTES_MAX) add(to, JSON.parse(text), fail)
      return text.length
    }
    default: throw new PatchError(422, `${REJECTED}: Unexpected kind: ${kind}`)
  }
}

/** A member of an object, which may not be there, or an item of a list. */
interface Place { holder: Json | unknown[]; key: string; path: string }

/** What is before the first slash does not count; null, scalars and nothing have no members. */
function find({ document }: Held, path: string, what: string, fail: Fail): Place {
  const missing = (): never => fail(`does not apply: doc is missing ${what}: ${JSON.stringify(path)}`)
  const [, ...parts] = path.split('/').map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
  const key = parts.pop()
  let holder = document
  if (key === undefined) return missing()
  for (const part of parts) {
    if (Array.isArray(holder)) holder = holder[arrayIndex(part, holder.length) ?? holder.length]
    else holder = isObject(holder) ? getOwn(holder, part) : undefined
  }
  return Array.isArray(holder) || isObject(holder) ? { holder, key, path } : missing()
}

/** Undefined for a member that is not there. */
function read({ holder, key, path }: Place, fail: Fail): unknown {
  return Array.isArray(holder) ? (holder[indexOf(holder, key, path, fail)] as unknown) : getOwn(holder, key)
}

function indexOf(list: readonly unknown[], key: string, path: string, fail: Fail): number {
  const at = arrayIndex(key, list.length)
  return at === undefined || at >= list.length ? fail(`does not apply: invalid index: ${JSON.stringify(path)}`) : at
}

/** Go's Atoi; negative ones count from the end. */
function arrayIndex(part: string, length: number): number | undefined {
  if (!/^[+-]?\d{1,15}$/.test(part)) return undefined
  const at = Number(part)
  if (at >= 0) return at
  return length + at >= 0 ? length + at : undefined
}

function add({ holder, key, path }: Place, value: unknown, fail: Fail): void {
  if (!Array.isArray(holder)) return setOwn(holder, key, value)
  const at = key === '-' ? holder.length : arrayIndex(key, holder.length + 1)
  if (at === undefined || at > holder.length) return fail(`does not apply: invalid index: ${JSON.stringify(path)}`)
  holder.splice(at, 0, value)
}

function remove({ holder, key, path }: Place, fail: Fail): void {
  if (Array.isArray(holder)) holder.splice(indexOf(holder, key, path, fail), 1)
  else if (Object.hasOwn(holder, key)) delete holder[key]
  else fail(`does not apply: nonexistent key: ${JSON.stringify(path)}`)
}

/** A member need not be there before. */
function replace(held: Held, path: string, value: unknown, fail: Fail): void {
  if (path === '') {
    if (!isObject(value) && !Array.isArray(value)) fail('value must be object or array')
    held.document = value
    return
  }
  const { holder, key } = find(held, path, 'path', fail)
  if (Array.isArray(holder)) holder[indexOf(holder, key, path, fail)] = value
  else setOwn(holder, key, value)
}

/** A member that is not there is taken for null. */
function assertValue(held: Held, path: string, wanted: unknown, fail: Fail): void {
  const found = path === '' ? held.document : read(find(held, path, 'path', fail), fail)
  if (!deepEqual(found ?? null, wanted)) fail(`failed: testing value ${path} failed`)
}

function structuredCloneJson(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value)) as unknown
}

function deepEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (Array.isArray(a) || Array.isArray(b)) return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, i) => deepEqual(item, b[i]))
  if (!isObject(a) || !isObject(b)) return false
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && deepEqual(a[key], getOwn(b, key)))
}
