/**
 * Which objects belong to which node: node <- pod <- secret, configmap, claim, service account; claim <- volume <-
 * secret; node <- volume attachment. Kept as counts, changed by what changed: a check is two map lookups.
 */
import type { Informers } from '#api/client/client.ts'
import { PODS, type Pod, type Stored } from '#api/types/index.ts'

export type GraphKind = 'pod' | 'secret' | 'configmap' | 'pvc' | 'serviceAccount'

export interface NodeGraph {
  /** The pod as it was and as it is; undefined for created and gone. */
  podChanged(before: Pod | undefined, after: Pod | undefined): void
  belongs(node: string, kind: GraphKind, namespace: string, name: string): boolean
  /** How many objects it knows, for tests and metrics. */
  readonly size: number
}

export function createNodeGraph(): NodeGraph {
  /** `kind:namespace/name` → node → how many pods say so. */
  const owners = new Map<string, Map<string, number>>()
  const count = (key: string, node: string, by: 1 | -1) => {
    const nodes = owners.get(key) ?? new Map<string, number>()
    const next = (nodes.get(node) ?? 0) + by
    if (next > 0) nodes.set(node, next)
    else nodes.delete(node)
    if (nodes.size > 0) owners.set(key, nodes)
    else owners.delete(key)
  }
  return {
    podChanged(before, after) {
      const was = references(before)
      const is = references(after)
      if (was.node === is.node && was.keys.length === is.keys.length && was.keys.every((k, i) => k === is.keys[i])) return
      // Added before removed: an object used by both is never without owner for an instant.
      if (is.node !== undefined) for (const key of is.keys) count(key, is.node, 1)
      if (was.node !== undefined) for (const key of was.keys) count(key, was.node, -1)
    },
    belongs: (node, kind, namespace, name) => (owners.get(`${kind}:${namespace}/${name}`)?.get(node) ?? 0) > 0,
    get size() { return owners.size },
  }
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
  return { node, keys: [...keys] }
}

/** Feeds the graph from a pod informer that whoever made it starts. Returns the unsubscribe. */
export function feedNodeGraph(graph: NodeGraph, informers: Informers): () => void {
  const pods = informers.of<Pod>(PODS)
  for (const pod of pods.list()) graph.podChanged(undefined, pod)
  return pods.onChange((before: Stored<Pod> | undefined, after: Stored<Pod> | undefined) => graph.podChanged(before, after))
}

