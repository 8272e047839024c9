/**
 * Sets of field paths, as a trie, with the wire form FieldsV1. A path's elements are FieldsV1's own keys: `f:name` a
 * field or map key, `k:{"name":"a"}` an item of an associative list, `v:"a"` a member of a set list, `i:0` an index.
 */
export interface FieldSet {
  /** The path that leads here is a member. */
  own: boolean
  readonly children: Map<string, FieldSet>
}

export const emptySet = (): FieldSet => ({ own: false, children: new Map() })

/** Changes the set. */
export function insertPath(set: FieldSet, path: readonly string[]): void {
  let node = set
  for (const element of path) {
    let next = node.children.get(element)
    if (!next) {
      next = emptySet()
      node.children.set(element, next)
    }
    node = next
  }
  node.own = true
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
  return build(a.own, a, (element, child) => {
    const other = b.children.get(element)
    return other ? recursiveDifference(child, other) : child
  })
}

export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  return build(a.own && b.own, a, (element, child) => {
    const other = b.children.get(element)
    return other ? intersection(child, other) : undefined
  })
}

function build(own: boolean, from: FieldSet, childOf: (element: string, child: FieldSet) => FieldSet | undefined): FieldSet {
  const children = new Map<string, FieldSet>()
  for (const [element, child] of from.children) {
    const next = childOf(element, child)
    if (next && (next.own || next.children.size > 0)) children.set(element, next)
  }
  return { own, children }
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

/** Most sets have fields only, whose order is that of their text. */
function sortedElements(set: FieldSet): string[] {
  const elements = [...set.children.keys()]
  if (elements.length < 2) return elements
  return elements.every((element) => element.startsWith('f:')) ? elements.sort() : elements.sort(compareElements)
}

const KINDS = 'fkvi'

/** Fields, keys, values, indexes; numbers by their value. */
function compareElements(a: string, b: string): number {
  const kind = KINDS.indexOf(a[0] ?? '') - KINDS.indexOf(b[0] ?? '')
  if (kind !== 0 || a === b) return kind
  const [left, right] = [a.slice(2), b.slice(2)]
  switch (a[0]) {
    case 'k': return compareKeys(JSON.parse(left) as Record<string, unknown>, JSON.parse(right) as Record<string, unknown>)
    case 'v': return compareScalars(JSON.parse(left), JSON.parse(right))
    case 'i': return Number(left) - Number(right)
    default: return left < right ? -1 : 1
  }
}

function compareKeys(a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>): number {
  const [left, right] = [Object.entries(a), Object.entries(b)]
  for (const [i, [name, value]] of left.entries()) {
    const other = right[i]
    if (!other) return 1
    if (name !== other[0]) return name < other[0] ? -1 : 1
    const order = compareScalars(value, other[1])
    if (order !== 0) return order
  }
  return left.length - right.length
}

/** Numbers come before text, text before truth. */
const RANKS: Readonly<Record<string, number>> = { number: 0, string: 1, boolean: 2 }

function compareScalars(a: unknown, b: unknown): number {
  const rank = (RANKS[typeof a] ?? 3) - (RANKS[typeof b] ?? 3)
  if (rank !== 0 || a === b) return rank
  return (a as string) < (b as string) ? -1 : 1
}

export type FieldsV1 = { [element: string]: FieldsV1 }

export function toFieldsV1(set: FieldSet): FieldsV1 {
  const fields: FieldsV1 = {}
  if (set.own && set.children.size > 0) fields['.'] = {}
  for (const element of sortedElements(set)) {
    const child = set.children.get(element) as FieldSet
    if (child.own || !isEmptySet(child)) fields[element] = toFieldsV1(child)
  }
  return fields
}

/** Undefined for what is no FieldsV1. `depth` bounds the recursion. */
export function parseFieldsV1(fields: unknown, depth = 200): FieldSet | undefined {
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields) || depth < 0) return undefined
  const set = emptySet()
  for (const [element, below] of Object.entries(fields)) {
    if (element === '.') {
      set.own = true
      continue
    }
    const canonical = canonicalElement(element)
    const child = parseFieldsV1(below, depth - 1)
    if (canonical === undefined || !child) return undefined
    if (child.children.size === 0) child.own = true
    set.children.set(canonical, child)
  }
  return set
}

/** Keys of `k:` in alphabetical order and JSON without spaces, so that elements can be compared as text. */
function canonicalElement(element: string): string | undefined {
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
