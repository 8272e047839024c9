/** Lays an applied configuration over the live object: the configuration's leaves win, the rest stays. Pure. */
import type { FieldType, SchemaSet } from '#api/schema/schema.ts'
import { getOwn, isObject, setOwn, type Json } from '../result.ts'
import { elementOf, type ListType } from './path-element.ts'
import { fieldType, shapeOf, type Shape } from './type-shape.ts'

export function mergeTyped(live: Json, config: Json, model: string, schema: SchemaSet): Json {
  return mergeValue(live, config, { kind: 'ref', model }, schema) as Json
}

function mergeValue(live: unknown, config: unknown, type: FieldType | undefined, schema: SchemaSet): unknown {
  if (live === undefined || live === null) return config
  const shape = shapeOf(type, schema)
  // A null adds no members and no items; those that are there stay.
  if (config === null && isFilled(live, shape)) return live
  if ((shape.kind === 'struct' || shape.kind === 'map') && isObject(live) && isObject(config)) {
    const merged: Json = { ...live }
    for (const key of Object.keys(config)) {
      const memberType = shape.kind === 'map' ? shape.values : fieldType(shape.model, key)
      setOwn(merged, key, mergeValue(getOwn(live, key), config[key], memberType, schema))
    }
    return merged
  }
  if (shape.kind === 'list' && Array.isArray(live) && Array.isArray(config)) return mergeList(live, config, shape.list, schema)
  return config
}

const isFilled = (live: unknown, { kind }: Shape): boolean => (kind === 'list' ? Array.isArray(live) && live.length > 0 : kind !== 'leaf' && isObject(live) && Object.keys(live).length > 0)

/**
 * Items of both in the configuration's relative order, the live object's own where they stood before their next shared
 * neighbour, as structured-merge-diff does it.
 */
function mergeList(live: readonly unknown[], config: readonly unknown[], list: ListType, schema: SchemaSet): unknown[] {
  const nameOf = (item: unknown) => elementOf(item, list, schema)
  const liveNames = live.map(nameOf)
  const configNames = config.map(nameOf)
  const liveByName = new Map(liveNames.map((name, i): [string | undefined, unknown] => [name, live[i]]).reverse())
  const inConfig = new Set(configNames)
  const shared = configNames.filter((name) => liveByName.has(name))
  let nextShared = 0
  const merged = new Set<string | undefined>()
  const out: unknown[] = []
  let l = 0
  let c = 0
  const takeConfig = () => {
    const name = configNames[c]
    merged.add(name)
    out.push(mergeValue(liveByName.get(name), config[c], list.items, schema))
    if (nextShared < shared.length && shared[nextShared] === name) nextShared++
    c++
  }
  while (l < live.length || c < config.length) {
    if (l < live.length && c < config.length) {
      if (liveNames[l] === configNames[c]) {
        takeConfig()
        l++
        continue
      }
      // Shared, but another shared item comes first in the configuration.
      if (inConfig.has(liveNames[l]) && nextShared < shared.length && shared[nextShared] !== liveNames[l]) {
        l++
        continue
      }
    }
    if (l < live.length) {
      if (!inConfig.has(liveNames[l])) {
        out.push(live[l++])
        continue
      }
      if (merged.has(liveNames[l])) {
        l++
        continue
      }
    }
    if (c < config.length) takeConfig()
  }
  return out
}
