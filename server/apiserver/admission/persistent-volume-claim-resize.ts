/** PersistentVolumeClaimResize: only bound claims grow, and only where their class says that they can. */
import { compareQuantity, STORAGE_CLASSES, type PersistentVolumeClaim, type StorageClass } from '#api/types/index.ts'
import { isReason } from '#api/client/client.ts'
import type { AdmissionApi, AdmissionPlugin, AdmissionRequest, Refusal } from '../admission.ts'
import { isFor, refuse } from './refuse.ts'

export const persistentVolumeClaimResize: AdmissionPlugin = {
  name: 'PersistentVolumeClaimResize',
  validate(request, api) {
    return !isFor(request, '', 'persistentvolumeclaims') || request.subresource !== '' || request.operation !== 'UPDATE' ? undefined : checkResize(request, api)
  },
}

async function checkResize(request: AdmissionRequest, api: AdmissionApi): Promise<Refusal | undefined> {
  const [claim, old] = [request.object as PersistentVolumeClaim, request.old as PersistentVolumeClaim]
  const sizeOf = (of: PersistentVolumeClaim): string => of.spec?.resources?.requests?.['storage'] ?? '0'
  if (compareQuantity(sizeOf(claim), sizeOf(old)) <= 0) return undefined
  if (old.status?.phase !== 'Bound') return refuse('Only bound persistent volume claims can be expanded')
  return (await mayGrow(claim, old, api)) ? undefined : refuse('only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize')
}

async function mayGrow(claim: PersistentVolumeClaim, old: PersistentVolumeClaim, api: AdmissionApi): Promise<boolean> {
  const classOf = (of: PersistentVolumeClaim): string => of.metadata?.annotations?.['volume.beta.kubernetes.io/storage-class'] ?? of.spec?.storageClassName ?? ''
  const name = classOf(claim)
  if (name === '' || classOf(old) === '') return false
  try {
    return (await api.client.get<StorageClass>(STORAGE_CLASSES, name)).allowVolumeExpansion === true
  } catch (error) {
    if (isReason(error, 'NotFound')) return false
    throw error
  }
}
