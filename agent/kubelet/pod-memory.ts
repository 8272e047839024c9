/** What the agent remembers of one pod between passes. Losing it (a restart) costs time, never correctness: see the field comments. */
import type { Pod, PodStatus, Stored } from '#api/types/index.ts'
import { allocationOf, type Allocation } from './resize.ts'
import type { InFlight, LaneFailure, Rejection } from './view.ts'

export interface PodMemory {
  readonly uid: string
  /** The newest object from the API, or from disk while the server is away. Status and resourceVersion may be older than `written`. */
  pod: Stored<Pod>
  /** Kept on disk. */
  allocation: Allocation
  /** Kept on disk: the generation whose allocation is not known to be real yet. */
  resizing: number | undefined
  /** The generation that cgroups were last made to fit. Lost: it is done once more. */
  resized: number | undefined
  removed: boolean
  /** Of a static pod: what the API shows of it. */
  mirror: Stored<Pod> | undefined
  /** Kept on disk: grace is counted from here. */
  endingSinceMs: number | undefined
  readonly firstSeenMs: number
  /** Lost: volumes are set up again, which changes nothing that is right. */
  prepared: boolean
  tornDown: boolean
  /** Lost: back-offs of failing pulls and the like start over. */
  readonly failures: Map<string, LaneFailure>
  /** Lost: the same actions are decided again. */
  readonly inFlight: Map<string, InFlight & { abort: AbortController; settled: Promise<void> }>
  /** When something it refers to last changed: what failed and had begun before is tried again at once. */
  wantedChangedMs: number
  /** How often a lane succeeded of late. */
  readonly laneRuns: Map<string, { count: number; sinceMs: number }>
  /** Lost: an Event may be told once more. */
  readonly backOffReported: Set<string>
  /** Containers (by id) whose stop has begun. Lost: it begins again. */
  readonly stopBegun: Set<string>
  /** Containers (by id) that are stopped to be started again. Lost: what their policy says of their end decides, as upstream. */
  readonly replacing: Set<string>
  /** By container id; read again from disk when lost. */
  readonly terminationMessages: Map<string, string>
  /** What we last wrote and what the API made of it: until the API's status changes again, ours is what it has. Lost: one needless patch at most. */
  written: { sent: PodStatus; answer: PodStatus; resourceVersion: string } | undefined
  /** The API was told that nothing is left; a finalizer may keep the object. Lost: it is told again. */
  finished: boolean
  /** Lost: what is still so is decided again. */
  rejected: Rejection | undefined
  /** As last seen. */
  sandboxIds: ReadonlySet<string>
  /** The last bringing up to date of its volumes; one at a time. Never rejects. */
  refreshing: Promise<void>
  /** Cancels the timer of the next token renewal. */
  cancelRefresh: (() => void) | undefined
}

export function createPodMemory(pod: Stored<Pod>, nowMs: number, kept: { endingSinceMs?: number; allocation?: Allocation; resizing?: number } = {}): PodMemory {
  return {
    uid: pod.metadata.uid, pod, allocation: kept.allocation ?? allocationOf(pod), resizing: kept.resizing, resized: undefined, removed: false, mirror: undefined, endingSinceMs: kept.endingSinceMs, firstSeenMs: nowMs, prepared: false, tornDown: false, failures: new Map(), inFlight: new Map(), laneRuns: new Map(), wantedChangedMs: -Infinity, backOffReported: new Set(),
    stopBegun: new Set(), replacing: new Set(), terminationMessages: new Map(), written: undefined, finished: false, rejected: undefined, sandboxIds: new Set(), cancelRefresh: undefined, refreshing: Promise.resolve(),
  }
}
