/** The spec of a PersistentVolumeClaim, of its own or in a template (upstream `ValidatePersistentVolumeClaimSpec`). */
import type { PersistentVolumeClaimSpec } from '#api/types/index.ts'
import { checkDnsSubdomain } from '#api/types/index.ts'
import { type FieldError, forbidden, invalid, required } from '../field-error.ts'
import { checkLabelSelector, named, oneOf, quantity } from './check.ts'

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
