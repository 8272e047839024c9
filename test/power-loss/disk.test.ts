/** The disk that loses: what was synced stays, of the rest any part may; names in their order. And the reader of strace's notes. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { seededRandom } from '#base/random.ts'
import { Disk, LOSSES, type Loss } from './disk.ts'
import { readTrace, type FileEvent } from './trace.ts'

type Event = FileEvent extends infer E ? E extends { startMs: number } ? Omit<E, 'startMs'> : never : never

function diskAfter(...events: Event[]): Disk {
  const disk = new Disk()
  for (const event of events) disk.apply({ ...event, startMs: 0 } as FileEvent)
  return disk
}

const open = (fd: number, path: string): Event => ({ kind: 'open', fd, path, creates: path !== '', truncates: path !== '' })
const write = (fd: number, text: string | Buffer): Event => ({ kind: 'write', fd, data: Buffer.from(text) })

/** All that may be found after a cut. */
function outcomes(disk: Disk, losses: readonly Loss[] = LOSSES): string[] {
  const found = new Set<string>()
  for (let seed = 1; seed <= 300; seed++) for (const loss of losses) found.add([...disk.cut(loss, seededRandom(seed))].map(([path, content]) => `${path}=${content.toString()}`).sort().join(' '))
  return [...found].sort()
}

describe('a disk after a power cut', () => {
  it('has what was synced, and its name', () => {
    assert.deepEqual(outcomes(diskAfter(open(3, 'a'), write(3, 'one'), { kind: 'sync', fd: 3, begun: 2 })), ['a=one'])
  })

  it('may have what was not synced, or not, or not even the name', () => {
    assert.deepEqual(outcomes(diskAfter(open(3, 'a'), write(3, 'one'))), ['', 'a=', 'a=one'])
  })

  it('has of what was written while a sync was under way no more than of what came later', () => {
    assert.deepEqual(outcomes(diskAfter(open(3, 'a'), write(3, 'one'), write(3, 'two'), { kind: 'sync', fd: 3, begun: 2 })), ['a=one', 'a=onetwo'])
  })

  it('does not sync one file with another', () => {
    assert.deepEqual(outcomes(diskAfter(open(3, 'a'), write(3, 'x'), { kind: 'sync', fd: 3, begun: 2 }, write(3, 'y'), open(4, 'b'), write(4, 'z'), { kind: 'sync', fd: 4, begun: 6 })), ['a=x b=z', 'a=xy b=z'])
  })

  it('loses names from the end only; a sync of the directory keeps them', () => {
    const events: Event[] = [open(3, 'new'), write(3, '1'), { kind: 'sync', fd: 3, begun: 2 }, { kind: 'rename', from: 'new', to: 'current' }, open(4, 'b'), { kind: 'unlink', path: 'current' }]
    assert.deepEqual(outcomes(diskAfter(...events)), ['b=', 'b= current=1', 'current=1', 'new=1'])
    assert.deepEqual(outcomes(diskAfter(...events, open(5, ''), { kind: 'sync', fd: 5, begun: 7 })), ['b='])
  })

  it('tears between sectors, and leaves zeros where a page is missing', () => {
    const disk = diskAfter(open(3, 'a'), write(3, 'x'.repeat(100)), { kind: 'sync', fd: 3, begun: 2 }, write(3, 'y'.repeat(12_000)))
    const torn = outcomes(disk, ['tails, torn between sectors'])
    assert.ok(torn.length > 10 && torn.every((t) => (t.length - 2) % 512 === 0 || t.length === 102 || t.length === 12_102), torn.map((t) => t.length).join(' '))
    const pages = outcomes(disk, ['pages in any order'])
    assert.equal(pages.length, 8)
    assert.ok(pages.some((p) => p.includes('\0'.repeat(4096 - 100 + 4096) + 'y')))
    for (const outcome of [...torn, ...pages]) assert.ok(outcome.startsWith(`a=${'x'.repeat(100)}`))
  })
})

describe("strace's notes", () => {
  it('are read in the order in which calls ended, of files below the directory only', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'skiff-trace-'))
    try {
      const hex = (text: string) => [...Buffer.from(text)].map((b) => `\\x${b.toString(16).padStart(2, '0')}`).join('')
      writeFileSync(join(dir, 'trace'), [
        `10 1000.000001 openat(AT_FDCWD, "${hex('/db/1.log')}", O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC, 0644) = 20`,
        `10 1000.000002 openat(AT_FDCWD, "${hex('/elsewhere/1.log')}", O_WRONLY|O_CREAT, 0644) = 21`,
        `11 1000.000003 write(20, "${hex('one')}", 3 <unfinished ...>`,
        `10 1000.000004 write(21, "${hex('no')}", 2) = 2`,
        `12 1000.000005 fdatasync(20 <unfinished ...>`,
        `11 1000.000006 <... write resumed>) = 3`,
        `12 1000.000007 <... fdatasync resumed>) = 0`,
        `10 1000.000008 rename("${hex('/db/a')}", "${hex('/db/b')}") = 0`,
        `10 1000.000009 unlink("${hex('/db/none')}") = -1 ENOENT (No such file or directory)`,
        `10 1000.000010 close(20)           = 0`,
        `10 1000.000011 write(20, "${hex('a socket by now')}", 15) = 15`,
        `10 1000.000012 +++ exited with 0 +++`,
      ].join('\n') + '\n')
      assert.deepEqual((await readTrace(join(dir, 'trace'), '/db')).map(({ startMs, ...event }) => ({ ...event, at: Math.round((startMs - 1_000_000) * 1000) })), [
        { kind: 'open', fd: 20, path: '1.log', creates: true, truncates: true, at: 1 },
        { kind: 'write', fd: 20, data: Buffer.from('one'), at: 3 },
        { kind: 'sync', fd: 20, begun: 1, at: 5 },
        { kind: 'rename', from: 'a', to: 'b', at: 8 },
        { kind: 'close', fd: 20, at: 10 },
      ])
    } finally {
      rmSync(dir, { recursive: true })
    }
  })
})
