/** The controllers skiff runs: one line each. They know nothing of each other; all are clients of the public API. */
import type { Controller, ControllerDeps, ControllerFactory } from './controller.ts'
import { attachDetachController } from './attach-detach/controller.ts'
import { bootstrapSignerController } from './bootstrap-signer/controller.ts'
import { cronJobController } from './cronjob/controller.ts'
import { daemonSetController } from './daemonset/controller.ts'
import { deploymentController } from './deployment/controller.ts'
import { deviceTaintEvictionController } from './device-taint-eviction/controller.ts'
import { disruptionController } from './disruption/controller.ts'
import { endpointSliceMirroringController } from './endpointslice-mirroring/controller.ts'
import { endpointSliceController } from './endpointslice/controller.ts'
import { endpointsController } from './endpoints/controller.ts'
import { ephemeralVolumeController } from './ephemeral-volume/controller.ts'
import { garbageCollector } from './garbage-collector/controller.ts'
import { horizontalPodAutoscalerController } from './horizontal-pod-autoscaler/controller.ts'
import { jobController } from './job/controller.ts'
import { legacyTokenCleanerController } from './legacy-token-cleaner/controller.ts'
import { namespaceController } from './namespace/controller.ts'
import { nodeIpamController } from './node-ipam/controller.ts'
import { nodeLifecycleController } from './node-lifecycle/controller.ts'
import { persistentVolumeBinder } from './persistentvolume-binder/controller.ts'
import { podGcController } from './pod-gc/controller.ts'
import { pvProtectionController } from './pv-protection/controller.ts'
import { pvcProtectionController } from './pvc-protection/controller.ts'
import { replicaSetController } from './replicaset/controller.ts'
import { replicationControllerController } from './replicaset/replication-controllers.ts'
import { resourceClaimController } from './resourceclaim/controller.ts'
import { resourceQuotaController } from './resource-quota/controller.ts'
import { rootCaController } from './root-ca/controller.ts'
import { serviceCidrController } from './service-cidr/controller.ts'
import { serviceIpRepairController } from './service-ip-repair/controller.ts'
import { serviceAccountController } from './serviceaccount/controller.ts'
import { statefulSetController } from './statefulset/controller.ts'
import { storageVersionMigratorController } from './storage-version-migrator/controller.ts'
import { taintEvictionController } from './taint-eviction/controller.ts'
import { tokenCleanerController } from './token-cleaner/controller.ts'
import { ttlController } from './ttl/controller.ts'
import { ttlAfterFinishedController } from './ttl-after-finished/controller.ts'
import { vacProtectionController } from './vac-protection/controller.ts'

export type { Controller, ControllerDeps, ControllerFactory, ControllersConfig } from './controller.ts'

export const CONTROLLERS: readonly ControllerFactory[] = [
  namespaceController,
  serviceAccountController,
  rootCaController,
  deploymentController,
  replicaSetController,
  replicationControllerController,
  daemonSetController,
  statefulSetController,
  jobController,
  cronJobController,
  horizontalPodAutoscalerController,
  endpointSliceController,
  endpointSliceMirroringController,
  endpointsController,
  serviceCidrController,
  serviceIpRepairController,
  nodeIpamController,
  nodeLifecycleController,
  ttlController,
  taintEvictionController,
  deviceTaintEvictionController,
  disruptionController,
  podGcController,
  resourceQuotaController,
  persistentVolumeBinder,
  attachDetachController,
  resourceClaimController,
  ephemeralVolumeController,
  pvcProtectionController,
  pvProtectionController,
  vacProtectionController,
  ttlAfterFinishedController,
  tokenCleanerController,
  legacyTokenCleanerController,
  storageVersionMigratorController,
  bootstrapSignerController,
  garbageCollector,
]

/**
 * Runs all controllers until the signal aborts; resolves when their work in flight has ended. Starts the informers it
 * was given (others may have registered theirs), waits for them, then works. `more`: controllers made elsewhere.
 */
export async function startControllers(deps: ControllerDeps, signal: AbortSignal, more: readonly ControllerFactory[] = []): Promise<void> {
  const controllers: Controller[] = [...CONTROLLERS, ...more].map((make) => make(deps))
  await deps.informers.start(signal)
  if (signal.aborted) return
  deps.log.info('controllers started', { count: controllers.length })
  const stopped = deps.metrics?.run(controllers.map((c) => c.name), deps.informers)
  await Promise.all(controllers.map((c) => c.run(signal)))
  stopped?.()
}
