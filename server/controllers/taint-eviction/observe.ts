/** What the taint eviction controller looks at: informers, and when it first saw a pod under a taint without a time. */
import type { Informer } from '#api/client/client.ts'
import type { Node, Pod } from '#api/types/index.ts'
import type { TaintEvictionView } from './decide.ts'

export interface Tainted { seenMs: number; announced: boolean }

export function observeTainted(key: string, sources: { pods: Informer<Pod>; nodes: Informer<Node>; tainted: Map<string, Tainted> }, nowMs: number): TaintEvictionView | undefined {
  const pod = sources.pods.get(key)
  if (!pod) {
    sources.tainted.delete(key)
    return undefined
  }
  const node = sources.nodes.get(pod.spec?.nodeName ?? '')
  if (!node?.spec?.taints?.some((t) => t.effect === 'NoExecute')) {
    const before = sources.tainted.get(key)
    sources.tainted.delete(key)
    return { pod, node, seenMs: nowMs, announced: before?.announced ?? false }
  }
  const known = sources.tainted.get(key) ?? { seenMs: nowMs, announced: false }
  sources.tainted.set(key, known)
  return { pod, node, ...known }
}
