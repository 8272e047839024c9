/** OpenAPI documents as values that can be compared piece by piece: what stands once for many is put where it is meant, sets are in one order, prose is left out. Pure. */
import type { Difference } from './differ.ts'
import { isObject, type Json } from './exchange.ts'

/** Lists of names without an order. */
const SETS = new Set(['required', 'produces', 'consumes', 'schemes', 'tags'])
/** By which what is in them can be told apart, where they are lists. */
const KEYED: Readonly<Record<string, (of: Json) => string>> = {
  parameters: ({ name, in: where }) => `${String(name)} in ${String(where)}`,
  'x-kubernetes-group-version-kind': ({ group, version, kind }) => `${String(group)}/${String(version)} ${String(kind)}`,
}

/** `document`: of version 2 or 3, or the index of version 3. */
export function comparableDocument(document: unknown): unknown {
  if (!isObject(document)) return document
  const { parameters, ...rest } = document
  return comparable(rest, '', isObject(parameters) ? parameters : {})
}

function comparable(of: unknown, key: string, parameters: Json): unknown {
  const down = (value: unknown, below: string) => comparable(value, below, parameters)
  if (Array.isArray(of)) {
    const keyOf = KEYED[key]
    if (keyOf && of.every(isObject)) return Object.fromEntries((of as Json[]).map((item) => resolved(item, parameters)).map((item) => [keyOf(item), down(item, '')]))
    return SETS.has(key) && of.every((item) => typeof item === 'string') ? (of as string[]).toSorted() : of.map((item) => down(item, ''))
  }
  if (isObject(of)) return Object.fromEntries(Object.entries(of).map(([name, value]) => [name, isProse(name, value) ? '…' : down(value, name)]))
  return typeof of === 'string' ? of.replace(/\?hash=[0-9A-F]+$/, '?hash=…') : of
}

/** A property may be called `description`, too: that is an object. */
const isProse = (name: string, value: unknown): boolean => name === 'description' && typeof value === 'string'

function resolved(item: Json, parameters: Json): Json {
  const { $ref } = item
  return typeof $ref === 'string' ? parameters[$ref.replace('#/parameters/', '')] as Json : item
}

/** All places in which two values differ, each as far down as it goes; lists as a whole. */
export function allDifferences(ours: unknown, theirs: unknown, path = ''): Difference[] {
  if (isObject(ours) && isObject(theirs)) {
    return [...new Set([...Object.keys(theirs), ...Object.keys(ours)])].toSorted().flatMap((key) => allDifferences(ours[key], theirs[key], path === '' ? key : `${path}.${key}`))
  }
  return JSON.stringify(sortedKeys(ours)) === JSON.stringify(sortedKeys(theirs)) ? [] : [{ path, ours, theirs }]
}

function sortedKeys(of: unknown): unknown {
  if (Array.isArray(of)) return of.map(sortedKeys)
  return isObject(of) ? Object.fromEntries(Object.entries(of).map(([key, value]) => [key, sortedKeys(value)]).toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1))) : of
}

const NAMED = /\b(paths|schemas|definitions|properties)\.(.+?)(?=\.(?:get|put|post|delete|patch|head|options|parameters|properties|items|additionalProperties|description|default|type|format|allOf|anyOf|oneOf|not|enum|required|nullable|\$ref|x-kubernetes-[a-z-]+)(?:\.|$)|$)/g
/** Where in a document: without the names of paths, types and fields. */
export const placeIn = (path: string): string => path.replace(NAMED, '$1.…')
