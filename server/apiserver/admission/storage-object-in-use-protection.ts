/** StorageObjectInUseProtection: volumes, claims and attribute classes are born with the finalizer that their protection controllers remove. */
import type { AdmissionPlugin } from '../admission.ts'

/** By `group/resource`. */
const FINALIZERS: ReadonlyMap<string, string> = new Map([
  ['/persistentvolumeclaims', 'kubernetes.io/pvc-protection'],
  ['/persistentvolumes', 'kubernetes.io/pv-protection'],
  ['storage.k8s.io/volumeattributesclasses', 'kubernetes.io/vac-protection'],
])

export const storageObjectInUseProtection: AdmissionPlugin = {
  name: 'StorageObjectInUseProtection',
  mutate(request) {
    const finalizer = FINALIZERS.get(`${request.ref.group}/${request.ref.resource}`)
    if (finalizer === undefined || request.operation !== 'CREATE' || request.subresource !== '' || !request.object) return Promise.resolve(undefined)
    const meta = (request.object.metadata ??= {})
    if (!meta.finalizers?.includes(finalizer)) meta.finalizers = [...(meta.finalizers ?? []), finalizer]
    return Promise.resolve(undefined)
  },
}
