/** Values of the downward API: fieldRef and resourceFieldRef (upstream's pkg/fieldpath and resource helpers). Pure. */
import type { Container, ObjectFieldSelector, Pod, ResourceFieldSelector } from '#api/types/index.ts'
import { quantityMilli, quantityValue } from '#api/types/quantity.ts'

export interface FieldContext {
  pod: Pod
  nodeName: string
  hostIps: readonly string[]
  podIps: readonly string[]
  /** Stands in for a limit that is not set. */
  allocatable: Readonly<Record<string, string>>
}

/** Undefined: there is no such field. */
export function fieldValue(ref: ObjectFieldSelector, ctx: FieldContext): string | undefined {
  const { metadata, spec } = ctx.pod
  const subscript = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(ref.fieldPath)
  if (subscript) return (subscript[1] === 'labels' ? metadata?.labels : metadata?.annotations)?.[subscript[2] ?? ''] ?? ''
  switch (ref.fieldPath) {
    case 'metadata.name': return metadata?.name ?? ''
    case 'metadata.namespace': return metadata?.namespace ?? ''
    case 'metadata.uid': return metadata?.uid ?? ''
    case 'metadata.labels': return formatMap(metadata?.labels)
    case 'metadata.annotations': return formatMap(metadata?.annotations)
    case 'spec.nodeName': return ctx.nodeName
    case 'spec.serviceAccountName': return spec?.serviceAccountName ?? ''
    case 'status.hostIP': return ctx.hostIps[0] ?? ''
    case 'status.hostIPs': return ctx.hostIps.join(',')
    case 'status.podIP': return ctx.podIps[0] ?? ''
    case 'status.podIPs': return ctx.podIps.join(',')
    default: return undefined
  }
}

/** One `key="value"` line each, sorted, values quoted as Go does. */
export function formatMap(map: Readonly<Record<string, string>> = {}): string {
  return Object.entries(map).toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => `${key}=${goQuote(value)}`).join('\n')
}

/** strconv.Quote for text: what nobody sees is written as its code. */
function goQuote(text: string): string {
  const escapes: Record<string, string> = { '\n': '\\n', '\t': '\\t', '\r': '\\r', '"': '\\"', '\\': '\\\\', '\u0007': '\\a', '\b': '\\b', '\f': '\\f', '\v': '\\v' }
  const code = (c: string) => {
    const point = c.codePointAt(0) ?? 0
    const hex = (digits: number) => point.toString(16).padStart(digits, '0')
    return point < 0x80 ? `\\x${hex(2)}` : point < 0x10000 ? `\\u${hex(4)}` : `\\U${hex(8)}`
  }
  return `"${text.replace(/["\\]|[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, (c) => escapes[c] ?? code(c))}"`
}

/** Of these alone a limit that nobody set has a value: hugepages are never given to more than ask for them. */
const DEFAULTED_LIMITS = ['cpu', 'memory', 'ephemeral-storage']
/** A pod as a whole may have limits of these (KEP-2837). */
const POD_LEVEL_LIMITS = ['cpu', 'memory']

/** For the environment of `own`. Undefined: there is no such container or resource. */
export function resourceFieldValue(ref: ResourceFieldSelector, ctx: FieldContext, own: Container): string | undefined {
  const container = ref.containerName ? named(ref.containerName, ctx.pod) : own
  // Upstream fills in limits of those that ask about themselves, and of app containers: the pod's where it has one, else the node's.
  const mayDefault = container === own || (ctx.pod.spec?.containers ?? []).some((c) => c === container)
  return container && resourceValue(ref, container, (resource) => (mayDefault ? ofPod(resource, ctx.pod, ctx.allocatable[resource]) : undefined))
}

/** For a file, which says whose resource it is to tell. There the pod's own limits are not asked for. */
export function fileResourceValue(ref: ResourceFieldSelector, ctx: FieldContext): string | undefined {
  const container = named(ref.containerName, ctx.pod)
  return container && resourceValue(ref, container, (resource) => ctx.allocatable[resource])
}

const named = (name: string | undefined, { spec }: Pod): Container | undefined => [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].find((c) => c.name === name)

function resourceValue(ref: ResourceFieldSelector, container: Container, limitOf: (resource: string) => string | undefined): string | undefined {
  const [which, resource] = splitResource(ref.resource)
  if ((which !== 'limits' && which !== 'requests') || resource === undefined) return undefined
  const given = maybeSet(container.resources?.[which]?.[resource]) ?? (which === 'limits' && DEFAULTED_LIMITS.includes(resource) ? limitOf(resource) : undefined) ?? '0'
  const divisor = ref.divisor === undefined || quantityMilli(ref.divisor) === 0 ? '1' : ref.divisor
  if (resource === 'cpu') return String(Math.ceil(quantityMilli(given) / quantityMilli(divisor)))
  return String(Math.ceil(quantityValue(given) / quantityValue(divisor)))
}

function ofPod(resource: string, { spec }: Pod, ofNode: string | undefined): string | undefined {
  if (ofNode === undefined || !POD_LEVEL_LIMITS.includes(resource)) return ofNode
  return maybeSet(spec?.resources?.limits?.[resource]) ?? ofNode
}

const maybeSet = (quantity: string | undefined): string | undefined => (quantityMilli(quantity) === 0 ? undefined : quantity)

function splitResource(text: string): [string, string | undefined] {
  const at = text.indexOf('.')
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)]
}
