/** What the pod garbage collector looks at: informers, and since when a node has been missing. */
import type { Informer } from '#api/client/client.ts'
import { isPodTerminal, type Node, type Pod, type Stored } from '#api/types/index.ts'
import type { PodGcView } from './decide.ts'

/** Informer index: finished pods. */
export const FINISHED = 'finished'
export const finished = (pod: Pod): string[] => (isPodTerminal(pod) && pod.metadata?.deletionTimestamp === undefined ? ['yes'] : [])

export interface PodGcSources { pods: Informer<Pod>; nodes: Informer<Node>; missing: Map<string, number>; terminatedMax: number }

export function observePodGc(key: string, { pods, nodes, missing, terminatedMax }: PodGcSources, nowMs: number): PodGcView | undefined {
  const pod = pods.get(key)
  if (!pod) return undefined
  const nodeName = pod.spec?.nodeName
  const node = nodeName ? nodes.get(nodeName) : undefined
  if (nodeName && !node && !missing.has(nodeName)) missing.set(nodeName, nowMs)
  return { pod, node, nodeMissingSinceMs: nodeName ? missing.get(nodeName) : undefined, surplus: surplusPods(pods, terminatedMax).includes(pod) }
}

/** The oldest finished pods beyond the limit. */
export function surplusPods(pods: Informer<Pod>, terminatedMax: number): Stored<Pod>[] {
  if (terminatedMax <= 0) return []
  const all = pods.byIndex(FINISHED, 'yes')
  if (all.length <= terminatedMax) return []
  const age = (p: Stored<Pod>) => `${p.metadata.creationTimestamp} ${p.metadata.name}`
  return all.sort((a, b) => (age(a) < age(b) ? -1 : 1)).slice(0, all.length - terminatedMax)
}
