import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
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
