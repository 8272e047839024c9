/** What is left of the node's resources, by signal: a few reads of /proc and two of file systems. */
import { stat } from 'node:fs/promises'
import type { Clock } from '#base/clock.ts'
import type { ContainerRuntime } from '#cri/index.ts'
import type { HostPressure } from '../node/host-facts.ts'
import { readFs } from '../stats/host-usage.ts'
import type { Observations } from './thresholds.ts'

export interface SignalSources {
  /** Of the agent's own file system, memory and processes. */
  pressure: () => Promise<HostPressure>
  runtime: Pick<ContainerRuntime, 'imageFsInfo'>
  rootDir: string
  memoryBytes: number
  /** All pods together; undefined: not known, or not limited. */
  podsMemory: () => Promise<{ limitBytes: number; workingSetBytes: number } | undefined>
  clock: Clock
}

export async function observeSignals({ pressure, runtime, rootDir, memoryBytes, podsMemory, clock }: SignalSources): Promise<Observations> {
  const p = await pressure()
  const nodefs = { space: { available: p.fsAvailableBytes, capacity: p.fsBytes }, inodes: { available: p.fsInodesFree, capacity: p.fsInodes } }
  const { mountpoint } = await runtime.imageFsInfo()
  const imagefs = mountpoint === '' || mountpoint === rootDir ? nodefs : await readFs(mountpoint, clock.nowMs()).then((fs) => ({
    space: { available: fs.availableBytes, capacity: fs.capacityBytes }, inodes: { available: fs.inodesFree, capacity: fs.inodes },
  }), () => nodefs) // Another runtime's path may not be seen from here.
  const pods = await podsMemory()
  return {
    'memory.available': { available: p.memoryAvailableBytes, capacity: memoryBytes },
    ...(pods && { 'allocatableMemory.available': { available: Math.max(0, pods.limitBytes - pods.workingSetBytes), capacity: pods.limitBytes } }),
    'nodefs.available': nodefs.space,
    // Some file systems (btrfs) count none: 0 of 0 says nothing.
    'nodefs.inodesFree': nodefs.inodes,
    'imagefs.available': imagefs.space,
    'imagefs.inodesFree': imagefs.inodes,
    ...(Number.isFinite(p.pidsMax) && { 'pid.available': { available: p.pidsMax - p.pids, capacity: p.pidsMax } }),
  }
}

/** Images and what containers write are on another device than the node's own files (upstream's HasDedicatedImageFs). Not where it cannot be seen. */
export async function hasDedicatedImageFs({ runtime, rootDir }: Pick<SignalSources, 'runtime' | 'rootDir'>): Promise<boolean> {
  const { mountpoint } = await runtime.imageFsInfo()
  if (mountpoint === '' || mountpoint === rootDir) return false
  const [images, own] = await Promise.all([mountpoint, rootDir].map((path) => stat(path).then(({ dev }) => dev, () => undefined))) // Another runtime's path may not be seen from here.
  return images !== undefined && own !== undefined && images !== own
}
