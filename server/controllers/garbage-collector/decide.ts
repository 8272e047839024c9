/** What becomes of an object when its owners go: background, foreground, orphan (upstream's garbagecollector.go). Pure. */
import type { OwnerReference } from '#api/types/index.ts'
import { nothing, type DecideContext, type Decision } from '#base/reconcile/action.ts'
import { FOREGROUND, ORPHAN, type GraphNode } from './graph.ts'

/** `foreground`: there, but only waiting for its dependents to go. `unknown`: of a kind that cannot be asked about; it is given the benefit of the doubt. */
export type OwnerState = 'present' | 'foreground' | 'absent' | 'unknown'

export interface GarbageView {
  item: GraphNode
  owners: readonly { reference: OwnerReference; state: OwnerState }[]
  dependents: readonly GraphNode[]
  /** All kinds have been listed: only then is "no dependents" a fact. */
  complete: boolean
}

export type GarbageAction =
  | { kind: 'setOwners'; node: GraphNode; owners: OwnerReference[] }
  | { kind: 'removeFinalizer'; node: GraphNode; finalizer: string }
  | { kind: 'deleteObject'; node: GraphNode; policy: 'Background' | 'Foreground' | 'Orphan' }

export function decideGarbage(view: GarbageView, ctx: DecideContext): Decision<GarbageAction> {
  const { item, owners, dependents } = view
  if (item.deleting) return decideDeleting(view, ctx)
  if (owners.length === 0) return nothing('has no owners')
  const solid = owners.filter((o) => o.state === 'present' || o.state === 'unknown')
  const waiting = owners.filter((o) => o.state === 'foreground')
  if (solid.length > 0) {
    if (solid.length === owners.length) return nothing('has owners')
    return { actions: [{ kind: 'setOwners', node: item, owners: solid.map((o) => o.reference) }], because: 'some owners are gone, others remain' }
  }
  if (waiting.length > 0 && dependents.length > 0) {
    // In a circle everybody would wait for everybody: this one stops to block its owners.
    const circle = dependents.some((d) => d.deleting && d.finalizers.includes(FOREGROUND))
    const unblock: GarbageAction[] = circle && item.owners.some((o) => o.blockOwnerDeletion)
      ? [{ kind: 'setOwners', node: item, owners: item.owners.map((o) => ({ ...o, blockOwnerDeletion: false })) }] : []
    // The deletion is guarded by the version that was seen: after an unblocking it comes with the next pass.
    if (unblock.length > 0) return { actions: unblock, because: 'part of a circle of owners' }
    return { actions: [{ kind: 'deleteObject', node: item, policy: 'Foreground' }], because: 'its owner waits for it, and others wait for this one' }
  }
  const policy = item.finalizers.includes(ORPHAN) ? 'Orphan' : item.finalizers.includes(FOREGROUND) ? 'Foreground' : 'Background'
  return { actions: [{ kind: 'deleteObject', node: item, policy }], because: waiting.length > 0 ? 'its owner waits for it' : 'all its owners are gone' }
}

function decideDeleting({ item, dependents, complete }: GarbageView, ctx: DecideContext): Decision<GarbageAction> {
  const orphan = item.finalizers.includes(ORPHAN)
  if (!orphan && !item.finalizers.includes(FOREGROUND)) return nothing('being deleted')
  if (!complete) return nothing('not all kinds have been listed yet', ctx.nowMs + 1_000)
  if (orphan) {
    return {
      actions: [
        ...dependents.map((d): GarbageAction => ({ kind: 'setOwners', node: d, owners: d.owners.filter((o) => o.uid !== item.uid) })),
        { kind: 'removeFinalizer', node: item, finalizer: ORPHAN },
      ],
      because: `${dependents.length} dependents are let go`,
    }
  }
  const blocking = dependents.filter((d) => d.owners.some((o) => o.uid === item.uid && o.blockOwnerDeletion === true))
  if (blocking.length > 0) return nothing(`${blocking.length} dependents are still there`)
  return { actions: [{ kind: 'removeFinalizer', node: item, finalizer: FOREGROUND }], because: 'nothing blocks it any more' }
}
