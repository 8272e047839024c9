/** Values of the downward API: fieldRef and resourceFieldRef (upstream's pkg/fieldpath and resource helpers). Pure. */
import type { ObjectFieldSelector, Pod, ResourceFieldSelector } from '#api/types/index.ts'
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

/** strconv.Quote for text. */
function goQuote(text: string): string {
  const escapes: Record<string, string> = { '\n': '\\n', '\t': '\\t', '\r': '\\r', '"': '\\"', '\\': '\\\\', '\u0007': '\\a', '\b': '\\b', '\f': '\\f', '\v': '\\v' }
  // oxlint-disable-next-line no-control-regex -- control characters are what is to be escaped
  return `"${text.replace(/[\u0000-\u001f"\\\u007f]/g, (c) => escapes[c] ?? `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`)}"`
}

/** Undefined: there is no such container or resource. */
export function resourceFieldValue(ref: ResourceFieldSelector, ctx: FieldContext, ownContainer?: string): string | undefined {
  const name = ref.containerName ?? ownContainer
  const container = [...(ctx.pod.spec?.containers ?? []), ...(ctx.pod.spec?.initContainers ?? [])].find((c) => c.name === name)
  const [which, resource] = splitResource(ref.resource)
  if (!container || (which !== 'limits' && which !== 'requests') || resource === undefined) return undefined
  const given = container.resources?.[which]?.[resource] ?? (which === 'limits' ? ctx.allocatable[resource] : undefined) ?? '0'
  const divisor = ref.divisor === undefined || quantityMilli(ref.divisor) === 0 ? '1' : ref.divisor
  if (resource === 'cpu') return String(Math.ceil(quantityMilli(given) / quantityMilli(divisor)))
  return String(Math.ceil(quantityValue(given) / quantityValue(divisor)))
}

function splitResource(text: string): [string, string | undefined] {
  const at = text.indexOf('.')
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)]
}
