/**
 * Whether there is room for LevelDB to work in. It must be known before a write: one that fails in the middle leaves files
 * that only an opening can mend, and a compaction needs about as much again as it rewrites.
 */
import { readdirSync, statfsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { CodedError } from '#base/errors.ts'

const MIB = 1024 * 1024
/** What stays free for writes that must go through: at least, and at most, half the size of the database in between. */
const RESERVE_BYTES_MIN = 2 * MIB
const RESERVE_BYTES_MAX = 16 * MIB

/** Looks at the file system that `directory`, the database's, is on. Throws CodedError `DISK_FULL`; `new`: for what need not be begun, which ends earlier. */
export function diskRoom(directory: string): (what?: 'write' | 'new') => void {
  return (what = 'write') => {
    const { bavail, bsize } = statfsSync(directory)
    const freeBytes = bavail * bsize
    const share = what === 'new' ? 2 : 1
    if (freeBytes >= share * RESERVE_BYTES_MAX) return
    const neededBytes = share * Math.min(RESERVE_BYTES_MAX, Math.max(RESERVE_BYTES_MIN, sizeBytes(directory) / 2))
    if (freeBytes >= neededBytes) return
    throw new CodedError('DISK_FULL', `the disk of ${directory} has ${mib(freeBytes)} MiB left, ${mib(neededBytes)} are needed`)
  }
}

function sizeBytes(directory: string): number {
  let bytes = 0
  for (const name of readdirSync(directory)) bytes += statSync(join(directory, name), { throwIfNoEntry: false })?.size ?? 0
  return bytes
}

function mib(bytes: number): string {
  return (bytes / MIB).toFixed(1)
}
