import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { hasCode } from '#base/errors.ts'
import { createLog } from '#base/log.ts'
import { levelOpener } from './open-level.ts'
import { WRITE_BACK } from './write-back.ts'

/** Says what is told when a database is opened whose newest file was changed so. */
async function opened(change: (file: string) => void): Promise<{ told: string[]; keys: string[] }> {
  const directory = mkdtempSync(join(tmpdir(), 'open-level-'))
  try {
    const written = await levelOpener(directory)()
    for (const key of ['a', 'b', 'c', 'd']) await written.put(key, Buffer.alloc(40_000, key), { sync: true })
    await written.close()
    const [name = ''] = readdirSync(directory).filter((n) => n.endsWith('.log'))
    change(join(directory, name))
    const told: string[] = []
    const db = await levelOpener(directory, WRITE_BACK.normal, createLog({ format: 'text', level: 'info', nowMs: () => 0, write: (line) => told.push(line) }))()
    const keys = await db.keys().all()
    await db.close()
    return { told, keys }
  } finally {
    rmSync(directory, { recursive: true })
  }
}

it('damage in the midst of the newest file is told', async () => {
  const { told, keys } = await opened((file) => {
    const bytes = readFileSync(file)
    bytes.writeUInt8(bytes.readUInt8(60_000) ^ 1, 60_000)
    writeFileSync(file, bytes)
  })
  assert.ok(!keys.includes('b') && keys.includes('a') && keys.includes('d'), keys.join(''))
  assert.equal(told.length, 1)
  assert.match(told[0] ?? '', /WARN +a part of the newest file of the store was damaged and is left out: .* bytes=\d{5} /)
})

it('a write that was cut off is none, and nor is a whole file', async () => {
  assert.deepEqual(await opened((file) => truncateSync(file, 150_000)), { told: [], keys: ['a', 'b', 'c'] })
  assert.deepEqual(await opened(() => undefined), { told: [], keys: ['a', 'b', 'c', 'd'] })
})

it('a database that was not made to its end is made anew; one whose first file is gone is not made over', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'open-level-'))
  try {
    // As the power left it before it had its name, and as LevelDB alone leaves it.
    mkdirSync(join(directory, 'new-abc'))
    for (const name of ['new-abc/MANIFEST-000001', 'MANIFEST-000001', 'LOCK', 'LOG']) writeFileSync(join(directory, name), '')
    const db = await levelOpener(directory)()
    await db.put('a', Buffer.from('1'), { sync: true })
    await db.close()
    assert.deepEqual(readdirSync(directory).filter((n) => n.startsWith('new-')), [])
    const again = await levelOpener(directory)()
    assert.equal((await again.get('a'))?.toString(), '1')
    await again.close()
    const before = readdirSync(directory).filter((n) => n !== 'CURRENT').sort()
    rmSync(join(directory, 'CURRENT'))
    await assert.rejects(levelOpener(directory)(), (e: Error) => hasCode(e, 'STORE_CORRUPT') && e.message.includes(join(directory, 'CURRENT')))
    assert.deepEqual(readdirSync(directory).sort(), before)
  } finally {
    rmSync(directory, { recursive: true })
  }
})
