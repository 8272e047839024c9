/** The rows of one API group, see ../registry.ts. */
import * as R from '#api/types/resources.ts'
import type { KindRow } from '../kind.ts'
import { daemonSetStrategy, deploymentStrategy, replicaSetStrategy } from '../kinds/apps.ts'
import { controllerRevisionStrategy, statefulSetStrategy } from '../kinds/stateful-set.ts'
import { ALL, row, SCALE } from './row.ts'

export const appsRows: readonly KindRow[] = [
  row(R.CONTROLLER_REVISIONS, controllerRevisionStrategy),
  row(R.DAEMON_SETS, daemonSetStrategy, { short: ['ds'], categories: ALL, sub: ['status'] }),
  row(R.DEPLOYMENTS, deploymentStrategy, { short: ['deploy'], categories: ALL, sub: ['scale', 'status'], scale: SCALE }),
  row(R.REPLICA_SETS, replicaSetStrategy, { short: ['rs'], categories: ALL, sub: ['scale', 'status'], scale: SCALE }),
  row(R.STATEFUL_SETS, statefulSetStrategy, { short: ['sts'], categories: ALL, sub: ['scale', 'status'], scale: SCALE }),
]
