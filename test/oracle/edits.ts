/** Made-up changes of an object by the schema of its kind: one field set, changed or taken away. Pure. */
import type { FieldType, ScalarType, SchemaSet } from '#api/schema/index.ts'
import { valuesByField } from '#server/apiserver/openapi/enums.ts'
import type { Chance } from '../fuzz/chance.ts'
import { clone, isObject, type Json } from './exchange.ts'

/** A step into an object: a field (or key of a map), or an item of a list. */
export type Segment = { field: string; type: FieldType | undefined } | { index: number }

export interface Edit {
  path: readonly Segment[]
  /** Undefined: the field is taken away. */
  value: unknown
}

const DEPTH_MAX = 4
const TEXTS = ['a', 'b', 'x-y', 'Always', 'UPPER_x', 'a.b', 'a/b', '', '10.0.0.7', '::1', '10.0.0.0/16', 'x'.repeat(70), 'example.com/f', '/p', '25%', '*']
const NUMBERS = [0, 1, 2, -1, 7, 80, 443, 31_000, 65_536, 2_147_483_647]

const SCALARS: Readonly<Record<ScalarType, (chance: Chance) => unknown>> = {
  string: (c) => c.pick(TEXTS),
  boolean: (c) => c.oneIn(2),
  int32: (c) => c.pick(NUMBERS),
  int64: (c) => c.pick(NUMBERS),
  double: (c) => c.pick(NUMBERS),
  byte: (c) => c.pick(['', 'YQ==', 'bm8=']),
  'date-time': () => '2026-01-01T00:00:00Z',
  'micro-time': () => '2026-01-01T00:00:00.000001Z',
  quantity: (c) => c.pick(['0', '1', '100m', '1Gi', '-1', '1500Mi', '1e3']),
  'int-or-string': (c) => (c.oneIn(2) ? c.pick(NUMBERS) : c.pick(['25%', '101%', 'http', ''])),
}
/** In the place of what the schema asks for. */
const WRONG: readonly unknown[] = ['text', 5, true, [], {}, ['a'], { a: 'b' }, null]

/** Values of enumerations by definition and field, as the API documents tell them. */
const enumerated = valuesByField()

/** Whose objects are changed. */
export interface Typed { model: string; types: SchemaSet }

/** One change somewhere in `object`; below `within` where it is given (`status`). */
export function editOf(chance: Chance, { model, types }: Typed, object: Json, within?: string): Edit {
  const path: Segment[] = []
  let type: FieldType | undefined = { kind: 'ref', model }
  let at: unknown = object
  let ofEnum: readonly string[] | undefined
  for (let first = within; ;) {
    if (type?.kind === 'ref') {
      const found = types.model(type.model)
      const fields = Object.keys(found?.fields ?? {}).filter((f) => path.length > 0 || f !== 'status' || first === 'status')
      if (!found || fields.length === 0) break
      const there = isObject(at) ? fields.filter((f) => Object.hasOwn(at as Json, f)) : []
      const field: string = first ?? (there.length > 0 && !chance.oneIn(3) ? chance.pick(there) : chance.pick(fields))
      first = undefined
      type = found.fields[field]?.type
      ofEnum = enumerated.get(`${found.definition.replace('io.k8s.api.', '')}.${field}`)
      path.push({ field, type })
      at = isObject(at) ? at[field] : undefined
    } else if (type?.kind === 'map') {
      const keys: string[] = isObject(at) ? Object.keys(at) : []
      const field: string = keys.length > 0 && chance.oneIn(2) ? chance.pick(keys) : chance.pick(['k', 'a.b/c', 'app', 'storage', ''])
      type = type.values
      path.push({ field, type })
      at = isObject(at) ? at[field] : undefined
    } else if (type?.kind === 'list' && Array.isArray(at) && at.length > 0) {
      const index = chance.int(at.length)
      type = type.items
      path.push({ index })
      at = (at as unknown[])[index]
    } else break
    // Not every change goes down to a leaf.
    if (path.length > DEPTH_MAX && chance.oneIn(4)) break
    if (path.length > 1 && chance.oneIn(6)) break
  }
  if (chance.oneIn(6) && path.length > 1) return { path, value: undefined }
  if (chance.oneIn(8)) return { path, value: clone(chance.pick(WRONG)) }
  return { path, value: ofEnum && type?.kind === 'scalar' && !chance.oneIn(5) ? chance.pick(ofEnum) : changed(chance, types, type, at) }
}

function changed(chance: Chance, types: SchemaSet, type: FieldType | undefined, old: unknown): unknown {
  if (type?.kind === 'list' && Array.isArray(old) && !chance.oneIn(4)) {
    const items = clone(old) as unknown[]
    switch (chance.int(4)) {
      case 0: return items.toReversed()
      case 1: return items.slice(1)
      case 2: return [...items, clone(items[0])]
      default: return [...items, valueOf(chance, types, type.items, 0)]
    }
  }
  return valueOf(chance, types, type, 0)
}

function valueOf(chance: Chance, types: SchemaSet, type: FieldType | undefined, depth: number): unknown {
  switch (type?.kind) {
    case 'scalar': return SCALARS[type.scalar](chance)
    case 'list': return Array.from({ length: depth > DEPTH_MAX ? 0 : 1 + chance.int(2) }, () => valueOf(chance, types, type.items, depth + 1))
    case 'map': return { [chance.pick(['k', 'a.b/c', 'cpu'])]: valueOf(chance, types, type.values, depth + 1) }
    case 'ref': {
      const { definition = '', fields = {} } = types.model(type.model) ?? {}
      return Object.fromEntries(Object.entries(fields).filter(([, f]) => depth <= DEPTH_MAX && (f.required || chance.oneIn(depth === 0 ? 3 : 6))).map(([name, f]) => {
        const values = enumerated.get(`${definition.replace('io.k8s.api.', '')}.${name}`)
        return [name, values && f.type.kind === 'scalar' ? chance.pick(values) : valueOf(chance, types, f.type, depth + 1)]
      }))
    }
    default: return chance.pick(['x', 1, { a: 1 }])
  }
}
