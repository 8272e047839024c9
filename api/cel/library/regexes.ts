/** `find` and `findAll`: what matches, not only whether. */
import type { Declaration } from '../overload.ts'
import { compileRegex } from '../regex/regex.ts'
import { ArrayList } from '../value.ts'

function find(text: string, pattern: string): string {
  const match = compileRegex(pattern).find(text)
  return match ? text.slice(match.start, match.end) : ''
}

/** Negative: no limit. */
const findAll = (text: string, pattern: string, limit: bigint): ArrayList => new ArrayList(compileRegex(pattern).findAll(text, limit < 0n ? Infinity : Number(limit)))

export const REGEXES: readonly Declaration[] = [
  ['string_find_string', 'string->find(string): string', find],
  ['string_find_all_string', 'string->findAll(string): list<string>', (text: string, pattern: string) => findAll(text, pattern, -1n)],
  ['string_find_all_string_int', 'string->findAll(string, int): list<string>', findAll],
]
