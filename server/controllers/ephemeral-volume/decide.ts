/** Which claims of a pod's ephemeral volumes are missing, or somebody else's. Pure. */
import { PODS, isPodTerminal, type PersistentVolumeClaim, type Pod, type Stored } from '#api/types/index.ts'
import { nothing, type Decision } from '#base/reconcile/action.ts'
import { controllerReference } from '../ownership.ts'

export interface EphemeralView { pod: Stored<Pod>; claimOf: (name: string) => Stored<PersistentVolumeClaim> | undefined }

export type EphemeralAction =
  | { kind: 'createClaim'; volume: string; claim: PersistentVolumeClaim }
  | { kind: 'conflict'; volume: string; name: string }

export function decideEphemeral({ pod, claimOf }: EphemeralView): Decision<EphemeralAction> {
  if (pod.metadata.deletionTimestamp !== undefined || isPodTerminal(pod)) return nothing('it needs none any more')
  const actions = (pod.spec?.volumes ?? []).flatMap(({ name: volume, ephemeral }): EphemeralAction[] => {
    const template = ephemeral?.volumeClaimTemplate
    if (!template) return []
    const name = `${pod.metadata.name}-${volume}`
    const found = claimOf(name)
    if (found) return found.metadata.ownerReferences?.some((o) => o.controller === true && o.uid === pod.metadata.uid) ? [] : [{ kind: 'conflict', volume, name }]
    const { labels, annotations } = template.metadata ?? {}
    return [{
      kind: 'createClaim', volume,
      claim: {
        apiVersion: 'v1', kind: 'PersistentVolumeClaim', spec: template.spec,
        metadata: { name, ...(pod.metadata.namespace !== undefined && { namespace: pod.metadata.namespace }), ...(labels && { labels }), ...(annotations && { annotations }), ownerReferences: [controllerReference(PODS, pod)] },
      },
    }]
  })
  return { actions, because: `${actions.length} claims to make` }
}
