/**
 * The scheduler's picture of the cluster: nodes with the pods placed on them, kept by changes rather than rebuilt.
 * A placement that was decided but is not yet seen in the informer is assumed, so that the next decision counts it.
 */
import { keyOf, type Node, type Pod, type Stored } from '#api/types/index.ts'
import { isPodTerminal, podPriority } from '#api/types/pods.ts'
import { nodeInfo, podInfo, type NodeInfo, type PodInfo, type Snapshot } from './node-info.ts'
import type { DeviceLookup } from './dynamic-resources/device-lookup.ts'
import type { VolumeLookup } from './volumes/volume-lookup.ts'

export interface ClusterView {
  setNode(before: Stored<Node> | undefined, after: Stored<Node> | undefined): void
  setPod(before: Stored<Pod> | undefined, after: Stored<Pod> | undefined): void
  /** Counts the pod on `nodeName` until the informer shows it there, or `forget`. */
  assume(pod: PodInfo, nodeName: string): void
  forget(key: string): void
  isAssumed(key: string): boolean
  /** As `pod` must see it: pods that were promised a node and are as important count on it (upstream's nominator). */
  snapshot(pod: PodInfo): Snapshot
  /** Promises a node to a pod before its status says so. */
  nominate(pod: PodInfo, nodeName: string): void
  /** Pods without a node that were promised this one. */
  nominatedTo(nodeName: string): readonly PodInfo[]
  /** How much it knows: pods that have a node, those that are assumed to among them. */
  sizes(): { nodes: number; pods: number; assumed: number }
}

export function createClusterView(namespaceLabels: Snapshot['namespaceLabels'], volumes?: VolumeLookup, devices?: DeviceLookup): ClusterView {
  const around = { namespaceLabels, ...(volumes && { volumes }), ...(devices && { devices }) }
  const nodes = new Map<string, Stored<Node>>()
  /** Pods by node: also of nodes not known (yet). */
  const placed = new Map<string, Map<string, PodInfo>>()
  const assumed = new Map<string, string>()
  /** Promised nodes by pod. */
  const nominated = new Map<string, { info: PodInfo; nodeName: string }>()
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
      const promised = after && !after.spec?.nodeName && !isPodTerminal(after) && !after.metadata.deletionTimestamp ? after.status?.nominatedNodeName : undefined
      if (after && promised) nominated.set(key, { info: podInfo(after), nodeName: promised })
      // What was decided a moment ago is not yet in what the informer tells.
      else if (!after || after.spec?.nodeName || after.metadata.deletionTimestamp !== undefined || before?.status?.nominatedNodeName) nominated.delete(key)
    },
    nominate(info, nodeName) { nominated.set(info.key, { info, nodeName }) },
    nominatedTo: (nodeName) => [...nominated.values()].filter((n) => n.nodeName === nodeName).map((n) => n.info),
    assume(pod, nodeName) {
      nominated.delete(pod.key)
      assumed.set(pod.key, nodeName)
      put(nodeName, pod)
    },
    forget,
    isAssumed: (key) => assumed.has(key),
    sizes: () => ({ nodes: nodes.size, pods: [...placed.values()].reduce((sum, pods) => sum + pods.size, 0), assumed: assumed.size }),
    snapshot(pod) {
      all ??= [...nodes.values()].map((node) => {
        const name = node.metadata.name
        const info = built.get(name) ?? nodeInfo(node, [...(placed.get(name)?.values() ?? [])])
        built.set(name, info)
        return info
      })
      const guests = [...nominated.values()].filter(({ info }) => info.key !== pod.key && podPriority(info.pod) >= podPriority(pod.pod))
      if (guests.length === 0) return { nodes: all, ...around }
      const nodesWithGuests = all.map((node) => {
        const here = guests.filter((g) => g.nodeName === node.name).map((g) => g.info)
        return here.length === 0 ? node : nodeInfo(node.node, [...node.pods, ...here])
      })
      return { nodes: nodesWithGuests, ...around }
    },
  }
}
