/** Flags of snapshots, which `skiff server` and `skiff snapshot` share, so that one config file serves both. */
import { defaultSnapshotDirectory } from '../snapshot/directory-storage.ts'
import type { FlagValues } from './flags.ts'
import { text } from './node-config.ts'

export const snapshotDirectory = (values: FlagValues): string => text(values, 'snapshot-dir') ?? defaultSnapshotDirectory(text(values, 'data-dir') ?? '/var/lib/skiff')
