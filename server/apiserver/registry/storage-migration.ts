/** The rows of one API group, see ../registry.ts. */
import type { KindRow } from '../kind.ts'
import { storageVersionMigrationStrategy } from '../kinds/storage-version.ts'
import { refsOf, row } from './row.ts'

export const storageMigrationRows: readonly KindRow[] = [
  row(refsOf('storagemigration.k8s.io', 'v1beta1')('storageversionmigrations', 'StorageVersionMigration', false), storageVersionMigrationStrategy, { model: 'V1beta1StorageVersionMigration', sub: ['status'] }),
]
