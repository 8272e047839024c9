/**
 * Sets of field paths, as a trie, with the wire form FieldsV1. A path's elements are FieldsV1's own keys: `f:name` a
 * field or map key, `k:{"name":"a"}` an item of an associative list, `v:"a"` a member of a set list, `i:0` an index.
 */
import { isSorted } from '../../decode/is-sorted.ts'

export interface FieldSet {
  /** The path that leads here is a member. */
  own: boolean
  /** Most nodes have none, and share one map that says so: added to by `childOf` alone. */
  children: ReadonlyMap<string, FieldSet>
}

const NO_CHILDREN: ReadonlyMap<string, FieldSet> = new Map()

export const emptySet = (): FieldSet => ({ own: false, children: NO_CHILDREN })

/** The child under the element, made when there is none. */
function childOf(node: FieldSet, element: string): FieldSet {
  const known = node.children.get(element)
  if (known) return known
  const made = emptySet()
  setChild(node, element, made)
  return made
}

function setChild(node: FieldSet, element: string, child: FieldSet): void {
  if (node.children === NO_CHILDREN) node.children = new Map()
  ;(node.children as Map<string, FieldSet>).set(element, child)
}

/** Changes the set. */
export function insertPath(set: FieldSet, path: readonly string[]): void {
  let node = set
  for (const element of path) node = childOf(node, element)
  node.own = true
}

/** Makes a set along a path that goes up and down: what it shares with the path before is not walked again. */
export class FieldSetWriter {
  readonly set = emptySet()
  /** Of the path, from the root on, as far as they are known. */
  readonly #nodes = [this.set]

  insert(path: readonly string[]): void {
    let node = this.#nodes.at(-1) as FieldSet
    for (let depth = this.#nodes.length - 1; depth < path.length; depth++) {
      node = childOf(node, path[depth] as string)
      this.#nodes.push(node)
    }
    node.own = true
  }

  /** The path has become as short as this. */
  shorten(length: number): void {
    if (this.#nodes.length > length + 1) this.#nodes.length = length + 1
  }
}

export function isEmptySet(set: FieldSet): boolean {
  if (set.own) return false
  for (const child of set.children.values()) if (!isEmptySet(child)) return false
  return true
}

export function hasPath(set: FieldSet, path: readonly string[]): boolean {
  let node: FieldSet | undefined = set
  for (const element of path) {
    node = node.children.get(element)
    if (!node) return false
  }
  return node.own
}

/** Results may share nodes with their inputs: sets handed to these functions are not changed afterwards. */
export function union(a: FieldSet, b: FieldSet): FieldSet {
  if (!b.own && b.children.size === 0) return a
  const children = new Map(a.children)
  for (const [element, child] of b.children) {
    const mine = children.get(element)
    children.set(element, mine ? union(mine, child) : child)
  }
  return { own: a.own || b.own, children }
}

/** Members of a that are no members of b. Children of a member of b stay. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  return build(a.own && !b.own, a, (element, child) => {
    const other = b.children.get(element)
    return other ? difference(child, other) : child
  })
}

/** Members of a that are neither members of b nor below one. */
export function recursiveDifference(a: FieldSet, b: FieldSet): FieldSet {
  if (b.own) return emptySet()
  if (isApart(a, b)) return a
  return build(a.own, a, (element, child) => {
    const other = b.children.get(element)
    return other ? recursiveDifference(child, other) : child
  })
}

/** No element of b begins a path of a. */
function isApart(a: FieldSet, b: FieldSet): boolean {
  for (const element of b.children.keys()) if (a.children.has(element)) return false
  return true
}

export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  return build(a.own && b.own, a, (element, child) => {
    const other = b.children.get(element)
    return other ? intersection(child, other) : undefined
  })
}

function build(own: boolean, from: FieldSet, becomes: (element: string, child: FieldSet) => FieldSet | undefined): FieldSet {
  const built: FieldSet = { own, children: NO_CHILDREN }
  for (const [element, child] of from.children) {
    const next = becomes(element, child)
    if (next && (next.own || next.children.size > 0)) setChild(built, element, next)
  }
  return built
}

export function equalSets(a: FieldSet, b: FieldSet): boolean {
  if (a.own !== b.own || a.children.size !== b.children.size) return false
  for (const [element, child] of a.children) {
    const other = b.children.get(element)
    if (!other || !equalSets(child, other)) return false
  }
  return true
}

/** Members in upstream's order: those at a place before those below it. */
export function pathsOf(set: FieldSet): string[][] {
  const paths: string[][] = []
  const visit = (node: FieldSet, path: string[]) => {
    const elements = sortedElements(node)
    for (const element of elements) if (node.children.get(element)?.own) paths.push([...path, element])
    for (const element of elements) visit(node.children.get(element) as FieldSet, [...path, element])
  }
  if (set.own) paths.push([])
  visit(set, [])
  return paths
}

const sortedElements = (set: FieldSet): string[] => inOrder([...set.children.keys()])

/** Changes `elements`, or returns others. */
export function inOrder(elements: string[]): string[] {
  if (elements.length < 2) return elements
  if (!goByText(elements)) return elements.map(sortable).sort(compareElements).map(({ element }) => element)
  return isSorted(elements) ? elements : elements.sort()
}

/** Most sets have fields only, or keys of one name with plain values, which their quote ends: it comes before all they may have. */
function goByText(elements: readonly string[]): boolean {
  const [first = ''] = elements
  if (first.startsWith('f:')) return elements.every((element) => element.startsWith('f:'))
  if (!PLAIN_KEY.test(first)) return false
  const start = first.slice(0, first.indexOf(':"') + 2)
  return elements.every((element) => element.startsWith(start) && PLAIN_KEY.test(element))
}

const KINDS = 'fkvi'

/** An element read once, for the many comparisons of a sort: a key has its names and values one after the other, all else one value. */
interface Sortable { element: string; kind: number; values: readonly unknown[] }

function sortable(element: string): Sortable {
  const rest = element.slice(2)
  const values: unknown[] = element.startsWith('k') ? Object.entries(JSON.parse(rest) as object).flat().map(scalar) : [element.startsWith('v') ? scalar(JSON.parse(rest)) : element.startsWith('i') ? Number(rest) : rest]
  return { element, kind: KINDS.indexOf(element[0] ?? ''), values }
}

/** Managed fields as a client sends them may have anything in the place of a scalar: it goes by its text. */
const scalar = (value: unknown): unknown => (typeof value === 'object' ? JSON.stringify(value) : value)

/** Fields, keys, values, indexes; numbers by their value. */
function compareElements(a: Sortable, b: Sortable): number {
  if (a.kind !== b.kind) return a.kind - b.kind
  for (let i = 0; i < a.values.length; i++) {
    if (i >= b.values.length) return 1
    const order = compareScalars(a.values[i], b.values[i])
    if (order !== 0) return order
  }
  return a.values.length - b.values.length || (a.element < b.element ? -1 : 1)
}

/** Numbers come before text, text before truth. */
const RANKS: Readonly<Record<string, number>> = { number: 0, string: 1, boolean: 2 }

function compareScalars(a: unknown, b: unknown): number {
  const rank = (RANKS[typeof a] ?? 3) - (RANKS[typeof b] ?? 3)
  if (rank !== 0 || a === b) return rank
  return (a as string) < (b as string) ? -1 : 1
}

export type FieldsV1 = { [element: string]: FieldsV1 }

export const NO_FIELDS: FieldsV1 = Object.freeze({})

export function toFieldsV1(set: FieldSet): FieldsV1 {
  if (set.children.size === 0) return NO_FIELDS
  const fields: FieldsV1 = {}
  if (set.own && set.children.size > 0) fields['.'] = {}
  for (const element of sortedElements(set)) {
    const child = set.children.get(element) as FieldSet
    if (child.own || !isEmptySet(child)) fields[element] = toFieldsV1(child)
  }
  return fields
}

/** Whether some member of the set is a member of what `fields` says. */
export function hasAny(fields: FieldsV1, set: FieldSet): boolean {
  if (set.own && isMember(fields)) return true
  for (const [element, child] of set.children) if (Object.hasOwn(fields, element) && hasAny(fields[element] as FieldsV1, child)) return true
  return false
}

/** With the members of the set; what has them all is returned as it is. Parts are shared, nothing is changed. */
export function withMembers(fields: FieldsV1, set: FieldSet): FieldsV1 {
  const added: FieldsV1 = {}
  let isMore = false
  if (set.own && !isMember(fields)) {
    added['.'] = NO_FIELDS
    isMore = true
  }
  for (const [element, child] of set.children) {
    const known = Object.hasOwn(fields, element) ? fields[element] : undefined
    const now = known ? withMembers(known, child) : toFieldsV1(child)
    if (now === known) continue
    added[element] = now
    isMore = true
  }
  if (!isMore) return fields
  // One without any members below says with nothing that it is a member itself.
  const all: FieldsV1 = isMember(fields) ? { ...fields, ...added, '.': NO_FIELDS } : { ...fields, ...added }
  const { '.': own, ...below } = all
  const sorted: FieldsV1 = own ? { '.': own } : {}
  for (const element of inOrder(Object.keys(below))) sorted[element] = below[element] as FieldsV1
  return sorted
}

/** The place itself, not only some below it. */
const isMember = (fields: FieldsV1): boolean => Object.hasOwn(fields, '.') || Object.keys(fields).length === 0

/** Undefined for what is no FieldsV1. `depth` bounds the recursion. */
export function parseFieldsV1(fields: unknown, depth = 200): FieldSet | undefined {
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields) || depth < 0) return undefined
  const set = emptySet()
  for (const element of Object.keys(fields)) {
    const below = (fields as Readonly<Record<string, unknown>>)[element]
    if (element === '.') {
      set.own = true
      continue
    }
    const canonical = canonicalElement(element)
    const child = parseFieldsV1(below, depth - 1)
    if (canonical === undefined || !child) return undefined
    if (child.children.size === 0) child.own = true
    setChild(set, canonical, child)
  }
  return set
}

/** One key whose value is text that JSON has but one way to write: most lists have such. */
const PLAIN_KEY = /^k:\{"\w+":"[\w./-]*"\}$/

/** Keys of `k:` in alphabetical order and JSON without spaces, so that elements can be compared as text. */
function canonicalElement(element: string): string | undefined {
  if (PLAIN_KEY.test(element)) return element
  switch (element.slice(0, 2)) {
    case 'f:': return element
    case 'i:': return /^i:-?\d+$/.test(element) ? element : undefined
    case 'v:': case 'k:': {
      let value: unknown
      try {
        value = JSON.parse(element.slice(2))
      } catch {
        return undefined
      }
      if (element.startsWith('v:')) return `v:${JSON.stringify(value)}`
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
      return `k:${JSON.stringify(Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))))}`
    }
    default: return undefined
  }
}
