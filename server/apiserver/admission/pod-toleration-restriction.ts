/**
 * PodTolerationRestriction: namespaces give their pods tolerations and limit what they may tolerate, by annotations that hold
 * JSON lists (`scheduler.alpha.kubernetes.io/defaultTolerations`, `tolerationsWhitelist`). For those that do not say, the plugin's
 * configuration does.
 */
import { NAMESPACES, podQosClass, type Namespace, type Pod, type Toleration } from '#api/types/index.ts'
import type { AdmissionApi, AdmissionPlugin, AdmissionRequest, Refusal } from '../admission.ts'
import { validateTolerations } from '../kinds/pod-spec-validation.ts'
import { semanticEqual } from '../kinds/semantic-equal.ts'
import { isFor, refuse } from './refuse.ts'

const DEFAULTS = 'scheduler.alpha.kubernetes.io/defaultTolerations'
const WHITELIST = 'scheduler.alpha.kubernetes.io/tolerationsWhitelist'
const MEMORY_PRESSURE: Toleration = { key: 'node.kubernetes.io/memory-pressure', operator: 'Exists', effect: 'NoSchedule' }

export interface TolerationConfig { defaults: readonly Toleration[]; whitelist: readonly Toleration[] }

const KIND = 'Configuration'
const VERSION = 'podtolerationrestriction.admission.k8s.io/v1alpha1'
const FIELDS: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'default', 'whitelist'])

export function parseTolerationConfig(input: unknown): { ok: true; config: TolerationConfig } | { ok: false; message: string } {
  const given = (typeof input === 'object' && input !== null ? input : {}) as Readonly<Record<string, unknown>>
  if (given['kind'] !== KIND || given['apiVersion'] !== VERSION) {
    return { ok: false, message: `no kind ${JSON.stringify(given['kind'] ?? '')} is registered for version ${JSON.stringify(given['apiVersion'] ?? '')}: expected ${KIND} of ${VERSION}` }
  }
  const unknown = Object.keys(given).find((key) => !FIELDS.has(key))
  if (unknown !== undefined) return { ok: false, message: `unknown field ${JSON.stringify(unknown)}` }
  const [defaults, whitelist] = [given['default'] ?? [], given['whitelist'] ?? []]
  if (!isTolerations(defaults) || !isTolerations(whitelist)) return { ok: false, message: 'default, whitelist: must be lists of tolerations' }
  const errors = [...validateTolerations('podtolerationrestriction.default', defaults), ...validateTolerations('podtolerationrestriction.whitelist', whitelist)]
  if (errors.length > 0) return { ok: false, message: `invalid config: ${errors.map(({ field, message }) => `${field}: ${message}`).join(', ')}` }
  return { ok: true, config: { defaults, whitelist } }
}

const TEXTS = ['key', 'operator', 'value', 'effect'] as const

function isTolerations(value: unknown): value is Toleration[] {
  const isOne = (one: Readonly<Record<string, unknown>> | null): boolean => typeof one === 'object' && one !== null && TEXTS.every((field) => ['undefined', 'string'].includes(typeof one[field])) && ['undefined', 'number'].includes(typeof one['tolerationSeconds'])
  return Array.isArray(value) && (value as (Readonly<Record<string, unknown>> | null)[]).every(isOne)
}

export const podTolerationRestriction = ({ defaults: clusterDefaults, whitelist: clusterWhitelist }: TolerationConfig = { defaults: [], whitelist: [] }): AdmissionPlugin => ({
  name: 'PodTolerationRestriction',
  async mutate(request, api) {
    const pod = podOf(request)
    if (!pod?.spec) return undefined
    const extra: Toleration[] = []
    if (request.operation === 'CREATE') {
      const defaults = await listed(request, DEFAULTS, api)
      if ('refusal' in defaults) return defaults.refusal
      extra.push(...(defaults.tolerations ?? clusterDefaults))
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
    const allowed = whitelist.tolerations ?? clusterWhitelist
    if (allowed.length === 0 || own.every((t) => allowed.some((w) => covers(w, t)))) return undefined
    return refuse(`pod tolerations (possibly merged with namespace default tolerations) conflict with its ${whitelist.tolerations ? 'namespace' : 'cluster'} whitelist`)
  },
})

function podOf(request: AdmissionRequest): Pod | undefined {
  return isFor(request, '', 'pods') && request.subresource === '' && (request.operation === 'CREATE' || request.operation === 'UPDATE') ? (request.object as Pod) : undefined
}

/** Undefined: the namespace does not say. */
async function listed(request: AdmissionRequest, annotation: string, api: AdmissionApi): Promise<{ tolerations: Toleration[] | undefined } | { refusal: Refusal }> {
  const text = (await api.client.get<Namespace>(NAMESPACES, request.namespace)).metadata.annotations?.[annotation]
  if (text === undefined) return { tolerations: undefined }
  if (text === '') return { tolerations: [] }
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
