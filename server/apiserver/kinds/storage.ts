/** Persistent volumes, claims, and the storage.k8s.io kinds that describe drivers and classes. */
import { normalize } from 'node:path/posix'
import type { CSIDriver, CSINode, ObjectMeta, PersistentVolume, PersistentVolumeClaim, StorageClass, VolumeAttachment } from '#api/types/index.ts'
import { checkDnsSubdomain, checkQualifiedName } from '#api/types/index.ts'
import { duplicate, type FieldError, forbidden, required } from '../field-error.ts'
import type { KindStrategy } from '../kind.ts'
import { cloneJson } from '../storage/clone.ts'
import { keepStatus } from './carry.ts'
import { immutable, named, oneOf, quantity, requiredName, setDefault } from './check.ts'
import { validatePluginSource } from './volume-plugin-validation.ts'
import { validateNodeSelector } from './pod-spec-validation.ts'
import { ACCESS_MODES, validateClaimChange, validateClaimSpec } from './claim-validation.ts'
import { nodeLabelWarnings, nodeTermWarnings } from './label-warnings.ts'
import { claimWarnings, deprecatedVolumeWarnings, storageAmountWarnings } from './pod-warnings.ts'
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

export const persistentVolumeStrategy: KindStrategy<PersistentVolume> = {
  generation: false,
  defaults(volume) {
    const spec = (volume.spec ??= {})
    setDefault(spec, 'persistentVolumeReclaimPolicy', 'Retain')
    setDefault(spec, 'volumeMode', 'Filesystem')
    if (spec.hostPath) spec.hostPath.type ??= ''
    if (spec.claimRef) {
      setDefault(spec.claimRef, 'kind', 'PersistentVolumeClaim')
      setDefault(spec.claimRef, 'apiVersion', 'v1')
    }
  },
  prepareCreate: (volume) => { volume.status = { phase: 'Pending' } },
  prepareUpdate: keepStatus,
  prepareStatusUpdate(volume, old, ctx) {
    if (old.spec) volume.spec = cloneJson(old.spec)
    const status = volume.status
    // KEP-3762: when the phase changed last.
    if (status && status.phase !== old.status?.phase) status.lastPhaseTransitionTime ??= `${new Date(ctx.nowMs).toISOString().slice(0, 19)}Z`
  },
  validate: validateVolume,
  validateUpdate(volume, old) {
    const source = (v: PersistentVolume): unknown => Object.fromEntries(Object.entries(v.spec ?? {}).filter(([k]) => !NOT_SOURCES.has(k)))
    const out = validateVolume(volume)
    if (!semanticEqual(source(volume), source(old))) out.push(forbidden('spec.persistentvolumesource', 'spec.persistentvolumesource is immutable after creation'))
    return [...out, ...immutable('volumeMode', volume.spec?.volumeMode, old.spec?.volumeMode), ...(old.spec?.nodeAffinity ? immutable('nodeAffinity', volume.spec?.nodeAffinity, old.spec.nodeAffinity) : [])]
  },
  warnings: volumeWarnings,
  columns: [
    nameColumn(),
    column('Capacity', "capacity is the description of the persistent volume's resources and capacity.", (o) => o.spec?.capacity?.['storage'] ?? ''),
    column('Access Modes', 'accessModes contains all ways the volume can be mounted.', (o) => modesText(o.spec?.accessModes)),
    column('Reclaim Policy', 'persistentVolumeReclaimPolicy defines what happens to a persistent volume when released from its claim.', (o) => o.spec?.persistentVolumeReclaimPolicy ?? ''),
    column('Status', 'phase indicates if a volume is available, bound to a claim, or released by a claim.', (o) => (o.metadata?.deletionTimestamp ? 'Terminating' : (o.status?.phase ?? ''))),
    column('Claim', 'claimRef is part of a bi-directional binding between PersistentVolume and PersistentVolumeClaim.', (o) => (o.spec?.claimRef ? `${o.spec.claimRef.namespace ?? ''}/${o.spec.claimRef.name ?? ''}` : '')),
    column('StorageClass', 'StorageClass of the pv', (o) => o.metadata?.annotations?.[CLASS_ANNOTATION] ?? o.spec?.storageClassName ?? ''),
    column('VolumeAttributesClass', 'VolumeAttributesClass of the pv', (o) => o.spec?.volumeAttributesClassName || '<unset>'),
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
    ...storageAmountWarnings('spec.capacity[storage]', spec.capacity?.['storage']),
  ]
}

function validateVolume(volume: PersistentVolume): FieldError[] {
  const spec = volume.spec ?? {}
  const out: FieldError[] = []
  if ((spec.accessModes ?? []).length === 0) out.push(required('spec.accessModes'))
  for (const mode of spec.accessModes ?? []) out.push(...oneOf('spec.accessModes', mode, ACCESS_MODES))
  if (Object.keys(spec.capacity ?? {}).length === 0) out.push(required('spec.capacity'))
  else if (spec.capacity?.['storage'] === undefined || Object.keys(spec.capacity).length > 1) out.push({ type: 'FieldValueNotSupported', field: 'spec.capacity', message: `Unsupported value: ${JSON.stringify(spec.capacity)}: supported values: "storage"` })
  for (const [name, value] of Object.entries(spec.capacity ?? {})) out.push(...quantity(`spec.capacity[${name}]`, value))
  out.push(...oneOf('spec.persistentVolumeReclaimPolicy', spec.persistentVolumeReclaimPolicy, ['Delete', 'Recycle', 'Retain']), ...oneOf('spec.volumeMode', spec.volumeMode, ['Block', 'Filesystem']))
  const sources = Object.keys(spec).filter((k) => !NOT_SOURCES.has(k))
  if (sources.length === 0) out.push(required('spec', 'must specify a volume type'))
  for (const extra of sources.slice(1)) out.push(forbidden(`spec.${extra}`, 'may not specify more than 1 volume type'))
  out.push(...validatePluginSource('spec', spec))
  if ((spec.accessModes ?? []).length > 1 && spec.accessModes?.includes('ReadWriteOncePod')) out.push(forbidden('spec.accessModes', 'may not use ReadWriteOncePod with other access modes'))
  if (spec.hostPath?.path !== undefined && normalize(spec.hostPath.path) === '/' && spec.persistentVolumeReclaimPolicy === 'Recycle') out.push(forbidden('spec.persistentVolumeReclaimPolicy', "may not be 'recycle' for a hostPath mount of '/'"))
  if (spec.nodeAffinity && !spec.nodeAffinity.required) out.push(required('spec.nodeAffinity.required', 'must specify required node constraints'))
  if (spec.volumeAttributesClassName !== undefined) {
    out.push(...requiredName('spec.volumeAttributesClassName', spec.volumeAttributesClassName, checkDnsSubdomain, 'an empty string is disallowed'))
    if (!spec.csi) out.push(required('spec.csi', 'has to be specified when using volumeAttributesClassName'))
  }
  if (spec.local && !spec.nodeAffinity) out.push(required('metadata.annotations', 'Local volume requires node affinity'))
  if (spec.nodeAffinity?.required) out.push(...validateNodeSelector('spec.nodeAffinity.required', spec.nodeAffinity.required))
  if (spec.storageClassName) out.push(...named('spec.storageClassName', spec.storageClassName, checkDnsSubdomain))
  return out
}

export const persistentVolumeClaimStrategy: KindStrategy<PersistentVolumeClaim> = {
  generation: false,
  defaults: (claim) => { setDefault((claim.spec ??= {}), 'volumeMode', 'Filesystem') },
  prepareCreate: (claim) => { claim.status = { phase: 'Pending' } },
  prepareUpdate: keepStatus,
  validate: (claim) => validateClaimSpec('spec', claim.spec ?? {}),
  validateUpdate: (claim, old) => [...validateClaimSpec('spec', claim.spec ?? {}), ...validateClaimChange(claim, old)],
  warnings: (claim) => [
    ...classAnnotationWarnings(claim.metadata),
    ...claimWarnings('spec', claim.spec?.resources?.requests),
  ],
  columns: [
    nameColumn(),
    column('Status', 'phase represents the current phase of PersistentVolumeClaim.', (o) => (o.metadata?.deletionTimestamp ? 'Terminating' : (o.status?.phase ?? ''))),
    column('Volume', 'volumeName is the binding reference to the PersistentVolume backing this claim.', (o) => o.spec?.volumeName ?? ''),
    column('Capacity', 'capacity represents the actual resources of the underlying volume.', (o) => (o.spec?.volumeName ? (o.status?.capacity?.['storage'] ?? '') : '')),
    column('Access Modes', 'accessModes contains the actual access modes the volume backing the PVC has.', (o) => (o.spec?.volumeName ? modesText(o.status?.accessModes) : '')),
    column('StorageClass', 'StorageClass of the pvc', (o) => o.metadata?.annotations?.[CLASS_ANNOTATION] ?? o.spec?.storageClassName ?? ''),
    column('VolumeAttributesClass', 'VolumeAttributesClass of the pvc', (o) => o.spec?.volumeAttributesClassName || '<unset>'),
    ageColumn(),
    wide('VolumeMode', 'volumeMode defines what type of volume is required by the claim.', (o) => o.spec?.volumeMode ?? '<unset>'),
  ],
}

export const storageClassStrategy: KindStrategy<StorageClass> = {
  generation: false,
  defaults(c) {
    setDefault(c, 'reclaimPolicy', 'Delete')
    setDefault(c, 'volumeBindingMode', 'Immediate')
  },
  validate: (c) => [
    ...requiredName('provisioner', c.provisioner?.toLowerCase(), checkQualifiedName),
    ...validateParameters('parameters', c.parameters ?? {}),
    ...oneOf('reclaimPolicy', c.reclaimPolicy, ['Delete', 'Retain']),
    ...oneOf('volumeBindingMode', c.volumeBindingMode, ['Immediate', 'WaitForFirstConsumer'], 'required'),
    ...validateTopologies(c),
  ],
  validateUpdate: (c, old) => {
    const out = semanticEqual(c.parameters, old.parameters) ? [] : [forbidden('parameters', 'updates to parameters are forbidden.')]
    if (c.provisioner !== old.provisioner) out.push(forbidden('provisioner', 'updates to provisioner are forbidden.'))
    if (c.reclaimPolicy !== old.reclaimPolicy) out.push(forbidden('reclaimPolicy', 'updates to reclaimPolicy are forbidden.'))
    return [...out, ...immutable('volumeBindingMode', c.volumeBindingMode, old.volumeBindingMode)]
  },
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

function validateTopologies(c: StorageClass): FieldError[] {
  return (c.allowedTopologies ?? []).flatMap((term, i) => {
    const keys = new Set<string>()
    return (term.matchLabelExpressions ?? []).flatMap((expression, j) => {
      const at = `allowedTopologies[${i}].matchLabelExpressions[${j}]`
      const out = named(`${at}.key`, expression.key, checkQualifiedName)
      if ((expression.values ?? []).length === 0) out.push(required(`${at}.values`))
      for (const [k, value] of (expression.values ?? []).entries()) if (expression.values.indexOf(value) < k) out.push(duplicate(`${at}.values[${k}]`, value))
      if (keys.has(expression.key)) out.push(duplicate(`${at}.key`, expression.key))
      keys.add(expression.key)
      return out
    })
  })
}

export const csiNodeStrategy: KindStrategy<CSINode> = {
  generation: false,
  validate: (node) => {
    const seen = new Set<string>()
    return (node.spec.drivers ?? []).flatMap((driver, i) => {
      const out = [...requiredName(`spec.drivers[${i}].name`, driver.name, checkDnsSubdomain), ...(driver.nodeID ? [] : [required(`spec.drivers[${i}].nodeID`)])]
      if (seen.has(driver.name)) out.push(duplicate(`spec.drivers[${i}].name`, driver.name))
      seen.add(driver.name)
      return out
    })
  },
  columns: [nameColumn(), count('Drivers', 'Drivers indicates the number of CSI drivers registered on the node', (o) => (o.spec.drivers ?? []).length), ageColumn()],
}

export const csiDriverStrategy: KindStrategy<CSIDriver> = {
  defaults(driver) {
    const spec = driver.spec
    spec.attachRequired ??= true
    spec.podInfoOnMount ??= false
    spec.storageCapacity ??= false
    setDefault(spec, 'fsGroupPolicy', 'ReadWriteOnceWithFSType')
    if (!spec.volumeLifecycleModes?.length) spec.volumeLifecycleModes = ['Persistent']
    spec.requiresRepublish ??= false
    spec.seLinuxMount ??= false
  },
  generation: (driver, old) => !semanticEqual(driver.spec, old.spec),
  validate: (driver) => (driver.spec.volumeLifecycleModes ?? []).flatMap((mode) => oneOf('spec.volumeLifecycleModes', mode, ['Ephemeral', 'Persistent'])),
  validateUpdate: (driver, old) => [...immutable('spec.attachRequired', driver.spec.attachRequired, old.spec.attachRequired), ...immutable('spec.volumeLifecycleModes', driver.spec.volumeLifecycleModes, old.spec.volumeLifecycleModes)],
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
  generation: false,
  prepareCreate: (attachment) => { attachment.status = { attached: false } },
  prepareUpdate: keepStatus,
  validate: (attachment) => [
    ...requiredName('spec.attacher', attachment.spec.attacher, checkDnsSubdomain),
    ...requiredName('spec.nodeName', attachment.spec.nodeName, checkDnsSubdomain),
    ...(attachment.spec.source.persistentVolumeName || attachment.spec.source.inlineVolumeSpec ? [] : [required('spec.source', 'must specify exactly one of inlineVolumeSpec and persistentVolumeName')]),
  ],
  validateUpdate: (attachment, old) => immutable('spec', attachment.spec, old.spec),
  columns: [
    nameColumn(),
    column('Attacher', 'attacher indicates the name of the volume driver that MUST handle this request.', (o) => o.spec.attacher),
    column('PV', 'persistentVolumeName represents the name of the persistent volume to attach.', (o) => o.spec.source.persistentVolumeName ?? ''),
    column('Node', 'nodeName represents the node that the volume should be attached to.', (o) => o.spec.nodeName),
    column('Attached', 'attached indicates the volume is successfully attached.', (o) => o.status?.attached ?? false, { type: 'boolean' }),
    ageColumn(),
  ],
}
