/** Pods: what is special to them (upstream `registry/core/pod`). */
import type { LabelSelector, Pod, PodSpec, PodStatus } from '#api/types/index.ts'
import { computeQosClass, isPodTerminal } from '#api/types/index.ts'
import { forbidden } from '../field-error.ts'
import type { KindContext, KindStrategy } from '../kind.ts'
import { fieldSetOf } from '../patch/apply/managed-fields.ts'
import { cloneJson } from '../storage/clone.ts'
import { appArmorWarnings, applyAppArmorAnnotations } from './app-armor-annotation.ts'
import { keepStatus } from './carry.ts'
import { validatePodAnnotationChanges, validatePodAnnotations, validateProfileAnnotations } from './pod-annotation-validation.ts'
import { podColumns, podRowConditions } from './pod-columns.ts'
import { defaultPod } from './pod-defaults.ts'
import { validatePodSpec } from './pod-spec-validation.ts'
import { validatePodStatus } from './pod-status-validation.ts'
import { validatePodUpdate } from './pod-update-validation.ts'
import { hostnameWarnings, podWarnings } from './pod-warnings.ts'
import { semanticEqual } from './semantic-equal.ts'

export const podStrategy: KindStrategy<Pod> = {
  resetThrough: { status: fieldSetOf('metadata.deletionTimestamp', 'metadata.ownerReferences') },
  defaults: defaultPod,

  prepareCreate(pod, ctx) {
    const spec = specOf(pod)
    pod.status = { phase: 'Pending', qosClass: computeQosClass(spec) }
    // KEP-3521: a gated pod says from the start why it is not scheduled.
    if ((spec.schedulingGates ?? []).length > 0) {
      pod.status.conditions = [{ type: 'PodScheduled', status: 'False', reason: 'SchedulingGated', message: 'Scheduling is blocked due to non-empty scheduling gates', lastTransitionTime: timeText(ctx) }]
    }
    applySpreadKeys(pod, spec)
    applyAppArmorAnnotations(pod)
  },

  prepareUpdate(pod, old) {
    keepStatus(pod, old)
  },

  // Unlike most kinds, pods let their status writers touch labels and annotations.
  prepareStatusUpdate(pod, old) {
    pod.spec = cloneJson(specOf(old))
    const meta = (pod.metadata ??= {})
    if (old.metadata?.ownerReferences) meta.ownerReferences = cloneJson(old.metadata.ownerReferences)
    else delete meta.ownerReferences
    if (!old.metadata?.deletionTimestamp) delete meta.deletionTimestamp
    pod.status = { ...pod.status, qosClass: pod.status?.qosClass || (old.status?.qosClass ?? computeQosClass(pod.spec)) }
    keepObservedGeneration(pod.status, old.status ?? {})
  },

  generation: (pod, old) => !semanticEqual(pod.spec, old.spec),

  validate(pod) {
    const spec = specOf(pod)
    const meta = pod.metadata ?? {}
    const out = [...validatePodAnnotations(meta, spec), ...validatePodSpec('spec', spec, meta)]
    if ((spec.ephemeralContainers ?? []).length > 0) out.push(forbidden('spec.ephemeralContainers', 'cannot be set on create'))
    if (spec.nodeName && (spec.schedulingGates ?? []).length > 0) out.push(forbidden('spec.nodeName', 'cannot be set until all schedulingGates have been cleared'))
    return [...out, ...validateProfileAnnotations(meta, spec)]
  },

  validateUpdate: (pod, old) => [...validatePodAnnotationChanges(pod, old), ...validatePodUpdate(pod.metadata ?? {}, specOf(pod), specOf(old))],

  validateStatusUpdate: (pod, old) => [...validatePodAnnotationChanges(pod, old), ...validatePodStatus(pod, old)],

  warningsAsSent: appArmorWarnings,

  warnings: (pod, old) => [
    ...(old ? [] : hostnameWarnings(pod.metadata?.name, false)),
    ...(old && semanticEqual(pod.spec, old.spec) ? [] : podWarnings('', specOf(pod), pod.metadata ?? {})),
  ],

  columns: podColumns,
  rowConditions: podRowConditions,

  selectableFields: {
    'spec.nodeName': (p) => p.spec?.nodeName ?? '',
    // What the first clients called it.
    'spec.host': (p) => p.spec?.nodeName ?? '',
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

/** matchLabelKeys of pod affinity (KEP-3633) and of spreading (KEP-3243) become part of the selector when the pod is created. */
function applySpreadKeys(pod: Pod, spec: PodSpec): void {
  const labels = pod.metadata?.labels ?? {}
  const add = (selector: LabelSelector | undefined, keys: readonly string[] | undefined, operator: string): void => {
    // None selects nothing, with keys or without.
    if (!selector) return
    for (const key of keys ?? []) {
      const value = Object.hasOwn(labels, key) ? labels[key] : undefined
      if (value !== undefined) (selector.matchExpressions ??= []).push({ key, operator, values: [value] })
    }
  }
  for (const kind of [spec.affinity?.podAffinity, spec.affinity?.podAntiAffinity]) {
    for (const term of [...(kind?.requiredDuringSchedulingIgnoredDuringExecution ?? []), ...(kind?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map((w) => w.podAffinityTerm)]) {
      add(term.labelSelector, term.matchLabelKeys, 'In')
      add(term.labelSelector, term.mismatchLabelKeys, 'NotIn')
    }
  }
  for (const { labelSelector, matchLabelKeys } of spec.topologySpreadConstraints ?? []) add(labelSelector, matchLabelKeys, 'In')
}

/** KEP-5067: a writer that does not say of which generation it speaks speaks of the one that was last spoken of. */
function keepObservedGeneration(status: PodStatus, old: PodStatus): void {
  if (!status.observedGeneration && old.observedGeneration) status.observedGeneration = old.observedGeneration
  const before = new Map<string, (number | undefined)[]>()
  for (const { type, observedGeneration } of old.conditions ?? []) before.set(type, [...(before.get(type) ?? []), observedGeneration])
  for (const condition of status.conditions ?? []) {
    const was = before.get(condition.type)?.shift()
    if (!condition.observedGeneration && was) condition.observedGeneration = was
  }
}
