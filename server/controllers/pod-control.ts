/** What controllers do to pods of theirs (upstream's PodControl): made and deleted side by side, told of in events, remembered until the informer shows it. */
import { isReason, type Client } from '#api/client/client.ts'
import type { EventRecorder } from '#api/client/event-recorder.ts'
import { PODS, type KubeObject, type Pod, type PodTemplateSpec, type ResourceRef, type Stored } from '#api/types/index.ts'
import { asError } from '#base/errors.ts'
import { isNamespaceTerminating, unlessGone } from './controller.ts'
import { adoptPatch, controllerReference, releasePatch } from './ownership.ts'
import type { RecentWrites } from './recent-writes.ts'

export interface PodControlDeps { client: Client; recorder: EventRecorder; recent: RecentWrites<Pod> }

export interface PodOwner {
  ref: ResourceRef
  owner: Stored<KubeObject>
  /** The owner's key, under which its pods are remembered. */
  key: string
  /** The last attempt failed; undefined: the last one did not. */
  noteFailure?: (failure: { reason: 'FailedCreate' | 'FailedDelete'; message: string } | undefined) => void
}

export interface PodControl {
  adopt(pod: { name: string; uid: string }, signal: AbortSignal): Promise<void>
  release(pod: { name: string; uid: string }, signal: AbortSignal): Promise<void>
  create(pods: readonly Pod[], signal: AbortSignal): Promise<void>
  delete(pods: readonly Stored<Pod>[], signal: AbortSignal): Promise<void>
}

/** Creates run side by side in batches that double while all goes well, so that a refusal costs one request, not 500. */
const SLOW_START = 1
const STRATEGIC = 'application/strategic-merge-patch+json'

export function createPodControl({ client, recorder, recent }: PodControlDeps, { ref, owner, key, noteFailure }: PodOwner): PodControl {
  const namespace = owner.metadata.namespace ?? ''

  const createOne = async (pod: Pod, signal: AbortSignal) => {
    try {
      const created = await client.create<Pod>(PODS, pod, { signal })
      recent.created(key, created)
      recorder.event(owner, 'Normal', 'SuccessfulCreate', `Created pod: ${created.metadata.name}`)
    } catch (error) {
      if (isNamespaceTerminating(error)) throw error
      recorder.event(owner, 'Warning', 'FailedCreate', `Error creating: ${asError(error).message}`)
      noteFailure?.({ reason: 'FailedCreate', message: asError(error).message })
      throw error
    }
  }

  const deleteOne = async (pod: Stored<Pod>, signal: AbortSignal) => {
    try {
      await client.delete(PODS, pod.metadata.name, namespace, { preconditions: { uid: pod.metadata.uid }, signal })
    } catch (error) {
      if (isReason(error, 'NotFound')) return
      recorder.event(owner, 'Warning', 'FailedDelete', `Error deleting: ${asError(error).message}`)
      noteFailure?.({ reason: 'FailedDelete', message: asError(error).message })
      throw error
    }
    recent.deleted(key, pod)
    recorder.event(owner, 'Normal', 'SuccessfulDelete', `Deleted pod: ${pod.metadata.name}`)
  }

  return {
    async adopt({ name, uid }, signal) {
      await unlessGone(client.patch(PODS, name, namespace, STRATEGIC, adoptPatch(controllerReference(ref, owner), uid), { signal }))
    },
    async release({ name, uid }, signal) {
      await unlessGone(client.patch(PODS, name, namespace, STRATEGIC, releasePatch(owner.metadata.uid, uid), { signal }))
    },
    async create(pods, signal) {
      for (let from = 0, batch = SLOW_START; from < pods.length; from += batch, batch *= 2) {
        signal.throwIfAborted()
        throwFirst(await Promise.allSettled(pods.slice(from, from + batch).map((p) => createOne(p, signal))))
      }
      noteFailure?.(undefined)
    },
    async delete(pods, signal) {
      throwFirst(await Promise.allSettled(pods.map((p) => deleteOne(p, signal))))
      noteFailure?.(undefined)
    },
  }
}

function throwFirst(results: readonly PromiseSettledResult<unknown>[]): void {
  const failed = results.find((r) => r.status === 'rejected')
  if (failed) throw failed.reason
}

/** A pod as a template has it, owned. generateName is kept, as upstream has it; the name is drawn here, so that a repeated request meets AlreadyExists. */
export function podOf(ref: ResourceRef, owner: Stored<KubeObject>, template: PodTemplateSpec | undefined, name: { name: string; generateName?: string }): Pod {
  const { labels, annotations, finalizers } = template?.metadata ?? {}
  return {
    apiVersion: 'v1', kind: 'Pod',
    metadata: {
      ...name, ...(owner.metadata.namespace !== undefined && { namespace: owner.metadata.namespace }),
      ...(labels && { labels }), ...(annotations && { annotations }), ...(finalizers && { finalizers }),
      ownerReferences: [controllerReference(ref, owner)],
    },
    ...(template?.spec && { spec: template.spec }),
  }
}

/** As generateName: the base is cut so that base, dash and suffix fit into 63 characters. */
export function drawnName(base: string, suffix: string): { name: string; generateName: string } {
  return { name: `${`${base}-`.slice(0, 63 - suffix.length)}${suffix}`, generateName: `${base}-` }
}
