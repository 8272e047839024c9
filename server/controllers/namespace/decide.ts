/** How a namespace goes away: its contents, pods first (KEP-5080), its conditions, then its own finalizer. Pure. */
import type { Namespace, NamespaceCondition, ResourceRef, Stored } from '#api/types/index.ts'
import { nothing, type DecideContext, type Decision } from '#base/reconcile/action.ts'
import { formatTime } from '../time.ts'

export interface Remaining {
  ref: ResourceRef
  /** Objects there, and how many of them have not been told to go. */
  count: number
  undeleted: number
  /** Finalizer to number of objects that carry it. */
  finalizers: Readonly<Record<string, number>>
  canDeleteCollection: boolean
}

export interface NamespaceView {
  namespace: Stored<Namespace>
  /** Undefined: not looked at, because the namespace is not being deleted. */
  content: { remaining: readonly Remaining[]; discoveryFailures: readonly string[]; listFailures: readonly string[] } | undefined
  /** How often this namespace was looked at in vain: the next look comes later. */
  attempts: number
}

export type NamespaceAction =
  | { kind: 'deleteCollection'; ref: ResourceRef; oneByOne: boolean }
  | { kind: 'writeStatus'; phase: 'Terminating'; conditions: NamespaceCondition[] }
  | { kind: 'finalize'; finalizers: string[] }

export const KUBERNETES_FINALIZER = 'kubernetes'
/** Pods tell us when they are gone; other things are looked for again after this, doubling. */
const LOOK_AGAIN_MS = { first: 250, max: 15_000 }

export function decideNamespace(view: NamespaceView, ctx: DecideContext): Decision<NamespaceAction> {
  const { namespace, content } = view
  if (namespace.metadata.deletionTimestamp === undefined || !content) return nothing('not being deleted')
  const finalizers = namespace.spec?.finalizers ?? []
  if (!finalizers.includes(KUBERNETES_FINALIZER)) return nothing('finalized; others may still hold it')

  const { remaining } = content
  const pods = remaining.find((r) => r.ref.group === '' && r.ref.resource === 'pods')
  // Other things may be what pods need to shut down in order: they stay until the pods are gone.
  const now = pods ? [pods] : remaining
  const deletions: NamespaceAction[] = now.filter((r) => r.undeleted > 0).map((r) => ({ kind: 'deleteCollection', ref: r.ref, oneByOne: !r.canDeleteCollection }))
  const conditions = nextConditions(view, ctx.nowMs)
  const status: NamespaceAction[] = conditions || namespace.status?.phase !== 'Terminating'
    ? [{ kind: 'writeStatus', phase: 'Terminating', conditions: conditions ?? namespace.status?.conditions ?? [] }] : []

  const unknown = content.discoveryFailures.length + content.listFailures.length > 0
  if (remaining.length === 0 && !unknown) {
    return { actions: [...status, { kind: 'finalize', finalizers: finalizers.filter((f) => f !== KUBERNETES_FINALIZER) }], because: 'empty' }
  }
  const wakeAtMs = ctx.nowMs + Math.min(LOOK_AGAIN_MS.max, LOOK_AGAIN_MS.first * 2 ** Math.min(10, view.attempts))
  return { actions: [...deletions, ...status], because: `${remaining.length} kinds of objects remain`, wakeAtMs }
}

/** Undefined: they are right as they are. */
function nextConditions(view: NamespaceView, nowMs: number): NamespaceCondition[] | undefined {
  const { remaining = [], discoveryFailures = [], listFailures = [] } = view.content ?? {}
  const finalizers = new Map<string, number>()
  for (const r of remaining) for (const [name, count] of Object.entries(r.finalizers)) finalizers.set(name, (finalizers.get(name) ?? 0) + count)
  const wanted = [
    bad(discoveryFailures.length > 0, 'NamespaceDeletionDiscoveryFailure',
      ['DiscoveryFailed', `Discovery failed for some groups, ${discoveryFailures.length} failing: ${discoveryFailures.join(', ')}`], ['ResourcesDiscovered', 'All resources successfully discovered']),
    bad(false, 'NamespaceDeletionGroupVersionParsingFailure', ['', ''], ['ParsedGroupVersions', 'All legacy kube types successfully parsed']),
    bad(listFailures.length > 0, 'NamespaceDeletionContentFailure',
      ['ContentDeletionFailed', `Failed to delete all resource types, ${listFailures.length} remaining: ${listFailures.join(', ')}`],
      ['ContentDeleted', 'All content successfully deleted, may be waiting on finalization']),
    bad(remaining.length > 0, 'NamespaceContentRemaining',
      ['SomeResourcesRemain', `Some resources are remaining: ${remaining.map((r) => `${r.ref.resource}.${r.ref.group} has ${r.count} resource instances`).sort().join(', ')}`],
      ['ContentRemoved', 'All content successfully removed']),
    bad(finalizers.size > 0, 'NamespaceFinalizersRemaining',
      ['SomeFinalizersRemain', `Some content in the namespace has finalizers remaining: ${[...finalizers].map(([f, n]) => `${f} in ${n} resource instances`).sort().join(', ')}`],
      ['ContentHasNoFinalizers', 'All content-preserving finalizers finished']),
  ]
  const old = view.namespace.status?.conditions ?? []
  let changed = false
  const conditions = old.filter((c) => !wanted.some((w) => w.type === c.type))
  for (const w of wanted) {
    const before = old.find((c) => c.type === w.type)
    if (before?.status === w.status && before.reason === w.reason && before.message === w.message) {
      conditions.push(before)
      continue
    }
    changed = true
    const lastTransitionTime = before?.status === w.status ? (before.lastTransitionTime ?? formatTime(nowMs)) : formatTime(nowMs)
    conditions.push({ ...w, lastTransitionTime })
  }
  return changed ? conditions : undefined
}

function bad(is: boolean, type: string, when: [string, string], otherwise: [string, string]): NamespaceCondition & { reason: string; message: string } {
  const [reason, message] = is ? when : otherwise
  return { type, status: is ? 'True' : 'False', reason, message }
}
