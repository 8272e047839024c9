/** Controller references: who owns what, and how matching orphans are adopted and strangers released. Pure. */
import { apiVersionOf, type KubeObject, type LabelMatcher, type OwnerReference, type ResourceRef, type Stored } from '#api/types/index.ts'

export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata?.ownerReferences?.find((o) => o.controller === true)
}

export function controllerReference(ref: ResourceRef, owner: Stored<KubeObject>): OwnerReference {
  return { apiVersion: apiVersionOf(ref), kind: ref.kind, name: owner.metadata.name, uid: owner.metadata.uid, controller: true, blockOwnerDeletion: true }
}

/** Informer index: children by their controller's uid, and orphans by namespace. */
export const BY_CONTROLLER = 'controller'
export function byController(object: KubeObject): string[] {
  const owner = controllerOf(object)
  return [owner ? owner.uid : `orphan/${object.metadata?.namespace ?? ''}`]
}
export const orphansOf = (namespace: string): string => `orphan/${namespace}`

export interface Claims<T extends KubeObject> {
  /** Owned and matching. */
  owned: Stored<T>[]
  /** Match, belong to nobody. */
  adopt: Stored<T>[]
  /** Owned, no longer match. */
  release: Stored<T>[]
}

/** `candidates`: what the owner owns, and the orphans of its namespace. A dying owner adopts nothing. */
export function claim<T extends KubeObject>(owner: Stored<KubeObject>, matcher: LabelMatcher, candidates: readonly Stored<T>[]): Claims<T> {
  const claims: Claims<T> = { owned: [], adopt: [], release: [] }
  const dying = owner.metadata.deletionTimestamp !== undefined
  for (const object of candidates) {
    const matches = matcher.matches(object.metadata.labels)
    const controller = controllerOf(object)
    if (controller) {
      if (controller.uid !== owner.metadata.uid) continue
      if (matches) claims.owned.push(object)
      else if (!dying) claims.release.push(object)
    } else if (matches && !dying && object.metadata.deletionTimestamp === undefined) {
      claims.adopt.push(object)
    }
  }
  return claims
}

/** Strategic merge patches as upstream's ControllerRefManager sends them; the uid keeps a namesake from being changed. */
export function adoptPatch(reference: OwnerReference, uid: string): unknown {
  return { metadata: { ownerReferences: [reference], uid } }
}

export function releasePatch(ownerUid: string, uid: string): unknown {
  return { metadata: { ownerReferences: [{ $patch: 'delete', uid: ownerUid }], uid } }
}
