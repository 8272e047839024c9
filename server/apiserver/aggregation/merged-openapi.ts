/** OpenAPI v2 of this server and of those behind it as one document (kube-openapi `aggregator`). Pure. */
import { equalJson } from '../storage/equal.ts'

type Json = Record<string, unknown>
/** The parts of a swagger 2.0 document that are shared by name. */
const SHARED = ['definitions', 'parameters'] as const
type Shared = (typeof SHARED)[number]

export interface Swagger { paths: Json; definitions: Json; parameters: Json }

/** What a document says of one group version: its paths, and all that these refer to. Undefined: nothing. */
export function subsetOf(document: unknown, group: string, version: string): Swagger | undefined {
  const root = record(document)
  const prefix = `/apis/${group}/${version}/`
  const paths = Object.fromEntries(Object.entries(record(root['paths'])).filter(([path]) => `${path}/`.startsWith(prefix)))
  if (Object.keys(paths).length === 0) return undefined
  const subset: Swagger = { paths, definitions: {}, parameters: {} }
  const todo: unknown[] = [paths]
  for (let value = todo.pop(); value !== undefined; value = todo.pop()) {
    for (const [shared, name] of refsIn(value)) {
      const part = record(root[shared])
      if (Object.hasOwn(subset[shared], name) || !Object.hasOwn(part, name)) continue
      subset[shared][name] = part[name]
      todo.push(part[name])
    }
  }
  return subset
}

/** Adds to `own`, in place. Paths that are there stay; another thing of a name that is taken gets a name of its own. */
export function addSubset(own: Json, subset: Swagger): void {
  const renamed = new Map<string, string>()
  for (const shared of SHARED) {
    const there = (own[shared] ??= {}) as Json
    for (const [name, value] of Object.entries(subset[shared])) {
      if (!Object.hasOwn(there, name) || equalJson(there[name], value)) continue
      let nth = 2
      while (Object.hasOwn(there, `${name}_v${nth}`) || Object.hasOwn(subset[shared], `${name}_v${nth}`)) nth++
      renamed.set(`#/${shared}/${name}`, `#/${shared}/${name}_v${nth}`)
    }
  }
  for (const shared of SHARED) {
    const there = own[shared] as Json
    for (const [name, value] of Object.entries(subset[shared])) {
      const as = renamed.get(`#/${shared}/${name}`)?.slice(`#/${shared}/`.length) ?? name
      if (!Object.hasOwn(there, as)) there[as] = withRefs(value, renamed)
    }
    if (Object.keys(there).length === 0) Reflect.deleteProperty(own, shared)
  }
  const paths = (own['paths'] ??= {}) as Json
  for (const [path, value] of Object.entries(subset.paths)) if (!Object.hasOwn(paths, path)) paths[path] = withRefs(value, renamed)
}

const record = (value: unknown): Json => (typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {})

/** Nested no deeper than a body may be: it was parsed from one. */
function* refsIn(value: unknown): Generator<readonly [Shared, string]> {
  if (typeof value !== 'object' || value === null) return
  for (const [key, inner] of Object.entries(value)) {
    const [, shared, name] = (key === '$ref' && typeof inner === 'string' && /^#\/(definitions|parameters)\/(.+)$/.exec(inner)) || []
    if (shared !== undefined && name !== undefined) yield [shared as Shared, name]
    else yield* refsIn(inner)
  }
}

function withRefs(value: unknown, renamed: ReadonlyMap<string, string>): unknown {
  if (renamed.size === 0 || typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((item) => withRefs(item, renamed))
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, key === '$ref' && typeof inner === 'string' ? (renamed.get(inner) ?? inner) : withRefs(inner, renamed)]))
}
