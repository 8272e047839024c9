/**
 * Which objects belong to which node: node <- pod <- secret, configmap, claim, service account; claim <- volume <-
 * secret. Kept as counts, changed by what changed: a check is a few map lookups.
 */
import type { Informers } from '#api/client/client.ts'
import { PERSISTENT_VOLUMES, PODS, RESOURCE_SLICES, VOLUME_ATTACHMENTS, type PersistentVolume, type Pod, type ResourceSlice, type Stored, type VolumeAttachment } from '#api/types/index.ts'

export type GraphKind = 'pod' | 'secret' | 'configmap' | 'pvc' | 'pv' | 'serviceAccount' | 'resourceClaim' | 'volumeAttachment' | 'resourceSlice'

export interface NodeGraph {
  /** The pod as it was and as it is; undefined for created and gone. */
  podChanged(before: Pod | undefined, after: Pod | undefined): void
  volumeChanged(before: PersistentVolume | undefined, after: PersistentVolume | undefined): void
  /** An object that names its node itself: a VolumeAttachment, a ResourceSlice. */
  nodeObjectChanged(kind: 'volumeAttachment' | 'resourceSlice', name: string, before: string | undefined, after: string | undefined): void
  belongs(node: string, kind: GraphKind, namespace: string, name: string): boolean
  /** How many objects it knows, for tests and metrics. */
  readonly size: number
}

export function createNodeGraph(): NodeGraph {
  /** `kind:namespace/name` → node → how many pods say so. */
  const owners = new Map<string, Map<string, number>>()
  /** A volume, or a secret it needs: `kind:namespace/name` → the claims (`namespace/name`) through which it is reached. */
  const claims = new Map<string, Map<string, number>>()
  return {
    podChanged(before, after) {
      const was = references(before)
      const is = references(after)
      if (was.node === is.node && was.keys.length === is.keys.length && was.keys.every((k, i) => k === is.keys[i])) return
      // Added before removed: an object used by both is never without owner for an instant.
      if (is.node !== undefined) for (const key of is.keys) count(owners, key, is.node, 1)
      if (was.node !== undefined) for (const key of was.keys) count(owners, key, was.node, -1)
    },
    volumeChanged(before, after) {
      for (const [volume, by] of [[after, 1], [before, -1]] as const) {
        const claim = volume?.spec?.claimRef
        if (volume && claim?.name !== undefined) for (const key of volumeReferences(volume)) count(claims, key, `${claim.namespace ?? ''}/${claim.name}`, by)
      }
    },
    nodeObjectChanged(kind, name, before, after) {
      if (before === after) return
      if (after !== undefined && after !== '') count(owners, `${kind}:/${name}`, after, 1)
      if (before !== undefined && before !== '') count(owners, `${kind}:/${name}`, before, -1)
    },
    belongs(node, kind, namespace, name) {
      const key = `${kind}:${namespace}/${name}`
      if (owners.get(key)?.has(node)) return true
      const through = claims.get(key)
      return through !== undefined && through.keys().some((claim) => owners.get(`pvc:${claim}`)?.has(node))
    },
    get size() { return owners.size + claims.size },
  }
}

function count(counts: Map<string, Map<string, number>>, key: string, by: string, change: 1 | -1): void {
  const inner = counts.get(key) ?? new Map<string, number>()
  const next = (inner.get(by) ?? 0) + change
  if (next > 0) inner.set(by, next)
  else inner.delete(by)
  if (inner.size > 0) counts.set(key, inner)
  else counts.delete(key)
}

/** The volume itself and the secrets its driver needs on the node (upstream's VisitPVSecretNames). */
function volumeReferences({ metadata, spec }: PersistentVolume): string[] {
  const { csi, cephfs, rbd, iscsi, flexVolume, azureFile, storageos, scaleIO } = spec ?? {}
  const secrets = [csi?.nodePublishSecretRef, csi?.nodeStageSecretRef, csi?.nodeExpandSecretRef, cephfs?.secretRef, rbd?.secretRef, iscsi?.secretRef, flexVolume?.secretRef, storageos?.secretRef, scaleIO?.secretRef, azureFile && { name: azureFile.secretName, namespace: azureFile.secretNamespace }]
  return [`pv:/${metadata?.name}`, ...secrets.flatMap((s) => (s?.name === undefined ? [] : [`secret:${s.namespace ?? spec?.claimRef?.namespace ?? ''}/${s.name}`]))]
}

/** Everything the pod's node may read because of this pod. Nothing before it is bound. */
function references(pod: Pod | undefined): { node: string | undefined; keys: string[] } {
  const node = pod?.spec?.nodeName
  if (!pod?.spec || node === undefined || node === '') return { node: undefined, keys: [] }
  const { spec } = pod
  const namespace = pod.metadata?.namespace ?? ''
  const keys = new Set<string>()
  const add = (kind: GraphKind, name: string | undefined) => { if (name !== undefined && name !== '') keys.add(`${kind}:${namespace}/${name}`) }
  add('pod', pod.metadata?.name)
  // A node makes mirror pods itself: they must not be a way to anything else (upstream's defence in depth).
  if (pod.metadata?.annotations?.['kubernetes.io/config.mirror'] !== undefined) return { node, keys: [...keys] }
  add('serviceAccount', spec.serviceAccountName)
  for (const secret of spec.imagePullSecrets ?? []) add('secret', secret.name)
  for (const container of [...(spec.initContainers ?? []), ...spec.containers, ...(spec.ephemeralContainers ?? [])]) {
    for (const from of container.envFrom ?? []) {
      add('secret', from.secretRef?.name)
      add('configmap', from.configMapRef?.name)
    }
    for (const env of container.env ?? []) {
      add('secret', env.valueFrom?.secretKeyRef?.name)
      add('configmap', env.valueFrom?.configMapKeyRef?.name)
    }
  }
  for (const volume of spec.volumes ?? []) {
    add('secret', volume.secret?.secretName)
    add('configmap', volume.configMap?.name)
    add('pvc', volume.persistentVolumeClaim?.claimName)
    if (volume.ephemeral) add('pvc', `${pod.metadata?.name}-${volume.name}`)
    add('secret', volume.csi?.nodePublishSecretRef?.name)
    add('secret', volume.cephfs?.secretRef?.name)
    add('secret', volume.flexVolume?.secretRef?.name)
    add('secret', volume.iscsi?.secretRef?.name)
    add('secret', volume.rbd?.secretRef?.name)
    add('secret', volume.scaleIO?.secretRef?.name)
    add('secret', volume.storageos?.secretRef?.name)
    add('secret', volume.azureFile?.secretName)
    for (const source of volume.projected?.sources ?? []) {
      add('secret', source.secret?.name)
      add('configmap', source.configMap?.name)
    }
  }
  for (const claim of spec.resourceClaims ?? []) {
    // A claim made from a template is only known by the pod's status; null there: none was needed.
    const made = pod.status?.resourceClaimStatuses?.find((s) => s.name === claim.name)
    add('resourceClaim', claim.resourceClaimName ?? made?.resourceClaimName)
  }
  add('resourceClaim', pod.status?.extendedResourceClaimStatus?.resourceClaimName)
  return { node, keys: [...keys] }
}

/** Feeds the graph from informers that whoever made them starts. `volumes`: the API serves PersistentVolumes. Returns the unsubscribe. */
export function feedNodeGraph(graph: NodeGraph, informers: Informers, { volumes = false } = {}): () => void {
  const pods = informers.of<Pod>(PODS)
  const stopPods = pods.onChange((before: Stored<Pod> | undefined, after: Stored<Pod> | undefined) => graph.podChanged(before, after))
  if (!volumes) return stopPods
  const persistent = informers.of<PersistentVolume>(PERSISTENT_VOLUMES)
  const stopVolumes = persistent.onChange((before, after) => graph.volumeChanged(before, after))
  const attachments = informers.of<VolumeAttachment>(VOLUME_ATTACHMENTS)
  const stopAttachments = attachments.onChange((before, after) => graph.nodeObjectChanged('volumeAttachment', (after ?? before)?.metadata.name ?? '', before?.spec.nodeName, after?.spec.nodeName))
  const slices = informers.of<ResourceSlice>(RESOURCE_SLICES)
  const stopSlices = slices.onChange((before, after) => graph.nodeObjectChanged('resourceSlice', (after ?? before)?.metadata.name ?? '', before?.spec.nodeName, after?.spec.nodeName))
  return () => { stopPods(); stopVolumes(); stopAttachments(); stopSlices() }
}

