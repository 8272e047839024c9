/** What resourceVersions promise: one for each change, never given twice, growing with time for all clients at all servers. */
import { describeOperation, type Fault, type History, type Operation } from './history.ts'

/**
 * The revision a write was given, or a list of the newest state was of, is above that of every write (for a list: at
 * least that) which was acknowledged before it was called, and at least that of every list that had returned.
 */
export function revisionsInTime(operations: readonly Operation[]): Fault[] {
  const known = operations.flatMap((op) => {
    const { outcome } = op
    return outcome.kind === 'stored' || outcome.kind === 'listed' ? [{ op, revision: outcome.revision, isWrite: outcome.kind === 'stored' }] : []
  })
  const byReturn = known.toSorted((a, b) => a.op.returnMs - b.op.returnMs)
  let next = 0
  let newest: (typeof known)[number] | undefined
  const faults: Fault[] = []
  for (const later of known.toSorted((a, b) => a.op.callMs - b.op.callMs)) {
    for (let earlier = byReturn[next]; earlier && earlier.op.returnMs < later.op.callMs; earlier = byReturn[++next]) {
      if (!newest || earlier.revision > newest.revision) newest = earlier
    }
    const { action } = later.op
    if (action.kind === 'list' && action.notOlderThan !== undefined) {
      if (later.revision < action.notOlderThan) faults.push(`a list is older than was asked for: ${describeOperation(later.op)}`)
    } else if (newest && (later.isWrite ? later.revision <= newest.revision : later.revision < newest.revision)) {
      faults.push(`revisions went back: ${describeOperation(newest.op)}, then ${describeOperation(later.op)}`)
    }
  }
  return faults
}

/** A content is made by one write, so it has one revision, and a revision belongs to one content of one key. */
export function revisionsAreOfOneChange(history: History): Fault[] {
  const revisionOf = new Map<string, number>()
  const ownerOf = new Map<number, string>()
  const faults = new Set<Fault>()
  const see = (key: string, content: string, revision: number, where: string): void => {
    const name = `${key}=${content}`
    const revisionBefore = revisionOf.get(name)
    if (revisionBefore !== undefined && revisionBefore !== revision) faults.add(`a write happened twice: ${name} has the revisions ${revisionBefore} and ${revision} (${where})`)
    const ownerBefore = ownerOf.get(revision)
    if (ownerBefore !== undefined && ownerBefore !== name) faults.add(`revision ${revision} was given twice: to ${ownerBefore} and to ${name} (${where})`)
    revisionOf.set(name, revision)
    ownerOf.set(revision, name)
  }
  for (const op of history.operations) {
    const { action, outcome } = op
    const where = `${op.client} on ${op.server}`
    if (outcome.kind === 'listed') for (const [key, o] of Object.entries(outcome.objects)) see(key, o.content, o.revision, where)
    else if (action.kind !== 'list' && outcome.kind === 'stored') see(action.key, outcome.content, outcome.revision, where)
    else if (action.kind !== 'list' && outcome.kind === 'seen' && outcome.content !== undefined && outcome.revision !== undefined) see(action.key, outcome.content, outcome.revision, where)
  }
  for (const { name, records } of history.watchers) {
    for (const record of records) {
      if (record.kind === 'listed') for (const [key, o] of Object.entries(record.objects)) see(key, o.content, o.revision, name)
      // The last content comes again with a deletion, under the deletion's own revision.
      else if (record.kind === 'change' && record.change.type !== 'DELETED') see(record.change.key, record.change.content, record.change.revision, name)
    }
  }
  return [...faults]
}
