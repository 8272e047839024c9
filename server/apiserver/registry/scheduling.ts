/** The rows of one API group, see ../registry.ts. */
import * as R from '#api/types/resources.ts'
import type { KindRow } from '../kind.ts'
import { priorityClassStrategy } from '../kinds/scheduling.ts'
import { podGroupStrategy, workloadStrategy } from '../kinds/workload.ts'
import { refsOf, row } from './row.ts'

const v1alpha2 = refsOf('scheduling.k8s.io', 'v1alpha2')

export const schedulingRows: readonly KindRow[] = [
  row(R.PRIORITY_CLASSES, priorityClassStrategy, { short: ['pc'] }),
  row(v1alpha2('podgroups', 'PodGroup'), podGroupStrategy, { model: 'V1alpha2PodGroup', sub: ['status'] }),
  row(v1alpha2('workloads', 'Workload'), workloadStrategy, { model: 'V1alpha2Workload' }),
]
