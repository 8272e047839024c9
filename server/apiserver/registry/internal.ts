/** The rows of one API group, see ../registry.ts. */
import type { KindRow } from '../kind.ts'
import { storageVersionStrategy } from '../kinds/storage-version.ts'
import { refsOf, row } from './row.ts'

export const internalRows: readonly KindRow[] = [
  row(refsOf('internal.apiserver.k8s.io', 'v1alpha1')('storageversions', 'StorageVersion', false), storageVersionStrategy, { model: 'V1alpha1StorageVersion', sub: ['status'] }),
]
