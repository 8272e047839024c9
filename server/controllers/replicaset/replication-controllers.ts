/** ReplicationControllers are looked after as the ReplicaSets they look like; upstream does the same (pkg/controller/replication). */
import type { Informer } from '#api/client/client.ts'
import { REPLICATION_CONTROLLERS, type ReplicaSet, type ReplicationController, type Stored } from '#api/types/index.ts'
import type { ControllerFactory } from '../controller.ts'
import { BY_CONTROLLER, byController } from '../ownership.ts'
import { workReplicaSets } from './controller.ts'

export const replicationControllerController: ControllerFactory = (deps) =>
  workReplicaSets(deps, {
    name: 'replicationcontroller-controller', component: 'replication-controller', kind: 'ReplicationController', ref: REPLICATION_CONTROLLERS,
    replicaSets: asReplicaSets(deps.informers.of<ReplicationController>(REPLICATION_CONTROLLERS, { indexes: { [BY_CONTROLLER]: byController } })),
  })

function asReplicaSets(informer: Informer<ReplicationController>): Pick<Informer<ReplicaSet>, 'get' | 'byIndex' | 'inNamespace' | 'onChange'> {
  return {
    get: (key) => seen(informer.get(key)),
    byIndex: (index, value) => informer.byIndex(index, value).map(shown),
    inNamespace: (namespace) => informer.inNamespace(namespace).map(shown),
    onChange: (listener) => informer.onChange((before, after) => listener(seen(before), seen(after))),
  }
}

const seen = (rc: Stored<ReplicationController> | undefined): Stored<ReplicaSet> | undefined => rc && shown(rc)

function shown({ spec, ...rest }: Stored<ReplicationController>): Stored<ReplicaSet> {
  return { ...rest, spec: { ...spec, selector: { matchLabels: spec?.selector ?? {} } } } as Stored<ReplicaSet>
}
