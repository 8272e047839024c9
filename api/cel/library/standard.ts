/** Sizes, conversions, text and time: the functions every CEL has. */
import type { Declaration } from '../overload.ts'
import { compileRegex } from '../regex/regex.ts'
import { formatDuration, formatTimestamp, offsetMinutes, parseDateTime, parseGoDuration } from '../time-text.ts'
import { inZone } from '../time-zone.ts'
import type { CelList, CelMap, CelValue, Duration, Timestamp } from '../value.ts'
import { codePoints, EvalError, TypeValue, typeName, Uint } from '../value.ts'
import { duration, int, timestamp, uint } from './operators.ts'

const size = (v: { size: number }): bigint => BigInt(v.size)
const textSize = (v: string): bigint => BigInt(codePoints(v))
const byteSize = (v: Uint8Array): bigint => BigInt(v.length)
const same = (v: CelValue): CelValue => v

function conversionError(from: string, to: string): EvalError { return new EvalError(`type conversion error from '${from}' to '${to}'`) }

/** As strconv: optional sign, digits. */
function intFrom(text: string): bigint {
  if (!/^[+-]?\d+$/.test(text)) throw conversionError('string', 'int')
  return int(BigInt(text.replace(/^\+/, '')))
}
function uintFrom(text: string): Uint {
  if (!/^\d+$/.test(text)) throw conversionError('string', 'uint')
  return uint(BigInt(text))
}
const DOUBLE = /^[+-]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|inf(?:inity)?|nan)$/i
function doubleFrom(text: string): number {
  if (!DOUBLE.test(text)) throw conversionError('string', 'double')
  if (/nan/i.test(text)) return NaN
  if (/inf/i.test(text)) return text.startsWith('-') ? -Infinity : Infinity
  return Number(text)
}
function boolFrom(text: string): boolean {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)) return true
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text)) return false
  throw conversionError('string', 'bool')
}
function truncated(v: number, low: number, high: number, overflow: string): bigint {
  if (!(v > low && v < high)) throw new EvalError(overflow)
  return BigInt(Math.trunc(v))
}
function utf8(v: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(v)
  } catch {
    // The decoder says only that the bytes are no UTF-8.
    throw new EvalError('invalid UTF-8 in bytes, cannot convert to string')
  }
}
/** As Go's `%g` with the shortest digits: an exponent below 1e-4 and from 1e6. */
export function formatDouble(v: number): string {
  if (Number.isNaN(v)) return 'NaN'
  if (!Number.isFinite(v)) return v < 0 ? '-Inf' : '+Inf'
  if (Object.is(v, -0)) return '-0'
  const size = Math.abs(v)
  const text = size !== 0 && (size < 1e-4 || size >= 1e6) ? v.toExponential() : String(v)
  return text.replace(/e([+-])(\d)$/, (_, sign: string, digit: string) => `e${sign}0${digit}`)
}
function timestampFrom(text: string): Timestamp {
  const nanos = parseDateTime(text)
  if (nanos === undefined) throw conversionError('string', 'google.protobuf.Timestamp')
  return timestamp(nanos, offsetMinutes(text))
}
function durationFrom(text: string): Duration {
  const nanos = parseGoDuration(text)
  if (nanos === undefined) throw conversionError('string', 'google.protobuf.Duration')
  return duration(nanos)
}

const CONVERSIONS: readonly Declaration[] = [
  ['type', 'type(A): type<A>', (v: CelValue) => new TypeValue(typeName(v))],
  ['to_dyn', 'dyn(A): dyn', same],
  ['bool_to_bool', 'bool(bool): bool', same],
  ['string_to_bool', 'bool(string): bool', boolFrom],
  ['bytes_to_bytes', 'bytes(bytes): bytes', same],
  ['string_to_bytes', 'bytes(string): bytes', (v: string) => Buffer.from(v, 'utf8')],
  ['double_to_double', 'double(double): double', same],
  ['int64_to_double', 'double(int): double', (v: bigint) => Number(v)],
  ['string_to_double', 'double(string): double', doubleFrom],
  ['uint64_to_double', 'double(uint): double', (v: Uint) => Number(v.value)],
  ['duration_to_duration', 'duration(duration): duration', same],
  // Declared, and never fulfilled.
  ['int64_to_duration', 'duration(int): duration', () => { throw new EvalError("type conversion error from 'int' to 'google.protobuf.Duration'") }],
  ['string_to_duration', 'duration(string): duration', durationFrom],
  ['int64_to_int64', 'int(int): int', same],
  ['double_to_int64', 'int(double): int', (v: number) => truncated(v, -(2 ** 63), 2 ** 63, 'integer overflow')],
  ['duration_to_int64', 'int(duration): int', (v: Duration) => v.nanos],
  ['string_to_int64', 'int(string): int', intFrom],
  ['timestamp_to_int64', 'int(timestamp): int', (v: Timestamp) => (v.nanos - (((v.nanos % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n)) / 1_000_000_000n],
  ['uint64_to_int64', 'int(uint): int', (v: Uint) => int(v.value)],
  ['string_to_string', 'string(string): string', same],
  ['bool_to_string', 'string(bool): string', (v: boolean) => String(v)],
  ['bytes_to_string', 'string(bytes): string', utf8],
  ['double_to_string', 'string(double): string', formatDouble],
  ['duration_to_string', 'string(duration): string', (v: Duration) => formatDuration(v.nanos)],
  ['int64_to_string', 'string(int): string', (v: bigint) => String(v)],
  ['timestamp_to_string', 'string(timestamp): string', (v: Timestamp) => formatTimestamp(v)],
  ['uint64_to_string', 'string(uint): string', (v: Uint) => String(v.value)],
  ['timestamp_to_timestamp', 'timestamp(timestamp): timestamp', same],
  ['int64_to_timestamp', 'timestamp(int): timestamp', (v: bigint) => timestamp(v * 1_000_000_000n)],
  ['string_to_timestamp', 'timestamp(string): timestamp', timestampFrom],
  ['uint64_to_uint64', 'uint(uint): uint', same],
  ['double_to_uint64', 'uint(double): uint', (v: number) => new Uint(truncated(v, -1, 2 ** 64, 'unsigned integer overflow'))],
  ['int64_to_uint64', 'uint(int): uint', (v: bigint) => uint(v)],
  ['string_to_uint64', 'uint(string): uint', uintFrom],
]

const TEXT: readonly Declaration[] = [
  ['size_bytes', 'size(bytes): int', byteSize],
  ['bytes_size', 'bytes->size(): int', byteSize],
  ['size_list', 'size(list<A>): int', (v: CelList) => size(v)],
  ['list_size', 'list<A>->size(): int', (v: CelList) => size(v)],
  ['size_map', 'size(map<A, B>): int', (v: CelMap) => size(v)],
  ['map_size', 'map<A, B>->size(): int', (v: CelMap) => size(v)],
  ['size_string', 'size(string): int', textSize],
  ['string_size', 'string->size(): int', textSize],
  ['contains_string', 'string->contains(string): bool', (v: string, part: string) => v.includes(part)],
  ['ends_with_string', 'string->endsWith(string): bool', (v: string, part: string) => v.endsWith(part)],
  ['starts_with_string', 'string->startsWith(string): bool', (v: string, part: string) => v.startsWith(part)],
  ['matches', 'matches(string, string): bool', (v: string, pattern: string) => compileRegex(pattern).test(v)],
  ['matches_string', 'string->matches(string): bool', (v: string, pattern: string) => compileRegex(pattern).test(v)],
]

/** The getters of timestamps, in UTC or in a zone (`Europe/Oslo`, `-08:00`). */
function getters(fn: string, id: string, get: (local: Date) => number): Declaration[] {
  return [
    [`timestamp_to_${id}`, `timestamp->${fn}(): int`, (t: Timestamp) => BigInt(get(inZone(t.nanos, 'UTC')))],
    [`timestamp_to_${id}_with_tz`, `timestamp->${fn}(string): int`, (t: Timestamp, zone: string) => BigInt(get(inZone(t.nanos, zone)))],
  ]
}
const dayOfYear = (d: Date): number => Math.floor((Date.UTC(2000, d.getUTCMonth(), d.getUTCDate()) - Date.UTC(2000, 0, 1)) / 86_400_000) - (d.getUTCMonth() > 1 && !isLeap(d.getUTCFullYear()) ? 1 : 0)
const isLeap = (year: number): boolean => (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0

const TIME: readonly Declaration[] = [
  ...getters('getFullYear', 'year', (d) => d.getUTCFullYear()),
  ...getters('getMonth', 'month', (d) => d.getUTCMonth()),
  ...getters('getDayOfYear', 'day_of_year', dayOfYear),
  ...getters('getDayOfMonth', 'day_of_month', (d) => d.getUTCDate() - 1),
  ...getters('getDate', 'day_of_month_1_based', (d) => d.getUTCDate()),
  ...getters('getDayOfWeek', 'day_of_week', (d) => d.getUTCDay()),
  ...getters('getHours', 'hours', (d) => d.getUTCHours()),
  ...getters('getMinutes', 'minutes', (d) => d.getUTCMinutes()),
  ...getters('getSeconds', 'seconds', (d) => d.getUTCSeconds()),
  ...getters('getMilliseconds', 'milliseconds', (d) => d.getUTCMilliseconds()),
  ['duration_to_hours', 'duration->getHours(): int', (d: Duration) => d.nanos / 3_600_000_000_000n],
  ['duration_to_minutes', 'duration->getMinutes(): int', (d: Duration) => d.nanos / 60_000_000_000n],
  ['duration_to_seconds', 'duration->getSeconds(): int', (d: Duration) => d.nanos / 1_000_000_000n],
  ['duration_to_milliseconds', 'duration->getMilliseconds(): int', (d: Duration) => d.nanos / 1_000_000n],
]

export const STANDARD: readonly Declaration[] = [...CONVERSIONS, ...TEXT, ...TIME]
