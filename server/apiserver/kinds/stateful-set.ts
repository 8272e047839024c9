/** StatefulSets and the ControllerRevisions that they and DaemonSets keep. */
import type { ControllerRevision, StatefulSet, StatefulSetSpec } from '#api/types/index.ts'
import { checkDnsLabel } from '#api/types/index.ts'
import { type FieldError, forbidden, invalid, required } from '../field-error.ts'
import type { KindStrategy } from '../kind.ts'
import { validateCounts, workloadColumns } from './apps.ts'
import { keepStatus } from './carry.ts'
import { intOrPercent, named, nonNegative, oneOf, setDefault } from './check.ts'
import { validateClaimSpec } from './claim-validation.ts'
import { defaultPodTemplate } from './pod-defaults.ts'
import { validateSelectedTemplate } from './pod-template.ts'
import { claimWarnings, templateWarnings } from './pod-warnings.ts'
import { semanticEqual } from './semantic-equal.ts'
import { ageColumn, column, nameColumn } from './table-columns.ts'

const UPDATABLE = ['replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy', 'minReadySeconds'] as const

export const statefulSetStrategy: KindStrategy<StatefulSet> = {
  nameRule: 'dns-label',
  defaults(set) {
    const spec = (set.spec ??= { selector: {}, template: {} })
    spec.replicas ??= 1
    spec.revisionHistoryLimit ??= 10
    setDefault(spec, 'podManagementPolicy', 'OrderedReady')
    const strategy = (spec.updateStrategy ??= {})
    setDefault(strategy, 'type', 'RollingUpdate')
    // `maxUnavailable` has no default: upstream's gate for it is off in 1.36.
    if (strategy.type === 'RollingUpdate') (strategy.rollingUpdate ??= {}).partition ??= 0
    const retention = (spec.persistentVolumeClaimRetentionPolicy ??= {})
    setDefault(retention, 'whenDeleted', 'Retain')
    setDefault(retention, 'whenScaled', 'Retain')
    for (const claim of spec.volumeClaimTemplates ?? []) {
      // Whatever is said: they can be nothing else.
      claim.apiVersion = 'v1'
      claim.kind = 'PersistentVolumeClaim'
      setDefault((claim.spec ??= {}), 'volumeMode', 'Filesystem')
      setDefault((claim.status ??= {}), 'phase', 'Pending')
    }
    defaultPodTemplate(spec.template)
  },
  prepareCreate: (set) => { set.status = { availableReplicas: 0, replicas: 0 } },
  prepareUpdate: keepStatus,
  generation: (set, old) => !semanticEqual(set.spec, old.spec),
  validate: (set) => validateStatefulSet(set, true),
  validateUpdate(set, old) {
    const frozen = (spec: StatefulSetSpec | undefined): Record<string, unknown> => {
      const out: Record<string, unknown> = { ...spec }
      for (const key of UPDATABLE) delete out[key]
      return out
    }
    const out = validateStatefulSet(set, false).filter(toleranceOf(old))
    if (!semanticEqual(frozen(set.spec), frozen(old.spec))) out.push(forbidden('spec', "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"))
    return out
  },
  validateStatusUpdate: (set, old) => validateCounts(set.status, ['replicas', 'readyReplicas', 'currentReplicas', 'updatedReplicas', 'availableReplicas'], old.status, 'status.readyReplicas'),
  warnings: (set, old) => [
    ...(old && semanticEqual(set.spec, old.spec) ? [] : templateWarnings('spec.template', set.spec?.template)),
    ...(set.spec?.volumeClaimTemplates ?? []).flatMap((claim, i) => claimWarnings(`spec.volumeClaimTemplates[${i}].spec`, claim.spec?.resources?.requests)),
    ...((set.spec?.revisionHistoryLimit ?? 0) < 0 ? ['spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended'] : []),
  ],
  columns: [
    nameColumn(),
    column('Ready', 'Number of the pod with ready state', (o) => `${o.status?.readyReplicas ?? 0}/${o.spec?.replicas ?? 0}`),
    ageColumn(),
    ...workloadColumns<StatefulSet>((o) => o.spec?.template, () => '').slice(0, 2),
  ],
}

/** A template that was not right before need not be right now, but for what is asked of it here. */
function toleranceOf(old: StatefulSet): (error: FieldError) => boolean {
  if (validateStatefulSet(old, false).length === 0) return () => true
  return ({ type, field }) => !field.startsWith('spec.template.spec.') || (field.endsWith('.restartPolicy') && type === 'FieldValueNotSupported') || field.endsWith('.activeDeadlineSeconds')
}

/** The controller gives each pod its own name and domain, and the claims as its first volumes (upstream puts them in any order). */
function asPodsHaveIt({ template, volumeClaimTemplates = [] }: StatefulSetSpec): StatefulSetSpec['template'] {
  if (!template?.spec || (!template.spec.hostname && !template.spec.subdomain && volumeClaimTemplates.length === 0)) return template
  const { hostname: _h, subdomain: _s, volumes = [], ...spec } = template.spec
  const claims = new Set(volumeClaimTemplates.map((claim) => claim.metadata?.name ?? ''))
  const all = [...[...claims].map((name) => ({ name, persistentVolumeClaim: { claimName: name } })), ...volumes.filter(({ name }) => !claims.has(name))]
  return { ...template, spec: { ...spec, ...(all.length > 0 && { volumes: all }) } }
}

/** `isNew`: what cannot change afterwards is looked at. */
function validateStatefulSet(set: StatefulSet, isNew: boolean): FieldError[] {
  const spec = set.spec
  if (!spec) return [required('spec')]
  const at = 'spec.updateStrategy'
  return [
    ...oneWord('spec.podManagementPolicy', spec.podManagementPolicy, spec.podManagementPolicy, "must be 'OrderedReady' or 'Parallel'", ['OrderedReady', 'Parallel']),
    ...oneWord(at, spec.updateStrategy?.type, spec.updateStrategy, "must be 'RollingUpdate' or 'OnDelete'", ['OnDelete', 'RollingUpdate']),
    ...(spec.updateStrategy?.type === 'OnDelete' && spec.updateStrategy.rollingUpdate ? [invalid(`${at}.rollingUpdate`, spec.updateStrategy.rollingUpdate, "only allowed for updateStrategy 'RollingUpdate'")] : []),
    ...(spec.updateStrategy?.type === 'RollingUpdate' ? [...nonNegative(`${at}.rollingUpdate.partition`, spec.updateStrategy.rollingUpdate?.partition), ...validateUnavailable(`${at}.rollingUpdate.maxUnavailable`, spec.updateStrategy.rollingUpdate?.maxUnavailable)] : []),
    ...oneOf('spec.persistentVolumeClaimRetentionPolicy.whenDeleted', spec.persistentVolumeClaimRetentionPolicy?.whenDeleted, ['Retain', 'Delete'], 'given'),
    ...oneOf('spec.persistentVolumeClaimRetentionPolicy.whenScaled', spec.persistentVolumeClaimRetentionPolicy?.whenScaled, ['Retain', 'Delete'], 'given'),
    ...(isNew ? (spec.volumeClaimTemplates ?? []).flatMap((claim, i) => validateClaimSpec(`spec.volumeClaimTemplates[${i}].spec`, claim.spec ?? {})) : []),
    ...nonNegative('spec.replicas', spec.replicas),
    ...nonNegative('spec.minReadySeconds', spec.minReadySeconds),
    ...nonNegative('spec.ordinals.start', spec.ordinals?.start),
    ...(isNew && spec.serviceName ? named('spec.serviceName', spec.serviceName, checkDnsLabel) : []),
    ...validateSelectedTemplate({ kind: 'StatefulSet', invalidSelector: '' }, spec.selector, asPodsHaveIt(spec)),
  ]
}

/** Required, and one of a few; `shown` is what upstream prints of it. */
function oneWord(at: string, word: string | undefined, shown: unknown, detail: string, allowed: readonly string[]): FieldError[] {
  if (!word) return [required(at)]
  return allowed.includes(word) ? [] : [invalid(at, shown, detail)]
}

function validateUnavailable(at: string, value: number | string | undefined): FieldError[] {
  if (value === undefined) return []
  const out = intOrPercent(at, value)
  if (value === 0 || value === '0%') out.push(invalid(at, value, 'cannot be 0'))
  if (typeof value === 'string' && Number.parseInt(value, 10) > 100) out.push(invalid(at, value, 'must not be greater than 100%'))
  return out
}

export const controllerRevisionStrategy: KindStrategy<ControllerRevision> = {
  generation: false,
  validate: (revision) => [...nonNegative('revision', revision.revision), ...validateRevisionData(revision.data)],
  validateUpdate: (revision, old) => [...nonNegative('revision', revision.revision), ...(semanticEqual(revision.data, old.data) ? [] : [invalid('data', revision.data ?? null, 'field is immutable')])],
  columns: [
    nameColumn(),
    column('Controller', 'Controller of the object', (o) => {
      const owner = o.metadata?.ownerReferences?.find((r) => r.controller)
      return owner ? `${[owner.kind, ...owner.apiVersion.split('/').slice(0, -1)].join('.').toLowerCase()}/${owner.name}` : '<none>'
    }),
    column('Revision', 'revision indicates the revision of the state represented by data.', (o) => o.revision),
    ageColumn(),
  ],
}

function validateRevisionData(data: unknown): FieldError[] {
  if (data === undefined || data === null) return [required('data', 'data is mandatory')]
  return typeof data === 'object' && !Array.isArray(data) ? [] : [required('data', 'data must be a valid JSON object')]
}
