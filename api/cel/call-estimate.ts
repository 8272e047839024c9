/** Estimates for the functions of Kubernetes' libraries and cel-go's extensions: their `EstimateCallCost`. */
import type { Call, Expr } from './ast.ts'
import { AUTHORIZATION_CHECK, REGEX_LENGTH, STRING_TRAVERSAL } from './call-cost.ts'
import type { SizeRange } from './size-range.ts'
import { factor, fixed, plus, times, UNBOUNDED } from './size-range.ts'
import type { CelType } from './type.ts'

export interface CallEstimate { cost: SizeRange; /** Of text, bytes, lists and maps. */ result?: SizeRange | undefined }

/** A call, and what the estimator knows of its operands. */
export interface CallView {
  call: Call
  target: Expr | undefined
  args: readonly Expr[]
  /** Unbounded where nothing is known. */
  size: (e: Expr) => SizeRange
  /** Undefined unless the node is a list; its elements' size by path. */
  elementSize: (e: Expr) => { type: CelType; size: SizeRange } | undefined
  computedSize: (e: Expr) => SizeRange | undefined
}

const ONE = fixed(1)
const LIST_BASE = fixed(10)
/** A requirement of a selector: a list and a struct; at worst one every second character. */
const REQUIREMENT = 50
const FORMAT_REGEX_MAX = 128
const FORMAT_NAME_MAX = 64
/** Bytes of an address. */
const ADDRESS: SizeRange = { min: 4, max: 16 }

const read = (size: SizeRange, often = 1): SizeRange => factor(size, often * STRING_TRAVERSAL)

/** Undefined: nothing special is known of the function. */
export function callEstimate(id: string, view: CallView): CallEstimate | undefined {
  return byOverload(id, view) ?? byFunction(id, view)
}

function byOverload(id: string, { target, args, size }: CallView): CallEstimate | undefined {
  const [first, second] = args
  switch (id) {
    case 'list_sets_contains_list': case 'list_sets_intersects_list': case 'list_sets_equivalent_list':
      if (!first || !second) return undefined
      return { cost: plus(factor(times(size(first), size(second)), id === 'list_sets_equivalent_list' ? 2 : 1), ONE) }
    case 'list_slice': return target && first && second && made(1, fixed(Math.abs(literalInt(second, size(target).max) - literalInt(first, 0))))
    case 'list_flatten': case 'list_flatten_int': return target && made(first ? literalInt(first, UNBOUNDED) : 1, size(target))
    case 'lists_range': return first && made(1, fixed(literalInt(first, UNBOUNDED)))
    case 'list_reverse': return target && made(1, size(target))
    case 'list_distinct': return target && made(2, times(size(target), size(target)))
    default:
  }
  const sorted = /^list_(\w+)_(sort|sortByAssociatedKeys)$/.exec(id)
  const keys = sorted?.[2] === 'sort' ? target : first
  if (!sorted || !keys) return undefined
  return made(sorted[1] === 'string' || sorted[1] === 'bytes' ? 2 + STRING_TRAVERSAL : 2, times(size(keys), size(keys)))
}

/** A function that makes a list. */
const made = (by: number, size: SizeRange): CallEstimate => ({ cost: plus(plus(factor(size, by), ONE), LIST_BASE), result: size })

function literalInt(e: Expr, otherwise: number): number {
  return e.kind === 'literal' && typeof e.value === 'bigint' ? Math.max(0, Number(e.value)) : otherwise
}

const NOMINAL: ReadonlySet<string> = new Set([
  'serviceAccount', 'path', 'group', 'resource', 'subresource', 'namespace', 'name', 'allowed', 'reason', 'error', 'errored',
  'masked', 'prefixLength', 'family', 'isUnspecified', 'isLoopback', 'isLinkLocalMulticast', 'isLinkLocalUnicast', 'isGlobalUnicast', 'format.named',
  'sign', 'asInteger', 'isInteger', 'asApproximateFloat', 'isGreaterThan', 'isLessThan', 'compareTo', 'add', 'sub', 'major', 'minor', 'patch',
  'getScheme', 'getHostname', 'getHost', 'getPort', 'getEscapedPath', 'getQuery',
])

function byFunction(id: string, view: CallView): CallEstimate | undefined {
  const { call: { fn }, target, args, size } = view
  const [first, second] = args
  if (NOMINAL.has(fn)) return { cost: ONE }
  switch (fn) {
    case 'check': return { cost: fixed(AUTHORIZATION_CHECK) }
    case 'fieldSelector': case 'labelSelector': {
      if (!first) return undefined
      const length = size(first)
      return { cost: plus(plus(LIST_BASE, read(length)), factor(factor(length, 0.5), REQUIREMENT)) }
    }
    case 'isSorted': case 'sum': case 'max': case 'min': case 'indexOf': case 'lastIndexOf': {
      if (!target) return undefined
      const element = view.elementSize(target)
      if (!element) return { cost: read(size(target)) }
      const text = element.type.kind === 'string' || element.type.kind === 'bytes'
      return { cost: times(size(target), text ? plus(ONE, read(element.size)) : ONE) }
    }
    case 'url': case 'jsonpatch.escapeKey': return first && { cost: read(size(first)), result: size(first) }
    case 'lowerAscii': case 'upperAscii': case 'substring': case 'trim': return target && { cost: read(size(target)), result: size(target) }
    case 'replace': return target && first && second && replaced(size(target), size(first), size(second))
    case 'split': {
      if (!target) return undefined
      const text = size(target)
      return { cost: read(text, 2), result: { min: 0, max: second ? literalInt(second, text.max) : text.max } }
    }
    case 'join': return target && joined(view, target, first)
    case 'find': case 'findAll': {
      if (!target || !first) return undefined
      const text = size(target)
      return { cost: times(read(plus(text, ONE)), factor(size(first), REGEX_LENGTH)), result: { min: 0, max: text.max } }
    }
    case 'cidr': case 'isIP': case 'isCIDR': case 'quantity': case 'isQuantity': case 'semver': case 'isSemver': return first && { cost: read(size(first)) }
    case 'ip':
      if (id === 'cidr_ip') return { cost: ONE }
      return first && { cost: read(size(first)) }
    case 'ip.isCanonical': return first && { cost: read(size(first), 2) }
    case 'containsIP': {
      if (!first) return undefined
      const compared = read(plus(ADDRESS, ADDRESS))
      return { cost: id === 'cidr_contains_ip_string' ? plus(compared, read(size(first))) : compared }
    }
    case 'containsCIDR': {
      if (!first) return undefined
      const compared = plus(plus(read(plus(ADDRESS, ADDRESS)), read(ADDRESS)), ONE)
      return { cost: id === 'cidr_contains_cidr_string' ? plus(compared, read(size(first))) : compared }
    }
    case 'validate': return first && { cost: factor(read(size(first)), FORMAT_REGEX_MAX * REGEX_LENGTH) }
    case '_==_': return first && second && equality(view, first, second)
    default: return undefined
  }
}

function equality({ computedSize }: CallView, first: Expr, second: Expr): CallEstimate | undefined {
  const { type } = first
  if (type?.kind !== 'opaque' || second.type?.kind !== 'opaque' || second.type.name !== type.name || type.name === 'optional_type') return undefined
  if (type.name === 'kubernetes.NamedFormat') return { cost: read({ min: 1, max: FORMAT_NAME_MAX }) }
  if (type.name === 'kubernetes.URL') return { cost: read({ min: 1, max: computedSize(second)?.max ?? 1 }) }
  return { cost: ONE }
}

function replaced(text: SizeRange, part: SizeRange, by: SizeRange): CallEstimate {
  let most = 0
  let least = 0
  let keptMost = 0
  let keptLeast = 0
  if (part.min === 0) {
    // Replacing nothing puts the replacement around every character.
    most = Math.min(text.max + 1, UNBOUNDED)
    keptMost = text.max
  } else if (by.max <= part.min) keptMost = text.max
  else most = Math.ceil(text.max / part.min)
  if (part.max === 0) {
    least = Math.min(text.min + 1, UNBOUNDED)
    keptLeast = text.min
  } else if (part.max <= by.min) keptLeast = text.min
  else least = Math.ceil(text.min / part.max)
  return { cost: read(text, 2), result: plus(times({ min: least, max: most }, by), { min: keptLeast, max: keptMost }) }
}

function joined(view: CallView, target: Expr, separator: Expr | undefined): CallEstimate {
  const count = view.size(target)
  const element = view.elementSize(target)
  let size: SizeRange = element ? times(count, element.size) : { min: 0, max: 0 }
  if (separator) size = plus(size, times(view.size(separator), { min: Math.max(0, count.min - 1), max: Math.max(0, count.max - 1) }))
  return { cost: read(size), result: size }
}
