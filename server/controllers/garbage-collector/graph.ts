/** Who owns whom, over all kinds: what the metadata informers show, indexed by uid. Keeps nothing but what it needs. */
import type { KubeObject, OwnerReference, ResourceRef, Stored } from '#api/types/index.ts'

export const FOREGROUND = 'foregroundDeletion'
export const ORPHAN = 'orphan'

export interface GraphNode {
  readonly ref: ResourceRef
  readonly uid: string
  readonly name: string
  /** '' for cluster-scoped objects. */
  readonly namespace: string
  readonly resourceVersion: string
  readonly owners: readonly OwnerReference[]
  readonly finalizers: readonly string[]
  readonly deleting: boolean
}

export interface Graph {
  get(uid: string): GraphNode | undefined
  /** What names this uid as an owner. */
  dependentsOf(uid: string): GraphNode[]
  all(): Iterable<GraphNode>
  put(node: GraphNode): void
  remove(uid: string): void
}

export function createGraph(): Graph {
  const nodes = new Map<string, GraphNode>()
  const dependents = new Map<string, Set<string>>()

  const unlink = (node: GraphNode) => {
    for (const { uid } of node.owners) {
      const set = dependents.get(uid)
      set?.delete(node.uid)
      if (set?.size === 0) dependents.delete(uid)
    }
  }
  return {
    get: (uid) => nodes.get(uid),
    dependentsOf: (uid) => [...(dependents.get(uid) ?? [])].flatMap((d) => nodes.get(d) ?? []),
    all: () => nodes.values(),
    put(node) {
      const before = nodes.get(node.uid)
      if (before) unlink(before)
      nodes.set(node.uid, node)
      for (const { uid } of node.owners) {
        const set = dependents.get(uid)
        if (set) set.add(node.uid)
        else dependents.set(uid, new Set([node.uid]))
      }
    },
    remove(uid) {
      const before = nodes.get(uid)
      if (before) unlink(before)
      nodes.delete(uid)
    },
  }
}

const NONE: readonly never[] = []

export function graphNode(ref: ResourceRef, object: Stored<KubeObject>): GraphNode {
  const { uid, name, namespace, resourceVersion, ownerReferences, finalizers, deletionTimestamp } = object.metadata
  return {
    ref, uid, name, resourceVersion, namespace: namespace ?? '', deleting: deletionTimestamp !== undefined,
    owners: ownerReferences ?? NONE, finalizers: finalizers ?? NONE,
  }
}

/** For the informers' caches: the rest of the metadata is of no use here and would cost a board megabytes. */
export function slimmed(object: Stored<KubeObject>): Stored<KubeObject> {
  const { name, namespace, uid, resourceVersion, creationTimestamp, deletionTimestamp, ownerReferences, finalizers } = object.metadata
  const metadata = {
    name, uid, resourceVersion, creationTimestamp, ...(namespace !== undefined && { namespace }), ...(deletionTimestamp !== undefined && { deletionTimestamp }),
    ...(ownerReferences && { ownerReferences }), ...(finalizers && { finalizers }),
  }
  return { metadata }
}
