/** Volumes that outlive pods, or are made by drivers: claims of PersistentVolumes, NFS, CSI. Where they are is found once per pod. */
import { mkdir, statfs } from 'node:fs/promises'
import type { NFSVolumeSource, Node, PersistentVolumeSpec, Pod, Stored, Volume } from '#api/types/index.ts'
import { isReason } from '#api/client/client.ts'
import { CodedError, hasCode } from '#base/errors.ts'
import type { ObjectSource } from '../objects.ts'
import type { PodPaths } from '../pod-paths.ts'
import { claimName, resolveClaim, type Claimed } from './claims.ts'
import { UNIT, type VolumeUsage } from './csi/calls.ts'
import type { CsiVolumes } from './csi/csi-volumes.ts'
import { inlineCsiVolume, persistentCsiVolume, type CsiVolume } from './csi/volume.ts'
import { checkHostPath } from './host-path.ts'
import type { Located } from './located.ts'
import type { LocalVolumes } from './local-volumes.ts'
import type { Mounter } from './mounter.ts'
import { inStep } from './volume-error.ts'
import type { VolumeGrowth } from './volume-growth.ts'

export interface PersistentVolumes {
  /** Mounts it for the pod, or makes sure that it is; undefined: it is another kind of volume. Rejects as upstream words it. */
  setUp(pod: Stored<Pod>, volume: Volume): Promise<Located | undefined>
  /** As setUp, without asking anybody when it was set up in this life. */
  locate(pod: Stored<Pod>, volume: Volume): Promise<Located | undefined>
  /** What drivers want told again, and claims that have grown: looked at now and then, and when a token is renewed. */
  refresh(pod: Stored<Pod>): Promise<void>
  /** How full it is; undefined: nobody can say, or nobody should be asked. */
  usage(podUid: string, volumeName: string): Promise<VolumeFigures | undefined>
  /** Before mounts of the pod are looked through: what drivers mounted they unmount. */
  tearDown(podUid: string): Promise<void>
}

export interface VolumeFigures { capacityBytes: number; availableBytes: number; usedBytes: number; inodes: number; inodesFree: number; inodesUsed: number; /** In the pod's namespace. */ claim: string | undefined }

export interface PersistentVolumesDeps { objects: ObjectSource; mounter: Mounter; paths: PodPaths; csi: CsiVolumes; local: LocalVolumes; growth: VolumeGrowth; node: () => Stored<Node> | undefined }

interface Known { at: Located; csi?: CsiVolume; claim?: string; /** Its file system is this machine's own: asking never hangs. */ isLocal?: boolean }

export function createPersistentVolumes({ objects, mounter, paths, csi, local, growth, node }: PersistentVolumesDeps): PersistentVolumes {
  /** By pod, by volume. */
  const located = new Map<string, Map<string, Known>>()

  const find = async (pod: Stored<Pod>, volume: Volume): Promise<Known | undefined> => {
    if (volume.csi) return ofCsi(pod, inlineCsiVolume(pod, volume))
    if (volume.nfs) return ofNfs(pod, volume.nfs, volume.name, [])
    const name = claimName(pod, volume)
    if (name === undefined) return undefined
    const claimed = await resolveClaim(pod, volume, name, { objects, node })
    return { ...(await inStep(claimed.pv.spec?.volumeMode === 'Block' ? 'MapPodDevice' : 'SetUp', claimed.pv.metadata.name, () => ofVolume(pod, claimed))), claim: name }
  }

  const ofVolume = async (pod: Stored<Pod>, { pv, claim, readonly }: Claimed): Promise<Known> => {
    const { spec } = pv
    if (spec?.csi) {
      const volume = persistentCsiVolume(pv, readonly)
      const found = await ofCsi(pod, volume)
      await growth.grow(pod, { pv, claim, volume })
      return found
    }
    if (spec?.local) return { at: await local.setUp(pod, pv, readonly), isLocal: true }
    if (spec?.volumeMode === 'Block') throw new CodedError('VOLUME_UNSUPPORTED', `no volume plugin matched: ${kindOf(spec)} volumes of mode Block are not supported on this node`)
    if (spec?.nfs) return ofNfs(pod, { ...spec.nfs, readOnly: readonly || (spec.nfs.readOnly ?? false) }, pv.metadata.name, spec.mountOptions ?? [])
    if (spec?.hostPath) {
      await checkHostPath(spec.hostPath)
      return { at: { path: spec.hostPath.path, readonly } }
    }
    throw new CodedError('VOLUME_UNSUPPORTED', `no volume plugin matched: ${kindOf(spec)} volumes are not supported on this node`)
  }

  const ofCsi = async (pod: Stored<Pod>, volume: CsiVolume): Promise<Known> => ({ at: { path: await csi.setUp(pod, volume), readonly: volume.readonly, ...(volume.isBlock && { isDevice: true }), mayRelabel: !volume.isBlock }, csi: volume })

  const ofNfs = async (pod: Stored<Pod>, { server, path, readOnly = false }: NFSVolumeSource, specName: string, options: readonly string[]): Promise<Known> => {
    const target = paths.volume(pod.metadata.uid, 'kubernetes.io~nfs', specName)
    await mkdir(target, { recursive: true, mode: 0o750 })
    await mounter.mount('nfs', `${server.includes(':') && !server.startsWith('[') ? `[${server}]` : server}:${path}`, target, [...(readOnly ? ['ro'] : []), ...options])
    return { at: { path: target, readonly: readOnly } }
  }

  const setUp = async (pod: Stored<Pod>, volume: Volume): Promise<Located | undefined> => {
    const found = await find(pod, volume)
    if (!found) return undefined
    const ofPod = located.get(pod.metadata.uid) ?? new Map<string, Known>()
    located.set(pod.metadata.uid, ofPod.set(volume.name, found))
    return found.at
  }

  /** Growing is tried again at the next look; its failure has been told. */
  const growLater = async (pod: Stored<Pod>, volume: Volume, name: string): Promise<void> => {
    const { pv, claim, readonly } = await resolveClaim(pod, volume, name, { objects, node })
    try {
      await growth.grow(pod, { pv, claim, volume: persistentCsiVolume(pv, readonly) })
    } catch (error) {
      if (!hasCode(error, 'VOLUME_EXPAND') && !isReason(error, 'Conflict')) throw error
    }
  }

  return {
    setUp,
    async locate(pod, volume) { return located.get(pod.metadata.uid)?.get(volume.name)?.at ?? setUp(pod, volume) },
    async refresh(pod) {
      for (const volume of pod.spec?.volumes ?? []) {
        const known = located.get(pod.metadata.uid)?.get(volume.name)
        if (!known?.csi) continue
        await csi.republish(pod, known.csi)
        if (known.claim !== undefined && csi.can(known.csi, 'expand')) await growLater(pod, volume, known.claim)
      }
    },
    async usage(uid, volumeName) {
      const known = located.get(uid)?.get(volumeName)
      if (known?.csi) return figuresOf(await csi.usage(uid, known.csi), known.claim)
      if (!known?.isLocal || known.at.isDevice) return undefined
      const { bsize, blocks, bfree, bavail, files, ffree } = await statfs(known.at.path)
      return { capacityBytes: blocks * bsize, availableBytes: bavail * bsize, usedBytes: (blocks - bfree) * bsize, inodes: files, inodesFree: ffree, inodesUsed: files - ffree, claim: known.claim }
    },
    async tearDown(uid) {
      await csi.tearDown(uid)
      await local.tearDown(uid)
      for (const { csi: volume } of located.get(uid)?.values() ?? []) if (volume) growth.forget(volume)
      located.delete(uid)
    },
  }
}

function figuresOf(usage: VolumeUsage | undefined, claim: string | undefined): VolumeFigures | undefined {
  if (!usage) return undefined
  const bytes = usage.usage.find((u) => u.unit === UNIT.bytes)
  const inodes = usage.usage.find((u) => u.unit === UNIT.inodes)
  return {
    capacityBytes: bytes?.total ?? 0, availableBytes: bytes?.available ?? 0, usedBytes: bytes?.used ?? 0, inodes: inodes?.total ?? 0, inodesFree: inodes?.available ?? 0, inodesUsed: inodes?.used ?? 0, claim,
  }
}

const kindOf = (spec: PersistentVolumeSpec | undefined): string => Object.keys(spec ?? {}).find((key) => !PLAIN_MEMBERS.has(key)) ?? 'such'

/** Of a PersistentVolume's spec that say nothing of where it is. */
const PLAIN_MEMBERS = new Set(['accessModes', 'capacity', 'claimRef', 'mountOptions', 'nodeAffinity', 'persistentVolumeReclaimPolicy', 'storageClassName', 'volumeAttributesClassName', 'volumeMode'])
