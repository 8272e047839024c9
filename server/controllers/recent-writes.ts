/**
 * What this process wrote and its informer has not shown yet (upstream: expectations, which only count). Merged into
 * what the informer says, it makes the next decision right at once. Losing it costs a superfluous write, never more.
 */
import type { Informer } from '#api/client/client.ts'
import { keyOf, type KubeObject, type Stored } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'

/** An informer that shows nothing for so long is believed instead. */
const UNSEEN_MS_MAX = 30_000

export interface RecentWrites<T extends KubeObject> {
  created(group: string, object: Stored<T>): void
  deleted(group: string, object: Stored<T>): void
  /** `seen` is the informer's view of the group. */
  merge(group: string, seen: readonly Stored<T>[]): { objects: Stored<T>[]; /** Look again then: what is unseen until that time is forgotten. */ untilMs: number | undefined }
}

interface Group<T extends KubeObject> { created: Map<string, { object: Stored<T>; untilMs: number }>; deleted: Map<string, number> }

export function createRecentWrites<T extends KubeObject>(informer: Informer<T>, clock: Clock): RecentWrites<T> {
  const groups = new Map<string, Group<T>>()
  const groupOfUid = new Map<string, string>()

  const forget = (uid: string) => {
    const name = groupOfUid.get(uid)
    if (name === undefined) return
    groupOfUid.delete(uid)
    const group = groups.get(name)
    group?.created.delete(uid)
    group?.deleted.delete(uid)
    if (group?.created.size === 0 && group.deleted.size === 0) groups.delete(name)
  }
  const groupFor = (name: string, uid: string): Group<T> => {
    groupOfUid.set(uid, name)
    let group = groups.get(name)
    if (!group) groups.set(name, group = { created: new Map(), deleted: new Map() })
    return group
  }
  informer.onChange((before, after) => {
    if (groupOfUid.size === 0) return
    if (!after) { if (before) forget(before.metadata.uid); return }
    // A change that does not show the deletion yet leaves it remembered.
    const wait = groups.get(groupOfUid.get(after.metadata.uid) ?? '')?.deleted.has(after.metadata.uid)
    if (!wait || after.metadata.deletionTimestamp !== undefined) forget(after.metadata.uid)
  })

  return {
    created(name, object) {
      const { uid } = object.metadata
      if (informer.get(keyOf(object))?.metadata.uid === uid) return
      groupFor(name, uid).created.set(uid, { object, untilMs: clock.nowMs() + UNSEEN_MS_MAX })
    },
    deleted(name, object) {
      const { uid } = object.metadata
      const now = informer.get(keyOf(object))
      if (now?.metadata.uid !== uid || now.metadata.deletionTimestamp !== undefined) return
      groupFor(name, uid).deleted.set(uid, clock.nowMs() + UNSEEN_MS_MAX)
    },
    merge(name, seen) {
      const group = groups.get(name)
      if (!group) return { objects: [...seen], untilMs: undefined }
      const nowMs = clock.nowMs()
      for (const [uid, { untilMs }] of group.created) if (untilMs <= nowMs) forget(uid)
      for (const [uid, untilMs] of group.deleted) if (untilMs <= nowMs) forget(uid)
      const uids = new Set(seen.map((o) => o.metadata.uid))
      const unseen = [...group.created.values()].filter(({ object }) => !uids.has(object.metadata.uid))
      const deletionTimestamp = `${new Date(nowMs).toISOString().slice(0, 19)}Z`
      const objects = seen.map((o) => (group.deleted.has(o.metadata.uid) ? { ...o, metadata: { ...o.metadata, deletionTimestamp } } : o))
      const times = [...unseen.map((u) => u.untilMs), ...group.deleted.values()]
      return { objects: [...objects, ...unseen.map((u) => u.object)], untilMs: times.length > 0 ? Math.min(...times) : undefined }
    },
  }
}
