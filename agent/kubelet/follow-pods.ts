/** Where pods come from: the API, and what the runtime says of those that run. */
import type { Informers } from '#api/client/client.ts'
import type { Pod, Stored } from '#api/types/index.ts'
import { unlessAborted } from '#base/abort.ts'
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { ContainerRuntime } from '#cri/index.ts'
import { orphanPod } from './orphan-pod.ts'
import type { PodStore } from './pod-store.ts'
import type { PodWorkers } from './pod-worker.ts'
import { fromApi, isMirrorPod, isStaticPod } from './static/manifest.ts'
import { pause } from './turns.ts'

const RECONCILE_RETRY_MS = 2_000

interface FollowInput { onMirror: () => void; workers: PodWorkers; pods: ReturnType<Informers['of']>; store: PodStore; runtime: ContainerRuntime; clock: Clock; log: Log; signal: AbortSignal }

/** Feeds the workers from the informer and from the runtime's events, and finds what is left of pods the API no longer has. */
export function followPods({ onMirror, workers, pods, store, runtime, clock, log, signal }: FollowInput): { off: () => void; reconciled: Promise<void> } {
  const sandboxOwner = new Map<string, string>()
  const offPods = pods.onChange((before, after) => {
    // Pictures of pods that are this node's own.
    const shown = after ?? before
    if (shown && isMirrorPod(shown as Pod)) return onMirror()
    if (before && before.metadata.uid !== after?.metadata.uid) workers.remove(before.metadata.uid)
    if (after) workers.upsert(fromApi(after as Stored<Pod>))
  })

  const offRuntime = runtime.events((event) => {
    const known = sandboxOwner.get(event.sandboxId)
    if (event.kind === 'sandboxDeleted') sandboxOwner.delete(event.sandboxId)
    if (known !== undefined) return workers.wake(known)
    runtime.podSandboxStatus(event.sandboxId).then(
      ({ metadata }) => {
        sandboxOwner.set(event.sandboxId, metadata.uid)
        workers.wake(metadata.uid)
      },
      () => workers.wakeAll(), // Gone already: whose it was, the pods themselves will see.
    )
  })

  const until = async (work: () => Promise<void>): Promise<void> => {
    for (;;) {
      try {
        return await work()
      } catch (error) {
        log.warn('cannot compare the runtime with the API, will try again', { error: asError(error) })
      }
      if (!(await pause(clock, RECONCILE_RETRY_MS, signal))) return
    }
  }

  const reconcile = async () => {
    await unlessAborted(signal, pods.synced)
    if (signal.aborted) return
    const wanted = new Set(pods.list().map((p) => p.metadata.uid))
    for (const { uid, pod } of workers.list()) if (!wanted.has(uid) && !isStaticPod(pod)) workers.remove(uid)
    for (const sandbox of await runtime.listPodSandbox()) {
      if (wanted.has(sandbox.metadata.uid) || workers.get(sandbox.metadata.uid)) continue
      log.info('a pod of an earlier time is cleared away', { pod: `${sandbox.metadata.namespace}/${sandbox.metadata.name}`, uid: sandbox.metadata.uid })
      workers.upsert(orphanPod(sandbox))
      workers.remove(sandbox.metadata.uid)
    }
    for (const { pod } of await store.loadPods()) if (!wanted.has(pod.metadata.uid) && !workers.get(pod.metadata.uid)) await store.removePod(pod.metadata.uid)
  }
  return {
    off() {
      offPods()
      offRuntime()
    },
    reconciled: until(reconcile),
  }
}
