/** The rows of one API group, see ../registry.ts. */
import * as R from '#api/types/resources.ts'
import type { KindRow } from '../kind.ts'
import { csiDriverStrategy, csiNodeStrategy, storageClassStrategy, volumeAttachmentStrategy } from '../kinds/storage.ts'
import { row } from './row.ts'

export const storageRows: readonly KindRow[] = [
  row(R.CSI_DRIVERS, csiDriverStrategy),
  row(R.CSI_NODES, csiNodeStrategy),
  row(R.STORAGE_CLASSES, storageClassStrategy, { short: ['sc'] }),
  row(R.VOLUME_ATTACHMENTS, volumeAttachmentStrategy, { sub: ['status'] }),
]
