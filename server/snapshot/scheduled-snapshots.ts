/**
 * Snapshots by themselves, at the times of a cron schedule: into the directory, then to S3 where there is one, then what
 * is too much goes. A board that was off at the time makes up for it some minutes after its start. What fails is told in
 * the log and by an Event, and tried again at the next time.
 */
import type { EventRecorder } from '#api/client/event-recorder.ts'
import type { ObjectReference } from '#api/types/index.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { DirectoryStorage } from './directory-storage.ts'
import { excess, snapshotName } from './names.ts'
import type { SnapshotStorage } from './snapshot-storage.ts'
import { takeSnapshot, type SnapshotSource } from './take-snapshot.ts'

export interface Schedule { /** The first time after this one; undefined: never again. */ next(afterMs: number): number | undefined }

export interface ScheduledSnapshots {
  schedule: Schedule
  /** What the snapshots' names begin with; the node follows. */
  name: string
  /** How many of them are kept, here and there. */
  retention: number
  directory: DirectoryStorage
  /** Asked for each time: its keys may be in a Secret. Undefined: only the directory. */
  remote: (() => Promise<SnapshotStorage>) | undefined
}

export interface ScheduleDeps { source: SnapshotSource; events: EventRecorder; /** What the Events are about. */ about: ObjectReference; log: Log }

/** After the start, while everything else is still at work. */
const CATCH_UP_MS = 600_000
/** The wall clock may jump; it is looked at so often. */
const LOOK_MS_MAX = 3_600_000

/** Until the signal aborts. */
export async function keepSnapshots(config: ScheduledSnapshots, deps: ScheduleDeps, signal: AbortSignal): Promise<void> {
  const { schedule } = config
  const { clock } = deps.source
  const wait = (ms: number) => clock.sleep(ms, signal).then(() => true, () => false)
  const next = schedule.next(clock.nowMs())
  const first = (await isOverdue(config, deps)) ? Math.min(clock.nowMs() + CATCH_UP_MS, next ?? Infinity) : next
  for (let due = first; due !== undefined; ) {
    const leftMs = due - clock.nowMs()
    if (leftMs > 0) {
      if (!(await wait(Math.min(leftMs, LOOK_MS_MAX)))) return
      // Set back, the clock brings an earlier time, too.
      due = Math.min(due, schedule.next(clock.nowMs()) ?? due)
      continue
    }
    await snapshotOnce(config, deps)
    due = schedule.next(clock.nowMs())
  }
}

/** Whether a time has gone by since the newest one was taken; so it is where there is none. */
async function isOverdue({ schedule, directory, name }: ScheduledSnapshots, { source, log }: ScheduleDeps): Promise<boolean> {
  try {
    const newest = (await directory.list()).find((s) => s.name.startsWith(`${name}-${source.node}-`))
    const due = schedule.next(newest?.createdMs ?? 0)
    return due !== undefined && due <= source.clock.nowMs()
  } catch (error) {
    log.warn('the snapshots that are there cannot be looked at', { error: asError(error) })
    return true
  }
}

/** Never rejects. */
export async function snapshotOnce(config: ScheduledSnapshots, { source, events, about, log }: ScheduleDeps): Promise<void> {
  const { directory, remote, retention } = config
  const series = `${config.name}-${source.node}`
  const name = snapshotName(config.name, source.node, source.clock.nowMs())
  const failed = (what: string, error: unknown) => {
    log.error(what, { snapshot: name, error: asError(error) })
    events.event(about, 'Warning', 'SnapshotFailed', `${what}: ${asError(error).message}`)
  }
  const prune = async (storage: SnapshotStorage) => {
    // The new one stays, also where the clock was set back and it is the oldest by its name.
    for (const old of excess((await storage.list()).filter((s) => s.name !== name), series, retention - 1)) {
      await storage.delete(old.name)
      log.info('deleted an old snapshot', { location: old.location })
    }
  }
  try {
    const saved = await directory.write(name, takeSnapshot(source))
    log.info('saved a snapshot', { location: saved.location, bytes: saved.sizeBytes })
    events.event(about, 'Normal', 'SnapshotSaved', `Snapshot ${name} saved to ${saved.location}`)
    await prune(directory)
  } catch (error) {
    failed('a scheduled snapshot could not be taken', error)
    return
  }
  if (!remote) return
  try {
    const storage = await remote()
    const stored = await storage.put(name, directory.pathOf(name))
    log.info('stored a snapshot', { location: stored.location, bytes: stored.sizeBytes })
    await prune(storage)
  } catch (error) {
    failed('a scheduled snapshot could not be stored elsewhere; it is in the directory', error)
  }
}
