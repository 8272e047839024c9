import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { CSI_DRIVERS, CSI_NODES, NODES, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, VOLUME_ATTACHMENTS, type CSIDriver, type CSINode, type KubeObject, type Node, type PersistentVolumeClaim, type PersistentVolumeSpec, type Pod, type Stored, type Volume } from '#api/types/index.ts'
import { systemClock } from '#base/clock.ts'
import { silentLog } from '#base/log.ts'
import { GRPC } from '#base/grpc/grpc-status.ts'
import { systemRandom } from '#base/random.ts'
import { createObjectSource } from '../../objects.ts'
import { podPaths } from '../../pod-paths.ts'
import { createApiMemory } from '../../testing/api-memory.ts'
import { aPod } from '../../testing/builders.ts'
import { runCommand } from '../../run-command.ts'
import { createStorageOperations } from '../../stats/storage-operations.ts'
import { createDisks } from '../disks.ts'
import { createLocalVolumes } from '../local-volumes.ts'
import { systemMounter } from '../mounter.ts'
import { createVolumeGrowth, decideGrowth } from '../volume-growth.ts'
import { createPersistentVolumes } from '../persistent-volumes.ts'
import { createCsiVolumes } from './csi-volumes.ts'
import { createPluginWatcher } from '../../plugins/plugin-watcher.ts'
import { createCsiDrivers } from './drivers.ts'
import { volumesInUse } from './notes.ts'
import { startHostPathDriver, type HostPathDriver, type HostPathDriverOptions } from './testing/host-path-driver.ts'
import { attachmentName, capabilityOf, inlineCsiVolume, persistentCsiVolume, stagingName, wantsOwnership } from './volume.ts'

const DRIVER = 'hostpath.csi.test'
const NODE = 'board'
const deadlineMs = 60_000

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + deadlineMs; !(await holds()); await systemClock.sleep(5)) assert.ok(Date.now() < end, `not in time: ${what}`)
}

/** As much of a JWT as is read: when it ends. */
const tokenFor = (audience: string, number: number) => `h.${Buffer.from(JSON.stringify({ exp: 1_800_000_000 + number, aud: audience })).toString('base64url')}.s`

/** A node with the real mount table and a real driver; the API is in memory. */
async function machine(t: TestContext, about: Partial<CSIDriver['spec']> = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'csi-'))
  const api = createApiMemory()
  api.put(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name: NODE, labels: { zone: 'a' } } } as KubeObject)
  api.put(CSI_DRIVERS, { apiVersion: 'storage.k8s.io/v1', kind: 'CSIDriver', metadata: { name: DRIVER }, spec: { attachRequired: false, ...about } } as KubeObject)
  const paths = podPaths(dir, join(dir, 'logs'))
  const stop = new AbortController()
  const operations = createStorageOperations(systemClock)
  const drivers = createCsiDrivers({ nodeName: NODE, client: api.client, clock: systemClock, random: systemRandom, log: silentLog, operations })
  const watcher = createPluginWatcher({ directory: join(dir, 'plugins_registry'), handlers: new Map([['CSIPlugin', drivers.handler]]), clock: systemClock, log: silentLog })
  const running = Promise.all([drivers.run(stop.signal), watcher.run(stop.signal)])
  const started: HostPathDriver[] = []
  const objects = createObjectSource(api.client, { clock: systemClock, random: systemRandom, log: silentLog })
  const uses: number[] = []
  const events: [string, string, string][] = []
  const tokens = { count: 0 }
  /** As after a restart of the agent: nothing is remembered. */
  const volumes = () => {
    const csi = createCsiVolumes({ drivers, client: api.client, objects, tokens: { get: (_, { audience }) => Promise.resolve(tokenFor(audience ?? '', ++tokens.count)), nextRefreshMs: () => undefined, release: () => {} }, mounter: systemMounter, paths, nodeName: NODE, rootDir: dir, clock: systemClock, operations, onUse: () => uses.push(1) })
    return createPersistentVolumes({
      objects, mounter: systemMounter, paths, node: () => api.get<Node>(NODES, NODE), csi, operations,
      local: createLocalVolumes({ mounter: systemMounter, disks: createDisks(systemMounter), paths, rootDir: dir, operations, tell: (of, message) => { events.push([of.metadata.name, 'AlreadyMountedVolume', message]) } }),
      growth: createVolumeGrowth({ client: api.client, clock: systemClock, nodeName: NODE, events: { event: (of, _, reason, message) => { events.push([of.kind ?? '', reason, message]) }, flush: () => Promise.resolve(), close: () => {} } }),
    })
  }
  t.after(async () => {
    stop.abort()
    await running
    for (const driver of started) await driver.stop()
    objects.close()
    for (const point of await systemMounter.below(dir)) await systemMounter.unmount(point)
    // Of a test that ended before its volumes were let go.
    for (const line of spawnSync('losetup', ['-n', '-O', 'NAME,BACK-FILE']).stdout.toString().split('\n')) if (line.includes(`${dir}/`)) await runCommand('losetup', ['-d', line.split(' ')[0] ?? ''])
    rmSync(dir, { recursive: true, force: true })
  })
  return {
    dir, api, paths, drivers, volumes, uses, events, operations,
    async driver(...can: HostPathDriverOptions['can'] & object) {
      const driver = await startHostPathDriver({ name: DRIVER, nodeId: `id-of-${NODE}`, kubeletDir: dir, storageDir: join(dir, 'storage'), topology: { 'topology.test/node': NODE }, can, clock: systemClock, log: silentLog })
      started.push(driver)
      await until('the driver is registered', () => drivers.get(DRIVER) !== undefined && driver.told.length > 0)
      return driver
    },
    claimed(name: string, spec: PersistentVolumeSpec, claim: object = {}): Volume {
      api.put(PERSISTENT_VOLUMES, { apiVersion: 'v1', kind: 'PersistentVolume', metadata: { name: `pv-${name}` }, spec: { accessModes: ['ReadWriteOnce'], claimRef: { namespace: 'default', name, uid: `claim-${name}` }, ...spec } } as KubeObject)
      api.put(PERSISTENT_VOLUME_CLAIMS, { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name, namespace: 'default', uid: `claim-${name}` }, spec: { volumeName: `pv-${name}` }, status: { phase: 'Bound' }, ...claim } as KubeObject)
      return { name: 'data', persistentVolumeClaim: { claimName: name } }
    },
  }
}

/** Why there are no loop devices. */
const LOOP = spawnSync('losetup', ['-f']).status === 0 ? false : 'no loop devices here'
const CAP_SYS_RESOURCE = 24n
/** Root without this capability may not resize an ext4 that is mounted. */
const MAY_RESIZE = (BigInt(`0x${/^CapEff:\s*(\w+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'}`) >> CAP_SYS_RESOURCE & 1n) === 1n
/** A blank disk of 16 MiB. */
async function loopDevice(t: TestContext): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), 'disk-'))
  writeFileSync(join(dir, 'image'), '')
  truncateSync(join(dir, 'image'), 16 * 1024 * 1024)
  const device = (await runCommand('losetup', ['-f', '--show', join(dir, 'image')])).trim()
  t.after(async () => {
    await runCommand('losetup', ['-d', device])
    rmSync(dir, { recursive: true })
  })
  return device
}

const pod = (uid: string, volume: Volume, spec: Partial<Pod['spec'] & object> = {}): Stored<Pod> => {
  const made = aPod({ volumes: [volume], ...spec })
  return { ...made, metadata: { ...made.metadata, name: uid, uid, namespace: 'default' } } as Stored<Pod>
}
const csi = (handle: string): PersistentVolumeSpec => ({ csi: { driver: DRIVER, volumeHandle: handle, volumeAttributes: { size: 'small' } } })
const methods = (driver: HostPathDriver) => driver.calls.map((c) => c.method)

describe('CSI volumes', { skip: process.getuid?.() === 0 ? false : 'mounting needs root', timeout: 180_000 }, () => {
  it('a driver that registers is told of in CSINode, annotation and labels; one that goes is taken out', async (t) => {
    const m = await machine(t)
    const driver = await m.driver()
    assert.deepStrictEqual(driver.told, [''])
    const node = m.api.get<Node>(NODES, NODE)
    assert.deepStrictEqual([node?.metadata.annotations, node?.metadata.labels], [{ 'csi.volume.kubernetes.io/nodeid': `{"${DRIVER}":"id-of-board"}` }, { zone: 'a', 'topology.test/node': NODE }])
    const drivers = () => m.api.get<CSINode>(CSI_NODES, NODE)?.spec.drivers
    assert.deepStrictEqual(drivers(), [{ name: DRIVER, nodeID: 'id-of-board', topologyKeys: ['topology.test/node'], allocatable: { count: 8 } }])
    await driver.stop()
    await until('it is taken out', () => drivers()?.length === 0)
    assert.equal(m.drivers.get(DRIVER), undefined)
  })

  it('a second driver of the same name waits for the first to go, and the cluster is told nothing of it', async (t) => {
    const m = await machine(t)
    const first = await m.driver()
    const place = join(m.dir, 'second')
    const second = await startHostPathDriver({ name: DRIVER, nodeId: 'id-of-another', kubeletDir: place, storageDir: join(m.dir, 'storage'), topology: { 'topology.test/node': 'another' }, clock: systemClock, log: silentLog })
    t.after(() => second.stop())
    const socket = join(m.dir, 'plugins_registry', 'second.sock')
    renameSync(join(place, 'plugins_registry', `${DRIVER}-reg.sock`), socket)
    await until('it is told', () => second.told.length > 0)
    assert.match(second.told[0] ?? '', /Another driver with the same name is already registered at .*csi\.sock/)
    const told = () => [m.api.get<CSINode>(CSI_NODES, NODE)?.spec.drivers.map((d) => d.nodeID), m.api.get<Node>(NODES, NODE)?.metadata.labels?.['topology.test/node']]
    assert.deepStrictEqual(told(), [['id-of-board'], NODE])
    await first.stop()
    await until('it is taken', () => second.told.includes(''))
    assert.deepStrictEqual(told(), [['id-of-another'], 'another'])
  })

  it('a driver whose CSIDriver says so is asked now and then how many volumes it can attach, and the cluster is told of what has changed', async (t) => {
    const m = await machine(t)
    const driver = await m.driver()
    const count = () => m.api.get<CSINode>(CSI_NODES, NODE)?.spec.drivers[0]?.allocatable?.count
    const about = (nodeAllocatableUpdatePeriodSeconds?: number) => m.api.put(CSI_DRIVERS, { apiVersion: 'storage.k8s.io/v1', kind: 'CSIDriver', metadata: { name: DRIVER }, spec: { attachRequired: false, ...(nodeAllocatableUpdatePeriodSeconds !== undefined && { nodeAllocatableUpdatePeriodSeconds }) } } as KubeObject)
    driver.holds(5)
    await m.drivers.update(DRIVER)
    await m.drivers.update('another')
    assert.equal(count(), 5)
    driver.holds(3)
    about(0.01)
    await until('it is told of', () => count() === 3)
    driver.holds(4)
    await until('and again', () => count() === 4)
  })

  it('a volume that its node cannot attach any more is one of too many, once its pod has waited; what there is room for is told at once', async (t) => {
    const m = await machine(t, { attachRequired: true, nodeAllocatableUpdatePeriodSeconds: 3600 })
    const driver = await m.driver()
    driver.holds(1)
    const volume = m.claimed('far', csi('disk-7'))
    const name = attachmentName({ ...persistentCsiVolume({ metadata: { name: 'x' }, spec: csi('disk-7') } as never, false) }, NODE)
    m.api.put(VOLUME_ATTACHMENTS, { apiVersion: 'storage.k8s.io/v1', kind: 'VolumeAttachment', metadata: { name }, spec: { attacher: DRIVER, nodeName: NODE, source: { persistentVolumeName: 'pv-far' } }, status: { attached: false, attachError: { message: 'rpc error: code = ResourceExhausted desc = full', errorCode: GRPC.resourceExhausted } } } as KubeObject)
    await assert.rejects(m.volumes().setUp(pod('p1', volume), volume), { step: 'WaitForAttach', code: 'CSI_ATTACH_LIMIT', message: 'rpc error: code = ResourceExhausted desc = full' })
    assert.deepStrictEqual(m.api.get<CSINode>(CSI_NODES, NODE)?.spec.drivers[0]?.allocatable, { count: 1 })
  })

  it('is staged once, published to each pod, and unstaged after the last; what was written stays', async (t) => {
    const m = await machine(t)
    const driver = await m.driver()
    const volume = m.claimed('shared', csi('v1'))
    const [first, second] = [pod('p1', volume), pod('p2', volume)]
    const volumes = m.volumes()
    const one = await volumes.setUp(first, volume)
    assert.deepStrictEqual(one, { path: join(m.paths.volumes('p1'), 'kubernetes.io~csi', 'pv-shared', 'mount'), readonly: false, mayRelabel: true })
    writeFileSync(join(one.path, 'file'), 'kept')
    const two = await volumes.setUp(second, volume)
    assert.equal(readFileSync(join(two?.path ?? '', 'file'), 'utf8'), 'kept')
    await volumes.tearDown('p1')
    assert.ok(!methods(driver).includes('unstage'), 'p2 still uses it')
    await volumes.tearDown('p2')
    assert.deepStrictEqual(methods(driver), ['stage', 'publish', 'publish', 'unpublish', 'unpublish', 'unstage'])
    await volumes.setUp(first, volume)
    assert.deepStrictEqual(methods(driver).slice(-2), ['stage', 'publish'])
    await volumes.tearDown('p1')
    assert.deepStrictEqual([await systemMounter.below(m.dir), readFileSync(join(m.dir, 'storage/v1/file'), 'utf8'), existsSync(join(m.paths.volumes('p1'), 'kubernetes.io~csi', 'pv-shared'))], [[], 'kept', false])
  })

  it('what an agent mounted before it died its next life unmounts, though it never saw the pod', async (t) => {
    const m = await machine(t)
    const driver = await m.driver()
    const volume = m.claimed('left', csi('v1'))
    await m.volumes().setUp(pod('p1', volume), volume)
    await m.volumes().tearDown('p1')
    assert.deepStrictEqual([methods(driver).slice(-2), await systemMounter.below(m.dir)], [['unpublish', 'unstage'], []])
  })

  it('a driver that is not there is named; once it is there the same call goes well', async (t) => {
    const m = await machine(t)
    const volume = m.claimed('early', csi('v1'))
    const volumes = m.volumes()
    await assert.rejects(volumes.setUp(pod('p1', volume), volume), { step: 'MountDevice', specName: 'pv-early', message: `kubernetes.io/csi: attacher.MountDevice failed to create newCsiDriverClient: driver name ${DRIVER} not found in the list of registered CSI drivers` })
    await m.driver()
    assert.ok(await volumes.setUp(pod('p1', volume), volume))
  })

  it('nothing is removed while a driver cannot unmount', async (t) => {
    const m = await machine(t)
    const driver = await m.driver()
    const volume = m.claimed('stuck', csi('v1'))
    const volumes = m.volumes()
    const located = await volumes.setUp(pod('p1', volume), volume)
    writeFileSync(join(located?.path ?? '', 'file'), 'kept')
    driver.failNext('unpublish', 'the disk is busy')
    await assert.rejects(volumes.tearDown('p1'), /the disk is busy/)
    assert.equal(readFileSync(join(m.dir, 'storage/v1/file'), 'utf8'), 'kept')
    await volumes.tearDown('p1')
    assert.deepStrictEqual(await systemMounter.below(m.dir), [])
  })

  it('waits for the cluster to attach it, passes on what the attacher says, and is told as in use', async (t) => {
    const m = await machine(t, { attachRequired: true })
    const driver = await m.driver()
    const volume = m.claimed('far', csi('disk-7'))
    const volumes = m.volumes()
    const setUp = volumes.setUp(pod('p1', volume), volume)
    const name = attachmentName({ ...persistentCsiVolume({ metadata: { name: 'x' }, spec: csi('disk-7') } as never, false) }, NODE)
    m.api.put(VOLUME_ATTACHMENTS, { apiVersion: 'storage.k8s.io/v1', kind: 'VolumeAttachment', metadata: { name }, spec: { attacher: DRIVER, nodeName: NODE, source: { persistentVolumeName: 'pv-far' } }, status: { attached: true, attachmentMetadata: { device: '/dev/sdz' } } } as KubeObject)
    await setUp
    assert.deepStrictEqual([driver.calls.map((c) => c.request['publishContext']), await volumesInUse(m.paths)], [[{ device: '/dev/sdz' }, { device: '/dev/sdz' }], [`kubernetes.io/csi/${DRIVER}^disk-7`]])
    await volumes.tearDown('p1')
    assert.deepStrictEqual([await volumesInUse(m.paths), m.uses.length], [[], 2])
  })

  it('an inline volume is the pod\'s own, with what the driver wants to know of it', async (t) => {
    const m = await machine(t, { podInfoOnMount: true, volumeLifecycleModes: ['Ephemeral'] })
    const driver = await m.driver()
    const volume: Volume = { name: 'scratch', csi: { driver: DRIVER, volumeAttributes: { a: 'b' } } }
    const volumes = m.volumes()
    const owner = pod('p1', volume, { serviceAccountName: 'default' })
    await volumes.setUp(owner, volume)
    await volumes.tearDown('p1')
    assert.deepStrictEqual(methods(driver), ['publish', 'unpublish'])
    assert.deepStrictEqual([driver.calls[0]?.request['volumeId'], driver.calls[0]?.request['volumeContext']], [inlineCsiVolume(owner, volume).handle, {
      a: 'b', 'csi.storage.k8s.io/pod.name': 'p1', 'csi.storage.k8s.io/pod.namespace': 'default', 'csi.storage.k8s.io/pod.uid': 'p1', 'csi.storage.k8s.io/serviceAccount.name': 'default', 'csi.storage.k8s.io/ephemeral': 'true',
    }])
    const claimed = m.claimed('other', csi('v2'))
    await assert.rejects(volumes.setUp(pod('p2', claimed), claimed), { message: `kubernetes.io/csi: mounter.SetupAt failed to check volume lifecycle mode: volume mode "Persistent" not supported by driver ${DRIVER} (only supports ["Ephemeral"])` })
  })

  it('of mode Block is a device at upstream\'s place, and all of it goes with the last pod', { skip: LOOP }, async (t) => {
    const m = await machine(t)
    const driver = await m.driver()
    const volume = m.claimed('raw', { ...csi('b1'), volumeMode: 'Block' })
    const volumes = m.volumes()
    const published = join(m.dir, 'plugins/kubernetes.io/csi/volumeDevices/publish/pv-raw')
    assert.deepStrictEqual(await volumes.setUp(pod('p1', volume), volume), { path: join(published, 'p1'), readonly: false, isDevice: true, mayRelabel: false })
    await volumes.setUp(pod('p2', volume), volume)
    writeFileSync(join(published, 'p1'), 'raw bytes', { flag: 'r+' })
    assert.ok(statSync(join(published, 'p2')).isBlockDevice())
    assert.equal(readFileSync(join(published, 'p2')).subarray(0, 9).toString(), 'raw bytes')
    assert.deepStrictEqual(driver.calls.map((c) => [c.method, (c.request['volumeCapability'] as { block?: object }).block, c.request['stagingTargetPath']]), ['stage', 'publish', 'publish'].map((method) => [method, {}, join(m.dir, 'plugins/kubernetes.io/csi/volumeDevices/staging/pv-raw')]))
    // After a restart of the agent what the first pod had is still known.
    const later = m.volumes()
    await later.tearDown('p1')
    assert.ok(!methods(driver).includes('unstage'))
    driver.failNext('unstage', 'the disk is busy')
    await assert.rejects(later.tearDown('p2'), /the disk is busy/)
    await later.tearDown('p2')
    assert.deepStrictEqual([methods(driver).slice(3), await systemMounter.below(m.dir), existsSync(published), existsSync(join(m.dir, 'plugins/kubernetes.io/csi/volumeDevices/pv-raw')), await runCommand('losetup', ['-j', join(m.dir, 'storage/b1.disk')])], [['unpublish', 'unpublish', 'unstage', 'unpublish', 'unstage'], [], false, false, ''])
  })

  it('grows: a file system that is in use becomes as large as its disk, and the claim says so', async (t) => {
    const m = await machine(t)
    const driver = await m.driver('expand', 'getStats')
    const MI = 1024 * 1024
    const spec = (storage: string): PersistentVolumeSpec => ({ csi: { driver: DRIVER, volumeHandle: 'g1', fsType: 'ext4', volumeAttributes: { ram: String(16 * MI) } }, capacity: { storage } })
    const pending = { type: 'FileSystemResizePending', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' }
    const status = (more: object = {}) => ({ status: { phase: 'Bound', capacity: { storage: '16Mi' }, ...more } })
    const volume = m.claimed('grown', spec('16Mi'), status())
    const volumes = m.volumes()
    const owner = pod('p1', volume)
    await volumes.setUp(owner, volume)
    const before = await volumes.usage('p1', 'data')
    await volumes.refresh(owner)
    assert.ok(!methods(driver).includes('expand'), 'nothing to do')
    m.claimed('grown', spec('48Mi'), status({ allocatedResourceStatuses: { storage: 'NodeResizePending' }, allocatedResources: { storage: '48Mi' }, conditions: [{ ...pending, type: 'Other' }, pending] }))
    await volumes.refresh(owner)
    const { request } = driver.calls.find((c) => c.method === 'expand') ?? {}
    assert.deepStrictEqual([request?.['volumeId'], request?.['capacityRange'], request?.['volumePath'], request?.['stagingTargetPath']], ['g1', { requiredBytes: 48 * MI, limitBytes: 0 }, join(m.paths.volumes('p1'), 'kubernetes.io~csi/pv-grown/mount'), join(m.dir, 'plugins/kubernetes.io/csi', DRIVER, stagingName('g1'), 'globalmount')])
    assert.deepStrictEqual(m.api.get<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, 'default/grown')?.status, { phase: 'Bound', capacity: { storage: '48Mi' }, allocatedResourceStatuses: {}, allocatedResources: { storage: '48Mi' }, conditions: [{ ...pending, type: 'Other' }] })
    const after = await volumes.usage('p1', 'data')
    assert.ok(before?.capacityBytes === 16 * MI && after?.capacityBytes === 48 * MI && after.inodes > 0, JSON.stringify([before, after]))
    assert.deepStrictEqual([after.claim, m.events], ['grown', ['Pod', 'PersistentVolumeClaim'].map((kind) => [kind, 'FileSystemResizeSuccessful', `MountVolume.NodeExpandVolume succeeded for volume "pv-grown" ${NODE}`])])
    await volumes.refresh(owner)
    assert.equal(methods(driver).filter((each) => each === 'expand').length, 1)
    await volumes.tearDown('p1')
  })

  it('that cannot grow say so in the claim; what the driver refuses for good is not tried again', async (t) => {
    const m = await machine(t)
    const driver = await m.driver('expand')
    const spec: PersistentVolumeSpec = { ...csi('g2'), capacity: { storage: '2Gi' } }
    const volume = m.claimed('stiff', spec, { status: { phase: 'Bound', capacity: { storage: '1Gi' }, allocatedResourceStatuses: { storage: 'NodeResizePending' } } })
    const status = () => m.api.get<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, 'default/stiff')?.status
    const volumes = m.volumes()
    driver.failNext('expand', 'the disk is busy')
    const why = 'Expander.NodeExpand failed to expand the volume : rpc error: code = Internal desc = the disk is busy'
    await assert.rejects(volumes.setUp(pod('p1', volume), volume), { code: 'VOLUME_EXPAND', step: 'Setup', specName: 'pv-stiff', message: why })
    assert.deepStrictEqual([status()?.allocatedResourceStatuses, status()?.conditions?.map((c) => [c.type, c.message])], [{ storage: 'NodeResizeInProgress' }, [['NodeResizeError', `failed to expand pvc with ${why}`]]])
    driver.failNext('expand', 'too large', GRPC.outOfRange)
    await volumes.setUp(pod('p1', volume), volume)
    assert.deepStrictEqual([status()?.capacity, status()?.allocatedResourceStatuses, status()?.conditions?.length], [{ storage: '1Gi' }, { storage: 'NodeResizeInfeasible' }, 1])
    await volumes.refresh(pod('p1', volume))
    assert.deepStrictEqual([methods(driver).filter((each) => each === 'expand').length, m.events.map(([, reason]) => reason)], [2, []], 'what is wrong while it is mounted is told with the mount')
    const used = m.claimed('used', { ...spec, csi: { driver: DRIVER, volumeHandle: 'g3' }, capacity: { storage: '1Gi' } }, { status: { phase: 'Bound', capacity: { storage: '1Gi' } } })
    await volumes.setUp(pod('p2', used), used)
    const pending = { status: { phase: 'Bound', capacity: { storage: '1Gi' }, allocatedResourceStatuses: { storage: 'NodeResizePending' }, allocatedResources: { storage: '2Gi' } } }
    m.claimed('used', { ...spec, csi: { driver: DRIVER, volumeHandle: 'g3' } }, pending)
    driver.failNext('expand', 'the disk is busy')
    await volumes.refresh(pod('p2', used))
    driver.failNext('expand', 'not while it is in use', GRPC.failedPrecondition)
    await volumes.refresh(pod('p2', used))
    await volumes.refresh(pod('p2', used))
    assert.deepStrictEqual([methods(driver).filter((each) => each === 'expand').length, m.events], [4, [['Pod', 'VolumeResizeFailed', `NodeExpandVolume.NodeExpandVolume failed for volume "pv-used" : ${why}`]]], 'and not tried again while it is in use')
  })

  it('are published again where the driver wants that, with new tokens: in the context, or among the secrets', async (t) => {
    for (const serviceAccountTokenInSecrets of [false, true]) {
      const m = await machine(t, { requiresRepublish: true, tokenRequests: [{ audience: 'vault', expirationSeconds: 600 }], serviceAccountTokenInSecrets })
      const driver = await m.driver()
      const volume = m.claimed('told', csi('v1'))
      const volumes = m.volumes()
      const owner = pod('p1', volume)
      await volumes.setUp(owner, volume)
      await volumes.refresh(owner)
      const key = 'csi.storage.k8s.io/serviceAccount.tokens'
      const told = driver.calls.filter((c) => c.method === 'publish').map((c) => [(c.request['volumeContext'] as Record<string, string>)[key], (c.request['secrets'] as Record<string, string>)[key]].map((text) => text && JSON.parse(text) as unknown))
      const tokens = [1, 2].map((n) => ({ vault: { token: tokenFor('vault', n), expirationTimestamp: new Date((1_800_000_000 + n) * 1000).toISOString().replace('.000Z', 'Z') } }))
      assert.deepStrictEqual(told, tokens.map((each) => (serviceAccountTokenInSecrets ? [undefined, each] : [each, undefined])))
      await driver.stop()
      await until('it is gone', () => m.drivers.get(DRIVER) === undefined)
    }
  })

  it('of access mode ReadWriteOncePod is one pod\'s at a time, after a restart of the agent, too', async (t) => {
    const m = await machine(t)
    await m.driver()
    const volume = m.claimed('alone', { ...csi('v1'), accessModes: ['ReadWriteOncePod'] })
    await m.volumes().setUp(pod('p1', volume), volume)
    const volumes = m.volumes()
    await volumes.setUp(pod('p1', volume), volume)
    await assert.rejects(volumes.setUp(pod('p2', volume), volume), { step: 'SetUp', specName: 'pv-alone', message: 'volume uses the ReadWriteOncePod access mode and is already in use by another pod' })
    await volumes.tearDown('p1')
    assert.ok(await volumes.setUp(pod('p2', volume), volume))
  })

  it('that a driver fails with are told in grpc-go\'s words, secrets that are not there in upstream\'s; operations and calls are counted', async (t) => {
    const m = await machine(t)
    const driver = await m.driver()
    const secret = { name: 'key', namespace: 'default' }
    const volumes = m.volumes()
    const missing = (ref: string) => ({ message: `fetching ${ref} default/key failed: kubernetes.io/csi: failed to find the secret key in the namespace default with error: secrets "key" not found` })
    const staged = m.claimed('staged', { csi: { driver: DRIVER, volumeHandle: 'v1', nodeStageSecretRef: secret } })
    await assert.rejects(volumes.setUp(pod('p1', staged), staged), missing('NodeStageSecretRef'))
    const published = m.claimed('published', { csi: { driver: DRIVER, volumeHandle: 'v2', nodePublishSecretRef: secret } })
    await assert.rejects(volumes.setUp(pod('p1', published), published), missing('NodePublishSecretRef'))
    const plain = m.claimed('plain', csi('v3'))
    driver.failNext('publish', 'the disk is busy')
    await assert.rejects(volumes.setUp(pod('p2', plain), plain), { step: 'SetUp', message: 'rpc error: code = Internal desc = the disk is busy' })
    await volumes.setUp(pod('p2', plain), plain)
    await volumes.tearDown('p2')
    const counts = m.operations.metrics({ desired: ['a', 'a'], actual: ['a'] }).map(({ name, samples }) => [name, samples.filter(({ suffix }) => suffix === undefined || suffix === '_count').map(({ labels, value }) => [...Object.values(labels ?? {}), value].join(' '))])
    const plugin = `kubernetes.io/csi:${DRIVER}`
    assert.deepStrictEqual(counts, [
      ['csi_operations_seconds', [['GetInfo', 'OK', 1], ['GetCapabilities', 'OK', 1], ['StageVolume', 'OK', 2], ['PublishVolume', 'Internal', 1], ['PublishVolume', 'OK', 1], ['UnpublishVolume', 'OK', 1], ['UnstageVolume', 'OK', 1]].map(([method, code, n]) => `${DRIVER} /csi.v1.Node/Node${method} ${code} false ${n}`)],
      ['storage_operation_duration_seconds', [`${plugin} volume_mount fail-unknown false 3`, `${plugin} volume_mount success false 1`, `${plugin} volume_unmount success false 1`]],
      ['volume_manager_total_volumes', ['a actual_state_of_world 1', 'a desired_state_of_world 2']],
      ['volume_operation_total_seconds', []],
    ])
  })

  it('gives files to the pod\'s group where the CSIDriver says so', async (t) => {
    const m = await machine(t, { fsGroupPolicy: 'File' })
    await m.driver()
    const volume = m.claimed('grouped', csi('v1'))
    const located = await m.volumes().setUp(pod('p1', volume, { securityContext: { fsGroup: 4711 } }), volume)
    const { gid, mode } = statSync(located?.path ?? '')
    assert.deepStrictEqual([gid, (mode & 0o2070).toString(8)], [4711, '2070'])
  })
})

describe('claims', { skip: process.getuid?.() === 0 ? false : 'mounting needs root', timeout: 180_000 }, () => {
  it('of a local volume are a bind mount of its directory, where the node is the right one', async (t) => {
    const m = await machine(t)
    const disk = mkdtempSync(join(tmpdir(), 'disk-'))
    t.after(() => rmSync(disk, { recursive: true, force: true }))
    const affinity = (zone: string) => ({ nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'zone', operator: 'In', values: [zone] }] }] } } })
    const volume = m.claimed('here', { local: { path: disk }, ...affinity('a') })
    const volumes = m.volumes()
    const located = await volumes.setUp(pod('p1', volume), volume)
    writeFileSync(join(located?.path ?? '', 'file'), 'on the disk')
    assert.equal(readFileSync(join(disk, 'file'), 'utf8'), 'on the disk')
    const elsewhere = m.claimed('there', { local: { path: disk }, ...affinity('b') })
    await assert.rejects(volumes.setUp(pod('p2', elsewhere), elsewhere), { step: 'NodeAffinity check', specName: 'pv-there', message: 'no matching NodeSelectorTerms' })
    const missing = m.claimed('missing', { local: { path: join(disk, 'none') } })
    await assert.rejects(volumes.setUp(pod('p3', missing), missing), { message: `path "${join(disk, 'none')}" does not exist` })
  })

  it('of a blank local disk get a file system on it, mounted once for all pods; the next ones find what was written', { skip: LOOP }, async (t) => {
    const m = await machine(t)
    const disk = await loopDevice(t)
    const volume = m.claimed('disk', { local: { path: disk } })
    const volumes = m.volumes()
    const one = await volumes.setUp(pod('p1', volume, { securityContext: { fsGroup: 4711 } }), volume)
    writeFileSync(join(one?.path ?? '', 'file'), 'on the disk')
    const two = await volumes.setUp(pod('p2', volume, { securityContext: { fsGroup: 4712 } }), volume)
    assert.deepStrictEqual(m.events, [['p2', 'AlreadyMountedVolume', 'The requested fsGroup is 4712, but the volume pv-disk has GID 4711. The volume may not be shareable.']])
    chmodSync(join(one?.path ?? '', 'file'), 0o600)
    await m.volumes().setUp(pod('p1', volume, { securityContext: { fsGroup: 4711 } }), volume)
    assert.equal(statSync(join(one?.path ?? '', 'file')).mode & 0o777, 0o600, 'a restart of the agent leaves files as their containers made them')
    assert.deepStrictEqual([readFileSync(join(two?.path ?? '', 'file'), 'utf8'), statSync(one?.path ?? '').gid, (await runCommand('blkid', ['-p', '-s', 'TYPE', '-o', 'value', disk])).trim()], ['on the disk', 4711, 'ext4'])
    const mounted = join(m.dir, 'plugins/kubernetes.io/local-volume/mounts/pv-disk')
    await volumes.tearDown('p1')
    assert.ok((await systemMounter.below(m.dir)).includes(mounted), 'p2 still uses it')
    await m.volumes().tearDown('p2')
    assert.deepStrictEqual([await systemMounter.below(m.dir), existsSync(mounted)], [[], false])
    const three = await m.volumes().setUp(pod('p3', volume), volume)
    assert.equal(readFileSync(join(three?.path ?? '', 'file'), 'utf8'), 'on the disk')
  })

  it('of a local disk that has grown have a file system as large, and say so; of a directory there is nothing to be made larger', { skip: LOOP }, async (t) => {
    const m = await machine(t)
    const MI = 2 ** 20
    const disk = await loopDevice(t)
    const status = (more: object = {}) => ({ status: { phase: 'Bound', capacity: { storage: '16Mi' }, ...more } })
    const pending = status({ allocatedResourceStatuses: { storage: 'NodeResizePending' }, allocatedResources: { storage: '48Mi' } })
    const on = (storage: string): PersistentVolumeSpec => ({ local: { path: disk, fsType: 'ext4' }, capacity: { storage } })
    const volume = m.claimed('disk', on('16Mi'), status())
    const volumes = m.volumes()
    await volumes.setUp(pod('p1', volume), volume)
    const before = (await volumes.usage('p1', 'data'))?.capacityBytes ?? 0
    truncateSync((await runCommand('losetup', ['-n', '-O', 'BACK-FILE', disk])).trim(), 48 * MI)
    await runCommand('losetup', ['-c', disk])
    m.claimed('disk', on('48Mi'), pending)
    await volumes.refresh(pod('p1', volume))
    const after = (await volumes.usage('p1', 'data'))?.capacityBytes ?? 0
    const told = (name: string) => m.api.get<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, `default/${name}`)?.status
    if (MAY_RESIZE) {
      assert.ok(before < 16 * MI && after > 40 * MI, `${before} ${after}`)
      assert.deepStrictEqual([told('disk')?.capacity, told('disk')?.allocatedResourceStatuses, m.events.map(([, reason]) => reason)], [{ storage: '48Mi' }, {}, ['FileSystemResizeSuccessful', 'FileSystemResizeSuccessful']])
    } else {
      const why = `resize of device ${disk} failed: exit status 1. resize2fs output: `
      assert.deepStrictEqual([after, told('disk')?.capacity, told('disk')?.allocatedResourceStatuses], [before, { storage: '16Mi' }, { storage: 'NodeResizeInProgress' }])
      assert.ok(m.events.length === 1 && m.events[0]?.[2].startsWith(`NodeExpandVolume.NodeExpandVolume failed for volume "pv-disk" : ${why}`), JSON.stringify(m.events))
      assert.ok(told('disk')?.conditions?.[0]?.message?.startsWith(`failed to expand pvc with ${why}`))
    }
    const directory = m.claimed('directory', { local: { path: m.dir }, capacity: { storage: '48Mi' } }, pending)
    await volumes.setUp(pod('p2', directory), directory)
    assert.deepStrictEqual(told('directory')?.capacity, { storage: '48Mi' })
  })

  it('a disk that holds something else, or is blank and read-only, is left alone', { skip: LOOP }, async (t) => {
    const m = await machine(t)
    const volumes = m.volumes()
    const blank = await loopDevice(t)
    const readonly: Volume = { ...m.claimed('ro', { local: { path: blank } }), persistentVolumeClaim: { claimName: 'ro', readOnly: true } }
    await assert.rejects(volumes.setUp(pod('p1', readonly), readonly), new RegExp(`: local: failed to mount device ${blank} at .*/pv-ro \\(fstype: \\), error cannot mount unformatted disk ${blank} as we are manipulating it in read-only mode$`))
    const table = await loopDevice(t)
    const mbr = Buffer.alloc(512)
    mbr.set([0x80, 1, 1, 0, 0x83, 3, 3, 3, 1, 0, 0, 0, 63, 0, 0, 0], 446)
    mbr.set([0x55, 0xaa], 510)
    writeFileSync(table, mbr, { flag: 'r+' })
    const partitioned = m.claimed('parts', { local: { path: table } })
    await assert.rejects(volumes.setUp(pod('p2', partitioned), partitioned), /holds partitions or data of an unknown kind/)
    const raw = m.claimed('raw', { local: { path: table }, volumeMode: 'Block' })
    assert.deepStrictEqual(await volumes.setUp(pod('p3', raw), raw), { path: table, readonly: false, isDevice: true })
    const wrong = m.claimed('wrong', { local: { path: m.dir }, volumeMode: 'Block' })
    await assert.rejects(volumes.setUp(pod('p4', wrong), wrong), { message: `path "${m.dir}" of volume pv-wrong is not a block device` })
    assert.deepStrictEqual(await systemMounter.below(m.dir), [])
  })

  it('that cannot be used say why, as upstream does', async (t) => {
    const m = await machine(t)
    const volumes = m.volumes()
    const why = (volume: Volume) => assert.rejects.bind(undefined, volumes.setUp(pod('p1', volume), volume))
    await why({ name: 'data', persistentVolumeClaim: { claimName: 'none' } })({ message: 'error processing PVC default/none: failed to fetch PVC from API server: persistentvolumeclaims "none" not found' })
    await why(m.claimed('pending', csi('v'), { status: { phase: 'Pending' } }))({ message: 'error processing PVC default/pending: PVC is not bound' })
    await why(m.claimed('stolen', { ...csi('v'), claimRef: { uid: 'another' } }))({ message: 'error processing PVC default/stolen: found PV object pv-stolen but its pv.Spec.ClaimRef.UID another does not point to claim.UID claim-stolen' })
    m.claimed('p1-mine', csi('v'))
    await why({ name: 'mine', ephemeral: { volumeClaimTemplate: { spec: {} } } })({ message: 'PVC default/p1-mine was not created for pod default/p1 (pod is not owner)' })
    await why(m.claimed('raw', { nfs: { server: 's', path: '/' }, volumeMode: 'Block' }))({ message: 'no volume plugin matched: nfs volumes of mode Block are not supported on this node' })
    const named = (where: object) => pod('p1', m.claimed('mode', { ...csi('v'), volumeMode: 'volumeMounts' in where ? 'Block' : 'Filesystem' }), { containers: [{ name: 'c', ...where }] })
    const mounted = named({ volumeMounts: [{ name: 'data', mountPath: '/d' }] })
    await assert.rejects(volumes.setUp(mounted, mounted.spec?.volumes?.[0] as Volume), { message: 'volume data has volumeMode Block, but is specified in volumeMounts' })
    const device = named({ volumeDevices: [{ name: 'data', devicePath: '/d' }] })
    await assert.rejects(volumes.setUp(device, device.spec?.volumes?.[0] as Volume), { message: 'volume data has volumeMode Filesystem, but is specified in volumeDevices' })
    await why(m.claimed('old', { fc: { lun: 1 } }))({ message: 'no volume plugin matched: fc volumes are not supported on this node' })
  })

  it('of a hostPath volume are the path itself, read-only where the claim is mounted so', async (t) => {
    const m = await machine(t)
    const volume = m.claimed('path', { hostPath: { path: join(m.dir, 'made'), type: 'DirectoryOrCreate' } })
    const readonly: Volume = { ...volume, persistentVolumeClaim: { claimName: 'path', readOnly: true } }
    assert.deepStrictEqual(await m.volumes().setUp(pod('p1', readonly), readonly), { path: join(m.dir, 'made'), readonly: true })
    assert.ok(existsSync(join(m.dir, 'made')))
  })
})

it('a claim grows on the node when its turn has come, and only then', () => {
  const decide = (pv: string | undefined, claim: string | undefined, more: { state?: string; allocated?: string; known?: string; readonly?: boolean; modes?: string[]; notes?: Record<string, string> } = {}) => decideGrowth({
    pv: { metadata: { name: 'v' }, spec: { ...(pv && { capacity: { storage: pv } }) } } as never,
    claim: {
      metadata: { name: 'c', annotations: more.notes }, spec: { accessModes: more.modes },
      status: { ...(claim && { capacity: { storage: claim } }), ...(more.state && { allocatedResourceStatuses: { storage: more.state } }), ...(more.allocated && { allocatedResources: { storage: more.allocated } }) },
    } as never,
    readonly: more.readonly ?? false,
  }, more.known)
  const expand = (isTold = false, isLegacy = true) => ({ kind: 'expand', size: '2Gi', isTold, isLegacy })
  const none = { kind: 'none' }
  const done = { kind: 'none', done: '2Gi' }
  const shared = { known: '1Gi', allocated: '2Gi', modes: ['ReadWriteMany'] }
  const table: [unknown, unknown][] = [
    [decide('2Gi', '1Gi'), expand()], [decide('2Gi', '1Gi', { state: 'NodeResizePending' }), expand(false, false)], [decide('3Gi', '1Gi', { state: 'NodeResizeInProgress', allocated: '2Gi' }), expand(false, false)], [decide('2Gi', '1Gi', { allocated: '2Gi' }), none],
    [decide('2Gi', '1Gi', { state: 'ControllerResizeInProgress' }), none], [decide('2Gi', '1Gi', { state: 'NodeResizeInfeasible' }), none], [decide('2Gi', '1Gi', { readonly: true }), { kind: 'readOnly' }],
    [decide('2Gi', '2048Mi'), none], [decide('1Gi', '2Gi'), none], [decide(undefined, '1Gi'), none], [decide('2Gi', undefined), none],
    // Another node has told it already, this one has not done it yet.
    [decide('2Gi', '2Gi', { known: '1Gi' }), expand(true)], [decide('2Gi', '2Gi', { known: '2Gi' }), none],
    // Only of a volume that several nodes have at once each has to, unless the resizer says that none does.
    [decide('2Gi', '2Gi', shared), expand(true, false)], [decide('2Gi', '2Gi', { ...shared, modes: ['ReadWriteOnce'] }), done], [decide('2Gi', '2Gi', { ...shared, notes: { 'volume.kubernetes.io/node-expansion-not-required': 'true' } }), done],
  ]
  for (const [is, wanted] of table) assert.deepStrictEqual(is, wanted)
})

it('access modes are asked for as drivers know them, ownership as CSIDrivers say', () => {
  const of = (mode: string, known: number[] = []) => (capabilityOf({ ...persistentCsiVolume({ metadata: { name: 'v' }, spec: { ...csi('h'), accessModes: [mode] } } as never, false) }, new Set(known), 5).accessMode as { mode: number }).mode
  assert.deepStrictEqual(['ReadWriteOnce', 'ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOncePod'].map((m) => [of(m), of(m, [5])]), [[1, 7], [3, 3], [5, 5], [1, 6]])
  const owned = (policy: string | undefined, fsType: string, modes: string[], readonly = false) => wantsOwnership({ ...persistentCsiVolume({ metadata: { name: 'v' }, spec: { csi: { driver: 'd', volumeHandle: 'h', fsType }, accessModes: modes } } as never, readonly) }, { metadata: {}, spec: { ...(policy !== undefined && { fsGroupPolicy: policy }) } } as never)
  assert.deepStrictEqual([owned(undefined, 'ext4', ['ReadWriteOnce']), owned(undefined, '', ['ReadWriteOnce']), owned(undefined, 'ext4', ['ReadWriteMany']), owned('File', '', ['ReadWriteMany']), owned('None', 'ext4', ['ReadWriteOnce']), owned('File', 'ext4', [], true)], [true, false, false, true, false, false])
})
