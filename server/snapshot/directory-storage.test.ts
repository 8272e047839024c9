import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { hasCode } from '#base/errors.ts'
import { directoryStorage } from './directory-storage.ts'
import { createdMsOf, excess, snapshotName, snapshotTable } from './names.ts'
import { snapshotStorageContract } from './snapshot-storage.contract.ts'
import { snapshotBytes } from './snapshot.test-support.ts'

snapshotStorageContract('directory', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'skiff-directory-'))
  return { storage: directoryStorage(join(directory, 'made', 'when', 'needed')), cleanUp: async () => rmSync(directory, { recursive: true, force: true }) }
})

async function withDirectory(run: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'skiff-directory-'))
  try {
    await run(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function* pieces(...all: (Buffer | Error)[]): AsyncGenerator<Buffer> {
  for (const piece of all) {
    if (piece instanceof Error) throw piece
    yield piece
  }
}

it('nothing is left of a snapshot that broke off, was damaged on its way or is none', () => withDirectory(async (directory) => {
  const storage = directoryStorage(directory)
  const bytes = await snapshotBytes({ '/a': 'x' })
  const name = 'on-demand-h1-1795266303'
  const broken = new Error('the server went away')
  await assert.rejects(storage.write(name, pieces(bytes.subarray(0, 100), broken)), broken)
  await assert.rejects(storage.write(name, pieces(bytes.subarray(0, bytes.length - 1))), (e) => hasCode(e, 'SNAPSHOT_DAMAGED'))
  const bent = Buffer.from(bytes)
  bent.writeUInt8(bent.readUInt8(bent.length - 50) ^ 1, bent.length - 50)
  await assert.rejects(storage.write(name, pieces(bent)), (e) => hasCode(e, 'SNAPSHOT_DAMAGED'))
  await assert.rejects(storage.write(name, pieces(Buffer.from('<html>'))), (e) => hasCode(e, 'SNAPSHOT_DAMAGED'))
  assert.deepEqual(readdirSync(directory), [])
  await storage.write(name, pieces(bytes))
  assert.deepEqual(readdirSync(directory), [name])
  assert.equal((statSync(join(directory, name)).mode & 0o777).toString(8), '600')
}))

it('files of others in the directory are left out and left alone', () => withDirectory(async (directory) => {
  writeFileSync(join(directory, 'notes.txt'), 'x')
  writeFileSync(join(directory, 'Photo-1795266303'), 'x')
  assert.deepEqual(await directoryStorage(directory).list(), [])
}))

it('a name tells the series, the node and the second', () => {
  assert.equal(snapshotName('on-demand', 'h1.local', 1_795_266_303_999), 'on-demand-h1.local-1795266303')
  assert.equal(createdMsOf('on-demand-h1.local-1795266303'), 1_795_266_303_000)
  for (const no of ['on-demand', '1795266303', '../x-1795266303', 'a/b-1795266303', 'A-1795266303', 'on-demand-h1-17952663']) assert.equal(createdMsOf(no), undefined, no)
})

it('too many are those of the series beyond the newest few, whatever else begins like it', () => {
  const stored = (name: string) => ({ name, location: '', sizeBytes: 1, createdMs: createdMsOf(name) ?? 0 })
  const all = ['a-h1-1795266301', 'a-h1-1795266303', 'a-h1-1795266302', 'a-h1-b-1795266300', 'a-h2-1795266300', 'b-h1-1795266300'].map(stored)
  assert.deepEqual(excess(all, 'a-h1', 1).map((s) => s.name), ['a-h1-1795266302', 'a-h1-1795266301'])
  assert.deepEqual(excess(all, 'a-h1', 3), [])
})

it('the table is k3s\'', () => {
  assert.equal(snapshotTable([{ name: 'on-demand-h1-1795266303', location: 'file:///d/on-demand-h1-1795266303', sizeBytes: 31713, createdMs: 1_795_266_303_000 }]), [
    'Name                    Location                          Size  Created', 'on-demand-h1-1795266303 file:///d/on-demand-h1-1795266303 31713 2026-11-21T13:05:03Z', '',
  ].join('\n'))
})
