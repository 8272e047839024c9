/** Pods: what is special to them (upstream `registry/core/pod`). */
import type { Pod, PodSpec, Toleration } from '#api/types/index.ts'
import { checkDnsSubdomain, computeQosClass, isPodTerminal } from '#api/types/index.ts'
import { type FieldError, forbidden, invalid, required } from '../field-error.ts'
import type { KindContext, KindStrategy } from '../kind.ts'
import { cloneJson } from '../storage/clone.ts'
import { keepStatus } from './carry.ts'
import { named } from './check.ts'
import { podColumns } from './pod-columns.ts'
import { defaultPod } from './pod-defaults.ts'
import { validatePodSpec, validateTolerations } from './pod-spec-validation.ts'
import { hostnameWarnings, podWarnings } from './pod-warnings.ts'
import { differingPaths, semanticEqual } from './semantic-equal.ts'

const UPDATABLE = '`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)'

export const podStrategy: KindStrategy<Pod> = {
  defaults: defaultPod,

  prepareCreate(pod, ctx) {
    const spec = specOf(pod)
    pod.status = { phase: 'Pending', qosClass: computeQosClass(spec) }
    // KEP-3521: a gated pod says from the start why it is not scheduled.
    if ((spec.schedulingGates ?? []).length > 0) {
      pod.status.conditions = [{ type: 'PodScheduled', status: 'False', reason: 'SchedulingGated', message: 'Scheduling is blocked due to non-empty scheduling gates', lastTransitionTime: timeText(ctx) }]
    }
    applySpreadKeys(pod, spec)
  },

  prepareUpdate(pod, old) {
    keepStatus(pod, old)
    const spec = specOf(pod)
    // Ephemeral containers and resources have subresources of their own.
    const before = specOf(old)
    if (before.ephemeralContainers) spec.ephemeralContainers = cloneJson(before.ephemeralContainers)
    else delete spec.ephemeralContainers
  },

  // Unlike most kinds, pods let their status writers touch labels and annotations.
  prepareStatusUpdate(pod, old) {
    pod.spec = cloneJson(specOf(old))
    const meta = (pod.metadata ??= {})
    if (old.metadata?.ownerReferences) meta.ownerReferences = cloneJson(old.metadata.ownerReferences)
    else delete meta.ownerReferences
    pod.status = { ...pod.status, qosClass: old.status?.qosClass ?? computeQosClass(pod.spec) }
  },

  generation: (pod, old) => !semanticEqual(pod.spec, old.spec),

  validate(pod) {
    const spec = specOf(pod)
    const out = validatePodSpec('spec', spec)
    for (const [i, c] of (spec.containers ?? []).entries()) if (c.image && c.image !== c.image.trim()) out.push(invalid(`spec.containers[${i}].image`, c.image, 'must not have leading or trailing whitespace'))
    for (const [i, c] of (spec.initContainers ?? []).entries()) if (c.image && c.image !== c.image.trim()) out.push(invalid(`spec.initContainers[${i}].image`, c.image, 'must not have leading or trailing whitespace'))
    if ((spec.ephemeralContainers ?? []).length > 0) out.push(forbidden('spec.ephemeralContainers', 'cannot be set on create'))
    if (spec.nodeName && (spec.schedulingGates ?? []).length > 0) out.push(forbidden('spec.nodeName', 'cannot be set until all schedulingGates have been cleared'))
    return out
  },

  validateUpdate: (pod, old) => validatePodUpdate(specOf(pod), specOf(old)),

  validateStatusUpdate(pod, old) {
    const { nominatedNodeName } = pod.status ?? {}
    const out = nominatedNodeName ? named('status.nominatedNodeName', nominatedNodeName, checkDnsSubdomain) : []
    return [...out, ...validateStates(pod, old, 'containerStatuses'), ...validateStates(pod, old, 'initContainerStatuses')]
  },

  warnings: (pod, old) => [
    ...(old ? [] : hostnameWarnings(pod.metadata?.name, false)),
    ...(old && semanticEqual(pod.spec, old.spec) ? [] : podWarnings('', specOf(pod), pod.metadata ?? {})),
  ],

  columns: podColumns,

  selectableFields: {
    'spec.nodeName': (p) => p.spec?.nodeName ?? '',
    'spec.restartPolicy': (p) => p.spec?.restartPolicy ?? '',
    'spec.schedulerName': (p) => p.spec?.schedulerName ?? '',
    'spec.serviceAccountName': (p) => p.spec?.serviceAccountName ?? '',
    'spec.hostNetwork': (p) => String(p.spec?.hostNetwork ?? false),
    'status.phase': (p) => p.status?.phase ?? '',
    'status.podIP': (p) => p.status?.podIPs?.[0]?.ip ?? p.status?.podIP ?? '',
    'status.podIPs': (p) => p.status?.podIPs?.[0]?.ip ?? p.status?.podIP ?? '',
    'status.nominatedNodeName': (p) => p.status?.nominatedNodeName ?? '',
  },

  graceSecondsOnDelete(pod, requested) {
    // Nothing runs: nothing to wait for.
    if (!pod.spec?.nodeName || isPodTerminal(pod)) return 0
    const seconds = requested ?? pod.spec.terminationGracePeriodSeconds ?? 0
    return seconds < 0 ? 1 : seconds
  },
}

export const specOf = (pod: Pod): PodSpec => pod.spec ?? { containers: [] }

function timeText(ctx: KindContext): string {
  return `${new Date(ctx.nowMs).toISOString().slice(0, 19)}Z`
}

/** A container that ended for good stays ended. */
function validateStates(pod: Pod, old: Pod, list: 'containerStatuses' | 'initContainerStatuses'): FieldError[] {
  const { restartPolicy, containers, initContainers } = specOf(old)
  if (restartPolicy === 'Always') return []
  const specs = new Map([...containers, ...(initContainers ?? [])].map((c) => [c.name, c]))
  return (pod.status?.[list] ?? []).flatMap((after, i) => {
    const ended = old.status?.[list]?.find((s) => s.name === after.name)?.state?.terminated
    if (!ended || after.state?.terminated || specs.get(after.name)?.restartPolicy !== undefined) return []
    return restartPolicy === 'OnFailure' && ended.exitCode !== 0 ? [] : [forbidden(`status.${list}[${i}].state`, 'may not be transitioned to non-terminated state')]
  })
}

/** matchLabelKeys of pod affinity become part of the selector when the pod is created (KEP-3633). */
function applySpreadKeys(pod: Pod, spec: PodSpec): void {
  const labels = pod.metadata?.labels ?? {}
  for (const kind of [spec.affinity?.podAffinity, spec.affinity?.podAntiAffinity]) {
    const terms = [...(kind?.requiredDuringSchedulingIgnoredDuringExecution ?? []), ...(kind?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map((w) => w.podAffinityTerm)]
    for (const term of terms) {
      if (!term.labelSelector) continue
      const add = (keys: readonly string[] | undefined, operator: string) => {
        for (const key of keys ?? []) {
          const value = Object.hasOwn(labels, key) ? labels[key] : undefined
          if (value !== undefined && term.labelSelector) (term.labelSelector.matchExpressions ??= []).push({ key, operator, values: [value] })
        }
      }
      add(term.matchLabelKeys, 'In')
      add(term.mismatchLabelKeys, 'NotIn')
    }
  }
}

/** Upstream's ValidatePodUpdate: images, the deadline, added tolerations and removed gates; nothing else. */
function validatePodUpdate(spec: PodSpec, old: PodSpec): FieldError[] {
  if ((spec.containers ?? []).length !== (old.containers ?? []).length) return [forbidden('spec.containers', 'pod updates may not add or remove containers')]
  if ((spec.initContainers ?? []).length !== (old.initContainers ?? []).length) return [forbidden('spec.initContainers', 'pod updates may not add or remove containers')]
  const out: FieldError[] = []
  for (const list of ['containers', 'initContainers'] as const) {
    for (const [i, c] of (spec[list] ?? []).entries()) {
      if (!c.image) out.push(required(`spec.${list}[${i}].image`))
      else if (c.image !== c.image.trim()) out.push(invalid(`spec.${list}[${i}].image`, c.image, 'must not have leading or trailing whitespace'))
    }
  }
  out.push(...validateDeadline(spec, old), ...validateGates(spec, old), ...validateAddedTolerations(spec.tolerations ?? [], old.tolerations ?? []))
  if (out.length > 0) return out
  const wanted = withUpdatable(spec, old)
  if (semanticEqual(wanted, old)) return []
  const where = differingPaths(wanted, old, 10).map((path) => `  spec.${path}`).join('\n')
  return [forbidden('spec', `pod updates may not change fields other than ${UPDATABLE}\n${where}\n`)]
}

/** The new spec with everything that may change put back as it was. */
function withUpdatable(spec: PodSpec, old: PodSpec): PodSpec {
  const munged = cloneJson(spec)
  for (const list of ['containers', 'initContainers'] as const) {
    for (const [i, c] of (munged[list] ?? []).entries()) {
      const image = old[list]?.[i]?.image
      if (image === undefined) delete c.image
      else c.image = image
    }
  }
  const restore = <K extends 'activeDeadlineSeconds' | 'tolerations' | 'schedulingGates' | 'nodeSelector' | 'affinity' | 'terminationGracePeriodSeconds'>(key: K) => {
    if (old[key] === undefined) delete munged[key]
    else munged[key] = old[key]
  }
  restore('activeDeadlineSeconds')
  restore('tolerations')
  restore('schedulingGates')
  if ((old.terminationGracePeriodSeconds ?? 0) < 0 && spec.terminationGracePeriodSeconds === 1) restore('terminationGracePeriodSeconds')
  // KEP-3838: while gated, where it may run can still be narrowed.
  if ((old.schedulingGates ?? []).length > 0 && Object.entries(old.nodeSelector ?? {}).every(([k, v]) => spec.nodeSelector?.[k] === v)) restore('nodeSelector')
  return munged
}

function validateDeadline(spec: PodSpec, old: PodSpec): FieldError[] {
  const [after, before] = [spec.activeDeadlineSeconds, old.activeDeadlineSeconds]
  if (after === before) return []
  const field = 'spec.activeDeadlineSeconds'
  if (after === undefined) return [invalid(field, null, 'must not update from a positive integer to nil value')]
  if (after < 1 || after > 2 ** 31 - 1) return [invalid(field, after, `must be between 1 and ${2 ** 31 - 1}, inclusive`)]
  return before !== undefined && after > before ? [invalid(field, after, 'must be less than or equal to previous value')] : []
}

function validateGates(spec: PodSpec, old: PodSpec): FieldError[] {
  const known = new Set((old.schedulingGates ?? []).map((g) => g.name))
  return (spec.schedulingGates ?? []).flatMap((g, i) => (known.has(g.name) ? [] : [forbidden(`spec.schedulingGates[${i}]`, `only deletion is allowed, but found new scheduling gate '${g.name}'`)]))
}

function validateAddedTolerations(after: readonly Toleration[], before: readonly Toleration[]): FieldError[] {
  const bare = (t: Toleration): Toleration => {
    const { tolerationSeconds: _seconds, ...rest } = t
    return rest
  }
  const kept = before.every((t) => after.some((n) => semanticEqual(bare(n), bare(t))))
  if (!kept) return [forbidden('spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds')]
  return after.length > before.length ? validateTolerations('spec.tolerations', after) : []
}
