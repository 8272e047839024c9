/** Snapshots for tests: of a store in memory with these values. */
import { seededRandom } from '#base/random.ts'
import { MemoryStore } from '../store/store-memory.ts'
import { sealFiles, type PlainFile } from './sealed-files.ts'
import { writeSnapshotFile, type SnapshotHead } from './snapshot-file.ts'

export const SECRET = 'a-secret-of-the-cluster'
export const FILES: readonly PlainFile[] = [
  { path: 'server/tls/server-ca.key', mode: 0o600, content: Buffer.from('the key') },
  { path: 'server/cred/encryption-config.json', mode: 0o600, content: Buffer.from('{"keys":1}') },
]

export async function snapshotBytes(values: Readonly<Record<string, string>>, head: Partial<SnapshotHead> = {}): Promise<Buffer> {
  const store = new MemoryStore()
  for (const [key, value] of Object.entries(values)) await store.txn({ compare: [], ops: [{ kind: 'put', key, value: Buffer.from(value) }] })
  const files = await sealFiles(FILES, SECRET, seededRandom(1))
  const chunks: Buffer[] = []
  for await (const chunk of writeSnapshotFile({ skiff: 'test', kubernetes: 'v1.36.0', node: 'h1', createdMs: 1_795_266_303_000, revision: store.revision(), cluster: 'c'.repeat(64), files, ...head }, store.snapshot())) chunks.push(chunk)
  return Buffer.concat(chunks)
}
