/** Text functions of cel-go's strings extension, version 2 (what Kubernetes has). Positions count code points. */
import type { Declaration } from '../overload.ts'
import type { CelList } from '../value.ts'
import { ArrayList, characters, EvalError } from '../value.ts'
import { work } from '../work.ts'
import { formatText } from './format-text.ts'
import { show } from './show.ts'

const outOfRange = (at: bigint): EvalError => new EvalError(`index out of range: ${at}`)

function charAt(text: string, at: bigint): string {
  const chars = characters(text)
  if (at < 0n || at > chars.length) throw outOfRange(at)
  return chars[Number(at)] ?? ''
}

function indexOf(text: string, part: string, from: bigint): bigint {
  if (part === '') return from
  if (from < 0n) throw outOfRange(from)
  const chars = characters(text)
  if (from >= chars.length) return -1n
  const found = chars.slice(Number(from)).join('').indexOf(part)
  return found < 0 ? -1n : from + BigInt(characters(chars.slice(Number(from)).join('').slice(0, found)).length)
}

function lastIndexOf(text: string, part: string, from?: bigint): bigint {
  const chars = characters(text)
  if (part === '') return from ?? BigInt(chars.length)
  if (from === undefined && chars.length === 0) return -1n
  const start = from ?? BigInt(chars.length - 1)
  if (start < 0n) throw outOfRange(start)
  if (start >= chars.length) return -1n
  const wanted = characters(part)
  for (let i = Math.min(Number(start), chars.length - wanted.length); i >= 0; i--) {
    if (wanted.every((c, j) => chars[i + j] === c)) return BigInt(i)
  }
  return -1n
}

function replace(text: string, part: string, by: string, times: bigint): string {
  work.step((text.length / Math.max(1, part.length)) * by.length)
  if (times < 0n) return part === '' ? ['', ...characters(text)].map((c) => c + by).join('') : text.replaceAll(part, () => by)
  let out = ''
  let rest = text
  for (let n = times; n > 0n; n--) {
    if (part === '') {
      out += by
      const first = characters(rest)[0]
      if (first === undefined) return out
      out += first
      rest = rest.slice(first.length)
      continue
    }
    const at = rest.indexOf(part)
    if (at < 0) break
    out += rest.slice(0, at) + by
    rest = rest.slice(at + part.length)
  }
  return out + rest
}

function split(text: string, separator: string, limit: bigint): ArrayList {
  if (limit === 0n) return new ArrayList([])
  const parts = separator === '' ? characters(text) : text.split(separator)
  if (limit < 0n || parts.length <= limit) return new ArrayList(parts)
  const kept = Number(limit) - 1
  return new ArrayList([...parts.slice(0, kept), parts.slice(kept).join(separator)])
}

function substring(text: string, start: bigint, end?: bigint): string {
  const chars = characters(text)
  if (end !== undefined && start > end) throw new EvalError(`invalid substring range. start: ${start}, end: ${end}`)
  if (start < 0n || start > chars.length) throw outOfRange(start)
  if (end !== undefined && end > chars.length) throw outOfRange(end)
  return chars.slice(Number(start), end === undefined ? undefined : Number(end)).join('')
}

function join(items: CelList, separator: string): string {
  work.step(items.size * separator.length)
  return Array.from(items, (item) => {
    if (typeof item !== 'string') throw new EvalError(`join: invalid input: ${show(item)}`)
    work.step(item.length)
    return item
  }).join(separator)
}

const QUOTED: Readonly<Record<string, string>> = { '\x07': '\\a', '\b': '\\b', '\f': '\\f', '\n': '\\n', '\r': '\\r', '\t': '\\t', '\v': '\\v', '\\': '\\\\', '"': '\\"' }
const quote = (text: string): string => `"${characters(text.toWellFormed()).map((c) => QUOTED[c] ?? c).join('')}"`

/** Unicode's White_Space, which is what Go trims. */
const SPACE = '[\\p{White_Space}]+'
const TRIM = new RegExp(`^${SPACE}|${SPACE}$`, 'gu')

export const STRINGS: readonly Declaration[] = [
  ['string_char_at_int', 'string->charAt(int): string', charAt],
  ['string_index_of_string', 'string->indexOf(string): int', (text: string, part: string) => indexOf(text, part, 0n)],
  ['string_index_of_string_int', 'string->indexOf(string, int): int', indexOf],
  ['string_last_index_of_string', 'string->lastIndexOf(string): int', (text: string, part: string) => lastIndexOf(text, part)],
  ['string_last_index_of_string_int', 'string->lastIndexOf(string, int): int', (text: string, part: string, from: bigint) => lastIndexOf(text, part, from)],
  ['string_lower_ascii', 'string->lowerAscii(): string', (text: string) => text.replace(/[A-Z]+/g, (c) => c.toLowerCase())],
  ['string_upper_ascii', 'string->upperAscii(): string', (text: string) => text.replace(/[a-z]+/g, (c) => c.toUpperCase())],
  ['string_replace_string_string', 'string->replace(string, string): string', (text: string, part: string, by: string) => replace(text, part, by, -1n)],
  ['string_replace_string_string_int', 'string->replace(string, string, int): string', replace],
  ['string_split_string', 'string->split(string): list<string>', (text: string, separator: string) => split(text, separator, -1n)],
  ['string_split_string_int', 'string->split(string, int): list<string>', split],
  ['string_substring_int', 'string->substring(int): string', (text: string, start: bigint) => substring(text, start)],
  ['string_substring_int_int', 'string->substring(int, int): string', (text: string, start: bigint, end: bigint) => substring(text, start, end)],
  ['string_trim', 'string->trim(): string', (text: string) => text.replace(TRIM, '')],
  ['list_join', 'list<string>->join(): string', (items: CelList) => join(items, '')],
  ['list_join_string', 'list<string>->join(string): string', join],
  ['string_format', 'string->format(list<dyn>): string', formatText],
  ['strings_quote', 'strings.quote(string): string', quote],
]
