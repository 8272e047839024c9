/** Query parameters as typed options; bad ones are a 400 in upstream's words. */
import { badRequest } from './status.ts'

export class Query {
  readonly #params: URLSearchParams
  constructor(text: string) {
    this.#params = new URLSearchParams(text.includes(';') ? withoutSemicolons(text) : text)
  }

  text(name: string): string { return this.#params.get(name) ?? '' }
  has(name: string): boolean { return this.#params.has(name) }
  all(name: string): string[] { return this.#params.getAll(name) }

  /** Go's conversion: '' , '0' and 'false' are false, anything else that is there is true. */
  flag(name: string): boolean {
    const value = this.#params.get(name)
    return value !== null && value !== '0' && value.toLowerCase() !== 'false'
  }

  optionalFlag(name: string): boolean | undefined {
    return this.#params.has(name) ? this.flag(name) : undefined
  }

  /** As Go's time.ParseDuration: `5s`, `1m30s`, `250ms`, or what it says of others; undefined when absent. */
  duration(name: string): { ms: number } | { problem: string } | undefined {
    const value = this.#params.get(name)
    return value === null || value === '' ? undefined : parseDuration(value)
  }

  integer(name: string): number | undefined {
    const value = this.#params.get(name)
    if (value === null || value === '') return undefined
    const problem = !/^[+-]?\d{1,64}$/.test(value) ? 'invalid syntax' : BigInt.asIntN(64, BigInt(value)) !== BigInt(value) ? 'value out of range' : undefined
    if (problem !== undefined) throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(value)}: ${problem}`)
    return Number(value)
  }
}

const UNIT_MS: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }

/** Go drops what has one, instead of guessing what it separates. */
const withoutSemicolons = (text: string): string => text.split('&').filter((pair) => !pair.includes(';')).join('&')

/** Longer texts are no durations. */
const DURATION_CHARS_MAX = 64

function parseDuration(text: string): { ms: number } | { problem: string } {
  const sign = /^[+-]/.exec(text)?.[0] ?? ''
  const shown = JSON.stringify(text)
  let rest = text.slice(sign.length)
  if (rest === '0') return { ms: 0 }
  if (rest === '' || text.length > DURATION_CHARS_MAX) return { problem: `time: invalid duration ${shown}` }
  let ms = 0
  while (rest !== '') {
    const [all = '', number = '', unit = ''] = /^(\d+\.?\d*|\.\d+)([^\d.]*)/.exec(rest) ?? []
    if (number === '') return { problem: `time: invalid duration ${shown}` }
    if (unit === '') return { problem: `time: missing unit in duration ${shown}` }
    const unitMs = UNIT_MS[unit]
    if (unitMs === undefined) return { problem: `time: unknown unit ${JSON.stringify(unit)} in duration ${shown}` }
    ms += Number(number) * unitMs
    rest = rest.slice(all.length)
  }
  return { ms: sign === '-' ? -ms : ms }
}

const EMPTY = new Query('')

/** Splits a raw request target; an absent query costs nothing. */
export function splitTarget(target: string): { path: string; query: Query; rawQuery: string } {
  const at = target.indexOf('?')
  if (at < 0) return { path: target, query: EMPTY, rawQuery: '' }
  const rawQuery = target.slice(at)
  return { path: target.slice(0, at), query: new Query(rawQuery.slice(1)), rawQuery }
}
