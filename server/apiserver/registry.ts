/**
 * The one table of built-in kinds: what exists, how it is called and served. A new kind is one row here and its strategy
 * in `kinds/`. Order within a group is the order of discovery.
 */
import type { KubeObject, ResourceRef } from '#api/types/index.ts'
import * as R from '#api/types/resources.ts'
import type { Allocator, KindContext, KindRow, KindStrategy } from './kind.ts'
import { daemonSetStrategy, deploymentStrategy, replicaSetStrategy, replicationControllerStrategy } from './kinds/apps.ts'
import { cronJobStrategy, jobStrategy } from './kinds/batch.ts'
import { certificateSigningRequestStrategy } from './kinds/certificate-signing-request.ts'
import { configMapStrategy } from './kinds/config-map.ts'
import { endpointSliceStrategy, endpointsStrategy } from './kinds/endpoints.ts'
import { EVENT_TTL_SECONDS, eventFromStored, eventStrategy, eventsV1Strategy, eventToStored } from './kinds/event.ts'
import { horizontalPodAutoscalerStrategy } from './kinds/horizontal-pod-autoscaler.ts'
import { autoscalerFromStored, autoscalerToStored, horizontalPodAutoscalerV1Strategy } from './kinds/horizontal-pod-autoscaler-v1.ts'
import { leaseStrategy, NODE_LEASE_NAMESPACE } from './kinds/lease.ts'
import { limitRangeStrategy, resourceQuotaStrategy } from './kinds/limits.ts'
import { namespaceStrategy } from './kinds/namespace.ts'
import { ingressClassStrategy, ingressStrategy, networkPolicyStrategy } from './kinds/networking.ts'
import { nodeStrategy } from './kinds/node.ts'
import { validateMeta, validateMetaUpdate } from './kinds/object-meta.ts'
import { podDisruptionBudgetStrategy } from './kinds/pod-disruption-budget.ts'
import { podTemplateStrategy } from './kinds/pod-template.ts'
import { podStrategy } from './kinds/pod.ts'
import { clusterRoleBindingStrategy, clusterRoleStrategy, roleBindingStrategy, roleStrategy } from './kinds/rbac.ts'
import { priorityClassStrategy, runtimeClassStrategy } from './kinds/scheduling.ts'
import { secretStrategy } from './kinds/secret.ts'
import { serviceAccountStrategy } from './kinds/service-account.ts'
import { serviceStrategy } from './kinds/service.ts'
import { controllerRevisionStrategy, statefulSetStrategy } from './kinds/stateful-set.ts'
import { csiDriverStrategy, csiNodeStrategy, persistentVolumeClaimStrategy, persistentVolumeStrategy, storageClassStrategy, volumeAttachmentStrategy } from './kinds/storage.ts'

interface RowOptions {
  short?: readonly string[]
  /** Kinds that `kubectl get all` lists have `all`. */
  categories?: readonly string[]
  sub?: readonly string[]
  scale?: KindRow['scale']
  singular?: string
  model?: string
  lazy?: KindRow['lazy']
  ttlSeconds?: number
  storedAs?: KindRow['storedAs']
  verbs?: readonly string[]
}

function row<T extends KubeObject>(ref: ResourceRef, strategy: KindStrategy<T>, options: RowOptions = {}): KindRow {
  return {
    ref,
    model: options.model ?? ref.kind,
    singular: options.singular ?? ref.kind.toLowerCase(),
    shortNames: options.short ?? [],
    categories: options.categories ?? [],
    subresources: options.sub ?? [],
    strategy: withMetaChecks(ref, strategy as unknown as KindStrategy<KubeObject>),
    ...(options.verbs && { verbs: options.verbs }),
    ...(options.scale && { scale: options.scale }),
    ...(options.lazy && { lazy: options.lazy }),
    ...(options.ttlSeconds !== undefined && { ttlSeconds: options.ttlSeconds }),
    ...(options.storedAs && { storedAs: options.storedAs }),
  }
}

/** Metadata first, as upstream orders its complaints. */
function withMetaChecks(ref: ResourceRef, strategy: KindStrategy<KubeObject>): KindStrategy<KubeObject> {
  const rules = { namespaced: ref.namespaced, nameRule: strategy.nameRule ?? 'dns-subdomain' } as const
  return {
    ...strategy,
    validate: (object: KubeObject, ctx: KindContext) => [...validateMeta(object.metadata ?? {}, rules), ...(strategy.validate?.(object, ctx) ?? [])],
    validateUpdate: (object: KubeObject, old: KubeObject, ctx: KindContext) => [...validateMetaUpdate(object.metadata ?? {}, old.metadata ?? {}), ...(strategy.validateUpdate?.(object, old, ctx) ?? [])],
  }
}

const ref = (group: string, version: string, resource: string, kind: string, namespaced = true): ResourceRef => ({ group, version, resource, kind, namespaced })
const SCALE = { specPath: '.spec.replicas', statusPath: '.status.replicas', selectorPath: '.spec.selector' }
const ALL = ['all']
const AUTOSCALERS = ref('autoscaling', 'v2', 'horizontalpodautoscalers', 'HorizontalPodAutoscaler')

export const rows: readonly KindRow[] = [
  row(R.CONFIG_MAPS, configMapStrategy, { short: ['cm'] }),
  row(R.ENDPOINTS, endpointsStrategy, { short: ['ep'], singular: 'endpoints' }),
  row(R.EVENTS, eventStrategy, { short: ['ev'], model: 'CoreV1Event', lazy: () => true, ttlSeconds: EVENT_TTL_SECONDS }),
  row(ref('', 'v1', 'limitranges', 'LimitRange'), limitRangeStrategy, { short: ['limits'] }),
  row(R.NAMESPACES, namespaceStrategy, { short: ['ns'], sub: ['status', 'finalize'], verbs: ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'] }),
  row(R.NODES, nodeStrategy, { short: ['no'], sub: ['status', 'proxy'] }),
  row(R.PERSISTENT_VOLUME_CLAIMS, persistentVolumeClaimStrategy, { short: ['pvc'], sub: ['status'] }),
  row(R.PERSISTENT_VOLUMES, persistentVolumeStrategy, { short: ['pv'], sub: ['status'] }),
  row(R.PODS, podStrategy, { short: ['po'], categories: ALL, sub: ['attach', 'binding', 'ephemeralcontainers', 'eviction', 'exec', 'log', 'portforward', 'proxy', 'resize', 'status'] }),
  row(ref('', 'v1', 'podtemplates', 'PodTemplate'), podTemplateStrategy),
  row(R.REPLICATION_CONTROLLERS, replicationControllerStrategy, { short: ['rc'], categories: ALL, sub: ['scale', 'status'], scale: SCALE }),
  row(ref('', 'v1', 'resourcequotas', 'ResourceQuota'), resourceQuotaStrategy, { short: ['quota'], sub: ['status'] }),
  row(R.SECRETS, secretStrategy),
  row(R.SERVICE_ACCOUNTS, serviceAccountStrategy, { short: ['sa'], sub: ['token'] }),
  row(R.SERVICES, serviceStrategy, { short: ['svc'], categories: ALL, sub: ['proxy', 'status'] }),

  row(R.CONTROLLER_REVISIONS, controllerRevisionStrategy),
  row(R.DAEMON_SETS, daemonSetStrategy, { short: ['ds'], categories: ALL, sub: ['status'] }),
  row(R.DEPLOYMENTS, deploymentStrategy, { short: ['deploy'], categories: ALL, sub: ['scale', 'status'], scale: SCALE }),
  row(R.REPLICA_SETS, replicaSetStrategy, { short: ['rs'], categories: ALL, sub: ['scale', 'status'], scale: SCALE }),
  row(R.STATEFUL_SETS, statefulSetStrategy, { short: ['sts'], categories: ALL, sub: ['scale', 'status'], scale: SCALE }),

  row(R.EVENTS_V1, eventsV1Strategy, {
    short: ['ev'], model: 'EventsV1Event', lazy: () => true, ttlSeconds: EVENT_TTL_SECONDS,
    storedAs: {
      ref: R.EVENTS,
      model: 'CoreV1Event',
      toStored: (view) => eventToStored(view as Parameters<typeof eventToStored>[0]),
      fromStored: (stored) => eventFromStored(stored as Parameters<typeof eventFromStored>[0]),
    },
  }),

  row(AUTOSCALERS, horizontalPodAutoscalerStrategy, { short: ['hpa'], categories: ALL, sub: ['status'], model: 'V2HorizontalPodAutoscaler' }),
  row({ ...AUTOSCALERS, version: 'v1' }, horizontalPodAutoscalerV1Strategy, {
    short: ['hpa'], categories: ALL, sub: ['status'],
    storedAs: {
      ref: AUTOSCALERS,
      model: 'V2HorizontalPodAutoscaler',
      toStored: (view) => autoscalerToStored(view as Parameters<typeof autoscalerToStored>[0]),
      fromStored: (stored) => autoscalerFromStored(stored as Parameters<typeof autoscalerFromStored>[0]),
    },
  }),

  row(R.CRON_JOBS, cronJobStrategy, { short: ['cj'], categories: ALL, sub: ['status'] }),
  row(R.JOBS, jobStrategy, { categories: ALL, sub: ['status'] }),

  row(R.CERTIFICATE_SIGNING_REQUESTS, certificateSigningRequestStrategy, { short: ['csr'], sub: ['approval', 'status'] }),

  row(ref('networking.k8s.io', 'v1', 'ingressclasses', 'IngressClass', false), ingressClassStrategy),
  row(ref('networking.k8s.io', 'v1', 'ingresses', 'Ingress'), ingressStrategy, { short: ['ing'], sub: ['status'] }),
  row(ref('networking.k8s.io', 'v1', 'networkpolicies', 'NetworkPolicy'), networkPolicyStrategy, { short: ['netpol'] }),

  row(R.POD_DISRUPTION_BUDGETS, podDisruptionBudgetStrategy, { short: ['pdb'], sub: ['status'] }),

  row(R.CLUSTER_ROLE_BINDINGS, clusterRoleBindingStrategy),
  row(R.CLUSTER_ROLES, clusterRoleStrategy),
  row(R.ROLE_BINDINGS, roleBindingStrategy),
  row(R.ROLES, roleStrategy),

  row(R.CSI_DRIVERS, csiDriverStrategy),
  row(R.CSI_NODES, csiNodeStrategy),
  row(R.STORAGE_CLASSES, storageClassStrategy, { short: ['sc'] }),
  row(R.VOLUME_ATTACHMENTS, volumeAttachmentStrategy, { sub: ['status'] }),

  row(R.PRIORITY_CLASSES, priorityClassStrategy, { short: ['pc'] }),
  row(R.LEASES, leaseStrategy, { lazy: (object) => object.metadata?.namespace === NODE_LEASE_NAMESPACE }),
  row(R.RUNTIME_CLASSES, runtimeClassStrategy),
  row(R.ENDPOINT_SLICES, endpointSliceStrategy),
]

/** The same table with allocators for the resources named (`services`). */
export function withAllocators(table: readonly KindRow[], allocators: Readonly<Record<string, Allocator>>): KindRow[] {
  return table.map((r) => {
    const allocator = r.ref.group === '' ? allocators[r.ref.resource] : undefined
    return allocator ? { ...r, allocator } : r
  })
}
