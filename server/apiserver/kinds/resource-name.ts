/** Names of resources that are counted (cpu, memory, hugepages-2Mi, example.com/gpu) and their amounts (upstream `core/helper`, `ValidateResourceQuantityValue`). */
import { checkQualifiedName, parseQuantity, tryParseQuantity } from '#api/types/index.ts'
import { type FieldError, invalid } from '../field-error.ts'
import { named, quantity } from './check.ts'

const NANO = 1_000_000_000n
const HUGE_PAGES = 'hugepages-'
const CONTAINER_RESOURCES: ReadonlySet<string> = new Set(['cpu', 'memory', 'ephemeral-storage'])
/** Counted in whole things. */
export const OBJECT_COUNTS: ReadonlySet<string> = new Set(['pods', 'resourcequotas', 'services', 'replicationcontrollers', 'secrets', 'persistentvolumeclaims', 'configmaps', 'services.nodeports', 'services.loadbalancers'])
const STANDARD: ReadonlySet<string> = new Set([
  ...OBJECT_COUNTS, ...[...CONTAINER_RESOURCES].flatMap((name) => [name, `requests.${name}`, `limits.${name}`]), 'storage', 'requests.storage',
])

export const isHugePages = (name: string): boolean => name.startsWith(HUGE_PAGES)
/** Kubernetes' own: without a prefix, or with one of kubernetes.io. */
export const isNativeResource = (name: string): boolean => !name.includes('/') || name.includes('kubernetes.io/')
export const isExtendedResource = (name: string): boolean => !isNativeResource(name) && !name.startsWith('requests.') && checkQualifiedName(`requests.${name}`).length === 0
/** More of it may be promised than there is. */
export const mayOvercommit = (name: string): boolean => isNativeResource(name) && !isHugePages(name)
export const isStandardContainerResource = (name: string): boolean => CONTAINER_RESOURCES.has(name) || isHugePages(name)

const NEITHER = 'must be a standard resource type or fully qualified'

export function validateResourceName(at: string, name: string): FieldError[] {
  const out = named(at, name, checkQualifiedName)
  if (out.length > 0) return out
  return name.includes('/') || STANDARD.has(name) || isHugePages(name) ? [] : [invalid(at, name, NEITHER)]
}

export function validateContainerResourceName(at: string, name: string): FieldError[] {
  const out = validateResourceName(at, name)
  if (!name.includes('/')) return isStandardContainerResource(name) ? out : [...out, invalid(at, name, 'must be a standard resource for containers')]
  return isNativeResource(name) || isExtendedResource(name) ? out : [...out, invalid(at, name, "doesn't follow extended resource name standard")]
}

/** Not negative, and whole where there are no halves. */
export function validateAmount(at: string, name: string, value: string): FieldError[] {
  const out = quantity(at, value)
  const whole = OBJECT_COUNTS.has(name) || isExtendedResource(name)
  return whole && tryParseQuantity(value).ok && parseQuantity(value).nano % NANO !== 0n ? [...out, invalid(at, value, 'must be an integer')] : out
}

/** Huge pages come in their own size. */
export function validateHugePages(at: string, name: string, value: string): FieldError[] {
  if (!isHugePages(name) || !tryParseQuantity(value).ok) return []
  const size = tryParseQuantity(name.slice(HUGE_PAGES.length))
  const pages = size.ok && size.quantity.nano > 0n && size.quantity.nano % NANO === 0n && parseQuantity(value).nano % size.quantity.nano === 0n
  return pages ? [] : [invalid(at, value, `${value} is not positive integer multiple of ${name}`)]
}
