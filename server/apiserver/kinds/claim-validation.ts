/** The spec of a PersistentVolumeClaim, of its own or in a template (upstream `ValidatePersistentVolumeClaimSpec`). */
import type { PersistentVolumeClaim, PersistentVolumeClaimSpec, TypedLocalObjectReference } from '#api/types/index.ts'
import { checkDnsLabel, checkDnsSubdomain, checkQualifiedName, compareQuantity, tryParseQuantity } from '#api/types/index.ts'
import { type FieldError, forbidden, invalid, notSupported, required } from '../field-error.ts'
import { checkLabelSelector, immutable, named, quantity } from './check.ts'
import { isNativeResource } from './resource-name.ts'
import { semanticEqual } from './semantic-equal.ts'

const ACCESS_MODES = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod']
export const VOLUME_MODES = ['Block', 'Filesystem']
const CLASS_ANNOTATION = 'volume.beta.kubernetes.io/storage-class'
/** In the order of upstream's set. */
const RESIZE_STATES = ['ControllerResizeInProgress', 'ControllerResizeInfeasible', 'NodeResizeInProgress', 'NodeResizeInfeasible', 'NodeResizePending']

export function validateAccessModes(at: string, modes: readonly string[]): FieldError[] {
  const out = modes.flatMap((mode) => (ACCESS_MODES.includes(mode) ? [] : [notSupported(at, mode, ACCESS_MODES)]))
  const [single, other] = [modes.includes('ReadWriteOncePod'), modes.some((mode) => mode !== 'ReadWriteOncePod' && ACCESS_MODES.includes(mode))]
  return single && other ? [...out, forbidden(at, 'may not use ReadWriteOncePod with other access modes')] : out
}

export function positiveQuantity(at: string, value: string): FieldError[] {
  const parsed = tryParseQuantity(value)
  return parsed.ok && parsed.quantity.nano <= 0n ? [invalid(at, value, 'must be greater than zero')] : []
}

export function validateClaimSpec(at: string, spec: PersistentVolumeClaimSpec): FieldError[] {
  const out: FieldError[] = []
  const modes = spec.accessModes ?? []
  if (modes.length === 0) out.push(required(`${at}.accessModes`, 'at least 1 access mode is required'))
  out.push(...checkLabelSelector(`${at}.selector`, spec.selector), ...validateAccessModes(`${at}.accessModes`, modes))
  const storage = spec.resources?.requests?.['storage']
  if (storage === undefined) out.push(required(`${at}.resources[storage]`))
  else {
    const small = positiveQuantity(`${at}.resources[storage]`, storage)
    out.push(...(small.length > 0 ? small : quantity(`${at}.resources[storage]`, storage)))
  }
  if (spec.storageClassName) out.push(...named(`${at}.storageClassName`, spec.storageClassName, checkDnsSubdomain))
  if (spec.volumeMode !== undefined && !VOLUME_MODES.includes(spec.volumeMode)) out.push(notSupported(`${at}.volumeMode`, spec.volumeMode, VOLUME_MODES))
  const { dataSource, dataSourceRef } = spec
  if (dataSource) out.push(...validateDataSource(`${at}.dataSource`, dataSource))
  if (dataSourceRef) {
    out.push(...validateDataSource(`${at}.dataSourceRef`, dataSourceRef))
    if (dataSourceRef.namespace) out.push(...named(`${at}.dataSourceRef.namespace`, dataSourceRef.namespace, checkDnsLabel))
  }
  // Upstream shows the path where it means the value.
  if (dataSourceRef?.namespace && dataSource) out.push(invalid(at, `${at}.dataSource`, 'may not be specified when dataSourceRef.namespace is specified'))
  else if (dataSource && dataSourceRef && (['apiGroup', 'kind', 'name'] as const).some((key) => dataSource[key] !== dataSourceRef[key])) out.push(invalid(at, `${at}.dataSource`, 'must match dataSourceRef'))
  if (spec.volumeAttributesClassName) out.push(...named(`${at}.volumeAttributesClassName`, spec.volumeAttributesClassName, checkDnsSubdomain))
  return out
}

/**
 * Where a claim's content comes from is said twice: in the field of the first clients and in the one of today (KEP-1495). Whichever was written, both are kept; what the old
 * field could not name is dropped from it, as ever.
 */
export function alignDataSources(spec: PersistentVolumeClaimSpec, old?: PersistentVolumeClaimSpec): void {
  const isNew = !old?.dataSource && !old?.dataSourceRef
  if (isNew && spec.dataSource && !spec.dataSourceRef && !isClaimOrSnapshot(spec.dataSource)) delete spec.dataSource
  Object.assign(spec, withBothSources(spec))
}

function withBothSources({ dataSource, dataSourceRef, ...spec }: PersistentVolumeClaimSpec): PersistentVolumeClaimSpec {
  const reference = dataSourceRef ?? (dataSource && bare(dataSource))
  const plain = dataSource ?? (dataSourceRef && !dataSourceRef.namespace ? bare(dataSourceRef) : undefined)
  return { ...spec, ...(plain && { dataSource: plain }), ...(reference && { dataSourceRef: reference }) }
}

const bare = ({ apiGroup, kind, name }: TypedLocalObjectReference): TypedLocalObjectReference => ({ ...(apiGroup !== undefined && { apiGroup }), kind, name })

function isClaimOrSnapshot({ apiGroup = '', kind }: TypedLocalObjectReference): boolean {
  return (kind === 'PersistentVolumeClaim' && apiGroup === '') || (kind === 'VolumeSnapshot' && apiGroup === 'snapshot.storage.k8s.io')
}

/** Of a status, which is not read as one of a spec is. */
function wholeAmount(at: string, value: string): FieldError[] {
  const parsed = tryParseQuantity(value)
  if (!parsed.ok) return [invalid(at, value, parsed.message)]
  return parsed.quantity.nano < 0n ? [invalid(at, -Number((-parsed.quantity.nano) / 1_000_000_000n), 'must be a valid resource quantity')] : []
}

function validateDataSource(at: string, source: TypedLocalObjectReference): FieldError[] {
  const out = (['name', 'kind'] as const).flatMap((key) => (source[key] ? [] : [required(`${at}.${key}`)]))
  if (source.apiGroup) return [...out, ...named(`${at}.apiGroup`, source.apiGroup, checkDnsSubdomain)]
  return source.kind === 'PersistentVolumeClaim' ? out : [...out, invalid(at, source.kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup")]
}

/** Upstream `ValidatePersistentVolumeClaimStatusUpdate`. */
export function validateClaimStatus(claim: PersistentVolumeClaim): FieldError[] {
  const status = claim.status ?? {}
  const key = (at: string, name: string): FieldError[] => {
    const out = named(at, name, checkQualifiedName)
    return out.length === 0 && isNativeResource(name) && name !== 'storage' ? [notSupported(at, name, ['storage'])] : out
  }
  const out: FieldError[] = (claim.spec?.accessModes ?? []).length === 0 ? [required('Spec.accessModes')] : []
  for (const [name, value] of Object.entries(status.capacity ?? {})) out.push(...wholeAmount(`status.capacity[${name}]`, value))
  for (const [name, state] of Object.entries(status.allocatedResourceStatuses ?? {})) {
    out.push(...key('status.allocatedResourceStatuses', name))
    if (!RESIZE_STATES.includes(state)) out.push(notSupported('status.allocatedResourceStatuses', name, RESIZE_STATES))
  }
  for (const [name, value] of Object.entries(status.allocatedResources ?? {})) {
    const unknown = key('status.allocatedResources', name)
    out.push(...(unknown.length > 0 ? unknown : quantity(`status.allocatedResources[${name}]`, value)))
  }
  return out
}

/** What may change about a claim once made: its volume once, its class from none, its size while bound (upstream `ValidatePersistentVolumeClaimUpdate`). */
export function validateClaimChange(claim: PersistentVolumeClaim, old: PersistentVolumeClaim): FieldError[] {
  const [spec, before] = [claim.spec ?? {}, old.spec ?? {}]
  const out: FieldError[] = []
  const classOf = (c: PersistentVolumeClaim): string => c.metadata?.annotations?.[CLASS_ANNOTATION] ?? ''
  if (!takesClassFromAnnotation(claim, old) && classOf(claim) !== classOf(old)) out.push(invalid(`metadata.annotations.${CLASS_ANNOTATION}`, classOf(claim), 'field is immutable'))
  const bound = claim.status?.phase === 'Bound'
  if (!semanticEqual(fixed(claim, old, bound), fixed(old, old, bound))) out.push(forbidden('spec', 'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims'))
  const [size, sizeBefore] = [spec.resources?.requests?.['storage'] ?? '0', before.resources?.requests?.['storage'] ?? '0']
  const comparable = [size, sizeBefore].every((text) => tryParseQuantity(text).ok)
  if (comparable && compareQuantity(size, sizeBefore) < 0 && compareQuantity(size, old.status?.capacity?.['storage'] ?? '0') <= 0) out.push(forbidden('spec.resources.requests.storage', 'field can not be less than status.capacity'))
  out.push(...immutable('volumeMode', spec.volumeMode, before.volumeMode))
  const isApplied = old.status?.currentVolumeAttributesClassName !== undefined
  if (isApplied && before.volumeAttributesClassName !== spec.volumeAttributesClassName && !spec.volumeAttributesClassName) {
    out.push(forbidden('spec.volumeAttributesClassName', `update to ${spec.volumeAttributesClassName === undefined ? 'nil' : 'empty string'} is forbidden when status.currentVolumeAttributesClassName is not nil`))
  }
  return out
}

/** From the annotation of old to the field: the annotation may go with it. */
function takesClassFromAnnotation(claim: PersistentVolumeClaim, old: PersistentVolumeClaim): boolean {
  const [now, was] = [claim.metadata?.annotations?.[CLASS_ANNOTATION], old.metadata?.annotations?.[CLASS_ANNOTATION]]
  return was !== undefined && old.spec?.storageClassName === undefined && claim.spec?.storageClassName === was && (now === undefined || now === was)
}

/** What may not change, and what changes only while unbound. */
function fixed(claim: PersistentVolumeClaim, old: PersistentVolumeClaim, bound: boolean): unknown {
  const { volumeAttributesClassName, volumeName, storageClassName, resources, ...rest } = withBothSources(claim.spec ?? {})
  const { storage: _s, ...others } = resources?.requests ?? {}
  const was = old.metadata?.annotations?.[CLASS_ANNOTATION]
  // A claim without a class may be given one later (KEP-3333), unless the annotation names another.
  const mayGetClass = old.spec?.storageClassName === undefined && (was === undefined || storageClassName === was)
  return {
    ...rest,
    volumeName: old.spec?.volumeName ? volumeName : undefined,
    storageClassName: mayGetClass ? undefined : storageClassName,
    volumeAttributesClassName: bound ? old.spec?.volumeAttributesClassName : volumeAttributesClassName,
    resources: bound && resources?.requests ? { ...resources, requests: others } : resources,
  }
}
