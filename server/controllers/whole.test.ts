import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  CONFIG_MAPS, DEPLOYMENTS, ENDPOINTS, ENDPOINT_SLICES, EVENTS, NAMESPACES, NODES, PODS, REPLICATION_CONTROLLERS, REPLICA_SETS, SERVICES, SERVICE_ACCOUNTS,
  type ConfigMap, type CoreV1Event, type Deployment, type EndpointSlice, type Endpoints, type KubeObject, type Namespace, type Node, type Pod, type ReplicaSet, type ReplicationController, type ResourceRef, type Service,
} from '#api/types/index.ts'
import { isReason } from '#api/client/client.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { startCluster, type TestCluster } from './cluster.test-support.ts'

const web = (replicas = 3): Deployment => ({
  apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web', namespace: 'default' },
  spec: { replicas, selector: { matchLabels: { app: 'web' } }, template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'v1', ports: [{ name: 'http', containerPort: 8080 }] }] } } },
})
const service: Service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'web', namespace: 'default' }, spec: { selector: { app: 'web' }, ports: [{ name: 'http', port: 80, targetPort: 'http' }], clusterIP: '10.43.0.9', clusterIPs: ['10.43.0.9'], ipFamilies: ['IPv4'] } }

const items = async <T extends KubeObject>(c: TestCluster, ref: ResourceRef, namespace = 'default') => (await c.client.list<T>(ref, { namespace })).items
/** Without what belongs to the Service `kubernetes`. */
const ofWeb = async <T extends KubeObject>(c: TestCluster, ref: ResourceRef) => (await items<T>(c, ref)).filter((o) => o.metadata.name.startsWith('web'))
const images = async (c: TestCluster) => (await items<Pod>(c, PODS)).map((p) => `${p.spec?.containers[0]?.image} ${p.status?.phase}`)
/** Lets a fake clock run, in steps, while something is waited for; `beat` is called every nine seconds of it. */
async function eventually(clock: FakeClock, stepMs: number, beat: () => Promise<void>, work: () => Promise<void>): Promise<void> {
  const state = { done: false }
  const waiting = work().finally(() => { state.done = true })
  waiting.catch(() => { /* thrown below */ })
  for (let sinceMs = 0; !state.done; sinceMs += stepMs) {
    if (sinceMs >= 9_000) { sinceMs = 0; await beat() }
    await clock.advance(stepMs)
  }
  await waiting
}
const complete = (c: TestCluster, image: string, replicas: number) => c.until(`${replicas} pods of ${image}`, async () => {
  const d = await c.client.get<Deployment>(DEPLOYMENTS, 'web', 'default')
  assert.deepStrictEqual(await images(c), Array(replicas).fill(`${image} Running`))
  assert.equal(d.status?.observedGeneration, d.metadata.generation)
  assert.deepStrictEqual(d.status?.conditions?.map((x) => `${x.type} ${x.status} ${x.reason}`).sort(), ['Available True MinimumReplicasAvailable', 'Progressing True NewReplicaSetAvailable'])
})

test('a Deployment with its Service lives its life: created, served, updated, rolled back, scaled, deleted', async () => {
  await using c = await startCluster()
  await c.addNode('one')
  await c.client.create(SERVICES, service)
  await c.client.create(DEPLOYMENTS, web())
  await complete(c, 'v1', 3)
  await c.until('endpoints', async () => {
    const [slice, ...more] = await ofWeb<EndpointSlice>(c, ENDPOINT_SLICES)
    assert.equal(more.length, 0)
    assert.deepStrictEqual(slice?.ports, [{ name: 'http', port: 8080, protocol: 'TCP' }])
    assert.deepStrictEqual(slice?.endpoints?.map((e) => [e.conditions, e.nodeName, e.targetRef?.kind]), Array(3).fill([{ ready: true, serving: true, terminating: false }, 'one', 'Pod']))
    const endpoints = await c.client.get<Endpoints>(ENDPOINTS, 'web', 'default')
    assert.deepStrictEqual(endpoints.subsets?.map((s) => [s.addresses?.length, s.ports]), [[3, [{ name: 'http', port: 8080, protocol: 'TCP' }]]])
  })
  const setImage = (image: string) => c.client.patch(DEPLOYMENTS, 'web', 'default', 'application/strategic-merge-patch+json', { spec: { template: { spec: { containers: [{ name: 'c', image }] } } } })
  await setImage('v2')
  await complete(c, 'v2', 3)
  await setImage('v1')
  await complete(c, 'v1', 3)
  const sets = (await items<ReplicaSet>(c, REPLICA_SETS)).map((rs) => [rs.spec?.template?.spec?.containers[0]?.image, rs.spec?.replicas, rs.metadata.annotations?.['deployment.kubernetes.io/revision']])
  assert.deepStrictEqual(sets.sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1)), [['v1', 3, '3'], ['v2', 0, '2']])
  await c.client.patch(DEPLOYMENTS, 'web', 'default', 'application/merge-patch+json', { spec: { replicas: 1 } })
  await complete(c, 'v1', 1)
  await c.until('events', async () => {
    const reasons = new Set((await items<CoreV1Event>(c, EVENTS)).map((e) => `${e.involvedObject.kind} ${e.reason}`))
    for (const wanted of ['Deployment ScalingReplicaSet', 'ReplicaSet SuccessfulCreate', 'ReplicaSet SuccessfulDelete']) assert.ok(reasons.has(wanted), wanted)
  })
  await c.client.delete(DEPLOYMENTS, 'web', 'default', { propagationPolicy: 'Background' })
  await c.client.delete(SERVICES, 'web', 'default')
  await c.until('all gone', async () => {
    const left = await Promise.all([REPLICA_SETS, PODS, ENDPOINT_SLICES, ENDPOINTS].map((ref) => ofWeb(c, ref)))
    assert.deepStrictEqual(left.map((l) => l.length), [0, 0, 0, 0])
  })
  assert.deepStrictEqual(c.logged.filter((l) => /WARN|ERROR/.test(l)), [])
})

test('foreground deletion waits for the pods, orphaning leaves them', async () => {
  await using c = await startCluster()
  await c.addNode('one')
  await c.client.create(DEPLOYMENTS, web(2))
  await complete(c, 'v1', 2)
  await c.client.delete(DEPLOYMENTS, 'web', 'default', { propagationPolicy: 'Orphan' })
  await c.until('the ReplicaSet is nobody’s', async () => {
    const sets = await items<ReplicaSet>(c, REPLICA_SETS)
    assert.deepStrictEqual([(await items(c, DEPLOYMENTS)).length, sets.map((rs) => rs.metadata.ownerReferences ?? []), (await items(c, PODS)).length], [0, [[]], 2])
  })
  const [rs] = await items<ReplicaSet>(c, REPLICA_SETS)
  // One pod that does not go at once: its owner must wait for it.
  const [pod] = await items<Pod>(c, PODS)
  await c.client.patch(PODS, pod?.metadata.name ?? '', 'default', 'application/merge-patch+json', { metadata: { finalizers: ['test/hold'] } })
  await c.client.delete(REPLICA_SETS, rs?.metadata.name ?? '', 'default', { propagationPolicy: 'Foreground' })
  await c.until('the free pod is gone', async () => {
    assert.deepStrictEqual((await items(c, PODS)).map((p) => p.metadata.name), [pod?.metadata.name])
    assert.deepStrictEqual((await items(c, REPLICA_SETS)).map((r) => r.metadata.finalizers), [['foregroundDeletion']])
  })
  await c.client.patch(PODS, pod?.metadata.name ?? '', 'default', 'application/merge-patch+json', { metadata: { finalizers: null } })
  await c.until('everything is gone', async () => assert.deepStrictEqual([(await items(c, PODS)).length, (await items(c, REPLICA_SETS)).length], [0, 0]))
})

test('a namespace gets its account and CA, and goes with everything in it', async () => {
  await using c = await startCluster()
  await c.addNode('one')
  await c.client.create<Namespace>(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team' } })
  await c.until('account and CA', async () => {
    assert.ok(await c.client.get(SERVICE_ACCOUNTS, 'default', 'team'))
    assert.deepStrictEqual((await c.client.get<ConfigMap>(CONFIG_MAPS, 'kube-root-ca.crt', 'team')).data, { 'ca.crt': 'PEM' })
  })
  await c.client.delete(SERVICE_ACCOUNTS, 'default', 'team')
  await c.until('the account is back', async () => assert.ok(await c.client.get(SERVICE_ACCOUNTS, 'default', 'team')))
  const d = web()
  await c.client.create<Deployment>(DEPLOYMENTS, { ...d, metadata: { ...d.metadata, namespace: 'team' } })
  await c.until('pods', async () => assert.equal((await items(c, PODS, 'team')).length, 3))
  const held: ConfigMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'held', namespace: 'team', finalizers: ['test/hold'] } }
  await c.client.create(CONFIG_MAPS, held)
  await c.client.delete(NAMESPACES, 'team')
  await c.until('only what is held is left', async () => {
    const ns = await c.client.get<Namespace>(NAMESPACES, 'team')
    assert.deepStrictEqual((await items(c, CONFIG_MAPS, 'team')).map((o) => o.metadata.name), ['held'])
    assert.equal(ns.status?.phase, 'Terminating')
    assert.deepStrictEqual(ns.status?.conditions?.filter((x) => x.status === 'True').map((x) => `${x.type}: ${x.message}`).sort(), [
      'NamespaceContentRemaining: Some resources are remaining: configmaps. has 1 resource instances',
      'NamespaceFinalizersRemaining: Some content in the namespace has finalizers remaining: test/hold in 1 resource instances',
    ])
  })
  await c.client.patch(CONFIG_MAPS, 'held', 'team', 'application/merge-patch+json', { metadata: { finalizers: null } })
  await c.until('the namespace is gone', async () => assert.ok(!(await items(c, NAMESPACES, '')).some((n) => n.metadata.name === 'team')))
})

test('each node gets its own pod network', async () => {
  await using c = await startCluster()
  await Promise.all(['a', 'b', 'c'].map((n) => c.addNode(n)))
  await c.until('pod CIDRs', async () => {
    const cidrs = (await items<Node>(c, NODES, '')).map((n) => n.spec?.podCIDR ?? '')
    assert.deepStrictEqual(cidrs.sort(), ['10.42.0.0/24', '10.42.1.0/24', '10.42.2.0/24'])
  })
})

test('a node that falls silent is tainted, its pods are replaced elsewhere, and go for good when the node is deleted', async () => {
  const clock = new FakeClock()
  await using c = await startCluster({ clock })
  await c.addNode('good')
  await c.addNode('bad')
  await c.client.create(DEPLOYMENTS, web(6))
  const beat = async () => {
    for (const name of c.alive) {
      const node = await c.client.get<Node>(NODES, name)
      const conditions = node.status?.conditions?.map((x) => (x.type === 'Ready' ? { ...x, lastHeartbeatTime: new Date(clock.nowMs()).toISOString() } : x)) ?? []
      await c.client.update<Node>(NODES, { ...node, status: { ...node.status, conditions } }, { subresource: 'status' }).catch((error: unknown) => {
        if (!isReason(error, 'Conflict')) throw error
      })
    }
  }
  await eventually(clock, 20, beat, () => complete(c, 'v1', 6))
  const lost = (await items<Pod>(c, PODS)).filter((p) => p.spec?.nodeName === 'bad').length
  assert.ok(lost > 0 && lost < 6)
  c.alive.delete('bad')
  const cutMs = clock.nowMs()
  await eventually(clock, 1_000, beat, () => c.until('the node is lost', async () => {
    const node = await c.client.get<Node>(NODES, 'bad')
    assert.deepStrictEqual(node.status?.conditions?.find((x) => x.type === 'Ready')?.reason, 'NodeStatusUnknown')
    assert.deepStrictEqual(node.spec?.taints?.map((t) => `${t.key}:${t.effect}`), ['node.kubernetes.io/unreachable:NoSchedule', 'node.kubernetes.io/unreachable:NoExecute'])
    const ready = (await items<Pod>(c, PODS)).filter((p) => p.spec?.nodeName === 'bad').map((p) => p.status?.conditions?.find((x) => x.type === 'Ready')?.status)
    assert.deepStrictEqual(ready, Array(lost).fill('False'))
  }))
  assert.ok(clock.nowMs() - cutMs >= 31_000)
  await eventually(clock, 1_000, beat, () => c.until('its pods are replaced', async () => {
    const pods = await items<Pod>(c, PODS)
    assert.deepStrictEqual(pods.filter((p) => p.spec?.nodeName === 'bad').map((p) => p.metadata.deletionTimestamp !== undefined), Array(lost).fill(true))
    assert.equal(pods.filter((p) => p.spec?.nodeName === 'good').length, 6)
  }))
  // DefaultTolerationSeconds: five minutes after the taint.
  assert.ok(clock.nowMs() - cutMs >= 331_000)
  assert.deepStrictEqual((await c.client.get<Node>(NODES, 'good')).spec?.taints, undefined)
  await c.client.delete(NODES, 'bad')
  await eventually(clock, 1_000, beat, () => c.until('its pods are gone', async () => assert.equal((await items<Pod>(c, PODS)).filter((p) => p.spec?.nodeName === 'bad').length, 0)))
})

test('a quiet cluster asks nothing of the API', async () => {
  await using c = await startCluster()
  await c.addNode('one')
  await c.client.create(DEPLOYMENTS, web(2))
  await complete(c, 'v1', 2)
  await c.until('events are written', async () => assert.ok((await items(c, EVENTS)).length >= 3))
  let before = c.requests()
  await c.until('quiet for a second', async () => {
    const now = c.requests()
    await new Promise<void>((r) => setTimeout(r, 1_000))
    before = c.requests() - now
    assert.equal(before, 0)
  })
})

test('a ReplicationController keeps its pods, tells of refusals, and leaves its pods when it is deleted without them', async () => {
  await using c = await startCluster()
  await c.addNode('one')
  const rc = { apiVersion: 'v1', kind: 'ReplicationController', metadata: { name: 'rc', namespace: 'default' }, spec: { replicas: 2, selector: { app: 'rc' }, template: { metadata: { labels: { app: 'rc' } }, spec: { containers: [{ name: 'c', image: 'v1' }] } } } }
  await c.client.create(REPLICATION_CONTROLLERS, rc as KubeObject)
  const now = async () => (await c.client.get<ReplicationController>(REPLICATION_CONTROLLERS, 'rc', 'default'))
  await c.until('both pods', async () => assert.deepStrictEqual((await now()).status, { replicas: 2, fullyLabeledReplicas: 2, readyReplicas: 2, availableReplicas: 2, observedGeneration: 1 }))
  const [pod] = await items<Pod>(c, PODS)
  assert.deepStrictEqual([pod?.metadata.ownerReferences?.map((o) => [o.kind, o.name, o.controller]), pod?.metadata.generateName], [[['ReplicationController', 'rc', true]], 'rc-'])
  await c.client.patch(PODS, pod?.metadata.name ?? '', 'default', 'application/merge-patch+json', { metadata: { labels: { app: 'other' } } })
  await c.until('the stranger is released and replaced', async () => {
    const pods = await items<Pod>(c, PODS)
    assert.deepStrictEqual(pods.map((p) => `${p.metadata.labels?.['app']} ${p.metadata.ownerReferences?.length ?? 0}`).sort(), ['other 0', 'rc 1', 'rc 1'])
  })
  await c.client.delete(REPLICATION_CONTROLLERS, 'rc', 'default', { propagationPolicy: 'Orphan' })
  await c.until('it is gone, its pods are not', async () => {
    assert.deepStrictEqual([(await items(c, REPLICATION_CONTROLLERS)).length, (await items<Pod>(c, PODS)).filter((p) => p.metadata.labels?.['app'] === 'rc').map((p) => p.metadata.ownerReferences?.length ?? 0)], [0, [0, 0]])
  })
})
