/** The rows of one API group, see ../registry.ts. */
import * as R from '#api/types/resources.ts'
import type { KindRow } from '../kind.ts'
import { replicationControllerStrategy } from '../kinds/apps.ts'
import { configMapStrategy } from '../kinds/config-map.ts'
import { endpointsStrategy } from '../kinds/endpoints.ts'
import { EVENT_TTL_SECONDS, eventStrategy } from '../kinds/event.ts'
import { limitRangeStrategy, resourceQuotaStrategy } from '../kinds/limits.ts'
import { namespaceStrategy } from '../kinds/namespace.ts'
import { nodeDurability, nodeStrategy } from '../kinds/node.ts'
import { podTemplateStrategy } from '../kinds/pod-template.ts'
import { podStrategy } from '../kinds/pod.ts'
import { secretStrategy } from '../kinds/secret.ts'
import { serviceAccountStrategy } from '../kinds/service-account.ts'
import { serviceStrategy } from '../kinds/service.ts'
import { persistentVolumeClaimStrategy, persistentVolumeStrategy } from '../kinds/storage.ts'
import { ALL, refsOf, row, SCALE } from './row.ts'

const v1 = refsOf('', 'v1')

export const coreRows: readonly KindRow[] = [
  row(R.CONFIG_MAPS, configMapStrategy, { short: ['cm'] }),
  row(R.ENDPOINTS, endpointsStrategy, { short: ['ep'], singular: 'endpoints', warning: 'v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice' }),
  row(R.EVENTS, eventStrategy, { short: ['ev'], model: 'CoreV1Event', durability: () => 'lazy', ttlSeconds: EVENT_TTL_SECONDS }),
  row(R.LIMIT_RANGES, limitRangeStrategy, { short: ['limits'] }),
  row(R.NAMESPACES, namespaceStrategy, { short: ['ns'], sub: ['status', 'finalize'], verbs: ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'] }),
  row(R.NODES, nodeStrategy, { short: ['no'], sub: ['status', 'proxy'], durability: nodeDurability }),
  row(R.PERSISTENT_VOLUME_CLAIMS, persistentVolumeClaimStrategy, { short: ['pvc'], sub: ['status'] }),
  row(R.PERSISTENT_VOLUMES, persistentVolumeStrategy, { short: ['pv'], sub: ['status'] }),
  row(R.PODS, podStrategy, { short: ['po'], categories: ALL, sub: ['attach', 'binding', 'ephemeralcontainers', 'eviction', 'exec', 'log', 'portforward', 'proxy', 'resize', 'status'] }),
  row(v1('podtemplates', 'PodTemplate'), podTemplateStrategy),
  row(R.REPLICATION_CONTROLLERS, replicationControllerStrategy, { short: ['rc'], categories: ALL, sub: ['scale', 'status'], scale: SCALE }),
  row(R.RESOURCE_QUOTAS, resourceQuotaStrategy, { short: ['quota'], sub: ['status'] }),
  row(R.SECRETS, secretStrategy),
  row(R.SERVICE_ACCOUNTS, serviceAccountStrategy, { short: ['sa'], sub: ['token'] }),
  row(R.SERVICES, serviceStrategy, { short: ['svc'], categories: ALL, sub: ['proxy', 'status'] }),
]
