/** What containers use: asked for often (stats), or by whoever scrapes metrics. */
import { stat, statfs } from 'node:fs/promises'
import { readCgroupUsage } from '#base/cgroup-usage.ts'
import type { Clock } from '#base/clock.ts'
import type { ContainerStats } from '../runtime.ts'
import { blockDeviceName } from './block-device.ts'
import type { CgroupLayout } from './cgroups.ts'
import { readContainerCounters } from './container-counters.ts'
import { deviceOf } from './device-number.ts'
import { diskUsage, type DiskUsage } from './disk-usage.ts'
import type { CountedContainer } from './metrics.ts'
import type { ContainerRecord } from './records.ts'
import type { RuntimePaths } from './runtime-paths.ts'

/** A container's files are walked over for their size: that is not done more often. */
const DISK_USAGE_MAX_AGE_MS = 60_000

type Measured = Pick<ContainerRecord, 'id' | 'cgroupPath'>

export class ContainerFigures {
  readonly #paths: RuntimePaths
  readonly #clock: Clock
  readonly #diskUsage = new Map<string, { usage: Promise<DiskUsage>; atMs: number }>()

  constructor(paths: RuntimePaths, clock: Clock) {
    this.#paths = paths
    this.#clock = clock
  }

  async stats({ id, cgroupPath }: Measured, cgroups: CgroupLayout): Promise<ContainerStats> {
    const atMs = this.#clock.nowMs()
    const [written, usage] = await Promise.all([this.#writableLayer(id, atMs), readCgroupUsage(cgroupPath, { version: cgroups.version, root: (controller) => cgroups.controllers.get(controller) })])
    return { containerId: id, atMs, ...usage, writableLayerUsedBytes: written.bytes, writableLayerInodesUsed: written.inodes }
  }

  async counted(record: Measured, cgroups: CgroupLayout): Promise<Pick<CountedContainer, 'stats' | 'counters' | 'io' | 'fs'>> {
    const { upper } = this.#paths.container(record.id)
    const [stats, counters, fs, { dev }] = await Promise.all([this.stats(record, cgroups), readContainerCounters(record.cgroupPath, cgroups), statfs(upper), stat(upper, { bigint: true })])
    const { major, minor } = deviceOf(dev)
    const io = await Promise.all(counters.io.map(async (each) => ({ ...each, device: await blockDeviceName(each.major, each.minor) })))
    return { stats, counters, io, fs: { device: await blockDeviceName(major, minor), major: String(major), minor: String(minor), bytes: fs.blocks * fs.bsize } }
  }

  /** The container is gone. */
  forget(id: string): void { this.#diskUsage.delete(id) }

  /** Noted at once, so that nothing is kept of a container that is forgotten meanwhile, and who asks at the same time waits for the same walk. */
  #writableLayer(id: string, atMs: number): Promise<DiskUsage> {
    const known = this.#diskUsage.get(id)
    if (known && Math.abs(atMs - known.atMs) < DISK_USAGE_MAX_AGE_MS) return known.usage
    const walk = { atMs, usage: diskUsage(this.#paths.container(id).upper) }
    this.#diskUsage.set(id, walk)
    return walk.usage
  }
}
