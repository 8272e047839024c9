/**
 * Strategic merge patch as apimachinery's `strategicpatch` does it: lists merge by the schema's patch merge keys;
 * directives `$patch`, `$retainKeys`, `$setElementOrder/x`, `$deleteFromPrimitiveList/x`. Parts without a schema
 * (free-form JSON) merge as RFC 7396.
 */
import type { FieldSchema, FieldType, ModelSchema, SchemaSet } from '#api/schema/schema.ts'
import { orderElements, sameElement, splitByPresence } from './element-order.ts'
import { goText } from './go-text.ts'
import { getOwn, isObject, jsonKindOf, PatchError, refusing, setOwn, type Json, type Patched } from './result.ts'

export interface StrategicOptions { schema: SchemaSet; /** Model of the object patched. */ model: string }

const PATCH = '$patch'
const RETAIN_KEYS = '$retainKeys'
const SET_ORDER = '$setElementOrder/'
const DELETE_FROM = '$deleteFromPrimitiveList/'

/** Neither original nor patch is changed. */
export function applyStrategicMergePatch(original: Json, patch: unknown, options: StrategicOptions): Patched {
  return refusing(() => {
    if (patch === null) return original
    if (!isObject(patch)) throw new PatchError(400, `json: cannot unmarshal ${jsonKindOf(patch)} into Go value of type map[string]interface {}`)
    return mergeMap(original, patch, shapeOf({ kind: 'ref', model: options.model }, options.schema))
  })
}

/** What is known of an object's members: fields of a model, values of a map, or nothing. */
interface Shape { schema: SchemaSet; model?: ModelSchema; values?: FieldType }

function shapeOf(type: FieldType | undefined, schema: SchemaSet): Shape {
  if (type?.kind === 'ref') {
    const model = schema.model(type.model)
    return model ? { schema, model } : { schema }
  }
  return type?.kind === 'map' ? { schema, values: type.values } : { schema }
}

function fieldOf(shape: Shape, key: string): FieldSchema | undefined {
  if (shape.values) return { type: shape.values, required: false }
  if (!shape.model) return undefined
  const field = shape.model.fields[key]
  if (!field) throw new PatchError(422, `unable to find api field in struct ${shape.model.definition.split('.').at(-1)} for the json field ${JSON.stringify(key)}`)
  return field
}

function mergeMap(original: Json | undefined, givenPatch: Json, shape: Shape): Json {
  if (Object.hasOwn(givenPatch, PATCH)) return replaceOrDelete(givenPatch)
  const merged: Json = { ...original }
  const patch: Json = { ...givenPatch }
  retainKeys(merged, patch)
  mergeOrderedLists(merged, patch, shape)
  for (const given of Object.keys(patch)) {
    const value = patch[given]
    const isDeleteList = given.startsWith(DELETE_FROM)
    const key = isDeleteList ? given.slice(DELETE_FROM.length) : given
    if (value === null) {
      delete merged[key]
      continue
    }
    const current = getOwn(merged, key)
    const bothMaps = isObject(current) && isObject(value)
    const bothLists = Array.isArray(current) && Array.isArray(value)
    if (bothMaps) {
      const field = fieldOf(shape, key)
      setOwn(merged, key, field?.patchStrategy === 'replace' ? withoutDirectives(value) : mergeMap(current, value, shapeOf(field?.type, shape.schema)))
    } else if (bothLists) {
      setOwn(merged, key, mergeListField(current, value, fieldOf(shape, key), { isDeleteList, schema: shape.schema }))
    } else if (!isDeleteList) {
      const plain = withoutDirectives(value)
      if (plain !== undefined) setOwn(merged, key, plain)
    }
  }
  return merged
}

function replaceOrDelete(patch: Json): Json {
  const { [PATCH]: directive, ...rest } = patch
  if (directive === 'replace') return withoutDirectives(rest) as Json
  if (directive === 'delete') return {}
  throw badPatchType(directive, patch)
}

const badPatchType = (directive: unknown, patch: Json): PatchError => new PatchError(422, `unknown patch type: ${String(directive)} in map: ${goText(patch)}`)

/** `$retainKeys`: members of the original that are not listed go; members of the patch must be listed. */
function retainKeys(merged: Json, patch: Json): void {
  if (!Object.hasOwn(patch, RETAIN_KEYS)) return
  const listed: unknown = patch[RETAIN_KEYS]
  delete patch[RETAIN_KEYS]
  if (!Array.isArray(listed)) throw new PatchError(400, 'invalid patch format of retainKeys')
  const keep = new Set(listed)
  for (const key of Object.keys(patch)) {
    if (patch[key] === null || key.startsWith(DELETE_FROM) || key.startsWith(SET_ORDER)) continue
    if (!keep.has(key)) throw new PatchError(400, 'invalid patch format of retainKeys')
  }
  for (const key of Object.keys(merged)) if (!keep.has(key)) delete merged[key]
}

/** `$setElementOrder/x` together with x; what is done here is taken out of the patch. */
function mergeOrderedLists(merged: Json, patch: Json, shape: Shape): void {
  for (const directive of Object.keys(patch)) {
    if (!directive.startsWith(SET_ORDER)) continue
    const order: unknown = patch[directive]
    delete patch[directive]
    if (!Array.isArray(order)) throw new PatchError(400, 'invalid patch format of setElementOrder list')
    const key = directive.slice(SET_ORDER.length)
    const current = getOwn(merged, key)
    const change = getOwn(patch, key)
    // A null deletes the list; the order of nothing is nothing.
    if (change === null) continue
    if ((current !== undefined && !Array.isArray(current)) || (change !== undefined && !Array.isArray(change))) throw new PatchError(400, 'invalid patch format of setElementOrder list')
    const field = fieldOf(shape, key)
    const mergeKey = field?.type.kind === 'list' ? field.type.patchMergeKey : undefined
    if (change) assertOrderMatches(change, order, mergeKey)
    delete patch[key]
    const list = !current ? change && (withoutDirectives(change) as unknown[]) : change ? mergeListField(current, change, field, { isDeleteList: false, schema: shape.schema }) : current
    if (!list) continue
    assertElements(list, mergeKey)
    assertKeys(order, mergeKey)
    const { present, absent } = splitByPresence(list, order, mergeKey)
    setOwn(merged, key, orderElements({ patched: present, serverOnly: absent, patchOrder: order, serverOrder: current ?? [], mergeKey }))
  }
}

/** Every element the patch sets must be in the order list, in that order. */
function assertOrderMatches(change: readonly unknown[], order: readonly unknown[], mergeKey: string | undefined): void {
  const set = mergeKey === undefined ? change : change.filter((item) => !(isObject(item) && item[PATCH] !== undefined))
  let at = 0
  for (const item of order) if (at < set.length && sameElement(set[at], item, mergeKey)) at++
  if (order.length > 0 && at < set.length) throw new PatchError(422, `The order in patch list:\n${goText(change)}\n doesn't match $setElementOrder list:\n${goText(order)}\n`)
}

interface ListContext { isDeleteList: boolean; schema: SchemaSet }

function mergeListField(current: readonly unknown[], change: readonly unknown[], field: FieldSchema | undefined, context: ListContext): unknown[] {
  const list = field?.type.kind === 'list' ? field.type : undefined
  const merges = list?.patchStrategy?.split(',').includes('merge') ?? false
  if (!merges && !context.isDeleteList) return withoutDirectives(change) as unknown[]
  if (current.length === 0 && change.length === 0) return []
  if (elementsAreMaps(current, change)) return mergeMaps(current as Json[], change as Json[], list, context.schema)
  if (context.isDeleteList) return current.filter((item) => !change.includes(item))
  const merged = [...new Set([...current, ...change])]
  const { present, absent } = splitByPresence(merged, change, undefined)
  return orderElements({ patched: present, serverOnly: absent, patchOrder: change, serverOrder: current, mergeKey: undefined })
}

function elementsAreMaps(...lists: (readonly unknown[])[]): boolean {
  const kinds = new Set(lists.flat().map((item) => (Array.isArray(item) ? 'list' : isObject(item) ? 'map' : item === null ? 'null' : typeof item)))
  if (kinds.has('list')) throw new PatchError(422, 'lists of lists are not supported')
  if (kinds.size > 1) throw new PatchError(422, `list element types are not identical: ${[...kinds].join(', ')}`)
  return kinds.has('map')
}

function mergeMaps(current: readonly Json[], change: readonly Json[], list: (FieldType & { kind: 'list' }) | undefined, schema: SchemaSet): unknown[] {
  const mergeKey = list?.patchMergeKey
  if (mergeKey === undefined) throw new PatchError(422, 'cannot merge lists without merge key')
  const keyOf = (item: Json): unknown => {
    if (!Object.hasOwn(item, mergeKey)) throw keyMissing(item, mergeKey)
    return item[mergeKey]
  }
  let base = [...current]
  const set: Json[] = []
  let replace = false
  for (const item of change) {
    const directive = item[PATCH]
    if (!Object.hasOwn(item, PATCH)) set.push(item)
    else if (directive === 'delete') {
      const gone = keyOf(item)
      base = base.filter((old) => keyOf(old) !== gone)
    } else if (directive === 'replace') replace = true
    else if (directive === 'merge') throw new PatchError(422, 'merging lists cannot yet be specified in the patch')
    else throw badPatchType(directive, item)
  }
  if (replace) return withoutDirectives(set) as unknown[]
  const merged: Json[] = [...base]
  const at = new Map(base.map((item, i): [unknown, number] => [item[mergeKey], i]).reverse())
  const keyless = base.findIndex((item) => !Object.hasOwn(item, mergeKey))
  const shape = shapeOf(list?.items, schema)
  for (const item of set) {
    const key = keyOf(item)
    const found = at.get(key)
    // An item without a key that stands before the one looked for.
    if (keyless >= 0 && keyless < (found ?? base.length)) keyOf(base[keyless] as Json)
    if (found === undefined) {
      at.set(key, merged.length)
      merged.push(withoutDirectives(item) as Json)
    } else merged[found] = mergeMap(merged[found], item, shape)
  }
  const { present, absent } = splitByPresence(merged, set, mergeKey)
  return orderElements({ patched: present, serverOnly: absent, patchOrder: set, serverOrder: base, mergeKey })
}

/** What puts elements in order names them. */
function assertKeys(order: readonly unknown[], mergeKey: string | undefined): void {
  const nameless = mergeKey === undefined ? undefined : order.find((item) => isObject(item) && !Object.hasOwn(item, mergeKey))
  if (nameless !== undefined) throw keyMissing(nameless as Json, mergeKey ?? '')
}

const keyMissing = (item: Json, mergeKey: string): PatchError => new PatchError(422, `map: ${goText(item)} does not contain declared merge key: ${mergeKey}`)

function assertElements(list: readonly unknown[], mergeKey: string | undefined): void {
  if (mergeKey !== undefined && !list.every(isObject)) throw new PatchError(422, `list element types are not identical: a map with the merge key ${mergeKey} is expected`)
}

/**
 * What is left of a part of the patch that meets nothing: nulls go. Undefined: the part deletes itself. The other directives
 * stay, as in upstream, for the decoder to tell of as fields that nobody knows.
 */
function withoutDirectives(value: unknown): unknown {
  if (Array.isArray(value)) {
    const kept: unknown[] = []
    for (const item of value as unknown[]) {
      // What carries a directive is for a list that is there.
      if (isObject(item) && Object.hasOwn(item, PATCH)) continue
      const plain = withoutDirectives(item)
      if (plain !== undefined) kept.push(plain)
    }
    return kept
  }
  if (!isObject(value)) return value
  // A directive is for what is there: where it is not, nothing of it is left, whatever else is said.
  if (Object.hasOwn(value, PATCH)) return undefined
  const kept: Json = {}
  for (const key of Object.keys(value)) {
    if (value[key] === null) continue
    const plain = withoutDirectives(value[key])
    if (plain !== undefined) setOwn(kept, key, plain)
  }
  return kept
}
