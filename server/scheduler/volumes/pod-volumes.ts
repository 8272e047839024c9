/** What a pod's claims mean for where it can go, after upstream's volumebinding plugin. Pure. */
import type { Node, Pod, StorageClass, Stored } from '#api/types/index.ts'
import { matchesNodeSelector } from '#api/types/index.ts'
import { classOfClaim, findVolume, type Claim, type Volume } from '#api/types/volume-match.ts'
import { hasEnoughCapacity } from './storage-capacity.ts'
import type { VolumeLookup } from './volume-lookup.ts'

export interface PodVolumes {
  /** Volumes of bound claims; undefined: it is bound to one that does not exist. */
  bound: readonly (Volume | undefined)[]
  /** Claims of classes that wait for their first consumer. */
  waiting: readonly { claim: Claim; storageClass: Stored<StorageClass> }[]
  /** Used by one pod at a time in all of the cluster. */
  exclusive: readonly Claim[]
}

/** What is done once the pod's node is known. */
export interface NodeVolumes {
  bind: readonly { claim: Claim; volume: Volume }[]
  /** Whose volumes are to be made for this node. */
  provision: readonly Claim[]
}

const NO_PROVISIONER = 'kubernetes.io/no-provisioner'

/** `problem`: no node will do, in upstream's words. Undefined: the pod claims nothing. */
export function podVolumes(pod: Stored<Pod>, lookup: VolumeLookup): PodVolumes | { problem: string } | undefined {
  const namespace = pod.metadata.namespace ?? ''
  const bound: (Volume | undefined)[] = []
  const waiting: { claim: Claim; storageClass: Stored<StorageClass> }[] = []
  const exclusive: Claim[] = []
  let found = false
  for (const volume of pod.spec?.volumes ?? []) {
    const name = volume.persistentVolumeClaim?.claimName ?? (volume.ephemeral && `${pod.metadata.name}-${volume.name}`)
    if (name === undefined) continue
    found = true
    const claim = lookup.claim(namespace, name)
    if (!claim) return { problem: volume.ephemeral ? `waiting for ephemeral volume controller to create the persistentvolumeclaim "${name}"` : `persistentvolumeclaim "${name}" not found` }
    if (volume.ephemeral && !claim.metadata.ownerReferences?.some((o) => o.controller && o.uid === pod.metadata.uid)) return { problem: `PVC ${namespace}/${name} was not created for pod ${namespace}/${pod.metadata.name} (pod is not owner)` }
    if (claim.status?.phase === 'Lost') return { problem: `persistentvolumeclaim "${name}" bound to non-existent persistentvolume "${claim.spec?.volumeName ?? ''}"` }
    if (claim.metadata.deletionTimestamp !== undefined) return { problem: `persistentvolumeclaim "${name}" is being deleted` }
    if (claim.spec?.accessModes?.includes('ReadWriteOncePod')) exclusive.push(claim)
    if (claim.spec?.volumeName) {
      if (claim.metadata.annotations?.['pv.kubernetes.io/bind-completed'] === undefined) return { problem: UNBOUND }
      bound.push(lookup.volume(claim.spec.volumeName))
      continue
    }
    const storageClass = lookup.storageClass(classOfClaim(claim))
    if (storageClass?.volumeBindingMode !== 'WaitForFirstConsumer') return { problem: UNBOUND }
    waiting.push({ claim, storageClass })
  }
  return found ? { bound, waiting, exclusive } : undefined
}

const UNBOUND = 'pod has unbound immediate PersistentVolumeClaims'

/** How the waiting claims get volumes on the node; a text: why they cannot. */
export function volumesOn(node: Stored<Node>, { waiting }: PodVolumes, lookup: VolumeLookup): NodeVolumes | string {
  const bind: { claim: Claim; volume: Volume }[] = []
  const provision: Claim[] = []
  let free = lookup.volumes()
  for (const { claim, storageClass } of waiting) {
    const selected = claim.metadata.annotations?.['volume.kubernetes.io/selected-node']
    const volume = selected === undefined ? findVolume(claim, free, { waits: false, node }) : undefined
    if (volume) {
      bind.push({ claim, volume })
      free = free.filter((other) => other !== volume)
    } else if (storageClass.provisioner !== NO_PROVISIONER && (selected === undefined || selected === node.metadata.name) && isAllowed(node, storageClass)) {
      if (!hasEnoughCapacity(claim, storageClass, node, lookup)) return 'node(s) did not have enough free storage'
      provision.push(claim)
    } else {
      return "node(s) didn't find available persistent volumes to bind"
    }
  }
  return { bind, provision }
}

function isAllowed({ metadata }: Stored<Node>, { allowedTopologies = [] }: Stored<StorageClass>): boolean {
  if (allowedTopologies.length === 0) return true
  return allowedTopologies.some(({ matchLabelExpressions = [] }) => matchLabelExpressions.length > 0 && matchLabelExpressions.every(({ key, values }) => values.includes(metadata.labels?.[key] ?? '')))
}

/** Why the volumes of bound claims cannot be used on the node, in upstream's words. */
export function boundProblem(node: Stored<Node>, { bound }: PodVolumes): string | undefined {
  for (const volume of bound) {
    if (!volume) return 'node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)'
    const required = volume.spec?.nodeAffinity?.required
    if (required && !matchesNodeSelector(required, node)) return "node(s) didn't match PersistentVolume's node affinity"
  }
  return undefined
}
