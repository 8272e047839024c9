/**
 * Server-side apply as anybody would write it who had all day: an object is a set of paths, an owner is a set of paths,
 * and each rule is a loop over them. The twin that the real one is compared with.
 */
export type Shape =
  | { kind: 'leaf' }
  | { kind: 'struct'; fields: Readonly<Record<string, Shape>>; /** Go's zero object has it: its presence is nobody's doing. */ always?: boolean }
  | { kind: 'map' }
  | { kind: 'set' }
  | { kind: 'list'; keys: Readonly<Record<string, unknown>>; /** Keys to their defaults. */ items: Shape; always?: boolean }

export const leaf: Shape = { kind: 'leaf' }
export const map: Shape = { kind: 'map' }

/** A path to what stands there. `part` tells a thing that is there because something below it is. */
interface Node { value?: string; part: boolean; always: boolean }
export type Nodes = Map<string, Node>

/** Elements are joined by this; no name has it. */
const JOIN = '\n'

export function flatten(value: unknown, shape: Shape): Nodes {
  const nodes: Nodes = new Map()
  const visit = (at: unknown, of: Shape, path: string, always: boolean): void => {
    const below = (element: string) => (path === '' ? element : `${path}${JOIN}${element}`)
    if (of.kind === 'leaf') {
      nodes.set(path, { value: JSON.stringify(at), part: false, always: false })
      return
    }
    if (path !== '') nodes.set(path, { part: true, always })
    if (of.kind === 'set') {
      for (const item of at as unknown[]) nodes.set(below(`v:${JSON.stringify(item)}`), { value: JSON.stringify(item), part: false, always: false })
    } else if (of.kind === 'list') {
      for (const item of at as Record<string, unknown>[]) {
        const key = Object.keys(of.keys).toSorted().map((k) => `${JSON.stringify(k)}:${JSON.stringify(item[k] ?? of.keys[k])}`).join(',')
        const element = below(`k:{${key}}`)
        visit(item, of.items, element, false)
        nodes.set(element, { value: 'item', part: false, always: false })
      }
    } else for (const [name, member] of Object.entries(at as object)) {
      const child = of.kind === 'map' ? leaf : of.fields[name]
      if (child && member !== undefined) visit(member, child, below(`f:${name}`), (child.kind === 'struct' || child.kind === 'list') && child.always === true)
    }
  }
  visit(value, shape, '', false)
  return nodes
}

export type TwinResult = { ok: true } | { ok: false; conflicts: Record<string, string[]> }

export class Twin {
  /** Leaves and items of the object. */
  nodes: Nodes = new Map()
  /** `Apply m` or `Update m` to paths. */
  owners = new Map<string, Set<string>>()
  isThere = false

  update(manager: string, next: Nodes): void {
    const untracked = this.isThere && this.owners.size === 0
    const gone = [...this.nodes.keys()].filter((path) => !next.has(path))
    const taken = [...next].filter(([path, node]) => !node.always && (!this.nodes.has(path) || this.nodes.get(path)?.value !== node.value)).map(([path]) => path)
    this.nodes = next
    this.isThere = true
    if (untracked) return
    for (const set of this.owners.values()) for (const path of [...gone, ...taken]) set.delete(path)
    this.#add(`Update ${manager}`, taken)
    this.#tidy()
  }

  apply(manager: string, config: Nodes, force: boolean): TwinResult {
    const self = `Apply ${manager}`
    const wanted = [...config].filter(([, node]) => !node.part)
    const owners = new Map([...this.owners].map(([name, set]) => [name, new Set(set)]))
    if (this.isThere && owners.size === 0) owners.set('Update before-first-apply', new Set([...this.nodes].filter(([, { always }]) => !always).map(([path]) => path)))
    const changed = [...config].filter(([path, { value, part, always }]) => (part ? !always && !this.nodes.has(path) : this.nodes.get(path)?.value !== value)).map(([path]) => path)
    const conflicts: Record<string, string[]> = {}
    for (const [name, set] of owners) {
      const fields = name === self ? [] : changed.filter((path) => set.has(path))
      if (fields.length > 0) conflicts[name] = fields.toSorted()
    }
    if (!force && Object.keys(conflicts).length > 0) return { ok: false, conflicts }
    const last = owners.get(self) ?? new Set()
    owners.set(self, new Set(wanted.map(([path]) => path)))
    for (const [name, set] of owners) if (name !== self) for (const path of changed) set.delete(path)
    const leaves = new Map([...this.nodes].filter(([, { part }]) => !part))
    for (const [path, node] of wanted) leaves.set(path, node)
    // An item that nobody holds any more takes all in it along, whoever set it.
    for (const path of last) if (![...owners.values()].some((set) => set.has(path))) for (const at of leaves.keys()) if (at === path || at.startsWith(`${path}${JOIN}`)) leaves.delete(at)
    const parts = [...this.nodes, ...config].filter(([path, { part }]) => part && [...leaves.keys()].some((l) => l.startsWith(`${path}${JOIN}`)))
    const before = this.nodes
    this.nodes = new Map([...parts, ...leaves])
    // A map or list that somebody holds outlives what was in it, though nothing is to be seen of it; not the item that it was in.
    const outlives = (path: string) => before.get(path)?.part === true && ![...before].some(([above, { part }]) => !part && path.startsWith(`${above}${JOIN}`) && !this.nodes.has(above))
    for (const path of before.keys()) if (!this.nodes.has(path) && !outlives(path)) for (const set of owners.values()) set.delete(path)
    this.owners = owners
    this.isThere = true
    this.#tidy()
    return { ok: true }
  }

  #add(name: string, paths: readonly string[]): void {
    const set = this.owners.get(name) ?? new Set()
    for (const path of paths) set.add(path)
    this.owners.set(name, set)
  }

  #tidy(): void {
    for (const [name, set] of this.owners) if (set.size === 0) this.owners.delete(name)
  }
}

export const leavesOf = (nodes: Nodes): Record<string, string | undefined> => Object.fromEntries([...nodes].filter(([, { part }]) => !part).map(([path, { value }]): [string, string | undefined] => [path, value]).toSorted(([a], [b]) => (a < b ? -1 : 1)))

export const ownersOf = (owners: ReadonlyMap<string, ReadonlySet<string>>): Record<string, string[]> => Object.fromEntries([...owners].map(([name, set]): [string, string[]] => [name, [...set].toSorted()]).toSorted(([a], [b]) => (a < b ? -1 : 1)))
export { JOIN }
