/** Workloads but Deployments, each through its life, on an API server of their own. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CONTROLLER_REVISIONS, CRON_JOBS, DAEMON_SETS, DEPLOYMENTS, ENDPOINTS, ENDPOINT_SLICES, EVENTS, JOBS, PERSISTENT_VOLUMES, PERSISTENT_VOLUME_CLAIMS, NODES, PODS, SERVICES, STATEFUL_SETS, VOLUME_ATTACHMENTS, type ControllerRevision, type CoreV1Event, type CronJob, type DaemonSet, type EndpointSlice, type Job, type KubeObject, type PersistentVolume, type PersistentVolumeClaim, type Pod, type ResourceRef, type ResourceV1ResourceClaim, type StatefulSet, type Stored, type Node, type V2HorizontalPodAutoscaler as Autoscaler, type VolumeAttachment } from '#api/types/index.ts'
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

test('a StatefulSet makes its pods in order with their claims, rolls out from the last, keeps to a partition, scales down from the last and keeps or gives up claims', async () => {
  await using c = await startCluster()
  await c.addNode('a')
  const set = {
    apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: { name: 'db', namespace: 'default' },
    spec: {
      replicas: 3, serviceName: 'db', selector: { matchLabels: { app: 'db' } }, template: template('db'), persistentVolumeClaimRetentionPolicy: { whenScaled: 'Delete', whenDeleted: 'Retain' },
      volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } }],
    },
  }
  await c.client.create(STATEFUL_SETS, set as KubeObject)
  const now = () => c.client.get<StatefulSet>(STATEFUL_SETS, 'db', 'default')
  const images = async () => (await items<Pod>(c, PODS)).map((p) => `${p.metadata.name} ${imageOf(p)} ${p.status?.phase}`).sort()
  await c.until('three pods', async () => {
    assert.deepStrictEqual(await images(), ['db-0 v1 Running', 'db-1 v1 Running', 'db-2 v1 Running'])
    const { status } = await now()
    assert.deepStrictEqual({ ...status, currentRevision: '', updateRevision: '' }, { availableReplicas: 3, collisionCount: 0, currentReplicas: 3, currentRevision: '', observedGeneration: 1, readyReplicas: 3, replicas: 3, updateRevision: '', updatedReplicas: 3 })
  })
  const pods = await items<Pod>(c, PODS)
  const [first] = pods
  assert.deepStrictEqual(pods.map((p) => p.metadata.creationTimestamp).toSorted(), pods.map((p) => p.metadata.creationTimestamp))
  assert.deepStrictEqual([first?.spec?.hostname, first?.spec?.subdomain, first?.metadata.labels?.['apps.kubernetes.io/pod-index'], first?.metadata.labels?.['statefulset.kubernetes.io/pod-name'], first?.metadata.labels?.['controller-revision-hash'], first?.spec?.volumes?.find((v) => v.name === 'data')?.persistentVolumeClaim?.claimName], ['db-0', 'db', '0', 'db-0', (await now()).status?.currentRevision, 'data-db-0'])
  const update = (spec: object) => c.client.patch(STATEFUL_SETS, 'db', 'default', merge, { spec })
  await update({ updateStrategy: { rollingUpdate: { partition: 2 } }, template: { spec: { containers: [{ name: 'c', image: 'v2' }] } } })
  await c.until('only the last is new', async () => {
    assert.deepStrictEqual(await images(), ['db-0 v1 Running', 'db-1 v1 Running', 'db-2 v2 Running'])
    const { status } = await now()
    assert.deepStrictEqual([status?.currentReplicas, status?.updatedReplicas, status?.currentRevision === status?.updateRevision], [2, 1, false])
  })
  // What is lost below the partition comes back as it was.
  await c.client.delete(PODS, 'db-0', 'default')
  await c.until('db-0 is back', async () => assert.deepStrictEqual([await images(), (await c.client.get<Pod>(PODS, 'db-0', 'default')).metadata.uid === first?.metadata.uid], [['db-0 v1 Running', 'db-1 v1 Running', 'db-2 v2 Running'], false]))
  await update({ updateStrategy: { rollingUpdate: { partition: 0 } } })
  await c.until('all are new', async () => {
    assert.deepStrictEqual(await images(), ['db-0 v2 Running', 'db-1 v2 Running', 'db-2 v2 Running'])
    const { status } = await now()
    assert.equal(status?.currentRevision, status?.updateRevision)
  })
  await update({ replicas: 1 })
  await c.until('the first is left', async () => {
    const claims = await items<PersistentVolumeClaim>(c, PERSISTENT_VOLUME_CLAIMS)
    assert.deepStrictEqual([await images(), claims.map((p) => p.metadata.name)], [['db-0 v2 Running'], ['data-db-0']])
  })
  const events = (await items<CoreV1Event>(c, EVENTS)).filter((e) => e.involvedObject.name === 'db').map((e) => `${e.reason}: ${e.message}`)
  for (const expected of ['SuccessfulCreate: create Claim data-db-0 Pod db-0 in StatefulSet db success', 'SuccessfulCreate: create Pod db-0 in StatefulSet db successful', 'SuccessfulDelete: delete Pod db-2 in StatefulSet db successful']) assert.ok(events.includes(expected), `${expected} is not in ${events.join('\n')}`)
  await c.client.delete(STATEFUL_SETS, 'db', 'default', { propagationPolicy: 'Background' })
  await c.until('its claim stays', async () => assert.deepStrictEqual([await images(), (await items(c, PERSISTENT_VOLUME_CLAIMS)).length], [[], 1]))
})

test('a StatefulSet that may do so makes all pods at once, and begins where it is told', async () => {
  await using c = await startCluster()
  await c.addNode('a')
  await c.client.create(STATEFUL_SETS, { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: { name: 'p', namespace: 'default' }, spec: { replicas: 3, podManagementPolicy: 'Parallel', ordinals: { start: 5 }, selector: { matchLabels: { app: 'p' } }, template: { ...template('p'), metadata: { labels: { app: 'p' }, annotations: { 'test/stuck': '1' } } } } } as KubeObject)
  await c.until('all are made though none runs', async () => assert.deepStrictEqual((await items<Pod>(c, PODS)).map((p) => p.metadata.name).sort(), ['p-5', 'p-6', 'p-7']))
})

const jobOf = (name: string, spec: object, annotations: Record<string, string> = {}) => ({
  apiVersion: 'batch/v1', kind: 'Job', metadata: { name, namespace: 'default' },
  spec: { ...spec, template: { metadata: { annotations }, spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'v1' }] } } },
}) as KubeObject
const conditionsOf = (job: Job) => (job.status?.conditions ?? []).map((x) => `${x.type} ${x.status} ${x.reason}: ${x.message}`)
const without = ({ conditions: _c, startTime, completionTime, ...rest }: NonNullable<Job['status']>) => ({ ...rest, started: startTime !== undefined, completed: completionTime !== undefined })

test('a Job runs its pods, counts each once, and says that it is complete; pods keep no finalizer', async () => {
  await using c = await startCluster()
  await c.addNode('a')
  await c.client.create(JOBS, jobOf('j', { completions: 5, parallelism: 2 }, { 'test/ends': '0' }))
  await c.until('complete', async () => {
    const job = await c.client.get<Job>(JOBS, 'j', 'default')
    assert.deepStrictEqual(conditionsOf(job), ['SuccessCriteriaMet', 'Complete'].map((t) => `${t} True CompletionsReached: Reached expected number of succeeded pods`))
    assert.deepStrictEqual(without(job.status ?? {}), { completed: true, ready: 0, started: true, succeeded: 5, terminating: 0, uncountedTerminatedPods: {} })
  })
  const pods = await items<Pod>(c, PODS)
  assert.deepStrictEqual(pods.map((p) => [p.metadata.finalizers, p.status?.phase, p.metadata.labels?.['batch.kubernetes.io/job-name']]), Array(5).fill([undefined, 'Succeeded', 'j']))
  await c.until('events', async () => assert.deepStrictEqual(await eventsOf(c, 'j'), ['Normal Completed', 'Normal SuccessfulCreate']))
  await c.client.delete(JOBS, 'j', 'default', { propagationPolicy: 'Background' })
  await c.until('its pods go with it', async () => assert.deepStrictEqual(await items(c, PODS), []))
})

test('a Job that fails too often, or whose policy says so, is failed and loses its pods', async () => {
  await using c = await startCluster()
  await c.addNode('a')
  await c.client.create(JOBS, jobOf('often', { backoffLimit: 0 }, { 'test/ends': '1' }))
  await c.client.create(JOBS, jobOf('policy', { parallelism: 1, completions: 3, podFailurePolicy: { rules: [{ action: 'FailJob', onExitCodes: { operator: 'In', values: [42] } }] } }, { 'test/ends': '42' }))
  await c.until('both failed', async () => {
    const [often, policy] = [await c.client.get<Job>(JOBS, 'often', 'default'), await c.client.get<Job>(JOBS, 'policy', 'default')]
    assert.deepStrictEqual(conditionsOf(often), ['FailureTarget', 'Failed'].map((t) => `${t} True BackoffLimitExceeded: Job has reached the specified backoff limit`))
    assert.deepStrictEqual(without(often.status ?? {}), { completed: false, failed: 1, ready: 0, started: true, terminating: 0, uncountedTerminatedPods: {} })
    const [pod] = (await items<Pod>(c, PODS)).filter((p) => p.metadata.name.startsWith('policy'))
    assert.deepStrictEqual(conditionsOf(policy), ['FailureTarget', 'Failed'].map((t) => `${t} True PodFailurePolicy: Container c for pod default/${pod?.metadata.name} failed with exit code 42 matching FailJob rule at index 0`))
  })
  await c.until('event', async () => assert.ok((await eventsOf(c, 'often')).includes('Warning BackoffLimitExceeded')))
})

test('an indexed Job gives each pod an index, fails indexes one by one, and is suspended and resumed', async () => {
  await using c = await startCluster()
  await c.addNode('a')
  await c.client.create(JOBS, jobOf('ix', { suspend: true, completionMode: 'Indexed', completions: 4, parallelism: 4, backoffLimitPerIndex: 0 }))
  const now = () => c.client.get<Job>(JOBS, 'ix', 'default')
  await c.until('suspended', async () => assert.deepStrictEqual(conditionsOf(await now()), ['Suspended True JobSuspended: Job suspended']))
  assert.deepStrictEqual(await items(c, PODS), [])
  await c.client.patch(JOBS, 'ix', 'default', merge, { spec: { suspend: false } })
  await c.until('four run', async () => assert.deepStrictEqual([(await now()).status?.ready, conditionsOf(await now())], [4, ['Suspended False JobResumed: Job resumed']]))
  const pods = (await items<Pod>(c, PODS)).toSorted((a, b) => ((a.spec?.hostname ?? '') < (b.spec?.hostname ?? '') ? -1 : 1))
  assert.deepStrictEqual(pods.map((p) => [p.spec?.hostname, p.metadata.annotations?.['batch.kubernetes.io/job-completion-index'], p.metadata.labels?.['batch.kubernetes.io/job-completion-index'], /^ix-\d-[a-z0-9]{5}$/.test(p.metadata.name), p.spec?.containers[0]?.env?.[0]?.name]), [0, 1, 2, 3].map((i) => [`ix-${i}`, String(i), String(i), true, 'JOB_COMPLETION_INDEX']))
  const end = (i: number, phase: string) => c.client.patch(PODS, pods[i]?.metadata.name ?? '', 'default', merge, { status: { phase } }, { subresource: 'status' })
  for (const [i, phase] of ['Succeeded', 'Failed', 'Succeeded', 'Succeeded'].entries()) await end(i, phase)
  await c.until('failed for one index', async () => {
    const job = await now()
    assert.deepStrictEqual([job.status?.completedIndexes, job.status?.failedIndexes, job.status?.succeeded, job.status?.failed, conditionsOf(job).at(-1)], ['0,2,3', '1', 3, 1, 'Failed True FailedIndexes: Job has failed indexes'])
  })
})

test('a Job whose time is over, one that is done early, and one that is made smaller', async () => {
  await using c = await startCluster()
  await c.addNode('a')
  await c.client.create(JOBS, jobOf('late', { activeDeadlineSeconds: 1 }))
  await c.client.create(JOBS, jobOf('early', { completionMode: 'Indexed', completions: 3, parallelism: 3, successPolicy: { rules: [{ succeededIndexes: '1' }] } }))
  await c.client.create(JOBS, jobOf('less', { parallelism: 3 }))
  await c.until('they run', async () => assert.deepStrictEqual((await items<Pod>(c, PODS)).filter((p) => p.status?.phase === 'Running' && !p.metadata.name.startsWith('late')).length, 6))
  await c.client.patch(JOBS, 'less', 'default', merge, { spec: { parallelism: 1 } })
  const one = (await items<Pod>(c, PODS)).find((p) => p.spec?.hostname === 'early-1')
  await c.client.patch(PODS, one?.metadata.name ?? '', 'default', merge, { status: { phase: 'Succeeded' } }, { subresource: 'status' })
  await c.until('as they should be', async () => {
    const [late, early, less] = [await c.client.get<Job>(JOBS, 'late', 'default'), await c.client.get<Job>(JOBS, 'early', 'default'), await c.client.get<Job>(JOBS, 'less', 'default')]
    assert.deepStrictEqual([conditionsOf(late).at(-1), conditionsOf(early).at(-1), early.status?.completedIndexes, less.status?.active, less.status?.failed], ['Failed True DeadlineExceeded: Job was active longer than specified deadline', 'Complete True SuccessPolicy: Matched rules at index 0', '1', 1, undefined])
  })
})

test('a CronJob starts a Job when it is due and notes its success', async () => {
  await using c = await startCluster()
  await c.addNode('a')
  await c.client.create(CRON_JOBS, { apiVersion: 'batch/v1', kind: 'CronJob', metadata: { name: 'cron', namespace: 'default' }, spec: { schedule: '@every 1s', jobTemplate: { metadata: { labels: { of: 'cron' } }, spec: { template: { metadata: { annotations: { 'test/ends': '0' } }, spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'v1' }] } } } } } } as KubeObject)
  await c.until('a job has succeeded', async () => {
    const { status } = await c.client.get<CronJob>(CRON_JOBS, 'cron', 'default')
    assert.deepStrictEqual([status?.lastScheduleTime !== undefined, status?.lastSuccessfulTime !== undefined, status?.active], [true, true, undefined])
  })
  const [job] = await items<Job>(c, JOBS)
  assert.deepStrictEqual([/^cron-\d+$/.test(job?.metadata.name ?? ''), job?.metadata.labels?.['of'], job?.metadata.ownerReferences?.map((o) => `${o.kind} ${o.name} ${o.controller}`)], [true, 'cron', ['CronJob cron true']])
  await c.until('events', async () => assert.deepStrictEqual((await eventsOf(c, 'cron')).slice(0, 2), ['Normal SawCompletedJob', 'Normal SuccessfulCreate']))
})

test('a claim is bound to a volume that will do, and the volume is released when the claim goes', async () => {
  await using c = await startCluster()
  const pv = { apiVersion: 'v1', kind: 'PersistentVolume', metadata: { name: 'pv' }, spec: { capacity: { storage: '2Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/tmp/x' }, storageClassName: '' } } as KubeObject
  const pvc = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: 'c', namespace: 'default' }, spec: { accessModes: ['ReadWriteOnce'], storageClassName: '', resources: { requests: { storage: '1Gi' } } } } as KubeObject
  await c.client.create(PERSISTENT_VOLUME_CLAIMS, pvc)
  const claim = () => c.client.get<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, 'c', 'default')
  const volume = () => c.client.get<PersistentVolume>(PERSISTENT_VOLUMES, 'pv')
  await c.until('told that there is none', async () => assert.deepStrictEqual([(await claim()).status, await eventsOf(c, 'c')], [{ phase: 'Pending' }, ['Normal FailedBinding']]))
  await c.client.create(PERSISTENT_VOLUMES, pv)
  await c.until('bound', async () => {
    const [{ spec, status, metadata }, v] = [await claim(), await volume()]
    assert.deepStrictEqual([spec?.volumeName, status, metadata.annotations, v.status?.phase, v.spec?.claimRef?.uid === metadata.uid], ['pv', { phase: 'Bound', accessModes: ['ReadWriteOnce'], capacity: { storage: '2Gi' } }, { 'pv.kubernetes.io/bind-completed': 'yes', 'pv.kubernetes.io/bound-by-controller': 'yes' }, 'Bound', true])
  })
  await c.client.delete(PERSISTENT_VOLUME_CLAIMS, 'c', 'default')
  await c.until('released', async () => assert.equal((await volume()).status?.phase, 'Released'))
})

test('Endpoints kept by hand are mirrored into slices; ephemeral volumes get their claims; nodes are told how long to keep things', async () => {
  await using c = await startCluster()
  await c.addNode('a')
  await c.client.create(SERVICES, { apiVersion: 'v1', kind: 'Service', metadata: { name: 'out', namespace: 'default' }, spec: { ports: [{ port: 80 }], clusterIP: '10.43.0.77', clusterIPs: ['10.43.0.77'] } } as KubeObject)
  const endpoints = (addresses: object[], labels = {}) => ({ apiVersion: 'v1', kind: 'Endpoints', metadata: { name: 'out', namespace: 'default', labels: { a: 'b', ...labels } }, subsets: [{ addresses, notReadyAddresses: [{ ip: '192.0.2.9' }], ports: [{ name: 'http', port: 8080 }] }] }) as KubeObject
  await c.client.create(ENDPOINTS, endpoints([{ ip: '192.0.2.1' }, { ip: '2001:db8::1' }]))
  const mirrored = async () => (await items<EndpointSlice>(c, ENDPOINT_SLICES)).filter((s) => s.metadata.labels?.['kubernetes.io/service-name'] === 'out').toSorted((a, b) => (a.addressType < b.addressType ? -1 : 1)).map((s) => [s.addressType, (s.endpoints ?? []).map((e) => `${e.addresses.join()} ${e.conditions?.ready}`), s.ports, s.metadata.labels?.['a'], s.metadata.labels?.['endpointslice.kubernetes.io/managed-by'], s.metadata.ownerReferences?.[0]?.kind])
  const of = (type: string, ends: string[]) => [type, ends, [{ name: 'http', port: 8080, protocol: 'TCP' }], 'b', 'endpointslicemirroring-controller.k8s.io', 'Endpoints']
  await c.until('both families', async () => assert.deepStrictEqual(await mirrored(), [of('IPv4', ['192.0.2.1 true', '192.0.2.9 false']), of('IPv6', ['2001:db8::1 true'])]))
  await c.client.patch(ENDPOINTS, 'out', 'default', merge, { subsets: [{ addresses: [{ ip: '192.0.2.2' }], ports: [{ name: 'http', port: 8080 }] }] })
  await c.until('followed', async () => assert.deepStrictEqual(await mirrored(), [of('IPv4', ['192.0.2.2 true'])]))
  await c.client.patch(ENDPOINTS, 'out', 'default', merge, { metadata: { labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } } })
  await c.until('gone', async () => assert.deepStrictEqual(await mirrored(), []))

  await c.client.create(PODS, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'default' }, spec: { containers: [{ name: 'c', image: 'v1' }], volumes: [{ name: 'scratch', ephemeral: { volumeClaimTemplate: { metadata: { labels: { x: 'y' } }, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } } } }] } } as KubeObject)
  await c.until('its claim', async () => assert.deepStrictEqual((await items<PersistentVolumeClaim>(c, PERSISTENT_VOLUME_CLAIMS)).map((p) => [p.metadata.name, p.metadata.labels, p.metadata.ownerReferences?.map((o) => `${o.kind} ${o.name} ${o.controller}`)]), [['p-scratch', { x: 'y' }, ['Pod p true']]]))
  await c.client.delete(PODS, 'p', 'default')
  await c.until('gone with it', async () => assert.deepStrictEqual(await items(c, PERSISTENT_VOLUME_CLAIMS), []))
  assert.equal((await c.client.get(NODES, 'a')).metadata.annotations?.['node.alpha.kubernetes.io/ttl'], '0')
})

test('an autoscaler keeps its target within bounds, and says when it is told nothing', async () => {
  await using c = await startCluster()
  await c.addNode('a')
  const ref = { group: 'autoscaling', version: 'v2', resource: 'horizontalpodautoscalers', kind: 'HorizontalPodAutoscaler', namespaced: true }
  await c.client.create(DEPLOYMENTS, { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web', namespace: 'default' }, spec: { replicas: 1, selector: { matchLabels: { app: 'web' } }, template: template('web') } } as KubeObject)
  await c.client.create(ref, { apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler', metadata: { name: 'web', namespace: 'default' }, spec: { minReplicas: 3, maxReplicas: 5, scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' } } } as KubeObject)
  await c.until('three', async () => assert.equal((await items<Pod>(c, PODS)).filter((p) => p.status?.phase === 'Running').length, 3))
  // Looked at again when it changes.
  await c.client.patch(ref, 'web', 'default', merge, { spec: { maxReplicas: 6 } })
  await c.until('it says why', async () => {
    const { status } = await c.client.get<Autoscaler>(ref, 'web', 'default')
    assert.deepStrictEqual(status?.conditions?.map((x) => `${x.type} ${x.status} ${x.reason}`), ['AbleToScale True SucceededGetScale', 'ScalingActive False FailedGetResourceMetric'])
    assert.equal(status.conditions[1]?.message, 'the HPA was unable to compute the replica count: failed to get cpu utilization: unable to get metrics for resource cpu: unable to fetch metrics from resource metrics API: the server could not find the requested resource')
  })
  await c.until('events', async () => assert.deepStrictEqual(await eventsOf(c, 'web'), ['Normal ScalingReplicaSet', 'Normal SuccessfulRescale', 'Warning FailedComputeMetricsReplicas', 'Warning FailedGetResourceMetric']))
})

test('a CSI volume is attached to the node of its pod, said to be, and let go once the node has let go', async () => {
  await using c = await startCluster()
  await c.addNode('a')
  const claim = { accessModes: ['ReadWriteOnce'], storageClassName: '' }
  await c.client.create(PERSISTENT_VOLUMES, { apiVersion: 'v1', kind: 'PersistentVolume', metadata: { name: 'pv' }, spec: { ...claim, capacity: { storage: '1Gi' }, csi: { driver: 'd.example.com', volumeHandle: 'h1' } } } as KubeObject)
  await c.client.create(PERSISTENT_VOLUME_CLAIMS, { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: 'c', namespace: 'default' }, spec: { ...claim, resources: { requests: { storage: '1Gi' } } } } as KubeObject)
  await c.client.create(PODS, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'default' }, spec: { containers: [{ name: 'c', image: 'v1' }], volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'c' } }] } } as KubeObject)
  const attachments = async () => (await c.client.list<VolumeAttachment>(VOLUME_ATTACHMENTS)).items
  await c.until('asked for', async () => assert.deepStrictEqual((await attachments()).map((a) => [/^csi-[0-9a-f]{64}$/.test(a.metadata.name), a.spec]), [[true, { attacher: 'd.example.com', nodeName: 'a', source: { persistentVolumeName: 'pv' } }]]))
  const [attachment] = await attachments()
  const name = 'kubernetes.io/csi/d.example.com^h1'
  // What the driver's attacher and the kubelet do.
  await c.client.patch(VOLUME_ATTACHMENTS, attachment?.metadata.name ?? '', undefined, merge, { status: { attached: true } }, { subresource: 'status' })
  const inUse = (volumes: string[] | null) => c.client.patch(NODES, 'a', undefined, merge, { status: { volumesInUse: volumes } }, { subresource: 'status' })
  const attached = async () => (await c.client.get<Node>(NODES, 'a')).status?.volumesAttached
  await c.until('said', async () => assert.deepStrictEqual([await attached(), (await eventsOf(c, 'p')).includes('Normal SuccessfulAttachVolume')], [[{ name, devicePath: '' }], true]))
  await inUse([name])
  await c.client.delete(PODS, 'p', 'default')
  await c.until('the pod is gone', async () => assert.deepStrictEqual(await items(c, PODS), []))
  assert.equal((await attachments()).length, 1)
  await inUse(null)
  await c.until('let go', async () => assert.deepStrictEqual([await attached(), await attachments()], [undefined, []]))
})

test('a pod gets its device claim from a template, keeps it while it runs, and gives it back', async () => {
  await using c = await startCluster()
  await c.addNode('a')
  const claims = { group: 'resource.k8s.io', version: 'v1', resource: 'resourceclaims', kind: 'ResourceClaim', namespaced: true }
  const all = () => items<ResourceV1ResourceClaim>(c, claims)
  const create = (kind: string, resource: string, object: object) => c.client.create({ ...claims, resource, kind }, { apiVersion: 'resource.k8s.io/v1', kind, ...object } as KubeObject)
  const spec = { devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'gpio' } }] } }
  const pod = (name: string, template: string) => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'default' }, spec: { containers: [{ name: 'c', image: 'v1', resources: { claims: [{ name: 'pins' }] } }], resourceClaims: [{ name: 'pins', resourceClaimTemplateName: template }] } }) as KubeObject
  await create('ResourceClaimTemplate', 'resourceclaimtemplates', { metadata: { name: 't', namespace: 'default' }, spec: { metadata: { labels: { a: 'b' } }, spec } })
  await c.client.create(PODS, pod('p', 't'))
  await c.until('the claim, named in the status', async () => {
    const [claim, ...more] = await all()
    assert.deepStrictEqual([more, claim?.metadata.labels, claim?.metadata.annotations, claim?.metadata.ownerReferences?.map((o) => `${o.kind} ${o.name} ${o.controller}`)], [[], { a: 'b' }, { 'resource.kubernetes.io/pod-claim-name': 'pins' }, ['Pod p true']])
    assert.deepStrictEqual((await c.client.get<Pod>(PODS, 'p', 'default')).status?.resourceClaimStatuses, [{ name: 'pins', resourceClaimName: claim?.metadata.name }])
  })
  const [claim] = await all()
  const name = claim?.metadata.name ?? ''
  // As a scheduler allocates it.
  await c.client.patch(claims, name, 'default', merge, { metadata: { finalizers: ['resource.kubernetes.io/delete-protection'] } })
  await c.client.patch(claims, name, 'default', merge, { status: { allocation: { devices: { results: [{ request: 'r', driver: 'd.example.com', pool: 'a', device: 'x' }] } } } }, { subresource: 'status' })
  await c.client.patch(PODS, 'p', 'default', merge, { metadata: { labels: { touched: 'yes' } } })
  await c.until('kept for the pod', async () => assert.deepStrictEqual((await all())[0]?.status?.reservedFor?.map((r) => `${r.resource} ${r.name}`), ['pods p']))
  await c.client.patch(PODS, 'p', 'default', merge, { status: { phase: 'Succeeded' } }, { subresource: 'status' })
  await c.until('given back and gone', async () => assert.deepStrictEqual(await all(), []))
  await c.client.create(PODS, pod('q', 'gone'))
  await c.until('told', async () => assert.ok((await eventsOf(c, 'q')).includes('Warning FailedResourceClaimCreation')))
})

test('a migration writes each object of a resource once, and says how it went', async () => {
  await using c = await startCluster()
  const ref = { group: 'storagemigration.k8s.io', version: 'v1beta1', resource: 'storageversionmigrations', kind: 'StorageVersionMigration', namespaced: false }
  const crds = { group: 'apiextensions.k8s.io', version: 'v1', resource: 'customresourcedefinitions', kind: 'CustomResourceDefinition', namespaced: false }
  const version = (name: string, storage: boolean) => ({ name, served: true, storage, schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } } })
  await c.client.create(crds, { apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition', metadata: { name: 'boats.example.com' }, spec: { group: 'example.com', scope: 'Namespaced', names: { plural: 'boats', singular: 'boat', kind: 'Boat', listKind: 'BoatList' }, versions: [version('v1', true), version('v2', false)] } } as KubeObject)
  const boats = { group: 'example.com', version: 'v1', resource: 'boats', kind: 'Boat', namespaced: true }
  await c.until('served', async () => { await c.client.list(boats) })
  const before = await c.client.create(boats, { apiVersion: 'example.com/v1', kind: 'Boat', metadata: { name: 'b', namespace: 'default' }, spec: { sails: 2 } } as KubeObject)
  await c.client.patch(crds, 'boats.example.com', undefined, merge, { spec: { versions: [version('v1', false), version('v2', true)] } })
  const run = async (name: string, resource: object) => {
    await c.client.create(ref, { apiVersion: 'storagemigration.k8s.io/v1beta1', kind: 'StorageVersionMigration', metadata: { name }, spec: { resource } } as KubeObject)
    let said: string[] = []
    await c.until('over', async () => {
      said = ((await c.client.get<KubeObject & { status?: { conditions?: { type: string; status: string; reason: string; message: string }[] } }>(ref, name)).status?.conditions ?? []).map((x) => `${x.type} ${x.status} ${x.reason} ${x.message}`.trim())
      assert.ok(said.length > 0 && !said.at(-1)?.startsWith('Running'))
    })
    return said
  }
  assert.deepStrictEqual(await run('boats', { group: 'example.com', resource: 'boats' }), ['Running False StorageVersionMigrationInProgress', 'Succeeded True StorageVersionMigrationSucceeded'])
  const after = await c.client.get(boats, 'b', 'default')
  assert.deepStrictEqual([(after as unknown as { spec: unknown }).spec, after.metadata.uid === before.metadata.uid, after.metadata.resourceVersion === before.metadata.resourceVersion], [{ sails: 2 }, true, false])
  assert.deepStrictEqual(await run('none', { group: 'example.com', resource: 'ships' }), ['Failed True StorageVersionMigrationFailed resource not found'])
})
