/**
 * RFC 6902, as upstream's evanphx/json-patch applies it. Own code because the library has no limit on what `copy`
 * may multiply and writes through `__proto__`.
 */
import { PatchError, refusing, getOwn, isObject, setOwn, type Json, type Patched } from './result.ts'

/** Upstream's limit. */
export const JSON_PATCH_OPERATIONS_MAX = 10_000
/** Upstream's limit on the sum of what `copy` duplicates. */
export const JSON_PATCH_COPY_BYTES_MAX = 3 * 1024 * 1024

/** All 422s of upstream's JSON patch say no more than this; the operation that failed is told after it. */
const REJECTED = 'the server rejected our request due to an error in our request'

type Operation =
  | { op: 'add' | 'replace' | 'test'; path: string[]; value: unknown }
  | { op: 'remove'; path: string[] }
  | { op: 'move' | 'copy'; path: string[]; from: string[] }

export function applyJsonPatch(original: Json, patch: unknown): Patched {
  return refusing(() => {
    if (!Array.isArray(patch)) throw new PatchError(400, 'json: cannot unmarshal object into Go value of type jsonpatch.Patch')
    if (patch.length > JSON_PATCH_OPERATIONS_MAX) throw new PatchError(413, `Request entity too large: The allowed maximum operations in a JSON patch is ${JSON_PATCH_OPERATIONS_MAX}, got ${patch.length}`)
    const operations = patch.map(parseOperation)
    const root: Json = { '': structuredCloneJson(original) }
    let copiedBytes = 0
    for (const operation of operations) {
      copiedBytes += applyOperation(root, operation)
      if (copiedBytes > JSON_PATCH_COPY_BYTES_MAX) throw new PatchError(422, `${REJECTED}: Unable to complete the copy, the accumulated size increase of copy is ${copiedBytes}, exceeding the limit ${JSON_PATCH_COPY_BYTES_MAX}`)
    }
    const result = root['']
    if (!isObject(result)) throw new PatchError(422, `${REJECTED}: the patched document is no object`)
    return result
  })
}

function parseOperation(given: unknown): Operation {
  if (!isObject(given)) throw new PatchError(400, 'Invalid JSON Patch: an operation is no object')
  const { op, path, from } = given
  switch (op) {
    case 'add': case 'replace': case 'test':
      if (op !== 'test' && !Object.hasOwn(given, 'value')) throw new PatchError(400, `Invalid JSON Patch: ${op} without a value`)
      return { op, path: parsePointer(path, 'path'), value: given['value'] ?? null }
    case 'remove': return { op, path: parsePointer(path, 'path') }
    case 'move': case 'copy': return { op, path: parsePointer(path, 'path'), from: parsePointer(from, 'from') }
    default: throw new PatchError(422, `${REJECTED}: Unexpected kind: ${typeof op === 'string' ? op : 'unknown'}`)
  }
}

/** The path below the holder of the document: `''` first. */
function parsePointer(pointer: unknown, what: string): string[] {
  if (typeof pointer !== 'string' || (pointer !== '' && !pointer.startsWith('/'))) throw new PatchError(400, `Invalid JSON Patch: ${what} must be a JSON pointer`)
  return pointer.split('/').map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
}

/** Returns how many bytes were duplicated. */
function applyOperation(root: Json, operation: Operation): number {
  const fail = (why: string): never => {
    throw new PatchError(422, `${REJECTED}: ${operation.op} operation ${why}: ${operation.path.slice(1).map((p) => `/${p}`).join('')}`)
  }
  switch (operation.op) {
    case 'add': add(root, operation.path, structuredCloneJson(operation.value), fail); return 0
    case 'remove': remove(root, operation.path, fail); return 0
    case 'replace': replace(root, operation.path, structuredCloneJson(operation.value), fail); return 0
    case 'test': {
      const found = read(root, operation.path)
      // Upstream takes a missing member for null.
      if (!deepEqual(found === ABSENT ? null : found, operation.value)) fail('failed, the value is not the one expected')
      return 0
    }
    case 'move': {
      const moved = read(root, operation.from)
      if (moved === ABSENT) fail('from a missing path')
      if (isPrefix(operation.from, operation.path)) fail('into a part of itself')
      remove(root, operation.from, fail)
      add(root, operation.path, moved, fail)
      return 0
    }
    case 'copy': {
      const source = read(root, operation.from)
      if (source === ABSENT) fail('from a missing path')
      const text = JSON.stringify(source)
      if (text.length > JSON_PATCH_COPY_BYTES_MAX) return text.length
      add(root, operation.path, JSON.parse(text), fail)
      return text.length
    }
  }
}

const ABSENT = Symbol('absent')
type Fail = (why: string) => never

function child(holder: unknown, part: string): unknown {
  if (Array.isArray(holder)) {
    const at = arrayIndex(part, holder.length)
    return at === undefined || at >= holder.length ? ABSENT : (holder[at] as unknown)
  }
  return isObject(holder) && Object.hasOwn(holder, part) ? holder[part] : ABSENT
}

function read(root: Json, path: readonly string[]): unknown {
  let value: unknown = root
  for (const part of path) {
    value = child(value, part)
    if (value === ABSENT) return ABSENT
  }
  return value
}

/** Digits without leading zeros, or upstream's negative index from the end. */
function arrayIndex(part: string, length: number): number | undefined {
  if (/^(?:0|[1-9]\d{0,8})$/.test(part)) return Number(part)
  if (/^-[1-9]\d{0,8}$/.test(part)) return length + Number(part) >= 0 ? length + Number(part) : undefined
  return undefined
}

function add(root: Json, path: readonly string[], value: unknown, fail: Fail): void {
  const holder = read(root, path.slice(0, -1))
  const last = path.at(-1) ?? ''
  if (Array.isArray(holder)) {
    const at = last === '-' ? holder.length : arrayIndex(last, holder.length + 1)
    if (at === undefined || at > holder.length) return fail('has an invalid index')
    holder.splice(at, 0, value)
  } else if (isObject(holder)) setOwn(holder, last, value)
  else fail('does not apply: doc is missing path')
}

function remove(root: Json, path: readonly string[], fail: Fail): void {
  if (path.length === 1) return fail('does not apply to the whole document')
  const holder = read(root, path.slice(0, -1))
  const last = path.at(-1) ?? ''
  if (child(holder, last) === ABSENT) return fail('does not apply: doc is missing path')
  if (Array.isArray(holder)) holder.splice(arrayIndex(last, holder.length) ?? 0, 1)
  else delete (holder as Json)[last]
}

function replace(root: Json, path: readonly string[], value: unknown, fail: Fail): void {
  const holder = read(root, path.slice(0, -1))
  const last = path.at(-1) ?? ''
  if (child(holder, last) === ABSENT) return fail('does not apply: doc is missing key')
  if (Array.isArray(holder)) holder[arrayIndex(last, holder.length) ?? 0] = value
  else setOwn(holder as Json, last, value)
}

const isPrefix = (prefix: readonly string[], path: readonly string[]): boolean => prefix.length < path.length && prefix.every((part, i) => path[i] === part)

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
