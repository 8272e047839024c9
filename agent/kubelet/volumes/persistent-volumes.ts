/** Volumes that outlive pods, or are made by drivers: claims of PersistentVolumes, NFS, CSI. Where they are is found once per pod. */
import { mkdir } from 'node:fs/promises'
import type { NFSVolumeSource, Node, PersistentVolume, PersistentVolumeSpec, Pod, Stored, Volume } from '#api/types/index.ts'
import { CodedError } from '#base/errors.ts'
import type { ObjectSource } from '../objects.ts'
import type { PodPaths } from '../pod-paths.ts'
import { claimName, resolveClaim } from './claims.ts'
import type { CsiVolumes } from './csi/csi-volumes.ts'
import { inlineCsiVolume, persistentCsiVolume, type CsiVolume } from './csi/volume.ts'
import { checkHostPath } from './host-path.ts'
import type { Located } from './located.ts'
import type { LocalVolumes } from './local-volumes.ts'
import type { Mounter } from './mounter.ts'

export interface PersistentVolumes {
  /** Mounts it for the pod, or makes sure that it is; undefined: it is another kind of volume. Rejects as upstream words it. */
  setUp(pod: Stored<Pod>, volume: Volume): Promise<Located | undefined>
  /** As setUp, without asking anybody when it was set up in this life. */
  locate(pod: Stored<Pod>, volume: Volume): Promise<Located | undefined>
  /** What drivers want told again. */
  refresh(pod: Stored<Pod>): Promise<void>
  /** Before mounts of the pod are looked through: what drivers mounted they unmount. */
  tearDown(podUid: string): Promise<void>
}

export interface PersistentVolumesDeps { objects: ObjectSource; mounter: Mounter; paths: PodPaths; csi: CsiVolumes; local: LocalVolumes; node: () => Stored<Node> | undefined }

export function createPersistentVolumes({ objects, mounter, paths, csi, local, node }: PersistentVolumesDeps): PersistentVolumes {
  /** By pod, by volume. */
  const located = new Map<string, Map<string, Located>>()

  const find = async (pod: Stored<Pod>, volume: Volume): Promise<Located | undefined> => {
    if (volume.csi) return ofCsi(pod, inlineCsiVolume(pod, volume))
    if (volume.nfs) return ofNfs(pod, volume.nfs, volume.name, [])
    const name = claimName(pod, volume)
    if (name === undefined) return undefined
    const { pv, readonly } = await resolveClaim(pod, volume, name, { objects, node })
    return ofVolume(pod, pv, readonly)
  }

  const ofVolume = async (pod: Stored<Pod>, pv: Stored<PersistentVolume>, readonly: boolean): Promise<Located> => {
    const { spec } = pv
    if (spec?.csi) return ofCsi(pod, persistentCsiVolume(pv, readonly))
    if (spec?.local) return local.setUp(pod, pv, readonly)
    if (spec?.volumeMode === 'Block') throw new CodedError('VOLUME_UNSUPPORTED', `no volume plugin matched: ${kindOf(spec)} volumes of mode Block are not supported on this node`)
    if (spec?.nfs) return ofNfs(pod, { ...spec.nfs, readOnly: readonly || (spec.nfs.readOnly ?? false) }, pv.metadata.name, spec.mountOptions ?? [])
    if (spec?.hostPath) {
      await checkHostPath(spec.hostPath)
      return { path: spec.hostPath.path, readonly }
    }
    throw new CodedError('VOLUME_UNSUPPORTED', `no volume plugin matched: ${kindOf(spec)} volumes are not supported on this node`)
  }

  const ofCsi = async (pod: Stored<Pod>, volume: CsiVolume): Promise<Located> => ({ path: await csi.setUp(pod, volume), readonly: volume.readonly, ...(volume.isBlock && { isDevice: true }) })

  const ofNfs = async (pod: Stored<Pod>, { server, path, readOnly = false }: NFSVolumeSource, specName: string, options: readonly string[]): Promise<Located> => {
    const target = paths.volume(pod.metadata.uid, 'kubernetes.io~nfs', specName)
    await mkdir(target, { recursive: true, mode: 0o750 })
    await mounter.mount('nfs', `${server.includes(':') && !server.startsWith('[') ? `[${server}]` : server}:${path}`, target, [...(readOnly ? ['ro'] : []), ...options])
    return { path: target, readonly: readOnly }
  }

  const setUp = async (pod: Stored<Pod>, volume: Volume): Promise<Located | undefined> => {
    const found = await find(pod, volume)
    if (!found) return undefined
    const ofPod = located.get(pod.metadata.uid) ?? new Map<string, Located>()
    located.set(pod.metadata.uid, ofPod.set(volume.name, found))
    return found
  }

  return {
    setUp,
    async locate(pod, volume) { return located.get(pod.metadata.uid)?.get(volume.name) ?? setUp(pod, volume) },
    async refresh(pod) {
      for (const volume of pod.spec?.volumes ?? []) {
        const name = claimName(pod, volume)
        if (volume.csi) await csi.republish(pod, inlineCsiVolume(pod, volume))
        if (name === undefined) continue
        const { pv, readonly } = await resolveClaim(pod, volume, name, { objects, node })
        if (pv.spec?.csi) await csi.republish(pod, persistentCsiVolume(pv, readonly))
      }
    },
    async tearDown(uid) {
      await csi.tearDown(uid)
      await local.tearDown(uid)
      located.delete(uid)
    },
  }
}

const kindOf = (spec: PersistentVolumeSpec | undefined): string => Object.keys(spec ?? {}).find((key) => !PLAIN_MEMBERS.has(key)) ?? 'such'

/** Of a PersistentVolume's spec that say nothing of where it is. */
const PLAIN_MEMBERS = new Set(['accessModes', 'capacity', 'claimRef', 'mountOptions', 'nodeAffinity', 'persistentVolumeReclaimPolicy', 'storageClassName', 'volumeAttributesClassName', 'volumeMode'])
