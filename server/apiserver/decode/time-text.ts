/** RFC 3339 times as metav1.Time and MicroTime read and print them: UTC, whole seconds or microseconds. */

const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)$/
const LAYOUT = '2006-01-02T15:04:05Z07:00'
const MICRO_LAYOUT = '2006-01-02T15:04:05.000000Z07:00'
/** Of the second; neither more nor fewer. */
const MICRO_DIGITS = 6

export type TimeText = { ok: true; text: string } | { ok: false; message: string }

/** The canonical text of a time; `micro` keeps six digits of the second. Message as Go's time.Parse. */
export function parseTimeText(input: string, micro: boolean): TimeText {
  const match = RFC3339.exec(input)
  if (!match || (micro && match[7]?.length !== MICRO_DIGITS)) return { ok: false, message: goTimeError(input, micro) }
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [number, number, number, number, number, number]
  const zone = match[8] ?? 'Z'
  const outOfRange = (what: string): TimeText => ({ ok: false, message: `parsing time ${goQuote(input)}: ${what} out of range` })
  if (month < 1 || month > 12) return outOfRange('month')
  if (day < 1 || day > daysIn(year, month)) return outOfRange('day')
  if (hour > 23) return outOfRange('hour')
  if (minute > 59) return outOfRange('minute')
  if (second > 59) return outOfRange('second')
  const fraction = micro ? `.${match[7] ?? ''}` : ''
  if (zone === 'Z') return { ok: true, text: `${input.slice(0, 19)}${fraction}Z` }
  const offsetMinutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4, 6))
  if (Number(zone.slice(1, 3)) > 24 || Number(zone.slice(4, 6)) > 59) return outOfRange('time zone offset')
  const utc = new Date(0)
  utc.setUTCFullYear(year, month - 1, day)
  utc.setUTCHours(hour, minute - (zone.startsWith('-') ? -offsetMinutes : offsetMinutes), second)
  const text = utc.toISOString()
  return text.length === 24 ? { ok: true, text: `${text.slice(0, 19)}${fraction}Z` } : outOfRange('year')
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}

/** Go names the layout's first element that the text does not satisfy, and the text from there on. */
function goTimeError(input: string, micro: boolean): string {
  const layout = micro ? MICRO_LAYOUT : LAYOUT
  const seconds: [RegExp, string][] = micro ? [[/^\d\d/, '05'], [/^[.,]\d{6}/, '.000000']] : [[/^\d\d(?:[.,]\d+)?/, '05']]
  const elements: [RegExp, string][] = [
    [/^\d{4}/, '2006'], [/^-/, '-'], [/^\d\d/, '01'], [/^-/, '-'], [/^\d\d/, '02'], [/^T/, 'T'], [/^\d\d/, '15'], [/^:/, ':'], [/^\d\d/, '04'], [/^:/, ':'],
    ...seconds, [/^(?:Z|[+-]\d\d:\d\d)/, 'Z07:00'],
  ]
  let rest = input
  for (const [pattern, element] of elements) {
    const found = pattern.exec(rest)
    if (!found) return `parsing time ${goQuote(input)} as "${layout}": cannot parse ${goQuote(rest)} as "${element}"`
    rest = rest.slice(found[0].length)
  }
  return `parsing time ${goQuote(input)}: extra text: ${goQuote(rest)}`
}

/** As Go's time package quotes: whatever is not plain ASCII byte by byte. */
function goQuote(text: string): string {
  return `"${[...Buffer.from(text)].map((c) => (c < 0x20 || c >= 0x80 ? `\\x${c.toString(16).padStart(2, '0')}` : c === 0x22 || c === 0x5c ? `\\${String.fromCharCode(c)}` : String.fromCharCode(c))).join('')}"`
}
