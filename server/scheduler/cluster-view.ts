/**
 * The scheduler's picture of the cluster: nodes with the pods placed on them, kept by changes rather than rebuilt.
 * A placement that was decided but is not yet seen in the informer is assumed, so that the next decision counts it.
 */
import { keyOf, type Node, type Pod, type Stored } from '#api/types/index.ts'
import { isPodTerminal } from '#api/types/pods.ts'
import { nodeInfo, podInfo, type NodeInfo, type PodInfo, type Snapshot } from './node-info.ts'

export interface ClusterView {
  setNode(before: Stored<Node> | undefined, after: Stored<Node> | undefined): void
  setPod(before: Stored<Pod> | undefined, after: Stored<Pod> | undefined): void
  /** Counts the pod on `nodeName` until the informer shows it there, or `forget`. */
  assume(pod: PodInfo, nodeName: string): void
  forget(key: string): void
  isAssumed(key: string): boolean
  snapshot(): Snapshot
}

export function createClusterView(namespaceLabels: Snapshot['namespaceLabels']): ClusterView {
  const nodes = new Map<string, Stored<Node>>()
  /** Pods by node: also of nodes not known (yet). */
  const placed = new Map<string, Map<string, PodInfo>>()
  const assumed = new Map<string, string>()
  const built = new Map<string, NodeInfo>()
  let all: readonly NodeInfo[] | undefined

  const touch = (nodeName: string) => {
    built.delete(nodeName)
    all = undefined
  }
  const remove = (nodeName: string, key: string) => {
    const pods = placed.get(nodeName)
    if (!pods?.delete(key)) return
    if (pods.size === 0) placed.delete(nodeName)
    touch(nodeName)
  }
  const put = (nodeName: string, info: PodInfo) => {
    const pods = placed.get(nodeName) ?? new Map<string, PodInfo>()
    placed.set(nodeName, pods)
    pods.set(info.key, info)
    touch(nodeName)
  }
  const forget = (key: string) => {
    const nodeName = assumed.get(key)
    if (nodeName === undefined) return
    assumed.delete(key)
    remove(nodeName, key)
  }

  return {
    setNode(before, after) {
      const name = (after ?? before)?.metadata.name ?? ''
      if (after) nodes.set(name, after)
      else nodes.delete(name)
      touch(name)
    },
    setPod(before, after) {
      const key = keyOf(after ?? before ?? {})
      const now = after && !isPodTerminal(after) ? after.spec?.nodeName : undefined
      if (now || !after) forget(key)
      const was = before?.spec?.nodeName
      if (was && was !== now) remove(was, key)
      if (now && after) put(now, podInfo(after))
    },
    assume(pod, nodeName) {
      assumed.set(pod.key, nodeName)
      put(nodeName, pod)
    },
    forget,
    isAssumed: (key) => assumed.has(key),
    snapshot() {
      all ??= [...nodes.values()].map((node) => {
        const name = node.metadata.name
        const info = built.get(name) ?? nodeInfo(node, [...(placed.get(name)?.values() ?? [])])
        built.set(name, info)
        return info
      })
      return { nodes: all, namespaceLabels }
    },
  }
}
