/** One edit, in each of the forms in which a client may send it. Pure. */
import type { FieldType } from '#api/schema/index.ts'
import type { Edit, Segment } from './edits.ts'
import { clone, isObject, type Json } from './exchange.ts'

type Holder = Json & unknown[]
const keyOf = (segment: Segment): string | number => ('field' in segment ? segment.field : segment.index)
const inside = (value: unknown, segment: Segment): unknown => (typeof value === 'object' && value !== null ? (value as Holder)[keyOf(segment) as never] : undefined)

/** What a client sends with PUT that has read `object` and changed it. */
export function edited(object: Json, { path, value }: Edit): Json {
  const out = clone(object)
  let at: Holder = out as Holder
  for (const segment of path.slice(0, -1)) {
    const key = keyOf(segment) as never
    if (typeof at[key] !== 'object' || at[key] === null) at[key] = {} as never
    at = at[key] as Holder
  }
  const last = path.at(-1)
  if (last === undefined) return out
  const key = keyOf(last) as never
  if (value === undefined && Array.isArray(at)) at.splice(Number(key), 1)
  else if (value === undefined) Reflect.deleteProperty(at, key)
  else at[key] = clone(value) as never
  return out
}

/** Lists go as a whole. */
export function mergePatch(object: Json, edit: Edit): Json {
  const whole = edit.path.findIndex((s) => 'index' in s)
  const path = whole < 0 ? edit.path : edit.path.slice(0, whole)
  const value = whole < 0 ? edit.value ?? null : path.reduce<unknown>(inside, edited(object, edit))
  return nested(path, value)
}

const nested = (path: readonly Segment[], value: unknown): Json => path.toReversed().reduce<unknown>((within, s) => ({ [keyOf(s)]: within }), value) as Json

export function jsonPatch(object: Json, { path, value }: Edit): Json[] {
  // Where it begins to be missing, all that is missing is added as one.
  let at: unknown = object
  let depth = 0
  while (depth < path.length - 1 && inside(at, path[depth] as Segment) !== undefined) at = inside(at, path[depth++] as Segment)
  const there = inside(at, path[depth] as Segment) !== undefined
  const pointer = path.slice(0, depth + 1).map((s) => `/${String(keyOf(s)).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
  if (value === undefined) return [{ op: 'remove', path: pointer }]
  return [{ op: there ? 'replace' : 'add', path: pointer, value: nested(path.slice(depth + 1), value) }]
}

/** Items of lists with a merge key are named by it, other lists go as a whole. */
export const strategicPatch = (object: Json, edit: Edit): Json => byKeys(object, edit, (type) => (type.patchStrategy?.includes('merge') && type.patchMergeKey !== undefined ? [type.patchMergeKey] : undefined), 'strategic') as Json

/** What a manager applies that means just this; the caller says of what. Nothing where something is taken away: what is not applied is not owned. */
export const applied = (object: Json, edit: Edit): Json => (byKeys(object, edit, (type) => (type.listType === 'map' ? type.listMapKeys : undefined), 'apply') ?? {}) as Json

type ListType = Extract<FieldType, { kind: 'list' }>

function byKeys(object: Json, { path, value }: Edit, keysOf: (type: ListType) => readonly string[] | undefined, form: 'strategic' | 'apply'): unknown {
  const walk = (at: unknown, type: FieldType | undefined, rest: readonly Segment[]): unknown => {
    const [segment, ...more] = rest
    if (segment === undefined) return value === undefined && form === 'strategic' ? null : clone(value)
    if ('index' in segment) {
      const keys = type?.kind === 'list' ? keysOf(type) : undefined
      const item = inside(at, segment)
      if (!keys || !isObject(item)) return edited({ list: at }, { path: [{ field: 'list', type }, ...rest], value })['list']
      const named = Object.fromEntries(keys.filter((k) => item[k] !== undefined).map((k) => [k, item[k]]))
      if (more.length === 0 && value === undefined) return form === 'strategic' ? [{ $patch: 'delete', ...named }] : []
      const within = walk(item, undefined, more)
      return [isObject(within) ? { ...named, ...within } : within]
    }
    const within = walk(inside(at, segment), segment.type, more)
    return within === undefined ? {} : { [segment.field]: within }
  }
  return walk(object, undefined, path)
}
