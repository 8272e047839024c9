/** Lists: Kubernetes' own functions, cel-go's lists extension (version 3), sets, optionals, map inserts. */
import type { Declaration } from '../overload.ts'
import { TIMESTAMP_MIN } from '../time-text.ts'
import type { CelMap, CelValue } from '../value.ts'
import { ArrayList, CelList, compare, Duration, EntryMap, equal, EvalError, mapKey, noSuchOverload, Optional, Timestamp, typeName, Uint } from '../value.ts'
import { CostExceeded, work } from '../work.ts'
import { contains, duration, int, uint } from './operators.ts'
import { show } from './show.ts'

const COMPARABLE = ['int', 'uint', 'double', 'bool', 'duration', 'timestamp', 'string', 'bytes'] as const

function isSorted(items: CelList): boolean {
  for (let i = 1; i < items.size; i++) if (compare(items.at(i - 1), items.at(i)) > 0) return false
  return true
}

function extreme(items: CelList, name: 'max' | 'min'): CelValue {
  if (items.size === 0) throw new EvalError(`${name} called on empty list`)
  let best = items.at(0)
  for (let i = 1; i < items.size; i++) {
    const order = compare(best, items.at(i))
    if (name === 'max' ? order < 0 : order > 0) best = items.at(i)
  }
  return best
}

function sum(items: CelList, zero: CelValue): CelValue {
  // The zero is of the declared type; elements of a dyn list may be of another.
  const first = items.size === 0 ? zero : items.at(0)
  let total = typeName(first) === typeName(zero) ? zero : first instanceof Uint ? new Uint(0n) : first instanceof Duration ? new Duration(0n) : typeof first === 'number' ? 0 : typeof first === 'bigint' ? 0n : null
  for (const item of items) {
    if (typeof total === 'bigint' && typeof item === 'bigint') total = int(total + item)
    else if (typeof total === 'number' && typeof item === 'number') total += item
    else if (total instanceof Uint && item instanceof Uint) total = uint(total.value + item.value)
    else if (total instanceof Duration && item instanceof Duration) total = duration(total.nanos + item.nanos)
    else throw noSuchOverload()
  }
  return total
}

const indexes = (items: CelList): number[] => Array.from({ length: items.size }, (_, i) => i)
const position = (found: number | undefined): bigint => BigInt(found ?? -1)

function slice(items: CelList, start: bigint, end: bigint): CelList {
  const range = `cannot slice(${start}, ${end}), `
  if (start < 0n || end < 0n) throw new EvalError(`${range}negative indexes not supported`)
  if (start > end) throw new EvalError(`${range}start index must be less than or equal to end index`)
  if (items.size < end) throw new EvalError(`${range}list is length ${items.size}`)
  return new ArrayList([...items].slice(Number(start), Number(end)))
}

function flatten(items: CelList, depth: bigint): CelValue[] {
  if (depth < 0n) throw new EvalError('level must be non-negative')
  work.step(items.size)
  return Array.from(items).flatMap((item) => (item instanceof CelList && depth > 0n ? flatten(item, depth - 1n) : [item]))
}

function sortBy(items: CelList, keys: CelList): CelList {
  if (items.size !== keys.size) throw new EvalError(`@sortByAssociatedKeys() expected a list of the same size as the associated keys list, but got ${items.size} and ${keys.size} elements respectively`)
  if (items.size === 0) return items
  const kind = typeName(keys.at(0))
  const pairs = indexes(items).map((i) => [keys.at(i), items.at(i)] as const)
  if (pairs.some(([key]) => typeName(key) !== kind)) throw new EvalError('list elements must have the same type')
  return new ArrayList(pairs.sort(([a], [b]) => compare(a, b)).map(([, item]) => item))
}

/** What the cost limit would stop anyway, before the memory is taken. */
const RANGE_MAX = 1_000_000n

function range(end: bigint): CelList {
  if (end > RANGE_MAX) throw new CostExceeded()
  return new ArrayList(Array.from({ length: Math.max(0, Number(end)) }, (_, i) => BigInt(i)))
}

function distinct(items: CelList): CelList {
  const unique: CelValue[] = []
  const scalars = new Set<string | bigint | boolean>()
  for (const item of items) {
    if (typeof item === 'string' || typeof item === 'bigint' || typeof item === 'boolean') {
      if (scalars.has(item) || (typeof item === 'bigint' && unique.some((u) => typeof u !== 'bigint' && equal(u, item)))) continue
      scalars.add(item)
    } else if (unique.some((u) => equal(u, item))) continue
    unique.push(item)
  }
  return new ArrayList(unique)
}

const includesAll = (items: CelList, part: CelList): boolean => Array.from(part).every((item) => contains(items, item))

/** The zero of a type: `optional.ofNonZeroValue` takes it for nothing. */
function isZero(v: CelValue): boolean {
  if (v === null || v === '' || v === 0n || v === 0 || v === false) return true
  if (v instanceof Uint) return v.value === 0n
  if (v instanceof Duration) return v.nanos === 0n
  if (v instanceof Timestamp) return v.nanos === TIMESTAMP_MIN
  if (v instanceof Uint8Array) return v.length === 0
  if (v instanceof Optional) return v.value === undefined
  return typeof v === 'object' && 'size' in v && v.size === 0
}

function unwrap(items: CelList): CelList {
  return new ArrayList(Array.from(items).flatMap((item) => {
    if (!(item instanceof Optional)) throw new EvalError(`value ${show(item)} is not optional`)
    return item.value === undefined ? [] : [item.value]
  }))
}

function insert(target: CelMap, pairs: Iterable<readonly [CelValue, CelValue]>): CelMap {
  const entries = new Map<string | bigint | boolean, readonly [CelValue, CelValue]>()
  for (const key of target.keys()) entries.set(mapKey(key), [key, target.find(key) ?? null])
  for (const [key, value] of pairs) {
    if (entries.has(mapKey(key))) throw new EvalError(`insert failed: key ${show(key)} already exists`)
    entries.set(mapKey(key), [key, value])
  }
  return new EntryMap(entries)
}

const planned = (): never => { throw noSuchOverload() }

export const LISTS: readonly Declaration[] = [
  ...COMPARABLE.flatMap((type): Declaration[] => [
    [`list_${type}_is_sorted_bool`, `list<${type}>->isSorted(): bool`, isSorted],
    [`list_${type}_max_${type}`, `list<${type}>->max(): ${type}`, (items: CelList) => extreme(items, 'max')],
    [`list_${type}_min_${type}`, `list<${type}>->min(): ${type}`, (items: CelList) => extreme(items, 'min')],
    [`list_${type}_sort`, `list<${type}>->sort(): list<${type}>`, (items: CelList) => sortBy(items, items)],
    [`list_${type}_sortByAssociatedKeys`, `list<T>->@sortByAssociatedKeys(list<${type}>): list<T>`, sortBy],
  ]),
  ...([['int', 0n], ['uint', new Uint(0n)], ['double', 0], ['duration', new Duration(0n)]] as const).map(([type, zero]): Declaration => [
    `list_${type}_sum_${type}`, `list<${type}>->sum(): ${type}`, (items: CelList) => sum(items, zero),
  ]),
  ['list_a_index_of_int', 'list<A>->indexOf(A): int', (items: CelList, item: CelValue) => position(indexes(items).find((i) => equal(items.at(i), item)))],
  ['list_a_last_index_of_int', 'list<A>->lastIndexOf(A): int', (items: CelList, item: CelValue) => position(indexes(items).findLast((i) => equal(items.at(i), item)))],
  ['list_slice', 'list<T>->slice(int, int): list<T>', slice],
  ['list_flatten', 'list<list<T>>->flatten(): list<T>', (items: CelList) => new ArrayList(flatten(items, 1n))],
  ['list_flatten_int', 'list<dyn>->flatten(int): list<dyn>', (items: CelList, depth: bigint) => new ArrayList(flatten(items, depth))],
  ['lists_range', 'lists.range(int): list<int>', range],
  ['list_reverse', 'list<T>->reverse(): list<T>', (items: CelList) => new ArrayList([...items].reverse())],
  ['list_distinct', 'list<T>->distinct(): list<T>', distinct],
]

export const SETS: readonly Declaration[] = [
  ['list_sets_contains_list', 'sets.contains(list<T>, list<T>): bool', includesAll],
  ['list_sets_equivalent_list', 'sets.equivalent(list<T>, list<T>): bool', (a: CelList, b: CelList) => includesAll(a, b) && includesAll(b, a)],
  ['list_sets_intersects_list', 'sets.intersects(list<T>, list<T>): bool', (a: CelList, b: CelList) => Array.from(a).some((item) => contains(b, item))],
]

export const OPTIONALS: readonly Declaration[] = [
  ['optional_of', 'optional.of(V): optional<V>', (v: CelValue) => new Optional(v)],
  ['optional_ofNonZeroValue', 'optional.ofNonZeroValue(V): optional<V>', (v: CelValue) => (isZero(v) ? Optional.none : new Optional(v))],
  ['optional_none', 'optional.none(): optional<V>', () => Optional.none],
  ['optional_value', 'optional<V>->value(): V', (v: Optional) => {
    if (v.value === undefined) throw new EvalError('optional.none() dereference')
    return v.value
  }],
  ['optional_hasValue', 'optional<V>->hasValue(): bool', (v: Optional) => v.value !== undefined],
  ['optional_or_optional', 'optional<V>->or(optional<V>): optional<V>', planned],
  ['optional_orValue_value', 'optional<V>->orValue(V): V', planned],
  ['list_last', 'list<V>->last(): optional<V>', (v: CelList) => (v.size === 0 ? Optional.none : new Optional(v.at(v.size - 1)))],
  ['list_first', 'list<V>->first(): optional<V>', (v: CelList) => (v.size === 0 ? Optional.none : new Optional(v.at(0)))],
  ['optional_unwrap', 'optional.unwrap(list<optional<V>>): list<V>', unwrap],
  ['optional_unwrapOpt', 'list<optional<V>>->unwrapOpt(): list<V>', unwrap],
]

/** What transformMap and transformMapEntry become. */
export const MAP_INSERTS: readonly Declaration[] = [
  ['@mapInsert_map_key_value', 'cel.@mapInsert(map<K, V>, K, V): map<K, V>', (target: CelMap, key: CelValue, value: CelValue) => insert(target, [[key, value]])],
  ['@mapInsert_map_map', 'cel.@mapInsert(map<K, V>, map<K, V>): map<K, V>', (target: CelMap, other: CelMap) => insert(target, Array.from(other.keys(), (key) => [key, other.find(key) ?? null] as const))],
]
