/** What a DELETE does to an object, decided without touching anything (apiserver `rest.BeforeDelete`, `registry.Store`). Pure. */
import type { KindRow } from '../kind.ts'
import { timestamp } from '../storage/object-meta.ts'
import type { Full } from './stored.ts'

export interface DeletionOptions {
  dryRun: boolean
  /** Undefined: the kind's own. */
  graceSeconds: number | undefined
  policy: 'Background' | 'Foreground' | 'Orphan' | undefined
  preconditions: { uid?: string; resourceVersion?: string }
  /** As sent; `policy` is what it means. */
  orphanDependents?: boolean
}

export type Deletion =
  /** Deletion is under way already and this request adds nothing. */
  | { kind: 'keep' }
  /** Write this: it is going, but grace or finalizers hold it. */
  | { kind: 'mark'; object: Full }
  | { kind: 'remove'; /** As it goes: only there where the request has made it go, which watchers are told first. */ marked?: Full }

const ORPHAN = 'orphan'
const FOREGROUND = 'foregroundDeletion'

/** `object` is a copy the decision may change. */
export function decideDeletion(row: KindRow, object: Full, options: DeletionOptions, nowMs: number): Deletion {
  const meta = object.metadata
  const wasDeleting = meta.deletionTimestamp !== undefined
  const grace = decideGrace(row, object, options, nowMs)
  if (grace === 'pending') {
    // Finalizers are not changed by a second request; one whose grace is over and whom nobody holds may go.
    return canGo(row, object) && meta.deletionGracePeriodSeconds === 0 && options.graceSeconds === 0 ? { kind: 'remove' } : { kind: 'keep' }
  }
  const finalizersChanged = setPropagation(row, object, options)
  if (grace === 'none' && (meta.finalizers ?? []).length > 0) {
    if (!wasDeleting) markDeleting(row, object, nowMs)
    else if (!finalizersChanged) return { kind: 'keep' }
    return { kind: 'mark', object }
  }
  if (grace === 'graceful') {
    if ((meta.deletionGracePeriodSeconds ?? 0) > 0 || !canGo(row, object)) return { kind: 'mark', object }
    return { kind: 'remove', ...(!wasDeleting && { marked: object }) }
  }
  if (canGo(row, object)) return { kind: 'remove' }
  if (wasDeleting && !finalizersChanged) return { kind: 'keep' }
  if (!wasDeleting) markDeleting(row, object, nowMs)
  return { kind: 'mark', object }
}

const canGo = (row: KindRow, object: Full): boolean => (object.metadata.finalizers ?? []).length === 0 && (row.strategy.mayRemove?.(object) ?? true)

/** `graceful`: timestamps were set or shortened; `pending`: they stand already; `none`: the kind has no grace. */
function decideGrace(row: KindRow, object: Full, options: DeletionOptions, nowMs: number): 'graceful' | 'pending' | 'none' {
  const meta = object.metadata
  if (meta.deletionTimestamp !== undefined) {
    const before = meta.deletionGracePeriodSeconds
    if (before === undefined) return 'none'
    if (options.graceSeconds === undefined || options.graceSeconds >= before) return before === 0 && row.strategy.graceSecondsOnDelete === undefined ? 'none' : 'pending'
    meta.deletionTimestamp = timestamp(Date.parse(meta.deletionTimestamp) - before * 1000 + options.graceSeconds * 1000)
    meta.deletionGracePeriodSeconds = options.graceSeconds
    return 'graceful'
  }
  if (!row.strategy.graceSecondsOnDelete) return 'none'
  const seconds = row.strategy.graceSecondsOnDelete(object, options.graceSeconds)
  meta.deletionTimestamp = timestamp(nowMs + seconds * 1000)
  meta.deletionGracePeriodSeconds = seconds
  raiseGeneration(object)
  return 'graceful'
}

function markDeleting(row: KindRow, object: Full, nowMs: number): void {
  object.metadata.deletionTimestamp = timestamp(nowMs)
  // Kinds with a way of their own of going (Namespace, CustomResourceDefinition) say so by that time alone.
  if (row.strategy.prepareDelete) return row.strategy.prepareDelete(object)
  object.metadata.deletionGracePeriodSeconds = 0
  raiseGeneration(object)
}

/** Going is news to whoever watches generations. */
function raiseGeneration(object: Full): void {
  const { generation } = object.metadata
  if (generation !== undefined && generation > 0) object.metadata.generation = generation + 1
}

/** Adds or takes away the garbage collector's finalizers as the policy says; whether anything changed. */
function setPropagation(row: KindRow, object: Full, { policy }: DeletionOptions): boolean {
  const meta = object.metadata
  const before = meta.finalizers ?? []
  const mayHold = row.strategy.hasNoDependents !== true
  const foreground = mayHold && (policy === undefined ? before.includes(FOREGROUND) : policy === 'Foreground')
  const orphan = mayHold && (policy === undefined ? before.includes(ORPHAN) || (!foreground && row.strategy.orphansByDefault !== undefined) : policy === 'Orphan')
  const after = before.filter((f) => f !== ORPHAN && f !== FOREGROUND)
  if (orphan) after.push(ORPHAN)
  if (foreground) after.push(FOREGROUND)
  if (after.length > 0) meta.finalizers = after
  else delete meta.finalizers
  return after.length !== before.length || after.some((f) => !before.includes(f))
}
