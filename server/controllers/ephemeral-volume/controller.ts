/** Makes the claims of pods' generic ephemeral volumes (KEP-1698): owned by the pod, gone with it. */
import { isReason } from '#api/client/client.ts'
import { PERSISTENT_VOLUME_CLAIMS, PODS, isPodTerminal, keyOf, type PersistentVolumeClaim, type Pod, type Stored } from '#api/types/index.ts'
import { asError } from '#base/errors.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { isNamespaceTerminating, isOrdinary, recorderFor, type ControllerFactory } from '../controller.ts'
import { decideEphemeral, type EphemeralAction, type EphemeralView } from './decide.ts'

export const ephemeralVolumeController: ControllerFactory = (deps) => {
  const { client, informers } = deps
  const pods = informers.of<Pod>(PODS)
  const claims = informers.of<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS)
  const recorder = recorderFor('ephemeral_volume', deps)
  const loop = createLoop<EphemeralView, EphemeralAction>({
    name: 'ephemeral-volume-controller',
    observe(key) {
      const pod = pods.get(key)
      return pod && { pod, claimOf: (name) => claims.get(`${pod.metadata.namespace ?? ''}/${name}`) }
    },
    decide: decideEphemeral,
    effects: ({ pod }) => ({
      async createClaim({ volume, claim }, signal) {
        try {
          await client.create<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, claim, { signal })
        } catch (error) {
          if (isReason(error, 'AlreadyExists') || isNamespaceTerminating(error)) return
          recorder.event(pod, 'Warning', 'FailedBinding', `ephemeral volume ${volume}: ${asError(error).message}`)
          throw error
        }
      },
      conflict({ volume, name }) {
        recorder.event(pod, 'Warning', 'FailedBinding', `ephemeral volume ${volume}: PVC ${pod.metadata.namespace ?? ''}/${name} was not created for pod ${pod.metadata.namespace ?? ''}/${pod.metadata.name} (pod is not owner)`)
        return Promise.resolve()
      },
    }),
    isOrdinary,
  }, deps)
  const wants = (pod: Stored<Pod>): boolean => pod.metadata.deletionTimestamp === undefined && !isPodTerminal(pod) && (pod.spec?.volumes ?? []).some((v) => v.ephemeral)
  pods.onChange((before, after) => { if (!before && after && wants(after)) loop.queue.add(keyOf(after)) })
  // One that stood in the way, or that is missed.
  claims.onChange((before, after) => {
    const owner = before && !after ? before.metadata.ownerReferences?.find((o) => o.controller === true && o.kind === 'Pod') : undefined
    if (owner) loop.queue.add(`${before?.metadata.namespace ?? ''}/${owner.name}`)
  })
  return {
    name: 'ephemeral-volume-controller',
    async run(signal) {
      await loop.run(signal)
      recorder.close()
    },
  }
}
