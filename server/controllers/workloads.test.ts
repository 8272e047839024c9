/** Workloads but Deployments, each through its life, on an API server of their own. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CONTROLLER_REVISIONS, DAEMON_SETS, EVENTS, PODS, type ControllerRevision, type CoreV1Event, type DaemonSet, type KubeObject, type Pod, type ResourceRef, type Stored } from '#api/types/index.ts'
import { startCluster, type TestCluster } from './cluster.test-support.ts'

const items = async <T extends KubeObject>(c: TestCluster, ref: ResourceRef): Promise<Stored<T>[]> => (await c.client.list<T>(ref, { namespace: 'default' })).items
const merge = 'application/merge-patch+json'
const template = (app: string, image = 'v1') => ({ metadata: { labels: { app } }, spec: { containers: [{ name: 'c', image }] } })
const imageOf = (pod: Pod) => pod.spec?.containers[0]?.image
const eventsOf = async (c: TestCluster, name: string) => [...new Set((await items<CoreV1Event>(c, EVENTS)).filter((e) => e.involvedObject.name === name).map((e) => `${e.type} ${e.reason}`))].sort()

test('a DaemonSet runs on each node that fits, is rolled out node by node, undone, and goes with its pods', async () => {
  await using c = await startCluster()
  for (const name of ['a', 'b']) await c.addNode(name)
  const set: DaemonSet = { apiVersion: 'apps/v1', kind: 'DaemonSet', metadata: { name: 'ds', namespace: 'default' }, spec: { selector: { matchLabels: { app: 'ds' } }, template: template('ds') } }
  await c.client.create(DAEMON_SETS, set)
  const now = () => c.client.get<DaemonSet>(DAEMON_SETS, 'ds', 'default')
  const complete = (image: string, nodes: string[], generation: number) => c.until(`${image} on ${nodes.join()}`, async () => {
    const [pods, { status }] = [await items<Pod>(c, PODS), await now()]
    assert.deepStrictEqual(pods.map((p) => `${p.spec?.nodeName} ${imageOf(p)} ${p.metadata.labels?.['pod-template-generation']}`).sort(), nodes.map((n) => `${n} ${image} ${generation}`))
    const n = nodes.length
    assert.deepStrictEqual(status, { currentNumberScheduled: n, desiredNumberScheduled: n, numberAvailable: n, numberMisscheduled: 0, numberReady: n, observedGeneration: generation, updatedNumberScheduled: n })
  })
  await complete('v1', ['a', 'b'], 1)
  await c.addNode('c')
  await complete('v1', ['a', 'b', 'c'], 1)
  const [pod] = await items<Pod>(c, PODS)
  assert.deepStrictEqual(pod?.spec?.tolerations?.map((t) => `${t.key}:${t.effect}`).filter((t) => t.startsWith('node.kubernetes.io/')).sort(), ['disk-pressure:NoSchedule', 'memory-pressure:NoSchedule', 'not-ready:NoExecute', 'pid-pressure:NoSchedule', 'unreachable:NoExecute', 'unschedulable:NoSchedule'].map((t) => `node.kubernetes.io/${t}`))
  await c.client.patch(DAEMON_SETS, 'ds', 'default', merge, { spec: { template: { spec: { containers: [{ name: 'c', image: 'v2' }] } } } })
  await complete('v2', ['a', 'b', 'c'], 2)
  // Undone: the revision that had it is the newest again.
  await c.client.patch(DAEMON_SETS, 'ds', 'default', merge, { spec: { template: { spec: { containers: [{ name: 'c', image: 'v1' }] } } } })
  await complete('v1', ['a', 'b', 'c'], 3)
  const revisions = await items<ControllerRevision>(c, CONTROLLER_REVISIONS)
  const dataImage = ({ data }: ControllerRevision) => (data as { spec: { template: { $patch: string; spec: { containers: { image: string }[] } } } }).spec.template
  assert.deepStrictEqual(revisions.toSorted((a, b) => a.revision - b.revision).map((r) => [r.revision, dataImage(r).$patch, dataImage(r).spec.containers[0]?.image, r.metadata.ownerReferences?.[0]?.name, r.metadata.name === `ds-${r.metadata.labels?.['controller-revision-hash']}`]), [[2, 'replace', 'v2', 'ds', true], [3, 'replace', 'v1', 'ds', true]])
  await c.client.patch(DAEMON_SETS, 'ds', 'default', merge, { spec: { template: { spec: { nodeSelector: { zone: 'x' } } } } })
  await c.until('no node fits', async () => assert.deepStrictEqual([(await items(c, PODS)).length, (await now()).status?.desiredNumberScheduled], [0, 0]))
  assert.deepStrictEqual(await eventsOf(c, 'ds'), ['Normal SuccessfulCreate', 'Normal SuccessfulDelete'])
  await c.client.delete(DAEMON_SETS, 'ds', 'default', { propagationPolicy: 'Foreground' })
  await c.until('all is gone', async () => assert.deepStrictEqual([(await items(c, DAEMON_SETS)).length, (await items(c, CONTROLLER_REVISIONS)).length], [0, 0]))
})
