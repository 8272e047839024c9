/** The spec of a PersistentVolumeClaim, of its own or in a template (upstream `ValidatePersistentVolumeClaimSpec`). */
import type { PersistentVolumeClaim, PersistentVolumeClaimSpec } from '#api/types/index.ts'
import { checkDnsSubdomain, compareQuantity, tryParseQuantity } from '#api/types/index.ts'
import { type FieldError, forbidden, invalid, required } from '../field-error.ts'
import { checkLabelSelector, immutable, named, oneOf, quantity } from './check.ts'
import { semanticEqual } from './semantic-equal.ts'

export const ACCESS_MODES = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod']

export function validateClaimSpec(at: string, spec: PersistentVolumeClaimSpec): FieldError[] {
  const out: FieldError[] = []
  if ((spec.accessModes ?? []).length === 0) out.push(required(`${at}.accessModes`, 'at least 1 access mode is required'))
  for (const mode of spec.accessModes ?? []) out.push(...oneOf(`${at}.accessModes`, mode, ACCESS_MODES))
  out.push(...checkLabelSelector(`${at}.selector`, spec.selector))
  if ((spec.accessModes ?? []).length > 1 && spec.accessModes?.includes('ReadWriteOncePod')) out.push(forbidden(`${at}.accessModes`, 'may not use ReadWriteOncePod with other access modes'))
  const storage = spec.resources?.requests?.['storage']
  if (storage === undefined) out.push(required(`${at}.resources[storage]`))
  else {
    const problems = quantity(`${at}.resources[storage]`, storage)
    out.push(...problems)
    if (problems.length === 0 && storage === '0') out.push(invalid(`${at}.resources[storage]`, storage, 'must be greater than zero'))
  }
  if (spec.storageClassName) out.push(...named(`${at}.storageClassName`, spec.storageClassName, checkDnsSubdomain))
  if (spec.volumeAttributesClassName) out.push(...named(`${at}.volumeAttributesClassName`, spec.volumeAttributesClassName, checkDnsSubdomain))
  return [...out, ...oneOf(`${at}.volumeMode`, spec.volumeMode, ['Block', 'Filesystem'])]
}

/** What may change about a claim once made: its volume once, its class from none, its size while bound (upstream `ValidatePersistentVolumeClaimUpdate`). */
export function validateClaimChange(claim: PersistentVolumeClaim, old: PersistentVolumeClaim): FieldError[] {
  const [spec, before] = [claim.spec ?? {}, old.spec ?? {}]
  const out: FieldError[] = []
  if (!semanticEqual(fixed(claim, old), fixed(old, old))) out.push(forbidden('spec', 'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims'))
  const [size, sizeBefore] = [spec.resources?.requests?.['storage'] ?? '0', before.resources?.requests?.['storage'] ?? '0']
  const comparable = [size, sizeBefore].every((text) => tryParseQuantity(text).ok)
  if (comparable && compareQuantity(size, sizeBefore) < 0 && compareQuantity(size, old.status?.capacity?.['storage'] ?? '0') <= 0) out.push(forbidden('spec.resources.requests.storage', 'field can not be less than status.capacity'))
  out.push(...immutable('volumeMode', spec.volumeMode, before.volumeMode))
  if (before.volumeAttributesClassName !== undefined && spec.volumeAttributesClassName === undefined) out.push(forbidden('spec.volumeAttributesClassName', 'update from non-nil value to nil is forbidden'))
  return out
}

function fixed(claim: PersistentVolumeClaim, old: PersistentVolumeClaim): unknown {
  const { volumeAttributesClassName: _v, volumeName, storageClassName, resources, ...rest } = claim.spec ?? {}
  const { storage: _s, ...others } = resources?.requests ?? {}
  return {
    ...rest,
    volumeName: old.spec?.volumeName ? volumeName : undefined,
    // A claim without a class may be given one later (KEP-3333).
    storageClassName: old.spec?.storageClassName === undefined ? undefined : storageClassName,
    resources: old.status?.phase === 'Bound' ? { ...resources, requests: others } : resources,
  }
}
