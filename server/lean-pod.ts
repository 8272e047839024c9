/**
 * Pods as the control plane keeps them in memory: without what only a kubelet reads. A server keeps every pod of the cluster so,
 * beside the stored bytes. Whoever writes a pod read here writes its status, or a patch.
 */
import { withoutManagedFields } from '#api/client/informer.ts'
import type { Container, KubeObject, Pod, ResourceRef, Stored } from '#api/types/index.ts'

export function leanOf({ group, resource }: ResourceRef): ((object: Stored<KubeObject>) => Stored<KubeObject>) | undefined {
  return group === '' && resource === 'pods' ? (object) => leanPod(object as Stored<Pod>) as Stored<KubeObject> : undefined
}

export function leanPod(pod: Stored<Pod>): Stored<Pod> {
  const { spec, ...rest } = withoutManagedFields(pod)
  if (!spec) return rest
  const { containers, initContainers } = spec
  return { ...rest, spec: { ...spec, containers: containers.map(leanContainer), ...(initContainers && { initContainers: initContainers.map(leanContainer) }) } }
}

/** Variables that come from a secret or a ConfigMap stay: the node authorizer follows them. */
function leanContainer<C extends Container>({
  command: _command, args: _args, workingDir: _directory, env, livenessProbe: _liveness, readinessProbe: _readiness, startupProbe: _startup, lifecycle: _lifecycle,
  volumeMounts: _mounts, volumeDevices: _devices, imagePullPolicy: _policy, terminationMessagePath: _path, terminationMessagePolicy: _message, ...rest
}: C) {
  const references = env?.filter((e) => e.valueFrom !== undefined) ?? []
  return { ...rest, ...(references.length > 0 && { env: references }) }
}
