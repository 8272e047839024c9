/** What the kubelet says of its node in Events, in upstream's words. Pure. */
import type { Node, NodeStatus } from '#api/types/index.ts'
import { BOARD_CONDITIONS } from './board/signs.ts'

export interface NodeEvent { type: 'Normal' | 'Warning'; reason: string; message: string }

/** At the start of every agent; `bootId` is this boot's. */
export function startEvents(nodeName: string, known: Node | undefined, { bootId, memoryVolumesMaySwap }: { bootId: string; memoryVolumesMaySwap: boolean }): NodeEvent[] {
  const knownBootId = known?.status?.nodeInfo?.bootID
  const events: NodeEvent[] = []
  if (memoryVolumesMaySwap) events.push({ type: 'Warning', reason: 'PossibleMemoryBackedVolumesOnDisk', message: 'The tmpfs noswap option is not supported. Memory-backed volumes (e.g. secrets, emptyDirs, etc.) might be swapped to disk and should no longer be considered secure.' })
  events.push({ type: 'Normal', reason: 'Starting', message: 'Starting kubelet.' })
  // A Node that was made a moment ago has no boot before this one.
  if (knownBootId !== undefined && knownBootId !== '' && knownBootId !== bootId) events.push({ type: 'Warning', reason: 'Rebooted', message: `Node ${nodeName} has been rebooted, boot id: ${bootId}` })
  events.push({ type: 'Normal', reason: 'NodeAllocatableEnforced', message: 'Updated Node Allocatable limit across pods' })
  return events
}

const PRESSURES = [
  ['MemoryPressure', 'NodeHasInsufficientMemory', 'NodeHasSufficientMemory'],
  ['DiskPressure', 'NodeHasDiskPressure', 'NodeHasNoDiskPressure'],
  ['PIDPressure', 'NodeHasInsufficientPID', 'NodeHasSufficientPID'],
] as const

/** Conditions that are others than before. */
export function conditionEvents(nodeName: string, before: NodeStatus, after: NodeStatus): NodeEvent[] {
  const statusOf = (status: NodeStatus, type: string) => status.conditions?.find((c) => c.type === type)?.status
  const changed = (type: string) => (statusOf(before, type) === statusOf(after, type) ? undefined : statusOf(after, type))
  const reasons: string[] = []
  for (const [type, bad, good] of PRESSURES) {
    const now = changed(type)
    if (now !== undefined) reasons.push(now === 'True' ? bad : good)
  }
  const ready = changed('Ready')
  if (ready !== undefined) reasons.push(ready === 'True' ? 'NodeReady' : 'NodeNotReady')
  return [...boardEvents(before, after), ...reasons.map((reason) => statusIsNow(nodeName, reason))]
}

/** What a board tells for the first time is told here only if it is bad. */
function boardEvents(before: NodeStatus, after: NodeStatus): NodeEvent[] {
  return BOARD_CONDITIONS.flatMap((type): NodeEvent[] => {
    const [old, now] = [before, after].map((status) => status.conditions?.find((c) => c.type === type))
    if (!now || now.reason === old?.reason || (now.status === 'False' && !old)) return []
    return [{ type: now.status === 'True' ? 'Warning' : 'Normal', reason: now.reason ?? type, message: now.message ?? '' }]
  })
}

/** `kubectl cordon` and `uncordon`. */
export function schedulableEvent(nodeName: string, isUnschedulable: boolean): NodeEvent {
  return statusIsNow(nodeName, isUnschedulable ? 'NodeNotSchedulable' : 'NodeSchedulable')
}

const statusIsNow = (nodeName: string, reason: string): NodeEvent => ({ type: 'Normal', reason, message: `Node ${nodeName} status is now: ${reason}` })
