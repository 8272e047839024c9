/** A snapshot of a running server: its store at one revision, and its keys, sealed with the cluster's token. */
import { GIT_VERSION, SKIFF_COMMIT_ID } from '#api/version.ts'
import type { Clock } from '#base/clock.ts'
import type { Random } from '#base/random.ts'
import type { Store } from '../store/store.ts'
import { collectFiles, sealFiles } from './sealed-files.ts'
import { writeSnapshotFile } from './snapshot-file.ts'

export interface SnapshotSource {
  /** As it is on the disk: what is encrypted at rest stays so. */
  store: Store
  dataDir: string
  node: string
  /** SHA-256 of the cluster's server CA. */
  cluster: string
  /** Of the cluster's token. Looked at when it is needed. */
  secret: () => string
  clock: Clock
  random: Random
}

const CATCH_UP_MS_MAX = 5_000

/** The bytes of a snapshot file; the store goes on working meanwhile. */
export async function* takeSnapshot({ store, dataDir, node, cluster, secret, clock, random }: SnapshotSource): AsyncGenerator<Buffer> {
  // What other servers acknowledged is in it, too; one that cannot reach them gives what it has.
  await caughtUp(store, clock)
  const files = await sealFiles(await collectFiles(dataDir), secret(), random)
  const head = { skiff: SKIFF_COMMIT_ID, kubernetes: GIT_VERSION, node, createdMs: clock.nowMs(), revision: store.revision(), cluster, files }
  yield* writeSnapshotFile(head, store.snapshot())
}

/** Never rejects, and ends in a while. */
async function caughtUp(store: Store, clock: Clock): Promise<void> {
  const late = Promise.withResolvers<void>()
  const cancel = clock.after(CATCH_UP_MS_MAX, late.resolve)
  const caught = (async () => store.catchUp())().catch(() => { /* it gives what it has */ })
  await Promise.race([caught, late.promise]).finally(cancel)
}
