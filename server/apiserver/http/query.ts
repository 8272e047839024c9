/** Query parameters as typed options; bad ones are a 400 in upstream's words. */
import { badRequest } from './status.ts'

export class Query {
  readonly #params: URLSearchParams
  constructor(text: string) {
    this.#params = new URLSearchParams(text)
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

  /** As Go's time.ParseDuration: `5s`, `1m30s`, `250ms`; undefined when absent. */
  duration(name: string): { ms: number } | 'invalid' | undefined {
    const value = this.#params.get(name)
    if (value === null || value === '') return undefined
    if (value === '0') return { ms: 0 }
    if (!/^\+?(?:\d{1,15}(?:\.\d{0,15})?(?:ns|us|µs|ms|s|m|h))+$/.test(value)) return 'invalid'
    return { ms: [...value.matchAll(/([\d.]+)(ns|us|\u00b5s|ms|s|m|h)/g)].reduce((sum, [, n, unit]) => sum + Number(n) * (UNIT_MS[unit ?? ''] ?? 0), 0) }
  }

  integer(name: string): number | undefined {
    const value = this.#params.get(name)
    if (value === null || value === '') return undefined
    if (!/^[+-]?\d{1,19}$/.test(value)) throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(value)}: invalid syntax`)
    return Number(value)
  }
}

const UNIT_MS: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }

const EMPTY = new Query('')

/** Splits a raw request target; an absent query costs nothing. */
export function splitTarget(target: string): { path: string; query: Query; rawQuery: string } {
  const at = target.indexOf('?')
  if (at < 0) return { path: target, query: EMPTY, rawQuery: '' }
  const rawQuery = target.slice(at)
  return { path: target.slice(0, at), query: new Query(rawQuery.slice(1)), rawQuery }
}
