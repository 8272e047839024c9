/** Timestamps and durations as text: RFC 3339, Go's durations, OpenAPI's durations. All values are nanoseconds. */

/** 0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999999999Z: what CEL can hold. */
export const TIMESTAMP_MIN = -62_135_596_800n * 1_000_000_000n
export const TIMESTAMP_MAX = 253_402_300_799n * 1_000_000_000n + 999_999_999n

const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:([Zz])|([+-])(\d\d):(\d\d))$/

/** Undefined for what is no date-time. */
export function parseDateTime(text: string): bigint | undefined {
  const m = RFC3339.exec(text)
  if (!m) return undefined
  const [year, month, day, hour, minute, second] = m.slice(1, 7).map(Number) as [number, number, number, number, number, number]
  if (hour > 23 || minute > 59 || second > 59) return undefined
  const days = epochMs(year, month, day)
  if (days === undefined) return undefined
  let seconds = days / 1000 + hour * 3600 + minute * 60 + second
  if (m[9] !== undefined) {
    const offset = Number(m[10]) * 3600 + Number(m[11]) * 60
    if (Number(m[10]) > 24 || Number(m[11]) > 60) return undefined
    seconds += m[9] === '-' ? offset : -offset
  }
  return BigInt(seconds) * 1_000_000_000n + BigInt((m[7] ?? '').padEnd(9, '0').slice(0, 9))
}

export function parseFullDate(text: string): bigint | undefined {
  const m = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text)
  const ms = m && epochMs(Number(m[1]), Number(m[2]), Number(m[3]))
  return ms === null || ms === undefined ? undefined : BigInt(ms) * 1_000_000n
}

/** Minutes east of UTC that a date-time names. */
export function offsetMinutes(text: string): number {
  const m = /([+-])(\d\d):(\d\d)$/.exec(text)
  return m ? (m[1] === '-' ? -1 : 1) * (Number(m[2]) * 60 + Number(m[3])) : 0
}

/** Midnight of a date that exists. */
function epochMs(year: number, month: number, day: number): number | undefined {
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day ? date.getTime() : undefined
}

/** RFC 3339 with as many digits of a second as there are, in the offset it came with. */
export function formatTimestamp({ nanos, offsetMinutes: offset }: { nanos: bigint; offsetMinutes: number }): string {
  const seconds = (nanos - mod(nanos, 1_000_000_000n)) / 1_000_000_000n
  const fraction = mod(nanos, 1_000_000_000n)
  const text = new Date((Number(seconds) + offset * 60) * 1000).toISOString().slice(0, 19)
  const two = (n: number): string => String(n).padStart(2, '0')
  const zone = offset === 0 ? 'Z' : `${offset < 0 ? '-' : '+'}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`
  return fraction === 0n ? `${text}${zone}` : `${text}.${String(fraction).padStart(9, '0').replace(/0+$/, '')}${zone}`
}

export const mod = (a: bigint, b: bigint): bigint => ((a % b) + b) % b

const UNITS: Readonly<Record<string, bigint>> = { ns: 1n, us: 1_000n, 'µs': 1_000n, 'μs': 1_000n, ms: 1_000_000n, s: 1_000_000_000n, m: 60_000_000_000n, h: 3_600_000_000_000n }
const DURATION_MAX = (1n << 63n) - 1n

/** As Go's time.ParseDuration: `1h30m`, `-1.5s`, `0`. */
export function parseGoDuration(text: string): bigint | undefined {
  const m = /^([+-]?)((?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|\u00b5s|\u03bcs|ms|s|m|h))+$/.exec(text)
  if (/^[+-]?0$/.test(text)) return 0n
  if (!m) return undefined
  let total = 0n
  for (const [, whole = '', fraction = '', unit = ''] of text.matchAll(/(\d*)(?:\.(\d*))?(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/g)) {
    const scale = UNITS[unit] as bigint
    total += BigInt(whole || 0) * scale
    if (fraction !== '') total += (BigInt(fraction.slice(0, 18)) * scale) / 10n ** BigInt(Math.min(fraction.length, 18))
  }
  if (total > DURATION_MAX) return undefined
  return m[1] === '-' ? -total : total
}

const WORDS: Readonly<Record<string, bigint>> = {
  ns: 1n, nano: 1n, nanosecond: 1n, us: 1_000n, 'µs': 1_000n, micro: 1_000n, microsecond: 1_000n, ms: 1_000_000n, milli: 1_000_000n, millisecond: 1_000_000n,
  s: 1_000_000_000n, sec: 1_000_000_000n, second: 1_000_000_000n, m: 60_000_000_000n, min: 60_000_000_000n, minute: 60_000_000_000n,
  h: 3_600_000_000_000n, hr: 3_600_000_000_000n, hour: 3_600_000_000_000n, d: 86_400_000_000_000n, day: 86_400_000_000_000n, w: 604_800_000_000_000n, wk: 604_800_000_000_000n, week: 604_800_000_000_000n,
}

/** OpenAPI's `format: duration`: Go's form, or words (`2 days`). */
export function parseOpenApiDuration(text: string): bigint | undefined {
  const go = parseGoDuration(text)
  if (go !== undefined) return go
  let total = 0n
  let found = false
  for (const [, number = '', unit = ''] of text.matchAll(/((?:\d+(?:\.\d+)?))\s*([A-Za-z\u00b5]+)/g)) {
    const scale = WORDS[unit.toLowerCase()] ?? WORDS[unit.toLowerCase().replace(/s$/, '')]
    if (scale === undefined) return undefined
    found = true
    total += BigInt(Math.round(Number(number) * 1e6)) * scale / 1_000_000n
  }
  return found ? total : undefined
}

/** Seconds with a fraction and `s`, as CEL writes durations. */
export function formatDuration(nanos: bigint): string {
  const sign = nanos < 0n ? '-' : ''
  const size = nanos < 0n ? -nanos : nanos
  const fraction = size % 1_000_000_000n
  return `${sign}${size / 1_000_000_000n}${fraction === 0n ? '' : `.${String(fraction).padStart(9, '0').replace(/0+$/, '')}`}s`
}
