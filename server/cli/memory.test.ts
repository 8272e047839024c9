import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cleanFileMaps } from './memory.ts'

const SMAPS = `00400000-00500000 r-xp 00001000 08:01 1234 /usr/local/bin/skiff
Size:               1024 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
00500000-00501000 r--p 00101000 08:01 1234 /usr/local/bin/skiff
Anonymous:             4 kB
00501000-00502000 rw-p 00102000 08:01 1234 /usr/local/bin/skiff
Anonymous:             0 kB
7f0000000000-7f0000010000 rw-p 00000000 00:00 0
Anonymous:            64 kB
7f0000020000-7f0000030000 r--p 00000000 00:00 0 [anon: read-only]
Anonymous:             0 kB
ffffb7c00000-ffffb7c02000 r--s 00000000 08:01 99 /var/lib/skiff/server/db/000005.ldb
Anonymous:             0 kB
`

test('only maps of files that were never written to are let go of', () => {
  assert.deepEqual(cleanFileMaps(SMAPS), [
    { start: 0x400000n, bytes: 0x100000n, inode: 1234 },
    { start: 0xffffb7c00000n, bytes: 0x2000n, inode: 99 },
  ])
})
