import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { diskRoom } from './disk-room.ts'

const skip = process.getuid?.() === 0 ? false : 'mounting a small file system needs root'

describe('room on the disk', { skip }, () => {
  it('ends earlier for what is new than for what is under way, and comes back', () => {
    const directory = mkdtempSync(join(tmpdir(), 'disk-room-'))
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', directory])
    try {
      const assertRoom = diskRoom(directory)
      assertRoom('new')
      writeFileSync(join(directory, 'some'), Buffer.alloc(4.5 * 1024 * 1024))
      assertRoom('write')
      assert.throws(() => assertRoom('new'), { code: 'DISK_FULL', message: `the disk of ${directory} has 3.5 MiB left, 4.5 are needed` })
      writeFileSync(join(directory, 'more'), Buffer.alloc(2 * 1024 * 1024))
      assert.throws(() => assertRoom('write'), { code: 'DISK_FULL' })
      rmSync(join(directory, 'some'))
      assertRoom('new')
    } finally {
      execFileSync('umount', [directory])
      rmdirSync(directory)
    }
  })
})
