/** Wires the persistent volume binder: one queue for claims, one for volumes. */
import { NODES, PERSISTENT_VOLUMES, PERSISTENT_VOLUME_CLAIMS, STORAGE_CLASSES, keyOf, type Node, type PersistentVolume, type PersistentVolumeClaim, type StorageClass, type Stored } from '#api/types/index.ts'
import type { Effects } from '#base/reconcile/action.ts'
import { createLoop, type Loop } from '#base/reconcile/loop.ts'
import { isOrdinary, recorderFor, type ControllerFactory } from '../controller.ts'
import { jsonEqual } from '../json-equal.ts'
import { BIND_COMPLETED, BOUND_BY_CONTROLLER, SELECTED_NODE, boundClaim, boundStatus, boundVolume, decideClaim, decideVolume, type BinderAction, type ClaimView, type VolumeView } from './decide.ts'
import { classOfClaim } from '#api/types/volume-match.ts'

/** Upstream looks again this often: what claims wait for is told again. */
const RETELL_MS = 15_000

export const persistentVolumeBinder: ControllerFactory = (deps) => {
  const { client, informers, clock } = deps
  const claims = informers.of<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS)
  const volumes = informers.of<PersistentVolume>(PERSISTENT_VOLUMES)
  const classes = informers.of<StorageClass>(STORAGE_CLASSES)
  const nodes = informers.of<Node>(NODES)
  const recorder = recorderFor('persistentvolume-controller', deps)
  const told = new Map<string, { message: string; atMs: number }>()

  const effects: Effects<BinderAction> = {
    tell({ about, type, reason, message }) {
      // Each look at a claim that waits says the same.
      const before = told.get(about.metadata.uid)
      if (before?.message === message && before.atMs + RETELL_MS > clock.nowMs()) return Promise.resolve()
      told.set(about.metadata.uid, { message, atMs: clock.nowMs() })
      recorder.event(about, type, reason, message)
      return Promise.resolve()
    },
    async bind({ volume, claim }, signal) {
      let v = volume
      if (boundVolume(v, claim) !== v) v = await client.update<PersistentVolume>(PERSISTENT_VOLUMES, boundVolume(v, claim), { signal })
      if (v.status?.phase !== 'Bound') v = await client.update<PersistentVolume>(PERSISTENT_VOLUMES, { ...v, status: { phase: 'Bound' } }, { subresource: 'status', signal })
      let c = claim
      if (boundClaim(v, c) !== c) c = await client.update<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, boundClaim(v, c), { signal })
      const status = boundStatus(v, c)
      if (!jsonEqual(status, c.status)) await client.update<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, { ...c, status }, { subresource: 'status', signal })
    },
    async writeClaimStatus({ claim, status }, signal) {
      await client.update<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, { ...claim, status }, { subresource: 'status', signal })
    },
    async annotateClaim({ claim, annotations }, signal) {
      const { name, namespace = '', uid } = claim.metadata
      await client.patch(PERSISTENT_VOLUME_CLAIMS, name, namespace, 'application/merge-patch+json', { metadata: { uid, annotations } }, { signal })
    },
    async writeVolumeStatus({ volume, status }, signal) {
      await client.update<PersistentVolume>(PERSISTENT_VOLUMES, { ...volume, status }, { subresource: 'status', signal })
    },
    async unbindVolume({ volume, claimRef }, signal) {
      const { claimRef: _, ...spec } = volume.spec ?? {}
      const { [BOUND_BY_CONTROLLER]: __, ...annotations } = volume.metadata.annotations ?? {}
      await client.update<PersistentVolume>(PERSISTENT_VOLUMES, { ...volume, metadata: { ...volume.metadata, annotations }, spec: { ...spec, ...(claimRef && { claimRef }) } }, { signal })
    },
    wakeClaim({ key }) {
      claimLoop.queue.add(key)
      return Promise.resolve()
    },
  }

  const claimLoop: Loop = createLoop<ClaimView, BinderAction>({
    name: 'persistentvolume-binder-controller',
    queue: 'claims',
    observe(key) {
      const claim = claims.get(key)
      if (!claim) return undefined
      const { volumeName } = claim.spec ?? {}
      const selected = claim.metadata.annotations?.[SELECTED_NODE]
      return { claim, volume: volumeName ? volumes.get(volumeName) : undefined, volumes: volumeName ? [] : volumes.list(), storageClass: classes.get(classOfClaim(claim)), selectedNode: selected === undefined ? undefined : nodes.get(selected) }
    },
    decide: decideClaim,
    effects: () => effects,
    isOrdinary,
  }, deps)
  const volumeLoop = createLoop<VolumeView, BinderAction>({
    name: 'persistentvolume-binder-controller',
    queue: 'volumes',
    observe(key) {
      const volume = volumes.get(key)
      if (!volume) return undefined
      const { claimRef } = volume.spec ?? {}
      return { volume, claim: claimRef && claims.get(`${claimRef.namespace ?? ''}/${claimRef.name ?? ''}`) }
    },
    decide: decideVolume,
    effects: () => effects,
    isOrdinary,
  }, deps)

  const isUnbound = (claim: Stored<PersistentVolumeClaim>): boolean => claim.metadata.annotations?.[BIND_COMPLETED] === undefined
  claims.onChange((before, after) => {
    const changed = after ?? before
    if (!changed) return
    if (after) claimLoop.queue.add(keyOf(after))
    else told.delete(changed.metadata.uid)
    const volumeName = changed.spec?.volumeName
    if (volumeName) volumeLoop.queue.add(volumeName)
    // A volume may have been given to it before it was told so.
    if (!after) for (const volume of volumes.list()) if (volume.spec?.claimRef?.uid === changed.metadata.uid) volumeLoop.queue.add(volume.metadata.name)
  })
  volumes.onChange((before, after) => {
    if (after) volumeLoop.queue.add(after.metadata.name)
    const reference = (after ?? before)?.spec?.claimRef
    if (reference) claimLoop.queue.add(`${reference.namespace ?? ''}/${reference.name ?? ''}`)
    // One that may be had now, or one that is gone, by its name.
    else if (after) for (const claim of claims.list()) if (isUnbound(claim)) claimLoop.queue.add(keyOf(claim))
    if (!after && before) for (const claim of claims.list()) if (claim.spec?.volumeName === before.metadata.name) claimLoop.queue.add(keyOf(claim))
  })
  classes.onChange((_, after) => {
    if (after) for (const claim of claims.list()) if (isUnbound(claim) && classOfClaim(claim) === after.metadata.name) claimLoop.queue.add(keyOf(claim))
  })

  return {
    name: 'persistentvolume-binder-controller',
    async run(signal) {
      await Promise.all([claimLoop.run(signal), volumeLoop.run(signal)])
      recorder.close()
    },
  }
}
