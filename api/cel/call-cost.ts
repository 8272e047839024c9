/** What calls cost while evaluating: upstream's factors (cel-go's cost tracker, Kubernetes' cost library). Calls not named here cost 1. */
import type { Overload } from './overload.ts'
import type { CelValue } from './value.ts'
import { CelList, CelMap, codePoints, OpaqueValue, Optional } from './value.ts'
import { work } from './work.ts'

export const STRING_TRAVERSAL = 0.1
export const REGEX_LENGTH = 0.25

export type CallCost = (args: readonly CelValue[], result: CelValue) => number

/** Characters, bytes, elements; 1 for what has no size. */
export function sizeOf(v: CelValue | undefined): number {
  if (typeof v === 'string') return codePoints(v)
  if (v instanceof CelList || v instanceof CelMap) return v.size
  if (v instanceof Uint8Array) return v.length
  if (v instanceof Optional && v.value !== undefined) return sizeOf(v.value)
  return v instanceof OpaqueValue ? v.sizeForCost : 1
}

const traversal = (size: number, times = 1): number => Math.ceil(size * times * STRING_TRAVERSAL)

/** Reading a tree once: text by length, everything else 1 a leaf. */
function treeCost(v: CelValue): number {
  if (typeof v === 'string') return Math.floor(Buffer.byteLength(v) * STRING_TRAVERSAL)
  if (v instanceof Uint8Array) return Math.floor(v.length * STRING_TRAVERSAL)
  work.step()
  let cost = 0
  if (v instanceof CelList) for (const item of v) cost += treeCost(item)
  else if (v instanceof CelMap) for (const key of v.keys()) cost += treeCost(key) + treeCost(v.find(key) ?? null)
  else cost = 1
  return cost
}

const one: CallCost = () => 1
const readTarget: CallCost = ([a]) => traversal(sizeOf(a))
const readAndBuild: CallCost = ([a]) => traversal(sizeOf(a), 2)
const readTree: CallCost = ([a]) => treeCost(a ?? null)
const smaller: CallCost = ([a, b]) => traversal(Math.min(sizeOf(a), sizeOf(b)))
const both: CallCost = ([a, b]) => traversal(sizeOf(a) + sizeOf(b))
const regex: CallCost = ([text, pattern]) => traversal(1 + sizeOf(text)) * Math.ceil(sizeOf(pattern) * REGEX_LENGTH)

const equality: CallCost = (args, result) => (args[0] instanceof OpaqueValue ? 1 : smaller(args, result))

const SELECTOR_BASE = 10
const REQUIREMENT = 50
/** A selector is read once, and at worst every second character starts a requirement. */
export const selectorCost = (length: number): number => SELECTOR_BASE + traversal(length) + Math.ceil(Math.ceil(length * 0.5) * REQUIREMENT)

/** Two authorization checks are what one expression can afford. */
export const AUTHORIZATION_CHECK = 350_000

/** Longest pattern behind a named format. */
const FORMAT_REGEX_MAX = 128

const BY_FUNCTION: Readonly<Record<string, CallCost>> = {
  check: () => AUTHORIZATION_CHECK,
  fieldSelector: ([, text]) => selectorCost(sizeOf(text)),
  labelSelector: ([, text]) => selectorCost(sizeOf(text)),
  isSorted: readTree, sum: readTree, max: readTree, min: readTree, indexOf: readTree, lastIndexOf: readTree,
  url: readTarget, lowerAscii: readTarget, upperAscii: readTarget, substring: readTarget, trim: readTarget, 'jsonpatch.escapeKey': readTarget,
  replace: readAndBuild, split: readAndBuild,
  join: (_args, result) => traversal(sizeOf(result), 2),
  find: regex, findAll: regex,
  cidr: readTarget, isIP: readTarget, isCIDR: readTarget,
  ip: readTarget,
  'ip.isCanonical': readAndBuild,
  containsIP: ([cidr]) => traversal(sizeOf(cidr) * 2),
  containsCIDR: ([cidr]) => traversal(sizeOf(cidr) * 2) + traversal(sizeOf(cidr)) + 1,
  quantity: readTarget, isQuantity: readTarget, semver: readTarget, isSemver: readTarget,
  validate: ([format, text]) => traversal(1 + sizeOf(text)) * Math.ceil((format instanceof OpaqueValue ? format.sizeForCost : FORMAT_REGEX_MAX) * REGEX_LENGTH),
  '_==_': equality,
}

const BY_OVERLOAD: Readonly<Record<string, CallCost>> = {
  cidr_ip: one,
  cidr_contains_ip_string: ([cidr, text]) => traversal(sizeOf(cidr) * 2) + traversal(sizeOf(text)),
  cidr_contains_cidr_string: ([cidr, text]) => traversal(sizeOf(cidr) * 2) + traversal(sizeOf(cidr)) + 1 + traversal(sizeOf(text)),
  starts_with_string: readTarget, ends_with_string: readTarget, string_to_bytes: readTarget, bytes_to_string: readTarget, strings_quote: readTarget, string_format: readTarget,
  in_list: ([, list]) => sizeOf(list),
  less_string: smaller, greater_string: smaller, less_equals_string: smaller, greater_equals_string: smaller,
  less_bytes: smaller, greater_bytes: smaller, less_equals_bytes: smaller, greater_equals_bytes: smaller,
  not_equals: smaller,
  add_string: both, add_bytes: both,
  matches_string: regex,
  contains_string: ([text, part]) => traversal(sizeOf(text)) * traversal(sizeOf(part)),
  ...setCosts(),
  ...listCosts(),
}

/** cel-go's set operations: every element against every other. */
function setCosts(): Record<string, CallCost> {
  const product = (factor: number): CallCost => ([a, b]) => 1 + Math.ceil(sizeOf(a) * sizeOf(b) * factor)
  return { list_sets_contains_list: product(1), list_sets_intersects_list: product(1), list_sets_equivalent_list: product(2) }
}

/** cel-go's list functions (version 3): they make a list; sorting and `distinct` count as every element against every other. */
function listCosts(): Record<string, CallCost> {
  const made = (size: number, factor: number): number => Math.floor(size * factor) + 1 + LIST_BASE
  const bySize: CallCost = (_args, result) => made(sizeOf(result), 1)
  const flatten: CallCost = ([list, depth]) => made(sizeOf(list), depth === undefined ? 1 : Number(depth))
  const compared = (which: 0 | 1): CallCost => (args) => {
    const list = args[which]
    const first = list instanceof CelList && list.size > 0 ? list.at(0) : null
    return made(sizeOf(list) ** 2, typeof first === 'string' || first instanceof Uint8Array ? 2 + STRING_TRAVERSAL : 2)
  }
  const costs: Record<string, CallCost> = { list_slice: bySize, list_flatten: flatten, list_flatten_int: flatten, lists_range: bySize, list_reverse: bySize, list_distinct: compared(0) }
  for (const type of ['int', 'uint', 'double', 'bool', 'duration', 'timestamp', 'string', 'bytes']) {
    costs[`list_${type}_sort`] = compared(0)
    costs[`list_${type}_sortByAssociatedKeys`] = compared(1)
  }
  return costs
}

const LIST_BASE = 10

/** `isSole`: the checker found no other overload; upstream's tracker knows overloads only then. Undefined: 1. */
export function callCost(o: Overload, isSole: boolean): CallCost | undefined {
  return (isSole ? BY_OVERLOAD[o.id] : undefined) ?? BY_FUNCTION[o.fn]
}
