/** All volumes of a pod: set up before its containers, refreshed while it runs, torn down after. Idempotent throughout. */
import { lstat, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ApiError } from '#api/client/client.ts'
import type { ConfigMap, Container, Pod, Secret, ServiceAccountTokenProjection, Stored, Volume, VolumeMount } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { CodedError, hasCode } from '#base/errors.ts'
import { nameSuffix, type Random } from '#base/random.ts'
import { isSelinuxEnabled, type ContainerConfig, type Mount } from '#cri/index.ts'
import type { FieldContext } from '../field-ref.ts'
import type { ObjectSource } from '../objects.ts'
import type { PodPaths } from '../pod-paths.ts'
import type { StorageOperations, VolumeCounts } from '../stats/storage-operations.ts'
import { isWritten, writeAtomically } from './atomic-writer.ts'
import { isNamed } from './claims.ts'
import { entriesOf } from './csi/notes.ts'
import { EMPTY_DIR, setUpEmptyDir } from './empty-dir.ts'
import { checkHostPath } from './host-path.ts'
import { imageMount } from './image-volumes.ts'
import type { Located } from './located.ts'
import type { Mounter } from './mounter.ts'
import { makeNestedMountPoints } from './nested-mounts.ts'
import { setOwnership } from './ownership.ts'
import { payloadPlugin, referencedObjects, volumePayload, type TokenResult } from './payload.ts'
import type { PersistentVolumes } from './persistent-volumes.ts'
import { pluginOfDirectory, podVolumePlugin } from './plugin-names.ts'
import { bindSubpath, readInside, unbindSubpath, type SubpathRequest } from './subpath.ts'
import type { Tokens } from './tokens.ts'
import { attachLimitProblem, VolumeError, volumeFailures, type FailedVolume } from './volume-error.ts'

export interface MountWorld {
  /** Resolves subPathExpr, or names the variables that have no value. */
  expand: (text: string) => { text: string } | { missing: readonly string[] }
  /** What the pod's runtime handler can do. */
  canRecursiveReadOnly: boolean
  /** Image volumes by name: the ids of their images, which are here. */
  volumeImages: ReadonlyMap<string, string>
}

export interface PodVolumes {
  /** Those that containers name. Throws a VolumeError that tells of all that cannot be made, or VOLUME_LIMIT: the node has as many as it can have. */
  setUp(pod: Stored<Pod>): Promise<void>
  /** Brings the files of payload volumes up to date: called when an object or the pod changed, or a token falls due. */
  refresh(pod: Stored<Pod>): Promise<void>
  /** Wall time of the next token renewal; undefined: none. */
  nextRefreshMs(podUid: string): number | undefined
  /** The container's volumeMounts, subpaths bound. */
  mounts(pod: Stored<Pod>, container: Container, world: MountWorld): Promise<Mount[]>
  /** The container's volumeDevices. */
  devices(pod: Stored<Pod>, container: Container): Promise<Device[]>
  /** A file in a volume that some container of the pod mounts, and where it is; undefined text: it is of no use. Throws for another volume. */
  readFile(pod: Stored<Pod>, volume: string, path: string): Promise<{ path: string; text: string | undefined }>
  tearDown(podUid: string): Promise<void>
  /** Of all pods; a claim counts once it is known what it is. */
  counts(): VolumeCounts
}

/** Files of variables: all of a container's environment must fit into a few megabytes. */
const ENV_FILE_BYTES_MAX = 1024 * 1024

type Device = ContainerConfig['devices'][number]

export interface PodVolumesDeps {
  paths: PodPaths
  mounter: Mounter
  objects: ObjectSource
  tokens: Tokens
  persistent: PersistentVolumes
  clock: Clock
  random: Random
  operations: Pick<StorageOperations, 'timed' | 'mounted'>
  field(pod: Stored<Pod>): FieldContext
}

export function createPodVolumes(deps: PodVolumesDeps): PodVolumes {
  const { paths, mounter, objects, tokens, persistent, clock, random, operations } = deps
  const hasSelinux = isSelinuxEnabled()
  /** By pod: volumes that were set up in this life. */
  const ready = new Map<string, Set<string>>()
  /** By pod, by volume: what it is to have, and since when it has waited for it. */
  const wanted = new Map<string, Map<string, { volume: Volume; sinceMs: number }>>()

  const isUsed = (pod: Pod, volume: Volume): boolean => isNamed(pod, volume, 'volumeMounts') || isNamed(pod, volume, 'volumeDevices')

  const setUpAll = async (pod: Stored<Pod>, volumes: readonly Volume[]): Promise<void> => {
    const done = ready.get(pod.metadata.uid) ?? new Set()
    ready.set(pod.metadata.uid, done)
    const wants = wanted.get(pod.metadata.uid) ?? new Map<string, { volume: Volume; sinceMs: number }>()
    wanted.set(pod.metadata.uid, wants)
    const waitedMs = ({ name }: Volume): number => clock.monotonicMs() - (wants.get(name)?.sinceMs ?? 0)
    for (const volume of volumes) if (!wants.has(volume.name)) wants.set(volume.name, { volume, sinceMs: clock.monotonicMs() })
    const failed: (FailedVolume & { waitedMs: number })[] = []
    for (const volume of volumes) {
      const plugin = podVolumePlugin(volume)
      const work = () => setUpOne(pod, volume)
      try {
        await (plugin === undefined ? work() : operations.timed(plugin, 'volume_mount', work))
        if (!done.has(volume.name)) operations.mounted(pluginOf(pod.metadata.uid, volume) ?? '', waitedMs(volume))
        done.add(volume.name)
      } catch (error) {
        failed.push({ volume: volume.name, isDevice: isNamed(pod, volume, 'volumeDevices'), error, waitedMs: waitedMs(volume) })
      }
    }
    const limit = attachLimitProblem(failed)
    if (limit !== undefined) throw new CodedError('VOLUME_LIMIT', limit)
    if (failed.length > 0) throw new VolumeError(volumeFailures(failed), { cause: failed[0]?.error })
  }

  const pluginOf = (uid: string, volume: Volume): string | undefined => podVolumePlugin(volume) ?? persistent.plugin(uid, volume.name)

  const setUpOne = async (pod: Stored<Pod>, volume: Volume): Promise<void> => {
    const { uid } = pod.metadata
    if (volume.hostPath) return checkHostPath(volume.hostPath)
    // The runtime mounts it, for each container that wants it.
    if (volume.image) return
    if (volume.emptyDir) return setUpEmptyDir({ paths, mounter }, { pod, volume, allocatableMemory: deps.field(pod).allocatable.memory, own: (dir) => own(dir, pod, false) })
    if (await persistent.setUp(pod, volume)) return
    if (volume.gitRepo) throw new CodedError('VOLUME_UNSUPPORTED', 'git-repo volume plugin has been disabled')
    const plugin = payloadPlugin(volume)
    if (plugin === undefined) throw new CodedError('VOLUME_UNSUPPORTED', `no volume plugin matched: ${volumeType(volume)} volumes are not supported on this node`)
    const dir = paths.volume(uid, plugin, volume.name)
    await mkdir(dir, { recursive: true, mode: 0o777 })
    // Secrets and tokens never touch the disk.
    if (plugin !== 'kubernetes.io~configmap') await mounter.tmpfs(dir, { mode: 0o1777 })
    try {
      await writePayload(pod, volume, dir)
    } catch (error) {
      // With the server away what an earlier life wrote still serves; it is brought up to date once the server is back.
      if (error instanceof ApiError || hasCode(error, 'VOLUME_PAYLOAD') || !(await isWritten(dir))) throw error
    }
  }

  const tokenFor = async (pod: Stored<Pod>, projection: ServiceAccountTokenProjection): Promise<TokenResult> => {
    try {
      return { ok: true, token: await tokens.get(pod, projection) }
    } catch (error) {
      // With the server away nothing is wrong with the volume.
      if (!(error instanceof ApiError)) throw error
      return { ok: false, message: `failed to fetch token: ${error.message}` }
    }
  }

  const writePayload = async (pod: Stored<Pod>, volume: Volume, dir: string): Promise<void> => {
    const { uid, namespace = '' } = pod.metadata
    const refs = referencedObjects([volume])
    const configMaps = new Map<string, ConfigMap | undefined>()
    const secrets = new Map<string, Secret | undefined>()
    for (const name of refs.configMaps) configMaps.set(name, await objects.configMap(uid, namespace, name))
    for (const name of refs.secrets) secrets.set(name, await objects.secret(uid, namespace, name))
    const tokenOf = new Map<unknown, TokenResult>()
    for (const { serviceAccountToken } of volume.projected?.sources ?? []) if (serviceAccountToken) tokenOf.set(serviceAccountToken, await tokenFor(pod, serviceAccountToken))
    const result = volumePayload(volume, {
      configMap: (name) => configMaps.get(name), secret: (name) => secrets.get(name), token: (projection) => tokenOf.get(projection),
      field: deps.field(pod), fsGroup: pod.spec?.securityContext?.fsGroup, sameRunAsUser: sameRunAsUser(pod),
    })
    if (!result.ok) throw new CodedError('VOLUME_PAYLOAD', result.message)
    await makeNestedMountPoints(dir, volume.name, pod)
    const stamp = `${new Date(clock.nowMs()).toISOString().replace(/[-:TZ]/g, '_').slice(0, 19)}.${nameSuffix(random, 10)}`
    await writeAtomically(dir, result.payload, stamp, () => own(dir, pod, true))
  }

  /** Always: fsGroupChangePolicy is not about volumes that the kubelet fills, whose files are new ones time and again. */
  const own = async (dir: string, pod: Pod, readonly: boolean): Promise<void> => {
    const gid = pod.spec?.securityContext?.fsGroup
    if (gid !== undefined) await setOwnership(dir, { gid, readonly, policy: 'Always' })
  }

  const locate = async (pod: Stored<Pod>, volume: Volume): Promise<Located> => {
    if (volume.hostPath) return { path: volume.hostPath.path, readonly: false }
    const plugin = volume.emptyDir ? EMPTY_DIR : payloadPlugin(volume)
    if (plugin !== undefined) return { path: paths.volume(pod.metadata.uid, plugin, volume.name), readonly: !volume.emptyDir, mayRelabel: true }
    const found = await persistent.locate(pod, volume)
    if (!found) throw new CodedError('VOLUME_INVALID', `volume "${volume.name}" is nowhere`)
    return found
  }

  /** What is wrong with it is the log's: a message could tell of the machine's files. */
  const bindSubpathOf = async (mount: VolumeMount, container: Container, request: SubpathRequest): Promise<string> => {
    try {
      return await bindSubpath(mounter, request)
    } catch (error) {
      const what = hasCode(error, 'SUBPATH_NOT_MADE') ? 'create subPath directory' : 'prepare subPath'
      throw new CodedError('VOLUME_INVALID', `failed to ${what} for volumeMount "${mount.name}" of container "${container.name}"`, { cause: error })
    }
  }

  const mountOne = async (pod: Stored<Pod>, container: Container, mount: VolumeMount, index: number, { expand, canRecursiveReadOnly, volumeImages }: MountWorld): Promise<Mount> => {
    const volume = pod.spec?.volumes?.find((v) => v.name === mount.name)
    if (!volume) throw new CodedError('VOLUME_INVALID', `cannot find volume "${mount.name}" to mount into container "${container.name}"`)
    // An ephemeral container may be the first to want it.
    if (!ready.get(pod.metadata.uid)?.has(volume.name)) await setUpAll(pod, [volume])
    const recursive = isRecursiveReadOnly(mount, canRecursiveReadOnly)
    const expanded = mount.subPathExpr ? expand(mount.subPathExpr) : { text: mount.subPath ?? '' }
    if ('missing' in expanded) throw new CodedError('VOLUME_INVALID', `missing value for ${expanded.missing.join(', ')}`)
    const subPath = checkedSubPath(expanded.text)
    const containerPath = mount.mountPath.startsWith('/') ? mount.mountPath : `/${mount.mountPath}`
    if (volume.image) return imageMount(volume, containerPath, subPath, volumeImages)
    const { path: dir, readonly, mayRelabel = false } = await locate(pod, volume)
    // An ephemeral container may mount more than was known of when the volume was filled.
    if (payloadPlugin(volume) !== undefined) await makeNestedMountPoints(dir, volume.name, pod)
    if (volume.hostPath?.type === undefined || volume.hostPath.type === '') await ensureExists(volume, dir)
    const hostPath = subPath === '' ? dir : await bindSubpathOf(mount, container, { volumeDir: dir, subPath, target: paths.subpath(pod.metadata.uid, volume.name, container.name, index) })
    return {
      containerPath,
      hostPath,
      readonly: (mount.readOnly ?? false) || readonly,
      propagation: mount.mountPropagation === 'Bidirectional' ? 'bidirectional' : mount.mountPropagation === 'HostToContainer' ? 'hostToContainer' : 'private',
      ...(recursive && { recursiveReadOnly: true }),
      ...(hasSelinux && mayRelabel && { selinuxRelabel: true }),
    }
  }

  /** Never below a mount that is still there. */
  const remove = async (dir: string): Promise<void> => {
    for (const point of await mounter.below(dir)) await mounter.unmount(point)
    const [left] = await mounter.below(dir)
    if (left !== undefined) throw new CodedError('VOLUME_BUSY', `${left} is still mounted`)
    await rm(dir, { recursive: true, force: true })
  }

  return {
    counts() {
      const all = [...wanted].flatMap(([uid, volumes]) => [...volumes.values()].flatMap(({ volume }) => {
        const plugin = pluginOf(uid, volume)
        return plugin === undefined ? [] : [{ plugin, isActual: ready.get(uid)?.has(volume.name) ?? false }]
      }))
      return { desired: all.map(({ plugin }) => plugin), actual: all.filter(({ isActual }) => isActual).map(({ plugin }) => plugin) }
    },
    async setUp(pod) {
      await setUpAll(pod, pod.spec?.volumes?.filter((volume) => isUsed(pod, volume)) ?? [])
    },
    async refresh(pod) {
      const failed: FailedVolume[] = []
      for (const volume of pod.spec?.volumes ?? []) {
        const plugin = payloadPlugin(volume)
        if (plugin === undefined || !ready.get(pod.metadata.uid)?.has(volume.name)) continue
        try {
          await operations.timed(pluginOfDirectory(plugin), 'volume_mount', () => writePayload(pod, volume, paths.volume(pod.metadata.uid, plugin, volume.name)))
        } catch (error) {
          failed.push({ volume: volume.name, isDevice: false, error })
        }
      }
      if (failed.length > 0) throw new VolumeError(volumeFailures(failed), { cause: failed[0]?.error })
      await persistent.refresh(pod)
    },
    nextRefreshMs: (uid) => tokens.nextRefreshMs(uid),
    async mounts(pod, container, world) {
      const mounts: Mount[] = []
      for (const [index, mount] of (container.volumeMounts ?? []).entries()) mounts.push(await mountOne(pod, container, mount, index, world))
      return mounts
    },
    async devices(pod, container) {
      const devices: Device[] = []
      for (const { name, devicePath } of container.volumeDevices ?? []) {
        if (!devicePath.startsWith('/')) throw new CodedError('VOLUME_INVALID', `error DevicePath \`${devicePath}\` must be an absolute path`)
        const volume = pod.spec?.volumes?.find((v) => v.name === name)
        const found = volume && (await locate(pod, volume))
        if (!found?.isDevice) throw new CodedError('VOLUME_INVALID', `cannot find volume "${name}" to pass into container "${container.name}"`)
        devices.push({ containerPath: devicePath, hostPath: found.path, permissions: found.readonly ? 'r' : 'mrw' })
      }
      return devices
    },
    async readFile(pod, name, path) {
      const volume = pod.spec?.volumes?.find((v) => v.name === name)
      if (!volume || !ready.get(pod.metadata.uid)?.has(name)) throw new CodedError('VOLUME_INVALID', `cannot find the volume ${JSON.stringify(name)} referenced by FileKeyRef`)
      const { path: directory } = await locate(pod, volume)
      return { path: join(directory, path), text: await readInside(directory, path, ENV_FILE_BYTES_MAX) }
    },
    async tearDown(uid) {
      objects.release(uid)
      tokens.release(uid)
      ready.delete(uid)
      wanted.delete(uid)
      const dir = paths.pod(uid)
      // Subpaths first: they are bound on top of volumes. Never delete below a mount that is still there.
      for (const point of await mounter.below(dir)) if (point.includes('/volume-subpaths/')) await unbindSubpath(mounter, point)
      await persistent.tearDown(uid)
      for (const plugin of await entriesOf(paths.volumes(uid))) {
        for (const name of await entriesOf(join(paths.volumes(uid), plugin))) await operations.timed(pluginOfDirectory(plugin), 'volume_unmount', () => remove(join(paths.volumes(uid), plugin, name)))
      }
      const left = await mounter.below(dir)
      if (left.length > 0) throw new CodedError('VOLUME_BUSY', `${left[0] ?? dir} is still mounted`)
      await rm(join(dir, 'volume-subpaths'), { recursive: true, force: true })
      await rm(paths.volumes(uid), { recursive: true, force: true })
      await rm(paths.plugins(uid), { recursive: true, force: true })
    },
  }
}

function checkedSubPath(subPath: string): string {
  if (subPath.startsWith('/')) throw new CodedError('VOLUME_INVALID', `error SubPath \`${subPath}\` must not be an absolute path`)
  if (subPath.split('/').includes('..')) throw new CodedError('VOLUME_INVALID', `unable to provision SubPath \`${subPath}\`: must not contain '..'`)
  return subPath
}

/** KEP-3857: Enabled is refused where it cannot be had, IfPossible is not. */
export function isRecursiveReadOnly(mount: VolumeMount, can: boolean): boolean {
  if (mount.recursiveReadOnly === undefined || mount.recursiveReadOnly === 'Disabled' || !mount.readOnly) return false
  if (can) return true
  if (mount.recursiveReadOnly === 'Enabled') throw new CodedError('VOLUME_INVALID', `failed to resolve recursive read-only mode: volume "${mount.name}" requested recursive read-only mode, but it is not supported by the runtime`)
  return false
}

/** The one user that all containers run as, when the spec says so for each. */
function sameRunAsUser(pod: Pod): number | undefined {
  const own = pod.spec?.securityContext?.runAsUser
  const users = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? []), ...(pod.spec?.ephemeralContainers ?? [])].map((c) => c.securityContext?.runAsUser ?? own)
  return users.every((u) => u === users[0]) ? users[0] : undefined
}

/** A hostPath of no type, and anything else bound by path, is made as a directory when it is missing, as upstream's runtimes do. */
async function ensureExists(volume: Volume, dir: string): Promise<void> {
  if (!volume.hostPath) return
  try {
    await lstat(dir)
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error
    await mkdir(dir, { recursive: true, mode: 0o755 })
  }
}

function volumeType(volume: Volume): string {
  return Object.keys(volume).find((key) => key !== 'name') ?? 'empty'
}
