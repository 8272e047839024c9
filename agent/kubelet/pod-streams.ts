/** Finds the container that a request of the kubelet API means, and hands its streams over. */
import type { Container, Pod, Stored } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { CodedError } from '#base/errors.ts'
import type { ContainerRuntime, ContainerStatus } from '#cri/index.ts'
import { CONTAINER_NAME_LABEL, RESTART_COUNT_ANNOTATION } from './labels.ts'
import { readLogs } from './logs/read-logs.ts'
import type { PodWorkers } from './pod-worker.ts'
import { reportedStatus } from './runtime-view.ts'
import { isStaticPod } from './static/manifest.ts'
import type { ContainerName, PodName, PodStreams } from './streams.ts'

export function createPodStreams({ workers, runtime, clock }: { workers: PodWorkers; runtime: ContainerRuntime; clock: Clock }): PodStreams {
  const pod = ({ namespace, pod: name, uid }: PodName, missing = 'pod does not exist'): Stored<Pod> => {
    const named = workers.list().map((m) => m.pod).filter((p) => p.metadata.name === name && (p.metadata.namespace ?? '') === namespace)
    const found = uid === undefined ? named : named.filter((p) => p.metadata.uid === uid)
    // Of two of one name (the old was deleted by force) the newer is meant.
    const newest = found.toSorted((a, b) => (a.metadata.creationTimestamp < b.metadata.creationTimestamp ? 1 : -1))[0]
    if (!newest) throw new CodedError('POD_NOT_FOUND', named.length > 0 ? 'pod not found' : missing)
    return newest
  }

  const attempts = async (name: ContainerName): Promise<{ container: string; attempts: ContainerStatus[] }> => {
    const { metadata, spec } = pod(name, `pod ${JSON.stringify(name.pod)} does not exist`)
    const all = [...(spec?.containers ?? []), ...(spec?.initContainers ?? []), ...((spec?.ephemeralContainers ?? []) as Container[])]
    const { container } = name
    if (!all.some((c) => c.name === container)) throw new CodedError('CONTAINER_NOT_FOUND', `container ${JSON.stringify(container)} not found in pod ${JSON.stringify(metadata.name)}`)
    const found = (await runtime.listContainers({ podUid: metadata.uid })).filter((c) => c.labels[CONTAINER_NAME_LABEL] === container)
    return { container, attempts: found.toSorted((a, b) => count(b) - count(a) || b.createdAtMs - a.createdAtMs) }
  }

  const find = async (name: ContainerName, previous: boolean): Promise<ContainerStatus> => {
    const { container, attempts: found } = await attempts(name)
    if (previous) {
      // Before a restart has happened the last to end is itself the previous one, as upstream's lastTerminationState.
      const [first, second] = found
      const ended = first?.state === 'exited' && second === undefined ? undefined : second
      if (!ended) throw new CodedError('PREVIOUS_NOT_FOUND', `previous terminated container "${container}" in pod "${name.pod}" not found`)
      return ended
    }
    const [first] = found
    if (!first) throw new CodedError('CONTAINER_NOT_READY', `container "${container}" in pod "${name.pod}" is waiting to start: ${waitingReason(pod(name), container)}`)
    return first
  }

  const runningContainer = async (name: ContainerName, purpose: 'exec' | 'attach'): Promise<string> => {
    const { metadata } = pod(name)
    const { container } = name
    const found = (await runtime.listContainers({ podUid: metadata.uid, state: 'running' })).filter((c) => c.labels[CONTAINER_NAME_LABEL] === container).toSorted((a, b) => count(b) - count(a))[0]
    if (found) return found.id
    throw new CodedError('CONTAINER_NOT_RUNNING', purpose === 'exec' ? `container not found (${JSON.stringify(container)})` : `container ${container} not found in pod ${fullName(metadata)}`)
  }

  return {
    pod,
    // No informer tells of a static pod: what there is to say of it is what was found out here.
    pods: () => workers.list().map((m) => (isStaticPod(m.pod) ? { ...m.pod, status: reportedStatus(m) } : m.pod)),
    containerIdFor: async (name, options) => (await find(name, options?.previous ?? false)).id,
    async readLogs(name, options, sink, signal) {
      const container = await find(name, options.previous ?? false)
      await readLogs({
        path: container.logPath, options: { ...options, ...(options.previous && { follow: false }) }, nowMs: clock.nowMs(), sink, signal,
        async isRunning() {
          const [now] = (await runtime.listContainers({ sandboxId: container.sandboxId })).filter((c) => c.id === container.id)
          return now?.state === 'running' || now?.state === 'created'
        },
        onEnd: (listener) => runtime.events((event) => { if ('containerId' in event && event.containerId === container.id) listener() }),
      })
    },
    runningContainer,
    exec: (containerId, request) => runtime.exec({ containerId, ...request }),
    attach: (containerId, options) => runtime.attach(containerId, options),
    async runningSandbox(name) {
      const { metadata } = pod(name)
      const [sandbox] = await runtime.listPodSandbox({ podUid: metadata.uid, state: 'ready' })
      if (!sandbox) throw new CodedError('POD_NOT_RUNNING', `pod not found (${JSON.stringify(fullName(metadata))})`)
      return sandbox.id
    },
    portForward: (sandboxId, port) => runtime.portForward(sandboxId, port),
    async runningPods() {
      const [sandboxes, containers] = await Promise.all([runtime.listPodSandbox(), runtime.listContainers({ state: 'running' })])
      const byUid = new Map<string, Pod>()
      for (const c of containers) {
        const metadata = sandboxes.find((s) => s.id === c.sandboxId)?.metadata
        if (!metadata) continue
        const { uid, name, namespace } = metadata
        const found = byUid.get(uid) ?? { apiVersion: 'v1', kind: 'Pod', metadata: { uid, name, namespace }, spec: { containers: [] }, status: {} }
        found.spec?.containers.push({ name: c.labels[CONTAINER_NAME_LABEL] ?? c.metadata.name, image: c.imageId, resources: {} })
        byUid.set(uid, found)
      }
      return [...byUid.values()]
    },
  }
}

const WAITING: Readonly<Record<string, string>> = { ErrImagePull: 'image can\'t be pulled', ImagePullBackOff: 'trying and failing to pull image' }
const fullName = ({ name, namespace = '' }: Stored<Pod>['metadata']): string => `${name}_${namespace}`
const count = (c: ContainerStatus): number => Number(c.annotations[RESTART_COUNT_ANNOTATION] ?? c.metadata.attempt)

function waitingReason(pod: Pod, container: string): string {
  const status = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])].find((s) => s.name === container)
  const reason = status?.state?.waiting?.reason ?? 'ContainerCreating'
  return WAITING[reason] ?? reason
}
