/** Which static pods begin and end, and which mirror pods are made and removed. Pure. */
import type { Pod, Stored } from '#api/types/index.ts'
import { isTerminalPhase } from '../view.ts'
import { isMirrorOf } from './manifest.ts'

export interface StaticView {
  /** Out of files, at most one of a name. */
  wanted: readonly Stored<Pod>[]
  /** Uids of those whose file went and came again: they end, and begin anew. Until then. */
  replaced: ReadonlySet<string>
  /** Static pods that this agent knows, also those that are ending. */
  known: readonly { pod: Stored<Pod>; ending: boolean }[]
  /** Mirror pods of this node in the API. */
  mirrors: readonly Stored<Pod>[]
  /** The API's word on them can be had. */
  isSynced: boolean
}

export type StaticAction =
  | { kind: 'start'; pod: Stored<Pod> }
  | { kind: 'stop'; uid: string }
  | { kind: 'createMirror'; pod: Stored<Pod> }
  | { kind: 'deleteMirror'; mirror: Stored<Pod> }

const nameOf = ({ metadata }: Stored<Pod>): string => `${metadata.namespace ?? ''}/${metadata.name}`

/** The mirror of a pod that begins anew tells how often its containers were started; not one that has ended: it would not begin. */
export function goesOnAs(mirror: Stored<Pod>, pod: Stored<Pod>): boolean {
  return nameOf(mirror) === nameOf(pod) && isMirrorOf(mirror, pod) && !isTerminalPhase(mirror.status?.phase)
}

export function decideStatic({ wanted, replaced, known, mirrors, isSynced }: StaticView): StaticAction[] {
  const actions: StaticAction[] = []
  const uids = new Set(wanted.map((p) => p.metadata.uid))
  for (const { pod, ending } of known) if (!ending && (!uids.has(pod.metadata.uid) || replaced.has(pod.metadata.uid))) actions.push({ kind: 'stop', uid: pod.metadata.uid })
  for (const pod of wanted) {
    const other = known.find((k) => nameOf(k.pod) === nameOf(pod))
    // One of the same name ends first: they would share ports and files.
    if (!other) actions.push({ kind: 'start', pod })
  }
  if (!isSynced) return actions
  for (const mirror of mirrors) {
    const pod = known.find((k) => nameOf(k.pod) === nameOf(mirror))?.pod ?? wanted.find((p) => replaced.has(p.metadata.uid) && goesOnAs(mirror, p))
    // One that somebody deletes is let go, and made again: the pod itself is not the API's to end.
    if (!pod || !isMirrorOf(mirror, pod) || mirror.metadata.deletionTimestamp !== undefined) actions.push({ kind: 'deleteMirror', mirror })
  }
  for (const { pod, ending } of known) if (!ending && uids.has(pod.metadata.uid) && !replaced.has(pod.metadata.uid) && !mirrors.some((m) => nameOf(m) === nameOf(pod))) actions.push({ kind: 'createMirror', pod })
  return actions
}
