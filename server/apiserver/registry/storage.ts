/** The rows of one API group, see ../registry.ts. */
import * as R from '#api/types/resources.ts'
import type { KindRow } from '../kind.ts'
import { csiDriverStrategy, csiNodeStrategy, storageClassStrategy, volumeAttachmentStrategy } from '../kinds/storage.ts'
import { csiStorageCapacityStrategy, volumeAttributesClassStrategy } from '../kinds/storage-capacity.ts'
import { refsOf, row, sameShape } from './row.ts'

const v1 = refsOf('storage.k8s.io', 'v1')
const attributes = row(v1('volumeattributesclasses', 'VolumeAttributesClass', false), volumeAttributesClassStrategy, { short: ['vac'] })

export const storageRows: readonly KindRow[] = [
  row(R.CSI_DRIVERS, csiDriverStrategy),
  row(R.CSI_NODES, csiNodeStrategy),
  row(v1('csistoragecapacities', 'CSIStorageCapacity'), csiStorageCapacityStrategy),
  row(R.STORAGE_CLASSES, storageClassStrategy, { short: ['sc'] }),
  row(R.VOLUME_ATTACHMENTS, volumeAttachmentStrategy, { sub: ['status'] }),
  attributes,
  ...sameShape(attributes, ['v1beta1'], { v1beta1: { since: 34, gone: 37, use: 'storage.k8s.io/v1 VolumeAttributesClass' } }),
]
