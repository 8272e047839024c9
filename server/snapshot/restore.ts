/**
 * A snapshot becomes the data directory of a stopped server. Everything new is made beside what is there, and one rename
 * decides: before it a crash leaves the old, after it the new (what is left to do is then done by `finishRestore`, which
 * runs here and at each start of the server). What was there before is kept once, under `server/before-restore`.
 *
 *   server/restore.new/...  --all synced, rename-->  server/restore.ready/...  --each into its place-->  gone
 */
import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { formatToken } from '#api/token/token.ts'
import type { Clock } from '#base/clock.ts'
import { CodedError, hasCode } from '#base/errors.ts'
import { readSnapshot, writeSnapshot } from '../store/snapshot-format.ts'
import type { KeyValue, Store } from '../store/store.ts'
import { synced } from './directory-storage.ts'
import { openFiles, type PlainFile } from './sealed-files.ts'
import { clusterOf, writeKeys } from './shared-keys.ts'
import { checkSnapshotFile, readSnapshotBody, type SnapshotHead } from './snapshot-file.ts'

export interface RestoreOptions {
  /** Of a stopped server, or new. */
  dataDir: string
  /** The snapshot file. */
  file: string
  /** The cluster's token when the snapshot was taken: the secret alone. */
  secret: string
  /** What a token said the cluster's CA is; undefined: it did not say. */
  caHash: string | undefined
  /** Also where the data directory is another cluster's. */
  force: boolean
  clock: Clock
  /** Makes a store in an empty directory. */
  openStore: (directory: string) => Promise<Pick<Store, 'restore' | 'close'>>
  /** Resolves when no server uses this store, which then nobody can open until it is let go; rejects with `STORE_LOCKED`. */
  lockStore: (directory: string) => Promise<() => Promise<void>>
}

/**
 * Clients remember revisions that the cluster reached after the snapshot; none of those may be given again, and a
 * watch from one of them must fail, not wait. As etcd's own advice (`--bump-revision`).
 */
const REVISION_LEAP = 1_000_000_000

/** What is replaced, below the data directory. Directories as a whole: certificates in them that are not of the snapshot are made anew. */
const PLACES = ['server/db', 'server/received', 'server/tls', 'server/cred', 'server/token', 'server/agent-token', 'agent/node-password'] as const
/** In every snapshot's tree, if empty: what is there of them goes in any case. Files that a snapshot does not bring stay as they are. */
const DIRECTORIES = ['server/db', 'server/received', 'server/tls', 'server/cred']

const workOf = (dataDir: string) => ({ fresh: join(dataDir, 'server', 'restore.new'), ready: join(dataDir, 'server', 'restore.ready'), before: join(dataDir, 'server', 'before-restore') })

/** Nothing is changed before everything was read, checked and written anew. */
export async function restoreSnapshot(options: RestoreOptions): Promise<Restored & { before: string }> {
  const { dataDir, file, secret } = options
  const { head, files } = await openSnapshot(options)
  await finishRestore(dataDir)
  const unlock = await options.lockStore(join(dataDir, 'server', 'db'))
  const { fresh, ready, before } = workOf(dataDir)
  let keys = 0
  try {
    for (const directory of DIRECTORIES) await mkdir(join(fresh, directory), { recursive: true, mode: 0o700 })
    for (const { path, mode, content } of [...files, { path: 'server/token', mode: 0o600, content: Buffer.from(`${formatToken({ caHash: head.cluster, user: 'server', secret })}\n`) }]) {
      await mkdir(dirname(join(fresh, path)), { recursive: true, mode: 0o700 })
      await writeFile(join(fresh, path), content, { mode })
    }
    const store = await options.openStore(join(fresh, 'server', 'db'))
    try {
      await store.restore(leapt(readSnapshotBody(file), () => { keys++ }))
    } finally {
      await store.close()
    }
    await syncTree(fresh)
    // The one before that: only now is it known that this one will take its place.
    await rm(before, { recursive: true, force: true })
    await rename(fresh, ready)
    await synced(dirname(ready))
  } catch (error) {
    await rm(fresh, { recursive: true, force: true })
    if (hasCode(error, 'ENOSPC') || hasCode(error, 'STORE_READ_ONLY')) throw new CodedError('DISK_FULL', `there is no room in ${dataDir} to restore the snapshot beside what is there: free some; nothing was changed`, { cause: error })
    throw error
  } finally {
    await unlock()
  }
  await finishRestore(dataDir)
  return { ...head, keys, before }
}

export type Restored = SnapshotHead & { keys: number }

/** Into a store elsewhere that is empty; the data directory gets the cluster's keys where it has none. */
export async function restoreInto(store: Store, options: Pick<RestoreOptions, 'dataDir' | 'file' | 'secret' | 'caHash' | 'force'>): Promise<Restored> {
  const { dataDir, file, secret } = options
  const { head, files } = await openSnapshot({ ...options, force: false })
  let keys = 0
  await store.restore(leapt(readSnapshotBody(file), () => { keys++ }))
  await writeKeys(dataDir, files, { secret, cluster: head.cluster })
  return { ...head, keys }
}

/** Checks all that can be checked without changing anything. */
async function openSnapshot({ dataDir, file, secret, caHash, force }: Pick<RestoreOptions, 'dataDir' | 'file' | 'secret' | 'caHash' | 'force'>): Promise<{ head: SnapshotHead; files: PlainFile[] }> {
  const head = await checkSnapshotFile(file)
  if (caHash !== undefined && caHash !== head.cluster) throw new CodedError('OTHER_CLUSTER', 'the token is of another cluster than the snapshot: pass the one that this cluster had')
  const files = await openFiles(head.files, secret)
  const present = await clusterOf(dataDir)
  if (present !== undefined && present !== head.cluster && !force) {
    throw new CodedError('OTHER_CLUSTER', `${dataDir} is of another cluster than the snapshot: pass an empty --data-dir, or --force to put the snapshot's cluster in its place`)
  }
  return { head, files }
}

/** After a crash in the middle of a restore: what was not decided is thrown away, what was is done. Safe at any time while no server runs. */
export async function finishRestore(dataDir: string): Promise<'nothing' | 'finished'> {
  const { fresh, ready, before } = workOf(dataDir)
  await rm(fresh, { recursive: true, force: true })
  if (!existsSync(ready)) return 'nothing'
  for (const place of PLACES) {
    const [from, to, old] = [join(ready, place), join(dataDir, place), join(before, place)]
    // Put in its place by an earlier try, or not brought at all.
    if (!existsSync(from)) continue
    if (existsSync(to)) await move(to, old)
    await move(from, to)
  }
  await rm(ready, { recursive: true, force: true })
  await synced(dirname(ready))
  return 'finished'
}

async function move(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true, mode: 0o700 })
  await rename(from, to)
  await synced(dirname(to))
  await synced(dirname(from))
}

/** The same state at a revision that nobody has seen. */
async function* leapt(chunks: AsyncIterable<Buffer>, onKey: () => void): AsyncGenerator<Buffer> {
  const parts = readSnapshot(chunks)
  const first = await parts.next()
  const revision = !first.done && 'revision' in first.value ? first.value.revision : 0
  yield* writeSnapshot(revision + REVISION_LEAP, items())

  async function* items(): AsyncGenerator<KeyValue> {
    for await (const part of parts) {
      if (!('item' in part)) continue
      onKey()
      yield part.item
    }
  }
}

async function syncTree(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) await syncTree(path)
    else await synced(path)
  }
  await synced(directory)
}
