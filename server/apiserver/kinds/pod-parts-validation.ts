/** What `pods/ephemeralcontainers` and `pods/resize` may change (upstream ValidatePodEphemeralContainersUpdate, ValidatePodResize). Pure. */
import type { Container, EphemeralContainer, Pod } from '#api/types/index.ts'
import { computeQosClass } from '#api/types/index.ts'
import { type FieldError, forbidden, invalid } from '../field-error.ts'
import { validatePodSpec } from './pod-spec-validation.ts'
import { semanticEqual } from './semantic-equal.ts'

const MIRROR = 'kubernetes.io/config.mirror'
const RESIZABLE: ReadonlySet<string> = new Set(['cpu', 'memory'])

const isStatic = (pod: Pod): boolean => pod.metadata?.annotations?.[MIRROR] !== undefined

/** Both with their defaults. */
export function validateEphemeralContainers(pod: Pod, old: Pod): FieldError[] {
  const field = 'spec.ephemeralContainers'
  if (!pod.spec) return []
  if (isStatic(old)) return [forbidden('[]', 'static pods do not support ephemeral containers')]
  const after = pod.spec.ephemeralContainers ?? []
  const out = validatePodSpec('spec', pod.spec, pod.metadata ?? {}).filter((e) => e.field.startsWith(field))
  for (const container of old.spec?.ephemeralContainers ?? []) {
    const now: EphemeralContainer | undefined = after.find((c) => c.name === container.name)
    if (!now) out.push(forbidden(field, `existing ephemeral containers ${JSON.stringify(container.name)} may not be removed\n`))
    else if (!semanticEqual(now, container)) out.push(forbidden(field, `existing ephemeral containers ${JSON.stringify(container.name)} may not be changed\n`))
  }
  return out
}

/** `pod`: as it was, but for its own and its containers' resources and resize policies. */
export function validateResize(pod: Pod, old: Pod): FieldError[] {
  if (isStatic(old)) return [forbidden('[]', 'static pods cannot be resized')]
  if (old.spec?.os?.name === 'windows') return [forbidden('[]', 'windows pods cannot be resized')]
  if (!pod.spec || !old.spec) return []
  const out = validatePodSpec('spec', pod.spec, pod.metadata ?? {})
  const [qos, was] = [computeQosClass(pod.spec), old.status?.qosClass ?? computeQosClass(old.spec)]
  if (qos !== was) out.push(invalid('spec', was, 'Pod QOS Class may not change as a result of resizing'))
  const asWhole = [pod.spec.resources, old.spec.resources].some((r) => Object.keys({ ...r?.requests, ...r?.limits }).length > 0)
  if (asWhole) out.push(...validatePodLevel(pod.spec.resources, old.spec.resources))
  const pairs = (['initContainers', 'containers'] as const).map((list) => ({ list, now: pod.spec?.[list] ?? [], before: old.spec?.[list] ?? [] }))
  const misplaced = pairs.toReversed().flatMap(({ list, now, before }) => validateContainerOrder(list, now, before))
  // What follows goes by the containers' places.
  if (misplaced.length > 0) return [...out, ...misplaced]
  for (const { list, now, before } of pairs) {
    for (const [i, container] of now.entries()) out.push(...removed(`spec.${list}[${i}].resources`, 'resource', container.resources, before[i]?.resources))
  }
  for (const { list, now, before } of pairs.toReversed()) {
    for (const [i, container] of now.entries()) if (before[i]) out.push(...validateContainerResize(`spec.${list}[${i}]`, container, before[i], list))
  }
  // Nothing asked for is something else than nothing said.
  if (out.length === 0 && !asWhole && (pod.spec.resources === undefined) !== (old.spec.resources === undefined)) return [forbidden('spec', 'only cpu and memory resources are mutable')]
  return out
}

function validateContainerOrder(list: 'containers' | 'initContainers', now: readonly Container[], before: readonly Container[]): FieldError[] {
  if (now.length !== before.length) return [forbidden(`spec.${list}`, `${list} may not be added or removed on resize`)]
  return before.flatMap(({ name }, i) => (now[i]?.name === name ? [] : [forbidden(`spec.${list}[${i}].name`, `${list} may not be renamed or reordered on resize`)]))
}

type Resources = Container['resources']

function removed(at: string, what: string, now: Resources, before: Resources): FieldError[] {
  return (['requests', 'limits'] as const).flatMap((kind) => (Object.keys(before?.[kind] ?? {}).some((name) => now?.[kind]?.[name] === undefined) ? [forbidden(`${at}.${kind}`, `${what} ${kind} cannot be removed`)] : []))
}

function validatePodLevel(now: Resources, before: Resources): FieldError[] {
  if (before && !now) return [forbidden('spec.resources', 'pod-level resources cannot be removed')]
  const out = before ? removed('spec.resources', 'pod-level resource', now, before) : []
  const rest = { claims: now?.claims ?? [], ...unresizable(now) }
  return semanticEqual(rest, { claims: before?.claims ?? [], ...unresizable(before) }) ? out : [...out, forbidden('spec', 'only cpu and memory resources are mutable at pod-level')]
}

/** What of them is neither CPU nor memory. */
function unresizable(resources: Resources): { limits: Record<string, string>; requests: Record<string, string> } {
  const of = (list: Readonly<Record<string, string>> = {}): Record<string, string> => Object.fromEntries(Object.entries(list).filter(([name]) => !RESIZABLE.has(name)))
  return { limits: of(resources?.limits), requests: of(resources?.requests) }
}

/** Claims that are new are not looked at here; a container that has some is not resized. */
function validateContainerResize(at: string, now: Container, before: Container, list: 'containers' | 'initContainers'): FieldError[] {
  const bare = (container: Container, claims: unknown): object => ({ ...container, image: '', resources: { ...unresizable(container.resources), claims } })
  const out: FieldError[] = semanticEqual(bare(now, []), bare(before, before.resources?.claims ?? [])) ? []
    : [list === 'initContainers' ? forbidden(at, 'only cpu and memory resources for init or sidecar containers are mutable') : forbidden('spec', 'only cpu and memory resources are mutable')]
  const isChanged = !semanticEqual(now, before)
  // Of pods from before such policies were refused.
  if (isChanged && list === 'initContainers' && before.restartPolicy !== 'Always' && now.resizePolicy?.some((p) => p.restartPolicy === 'RestartContainer')) out.push(forbidden(at, 'non-sidecar init containers with a resize policy of RestartContainer cannot be resized'))
  return out
}
