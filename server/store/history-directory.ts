/** The place of a server's history on its disk: a file for each segment, never synced, and thrown away at each start. */
import { readFileSync, rmSync } from 'node:fs'
import { mkdir, rm, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '#base/clock.ts'
import type { Log } from '#base/log.ts'
import type { HistorySpill } from './spilled-events.ts'

/** As much as etcd's whole database may take by default. */
const BYTES_MAX = 2 * 1024 ** 3
/** Of what is free, history takes no more than this part. */
const PART_MAX = 1 / 4

export interface HistoryDirectoryOptions { directory: string; clock: Clock; log: Log }

/** Removes what an earlier process left there. The directory is made when it is first needed. */
export async function openHistoryDirectory({ directory, clock, log }: HistoryDirectoryOptions): Promise<HistorySpill> {
  await rm(directory, { recursive: true, force: true })
  const pathOf = (id: number) => join(directory, `${id}.zst`)
  const state = { nextId: 1, bytes: new Map<number, number>(), isFailing: false }
  return {
    clock,
    newId: () => state.nextId++,
    async write(id, segment) {
      await mkdir(directory, { recursive: true, mode: 0o700 })
      const { bavail, bsize } = await statfs(directory)
      const taken = [...state.bytes.values()].reduce((sum, bytes) => sum + bytes, 0)
      const bytesMax = Math.min(BYTES_MAX, (bavail * bsize + taken) * PART_MAX)
      if (segment.length > bytesMax) throw new Error('the disk is nearly full')
      try {
        await writeFile(pathOf(id), segment, { mode: 0o600, flag: 'wx' })
      } catch (error) {
        await rm(pathOf(id), { force: true })
        throw error
      }
      state.bytes.set(id, segment.length)
      state.isFailing = false
      return { bytesMax }
    },
    read: (id) => readFileSync(pathOf(id)),
    remove(id) {
      if (state.bytes.delete(id)) rmSync(pathOf(id), { force: true })
    },
    failed(error) {
      if (!state.isFailing) log.warn('history for watches cannot be kept on the disk: clients that come back after long will list again', { directory, error: error.message })
      state.isFailing = true
    },
  }
}
