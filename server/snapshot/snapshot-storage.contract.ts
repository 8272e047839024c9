/** The suite of every place snapshots are kept in. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { hasCode } from '#base/errors.ts'
import { snapshotBytes } from './snapshot.test-support.ts'
import type { SnapshotStorage } from './snapshot-storage.ts'

export interface StorageHarness { storage: SnapshotStorage; cleanUp(): Promise<void> }

export function snapshotStorageContract(name: string, newHarness: () => Promise<StorageHarness>): void {
  const withStorage = async (run: (storage: SnapshotStorage, directory: string) => Promise<void>) => {
    const harness = await newHarness()
    const directory = mkdtempSync(join(tmpdir(), 'skiff-storage-'))
    try {
      await run(harness.storage, directory)
    } finally {
      await harness.cleanUp()
      rmSync(directory, { recursive: true, force: true })
    }
  }

  describe(`snapshot storage contract: ${name}`, () => {
    it('is empty at first', () => withStorage(async (storage) => { assert.deepEqual(await storage.list(), []) }))

    it('gives back the bytes it was given, into a file that only its owner reads', () => withStorage(async (storage, directory) => {
      const bytes = await snapshotBytes({ '/a': 'x'.repeat(100_000) })
      const [from, to] = [join(directory, 'from'), join(directory, 'to')]
      writeFileSync(from, bytes)
      const stored = await storage.put('nightly-h1-1795266303', from)
      assert.deepEqual({ name: stored.name, sizeBytes: stored.sizeBytes, createdMs: stored.createdMs }, { name: 'nightly-h1-1795266303', sizeBytes: bytes.length, createdMs: 1_795_266_303_000 })
      assert.match(stored.location, /^(file|s3):\/\/.*\/nightly-h1-1795266303$/)
      await storage.get('nightly-h1-1795266303', to)
      assert.ok(readFileSync(to).equals(bytes))
      assert.equal(statSync(to).mode & 0o077, 0)
    }))

    it('lists the newest first, over all pages, and nothing that is no snapshot by its name', () => withStorage(async (storage, directory) => {
      const file = join(directory, 'f')
      writeFileSync(file, await snapshotBytes({ '/a': '1' }))
      for (const seconds of [1_795_266_303, 1_795_266_301, 1_795_266_305, 1_795_266_302, 1_795_266_304]) await storage.put(`nightly-h1-${seconds}`, file)
      assert.deepEqual((await storage.list()).map((s) => s.name), [5, 4, 3, 2, 1].map((n) => `nightly-h1-179526630${n}`))
    }))

    it('deletes one, and says what is not there', () => withStorage(async (storage, directory) => {
      const file = join(directory, 'f')
      writeFileSync(file, await snapshotBytes({ '/a': '1' }))
      await storage.put('nightly-h1-1795266303', file)
      await storage.delete('nightly-h1-1795266303')
      assert.deepEqual(await storage.list(), [])
      await assert.rejects(storage.delete('nightly-h1-1795266303'), (e: Error) => hasCode(e, 'SNAPSHOT_UNKNOWN') && e.message.includes('nightly-h1-1795266303'))
      await assert.rejects(storage.get('nightly-h1-1795266303', join(directory, 'to')), (e) => hasCode(e, 'SNAPSHOT_UNKNOWN'))
    }))
  })
}
