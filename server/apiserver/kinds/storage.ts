/** Persistent volumes, claims, and the storage.k8s.io kinds that describe drivers and classes. */
import { normalize } from 'node:path/posix'
import type { CSIDriver, CSINode, ObjectMeta, PersistentVolume, PersistentVolumeClaim, PersistentVolumeSpec, StorageClass, VolumeAttachment, VolumeError } from '#api/types/index.ts'
import { checkDnsSubdomain, checkQualifiedName } from '#api/types/index.ts'
import { duplicate, type FieldError, forbidden, invalid, notSupported, required, tooLong } from '../field-error.ts'
import type { KindStrategy } from '../kind.ts'
import { cloneJson } from '../storage/clone.ts'
import { keepStatus, RESET_FOR_STATUS } from './carry.ts'
import { immutable, named, nonNegative, oneOf, quantity, requiredName, setDefault } from './check.ts'
import { isEmpty, persistentVolumeSources, validateSources } from './volume-plugin-validation.ts'
import { validateNodeSelector } from './pod-spec-validation.ts'
import { alignDataSources, positiveQuantity, validateAccessModes, validateClaimChange, validateClaimSpec, validateClaimStatus, VOLUME_MODES } from './claim-validation.ts'
import { nodeLabelWarnings, nodeTermWarnings } from './label-warnings.ts'
import { defaultVolumeSource } from './pod-defaults.ts'
import { claimWarnings, deprecatedVolumeWarnings } from './pod-warnings.ts'
import { validateCsiDriverName } from './csi-driver-name.ts'
import { validateParameters } from './storage-capacity.ts'
import { semanticEqual } from './semantic-equal.ts'
import { ageColumn, column, count, nameColumn, wide } from './table-columns.ts'

const SHORT_MODES: Readonly<Record<string, string>> = { ReadWriteOnce: 'RWO', ReadOnlyMany: 'ROX', ReadWriteMany: 'RWX', ReadWriteOncePod: 'RWOP' }
const MODE_ORDER = ['ReadWriteOnce', 'ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOncePod']
const CLASS_ANNOTATION = 'volume.beta.kubernetes.io/storage-class'
const DEFAULT_CLASS = ['storageclass.kubernetes.io/is-default-class', 'storageclass.beta.kubernetes.io/is-default-class']
/** Fields of a PersistentVolume's spec that are not its source. */
const NOT_SOURCES: ReadonlySet<string> = new Set(['accessModes', 'capacity', 'claimRef', 'mountOptions', 'nodeAffinity', 'persistentVolumeReclaimPolicy', 'storageClassName', 'volumeAttributesClassName', 'volumeMode'])

const modesText = (modes: readonly string[] | undefined): string => MODE_ORDER.filter((m) => modes?.includes(m)).map((m) => SHORT_MODES[m] ?? m).join(',')

const timeText = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`

export const persistentVolumeStrategy: KindStrategy<PersistentVolume> = {
  generation: false,
  defaults(volume) {
    const spec = (volume.spec ??= {})
    setDefault(spec, 'persistentVolumeReclaimPolicy', 'Retain')
    spec.volumeMode ??= 'Filesystem'
    setDefault((volume.status ??= {}), 'phase', 'Pending')
    defaultVolumeSource(spec)
  },
  prepareCreate: (volume, ctx) => { volume.status = { phase: 'Pending', lastPhaseTransitionTime: timeText(ctx.nowMs) } },
  prepareUpdate: keepStatus,
  prepareStatusUpdate(volume, old, ctx) {
    if (old.spec) volume.spec = cloneJson(old.spec)
    const [status, before] = [(volume.status ??= {}), old.status ?? {}]
    // KEP-3762: when the phase changed last. Who says nothing of it, or repeats the old time, means now.
    const { lastPhaseTransitionTime: now } = status
    if (status.phase !== before.phase) {
      if (now === undefined || now === before.lastPhaseTransitionTime) status.lastPhaseTransitionTime = timeText(ctx.nowMs)
    } else if (now === undefined && before.lastPhaseTransitionTime !== undefined) status.lastPhaseTransitionTime = before.lastPhaseTransitionTime
  },
  validate: validateVolume,
  validateUpdate(volume, old) {
    const out = validateVolume(volume)
    if (old.spec?.volumeAttributesClassName !== undefined && volume.spec?.volumeAttributesClassName === undefined) out.push(forbidden('spec.volumeAttributesClassName', 'update from non-nil value to nil is forbidden'))
    if (!semanticEqual(sourceOf(volume, old), sourceOf(old, old))) out.push(forbidden('spec.persistentvolumesource', 'spec.persistentvolumesource is immutable after creation'))
    return [...out, ...immutable('volumeMode', volume.spec?.volumeMode, old.spec?.volumeMode), ...(!old.spec?.nodeAffinity || semanticEqual(volume.spec?.nodeAffinity, old.spec.nodeAffinity) ? [] : [invalid('nodeAffinity', volume.spec?.nodeAffinity ?? null, 'field is immutable, except for updating from beta label to GA')])]
  },
  warnings: volumeWarnings,
  columns: [
    nameColumn(),
    column('Capacity', "capacity is the description of the persistent volume's resources and capacity.", (o) => o.spec?.capacity?.['storage'] ?? '0'),
    column('Access Modes', 'accessModes contains all ways the volume can be mounted.', (o) => modesText(o.spec?.accessModes)),
    column('Reclaim Policy', 'persistentVolumeReclaimPolicy defines what happens to a persistent volume when released from its claim.', (o) => o.spec?.persistentVolumeReclaimPolicy ?? ''),
    column('Status', 'phase indicates if a volume is available, bound to a claim, or released by a claim.', (o) => (o.metadata?.deletionTimestamp ? 'Terminating' : (o.status?.phase ?? ''))),
    column('Claim', 'claimRef is part of a bi-directional binding between PersistentVolume and PersistentVolumeClaim.', (o) => (o.spec?.claimRef ? `${o.spec.claimRef.namespace ?? ''}/${o.spec.claimRef.name ?? ''}` : '')),
    column('StorageClass', 'StorageClass of the pv', (o) => o.metadata?.annotations?.[CLASS_ANNOTATION] ?? o.spec?.storageClassName ?? ''),
    column('VolumeAttributesClass', 'VolumeAttributesClass of the pv', (o) => o.spec?.volumeAttributesClassName ?? '<unset>'),
    column('Reason', 'reason is a brief CamelCase string that describes any failure and is meant for machine parsing and tidy display in the CLI.', (o) => o.status?.reason ?? ''),
    ageColumn(),
    wide('VolumeMode', 'volumeMode defines if a volume is intended to be used with a formatted filesystem or to remain in raw block state.', (o) => o.spec?.volumeMode ?? '<unset>'),
  ],
}

const MOUNT_OPTIONS_ANNOTATION = 'volume.beta.kubernetes.io/mount-options'

function classAnnotationWarnings(metadata: ObjectMeta | undefined): string[] {
  return metadata?.annotations?.[CLASS_ANNOTATION] === undefined ? [] : [`metadata.annotations[${CLASS_ANNOTATION}]: deprecated since v1.8; use "storageClassName" attribute instead`]
}

function volumeWarnings(volume: PersistentVolume): string[] {
  const spec = volume.spec ?? {}
  return [
    ...(spec.nodeAffinity?.required?.nodeSelectorTerms ?? []).flatMap((term, i) => nodeTermWarnings(`spec.nodeAffinity.required.nodeSelectorTerms[${i}]`, term)),
    ...classAnnotationWarnings(volume.metadata),
    ...(volume.metadata?.annotations?.[MOUNT_OPTIONS_ANNOTATION] === undefined ? [] : [`metadata.annotations[${MOUNT_OPTIONS_ANNOTATION}]: deprecated since v1.31; use "mountOptions" attribute instead`]),
    ...(spec.persistentVolumeReclaimPolicy === 'Recycle' ? ['spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.'] : []),
    ...deprecatedVolumeWarnings('spec', spec),
  ]
}

function validateVolume(volume: PersistentVolume): FieldError[] {
  return validateVolumeSpec('spec', volume.spec ?? {}, volume.metadata?.name ?? '')
}

/** `inline`: of a VolumeAttachment, where only the source counts. */
function validateVolumeSpec(at: string, spec: PersistentVolumeSpec, name: string, inline = false): FieldError[] {
  const out: FieldError[] = inline ? inlineOnly(at, spec) : []
  const modes = spec.accessModes ?? []
  if (modes.length === 0) out.push(required(`${at}.accessModes`))
  out.push(...validateAccessModes(`${at}.accessModes`, modes))
  if (!inline) {
    const capacity = spec.capacity ?? {}
    if (Object.keys(capacity).length === 0) out.push(required(`${at}.capacity`))
    if (capacity['storage'] === undefined || Object.keys(capacity).length > 1) out.push(notSupported(`${at}.capacity`, spec.capacity, ['storage']))
    for (const [resource, value] of Object.entries(capacity)) out.push(...quantity(`${at}.capacity[${resource}]`, value), ...positiveQuantity(`${at}.capacity[${resource}]`, value))
    out.push(...oneOf(`${at}.persistentVolumeReclaimPolicy`, spec.persistentVolumeReclaimPolicy, ['Delete', 'Recycle', 'Retain']))
    if (spec.nodeAffinity) out.push(...(spec.nodeAffinity.required ? validateNodeSelector(`${at}.nodeAffinity.required`, spec.nodeAffinity.required) : [required(`${at}.nodeAffinity.required`, 'must specify required node constraints')]))
  }
  out.push(...validateSources(at, spec, persistentVolumeSources, name))
  if (spec.local && !spec.nodeAffinity) out.push(required(`${at}.nodeAffinity`, 'Local volume requires node affinity'))
  if (spec.hostPath?.path && normalize(spec.hostPath.path) === '/' && spec.persistentVolumeReclaimPolicy === 'Recycle') out.push(forbidden(`${at}.persistentVolumeReclaimPolicy`, "may not be 'recycle' for a hostPath mount of '/'"))
  if (spec.storageClassName && !inline) out.push(...named(`${at}.storageClassName`, spec.storageClassName, checkDnsSubdomain))
  if (spec.volumeMode !== undefined && !inline && !VOLUME_MODES.includes(spec.volumeMode)) out.push(notSupported(`${at}.volumeMode`, spec.volumeMode, VOLUME_MODES))
  if (spec.volumeAttributesClassName !== undefined) {
    out.push(...requiredName(`${at}.volumeAttributesClassName`, spec.volumeAttributesClassName, checkDnsSubdomain, 'an empty string is disallowed'))
    if (!spec.csi) out.push(required(`${at}.csi`, 'has to be specified when using volumeAttributesClassName'))
  }
  return out
}

const INLINE = 'may not be specified in the context of inline volumes'

function inlineOnly(at: string, spec: PersistentVolumeSpec): FieldError[] {
  const given = (['claimRef', 'capacity', 'nodeAffinity', 'storageClassName'] as const).filter((key) => key === 'capacity' ? Object.keys(spec.capacity ?? {}).length > 0 : !isEmpty(spec[key]))
  return [
    ...given.map((key) => forbidden(`${at}.${key}`, INLINE)),
    ...(spec.csi ? [] : [required(`${at}.csi`, 'has to be specified in the context of inline volumes')]),
    ...(spec.persistentVolumeReclaimPolicy && spec.persistentVolumeReclaimPolicy !== 'Retain' ? [forbidden(`${at}.persistentVolumeReclaimPolicy`, 'may only be Retain in the context of inline volumes')] : []),
    ...(spec.volumeMode !== undefined && spec.volumeMode !== 'Filesystem' ? [forbidden(`${at}.volumeMode`, 'may not specify volumeMode other than Filesystem in the context of inline volumes')] : []),
  ]
}

/** The secret for growing a volume may be named later. */
function sourceOf(volume: PersistentVolume, old: PersistentVolume): unknown {
  const source: Record<string, unknown> = Object.fromEntries(Object.entries(volume.spec ?? {}).filter(([key]) => !NOT_SOURCES.has(key)))
  if (!volume.spec?.csi || !old.spec?.csi || old.spec.csi.controllerExpandSecretRef) return source
  const { controllerExpandSecretRef: _secret, ...csi } = volume.spec.csi
  return { ...source, csi }
}

export const persistentVolumeClaimStrategy: KindStrategy<PersistentVolumeClaim> = {
  generation: false,
  defaults(claim) {
    (claim.spec ??= {}).volumeMode ??= 'Filesystem'
    setDefault((claim.status ??= {}), 'phase', 'Pending')
  },
  prepareCreate(claim) {
    claim.status = { phase: 'Pending' }
    alignDataSources((claim.spec ??= {}))
  },
  prepareUpdate(claim, old) {
    keepStatus(claim, old)
    alignDataSources((claim.spec ??= {}), old.spec)
  },
  validate: (claim) => validateClaimSpec('spec', claim.spec ?? {}),
  validateUpdate: (claim, old) => [...validateClaimSpec('spec', claim.spec ?? {}), ...validateClaimChange(claim, old)],
  validateStatusUpdate: validateClaimStatus,
  warnings: (claim) => [
    ...classAnnotationWarnings(claim.metadata),
    ...claimWarnings('spec', claim.spec?.resources?.requests),
  ],
  columns: [
    nameColumn(),
    column('Status', 'phase represents the current phase of PersistentVolumeClaim.', (o) => (o.metadata?.deletionTimestamp ? 'Terminating' : (o.status?.phase ?? ''))),
    column('Volume', 'volumeName is the binding reference to the PersistentVolume backing this claim.', (o) => o.spec?.volumeName ?? ''),
    column('Capacity', 'capacity represents the actual resources of the underlying volume.', (o) => (o.spec?.volumeName ? (o.status?.capacity?.['storage'] ?? '0') : '')),
    column('Access Modes', 'accessModes contains the actual access modes the volume backing the PVC has.', (o) => (o.spec?.volumeName ? modesText(o.status?.accessModes) : '')),
    column('StorageClass', 'StorageClass of the pvc', (o) => o.metadata?.annotations?.[CLASS_ANNOTATION] ?? o.spec?.storageClassName ?? ''),
    column('VolumeAttributesClass', 'VolumeAttributesClass of the pvc', (o) => o.spec?.volumeAttributesClassName ?? '<unset>'),
    ageColumn(),
    wide('VolumeMode', 'volumeMode defines what type of volume is required by the claim.', (o) => o.spec?.volumeMode ?? '<unset>'),
  ],
}

export const storageClassStrategy: KindStrategy<StorageClass> = {
  generation: false,
  defaults(c) {
    c.reclaimPolicy ??= 'Delete'
    c.volumeBindingMode ??= 'Immediate'
  },
  validate: validateClass,
  validateUpdate: (c, old) => [...validateClass(c), ...(['parameters', 'provisioner', 'reclaimPolicy', 'volumeBindingMode'] as const).flatMap((key) => immutable(key, c[key] ?? null, old[key] ?? null))],
  warnings: (c) => (c.allowedTopologies ?? []).flatMap((t, i) => (t.matchLabelExpressions ?? []).flatMap((e, j) => nodeLabelWarnings(`allowedTopologies[${i}].matchLabelExpressions[${j}].key`, e.key))),
  columns: [
    { ...nameColumn<StorageClass>(), value: (o) => `${o.metadata?.name ?? ''}${DEFAULT_CLASS.some((a) => o.metadata?.annotations?.[a] === 'true') ? ' (default)' : ''}` },
    column('Provisioner', 'provisioner indicates the type of the provisioner.', (o) => o.provisioner),
    column('ReclaimPolicy', 'reclaimPolicy controls the reclaimPolicy for dynamically provisioned PersistentVolumes of this storage class.', (o) => o.reclaimPolicy ?? 'Delete'),
    column('VolumeBindingMode', 'volumeBindingMode indicates how PersistentVolumeClaims should be provisioned and bound.', (o) => o.volumeBindingMode ?? 'Immediate'),
    column('AllowVolumeExpansion', 'allowVolumeExpansion shows whether the storage class allow volume expand.', (o) => o.allowVolumeExpansion ?? false, { type: 'string' }),
    ageColumn(),
  ],
}

function validateClass(c: StorageClass): FieldError[] {
  return [
    ...requiredName('provisioner', c.provisioner?.toLowerCase(), checkQualifiedName),
    ...validateParameters('parameters', c.parameters ?? {}),
    ...oneOf('reclaimPolicy', c.reclaimPolicy, ['Delete', 'Retain']),
    ...oneOf('volumeBindingMode', c.volumeBindingMode, ['Immediate', 'WaitForFirstConsumer'], 'given'),
    ...validateTopologies(c),
  ]
}

function validateTopologies(c: StorageClass): FieldError[] {
  const seen: Readonly<Record<string, ReadonlySet<string>>>[] = []
  return (c.allowedTopologies ?? []).flatMap((term, i) => {
    const keys: Record<string, ReadonlySet<string>> = Object.create(null) as Record<string, ReadonlySet<string>>
    const out = (term.matchLabelExpressions ?? []).flatMap((expression, j) => {
      const at = `allowedTopologies[${i}].matchLabelExpressions[${j}]`
      const values = expression.values ?? []
      const found: FieldError[] = values.length === 0 ? [required(`${at}.values`)] : []
      for (const [k, value] of values.entries()) if (values.indexOf(value) < k) found.push(duplicate(`${at}.values[${k}]`, value))
      found.push(...named(`${at}.key`, expression.key, checkQualifiedName))
      if (keys[expression.key]) found.push(duplicate(`${at}.key`, expression.key))
      keys[expression.key] = new Set(values)
      return found
    })
    // The same place named twice; one without a name counts as named before.
    if (Object.keys(keys).length === 0 || seen.some((other) => sameTopology(other, keys))) out.push(duplicate(`allowedTopologies[${i}].matchLabelExpressions`, ''))
    seen.push(keys)
    return out
  })
}

function sameTopology(a: Readonly<Record<string, ReadonlySet<string>>>, b: Readonly<Record<string, ReadonlySet<string>>>): boolean {
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every((key) => b[key]?.size === a[key]?.size && [...(a[key] ?? [])].every((value) => b[key]?.has(value)))
}

const NODE_ID_BYTES_MAX = 256

export const csiNodeStrategy: KindStrategy<CSINode> = {
  requiresRevision: true,
  generation: false,
  validate: validateCsiNode,
  validateUpdate(node, old) {
    const now = new Map((node.spec.drivers ?? []).map((d) => [d.name, d]))
    const changed = (old.spec.drivers ?? []).flatMap((was) => {
      const driver = now.get(was.name)
      // A driver may go, or count its volumes anew (KEP-4876); else it stays what it registered as.
      const { allocatable: _a, ...fixed } = driver ?? was
      const { allocatable: _b, ...fixedBefore } = was
      return semanticEqual(fixed, fixedBefore) ? [] : [invalid('spec.drivers', fixed, 'field is immutable')]
    })
    return [...validateCsiNode(node), ...changed]
  },
  columns: [nameColumn(), count('Drivers', 'Drivers indicates the number of CSI drivers registered on the node', (o) => (o.spec.drivers ?? []).length), ageColumn()],
}

function validateCsiNode(node: CSINode): FieldError[] {
  const seen = new Set<string>()
  return (node.spec.drivers ?? []).flatMap((driver, i) => {
    const at = `spec.drivers[${i}]`
    const out = validateCsiDriverName(`${at}.name`, driver.name)
    if (!driver.nodeID) out.push(required(`${at}.nodeID`))
    if (Buffer.byteLength(driver.nodeID ?? '') > NODE_ID_BYTES_MAX) out.push(invalid(`${at}.nodeID`, driver.nodeID, `must be ${NODE_ID_BYTES_MAX} characters or less`))
    out.push(...nonNegative(`${at}.allocatable.count`, driver.allocatable?.count))
    const keys = new Set<string>()
    for (const key of driver.topologyKeys ?? []) {
      if (!key) out.push(required(at))
      if (keys.has(key)) out.push(duplicate(at, key))
      keys.add(key)
      out.push(...named(at, key, checkQualifiedName))
    }
    if (seen.has(driver.name)) out.push(duplicate(`${at}.name`, driver.name))
    seen.add(driver.name)
    return out
  })
}

/** A token a audience, for a while that makes sense; modes and policies upstream knows. */
function validateDriver({ spec }: CSIDriver): FieldError[] {
  const { nodeAllocatableUpdatePeriodSeconds: period, serviceAccountTokenInSecrets: inSecrets } = spec
  const audiences = new Set<string>()
  const tokens = (spec.tokenRequests ?? []).flatMap(({ audience, expirationSeconds: seconds }, i) => {
    const at = `spec.tokenRequests[${i}]`
    if (audiences.has(audience)) return [duplicate(`${at}.audience`, audience)]
    audiences.add(audience)
    if (seconds === undefined) return []
    return [...(seconds < TOKEN_SECONDS_MIN ? [invalid(`${at}.expirationSeconds`, seconds, 'may not specify a duration less than 10 minutes')] : []), ...(seconds > 2 ** 32 ? [invalid(`${at}.expirationSeconds`, seconds, 'may not specify a duration larger than 2^32 seconds')] : [])]
  })
  return [
    ...oneOf('spec.fsGroupPolicy', spec.fsGroupPolicy, ['File', 'None', 'ReadWriteOnceWithFSType'], 'given'),
    ...tokens,
    ...(spec.volumeLifecycleModes ?? []).flatMap((mode) => oneOf('spec.volumeLifecycleModes', mode, ['Persistent', 'Ephemeral'], 'given')),
    ...(period !== undefined && period < UPDATE_PERIOD_SECONDS_MIN ? [invalid('spec.nodeAllocatableUpdatePeriodSeconds', period, `must be greater than or equal to ${UPDATE_PERIOD_SECONDS_MIN} seconds`)] : []),
    ...(inSecrets !== undefined && (spec.tokenRequests ?? []).length === 0 ? [invalid('spec.serviceAccountTokenInSecrets', inSecrets, 'serviceAccountTokenInSecrets is set but no tokenRequests are specified')] : []),
  ]
}

const TOKEN_SECONDS_MIN = 600
const UPDATE_PERIOD_SECONDS_MIN = 10

export const csiDriverStrategy: KindStrategy<CSIDriver> = {
  requiresRevision: true,
  defaults(driver) {
    const spec = driver.spec
    spec.attachRequired ??= true
    spec.podInfoOnMount ??= false
    spec.storageCapacity ??= false
    spec.fsGroupPolicy ??= 'ReadWriteOnceWithFSType'
    if (!spec.volumeLifecycleModes?.length) spec.volumeLifecycleModes = ['Persistent']
    spec.requiresRepublish ??= false
    spec.seLinuxMount ??= false
  },
  warnings(driver, old) {
    const { tokenRequests = [], serviceAccountTokenInSecrets: inSecrets } = driver.spec
    if (tokenRequests.length === 0 || inSecrets !== undefined || (old && semanticEqual(old.spec.tokenRequests, tokenRequests))) return []
    return ['spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible logging of tokens in volume attributes']
  },
  // The first change gives it one.
  prepareCreate: (driver) => { delete driver.metadata?.generation },
  generation: (driver, old) => !semanticEqual(driver.spec, old.spec),
  validate: validateDriver,
  validateUpdate: (driver, old) => [...validateDriver(driver), ...immutable('spec.attachedRequired', driver.spec.attachRequired, old.spec.attachRequired), ...immutable('spec.volumeLifecycleModes', driver.spec.volumeLifecycleModes, old.spec.volumeLifecycleModes)],
  columns: [
    nameColumn(),
    column('AttachRequired', 'attachRequired indicates this CSI volume driver requires an attach operation.', (o) => o.spec.attachRequired ?? true, { type: 'boolean' }),
    column('PodInfoOnMount', 'podInfoOnMount indicates this CSI volume driver requires additional pod information during mount operations.', (o) => o.spec.podInfoOnMount ?? false, { type: 'boolean' }),
    column('StorageCapacity', 'storageCapacity indicates that the CSI volume driver wants pod scheduling to consider the storage capacity.', (o) => o.spec.storageCapacity ?? false, { type: 'boolean' }),
    column('TokenRequests', 'tokenRequests indicates the CSI driver needs pods\' service account tokens.', (o) => (o.spec.tokenRequests ?? []).map((t) => t.audience).join(',') || '<unset>'),
    column('RequiresRepublish', 'requiresRepublish indicates the CSI driver wants NodePublishVolume being periodically called.', (o) => o.spec.requiresRepublish ?? false, { type: 'boolean' }),
    column('Modes', 'volumeLifecycleModes defines what kind of volumes this CSI volume driver supports.', (o) => (o.spec.volumeLifecycleModes ?? []).join(',') || '<none>'),
    ageColumn(),
  ],
}

export const volumeAttachmentStrategy: KindStrategy<VolumeAttachment> = {
  requiresRevision: true,
  statusKeepsMetadata: RESET_FOR_STATUS,
  generation: false,
  prepareCreate: (attachment) => { attachment.status = { attached: false } },
  prepareUpdate: keepStatus,
  validate: validateAttachment,
  validateUpdate: (attachment, old) => [...validateAttachment(attachment), ...immutable('spec', attachment.spec, old.spec)],
  validateStatusUpdate: validateAttachmentStatus,
  columns: [
    nameColumn(),
    { ...column<VolumeAttachment>('Attacher', 'attacher indicates the name of the volume driver that MUST handle this request.', (o) => o.spec.attacher), format: 'name' },
    column('PV', 'persistentVolumeName represents the name of the persistent volume to attach.', (o) => o.spec.source.persistentVolumeName ?? ''),
    column('Node', 'nodeName represents the node that the volume should be attached to.', (o) => o.spec.nodeName),
    column('Attached', 'attached indicates the volume is successfully attached.', (o) => o.status?.attached ?? false, { type: 'boolean' }),
    ageColumn(),
  ],
}

const ERROR_BYTES_MAX = 1024
/** Of what a driver says of a volume. */
const ATTACHMENT_BYTES_MAX = 256 * 1024

function validateAttachment(attachment: VolumeAttachment): FieldError[] {
  const { attacher, nodeName, source } = attachment.spec
  const inline = source.inlineVolumeSpec
  const name = source.persistentVolumeName
  const out = validateCsiDriverName('spec.attacher', attacher)
  if (inline && name !== undefined) out.push(forbidden('spec.source', 'must specify exactly one of inlineVolumeSpec and persistentVolumeName'))
  else if (inline) out.push(...validateVolumeSpec('spec.source.inlineVolumeSpec', inline, '', true))
  else if (name === undefined) out.push(required('spec.source', 'must specify exactly one of inlineVolumeSpec and persistentVolumeName'))
  else if (name === '') out.push(required('spec.source.persistentVolumeName', 'must specify non empty persistentVolumeName'))
  out.push(...named('spec.nodeName', nodeName ?? '', checkDnsSubdomain), ...validateAttachmentStatus(attachment))
  return name === undefined ? out : [...out, ...named('spec.source.persistentVolumeName', name, checkDnsSubdomain)]
}

function validateAttachmentStatus({ status }: VolumeAttachment): FieldError[] {
  const message = (at: string, { message: text = '', errorCode = 0 }: VolumeError = {}): FieldError[] => [
    // Upstream tells of the other limit.
    ...(Buffer.byteLength(text) > ERROR_BYTES_MAX ? [tooLong(`${at}.message`, ATTACHMENT_BYTES_MAX)] : []),
    ...(errorCode < 0 ? [invalid(`${at}.errorCode`, errorCode, `must be between 0 and ${2 ** 31 - 1}, inclusive`)] : []),
  ]
  const size = Object.entries(status?.attachmentMetadata ?? {}).reduce((sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value), 0)
  return [
    ...(size > ATTACHMENT_BYTES_MAX ? [tooLong('status.attachmentMetadata', ATTACHMENT_BYTES_MAX)] : []),
    ...message('status.attachError', status?.attachError),
    ...message('status.detachError', status?.detachError),
  ]
}
