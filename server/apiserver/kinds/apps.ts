/** The kinds that keep pods running: ReplicationController, ReplicaSet, Deployment, DaemonSet. */
import type { DaemonSet, Deployment, DeploymentStrategy, PodTemplateSpec, ReplicaSet, ReplicationController } from '#api/types/index.ts'
import { checkPercent, describeLabelSelector } from '#api/types/index.ts'
import { type FieldError, forbidden, invalid, notSupported, required } from '../field-error.ts'
import type { Column, KindStrategy } from '../kind.ts'
import { fieldSetOf } from '../patch/apply/managed-fields.ts'
import { keepSpec, keepStatus } from './carry.ts'
import { immutable, intOrPercent, nonNegative, setDefault } from './check.ts'
import { defaultPodTemplate } from './pod-defaults.ts'
import { validateSelectedTemplate, validateTemplateFor } from './pod-template.ts'
import { workloadWarnings } from './pod-warnings.ts'
import { semanticEqual } from './semantic-equal.ts'
import { ageColumn, column, containerImages, containerNames, count, formatLabels, nameColumn, wide } from './table-columns.ts'

const REPLICAS = 'replicas is the number of desired pods.'

/** Containers, images and selector: the wide columns of all workloads. */
export function workloadColumns<T>(template: (o: T) => PodTemplateSpec | undefined, selector: (o: T) => string): Column<T>[] {
  return [
    wide('Containers', 'Names of each container in the template.', (o) => containerNames(template(o)?.spec?.containers)),
    wide('Images', 'Images referenced by each container in the template.', (o) => containerImages(template(o)?.spec?.containers)),
    wide('Selector', 'Label selector for pods.', selector),
  ]
}

export const deploymentStrategy: KindStrategy<Deployment> = {
  defaults(deployment) {
    const spec = (deployment.spec ??= { selector: {}, template: {} })
    spec.replicas ??= 1
    spec.revisionHistoryLimit ??= 10
    spec.progressDeadlineSeconds ??= 600
    const strategy = (spec.strategy ??= {})
    setDefault(strategy, 'type', 'RollingUpdate')
    if (strategy.type === 'RollingUpdate') {
      const rolling = (strategy.rollingUpdate ??= {})
      rolling.maxUnavailable ??= '25%'
      rolling.maxSurge ??= '25%'
    }
    defaultPodTemplate(spec.template)
  },
  prepareCreate: (deployment) => { deployment.status = {} },
  prepareUpdate: keepStatus,
  resetThrough: { status: fieldSetOf('metadata.labels') },
  // Annotations may change with the status: that is how the controller writes the revision.
  prepareStatusUpdate(deployment, old) {
    keepSpec(deployment, old)
    if (deployment.metadata) {
      if (old.metadata?.labels) deployment.metadata.labels = { ...old.metadata.labels }
      else delete deployment.metadata.labels
    }
  },
  generation: (deployment, old) => !semanticEqual(deployment.spec, old.spec) || !semanticEqual(deployment.metadata?.annotations, old.metadata?.annotations, 'annotations'),
  validate: validateDeployment,
  validateUpdate: (deployment, old) => [...validateDeployment(deployment), ...immutable('spec.selector', deployment.spec?.selector, old.spec?.selector)],
  validateStatusUpdate: (deployment, old) => validateCounts(deployment.status, ['replicas', 'updatedReplicas', 'readyReplicas', 'availableReplicas', 'unavailableReplicas', 'terminatingReplicas'], old.status),
  warnings: workloadWarnings<Deployment>('spec.template', (o) => o.spec?.template, true),
  columns: [
    nameColumn(),
    column('Ready', 'Number of the pod with ready state', (o) => `${o.status?.readyReplicas ?? 0}/${o.spec?.replicas ?? 0}`),
    column('Up-to-date', 'Total number of non-terminating pods targeted by this deployment that have the desired template spec.', (o) => o.status?.updatedReplicas ?? 0, { type: 'string' }),
    column('Available', 'Total number of available non-terminating pods (ready for at least minReadySeconds) targeted by this deployment.', (o) => o.status?.availableReplicas ?? 0, { type: 'string' }),
    ageColumn(),
    ...workloadColumns<Deployment>((o) => o.spec?.template, (o) => describeLabelSelector(o.spec?.selector)),
  ],
}

function validateDeployment(deployment: Deployment): FieldError[] {
  const spec = deployment.spec
  if (!spec) return [required('spec')]
  const out = [
    ...nonNegative('spec.replicas', spec.replicas),
    ...validateSelectedTemplate({ kind: 'Deployment', makes: 'ReplicaSet', invalidSelector: 'invalid label selector' }, spec.selector, spec.template),
    ...validateRolling(spec.strategy ?? {}),
    ...nonNegative('spec.minReadySeconds', spec.minReadySeconds),
    ...nonNegative('spec.revisionHistoryLimit', spec.revisionHistoryLimit),
    ...nonNegative('spec.progressDeadlineSeconds', spec.progressDeadlineSeconds),
  ]
  if ((spec.progressDeadlineSeconds ?? 0) <= (spec.minReadySeconds ?? 0)) out.push(invalid('spec.progressDeadlineSeconds', spec.progressDeadlineSeconds, 'must be greater than minReadySeconds'))
  return out
}

function validateRolling(strategy: DeploymentStrategy): FieldError[] {
  const at = 'spec.strategy'
  if (strategy.type === 'Recreate') return strategy.rollingUpdate ? [forbidden(`${at}.rollingUpdate`, "may not be specified when strategy `type` is 'Recreate'")] : []
  if (strategy.type !== 'RollingUpdate') return [notSupported(at, strategy, ['Recreate', 'RollingUpdate'])]
  if (!strategy.rollingUpdate) return [required(`${at}.rollingUpdate`, 'this should be defaulted and never be nil')]
  const { maxUnavailable, maxSurge } = strategy.rollingUpdate
  const out = [...intOrPercent(`${at}.rollingUpdate.maxUnavailable`, maxUnavailable), ...intOrPercent(`${at}.rollingUpdate.maxSurge`, maxSurge)]
  if (isZero(maxUnavailable) && isZero(maxSurge)) out.push(invalid(`${at}.rollingUpdate.maxUnavailable`, maxUnavailable, 'may not be 0 when `maxSurge` is 0'))
  if (typeof maxUnavailable === 'string' && Number.parseInt(maxUnavailable, 10) > 100) out.push(invalid(`${at}.rollingUpdate.maxUnavailable`, maxUnavailable, 'must not be greater than 100%'))
  return out
}

/** As upstream reads it: what is neither a number nor a percentage counts as nothing. */
const isZero = (value: number | string | undefined): boolean => (typeof value === 'number' ? value : /^\d+%?$/.test(value ?? '') ? Number.parseInt(value ?? '', 10) : 0) === 0

/** Of these there are no more than there are replicas. */
const OF_REPLICAS: ReadonlySet<string> = new Set(['fullyLabeledReplicas', 'updatedReplicas', 'readyReplicas', 'currentReplicas', 'availableReplicas'])

/** `keys`: in the order in which upstream looks at them. `old`: the status before, whose collision count only grows. `ready`: what upstream calls the number of ready ones. */
export function validateCounts(status: object | undefined, keys: readonly string[], old: object | undefined = {}, ready = 'readyReplicas'): FieldError[] {
  const counts = (status ?? {}) as Readonly<Record<string, number | undefined>>
  const collisions = (old as { collisionCount?: number }).collisionCount
  const out = [...keys, 'observedGeneration', 'collisionCount'].flatMap((key) => nonNegative(`status.${key}`, counts[key]))
  for (const key of keys) if (OF_REPLICAS.has(key) && (counts[key] ?? 0) > (counts['replicas'] ?? 0)) out.push(invalid(`status.${key}`, counts[key] ?? 0, 'cannot be greater than status.replicas'))
  if ((counts['availableReplicas'] ?? 0) > (counts['readyReplicas'] ?? 0)) out.push(invalid('status.availableReplicas', counts['availableReplicas'], `cannot be greater than ${ready}`))
  if (collisions !== undefined && (counts['collisionCount'] ?? -1) < collisions) out.push(invalid('status.collisionCount', counts['collisionCount'] ?? 0, 'cannot be decremented'))
  return out
}

export const replicaSetStrategy: KindStrategy<ReplicaSet> = {
  defaults(set) {
    const spec = (set.spec ??= { selector: {} })
    spec.replicas ??= 1
    defaultPodTemplate(spec.template)
  },
  prepareCreate: (set) => { set.status = { replicas: 0 } },
  prepareUpdate: keepStatus,
  generation: (set, old) => !semanticEqual(set.spec, old.spec),
  validate: validateReplicaSet,
  validateUpdate: (set, old) => [...validateReplicaSet(set), ...immutable('spec.selector', set.spec?.selector, old.spec?.selector)],
  validateStatusUpdate: (set, old) => validateCounts(set.status, ['replicas', 'fullyLabeledReplicas', 'readyReplicas', 'availableReplicas', 'terminatingReplicas'], old.status),
  warnings: workloadWarnings<ReplicaSet>('spec.template', (o) => o.spec?.template, true),
  columns: [
    nameColumn(),
    count('Desired', REPLICAS, (o) => o.spec?.replicas ?? 0),
    count('Current', 'Replicas is the most recently observed number of non-terminating pods.', (o) => o.status?.replicas ?? 0),
    count('Ready', 'The number of non-terminating pods targeted by this ReplicaSet with a Ready Condition.', (o) => o.status?.readyReplicas ?? 0),
    ageColumn(),
    ...workloadColumns<ReplicaSet>((o) => o.spec?.template, (o) => describeLabelSelector(o.spec?.selector)),
  ],
}

function validateReplicaSet(set: ReplicaSet): FieldError[] {
  return [...nonNegative('spec.replicas', set.spec?.replicas), ...nonNegative('spec.minReadySeconds', set.spec?.minReadySeconds), ...validateSelectedTemplate({ kind: 'ReplicaSet', invalidSelector: 'invalid label selector' }, set.spec?.selector, set.spec?.template)]
}

export const replicationControllerStrategy: KindStrategy<ReplicationController> = {
  generateNameRule: 'path-segment',
  orphansByDefault: {},
  defaults(rc) {
    const spec = (rc.spec ??= {})
    spec.replicas ??= 1
    const labels = spec.template?.metadata?.labels
    if (labels) {
      if (Object.keys(spec.selector ?? {}).length === 0) spec.selector = { ...labels }
      rc.metadata ??= {}
      if (Object.keys(rc.metadata.labels ?? {}).length === 0) rc.metadata.labels = { ...labels }
    }
    defaultPodTemplate(spec.template)
  },
  prepareCreate: (rc) => { rc.status = { replicas: 0 } },
  prepareUpdate: keepStatus,
  generation: (rc, old) => !semanticEqual(rc.spec, old.spec),
  validate: validateController,
  validateUpdate: validateController,
  validateStatusUpdate: (rc, old) => validateCounts(rc.status, ['replicas', 'fullyLabeledReplicas', 'readyReplicas', 'availableReplicas'], old.status),
  selectableFields: { 'status.replicas': (o) => String(o.status?.replicas ?? 0) },
  warnings: workloadWarnings<ReplicationController>('spec.template', (o) => o.spec?.template, true),
  columns: [
    nameColumn(),
    count('Desired', REPLICAS, (o) => o.spec?.replicas ?? 0),
    count('Current', 'Replicas is the most recently observed number of replicas.', (o) => o.status?.replicas ?? 0),
    count('Ready', 'The number of ready replicas for this replication controller.', (o) => o.status?.readyReplicas ?? 0),
    ageColumn(),
    ...workloadColumns<ReplicationController>((o) => o.spec?.template, (o) => formatLabels(o.spec?.selector)),
  ],
}

function validateController(rc: ReplicationController): FieldError[] {
  const spec = rc.spec ?? {}
  const out = [...nonNegative('spec.minReadySeconds', spec.minReadySeconds), ...nonNegative('spec.replicas', spec.replicas)]
  if (Object.keys(spec.selector ?? {}).length === 0) out.push(required('spec.selector'))
  const matches = (labels: Readonly<Record<string, string>> = {}): boolean => Object.entries(spec.selector ?? {}).every(([key, value]) => Object.hasOwn(labels, key) && labels[key] === value)
  return [...out, ...validateTemplateFor({ kind: 'ReplicationController', invalidSelector: '' }, matches, spec.template)]
}

const TEMPLATE_GENERATION = 'deprecated.daemonset.template.generation'

export const daemonSetStrategy: KindStrategy<DaemonSet> = {
  defaults(set) {
    const spec = (set.spec ??= { selector: {}, template: {} })
    spec.revisionHistoryLimit ??= 10
    const strategy = (spec.updateStrategy ??= {})
    setDefault(strategy, 'type', 'RollingUpdate')
    if (strategy.type === 'RollingUpdate') {
      const rolling = (strategy.rollingUpdate ??= {})
      rolling.maxUnavailable ??= 1
      rolling.maxSurge ??= 0
    }
    defaultPodTemplate(spec.template)
    // Upstream's conversion writes it for whoever writes the set.
    const meta = (set.metadata ??= {})
    meta.annotations = { ...meta.annotations, [TEMPLATE_GENERATION]: meta.annotations?.[TEMPLATE_GENERATION] ?? '0' }
  },
  prepareCreate(set) {
    set.status = { currentNumberScheduled: 0, desiredNumberScheduled: 0, numberMisscheduled: 0, numberReady: 0 }
    const meta = (set.metadata ??= {})
    meta.annotations = { ...meta.annotations, [TEMPLATE_GENERATION]: '1' }
  },
  prepareUpdate(set, old) {
    keepStatus(set, old)
    const before = Number(old.metadata?.annotations?.[TEMPLATE_GENERATION] ?? '1')
    const after = semanticEqual(set.spec?.template, old.spec?.template) ? before : before + 1
    const meta = (set.metadata ??= {})
    meta.annotations = { ...meta.annotations, [TEMPLATE_GENERATION]: String(after) }
  },
  generation: (set, old) => !semanticEqual(set.spec, old.spec),
  validate: validateDaemonSet,
  validateUpdate: (set, old) => [...validateDaemonSet(set), ...immutable('spec.selector', set.spec?.selector, old.spec?.selector)],
  validateStatusUpdate: (set, old) => validateCounts(set.status, ['currentNumberScheduled', 'numberMisscheduled', 'desiredNumberScheduled', 'numberReady', 'updatedNumberScheduled', 'numberAvailable', 'numberUnavailable'], old.status),
  warnings: workloadWarnings<DaemonSet>('spec.template', (o) => o.spec?.template, false),
  columns: [
    nameColumn(),
    count('Desired', 'The total number of nodes that should be running the daemon pod (including nodes correctly running the daemon pod).', (o) => o.status?.desiredNumberScheduled ?? 0),
    count('Current', 'The number of nodes that are running at least 1 daemon pod and are supposed to run the daemon pod.', (o) => o.status?.currentNumberScheduled ?? 0),
    count('Ready', 'numberReady is the number of nodes that should be running the daemon pod and have one or more of the daemon pod running with a Ready Condition.', (o) => o.status?.numberReady ?? 0),
    count('Up-to-date', 'The total number of nodes that are running updated daemon pod', (o) => o.status?.updatedNumberScheduled ?? 0),
    count('Available', 'The number of nodes that should be running the daemon pod and have one or more of the daemon pod running and available (ready for at least spec.minReadySeconds)', (o) => o.status?.numberAvailable ?? 0),
    column('Node Selector', 'NodeSelector is a selector which must be true for the pod to fit on a node.', (o) => formatLabels(o.spec?.template?.spec?.nodeSelector)),
    ageColumn(),
    ...workloadColumns<DaemonSet>((o) => o.spec?.template, (o) => describeLabelSelector(o.spec?.selector)),
  ],
}

function atMostAll(at: string, value: number | string | undefined): FieldError[] {
  return typeof value === 'string' && checkPercent(value).length === 0 && Number.parseInt(value, 10) > 100 ? [invalid(at, value, 'must not be greater than 100%')] : []
}

function validateDaemonSet(set: DaemonSet): FieldError[] {
  const spec = set.spec
  if (!spec) return [required('spec')]
  const out = [...validateSelectedTemplate({ kind: 'DaemonSet' }, spec.selector, spec.template), ...nonNegative('spec.minReadySeconds', spec.minReadySeconds), ...nonNegative('spec.revisionHistoryLimit', spec.revisionHistoryLimit)]
  const at = 'spec.updateStrategy'
  if (spec.updateStrategy?.type !== 'OnDelete' && spec.updateStrategy?.type !== 'RollingUpdate') out.push(notSupported(at, spec.updateStrategy, ['RollingUpdate', 'OnDelete']))
  const rolling = spec.updateStrategy?.rollingUpdate
  if (spec.updateStrategy?.type === 'RollingUpdate' && rolling) {
    for (const key of ['maxUnavailable', 'maxSurge'] as const) out.push(...intOrPercent(`${at}.rollingUpdate.${key}`, rolling[key]), ...atMostAll(`${at}.rollingUpdate.${key}`, rolling[key]))
    if (isZero(rolling.maxUnavailable) && isZero(rolling.maxSurge)) out.push(required(`${at}.rollingUpdate.maxUnavailable`, 'cannot be 0 when maxSurge is 0'))
    if (!isZero(rolling.maxUnavailable) && !isZero(rolling.maxSurge)) out.push(invalid(`${at}.rollingUpdate.maxSurge`, rolling.maxSurge, 'may not be set when maxUnavailable is non-zero'))
  }
  return out
}
