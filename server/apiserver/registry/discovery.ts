/** The rows of one API group, see ../registry.ts. */
import * as R from '#api/types/resources.ts'
import type { KindRow } from '../kind.ts'
import { endpointSliceStrategy } from '../kinds/endpoints.ts'
import { row } from './row.ts'

export const discoveryRows: readonly KindRow[] = [
  row(R.ENDPOINT_SLICES, endpointSliceStrategy),
]
