/** In which order resizes that wait are given what room there is: upstream's sortPendingResizes (KEP-1287). Pure. */
import type { Pod, Stored } from '#api/types/index.ts'
import { podPriority, podQosClass, podRequests } from '#api/types/pods.ts'
import { quantityMilli, quantityValue } from '#api/types/quantity.ts'
import { pendingResize, resizesSwap } from './resize.ts'
import type { NodeResources } from './resources.ts'
import type { PendingResize } from './view.ts'

export interface WaitingResize { /** With what its spec asks for. */ asked: Stored<Pod>; /** With what it has. */ allocated: Stored<Pod> }

export interface TurnInput {
  self: WaitingResize
  /** The other pods here, as allocated. */
  others: readonly Stored<Pod>[]
  /** Those of them that wait for a resize, too. */
  waiting: readonly WaitingResize[]
  allocatable: Readonly<Record<string, string>>
  machine: NodeResources
}

/** Below 0: the first one's turn comes first. 0: whoever asks first. */
export function compareResizes(a: WaitingResize, b: WaitingResize): number {
  return Number(asksForMore(a)) - Number(asksForMore(b))
    || podPriority(b.asked) - podPriority(a.asked)
    || Number(podQosClass(b.asked) === 'Guaranteed') - Number(podQosClass(a.asked) === 'Guaranteed')
    || compareTimes(pendingSinceMs(a), pendingSinceMs(b))
}

/**
 * Undefined: its turn has come, and what its spec asks for may be allocated. What is free for those ahead of it is theirs; what they will
 * give back is nobody's before they have.
 */
export function resizeInTurn({ self, others, waiting, allocatable, machine }: TurnInput): PendingResize | undefined {
  if (resizesSwap(self.asked, self.allocated, machine)) return { reason: 'Infeasible', message: 'In-place resize of containers with swap is not supported.' }
  let held = others
  for (const { asked } of waiting.filter((w) => compareResizes(w, self) < 0 && !resizesSwap(w.asked, w.allocated, machine)).toSorted(compareResizes)) {
    const rest = held.filter((p) => p.metadata.uid !== asked.metadata.uid)
    if (!pendingResize({ pod: asked, others: [...rest, self.allocated], allocatable })) held = [...rest, asked]
  }
  return pendingResize({ pod: self.asked, others, allocatable }) ?? pendingResize({ pod: self.asked, others: held, allocatable })
}

function asksForMore({ asked, allocated }: WaitingResize): boolean {
  const [want, have] = [podRequests(asked), podRequests(allocated)]
  return quantityValue(want.memory) > quantityValue(have.memory) || quantityMilli(want.cpu) > quantityMilli(have.cpu)
}

/** Undefined: nobody has told it yet that it has to wait. */
function pendingSinceMs({ asked }: WaitingResize): number | undefined {
  const time = asked.status?.conditions?.find((c) => c.type === 'PodResizePending')?.lastTransitionTime
  return time === undefined ? undefined : Date.parse(time)
}

function compareTimes(a: number | undefined, b: number | undefined): number {
  if (a === b) return 0
  return (a ?? Infinity) - (b ?? Infinity)
}
