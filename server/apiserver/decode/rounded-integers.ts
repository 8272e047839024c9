/** Integers of a JSON body that JavaScript's numbers cannot hold: they are kept rounded, and whoever sent them is told. Pure. */

/** One such number is as good a reason to look into it as many. */
const TOLD_MAX = 3
/** Digits: 2^53 has as many. */
const LONG = 16

type Reviver = (this: unknown, key: string, value: unknown, context?: { source?: string }) => unknown

/** What a client is warned of; nearly every body has nothing. */
export function roundedIntegers(body: Buffer): string[] {
  if (!hasLongNumber(body)) return []
  const text = body.toString('latin1')
  const told = new Set<string>()
  const look: Reviver = (_key, value, context) => {
    const source = context?.source
    if (typeof value === 'number' && source !== undefined && /^-?\d{16,}$/.test(source) && !(Number.isSafeInteger(value) || BigInt(value) === BigInt(source))) told.add(`${source} is kept as ${BigInt(value)}: integers beyond 2^53 are rounded`)
    return value
  }
  try {
    JSON.parse(text, look)
  } catch {
    // No JSON; what is wrong with it is said elsewhere.
  }
  return [...told].slice(0, TOLD_MAX)
}

/** So many digits in a row have one at a place that so many divide: most of a body need not be looked at. */
function hasLongNumber(body: Buffer): boolean {
  for (let at = LONG - 1; at < body.length; at += LONG) {
    if (!isDigit(body[at])) continue
    let start = at
    while (isDigit(body[start - 1])) start--
    let end = at + 1
    while (isDigit(body[end])) end++
    if (end - start >= LONG) return true
  }
  return false
}

const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= 0x30 && byte <= 0x39
