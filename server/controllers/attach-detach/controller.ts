/** Wires the attach/detach controller: one key for each node. VolumeAttachments are what CSI attachers act on. */
import { createHash } from 'node:crypto'
import { CSI_DRIVERS, NODES, PERSISTENT_VOLUMES, PERSISTENT_VOLUME_CLAIMS, PODS, VOLUME_ATTACHMENTS, keyOf, type CSIDriver, type Node, type PersistentVolume, type PersistentVolumeClaim, type Pod, type Stored, type VolumeAttachment } from '#api/types/index.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { isOrdinary, recorderFor, unlessGone, type ControllerFactory } from '../controller.ts'
import { jsonEqual } from '../json-equal.ts'
import { decideAttach, type AttachAction, type AttachView } from './decide.ts'

const BY_NODE = 'attach-detach/node'
const BY_VOLUME = 'attach-detach/volume'

export const attachDetachController: ControllerFactory = (deps) => {
  const { client, informers, clock } = deps
  const nodes = informers.of<Node>(NODES)
  const pods = informers.of<Pod>(PODS, { indexes: { [BY_NODE]: (pod) => (pod.spec?.nodeName ? [pod.spec.nodeName] : []) } })
  const claims = informers.of<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS)
  const volumes = informers.of<PersistentVolume>(PERSISTENT_VOLUMES)
  const drivers = informers.of<CSIDriver>(CSI_DRIVERS)
  const attachments = informers.of<VolumeAttachment>(VOLUME_ATTACHMENTS, { indexes: { [BY_NODE]: (a) => [a.spec.nodeName], [BY_VOLUME]: (a) => [a.spec.source.persistentVolumeName ?? ''] } })
  const recorder = recorderFor('attachdetach-controller', deps)
  const unused = new Map<string, Map<string, number>>()

  /** Of the pod's claims that are bound to a volume of a driver that wants attachments. */
  const attachable = (pod: Stored<Pod>): Stored<PersistentVolume>[] => (pod.spec?.volumes ?? []).flatMap((v) => {
    const name = v.persistentVolumeClaim?.claimName ?? (v.ephemeral ? `${pod.metadata.name}-${v.name}` : undefined)
    const claim = name === undefined ? undefined : claims.get(`${pod.metadata.namespace ?? ''}/${name}`)
    const volume = claim?.spec?.volumeName ? volumes.get(claim.spec.volumeName) : undefined
    if (!volume?.spec?.csi || volume.spec.claimRef?.uid !== claim?.metadata.uid) return []
    return drivers.get(volume.spec.csi.driver)?.spec.attachRequired === false ? [] : [volume]
  })

  const loop = createLoop<AttachView, AttachAction>({
    name: 'persistentvolume-attach-detach-controller',
    observe: (nodeName) => ({
      nodeName, node: nodes.get(nodeName), attachments: attachments.byIndex(BY_NODE, nodeName), volumeOf: (name) => volumes.get(name), unusedSinceMs: unused.get(nodeName) ?? new Map<string, number>(),
      uses: pods.byIndex(BY_NODE, nodeName).flatMap((pod) => attachable(pod).map((volume) => ({ pod, volume }))),
      elsewhere: (name) => attachments.byIndex(BY_VOLUME, name).filter((a) => a.spec.nodeName !== nodeName),
      nameOf: ({ spec }) => `csi-${createHash('sha256').update(`${spec?.csi?.volumeHandle ?? ''}${spec?.csi?.driver ?? ''}${nodeName}`).digest('hex')}`,
    }),
    decide: decideAttach,
    effects: (_, nodeName) => ({
      async attach({ name, volume }, signal) {
        await client.create<VolumeAttachment>(VOLUME_ATTACHMENTS, {
          apiVersion: 'storage.k8s.io/v1', kind: 'VolumeAttachment', metadata: { name }, spec: { attacher: volume.spec?.csi?.driver ?? '', nodeName, source: { persistentVolumeName: volume.metadata.name } },
        }, { signal })
      },
      async writeAttached({ node, volumes: attached }, signal) {
        await unlessGone(client.patch(NODES, node.metadata.name, '', 'application/merge-patch+json', { metadata: { uid: node.metadata.uid }, status: { volumesAttached: attached.length > 0 ? attached : null } }, { subresource: 'status', signal }))
      },
      async detach({ attachment }, signal) {
        await unlessGone(client.delete(VOLUME_ATTACHMENTS, attachment.metadata.name, '', { preconditions: { uid: attachment.metadata.uid }, signal }))
      },
      noteUnused({ volume, isUnused }) {
        const ofNode = unused.get(nodeName) ?? new Map<string, number>()
        if (isUnused) ofNode.set(volume, clock.nowMs())
        else ofNode.delete(volume)
        if (ofNode.size > 0) unused.set(nodeName, ofNode)
        else unused.delete(nodeName)
        return Promise.resolve()
      },
      tell({ pod, type, reason, message }) {
        recorder.event(pod, type, reason, message)
        return Promise.resolve()
      },
    }),
    isOrdinary,
  }, deps)

  const hasClaims = (pod: Stored<Pod>): boolean => (pod.spec?.volumes ?? []).some((v) => v.persistentVolumeClaim !== undefined || v.ephemeral !== undefined)
  const wakePod = (pod: Stored<Pod> | undefined): void => { if (pod?.spec?.nodeName && hasClaims(pod)) loop.queue.add(pod.spec.nodeName) }
  pods.onChange((before, after) => { wakePod(after ?? before) })
  attachments.onChange((before, after) => {
    const changed = after ?? before
    if (!changed) return
    loop.queue.add(changed.spec.nodeName)
    // Who waits for it to be free.
    if (!after) for (const pod of pods.list()) if (pod.spec?.nodeName && hasClaims(pod)) loop.queue.add(pod.spec.nodeName)
  })
  claims.onChange((before, after) => {
    if (before?.spec?.volumeName === after?.spec?.volumeName) return
    const claim = after ?? before
    for (const pod of pods.inNamespace(claim?.metadata.namespace ?? '')) if (hasClaims(pod)) wakePod(pod)
  })
  nodes.onChange((before, after) => {
    if (before && after && jsonEqual([before.status?.volumesInUse, before.status?.volumesAttached, before.spec?.taints], [after.status?.volumesInUse, after.status?.volumesAttached, after.spec?.taints])) return
    const name = keyOf(after ?? before ?? {})
    if (attachments.byIndex(BY_NODE, name).length > 0 || (after?.status?.volumesAttached ?? []).length > 0) loop.queue.add(name)
    if (!after) unused.delete(name)
  })

  return {
    name: 'persistentvolume-attach-detach-controller',
    async run(signal) {
      await loop.run(signal)
      recorder.close()
    },
  }
}
