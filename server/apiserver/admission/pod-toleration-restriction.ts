/**
 * PodTolerationRestriction: namespaces give their pods tolerations and limit what they may tolerate, by annotations that hold
 * JSON lists (`scheduler.alpha.kubernetes.io/defaultTolerations`, `tolerationsWhitelist`).
 */
import { NAMESPACES, podQosClass, type Namespace, type Pod, type Toleration } from '#api/types/index.ts'
import type { AdmissionApi, AdmissionPlugin, AdmissionRequest, Refusal } from '../admission.ts'
import { semanticEqual } from '../kinds/semantic-equal.ts'
import { isFor, refuse } from './refuse.ts'

const DEFAULTS = 'scheduler.alpha.kubernetes.io/defaultTolerations'
const WHITELIST = 'scheduler.alpha.kubernetes.io/tolerationsWhitelist'
const MEMORY_PRESSURE: Toleration = { key: 'node.kubernetes.io/memory-pressure', operator: 'Exists', effect: 'NoSchedule' }

export const podTolerationRestriction: AdmissionPlugin = {
  name: 'PodTolerationRestriction',
  async mutate(request, api) {
    const pod = podOf(request)
    if (!pod?.spec) return undefined
    const extra: Toleration[] = []
    if (request.operation === 'CREATE') {
      const defaults = await listed(request, DEFAULTS, api)
      if ('refusal' in defaults) return defaults.refusal
      extra.push(...(defaults.tolerations ?? []))
    }
    // Who asked for something may stay on a node that is short of memory.
    if (podQosClass(pod) !== 'BestEffort') extra.push(MEMORY_PRESSURE)
    if (extra.length > 0) pod.spec.tolerations = withoutRedundant([...(pod.spec.tolerations ?? []), ...extra])
    return undefined
  },
  async validate(request, api) {
    const pod = podOf(request)
    const own = pod?.spec?.tolerations ?? []
    if (own.length === 0) return undefined
    const whitelist = await listed(request, WHITELIST, api)
    if ('refusal' in whitelist) return whitelist.refusal
    const allowed = whitelist.tolerations
    if (!allowed || allowed.length === 0 || own.every((t) => allowed.some((w) => covers(w, t)))) return undefined
    return refuse('pod tolerations (possibly merged with namespace default tolerations) conflict with its namespace whitelist')
  },
}

function podOf(request: AdmissionRequest): Pod | undefined {
  return isFor(request, '', 'pods') && request.subresource === '' && (request.operation === 'CREATE' || request.operation === 'UPDATE') ? (request.object as Pod) : undefined
}

async function listed(request: AdmissionRequest, annotation: string, api: AdmissionApi): Promise<{ tolerations: Toleration[] | undefined } | { refusal: Refusal }> {
  const text = (await api.client.get<Namespace>(NAMESPACES, request.namespace)).metadata.annotations?.[annotation]
  if (text === undefined || text === '') return { tolerations: undefined }
  try {
    const value: unknown = JSON.parse(text)
    if (Array.isArray(value)) return { tolerations: value as Toleration[] }
  } catch {
    // Told below, as any other text that is no list.
  }
  return { refusal: refuse(`the annotation ${annotation} of namespace ${request.namespace} is not a JSON list of tolerations`) }
}

/** Without those that another one covers; of equal ones the first stays. */
function withoutRedundant(all: readonly Toleration[]): Toleration[] {
  const kept: Toleration[] = []
  for (const [i, t] of all.entries()) {
    if (!kept.some((k) => covers(k, t)) && !all.slice(i + 1).some((later) => !semanticEqual(later, t) && covers(later, t))) kept.push({ ...t })
  }
  return kept
}

/** Whatever `b` tolerates, `a` does. */
function covers(a: Toleration, b: Toleration): boolean {
  if (semanticEqual(a, b)) return true
  if ((a.key ?? '') !== (b.key ?? '') && (a.key || a.operator !== 'Exists')) return false
  if (a.effect && a.effect !== b.effect) return false
  if (a.effect === 'NoExecute' && a.tolerationSeconds !== undefined && (b.tolerationSeconds === undefined || b.tolerationSeconds > a.tolerationSeconds)) return false
  return a.operator === 'Exists' || ((a.operator ?? 'Equal') === 'Equal' && (b.operator ?? 'Equal') === 'Equal' && (a.value ?? '') === (b.value ?? ''))
}
