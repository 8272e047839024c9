/** An object's owners and dependents. An owner the graph does not know is asked for at the API: absence must be certain. */
import { isReason, type Client } from '#api/client/client.ts'
import { apiVersionOf, type KubeObject, type OwnerReference, type ResourceRef, type Stored } from '#api/types/index.ts'
import type { GarbageView, OwnerState } from './decide.ts'
import { FOREGROUND, graphNode, type Graph, type GraphNode } from './graph.ts'

export interface GarbageSources {
  graph: Graph
  client: Client
  /** The resource of a kind, in any of its versions; undefined: not served. */
  resourceOf(reference: OwnerReference): ResourceRef | undefined
  complete(): boolean
  /** Owners known not to exist (uids are never used again). */
  absent: AbsentOwners
  onInvalid(item: GraphNode, reference: OwnerReference): void
}

export async function observeGarbage(uid: string, sources: GarbageSources, signal: AbortSignal): Promise<GarbageView | undefined> {
  const { graph } = sources
  const item = graph.get(uid)
  if (!item) return undefined
  const owners: GarbageView['owners'][number][] = []
  if (!item.deleting) for (const reference of item.owners) owners.push({ reference, state: await ownerState(item, reference, sources, signal) })
  return { item, owners, dependents: graph.dependentsOf(uid), complete: sources.complete() }
}

async function ownerState(item: GraphNode, reference: OwnerReference, sources: GarbageSources, signal: AbortSignal): Promise<OwnerState> {
  const ref = sources.resourceOf(reference)
  if (!ref) return 'unknown'
  if (ref.namespaced && item.namespace === '') {
    // Such a reference can never be resolved; upstream leaves the object alone and says so.
    sources.onInvalid(item, reference)
    return 'unknown'
  }
  const namespace = ref.namespaced ? item.namespace : ''
  const known = sources.graph.get(reference.uid)
  if (known && known.name === reference.name && known.namespace === namespace && known.ref.resource === ref.resource && known.ref.group === ref.group) return stateOf(known)
  if (sources.absent.has(reference.uid, namespace)) return 'absent'
  try {
    const found = await sources.client.get<KubeObject>(ref, reference.name, namespace, signal)
    if (found.metadata.uid === reference.uid) return stateOf(graphNode(ref, found as Stored<KubeObject>))
  } catch (error) {
    if (!isReason(error, 'NotFound')) throw error
  }
  sources.absent.add(reference.uid, namespace)
  return 'absent'
}

function stateOf(owner: GraphNode): OwnerState {
  return owner.deleting && owner.finalizers.includes(FOREGROUND) ? 'foreground' : 'present'
}

/** Upstream's size. Oldest go first; forgetting one costs a request. */
const ABSENT_MAX = 500

export interface AbsentOwners { has(uid: string, namespace: string): boolean; add(uid: string, namespace: string): void }

export function createAbsentOwners(): AbsentOwners {
  const known = new Set<string>()
  const id = (uid: string, namespace: string) => `${namespace}/${uid}`
  return {
    has: (uid, namespace) => known.has(id(uid, namespace)),
    add(uid, namespace) {
      known.add(id(uid, namespace))
      if (known.size > ABSENT_MAX) for (const oldest of known) { known.delete(oldest); break }
    },
  }
}

/** `apps/v1, Deployment` of a reference to the resource, by group and kind: the version may be an old one. */
export function kindKey(reference: { apiVersion: string; kind: string }): string {
  const at = reference.apiVersion.indexOf('/')
  return `${at < 0 ? '' : reference.apiVersion.slice(0, at)}/${reference.kind}`
}
export const kindKeyOf = (ref: ResourceRef): string => kindKey({ apiVersion: apiVersionOf(ref), kind: ref.kind })
