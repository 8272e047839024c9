/** Arithmetic, comparison and containment. int and uint are 64 bits wide and never wrap: overflow is an error. */
import type { Declaration } from '../overload.ts'
import { TIMESTAMP_MAX, TIMESTAMP_MIN } from '../time-text.ts'
import type { CelList, CelMap, CelValue } from '../value.ts'
import { ArrayList, compare, Duration, equal, EvalError, Timestamp, Uint } from '../value.ts'
import { CostExceeded, work } from '../work.ts'

const INT_MAX = (1n << 63n) - 1n
const INT_MIN = -(1n << 63n)
const UINT_MAX = (1n << 64n) - 1n

export const int = (v: bigint): bigint => {
  if (v > INT_MAX || v < INT_MIN) throw new EvalError('integer overflow')
  return v
}
export const uint = (v: bigint): Uint => {
  if (v < 0n || v > UINT_MAX) throw new EvalError('unsigned integer overflow')
  return new Uint(v)
}
export const duration = (nanos: bigint): Duration => {
  if (nanos > INT_MAX || nanos < INT_MIN) throw new EvalError('duration overflow')
  return new Duration(nanos)
}
export const timestamp = (nanos: bigint, offsetMinutes = 0): Timestamp => {
  if (nanos > TIMESTAMP_MAX || nanos < TIMESTAMP_MIN) throw new EvalError('timestamp overflow')
  return new Timestamp(nanos, offsetMinutes)
}
const divisor = (v: bigint, why: string): bigint => {
  if (v === 0n) throw new EvalError(why)
  return v
}

/** Most elements of one list that expressions make: what a cost limit lets them look at. */
const LIST_MAX = 1_000_000

export function concatenate(a: CelList, b: CelList): CelList {
  if (a.size + b.size > LIST_MAX) throw new CostExceeded()
  work.step(a.size + b.size)
  return a.plus(b) ?? new ArrayList([...a, ...b])
}

const ARITHMETIC: readonly Declaration[] = [
  ['add_bytes', '_+_(bytes, bytes): bytes', (a: Uint8Array, b: Uint8Array) => Buffer.concat([a, b])],
  ['add_double', '_+_(double, double): double', (a: number, b: number) => a + b],
  ['add_duration_duration', '_+_(duration, duration): duration', (a: Duration, b: Duration) => duration(a.nanos + b.nanos)],
  ['add_duration_timestamp', '_+_(duration, timestamp): timestamp', (a: Duration, b: Timestamp) => timestamp(a.nanos + b.nanos, b.offsetMinutes)],
  ['add_timestamp_duration', '_+_(timestamp, duration): timestamp', (a: Timestamp, b: Duration) => timestamp(a.nanos + b.nanos, a.offsetMinutes)],
  ['add_int64', '_+_(int, int): int', (a: bigint, b: bigint) => int(a + b)],
  ['add_list', '_+_(list<A>, list<A>): list<A>', concatenate],
  ['add_string', '_+_(string, string): string', (a: string, b: string) => a + b],
  ['add_uint64', '_+_(uint, uint): uint', (a: Uint, b: Uint) => uint(a.value + b.value)],

  ['divide_double', '_/_(double, double): double', (a: number, b: number) => a / b],
  ['divide_int64', '_/_(int, int): int', (a: bigint, b: bigint) => int(a / divisor(b, 'division by zero'))],
  ['divide_uint64', '_/_(uint, uint): uint', (a: Uint, b: Uint) => uint(a.value / divisor(b.value, 'division by zero'))],

  ['modulo_int64', '_%_(int, int): int', (a: bigint, b: bigint) => {
    if (a === INT_MIN && b === -1n) throw new EvalError('integer overflow')
    return a % divisor(b, 'modulus by zero')
  }],
  ['modulo_uint64', '_%_(uint, uint): uint', (a: Uint, b: Uint) => uint(a.value % divisor(b.value, 'modulus by zero'))],

  ['multiply_double', '_*_(double, double): double', (a: number, b: number) => a * b],
  ['multiply_int64', '_*_(int, int): int', (a: bigint, b: bigint) => int(a * b)],
  ['multiply_uint64', '_*_(uint, uint): uint', (a: Uint, b: Uint) => uint(a.value * b.value)],

  ['negate_double', '-_(double): double', (a: number) => -a],
  ['negate_int64', '-_(int): int', (a: bigint) => int(-a)],

  ['subtract_double', '_-_(double, double): double', (a: number, b: number) => a - b],
  ['subtract_duration_duration', '_-_(duration, duration): duration', (a: Duration, b: Duration) => duration(a.nanos - b.nanos)],
  ['subtract_int64', '_-_(int, int): int', (a: bigint, b: bigint) => int(a - b)],
  ['subtract_timestamp_duration', '_-_(timestamp, duration): timestamp', (a: Timestamp, b: Duration) => timestamp(a.nanos - b.nanos, a.offsetMinutes)],
  ['subtract_timestamp_timestamp', '_-_(timestamp, timestamp): duration', (a: Timestamp, b: Timestamp) => duration(a.nanos - b.nanos)],
  ['subtract_uint64', '_-_(uint, uint): uint', (a: Uint, b: Uint) => uint(a.value - b.value)],
]

const COMPARED = [
  ['bool', 'bool', 'bool'], ['int64', 'int', 'int'], ['int64_double', 'int', 'double'], ['int64_uint64', 'int', 'uint'], ['uint64', 'uint', 'uint'], ['uint64_double', 'uint', 'double'],
  ['uint64_int64', 'uint', 'int'], ['double', 'double', 'double'], ['double_int64', 'double', 'int'], ['double_uint64', 'double', 'uint'], ['string', 'string', 'string'],
  ['bytes', 'bytes', 'bytes'], ['timestamp', 'timestamp', 'timestamp'], ['duration', 'duration', 'duration'],
] as const

function comparison(name: string, operator: string, holds: (order: number) => boolean): Declaration[] {
  const run = (a: CelValue, b: CelValue): boolean => {
    const order = compare(a, b)
    if (Number.isNaN(order)) throw new EvalError('NaN values cannot be ordered')
    return holds(order)
  }
  return COMPARED.map(([id, a, b]): Declaration => [`${name}_${id}`, `${operator}(${a}, ${b}): bool`, run])
}

export function contains(container: CelList, item: CelValue): boolean {
  for (let i = 0; i < container.size; i++) if (equal(item, container.at(i))) return true
  return false
}

const isKey = (v: CelValue): boolean => typeof v === 'string' || typeof v === 'bigint' || typeof v === 'boolean' || typeof v === 'number' || v instanceof Uint

/** `&&`, `||`, `?:`, indexing and presence are evaluated by the planner itself; their entries are for the checker. */
const planned = (): never => { throw new EvalError('no such overload') }

export const OPERATORS: readonly Declaration[] = [
  ...ARITHMETIC,
  ...comparison('less', '_<_', (o) => o < 0),
  ...comparison('less_equals', '_<=_', (o) => o <= 0),
  ...comparison('greater', '_>_', (o) => o > 0),
  ...comparison('greater_equals', '_>=_', (o) => o >= 0),
  ['equals', '_==_(A, A): bool', equal],
  ['not_equals', '_!=_(A, A): bool', (a: CelValue, b: CelValue) => !equal(a, b)],
  ['in_list', '@in(A, list<A>): bool', (item: CelValue, container: CelList) => contains(container, item)],
  ['in_map', '@in(A, map<A, B>): bool', (key: CelValue, container: CelMap) => isKey(key) && container.has(key)],
  ['logical_not', '!_(bool): bool', (v: boolean) => !v],
  ['logical_and', '_&&_(bool, bool): bool', planned],
  ['logical_or', '_||_(bool, bool): bool', planned],
  ['conditional', '_?_:_(bool, A, A): A', planned],
  ['not_strictly_false', '@not_strictly_false(bool): bool', planned],
  ['index_list', '_[_](list<A>, int): A', planned],
  ['index_map', '_[_](map<A, B>, A): B', planned],
  ['optional_list_index_int', '_[_](optional<list<V>>, int): optional<V>', planned],
  ['optional_map_index_value', '_[_](optional<map<K, V>>, K): optional<V>', planned],
  ['select_optional_field', '_?._(dyn, string): optional<V>', planned],
  ['list_optindex_optional_int', '_[?_](list<V>, int): optional<V>', planned],
  ['optional_list_optindex_optional_int', '_[?_](optional<list<V>>, int): optional<V>', planned],
  ['map_optindex_optional_value', '_[?_](map<K, V>, K): optional<V>', planned],
  ['optional_map_optindex_optional_value', '_[?_](optional<map<K, V>>, K): optional<V>', planned],
]
