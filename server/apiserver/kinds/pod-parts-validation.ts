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

/** `pod`: as it was, but for its containers' resources and resize policies. */
export function validateResize(pod: Pod, old: Pod): FieldError[] {
  if (isStatic(old)) return [forbidden('[]', 'static pods cannot be resized')]
  if (!pod.spec || !old.spec) return []
  const out = validatePodSpec('spec', pod.spec, pod.metadata ?? {})
  const [qos, was] = [computeQosClass(pod.spec), old.status?.qosClass ?? computeQosClass(old.spec)]
  if (qos !== was) out.push(invalid('spec', was, 'Pod QOS Class may not change as a result of resizing'))
  if (!semanticEqual(pod.spec.resources, old.spec.resources)) out.push(...validateResourcesResize('spec', pod.spec, old.spec))
  const pairs = (['containers', 'initContainers'] as const).map((list) => ({ list, now: pod.spec?.[list] ?? [], before: old.spec?.[list] ?? [] }))
  const misplaced = pairs.flatMap(({ list, now, before }) => validateContainerOrder(list, now, before))
  // What follows goes by the containers' places.
  if (misplaced.length > 0) return [...out, ...misplaced]
  for (const { list, now, before } of pairs) {
    for (const [i, old] of before.entries()) {
      const container = now[i]
      if (container && !semanticEqual({ ...container, image: '' }, { ...old, image: '' })) out.push(...validateContainerResize(`spec.${list}[${i}]`, container, old, list))
    }
  }
  return out
}

function validateContainerOrder(list: 'containers' | 'initContainers', now: readonly Container[], before: readonly Container[]): FieldError[] {
  if (now.length !== before.length) return [forbidden(`spec.${list}`, `${list} may not be added or removed on resize`)]
  return before.flatMap(({ name }, i) => (now[i]?.name === name ? [] : [forbidden(`spec.${list}[${i}].name`, `${list} may not be renamed or reordered on resize`)]))
}

/** Of a container, or of the pod as a whole. */
function validateResourcesResize(at: string, now: Pick<Container, 'resources'>, before: Pick<Container, 'resources'>, refusal = forbidden('spec', 'only cpu and memory resources are mutable')): FieldError[] {
  const out: FieldError[] = []
  const differs = (a: Readonly<Record<string, string>> | undefined, b: Readonly<Record<string, string>> | undefined): string[] => [...new Set([...Object.keys(a ?? {}), ...Object.keys(b ?? {})])].filter((name) => !semanticEqual({ [name]: a?.[name] }, { [name]: b?.[name] }))
  for (const kind of ['limits', 'requests'] as const) {
    const [after, was] = [now.resources?.[kind], before.resources?.[kind]]
    if (Object.keys(was ?? {}).some((name) => RESIZABLE.has(name) && after?.[name] === undefined)) out.push(forbidden(`${at}.resources.${kind}`, `resource ${kind} cannot be removed`))
    if (differs(after, was).some((name) => !RESIZABLE.has(name))) out.push(refusal)
  }
  return out
}

function validateContainerResize(at: string, now: Container, before: Container, list: 'containers' | 'initContainers'): FieldError[] {
  const refusal = list === 'initContainers' ? forbidden(at, 'only cpu and memory resources for init or sidecar containers are mutable') : forbidden('spec', 'only cpu and memory resources are mutable')
  const out = validateResourcesResize(at, now, before, refusal)
  if (!semanticEqual(now.resizePolicy, before.resizePolicy) || !semanticEqual(now.resources?.claims, before.resources?.claims)) out.push(refusal)
  // Of pods from before such policies were refused.
  if (list === 'initContainers' && before.restartPolicy !== 'Always' && now.resizePolicy?.some((p) => p.restartPolicy === 'RestartContainer')) out.push(forbidden(at, 'non-sidecar init containers with a resize policy of RestartContainer cannot be resized'))
  return out
}
