/** What the node lifecycle controller looks at: informers and the memory of heartbeats. */
import type { Informer } from '#api/client/client.ts'
import type { Node, Pod } from '#api/types/index.ts'
import type { NodeLifecycleView } from './decide.ts'
import type { Heartbeats } from './heartbeats.ts'

/** Informer index: pods by node. */
export const BY_NODE = 'node'
export const byNode = (pod: Pod): string[] => (pod.spec?.nodeName ? [pod.spec.nodeName] : [])

export function observeNode(name: string, sources: { nodes: Informer<Node>; pods: Informer<Pod>; heartbeats: Heartbeats; graceMs: number; startupGraceMs: number }): NodeLifecycleView | undefined {
  const node = sources.nodes.get(name)
  if (!node) return undefined
  return {
    node, heardMs: sources.heartbeats.heardMs(name), graceMs: sources.graceMs, startupGraceMs: sources.startupGraceMs,
    mayEvictAtMs: sources.heartbeats.mayEvictAtMs(node, sources.nodes.list()), pods: sources.pods.byIndex(BY_NODE, name),
  }
}
