/** Wires the Job controller: which changes wake which key, and what decisions do. */
import { JOBS, PODS, keyOf, splitKey, type Job, type Pod, type Stored } from '#api/types/index.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { isOrdinary, recorderFor, unlessGone, type ControllerFactory } from '../controller.ts'
import type { JobSyncAction } from '../controller-metrics.ts'
import { BY_CONTROLLER, adoptPatch, byController, controllerOf, controllerReference, orphansOf, releasePatch } from '../ownership.ts'
import { createPodControl } from '../pod-control.ts'
import { createRecentWrites } from '../recent-writes.ts'
import { JOB_CONTROLLER, decideJob, selectorOf, type JobAction, type JobView } from './decide.ts'
import { TRACKING, endedMs, isTracked } from './pods.ts'

const WORKERS = 5
const STRATEGIC = 'application/strategic-merge-patch+json'
/** Side by side. */
const UNTRACKED_AT_ONCE = 32
/** After so many failures in a row the wait is the longest anyway. */
const GONE_MAX = 8

export const jobController: ControllerFactory = (deps) => {
  const { client, informers, clock } = deps
  const jobs = informers.of<Job>(JOBS)
  const pods = informers.of<Pod>(PODS, { indexes: { [BY_CONTROLLER]: byController } })
  const recent = createRecentWrites<Pod>(pods, clock)
  const recorder = recorderFor('job-controller', deps)
  /** Pods, by uid, whose finalizer is gone and whose informer has not shown it: those taken back must not count as failed. */
  const untracked = new Set<string>()
  const goneFailures = new Map<string, number[]>()
  /** It is let go once it is written down as failed; then nothing but this tells when. */
  const noteGone = (pod: Stored<Pod>): void => {
    const owner = controllerOf(pod)
    const job = owner?.kind === 'Job' ? jobs.get(`${pod.metadata.namespace ?? ''}/${owner.name}`) : undefined
    if (job?.metadata.uid === owner?.uid && job?.status?.uncountedTerminatedPods?.failed?.includes(pod.metadata.uid)) goneFailures.set(job.metadata.uid, [...(goneFailures.get(job.metadata.uid) ?? []).slice(-GONE_MAX), endedMs(pod)])
  }
  const current = (pod: Stored<Pod>): Stored<Pod> => (untracked.has(pod.metadata.uid) ? { ...pod, metadata: { ...pod.metadata, finalizers: (pod.metadata.finalizers ?? []).filter((f) => f !== TRACKING) } } : pod)

  const observe = (key: string): JobView | undefined => {
    const job = jobs.get(key)
    const { namespace, name } = splitKey(key)
    const left = pods.inNamespace(namespace).filter((p) => isTracked(p) && isLeftBy(p, name, job?.metadata.uid))
    if (!job) return left.length === 0 ? undefined : { job, pods: [], left, goneFailuresMs: [], unseenUntilMs: undefined }
    const { objects, untilMs } = recent.merge(key, [...pods.byIndex(BY_CONTROLLER, job.metadata.uid), ...pods.byIndex(BY_CONTROLLER, orphansOf(namespace))])
    return { job, pods: objects.map(current), left, goneFailuresMs: goneFailures.get(job.metadata.uid) ?? [], unseenUntilMs: untilMs }
  }

  const loop = createLoop<JobView, JobAction>({
    name: 'job-controller',
    observe,
    decide: decideJob,
    effects: ({ job }, key) => {
      const { namespace } = splitKey(key)
      const control = job && createPodControl({ client, recorder, recent }, { ref: JOBS, owner: job, key })
      const untrack = async ({ metadata: { name, uid } }: Stored<Pod>, signal: AbortSignal) => {
        await unlessGone(client.patch(PODS, name, namespace, STRATEGIC, { metadata: { uid, '$deleteFromPrimitiveList/finalizers': [TRACKING] } }, { signal }))
        const now = pods.get(`${namespace}/${name}`)
        if (now?.metadata.uid === uid && isTracked(now)) untracked.add(uid)
      }
      const untrackAll = async (all: readonly Stored<Pod>[], signal: AbortSignal) => {
        for (let from = 0; from < all.length; from += UNTRACKED_AT_ONCE) await Promise.all(all.slice(from, from + UNTRACKED_AT_ONCE).map((pod) => untrack(pod, signal)))
      }
      return {
        async adoptPod({ name, uid }, signal) {
          if (!job) return
          const { metadata } = adoptPatch(controllerReference(JOBS, job), uid) as { metadata: object }
          await unlessGone(client.patch(PODS, name, namespace, STRATEGIC, { metadata: { ...metadata, finalizers: [TRACKING] } }, { signal }))
        },
        async releasePod({ name, uid }, signal) {
          if (!job) return
          const { metadata } = releasePatch(job.metadata.uid, uid) as { metadata: object }
          await unlessGone(client.patch(PODS, name, namespace, STRATEGIC, { metadata: { ...metadata, '$deleteFromPrimitiveList/finalizers': [TRACKING] } }, { signal }))
        },
        tell({ type, reason, message }) {
          if (job) recorder.event(job, type, reason, message)
          return Promise.resolve()
        },
        async writeStatus({ status }, signal) {
          if (!job) return
          await client.update<Job>(JOBS, { ...job, status }, { subresource: 'status', signal })
          deps.metrics?.jobStatus(job, status)
        },
        untrackPods: ({ pods: counted }, signal) => untrackAll(counted, signal),
        async deletePods({ pods: doomed, uncounted }, signal) {
          if (uncounted) await untrackAll(doomed.filter(isTracked), signal)
          await control?.delete(doomed, signal)
        },
        async createPods({ pods: made }, signal) { await control?.create(made, signal) },
      }
    },
    onPass(key, { decision, error, tookMs }) {
      const job = jobs.get(key)
      if (job) deps.metrics?.jobSynced(job, syncAction(decision?.actions ?? []), error === undefined, tookMs)
    },
    isOrdinary,
  }, { ...deps, workers: WORKERS })

  const wakeOwner = (pod: Stored<Pod>) => {
    const { namespace = '', labels } = pod.metadata
    const owner = controllerOf(pod)
    if (owner?.kind === 'Job') loop.queue.add(`${namespace}/${owner.name}`)
    else if (!owner) for (const job of jobs.inNamespace(namespace)) if (selectorOf(job).matches(labels)) loop.queue.add(keyOf(job))
  }
  jobs.onChange((before, after) => {
    const changed = after ?? before
    if (before && !after) goneFailures.delete(before.metadata.uid)
    if (changed && (changed.spec?.managedBy ?? JOB_CONTROLLER) === JOB_CONTROLLER) loop.queue.add(keyOf(changed))
  })
  pods.onChange((before, after) => {
    const uid = (after ?? before)?.metadata.uid
    if (uid !== undefined && (!after || !isTracked(after))) untracked.delete(uid)
    if (before && !after) noteGone(before)
    if (after) wakeOwner(after)
    if (before && controllerOf(before)?.uid !== (after && controllerOf(after)?.uid)) wakeOwner(before)
  })

  return {
    name: 'job-controller',
    async run(signal) {
      await loop.run(signal)
      recorder.close()
    },
  }
}

function syncAction(actions: readonly JobAction[]): JobSyncAction {
  const does = (kind: JobAction['kind']) => actions.some((action) => action.kind === kind)
  return does('deletePods') ? 'pods_deleted' : does('createPods') ? 'pods_created' : does('untrackPods') ? 'tracking' : 'reconciling'
}

/** Of a Job of that name that is not the one there is now. */
function isLeftBy(pod: Stored<Pod>, name: string, uid: string | undefined): boolean {
  const owner = controllerOf(pod)
  return owner?.kind === 'Job' && owner.name === name && owner.uid !== uid
}
