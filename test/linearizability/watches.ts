/** What watches promise: every change once, in the order of revisions, over all connections; and lists that are of one revision. */
import { type Content, type Fault, type History, type WatchedChange, type WatchRecord } from './history.ts'

type Objects = Record<string, { content: Content; revision: number }>

/** A stretch of one watcher's records without a new list in it: everything in (fromRevision, toRevision] was told. */
interface Stretch { watcher: string; fromRevision: number; toRevision: number; changes: WatchedChange[]; base: Objects }

export interface WatchFindings {
  faults: Fault[]
  /** All changes that anybody was told of, by revision. */
  changes: readonly WatchedChange[]
  /** Stretches overlap from the empty beginning up to this revision: until there `changes` is complete. Undefined: nobody watched from the beginning. */
  completeTo: number | undefined
}

export function checkWatches(history: History): WatchFindings {
  const faults: Fault[] = []
  const stretches = history.watchers.flatMap(({ name, records }) => stretchesOf(name, records, faults))
  const changeAt = new Map<number, { change: WatchedChange; by: string }>()
  for (const { watcher, changes } of stretches) {
    for (const change of changes) {
      const before = changeAt.get(change.revision)
      if (before && show(before.change) !== show(change)) faults.push(`watchers were told differently: ${before.by} ${show(before.change)}, ${watcher} ${show(change)}`)
      else changeAt.set(change.revision, { change, by: watcher })
    }
  }
  const changes = [...changeAt.values()].map((c) => c.change).sort((a, b) => a.revision - b.revision)
  const acknowledged = history.operations.flatMap(({ client, action, outcome }) => (outcome.kind === 'stored' && action.kind !== 'list' ? [{ key: action.key, content: outcome.content, revision: outcome.revision, client }] : []))
  for (const stretch of stretches) {
    const told = new Set(stretch.changes.map((c) => c.revision))
    const isIn = (revision: number): boolean => revision > stretch.fromRevision && revision <= stretch.toRevision
    for (const change of changes) if (isIn(change.revision) && !told.has(change.revision)) faults.push(`${stretch.watcher} was not told of ${show(change)}, though of what came before and after`)
    for (const { key, content, revision, client } of acknowledged) {
      if (isIn(revision) && !changeAt.has(revision)) faults.push(`${stretch.watcher} was not told of ${key}=${content} @${revision}, which ${client} was told is stored`)
    }
  }
  faults.push(...listsOfOneRevision(history, stretches, changes))
  return { faults, changes, completeTo: reachFromTheBeginning(stretches) }
}

function stretchesOf(watcher: string, records: readonly WatchRecord[], faults: Fault[]): Stretch[] {
  const stretches: Stretch[] = []
  let current: Stretch | undefined
  let view = new Map<string, Content>()
  for (const record of records) {
    if (record.kind === 'listed') {
      if (current && record.revision < current.toRevision) faults.push(`${watcher} saw revision ${current.toRevision}, then a list of ${record.revision} on ${record.server}`)
      current = { watcher, fromRevision: record.revision, toRevision: record.revision, changes: [], base: record.objects }
      stretches.push(current)
      view = new Map(Object.entries(record.objects).map(([key, o]) => [key, o.content]))
    }
    if (!current || record.kind === 'listed' || record.kind === 'connected') continue
    const revision = record.kind === 'bookmark' ? record.revision : record.change.revision
    if (record.kind === 'bookmark') {
      if (revision < current.toRevision) faults.push(`${watcher} saw revision ${current.toRevision}, then a bookmark of ${revision}`)
    } else {
      const { change } = record
      if (revision <= current.toRevision) faults.push(`${watcher} saw revision ${current.toRevision}, then ${show(change)}`)
      const before = view.get(change.key)
      const fits = change.type === 'ADDED' ? before === undefined : change.type === 'MODIFIED' ? before !== undefined && before !== change.content : before === change.content
      if (!fits) faults.push(`${watcher} knew ${change.key}=${before ?? 'nothing'}, then was told ${show(change)}`)
      if (change.type === 'DELETED') view.delete(change.key)
      else view.set(change.key, change.content)
      current.changes.push(change)
    }
    current.toRevision = Math.max(current.toRevision, revision)
  }
  return stretches
}

/** Each list, of whatever age, is the whole state at its revision: what is known of the changes around it must agree. */
function listsOfOneRevision(history: History, stretches: readonly Stretch[], changes: readonly WatchedChange[]): Fault[] {
  const faults: Fault[] = []
  for (const op of history.operations) {
    if (op.outcome.kind !== 'listed') continue
    const { objects, revision } = op.outcome
    const stretch = stretches.find((s) => s.fromRevision <= revision && revision <= s.toRevision)
    if (!stretch) continue
    const expected = new Map(Object.entries(stretch.base))
    for (const change of changes) {
      if (change.revision <= stretch.fromRevision || change.revision > revision) continue
      if (change.type === 'DELETED') expected.delete(change.key)
      else expected.set(change.key, { content: change.content, revision: change.revision })
    }
    const isListed = (key: string): boolean => op.cell === '' || key.startsWith(op.cell)
    const wrong = [...new Set([...expected.keys(), ...Object.keys(objects)])].filter((key) => isListed(key) && (expected.get(key)?.content !== objects[key]?.content || expected.get(key)?.revision !== objects[key]?.revision))
    if (wrong.length > 0) faults.push(`a list is not of its revision ${revision}: ${wrong.map((key) => `${key} is ${objects[key]?.content ?? 'nothing'}, was ${expected.get(key)?.content ?? 'nothing'}`).join(', ')}: ${op.client} on ${op.server} at ${op.callMs.toFixed(1)}`)
  }
  return faults
}

function reachFromTheBeginning(stretches: readonly Stretch[]): number | undefined {
  let reach = Math.min(...stretches.filter((s) => Object.keys(s.base).length === 0).map((s) => s.fromRevision))
  if (reach === Infinity) return undefined
  for (const { fromRevision, toRevision } of stretches.toSorted((a, b) => a.fromRevision - b.fromRevision)) if (fromRevision <= reach) reach = Math.max(reach, toRevision)
  return reach
}

function show({ type, key, content, revision }: WatchedChange): string {
  return `${type} ${key}=${content} @${revision}`
}

