/**
 * PersistentVolumes of this node's own disks (upstream's pkg/volume/local): a directory, a block device as it is, or the file
 * system on a block device, which is made and mounted once for all pods. The mount table and the pods' directories are the only memory.
 */
import { mkdir, rmdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { PersistentVolume, Pod, Stored } from '#api/types/index.ts'
import { asError, CodedError, hasCode } from '#base/errors.ts'
import { KeyedLock } from '#base/keyed-lock.ts'
import type { PodPaths } from '../pod-paths.ts'
import type { StorageOperations } from '../stats/storage-operations.ts'
import { entriesOf } from './csi/notes.ts'
import { isBlockDevice, type Disks } from './disks.ts'
import type { Located } from './located.ts'
import { mountOptions } from './mount-options.ts'
import type { Mounter } from './mounter.ts'
import { setOwnership, type OwnershipWatch } from './ownership.ts'
import { inStep, VolumeStepError } from './volume-error.ts'

export interface LocalVolumes {
  setUp(pod: Stored<Pod>, pv: Stored<PersistentVolume>, readonly: boolean): Promise<Located>
  /** Makes the file system on a disk as large as the disk; of anything else there is nothing to make. */
  expand(pod: Stored<Pod>, pv: Stored<PersistentVolume>): Promise<void>
  /** What the pod has mounted; a disk that no other pod uses is unmounted. */
  tearDown(podUid: string): Promise<void>
}

const PLUGIN = 'kubernetes.io~local-volume'

export interface LocalVolumesDeps {
  mounter: Mounter
  disks: Disks
  paths: PodPaths
  rootDir: string
  ownership?: OwnershipWatch
  /** Warns its pod of a volume that another one has already. */
  tell: (pod: Stored<Pod>, message: string) => void
  operations: Pick<StorageOperations, 'timed'>
}

export function createLocalVolumes({ mounter, disks, paths, rootDir, ownership, tell, operations }: LocalVolumesDeps): LocalVolumes {
  const diskMounts = join(rootDir, 'plugins', 'kubernetes.io', 'local-volume', 'mounts')
  /** By volume: it is mounted for the first pod and unmounted after the last. */
  const lock = new KeyedLock()

  const directoryOf = async (pv: Stored<PersistentVolume>, path: string, readonly: boolean): Promise<string> => {
    const isDirectory = await inStep('NewMounter initialization', pv.metadata.name, async () => {
      const info = await existing(path)
      if (!info.isDirectory() && !info.isBlockDevice()) throw new CodedError('VOLUME_INVALID', 'only directory and block device are supported')
      return info.isDirectory()
    })
    if (isDirectory) return path
    const target = join(diskMounts, pv.metadata.name)
    const fsType = pv.spec?.local?.fsType ?? ''
    try {
      await disks.mount({ device: path, target, fsType, mayWrite: !readonly, options: mountOptions(pv) })
    } catch (error) {
      throw new VolumeStepError('MountDevice', pv.metadata.name, new CodedError('VOLUME_MOUNT', `local: failed to mount device ${path} at ${target} (fstype: ${fsType}), error ${asError(error).message}`, { cause: error }))
    }
    return target
  }

  return {
    setUp(pod, pv, readonly) {
      const { name } = pv.metadata
      const path = pv.spec?.local?.path ?? ''
      return lock.run(name, async () => {
        if (pv.spec?.volumeMode === 'Block') {
          await existing(path)
          if (!(await isBlockDevice(path))) throw new CodedError('VOLUME_INVALID', `path "${path}" of volume ${name} is not a block device`)
          return { path, readonly, isDevice: true }
        }
        const target = paths.volume(pod.metadata.uid, PLUGIN, name)
        // The pod's directory first: it is what says that the disk is used.
        await mkdir(target, { recursive: true, mode: 0o750 })
        const source = await directoryOf(pv, path, readonly)
        // What the pod has had before a restart of the agent stays as its containers made it.
        if ((await mounter.below(target)).includes(target)) return { path: target, readonly, mayRelabel: true }
        const gid = pod.spec?.securityContext?.fsGroup
        if (gid !== undefined && await isMounted(name)) {
          // Those who have it already keep it as it is.
          const { gid: present } = await stat(source)
          if (present !== gid) tell(pod, `The requested fsGroup is ${gid}, but the volume ${name} has GID ${present}. The volume may not be shareable.`)
        } else if (gid !== undefined && !readonly) {
          await setOwnership(source, { gid, readonly: false, policy: pod.spec?.securityContext?.fsGroupChangePolicy === 'OnRootMismatch' ? 'OnRootMismatch' : 'Always' }, ownership?.begins(pod, target))
        }
        await mounter.bind(source, target)
        return { path: target, readonly, mayRelabel: true }
      })
    },
    expand: (pod, pv) => lock.run(pv.metadata.name, async () => {
      const path = pv.spec?.local?.path ?? ''
      if (pv.spec?.volumeMode !== 'Block' && (await existing(path)).isBlockDevice()) await disks.grow(path, paths.volume(pod.metadata.uid, PLUGIN, pv.metadata.name))
    }),
    async tearDown(uid) {
      for (const name of await entriesOf(join(paths.volumes(uid), PLUGIN))) {
        await lock.run(name, async () => {
          await operations.timed('kubernetes.io/local-volume', 'volume_unmount', () => unmountOne(uid, name))
        })
      }
    },
  }

  async function unmountOne(uid: string, name: string): Promise<void> {
    const target = paths.volume(uid, PLUGIN, name)
    await mounter.unmount(target)
    if ((await mounter.below(target)).length > 0) throw new CodedError('VOLUME_BUSY', `${target} is still mounted`)
    if (!(await isUsed(name, uid))) await disks.unmount(join(diskMounts, name))
    await rmdir(target)
  }

  /** By any pod. */
  async function isMounted(name: string): Promise<boolean> {
    for (const uid of await entriesOf(paths.podsDir)) {
      const target = paths.volume(uid, PLUGIN, name)
      if ((await mounter.below(target)).includes(target)) return true
    }
    return false
  }

  async function isUsed(name: string, exceptUid: string): Promise<boolean> {
    for (const uid of await entriesOf(paths.podsDir)) {
      if (uid !== exceptUid && (await entriesOf(join(paths.volumes(uid), PLUGIN))).includes(name)) return true
    }
    return false
  }
}

async function existing(path: string) {
  return stat(path).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) throw new CodedError('VOLUME_INVALID', `path "${path}" does not exist`, { cause: error })
    throw error
  })
}
