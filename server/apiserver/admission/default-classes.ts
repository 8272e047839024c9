/** Claims and Ingresses that name no class get the one marked as default. */
import type { Ingress, IngressClass, KubeObject, PersistentVolumeClaim, ResourceRef, StorageClass, Stored } from '#api/types/index.ts'
import { STORAGE_CLASSES } from '#api/types/index.ts'
import type { AdmissionApi, AdmissionPlugin, AdmissionRequest, Refusal } from '../admission.ts'
import { isFor } from './refuse.ts'

const INGRESS_CLASSES: ResourceRef = { group: 'networking.k8s.io', version: 'v1', resource: 'ingressclasses', kind: 'IngressClass', namespaced: false }
const STORAGE_DEFAULT = ['storageclass.kubernetes.io/is-default-class', 'storageclass.beta.kubernetes.io/is-default-class']
const INGRESS_DEFAULT = 'ingressclass.kubernetes.io/is-default-class'

export const defaultStorageClass: AdmissionPlugin = {
  name: 'DefaultStorageClass',
  mutate(request, api) {
    return !isFor(request, '', 'persistentvolumeclaims') || request.operation !== 'CREATE' || request.subresource !== '' ? undefined : chooseStorageClass(request, api)
  },
}

async function chooseStorageClass(request: AdmissionRequest, api: AdmissionApi): Promise<Refusal | undefined> {
  const claim = request.object as PersistentVolumeClaim
  if (claim.spec?.storageClassName !== undefined || claim.metadata?.annotations?.['volume.beta.kubernetes.io/storage-class'] !== undefined) return undefined
  const { items } = await api.client.list<StorageClass>(STORAGE_CLASSES)
  const found = newest(items.filter((c) => STORAGE_DEFAULT.some((a) => c.metadata.annotations?.[a] === 'true')))
  if (found) (claim.spec ??= {}).storageClassName = found.metadata.name
  return undefined
}

export const defaultIngressClass: AdmissionPlugin = {
  name: 'DefaultIngressClass',
  mutate(request, api) {
    return !isFor(request, 'networking.k8s.io', 'ingresses') || request.operation !== 'CREATE' || request.subresource !== '' ? undefined : chooseIngressClass(request, api)
  },
}

async function chooseIngressClass(request: AdmissionRequest, api: AdmissionApi): Promise<Refusal | undefined> {
  const ingress = request.object as Ingress
  if (ingress.spec?.ingressClassName !== undefined || ingress.metadata?.annotations?.['kubernetes.io/ingress.class'] !== undefined) return undefined
  const { items } = await api.client.list<IngressClass>(INGRESS_CLASSES)
  const found = newest(items.filter((c) => c.metadata.annotations?.[INGRESS_DEFAULT] === 'true'))
  if (found) (ingress.spec ??= {}).ingressClassName = found.metadata.name
  return undefined
}

/** Of several made at the same time the first by name. */
function newest<T extends KubeObject>(marked: readonly Stored<T>[]): Stored<T> | undefined {
  return marked.toSorted((a, b) => b.metadata.creationTimestamp.localeCompare(a.metadata.creationTimestamp) || (a.metadata.name < b.metadata.name ? -1 : 1))[0]
}
