/**
 * Volumes of a pod that has found its node (upstream's volumebinding plugin, Reserve and PreBind): free ones are promised at once, so that
 * no second pod is promised them; then they are bound, or asked of their provisioner, and the pod waits for that.
 */
import { CSI_DRIVERS, CSI_NODES, CSI_STORAGE_CAPACITIES, keyOf, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, STORAGE_CLASSES, VOLUME_ATTACHMENTS, type CSIDriver, type CSINode, type CSIStorageCapacity, type ObjectReference, type PersistentVolume, type PersistentVolumeClaim, type Pod, type StorageClass, type Stored, type VolumeAttachment } from '#api/types/index.ts'
import type { Client, Informers } from '#api/client/client.ts'
import { CodedError } from '#base/errors.ts'
import type { Clock } from '#base/clock.ts'
import type { NodeInfo } from '../node-info.ts'
import { podVolumes, volumesOn, type NodeVolumes } from './pod-volumes.ts'
import type { VolumeLookup } from './volume-lookup.ts'

export interface VolumeBinder {
  /** Resolves when what is known of volumes is complete. */
  readonly synced: Promise<unknown>
  readonly lookup: VolumeLookup
  /** Undefined: the pod waits for no volume. Until it is bound or forgotten nobody else is given these. */
  assume(pod: Stored<Pod>, node: NodeInfo): NodeVolumes | undefined
  forget(volumes: NodeVolumes): void
  /** Resolves when all claims are bound; rejects when one will not be, and the pod has to be placed anew. */
  bind(volumes: NodeVolumes, nodeName: string, signal: AbortSignal): Promise<void>
  /** Something about volumes changed that may let a pod be placed. Returns the unsubscribe. */
  onChange(listener: () => void): () => void
}

/** Upstream's bindTimeoutSeconds. */
const BIND_MS_MAX = 600_000
const SELECTED_NODE = 'volume.kubernetes.io/selected-node'

export function createVolumeBinder({ client, informers, clock }: { client: Client; informers: Informers; clock: Clock }): VolumeBinder {
  const claims = informers.of<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS)
  const volumes = informers.of<PersistentVolume>(PERSISTENT_VOLUMES)
  const classes = informers.of<StorageClass>(STORAGE_CLASSES)
  const drivers = informers.of<CSIDriver>(CSI_DRIVERS)
  const nodes = informers.of<CSINode>(CSI_NODES)
  const capacities = informers.of<CSIStorageCapacity>(CSI_STORAGE_CAPACITIES)
  const attachments = informers.of<VolumeAttachment>(VOLUME_ATTACHMENTS)
  /** By volume: for whom. */
  const promised = new Map<string, ObjectReference>()

  const seen = (volume: Stored<PersistentVolume>): Stored<PersistentVolume> => {
    const claimRef = volume.spec?.claimRef ? undefined : promised.get(volume.metadata.name)
    return claimRef ? { ...volume, spec: { ...volume.spec, claimRef } } : volume
  }
  const lookup: VolumeLookup = {
    claim: (namespace, name) => claims.get(`${namespace}/${name}`),
    volume: (name) => {
      const volume = volumes.get(name)
      return volume && seen(volume)
    },
    volumes: () => (promised.size === 0 ? volumes.list() : volumes.list().map(seen)),
    storageClass: (name) => classes.get(name),
    csiDriver: (name) => drivers.get(name),
    csiNode: (nodeName) => nodes.get(nodeName),
    capacities: () => capacities.list(),
    attachments: () => attachments.list(),
  }

  const referenceTo = ({ metadata }: Stored<PersistentVolumeClaim>): ObjectReference => ({ kind: 'PersistentVolumeClaim', apiVersion: 'v1', namespace: metadata.namespace ?? '', name: metadata.name, uid: metadata.uid, resourceVersion: metadata.resourceVersion })

  const isBound = ({ metadata }: Stored<PersistentVolumeClaim>): boolean => {
    const now = claims.get(keyOf({ metadata }))
    return now !== undefined && (now.spec?.volumeName ?? '') !== '' && now.metadata.annotations?.['pv.kubernetes.io/bind-completed'] !== undefined
  }

  /** Undefined: still waiting. */
  const outcome = (wanted: readonly Stored<PersistentVolumeClaim>[], provision: readonly Stored<PersistentVolumeClaim>[], nodeName: string): 'bound' | CodedError | undefined => {
    for (const claim of wanted) {
      const now = claims.get(keyOf(claim))
      if (now?.metadata.uid !== claim.metadata.uid) return new CodedError('VOLUMES_NOT_BOUND', `binding volumes: claim "${keyOf(claim)}" is gone`)
      // A provisioner that cannot make it there takes the node away, for another one to be found.
      const isRefused = provision.includes(claim) && !isBound(claim) && now.metadata.resourceVersion !== claim.metadata.resourceVersion && now.metadata.annotations?.[SELECTED_NODE] === undefined
      if (isRefused) return new CodedError('VOLUMES_NOT_BOUND', `binding volumes: provisioning failed for PVC "${claim.metadata.name}"`)
      if (now.metadata.annotations?.[SELECTED_NODE] !== undefined && now.metadata.annotations[SELECTED_NODE] !== nodeName && !isBound(claim)) return new CodedError('VOLUMES_NOT_BOUND', `binding volumes: claim "${keyOf(claim)}" is made for another node`)
    }
    return wanted.every(isBound) ? 'bound' : undefined
  }

  return {
    synced: Promise.all([claims, volumes, classes, drivers, nodes, capacities, attachments].map((each) => each.synced)),
    lookup,
    assume(pod, { node }) {
      const wanted = podVolumes(pod, lookup)
      if (!wanted || 'problem' in wanted || wanted.waiting.length === 0) return undefined
      const found = volumesOn(node, wanted, lookup)
      if (typeof found === 'string') return undefined
      for (const { claim, volume } of found.bind) promised.set(volume.metadata.name, referenceTo(claim))
      return found
    },
    forget({ bind }) {
      for (const { volume } of bind) promised.delete(volume.metadata.name)
    },
    async bind({ bind, provision }, nodeName, signal) {
      for (const { claim, volume } of bind) {
        if (volume.spec?.claimRef?.uid === claim.metadata.uid) continue
        await client.patch<PersistentVolume>(PERSISTENT_VOLUMES, volume.metadata.name, undefined, 'application/merge-patch+json', {
          metadata: { resourceVersion: volume.metadata.resourceVersion, annotations: { 'pv.kubernetes.io/bound-by-controller': 'yes' } }, spec: { claimRef: referenceTo(claim) },
        }, { signal })
      }
      for (const claim of provision) {
        if (claims.get(keyOf(claim))?.metadata.annotations?.[SELECTED_NODE] === nodeName) continue
        await client.patch<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, claim.metadata.name, claim.metadata.namespace, 'application/merge-patch+json', {
          metadata: { uid: claim.metadata.uid, annotations: { [SELECTED_NODE]: nodeName } },
        }, { signal })
      }
      const wanted = [...bind.map((b) => b.claim), ...provision]
      await new Promise<void>((resolve, reject) => {
        const cleanUp: (() => void)[] = []
        const end = (error?: Error) => {
          for (const undo of cleanUp) undo()
          if (error) reject(error)
          else resolve()
        }
        const look = () => {
          const found = outcome(wanted, provision, nodeName)
          if (found === 'bound') end()
          else if (found) end(found)
        }
        const stop = () => end(new CodedError('VOLUMES_NOT_BOUND', 'the scheduler is stopping'))
        signal.addEventListener('abort', stop, { once: true })
        cleanUp.push(() => signal.removeEventListener('abort', stop), clock.after(BIND_MS_MAX, () => end(new CodedError('VOLUMES_NOT_BOUND', 'binding volumes: context deadline exceeded'))))
        if (signal.aborted) return stop()
        cleanUp.push(claims.onChange((before, after) => { if (wanted.some((claim) => keyOf(claim) === keyOf(after ?? before ?? {}))) look() }))
        look()
        return undefined
      })
    },
    onChange(listener) {
      const offs = [
        claims.onChange(() => listener()),
        volumes.onChange((_, after) => {
          if (after?.spec?.claimRef) promised.delete(after.metadata.name)
          listener()
        }),
        ...[classes, drivers, nodes, capacities].map((each) => each.onChange(() => listener())),
        // A volume that is let go makes room for another one.
        attachments.onChange((_, after) => { if (!after) listener() }),
      ]
      return () => { for (const off of offs) off() }
    },
  }
}
