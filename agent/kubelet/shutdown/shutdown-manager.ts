/**
 * The way down of a node whose pods are to have time for it (upstream's nodeshutdown): no new pods, the node not ready, then pods end by priority
 * and are told to have failed for it, so that they start elsewhere. Begun when systemd ends this program, which is before the network goes; no lock of logind is
 * needed. Without periods nothing of this happens: what runs starts again with the next boot.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Pod, Stored } from '#api/types/index.ts'
import { writeFileAtomic } from '#base/atomic-file.ts'
import type { Clock } from '#base/clock.ts'
import { asError, hasCode } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { MetricFamily } from '../stats/metrics-text.ts'
import { time } from '../time.ts'
import { shutdownGraceSeconds, shutdownGroups, type ShutdownPeriod } from './periods.ts'

/** Reason and message of pods that ended for it. */
export const SHUTDOWN = { reason: 'Terminated', message: 'Pod was terminated in response to imminent node shutdown.' } as const
/** Of pods that come too late. */
export const NOT_ADMITTED = { reason: 'NodeShutdown', message: 'Pod was rejected as the node is shutting down.' } as const
export const NODE_NOT_READY = 'node is shutting down'

export interface ShutdownManager {
  readonly isShuttingDown: boolean
  /** When the last one was, for the metrics. */
  open(): Promise<void>
  /** Resolves when all pods have ended or their time is over; at once when no periods are configured. Never rejects. */
  shutDown(): Promise<void>
  /** A pod was looked at: it may have ended, or been told of. */
  look(): void
  metrics(): MetricFamily[]
}

export interface ShutdownManagerDeps {
  periods: readonly ShutdownPeriod[]
  /** Holds `graceful_node_shutdown_state`. */
  directory: string
  /** Pods that have not ended, those that are about to as well. */
  pods(): readonly Stored<Pod>[]
  end(pod: Stored<Pod>, graceSeconds: number): void
  /** Nothing of it runs or is mounted any more. */
  hasEnded(uid: string): boolean
  /** The API knows how it ended. */
  isTold(uid: string): boolean
  /** The node's status and who may come have changed. */
  onChange(): void
  /** A normal Event about this node. */
  tell(reason: string, message: string): void
  clock: Clock
  log: Log
}

/** After the last pod has ended: for what the API has not been told yet. */
const TELL_MS_MAX = 2_000

export function createShutdownManager(deps: ShutdownManagerDeps): ShutdownManager {
  const { periods, clock } = deps
  const log = deps.log.with('shutdown')
  const path = join(deps.directory, 'graceful_node_shutdown_state')
  let isShuttingDown = false
  const waiting = new Set<() => void>()
  let last: { startMs: number; endMs: number } = { startMs: 0, endMs: 0 }

  /** False when the time was over first. */
  const until = (holds: () => boolean, withinMs: number): Promise<boolean> => new Promise((resolve) => {
    if (holds()) return resolve(true)
    const end = (held: boolean): void => {
      waiting.delete(look)
      cancel()
      resolve(held)
    }
    const look = (): void => { if (holds()) end(true) }
    const cancel = clock.after(withinMs, () => end(holds()))
    waiting.add(look)
  })

  const note = async (): Promise<void> => {
    const text = JSON.stringify({ startTime: time(last.startMs), endTime: last.endMs === 0 ? '0001-01-01T00:00:00Z' : time(last.endMs) })
    await writeFileAtomic(path, text).catch((error: unknown) => log.warn('the time of the shutdown cannot be kept', { path, error: asError(error) }))
  }

  return {
    get isShuttingDown() { return isShuttingDown },
    async open() {
      try {
        const { startTime, endTime } = JSON.parse(await readFile(path, 'utf8')) as { startTime?: string; endTime?: string }
        const ms = (text = '') => Math.max(0, Date.parse(text) || 0)
        last = { startMs: ms(startTime), endMs: ms(endTime) }
      } catch (error) {
        if (!hasCode(error, 'ENOENT') && !(error instanceof SyntaxError)) log.warn('the time of the last shutdown is not known', { path, error: asError(error) })
      }
    },
    async shutDown() {
      if (periods.length === 0 || isShuttingDown) return
      isShuttingDown = true
      last = { startMs: clock.nowMs(), endMs: 0 }
      deps.tell('Shutdown', 'Shutdown manager detected shutdown event')
      deps.onChange()
      const pods = deps.pods()
      await note()
      for (const group of shutdownGroups(periods, pods)) {
        log.info('pods end, as the node shuts down', { priority: group.priority, pods: group.pods.length, seconds: group.seconds })
        for (const pod of group.pods) deps.end(pod, shutdownGraceSeconds(pod, group))
        const left = () => group.pods.filter(({ metadata }) => !deps.hasEnded(metadata.uid))
        if (!await until(() => left().length === 0, group.seconds * 1_000)) log.warn('pods did not end in their time', { pods: left().map(({ metadata }) => `${metadata.namespace ?? ''}/${metadata.name}`) })
      }
      await until(() => pods.every(({ metadata }) => deps.isTold(metadata.uid)), TELL_MS_MAX)
      last = { ...last, endMs: clock.nowMs() }
      await note()
    },
    look() {
      for (const look of waiting) look()
    },
    metrics: () => (periods.length === 0 ? [] : [
      { name: 'kubelet_graceful_shutdown_end_time_seconds', help: '[ALPHA] Last graceful shutdown end time since unix epoch in seconds', type: 'gauge', samples: [{ value: Math.floor(last.endMs / 1_000) }] },
      { name: 'kubelet_graceful_shutdown_start_time_seconds', help: '[ALPHA] Last graceful shutdown start time since unix epoch in seconds', type: 'gauge', samples: [{ value: Math.floor(last.startMs / 1_000) }] },
    ]),
  }
}
