/** Where snapshots are kept: a directory, or an S3-compatible bucket. One suite, `snapshot-storage.contract.ts`, for both. */
import type { StoredSnapshot } from './names.ts'

/** Rejects with CodedErrors that name the place and the mend. */
export interface SnapshotStorage {
  /** For messages: a directory, or `s3://bucket/folder`. */
  readonly place: string
  /** Newest first. What is no snapshot by its name is left out. */
  list(): Promise<StoredSnapshot[]>
  /** All of a file that was checked; there under its name only when it is whole. */
  put(name: string, file: string): Promise<StoredSnapshot>
  /** Into a file of the caller's, mode 0600. Rejects with `SNAPSHOT_UNKNOWN`. */
  get(name: string, file: string): Promise<void>
  /** Rejects with `SNAPSHOT_UNKNOWN`. */
  delete(name: string): Promise<void>
}
