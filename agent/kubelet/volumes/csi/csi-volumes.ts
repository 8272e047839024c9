/**
 * CSI volumes of pods on this node (upstream's pkg/volume/csi): attached by the cluster, staged once per node, published
 * once per pod. What is mounted is noted beside it, in upstream's `vol_data.json`, before it is done: after a crash it
 * is known what has to be undone, and by which driver.
 */
import { mkdir, rm, rmdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isReason, type Client } from '#api/client/client.ts'
import { CSI_DRIVERS, SECRETS, VOLUME_ATTACHMENTS, type CSIDriver, type Pod, type Secret, type SecretReference, type Stored, type VolumeAttachment } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { CodedError, hasCode } from '#base/errors.ts'
import { GRPC, GrpcError } from '#base/grpc/grpc-status.ts'
import { KeyedLock } from '#base/keyed-lock.ts'
import type { ObjectSource } from '../../objects.ts'
import type { PodPaths } from '../../pod-paths.ts'
import type { StorageOperations } from '../../stats/storage-operations.ts'
import { isBlockDevice } from '../disks.ts'
import type { Mounter } from '../mounter.ts'
import { setOwnership, type OwnershipWatch } from '../ownership.ts'
import type { Tokens } from '../tokens.ts'
import { ATTACH_LIMIT, inStep } from '../volume-error.ts'
import { INFEASIBLE } from '../volume-growth.ts'
import { CAPABILITY, NODE_EXPAND, NODE_PUBLISH, NODE_STAGE, NODE_STATS, NODE_UNPUBLISH, NODE_UNSTAGE, type VolumeUsage } from './calls.ts'
import type { CsiDriver, CsiDrivers } from './drivers.ts'
import { entriesOf, NOTE, podCsiDirectory, publishedNotes, readNote, writeNote, type Note } from './notes.ts'
import { createPlaces, placedBy, type Place } from './places.ts'
import { attachmentName, capabilityOf, lifecycleProblem, podInfo, uniqueName, wantsOwnership, type CsiVolume } from './volume.ts'

export interface CsiVolumes {
  /** Mounts it for the pod, or makes sure that it is. Returns where. */
  setUp(pod: Stored<Pod>, volume: CsiVolume): Promise<string>
  /** Again, where the driver wants that (requiresRepublish), say for new tokens. */
  republish(pod: Stored<Pod>, volume: CsiVolume): Promise<void>
  /** Everything of the pod; what no other pod uses is unstaged. */
  tearDown(podUid: string): Promise<void>
  /** Whether the driver says that it can; false: it is not there. */
  can(volume: CsiVolume, what: keyof typeof CAPABILITY): boolean
  /** Makes the file system of a published volume as large as its disk has become. */
  expand(pod: Stored<Pod>, volume: CsiVolume, sizeBytes: number): Promise<void>
  /** How full it is; undefined: the driver does not tell. */
  usage(podUid: string, volume: CsiVolume): Promise<VolumeUsage | undefined>
}

export interface CsiVolumesDeps {
  drivers: CsiDrivers
  client: Client
  objects: ObjectSource
  tokens: Tokens
  mounter: Mounter
  paths: PodPaths
  nodeName: string
  rootDir: string
  clock: Clock
  ownership?: OwnershipWatch
  operations: Pick<StorageOperations, 'timed'>
  /** What the node says of volumes in use may be another now. */
  onUse: () => void
}

/** Upstream's csiTimeout: a driver may have to format a large disk. */
const CALL_MS = 120_000
/** Somebody waits for statistics. */
const STATS_MS = 10_000
/** An attachment is waited for so long, then the pod's worker tries again later. */
const ATTACH_MS_MAX = 10_000
const ATTACH_LOOK_MS = 250

export function createCsiVolumes(deps: CsiVolumesDeps): CsiVolumes {
  const { drivers, client, objects, tokens, mounter, paths, nodeName, clock, operations } = deps
  const places = createPlaces(deps.rootDir, paths)
  /** Whether something is staged, published or undone is decided by one at a time per volume. */
  const lock = new KeyedLock()
  /** Volumes that were staged in this life, once for all pods; what an earlier life staged is staged again, which drivers have to bear. */
  const staged = new Set<string>()

  /** `what`: the words for a failure, before the secret's own name. */
  const secretsOf = async (uid: string, ref: SecretReference | undefined, what: (of: string) => string): Promise<Record<string, string>> => {
    if (!ref?.name) return {}
    const { name, namespace = '' } = ref
    const secret = await objects.read<Secret>(SECRETS, uid, namespace, name)
    if (!secret) throw new CodedError('CSI_SECRET', `${what(`${namespace}/${name}`)}: kubernetes.io/csi: failed to find the secret ${name} in the namespace ${namespace} with error: secrets "${name}" not found`)
    return Object.fromEntries(Object.entries(secret.data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]))
  }

  /** Resolves with what the attacher says the node needs to know. */
  const attached = async (volume: CsiVolume, about: CSIDriver | undefined): Promise<Readonly<Record<string, string>>> => {
    const name = attachmentName(volume, nodeName)
    for (let waitedMs = 0; ; waitedMs += ATTACH_LOOK_MS) {
      let attachment: Stored<VolumeAttachment> | undefined
      try {
        attachment = await client.get<VolumeAttachment>(VOLUME_ATTACHMENTS, name)
      } catch (error) {
        if (!isReason(error, 'NotFound') && !isReason(error, 'Forbidden')) throw error
      }
      if (attachment?.status?.attached) return attachment.status.attachmentMetadata ?? {}
      const problem = attachment?.status?.attachError?.message
      if (attachment?.status?.attachError?.errorCode === GRPC.resourceExhausted && (about?.spec.nodeAllocatableUpdatePeriodSeconds ?? 0) > 0) {
        // The scheduler is to know of it before it sends the next one.
        await drivers.update(volume.driver).catch(() => { /* it is asked again in a while */ })
        throw new CodedError(ATTACH_LIMIT, problem ?? 'no more volumes can be attached to this node')
      }
      if (problem !== undefined) throw new CodedError('CSI_ATTACH', problem)
      if (waitedMs >= ATTACH_MS_MAX) throw new CodedError('CSI_ATTACH', `timed out waiting for external-attacher of ${volume.driver} CSI driver to attach volume ${volume.handle}`)
      await clock.sleep(ATTACH_LOOK_MS)
    }
  }

  const tokenContext = async (pod: Stored<Pod>, about: CSIDriver | undefined): Promise<Record<string, string>> => {
    const requests = about?.spec.tokenRequests ?? []
    if (requests.length === 0) return {}
    const byAudience: Record<string, { token: string; expirationTimestamp: string }> = {}
    for (const { audience, expirationSeconds } of requests) {
      const token = await tokens.get(pod, { path: '', audience, ...(expirationSeconds !== undefined && { expirationSeconds }) })
      byAudience[audience] = { token, expirationTimestamp: new Date(expiryOf(token) * 1000).toISOString().replace('.000Z', 'Z') }
    }
    return { 'csi.storage.k8s.io/serviceAccount.tokens': JSON.stringify(byAudience) }
  }

  const registered = (name: string, step: string): CsiDriver => {
    const driver = drivers.get(name)
    if (!driver) throw new CodedError('CSI_DRIVER', `kubernetes.io/csi: ${step}: driver name ${name} not found in the list of registered CSI drivers`)
    return driver
  }

  const describe = async (pod: Stored<Pod>, volume: CsiVolume): Promise<CSIDriver | undefined> => {
    const about = await objects.read<CSIDriver>(CSI_DRIVERS, pod.metadata.uid, '', volume.driver)
    const problem = lifecycleProblem(volume, about)
    if (problem !== undefined) throw new CodedError('CSI_DRIVER', problem)
    return about
  }

  /** '': the driver needs no staging. */
  const stage = async (uid: string, volume: CsiVolume, driver: CsiDriver, publishContext: Readonly<Record<string, string>>, fsGroup: number | undefined): Promise<string> => {
    if (volume.isEphemeral || !driver.capabilities.has(CAPABILITY.stageUnstage)) return ''
    const { target, notes } = places.staged(volume)
    if (staged.has(uniqueName(volume))) return target
    await mkdir(target, { recursive: true, mode: 0o750 })
    await writeNote(notes, { driverName: volume.driver, volumeHandle: volume.handle, ...(volume.isBlock && { specVolID: volume.specName, volumeMode: 'Block' }) })
    const secrets = await secretsOf(uid, volume.stageSecret, (of) => (volume.isBlock ? `kubernetes.io/csi: failed to get NodeStageSecretRef ${of}` : `fetching NodeStageSecretRef ${of} failed`))
    await driver.call(NODE_STAGE, { volumeId: volume.handle, publishContext, stagingTargetPath: target, volumeCapability: capabilityOf(volume, driver.capabilities, fsGroup), secrets, volumeContext: volume.attributes }, CALL_MS)
    staged.add(uniqueName(volume))
    return target
  }

  /** The first step that needs it is the one that fails without. */
  const stepOfDriver = (volume: CsiVolume): Promise<CsiDriver> => {
    if (volume.isEphemeral) return Promise.resolve(registered(volume.driver, 'mounter.SetUpAt failed to get CSI client'))
    const [step, words] = volume.isBlock ? ['SetUpDevice', 'blockMapper.SetUpDevice failed to get CSI client'] as const : ['MountDevice', 'attacher.MountDevice failed to create newCsiDriverClient'] as const
    return inStep(step, volume.specName, async () => registered(volume.driver, words))
  }

  const publish = (pod: Stored<Pod>, volume: CsiVolume): Promise<string> => lock.run(uniqueName(volume), async () => {
    const { uid } = pod.metadata
    const about = await describe(pod, volume)
    const { specName } = volume
    const driver = await stepOfDriver(volume)
    const needsAttach = !volume.isEphemeral && (about?.spec.attachRequired ?? true)
    const publishContext = needsAttach ? await inStep('WaitForAttach', specName, () => attached(volume, about)) : {}
    const { target, notes } = places.published(uid, volume)
    // A device is a file that the driver makes, a directory, too; what it is in is ours.
    for (const directory of [notes, dirname(target)]) await mkdir(directory, { recursive: true, mode: 0o750 })
    await writeNote(notes, {
      specVolID: volume.specName, volumeHandle: volume.handle, driverName: volume.driver, volumeLifecycleMode: volume.isEphemeral ? 'Ephemeral' : 'Persistent', ...(volume.isBlock && { volumeMode: 'Block' }),
      ...(needsAttach && { attachmentID: attachmentName(volume, nodeName) }),
    })
    if (needsAttach) deps.onUse()
    const fsGroup = pod.spec?.securityContext?.fsGroup
    const stagedAt = await inStep(volume.isBlock ? 'SetUpDevice' : 'MountDevice', specName, () => stage(uid, volume, driver, publishContext, fsGroup))
    const podTokens = await tokenContext(pod, about)
    const volumeContext = { ...volume.attributes, ...(about?.spec.podInfoOnMount && podInfo(volume, pod)), ...(!about?.spec.serviceAccountTokenInSecrets && podTokens) }
    await driver.call(NODE_PUBLISH, {
      volumeId: volume.handle, publishContext, stagingTargetPath: stagedAt, targetPath: target, volumeCapability: capabilityOf(volume, driver.capabilities, fsGroup), readonly: volume.readonly,
      secrets: { ...(await secretsOf(uid, volume.publishSecret, (of) => (volume.isBlock ? `kubernetes.io/csi: blockMapper.publishVolumeForBlock failed to get NodePublishSecretRef ${of}` : `fetching NodePublishSecretRef ${of} failed`))), ...(about?.spec.serviceAccountTokenInSecrets && podTokens) }, volumeContext,
    }, CALL_MS)
    if (volume.isBlock && !(await isBlockDevice(target))) throw new CodedError('CSI_DRIVER', `the CSI driver ${volume.driver} published volume ${volume.handle} at ${target}, which is no block device`)
    if (fsGroup !== undefined && !driver.capabilities.has(CAPABILITY.volumeMountGroup) && wantsOwnership(volume, about)) {
      await setOwnership(target, { gid: fsGroup, readonly: false, policy: pod.spec?.securityContext?.fsGroupChangePolicy === 'OnRootMismatch' ? 'OnRootMismatch' : 'Always' }, deps.ownership?.begins(pod, target))
    }
    return target
  })

  /** Never delete below a mount that is still there. */
  const removePlace = async ({ target }: Place, what: string): Promise<void> => {
    if ((await mounter.below(target)).length > 0) throw new CodedError('VOLUME_BUSY', `${target} is still mounted after the CSI driver ${what} it`)
    await rm(target, { recursive: true, force: true })
  }
  /** What was there once is known until all of it is gone: the note goes last. */
  const forget = async ({ notes, parents }: Place): Promise<void> => {
    await rm(join(notes, NOTE), { force: true })
    for (const directory of parents) {
      await rmdir(directory).catch((error: unknown) => {
        if (!hasCode(error, 'ENOENT') && !hasCode(error, 'ENOTEMPTY')) throw error
      })
    }
  }

  const unpublish = async (uid: string, found: Note): Promise<void> => {
    const place = places.published(uid, placedBy(found))
    const driver = registered(found.driverName, 'Unmounter.TearDownAt failed to get CSI client')
    await driver.call(NODE_UNPUBLISH, { volumeId: found.volumeHandle, targetPath: place.target }, CALL_MS)
    await removePlace(place, `${found.driverName} unpublished`)
    await unstageUnused(uid, found)
    await forget(place)
  }

  const unstageUnused = async (uid: string, found: Note): Promise<void> => {
    if ((await publishedNotes(paths, { except: uid })).some((n) => n.driverName === found.driverName && n.volumeHandle === found.volumeHandle)) return
    const place = places.staged(placedBy(found))
    if (!(await readNote(place.notes))) return
    staged.delete(uniqueName({ driver: found.driverName, handle: found.volumeHandle }))
    const driver = registered(found.driverName, 'attacher.UnmountDevice failed to create newCsiDriverClient')
    await driver.call(NODE_UNSTAGE, { volumeId: found.volumeHandle, stagingTargetPath: place.target }, CALL_MS)
    await removePlace(place, `${found.driverName} unstaged`)
    await forget(place)
  }

  /** As the driver was told when it was published. */
  const pathsOf = (uid: string, volume: CsiVolume, driver: CsiDriver) => ({
    volumeId: volume.handle, volumePath: places.published(uid, volume).target, stagingTargetPath: !volume.isEphemeral && driver.capabilities.has(CAPABILITY.stageUnstage) ? places.staged(volume).target : '',
  })

  return {
    setUp: publish,
    async republish(pod, volume) {
      const about = await describe(pod, volume)
      if (about?.spec.requiresRepublish) await publish(pod, volume)
    },
    async tearDown(uid) {
      let released = false
      for (const name of await entriesOf(podCsiDirectory(paths, uid))) {
        const directory = join(podCsiDirectory(paths, uid), name)
        const found = await readNote(directory)
        if (!found) {
          // Nothing was published before its note was there.
          await rm(directory, { recursive: true, force: true })
          continue
        }
        await lock.run(uniqueName({ driver: found.driverName, handle: found.volumeHandle }), async () => {
          await operations.timed(`kubernetes.io/csi:${found.driverName}`, 'volume_unmount', () => unpublish(uid, found))
        })
        released = true
      }
      if (released) deps.onUse()
    },
    can: (volume, what) => drivers.get(volume.driver)?.capabilities.has(CAPABILITY[what]) ?? false,
    expand: (pod, volume, sizeBytes) => lock.run(uniqueName(volume), async () => {
      const { uid } = pod.metadata
      const driver = registered(volume.driver, 'Expander.NodeExpand failed to get CSI client')
      const request = {
        ...pathsOf(uid, volume, driver), capacityRange: { requiredBytes: sizeBytes }, volumeCapability: capabilityOf(volume, driver.capabilities, pod.spec?.securityContext?.fsGroup), secrets: await secretsOf(uid, volume.expandSecret, (of) => `expander.NodeExpand failed to get NodeExpandSecretRef ${of}`),
      }
      try {
        await driver.call(NODE_EXPAND, request, CALL_MS)
      } catch (error) {
        if (!(error instanceof GrpcError)) throw error
        throw new CodedError(error.code, `Expander.NodeExpand failed to expand the volume ${INFEASIBLE.has(error.code) ? '' : ': '}${error.message}`, { cause: error })
      }
    }),
    async usage(uid, volume) {
      const driver = drivers.get(volume.driver)
      if (!driver?.capabilities.has(CAPABILITY.getStats)) return undefined
      return driver.call(NODE_STATS, pathsOf(uid, volume, driver), STATS_MS)
    },
  }
}

/** Seconds, from the token itself. */
function expiryOf(token: string): number {
  const payload = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { exp?: number }
  return payload.exp ?? 0
}
