import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { EVENTS, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS, STORAGE_CLASSES, type CoreV1Event, type KubeObject, type PersistentVolume, type PersistentVolumeClaim, type Pod, type Stored, type Volume } from '#api/types/index.ts'
import { seededRandom } from '#base/random.ts'
import type { TestCluster } from '#server/controllers/cluster.test-support.ts'
import { node, pod, snapshot } from '../build.test-support.ts'
import { schedule, unschedulableMessage } from '../schedule.ts'
import { startScheduling } from '../scheduler.test-support.ts'
import type { VolumeLookup } from './volume-lookup.ts'

const claimOf = (name: string, spec: object = {}, more: { annotations?: Record<string, string>; phase?: string; deletionTimestamp?: string } = {}) =>
  ({ metadata: { name, namespace: 'default', uid: `uid-${name}`, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z', ...(more.annotations && { annotations: more.annotations }), ...(more.deletionTimestamp && { deletionTimestamp: more.deletionTimestamp }) }, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...spec }, status: { phase: more.phase ?? 'Pending' } }) as Stored<PersistentVolumeClaim>
const bound = (name: string, volumeName: string, spec: object = {}) => claimOf(name, { volumeName, ...spec }, { phase: 'Bound', annotations: { 'pv.kubernetes.io/bind-completed': 'yes' } })
const on = (...hosts: string[]) => ({ nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: hosts }] }] } } })
const volumeOf = (name: string, spec: object = {}, labels: Record<string, string> = {}) => ({ metadata: { name, uid: name, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z', labels }, spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], storageClassName: 'late', ...spec } }) as Stored<PersistentVolume>
const LATE = { metadata: { name: 'late', uid: 'c', resourceVersion: '1' }, provisioner: 'kubernetes.io/no-provisioner', volumeBindingMode: 'WaitForFirstConsumer' }

const csiLookup = ({ drivers = [], nodes = [], capacities = [], attachments = [] }: { drivers?: object[]; nodes?: object[]; capacities?: object[]; attachments?: object[] } = {}): Pick<VolumeLookup, 'csiDriver' | 'csiNode' | 'capacities' | 'attachments'> => {
  const find = (of: object[], name: string) => (of as Stored<KubeObject>[]).find((o) => o.metadata.name === name) as never
  return { csiDriver: (name) => find(drivers, name), csiNode: (name) => find(nodes, name), capacities: () => capacities as never, attachments: () => attachments as never }
}
const MADE = { ...LATE, provisioner: 'made.test' }
const WAITING = [claimOf('c', { storageClassName: 'late' })]
const ROOMY = { drivers: [{ metadata: { name: 'made.test' }, spec: { storageCapacity: true } }] }
const room = (zone: string, capacity: string | undefined, more: object = {}) => ({ metadata: { name: zone }, storageClassName: 'late', capacity, nodeTopology: { matchLabels: { 'topology.kubernetes.io/zone': zone } }, ...more })
const csiVolume = (name: string) => volumeOf(name, { csi: { driver: 'made.test', volumeHandle: `handle-${name}` } })
const taker = (claimName: string) => pod(`takes-${claimName}`, { spec: { volumes: [{ name: 'v', persistentVolumeClaim: { claimName } }] } })
/** So many volumes on each node; one is attached already on those named. */
const limited = (counts: Record<string, number>, attached: string[] = []) => ({
  nodes: Object.entries(counts).map(([name, count]) => ({ metadata: { name }, spec: { drivers: [{ name: 'made.test', nodeID: name, allocatable: { count } }] } })),
  attachments: attached.map((nodeName) => ({ metadata: { name: nodeName }, spec: { attacher: 'made.test', nodeName, source: { inlineVolumeSpec: { csi: { driver: 'made.test', volumeHandle: 'another' } } } }, status: { attached: true } })),
})

describe('claims decide where a pod can go', () => {
  const place = (claims: readonly Stored<PersistentVolumeClaim>[], volumes: readonly Stored<PersistentVolume>[], storageClass: object = LATE, placed: ReturnType<typeof pod>[] = [], csi: { drivers?: object[]; nodes?: object[]; capacities?: object[]; attachments?: object[]; volume?: Volume } = {}) => {
    const lookup: VolumeLookup = { claim: (_, name) => claims.find((c) => c.metadata.name === name), volume: (name) => volumes.find((v) => v.metadata.name === name), volumes: () => volumes, storageClass: (name) => (name === 'late' ? storageClass as never : undefined), ...csiLookup(csi) }
    const wanted = pod('p', { spec: { volumes: [csi.volume ?? { name: 'v', persistentVolumeClaim: { claimName: 'c' } }] } })
    const result = schedule({ ...snapshot(node('n1', { labels: { 'topology.kubernetes.io/zone': 'a' }, placed }), node('n2', { labels: { 'topology.kubernetes.io/zone': 'b' } })), volumes: lookup }, wanted, seededRandom(1))
    return result.ok ? result.node : unschedulableMessage(result)
  }
  const all = (reason: string) => `0/2 nodes are available: ${reason}.`
  const table: [string, string, string][] = [
    ['to the node of its bound volume', place([bound('c', 'v')], [volumeOf('v', on('n2'))]), 'n2'],
    ['nowhere without that node', place([bound('c', 'v')], [volumeOf('v', on('n3'))]), all("2 node(s) didn't match PersistentVolume's node affinity")],
    ['nowhere when the bound volume is gone', place([bound('c', 'v')], []), all('2 node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)')],
    ['to the zone of its volume', place([bound('c', 'v')], [volumeOf('v', {}, { 'topology.kubernetes.io/zone': 'b__c' })]), 'n2'],
    ['not into another zone', place([bound('c', 'v')], [volumeOf('v', {}, { 'topology.kubernetes.io/zone': 'd' })]), all('2 node(s) had no available volume zone')],
    ['nowhere without its claim', place([], []), all('persistentvolumeclaim "c" not found')],
    ['nowhere while its claim goes', place([claimOf('c', {}, { deletionTimestamp: 'now' })], []), all('persistentvolumeclaim "c" is being deleted')],
    ['nowhere while a claim that is bound at once is not', place([claimOf('c')], []), all('pod has unbound immediate PersistentVolumeClaims')],
    ['where a waiting claim finds a volume', place([claimOf('c', { storageClassName: 'late' })], [volumeOf('v', on('n2'))]), 'n2'],
    ['not where it is too small', place([claimOf('c', { storageClassName: 'late' })], [volumeOf('v', { ...on('n2'), capacity: { storage: '1Mi' } })]), all("2 node(s) didn't find available persistent volumes to bind")],
    ['not where it is promised to another', place([claimOf('c', { storageClassName: 'late' })], [volumeOf('v', { ...on('n2'), claimRef: { namespace: 'default', name: 'other' } })]), all("2 node(s) didn't find available persistent volumes to bind")],
    ['where the provisioner may make one', place([claimOf('c', { storageClassName: 'late' })], [], { ...LATE, provisioner: 'made.test', allowedTopologies: [{ matchLabelExpressions: [{ key: 'topology.kubernetes.io/zone', values: ['b'] }] }] }), 'n2'],
    ['where it has been promised one before', place([claimOf('c', { storageClassName: 'late' }, { annotations: { 'volume.kubernetes.io/selected-node': 'n1' } })], [], { ...LATE, provisioner: 'made.test' }), 'n1'],
    ['nowhere while another pod has it for itself', place([bound('c', 'v', { accessModes: ['ReadWriteOncePod'] })], [volumeOf('v')], LATE, [pod('other', { spec: { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'c' } }] } })]), all('2 node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode')],
    ['to a zone by the name it had before', place([bound('c', 'v')], [volumeOf('v', {}, { 'failure-domain.beta.kubernetes.io/zone': 'b' })]), 'n2'],
    ['not where the provisioner has no room', place(WAITING, [], MADE, [], { ...ROOMY, capacities: [room('a', '512Mi'), room('b', '2Gi')] }), 'n2'],
    ['nowhere without room', place(WAITING, [], MADE, [], { ...ROOMY, capacities: [room('a', '512Mi'), room('b', '10Gi', { maximumVolumeSize: '512Mi' }), room('b', '10Gi', { storageClassName: 'other' }), room('b', '10Gi', { nodeTopology: undefined }), room('b', undefined)] }), all('2 node(s) did not have enough free storage')],
    ['anywhere for a provisioner that tells of no room', place(WAITING, [], MADE, [taker('t')], { drivers: [{ metadata: { name: 'made.test' }, spec: {} }] }), 'n1 or n2'],
    ['not where as many volumes are attached as can be', place([bound('c', 'v')], [csiVolume('v')], LATE, [], limited({ n1: 1, n2: 1 }, ['n1'])), 'n2'],
    ['nowhere when all are full', place([bound('c', 'v')], [csiVolume('v')], LATE, [], limited({ n1: 1, n2: 0 }, ['n1'])), all('2 node(s) exceed max volume count')],
    ['to the node where it is already', place([bound('c', 'v'), bound('d', 'w')], [csiVolume('v'), csiVolume('w')], LATE, [taker('c'), taker('d')], limited({ n1: 2, n2: 0 })), 'n1'],
    ['not beside pods whose volumes are about to be attached', place([bound('c', 'v'), bound('d', 'w')], [csiVolume('v'), csiVolume('w')], LATE, [taker('d')], limited({ n1: 1, n2: 5 })), 'n2'],
    ['not beside too many, for a volume that will be made', place([...WAITING, bound('d', 'w')], [csiVolume('w')], MADE, [taker('d')], limited({ n1: 1, n2: 5 })), 'n2'],
    ['as many of another driver do not count', place([bound('c', 'v')], [csiVolume('v')], LATE, [], { nodes: [{ metadata: { name: 'n1' }, spec: { drivers: [{ name: 'other', nodeID: 'x', allocatable: { count: 0 } }] } }, { metadata: { name: 'n2' }, spec: { drivers: [{ name: 'made.test', nodeID: 'x', allocatable: { count: 0 } }] } }] }), 'n1'],
    ['not where its driver is not, if the driver wants that', place([bound('c', 'v')], [csiVolume('v')], LATE, [], { drivers: [{ metadata: { name: 'made.test' }, spec: { preventPodSchedulingIfMissing: true } }], nodes: [{ metadata: { name: 'n2' }, spec: { drivers: [{ name: 'made.test', nodeID: 'x' }] } }] }), 'n2'],
    ['not where the same disk is in use', place([], [], LATE, [pod('other', { spec: { volumes: [{ name: 'x', iscsi: { iqn: 'i', lun: 1, targetPortal: 'p' } }] } })], { volume: { name: 'v', iscsi: { iqn: 'i', lun: 0, targetPortal: 'p', readOnly: true } } }), 'n2'],
    ['beside others that only read it', place([], [], LATE, [pod('other', { spec: { volumes: [{ name: 'x', rbd: { image: 'i', monitors: ['a', 'b'], readOnly: true } }] } })], { volume: { name: 'v', rbd: { image: 'i', monitors: ['b'], readOnly: true } } }), 'n1 or n2'],
  ]
  for (const [what, is, wanted] of table) it(what, () => assert.ok(wanted === 'n1 or n2' ? is === 'n1' || is === 'n2' : is === wanted, `${is}, not ${wanted}`))
})

async function start(t: TestContext): Promise<TestCluster> {
  const cluster = await startScheduling(t)
  for (const name of ['n1', 'n2']) await cluster.addBareNode(name)
  return cluster
}
const create = (cluster: TestCluster, ...objects: KubeObject[]) => Promise.all(objects.map((o) => cluster.client.create(o.kind === 'Pod' ? PODS : o.kind === 'StorageClass' ? STORAGE_CLASSES : o.kind === 'PersistentVolume' ? PERSISTENT_VOLUMES : PERSISTENT_VOLUME_CLAIMS, o)))
const storageClass = (provisioner: string) => ({ apiVersion: 'storage.k8s.io/v1', kind: 'StorageClass', metadata: { name: 'late' }, provisioner, volumeBindingMode: 'WaitForFirstConsumer' }) as KubeObject
const claim = (name: string) => ({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name, namespace: 'default' }, spec: { accessModes: ['ReadWriteOnce'], storageClassName: 'late', resources: { requests: { storage: '1Gi' } } } }) as KubeObject
const user = (name: string, claimName: string) => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'default' }, spec: { containers: [{ name: 'c', image: 'i' }], volumes: [{ name: 'v', persistentVolumeClaim: { claimName } }] } }) as KubeObject

describe('claims that wait for their consumer', { timeout: 180_000 }, () => {
  it('are bound to volumes of the node before the pod is, each volume once', async (t) => {
    const cluster = await start(t)
    const disk = (name: string, host: string) => ({ apiVersion: 'v1', kind: 'PersistentVolume', metadata: { name }, spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], storageClassName: 'late', local: { path: '/disk' }, ...on(host) } }) as KubeObject
    await create(cluster, storageClass('kubernetes.io/no-provisioner'), disk('d1', 'n1'), disk('d2', 'n2'), claim('c1'), claim('c2'), claim('c3'))
    await create(cluster, user('p1', 'c1'), user('p2', 'c2'))
    await cluster.until('both pods are where their volumes are', async () => {
      const places = await Promise.all(['1', '2'].map(async (n) => {
        const { spec } = await cluster.client.get<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, `c${n}`, 'default')
        const { spec: podSpec } = await cluster.client.get<Pod>(PODS, `p${n}`, 'default')
        return `${spec?.volumeName ?? ''} ${podSpec?.nodeName ?? ''}`
      }))
      assert.deepStrictEqual(places.toSorted(), ['d1 n1', 'd2 n2'])
    })
    await create(cluster, user('p3', 'c3'))
    await cluster.until('the third is told why it has to wait', async () => {
      const { items } = await cluster.client.list<CoreV1Event>(EVENTS, { namespace: 'default' })
      assert.ok(items.some((e) => e.message?.startsWith("0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind.")), items.map((e) => e.message).join('\n'))
    })
  })

  it('ask their provisioner for a volume on the node; one that it cannot make there is asked for again', async (t) => {
    const cluster = await start(t)
    await create(cluster, storageClass('made.test'), claim('c'))
    await create(cluster, user('p', 'c'))
    const selected = async () => (await cluster.client.get<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, 'c', 'default')).metadata.annotations?.['volume.kubernetes.io/selected-node']
    await cluster.until('a node is chosen', async () => assert.ok(await selected()))
    assert.equal((await cluster.client.get<Pod>(PODS, 'p', 'default')).spec?.nodeName, undefined)
    await cluster.client.patch(PERSISTENT_VOLUME_CLAIMS, 'c', 'default', 'application/merge-patch+json', { metadata: { annotations: { 'volume.kubernetes.io/selected-node': null } } })
    await cluster.until('a node is chosen again', async () => assert.ok(await selected()))
    const { metadata } = await cluster.client.get<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, 'c', 'default')
    const target = metadata.annotations?.['volume.kubernetes.io/selected-node'] ?? ''
    await create(cluster, { apiVersion: 'v1', kind: 'PersistentVolume', metadata: { name: 'made' }, spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], storageClassName: 'late', local: { path: '/made' }, claimRef: { namespace: 'default', name: 'c', uid: metadata.uid }, ...on(target) } } as KubeObject)
    await cluster.until('the pod is bound there', async () => assert.equal((await cluster.client.get<Pod>(PODS, 'p', 'default')).spec?.nodeName, target))
  })
})
