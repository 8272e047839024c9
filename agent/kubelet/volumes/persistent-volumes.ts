/** Volumes that outlive pods, or are made by drivers: claims of PersistentVolumes, NFS, CSI. Where they are is found once per pod. */
import { mkdir, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { NFSVolumeSource, Node, Pod, Stored, Volume } from '#api/types/index.ts'
import { isReason } from '#api/client/client.ts'
import { CodedError, hasCode } from '#base/errors.ts'
import { KeyedLock } from '#base/keyed-lock.ts'
import type { ObjectSource } from '../objects.ts'
import type { PodPaths } from '../pod-paths.ts'
import type { StorageOperations } from '../stats/storage-operations.ts'
import { claimName, resolveClaim, type Claimed } from './claims.ts'
import { UNIT, type VolumeUsage } from './csi/calls.ts'
import type { CsiVolumes } from './csi/csi-volumes.ts'
import { entriesOf } from './csi/notes.ts'
import { inlineCsiVolume, persistentCsiVolume, type CsiVolume } from './csi/volume.ts'
import { checkHostPath } from './host-path.ts'
import type { Located } from './located.ts'
import type { LocalVolumes } from './local-volumes.ts'
import type { Mounter } from './mounter.ts'
import { mountOptions } from './mount-options.ts'
import { persistentPlugin, pluginDirectory, sourceOf } from './plugin-names.ts'
import { inStep, VolumeStepError } from './volume-error.ts'
import type { VolumeGrowth } from './volume-growth.ts'

export interface PersistentVolumes {
  /** Mounts it for the pod, or makes sure that it is; undefined: it is another kind of volume. Rejects as upstream words it. */
  setUp(pod: Stored<Pod>, volume: Volume): Promise<Located | undefined>
  /** As setUp, without asking anybody when it was set up in this life. */
  locate(pod: Stored<Pod>, volume: Volume): Promise<Located | undefined>
  /** What drivers want told again, and claims that have grown: looked at now and then, and when a token is renewed. */
  refresh(pod: Stored<Pod>): Promise<void>
  /** The plugin of what a volume of the pod claims; undefined: it is not known what that is. */
  plugin(podUid: string, volumeName: string): string | undefined
  /** How full it is; undefined: nobody can say, or nobody should be asked. */
  usage(podUid: string, volumeName: string): Promise<VolumeFigures | undefined>
  /** Before mounts of the pod are looked through: what drivers mounted they unmount. */
  tearDown(podUid: string): Promise<void>
}

export interface VolumeFigures { capacityBytes: number; availableBytes: number; usedBytes: number; inodes: number; inodesFree: number; inodesUsed: number; /** In the pod's namespace. */ claim: string | undefined }

export interface PersistentVolumesDeps { objects: ObjectSource; mounter: Mounter; paths: PodPaths; csi: CsiVolumes; local: LocalVolumes; growth: VolumeGrowth; node: () => Stored<Node> | undefined; operations: Pick<StorageOperations, 'timed'> }

interface Known {
  at: Located
  csi?: CsiVolume
  /** It is a claim's. */
  claimed?: { claim: string; pv: string }
  /** Its file system is this machine's own: asking never hangs. */
  isLocal?: boolean
}

const IN_USE = 'volume uses the ReadWriteOncePod access mode and is already in use by another pod'

export function createPersistentVolumes({ objects, mounter, paths, csi, local, growth, node, operations }: PersistentVolumesDeps): PersistentVolumes {
  /** By pod, by volume. */
  const located = new Map<string, Map<string, Known>>()
  /** By pod, by volume: the plugin of what it claims. */
  const plugins = new Map<string, Map<string, string>>()
  /** Of volumes that only one pod may have: who is first is decided one at a time. */
  const lock = new KeyedLock()

  const find = async (pod: Stored<Pod>, volume: Volume): Promise<Known | undefined> => {
    if (volume.csi) return ofCsi(pod, inlineCsiVolume(pod, volume))
    if (volume.nfs) return ofNfs(pod, volume.nfs, volume.name, volume.nfs.readOnly ? ['ro'] : [])
    const name = claimName(pod, volume)
    if (name === undefined) return undefined
    const claimed = await resolveClaim(pod, volume, name, { objects, node })
    const { pv } = claimed
    const isBlock = pv.spec?.volumeMode === 'Block'
    const plugin = persistentPlugin(pv)
    const ofPod = plugins.get(pod.metadata.uid) ?? new Map<string, string>()
    plugins.set(pod.metadata.uid, ofPod.set(volume.name, plugin))
    const mount = () => ofVolume(pod, claimed)
    const isExclusive = pv.spec?.accessModes?.length === 1 && pv.spec.accessModes[0] === 'ReadWriteOncePod'
    const alone = () => lock.run(pv.metadata.name, async () => {
      if (await isElsewhere(pod.metadata.uid, pluginDirectory(plugin), pv.metadata.name)) throw new VolumeStepError(isBlock ? 'SetUpDevice' : 'SetUp', pv.metadata.name, new CodedError('VOLUME_IN_USE', IN_USE))
      return mount()
    })
    const known = await operations.timed(plugin, isBlock ? 'map_volume' : 'volume_mount', () => inStep(isBlock ? 'MapPodDevice' : 'SetUp', pv.metadata.name, isExclusive ? alone : mount))
    return { ...known, claimed: { claim: name, pv: pv.metadata.name } }
  }

  /** A pod that has a place for it has it, or is about to. */
  const isElsewhere = async (exceptUid: string, directory: string, pvName: string): Promise<boolean> => {
    for (const uid of await entriesOf(paths.podsDir)) {
      if (uid !== exceptUid && (await entriesOf(join(paths.volumes(uid), directory))).includes(pvName)) return true
    }
    return false
  }

  const ofVolume = async (pod: Stored<Pod>, claimed: Claimed): Promise<Known> => {
    const { pv, readonly } = claimed
    const { spec } = pv
    if (spec?.csi ?? spec?.local) {
      const found: Known = spec?.csi ? await ofCsi(pod, persistentCsiVolume(pv, readonly)) : { at: await local.setUp(pod, pv, readonly), isLocal: true }
      await inStep(spec?.volumeMode === 'Block' ? 'MarkVolumeAsMounted' : 'Setup', pv.metadata.name, () => grow(pod, claimed, true))
      return found
    }
    if (spec?.volumeMode === 'Block') throw new CodedError('VOLUME_UNSUPPORTED', `no volume plugin matched: ${sourceOf(spec)} volumes of mode Block are not supported on this node`)
    if (spec?.nfs) {
      const readOnly = readonly || (spec.nfs.readOnly ?? false)
      return ofNfs(pod, { ...spec.nfs, readOnly }, pv.metadata.name, mountOptions(pv, readOnly ? ['ro'] : []))
    }
    if (spec?.hostPath) {
      await checkHostPath(spec.hostPath)
      return { at: { path: spec.hostPath.path, readonly } }
    }
    throw new CodedError('VOLUME_UNSUPPORTED', `no volume plugin matched: ${sourceOf(spec)} volumes are not supported on this node`)
  }

  const grow = async (pod: Stored<Pod>, { pv, claim, readonly }: Claimed, isMounting: boolean): Promise<void> => {
    if (pv.spec?.local) return growth.grow(pod, { pv, claim, readonly, expand: () => local.expand(pod, pv) }, { isMounting })
    const volume = persistentCsiVolume(pv, readonly)
    if (csi.can(volume, 'expand')) await growth.grow(pod, { pv, claim, readonly: volume.readonly, expand: (sizeBytes) => csi.expand(pod, volume, sizeBytes) }, { isMounting })
  }

  const ofCsi = async (pod: Stored<Pod>, volume: CsiVolume): Promise<Known> => ({ at: { path: await csi.setUp(pod, volume), readonly: volume.readonly, ...(volume.isBlock && { isDevice: true }), mayRelabel: !volume.isBlock }, csi: volume })

  const ofNfs = async (pod: Stored<Pod>, { server, path, readOnly = false }: NFSVolumeSource, specName: string, options: readonly string[]): Promise<Known> => {
    const target = paths.volume(pod.metadata.uid, 'kubernetes.io~nfs', specName)
    await mkdir(target, { recursive: true, mode: 0o750 })
    await mounter.mount('nfs', `${server.includes(':') && !server.startsWith('[') ? `[${server}]` : server}:${path}`, target, options)
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
    const claimed = await resolveClaim(pod, volume, name, { objects, node })
    try {
      await operations.timed(persistentPlugin(claimed.pv), 'volume_fs_resize', () => grow(pod, claimed, false))
    } catch (error) {
      if (!hasCode(error, 'VOLUME_EXPAND') && !isReason(error, 'Conflict')) throw error
    }
  }

  return {
    setUp,
    plugin: (uid, volumeName) => plugins.get(uid)?.get(volumeName),
    async locate(pod, volume) { return located.get(pod.metadata.uid)?.get(volume.name)?.at ?? setUp(pod, volume) },
    async refresh(pod) {
      for (const volume of pod.spec?.volumes ?? []) {
        const known = located.get(pod.metadata.uid)?.get(volume.name)
        if (known?.csi) await csi.republish(pod, known.csi)
        const mayGrow = known?.csi ? csi.can(known.csi, 'expand') : known?.isLocal
        if (known?.claimed && mayGrow) await growLater(pod, volume, known.claimed.claim)
      }
    },
    async usage(uid, volumeName) {
      const known = located.get(uid)?.get(volumeName)
      if (known?.csi) return figuresOf(await csi.usage(uid, known.csi), known.claimed?.claim)
      if (!known?.isLocal || known.at.isDevice) return undefined
      const { bsize, blocks, bfree, bavail, files, ffree } = await statfs(known.at.path)
      return { capacityBytes: blocks * bsize, availableBytes: bavail * bsize, usedBytes: (blocks - bfree) * bsize, inodes: files, inodesFree: ffree, inodesUsed: files - ffree, claim: known.claimed?.claim }
    },
    async tearDown(uid) {
      await csi.tearDown(uid)
      await local.tearDown(uid)
      for (const { claimed } of located.get(uid)?.values() ?? []) if (claimed) growth.forget(claimed.pv)
      located.delete(uid)
      plugins.delete(uid)
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
