/** Which pods go first when there are too many: upstream's ActivePodsWithRanks, one rule after the other. Pure. */
import { POD_DELETION_COST, isPodReady, isSidecar, podCondition, type Pod, type Stored } from '#api/types/index.ts'
import { parseTime } from '../time.ts'

type Rule = (a: Stored<Pod>, b: Stored<Pod>) => number

/** `count` of the active pods, those to go first first. Which of all-equal pods go is decided by uid, so that a repeated pass picks the same. */
export function podsToDelete(active: readonly Stored<Pod>[], count: number, relatedByNode: ReadonlyMap<string, number>, nowMs: number): Stored<Pod>[] {
  if (count >= active.length) return [...active]
  const related = (p: Pod) => relatedByNode.get(p.spec?.nodeName ?? '') ?? 0
  const rules: readonly Rule[] = [
    byNumber((p) => (p.spec?.nodeName ? 1 : 0)),
    byNumber((p) => PHASE_ORDER[p.status?.phase ?? ''] ?? 0),
    byNumber((p) => (isPodReady(p) ? 1 : 0)),
    byNumber(deletionCost),
    byNumber((p) => -related(p)),
    // Younger first, but only by powers of two of age (KEP-2185): a strict order would always hit the newest domain.
    (a, b) => (isPodReady(a) && isPodReady(b) ? byAge(readySinceMs(a), readySinceMs(b), nowMs) : 0),
    byNumber((p) => -restarts(p, false)),
    byNumber((p) => -restarts(p, true)),
    (a, b) => byAge(parseTime(a.metadata.creationTimestamp), parseTime(b.metadata.creationTimestamp), nowMs),
    (a, b) => (a.metadata.uid < b.metadata.uid ? -1 : 1),
  ]
  const compare: Rule = (a, b) => {
    for (const rule of rules) {
      const order = rule(a, b)
      if (order !== 0) return order
    }
    return 0
  }
  return active.toSorted(compare).slice(0, count)
}

const PHASE_ORDER: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 }

function byNumber(value: (pod: Stored<Pod>) => number): Rule {
  return (a, b) => value(a) - value(b)
}

/** An annotation that is no 32-bit integer counts as 0; admission refuses it anyway. */
function deletionCost(pod: Pod): number {
  const text = pod.metadata?.annotations?.[POD_DELETION_COST] ?? '0'
  const cost = /^(0|-?[1-9]\d{0,9})$/.test(text) ? Number(text) : 0
  return Math.abs(cost) <= 2 ** 31 - 1 ? cost : 0
}

function readySinceMs(pod: Pod): number | undefined {
  return parseTime(podCondition(pod.status, 'Ready')?.lastTransitionTime)
}

/** Negative: a is younger. Unknown times go first. */
function byAge(a: number | undefined, b: number | undefined, nowMs: number): number {
  if (a === undefined || b === undefined) return a === b ? 0 : a === undefined ? -1 : 1
  const rank = (ms: number) => (nowMs - ms < 1 ? -1 : Math.floor(Math.log2(nowMs - ms)))
  return rank(a) - rank(b)
}

/** The most restarted container, of the ordinary ones or of the sidecars. */
function restarts(pod: Pod, sidecars: boolean): number {
  const statuses = sidecars
    ? (pod.status?.initContainerStatuses ?? []).filter((s) => pod.spec?.initContainers?.some((c) => c.name === s.name && isSidecar(c)))
    : (pod.status?.containerStatuses ?? [])
  return Math.max(0, ...statuses.map((s) => s.restartCount))
}
