/**
 * A node gets tokens only for audiences that the pod itself asks for (KEP-4412, ServiceAccountNodeAudienceRestriction): by a
 * projected volume, or through a CSI driver that one of its volumes uses; others need RBAC.
 */
import { CSI_DRIVERS, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, type CSIDriver, type KubeObject, type PersistentVolume, type PersistentVolumeClaim, type Pod, type ResourceRef } from '#api/types/index.ts'
import { isReason } from '#api/client/client.ts'
import type { AdmissionApi, AdmissionRequest, Refusal } from '../admission.ts'
import { qualified } from '../http/status.ts'
import { refuse } from './refuse.ts'

export async function audienceRefusal(audiences: readonly string[], pod: Pod, request: AdmissionRequest, api: AdmissionApi): Promise<Refusal | undefined> {
  if (audiences.length > 1) return refuse('node may only request 0 or 1 audiences')
  const audience = audiences[0] ?? ''
  const asked = await podAsksFor(audience, pod, request.namespace, api)
  if (typeof asked === 'string') return refuse(`error validating audience ${JSON.stringify(audience)}: ${asked}`)
  if (asked) return undefined
  // The audience stands in the resource's place.
  const { allowed } = await api.authorizer.authorize({ user: request.user, verb: 'request-serviceaccounts-token-audience', resource: { group: '', version: 'v1', resource: audience, subresource: '', namespace: request.namespace, name: request.name } })
  return allowed ? undefined : refuse(`audience "${audience}" not found in pod spec volume, ${request.user.name} is not authorized to request tokens for this audience`)
}

/** Or what is missing, where nothing that is there asks for it: then nobody is asked whether the node may all the same, as upstream. */
async function podAsksFor(audience: string, pod: Pod, namespace: string, api: AdmissionApi): Promise<boolean | string> {
  const missing = new Set<string>()
  for (const volume of pod.spec?.volumes ?? []) {
    if (volume.projected?.sources?.some((s) => s.serviceAccountToken && (s.serviceAccountToken.audience ?? '') === audience)) return true
    const claim = volume.persistentVolumeClaim?.claimName ?? (volume.ephemeral && `${pod.metadata?.name ?? ''}-${volume.name}`)
    const name = volume.csi?.driver ?? (claim === undefined ? undefined : await driverOf(claim, namespace, api))
    const driver = name === undefined || typeof name === 'object' ? name : await find<CSIDriver>(CSI_DRIVERS, name, '', api)
    if (driver === undefined) continue
    if ('missing' in driver) missing.add(driver.missing)
    else if (driver.spec?.tokenRequests?.some((t) => (t.audience ?? '') === audience)) return true
  }
  if (missing.size === 0) return false
  return missing.size === 1 ? [...missing].join('') : `[${[...missing].join(', ')}]`
}

async function driverOf(claim: string, namespace: string, api: AdmissionApi): Promise<string | Missing | undefined> {
  const claimed = await find<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, claim, namespace, api)
  if ('missing' in claimed) return claimed
  const volume = await find<PersistentVolume>(PERSISTENT_VOLUMES, claimed.spec?.volumeName ?? '', '', api)
  return 'missing' in volume ? volume : volume.spec?.csi?.driver
}

interface Missing { missing: string }

/** In the words of upstream's listers, which name the kind. */
async function find<T extends KubeObject>(ref: ResourceRef, name: string, namespace: string, api: AdmissionApi): Promise<T | Missing> {
  const missing = { missing: `${qualified({ group: ref.group, resource: ref.kind.toLowerCase() })} ${JSON.stringify(name)} not found` }
  if (name === '') return missing
  try {
    return await api.client.get<T>(ref, name, namespace)
  } catch (error) {
    if (isReason(error, 'NotFound')) return missing
    throw error
  }
}
