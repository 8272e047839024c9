/**
 * A node gets tokens only for audiences that the pod itself asks for (KEP-4412, ServiceAccountNodeAudienceRestriction): by a
 * projected volume, or through a CSI driver that one of its volumes uses; others need RBAC.
 */
import { CSI_DRIVERS, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, type CSIDriver, type KubeObject, type PersistentVolume, type PersistentVolumeClaim, type Pod, type ResourceRef } from '#api/types/index.ts'
import { isReason } from '#api/client/client.ts'
import type { AdmissionApi, AdmissionRequest, Refusal } from '../admission.ts'
import { refuse } from './refuse.ts'

export async function audienceRefusal(audiences: readonly string[], pod: Pod, request: AdmissionRequest, api: AdmissionApi): Promise<Refusal | undefined> {
  if (audiences.length > 1) return refuse('node may only request 0 or 1 audiences')
  const audience = audiences[0] ?? ''
  if (await podAsksFor(audience, pod, request.namespace, api)) return undefined
  // The audience stands in the resource's place.
  const { allowed } = await api.authorizer.authorize({ user: request.user, verb: 'request-serviceaccounts-token-audience', resource: { group: '', version: 'v1', resource: audience, subresource: '', namespace: request.namespace, name: request.name } })
  return allowed ? undefined : refuse(`audience "${audience}" not found in pod spec volume, ${request.user.name} is not authorized to request tokens for this audience`)
}

async function podAsksFor(audience: string, pod: Pod, namespace: string, api: AdmissionApi): Promise<boolean> {
  for (const volume of pod.spec?.volumes ?? []) {
    if (volume.projected?.sources?.some((s) => s.serviceAccountToken && (s.serviceAccountToken.audience ?? '') === audience)) return true
    const claim = volume.persistentVolumeClaim?.claimName ?? (volume.ephemeral && `${pod.metadata?.name ?? ''}-${volume.name}`)
    const driver = volume.csi?.driver ?? (claim === undefined ? undefined : await driverOf(claim, namespace, api))
    if (driver !== undefined && (await find<CSIDriver>(CSI_DRIVERS, driver, '', api))?.spec?.tokenRequests?.some((t) => (t.audience ?? '') === audience)) return true
  }
  return false
}

async function driverOf(claim: string, namespace: string, api: AdmissionApi): Promise<string | undefined> {
  const volume = (await find<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, claim, namespace, api))?.spec?.volumeName
  return volume ? (await find<PersistentVolume>(PERSISTENT_VOLUMES, volume, '', api))?.spec?.csi?.driver : undefined
}

async function find<T extends KubeObject>(ref: ResourceRef, name: string, namespace: string, api: AdmissionApi): Promise<T | undefined> {
  try {
    return await api.client.get<T>(ref, name, namespace)
  } catch (error) {
    if (isReason(error, 'NotFound')) return undefined
    throw error
  }
}
