/**
 * PodSecurity (KEP-2579): pods must keep to the level their namespace's labels name; workloads that would make other pods
 * are warned of and audited, as are namespaces whose new level some of their pods do not keep to.
 */
import type { Container, KubeObject, Namespace, ObjectMeta, Pod, PodSpec, PodTemplateSpec, Stored } from '#api/types/index.ts'
import { NAMESPACES, PODS } from '#api/types/index.ts'
import { asError } from '#base/errors.ts'
import type { Clock } from '#base/clock.ts'
import type { AdmissionApi, AdmissionPlugin, AdmissionRequest, Refusal } from '../../admission.ts'
import { internal, invalid } from '../../http/status.ts'
import { isFor, refuse } from '../refuse.ts'
import { DEFAULT_POD_SECURITY, type PodSecurityConfig } from './configuration.ts'
import { evaluate, showDetails, showReasons } from './evaluate.ts'
import { PodSecurityMetrics } from './metrics.ts'
import { compareLevels, equivalentPolicies, isFullyPrivileged, LABEL_PREFIX, policyOf, PRIVILEGED, sameLevelVersion, showPolicy, type LevelVersion, type Policy } from './policy.ts'

/** How many pods of a namespace are looked at when its level changes, and for how long: upstream's numbers. */
const PODS_MAX = 3000
const CHECK_MS_MAX = 1000
/** A clock reading per pod would cost more than the check. */
const LOOK_AT_CLOCK_EVERY = 64

const IGNORED_SUBRESOURCES: ReadonlySet<string> = new Set(['exec', 'attach', 'binding', 'eviction', 'log', 'portforward', 'proxy', 'status'])

type Templated = KubeObject & { template?: PodTemplateSpec; spec?: { template?: PodTemplateSpec; jobTemplate?: { spec?: { template?: PodTemplateSpec } } } }
const specTemplate = (o: Templated): PodTemplateSpec | undefined => o.spec?.template
/** By `group/resource`. */
const TEMPLATES: ReadonlyMap<string, (object: Templated) => PodTemplateSpec | undefined> = new Map([
  ['/replicationcontrollers', specTemplate], ['/podtemplates', (o: Templated) => o.template], ['apps/replicasets', specTemplate], ['apps/deployments', specTemplate],
  ['apps/statefulsets', specTemplate], ['apps/daemonsets', specTemplate], ['batch/jobs', specTemplate], ['batch/cronjobs', (o: Templated) => o.spec?.jobTemplate?.spec?.template],
])

export function podSecurity({ clock, config = DEFAULT_POD_SECURITY }: { clock: Clock; config?: PodSecurityConfig }): AdmissionPlugin {
  const { defaults, exemptions } = config
  const metrics = new PodSecurityMetrics()
  const has = (list: readonly string[], name: string | undefined): boolean => name !== undefined && name !== '' && list.includes(name)

  /** Audited; true: nobody looks any further. */
  function isExempt(request: AdmissionRequest, api: AdmissionApi): boolean {
    const why = has(exemptions.namespaces, request.namespace) ? 'namespace' : has(exemptions.usernames, request.user.name) ? 'user' : undefined
    if (why !== undefined) {
      api.annotate(`${LABEL_PREFIX}exempt`, why)
      metrics.exempt(request)
    }
    return why !== undefined
  }

  async function checkPod(request: AdmissionRequest, api: AdmissionApi): Promise<Refusal | undefined> {
    if (IGNORED_SUBRESOURCES.has(request.subresource) || isExempt(request, api)) return undefined
    const read = policyOf(await labelsOf(request, api, metrics), defaults)
    if (read.errors.length === 0 && isFullyPrivileged(read.policy)) {
      api.annotate(`${LABEL_PREFIX}enforce-policy`, showPolicy(PRIVILEGED))
      metrics.evaluated(request, 'enforce', read.policy.enforce, true)
      return undefined
    }
    const pod = request.object as Pod
    if (!pod.spec || (request.operation === 'UPDATE' && !isSignificant(pod.spec, (request.old as Pod).spec))) return undefined
    return judge(read, pod.metadata, pod.spec, request, api)
  }

  async function checkTemplate(request: AdmissionRequest, api: AdmissionApi, templateOf: (object: Templated) => PodTemplateSpec | undefined): Promise<undefined> {
    if (request.subresource !== '' || isExempt(request, api)) return
    const read = policyOf(await labelsOf(request, api, metrics), defaults)
    if (read.errors.length === 0 && read.policy.warn.level === 'privileged' && read.policy.audit.level === 'privileged') return
    const template = templateOf(request.object as Templated)
    if (template?.spec) judge(read, template.metadata, template.spec, request, api, false)
  }

  function judge({ policy, errors }: ReturnType<typeof policyOf>, metadata: ObjectMeta | undefined, spec: PodSpec, request: AdmissionRequest, api: AdmissionApi, enforce = true): Refusal | undefined {
    if (has(exemptions.runtimeClasses, spec.runtimeClassName)) {
      api.annotate(`${LABEL_PREFIX}exempt`, 'runtimeClass')
      metrics.exempt(request)
      return undefined
    }
    if (errors.length > 0) {
      api.annotate(`${LABEL_PREFIX}error`, `Failed to parse policy: ${aggregate(errors)}`)
      metrics.failed(request, false)
    }
    const cached = new Map<string, string>()
    const violations = (by: LevelVersion): string => {
      const key = showPolicy(by)
      const found = cached.get(key) ?? showDetails(evaluate(by, metadata, spec))
      cached.set(key, found)
      return found
    }
    const enforced = enforce ? violations(policy.enforce) : ''
    if (enforce) {
      api.annotate(`${LABEL_PREFIX}enforce-policy`, showPolicy(policy.enforce))
      metrics.evaluated(request, 'enforce', policy.enforce, enforced === '')
    }
    const audited = violations(policy.audit)
    if (audited !== '') {
      api.annotate(`${LABEL_PREFIX}audit-violations`, `would violate PodSecurity "${showPolicy(policy.audit)}": ${audited}`)
      metrics.evaluated(request, 'audit', policy.audit, false)
    }
    if (enforced !== '') return refuse(`violates PodSecurity "${showPolicy(policy.enforce)}": ${enforced}`)
    const warned = violations(policy.warn)
    if (warned === '') return undefined
    api.warn(`would violate PodSecurity "${showPolicy(policy.warn)}": ${warned}`)
    metrics.evaluated(request, 'warn', policy.warn, false)
    return undefined
  }

  async function checkNamespace(request: AdmissionRequest, api: AdmissionApi): Promise<undefined> {
    if (request.subresource !== '') return
    const namespace = request.object as Namespace
    const name = namespace.metadata?.name ?? ''
    const labels = namespace.metadata?.labels
    const now = policyOf(labels, defaults)
    const before = request.operation === 'UPDATE' ? policyOf(request.old?.metadata?.labels, defaults) : undefined
    const errorsAreNew = before === undefined || JSON.stringify(before.errors) !== JSON.stringify(now.errors)
    if (now.errors.length > 0 && errorsAreNew) throw invalid({ group: '', kind: 'Namespace' }, name, now.errors)
    if (before) {
      const [enforce, was] = [now.policy.enforce, before.policy.enforce]
      if (sameLevelVersion(enforce, was) || enforce.level === 'privileged' || (enforce.minor === was.minor && compareLevels(enforce.level, was.level) < 1)) return
    }
    if (has(exemptions.namespaces, name)) {
      if (!isFullyPrivileged(now.policy) && !equivalentPolicies(now.policy, defaults)) api.warn(`namespace "${name}" is exempt from Pod Security, and the policy (${showSet(now.policy, labels ?? {})}) will be ignored`)
      return
    }
    if (before) for (const text of await violatingPods(name, now.policy.enforce, api)) api.warn(text)
  }

  async function violatingPods(namespace: string, by: LevelVersion, api: AdmissionApi): Promise<string[]> {
    const pods = await listPods(namespace, api)
    if (!pods) return ['failed to list pods while checking new PodSecurity enforce level']
    const candidates = distinctFirst(pods.filter((p) => !has(exemptions.runtimeClasses, p.spec?.runtimeClassName)))
    const endMs = clock.monotonicMs() + CHECK_MS_MAX
    const byWarning = new Map<string, { first: string; count: number }>()
    let checked = 0
    for (const pod of candidates.slice(0, PODS_MAX)) {
      const reasons = pod.spec ? showReasons(evaluate(by, pod.metadata, pod.spec)) : ''
      const { name } = pod.metadata
      const seen = byWarning.get(reasons)
      if (reasons !== '') byWarning.set(reasons, { first: seen && seen.first < name ? seen.first : name, count: (seen?.count ?? 0) + 1 })
      checked++
      if (checked % LOOK_AT_CLOCK_EVERY === 0 && clock.monotonicMs() > endMs) break
    }
    const others = (count: number): string => (count === 1 ? '' : count === 2 ? ' (and 1 other pod)' : ` (and ${count - 1} other pods)`)
    return [
      ...(checked < candidates.length ? [`new PodSecurity enforce level only checked against the first ${checked} of ${candidates.length} existing pods`] : []),
      ...(byWarning.size > 0 ? [`existing pods in namespace "${namespace}" violate the new PodSecurity enforce level "${showPolicy(by)}"`] : []),
      ...[...byWarning].map(([reasons, { first, count }]) => `${first}${others(count)}: ${reasons}`).sort(),
    ]
  }

  return {
    name: 'PodSecurity',
    metrics: metrics.all,
    validate(request, api) {
      if (request.operation !== 'CREATE' && request.operation !== 'UPDATE') return undefined
      if (isFor(request, '', 'pods')) return checkPod(request, api)
      if (isFor(request, '', 'namespaces')) return checkNamespace(request, api)
      const templateOf = TEMPLATES.get(`${request.ref.group}/${request.ref.resource}`)
      return templateOf && checkTemplate(request, api, templateOf)
    },
  }
}

async function labelsOf(request: AdmissionRequest, api: AdmissionApi, metrics: PodSecurityMetrics): Promise<Record<string, string> | undefined> {
  const { namespace } = request
  try {
    return (await api.client.get<Namespace>(NAMESPACES, namespace)).metadata.labels
  } catch (error) {
    api.annotate(`${LABEL_PREFIX}error`, `failed to lookup namespace "${namespace}": ${asError(error).message}`)
    metrics.failed(request, true)
    throw internal(`failed to lookup namespace "${namespace}"`)
  }
}

async function listPods(namespace: string, api: AdmissionApi): Promise<Stored<Pod>[] | undefined> {
  try {
    return (await api.client.list<Pod>(PODS, { namespace })).items
  } catch {
    // The namespace may be changed all the same; its owner is told that nobody looked.
    return undefined
  }
}

/** One pod of each controller before the rest of them: they are all alike. */
function distinctFirst(pods: readonly Stored<Pod>[]): Stored<Pod>[] {
  const seen = new Set<string>()
  const isRepeat = (pod: Stored<Pod>): boolean => {
    const uid = pod.metadata.ownerReferences?.find((o) => o.controller)?.uid
    if (uid === undefined) return false
    if (seen.has(uid)) return true
    seen.add(uid)
    return false
  }
  const { first = [], repeats = [] } = Object.groupBy(pods, (pod) => (isRepeat(pod) ? 'repeats' : 'first'))
  return [...first, ...repeats]
}

/** Of what may change in a pod only images and added containers matter to the checks. */
function isSignificant(after: PodSpec, before: PodSpec | undefined): boolean {
  const images = (containers: readonly Container[] | undefined): string => JSON.stringify((containers ?? []).map((c) => c.image ?? ''))
  if (images(after.containers) !== images(before?.containers) || images(after.initContainers) !== images(before?.initContainers)) return true
  return (after.ephemeralContainers ?? []).some((c) => c.image !== before?.ephemeralContainers?.find((old) => old.name === c.name)?.image)
}

/** The modes that labels set, and not to privileged. */
function showSet(policy: Policy, labels: Readonly<Record<string, string>>): string {
  const isSet = (mode: string): boolean => labels[`${LABEL_PREFIX}${mode}`] !== undefined || labels[`${LABEL_PREFIX}${mode}-version`] !== undefined
  return (['enforce', 'audit', 'warn'] as const).filter((mode) => policy[mode].level !== 'privileged' && isSet(mode)).map((mode) => `${mode}=${showPolicy(policy[mode])}`).join(', ')
}

function aggregate(errors: readonly { field: string; message: string }[]): string {
  const texts = errors.map((e) => `${e.field}: ${e.message}`)
  return texts.length === 1 ? (texts[0] ?? '') : `[${texts.join(', ')}]`
}
