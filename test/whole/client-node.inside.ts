/**
 * @kubernetes/client-node against a cluster: run by other-clients.test.ts on a lab host, with KUBECONFIG, and POD naming
 * a pod of the shop (shop.ts) in namespace shop. Every wait ends: each test has a deadline.
 */
import { deepStrictEqual, match, ok, rejects, strictEqual } from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { PassThrough, Readable } from 'node:stream'
import { before, describe, test } from 'node:test'
import {
  ApiException, AppsV1Api, Attach, AutoscalingV1Api, AutoscalingV2Api, CoordinationV1Api, CoreV1Api, Exec, KubeConfig, KubernetesObjectApi, Log, makeInformer, Metrics, PatchStrategy, PolicyV1Api, PortForward, setHeaderOptions, VersionApi,
  V1MicroTime, Watch, type KubernetesObject, type V1ConfigMap, type V1Pod, type V1Status,
} from '@kubernetes/client-node'

const NAMESPACE = 'shop'
const POD = process.env['POD'] ?? ''
const DEADLINE = { timeout: 30_000 }
const config = new KubeConfig()
config.loadFromDefault()
const core = config.makeApiClient(CoreV1Api)
const apps = config.makeApiClient(AppsV1Api)
const as = (strategy: string) => setHeaderOptions('Content-Type', strategy)
const codeOf = (code: number) => (error: unknown) => error instanceof ApiException && error.code === code

/** Without the classes that the client makes. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

const changed = <T extends object>(object: T, by: Partial<T>): T => Object.assign(Object.create(Object.getPrototypeOf(object) as object) as T, object, by)

/** Collects what a stream said; `until` resolves when it matches. */
class Heard extends PassThrough {
  text = ''
  constructor() {
    super()
    this.on('data', (chunk: Buffer) => { this.text += chunk.toString('latin1'); this.emit('heard') })
  }
  async until(pattern: RegExp): Promise<string> {
    for (;;) {
      const found = pattern.exec(this.text)
      if (found) return found[0]
      await once(this, 'heard')
    }
  }
}

describe('client-node', () => {
  before(async () => {
    await core.createNamespace({ body: { metadata: { name: 'client' } } })
  })

  test('the version, the lists of groups and resources are understood', DEADLINE, async () => {
    match((await config.makeApiClient(VersionApi).getCode()).gitVersion, /^v1\.36\.\d+\+skiff/)
    const names = (await core.getAPIResources()).resources.map((r) => r.name)
    ok(['pods', 'pods/exec', 'services/proxy'].every((n) => names.includes(n)), names.join(' '))
  })

  test('objects are created, read, replaced and deleted; refusals are ApiExceptions with a Status', DEADLINE, async () => {
    const at = { namespace: 'client', name: 'crud' }
    const made = await core.createNamespacedConfigMap({ namespace: 'client', body: { metadata: { name: 'crud' }, data: { a: '1' }, binaryData: { b: Buffer.from('\0bytes').toString('base64') } } })
    ok(made.metadata?.creationTimestamp instanceof Date && made.metadata.uid)
    await rejects(core.createNamespacedConfigMap({ namespace: 'client', body: { metadata: { name: 'crud' } } }), (error) => codeOf(409)(error) && /configmaps \\"crud\\" already exists/.test(String((error as ApiException<string>).body)))
    const replaced = await core.replaceNamespacedConfigMap({ ...at, body: changed(made, { data: { a: '2' } }) })
    deepStrictEqual([replaced.data, replaced.binaryData, replaced.metadata?.uid], [{ a: '2' }, made.binaryData, made.metadata.uid])
    await rejects(core.replaceNamespacedConfigMap({ ...at, body: changed(made, { data: { a: '3' } }) }), codeOf(409))
    strictEqual((await core.deleteNamespacedConfigMap({ ...at, body: { preconditions: { uid: made.metadata.uid } } })).status, 'Success')
    await rejects(core.readNamespacedConfigMap(at), codeOf(404))
    await rejects(core.createNamespacedPod({ namespace: 'client', body: { metadata: { name: 'bad' }, spec: { containers: [] } } }), codeOf(422))
    for (const name of ['x', 'y', 'z']) await core.createNamespacedConfigMap({ namespace: 'client', body: { metadata: { name, labels: { set: 'many' } } } })
    const page = await core.listNamespacedConfigMap({ namespace: 'client', labelSelector: 'set in (many)', limit: 2 })
    const rest = await core.listNamespacedConfigMap({ namespace: 'client', labelSelector: 'set in (many)', limit: 2, ...(page.metadata?._continue !== undefined && { _continue: page.metadata._continue }) })
    deepStrictEqual([[...page.items, ...rest.items].map((o) => o.metadata?.name), page.metadata?.remainingItemCount, rest.metadata?._continue], [['x', 'y', 'z'], undefined, undefined])
    await core.deleteCollectionNamespacedConfigMap({ namespace: 'client', labelSelector: 'set=many' })
    strictEqual((await core.listNamespacedConfigMap({ namespace: 'client', labelSelector: 'set=many' })).items.length, 0)
  })

  test('all kinds of patches, server-side apply with its conflicts, scale and status', DEADLINE, async () => {
    const at = { namespace: 'client', name: 'patched' }
    await apps.createNamespacedDeployment({ namespace: 'client', body: { metadata: { name: 'patched' }, spec: { replicas: 0, selector: { matchLabels: { a: 'b' } }, template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'one', image: 'busybox:1', env: [{ name: 'A', value: '1' }] }] } } } } })
    await apps.patchNamespacedDeployment({ ...at, body: [{ op: 'test', path: '/spec/replicas', value: 0 }, { op: 'add', path: '/metadata/labels', value: { json: 'patch' } }] }, as(PatchStrategy.JsonPatch))
    await apps.patchNamespacedDeployment({ ...at, body: { metadata: { labels: { merge: 'patch' } } } }, as(PatchStrategy.MergePatch))
    const { metadata, spec } = await apps.patchNamespacedDeployment({ ...at, body: { spec: { template: { spec: { containers: [{ name: 'one', env: [{ name: 'B', value: '2' }] }, { name: 'two', image: 'busybox:1' }] } } } } }, as(PatchStrategy.StrategicMergePatch))
    const containers = spec?.template.spec?.containers ?? []
    deepStrictEqual([metadata?.labels, containers.map((c) => [c.name, c.image, (c.env ?? []).map((e) => e.name)]).toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1))], [{ json: 'patch', merge: 'patch' }, [['one', 'busybox:1', ['B', 'A']], ['two', 'busybox:1', []]]])
    const apply = (fieldManager: string, value: string, force?: boolean) => core.patchNamespacedConfigMap({ namespace: 'client', name: 'applied', fieldManager, ...(force !== undefined && { force }), body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'applied' }, data: { key: value } } }, as(PatchStrategy.ServerSideApply))
    deepStrictEqual((await apply('one', 'a')).metadata?.managedFields?.map((f) => [f.manager, f.operation, f.fieldsV1]), [['one', 'Apply', { 'f:data': { 'f:key': {} } }]])
    await rejects(apply('two', 'b'), codeOf(409))
    strictEqual((await apply('two', 'b', true)).data?.['key'], 'b')
    const scale = await apps.readNamespacedDeploymentScale(at)
    strictEqual((await apps.replaceNamespacedDeploymentScale({ ...at, body: changed(scale, { spec: { replicas: 0 } }) })).status?.selector, 'a=b')
    ok((await apps.readNamespacedDeploymentStatus(at)).status)
  })

  test('a client that knows no kinds finds them by discovery', DEADLINE, async () => {
    const any = KubernetesObjectApi.makeApiClient(config)
    const object = { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', metadata: { name: 'any', namespace: 'client' }, spec: { minAvailable: '50%', selector: { matchLabels: { a: 'b' } } } }
    await any.create(object)
    const patched = await any.patch({ ...object, spec: { minAvailable: 1 } } as KubernetesObject, undefined, undefined, undefined, undefined, PatchStrategy.MergePatch)
    deepStrictEqual(plain((patched as typeof object).spec), { minAvailable: 1, selector: { matchLabels: { a: 'b' } } })
    const typed = await config.makeApiClient(PolicyV1Api).readNamespacedPodDisruptionBudget({ namespace: 'client', name: 'any' })
    deepStrictEqual([typed.spec?.minAvailable, (await any.list('policy/v1', 'PodDisruptionBudget', 'client')).items.length], [1, 1])
    await any.delete(object)
    await rejects(any.read({ ...object }), codeOf(404))
  })

  test('a watch tells what happens until it is ended by either side', DEADLINE, async () => {
    const { metadata } = await core.listNamespacedConfigMap({ namespace: 'client' })
    const events: string[] = []
    const path = '/api/v1/namespaces/client/configmaps'
    const seen = Promise.withResolvers<undefined>()
    const watch = new Watch(config)
    const ended = Promise.withResolvers<unknown>()
    const aborter = await watch.watch(path, { resourceVersion: metadata?.resourceVersion, fieldSelector: 'metadata.name=seen' }, (type, object: V1ConfigMap) => {
      events.push(`${type} ${object.metadata?.name} ${object.data?.['n']}`)
      if (type === 'DELETED') seen.resolve(undefined)
    }, (error: unknown) => ended.resolve(error))
    await core.createNamespacedConfigMap({ namespace: 'client', body: { metadata: { name: 'seen' }, data: { n: '1' } } })
    await core.createNamespacedConfigMap({ namespace: 'client', body: { metadata: { name: 'unseen' } } })
    await core.patchNamespacedConfigMap({ namespace: 'client', name: 'seen', body: { data: { n: '2' } } }, as(PatchStrategy.MergePatch))
    await core.deleteNamespacedConfigMap({ namespace: 'client', name: 'seen' })
    await seen.promise
    deepStrictEqual(events, ['ADDED seen 1', 'MODIFIED seen 2', 'DELETED seen 2'])
    aborter.abort()
    strictEqual((await ended.promise as Error).name, 'AbortError')
    const short = Promise.withResolvers<unknown>()
    await watch.watch(path, { resourceVersion: metadata?.resourceVersion, timeoutSeconds: 1 }, () => undefined, short.resolve)
    strictEqual(await short.promise, null)
  })

  test('an informer holds what is there and tells each change once', DEADLINE, async () => {
    const made = (name: string) => core.createNamespacedSecret({ namespace: 'client', body: { metadata: { name, labels: { informed: 'yes' } }, stringData: { k: name } } })
    await made('first')
    const informer = makeInformer(config, '/api/v1/namespaces/client/secrets', () => core.listNamespacedSecret({ namespace: 'client', labelSelector: 'informed=yes' }), 'informed=yes')
    const told: string[] = []
    const news = new PassThrough()
    for (const verb of ['add', 'update', 'delete'] as const) {
      informer.on(verb, (o) => { told.push(`${verb} ${o.metadata?.name}`); news.emit('news') })
    }
    const failed: unknown[] = []
    informer.on('error', (error) => failed.push(error))
    await informer.start()
    await made('second')
    await core.patchNamespacedSecret({ namespace: 'client', name: 'first', body: { metadata: { annotations: { a: 'b' } } } }, as(PatchStrategy.MergePatch))
    await core.deleteNamespacedSecret({ namespace: 'client', name: 'second' })
    while (!told.includes('delete second')) await once(news, 'news')
    deepStrictEqual([told, informer.list('client').map((o) => [o.metadata?.name, o.metadata?.annotations, Buffer.from(o.data?.['k'] ?? '', 'base64').toString()]), failed], [['add first', 'add second', 'update first', 'delete second'], [['first', { a: 'b' }, 'first']], []])
    await informer.stop()
  })

  test('leases are taken over as leader election does, with times in microseconds', DEADLINE, async () => {
    const leases = config.makeApiClient(CoordinationV1Api)
    const now = new V1MicroTime('2026-01-02T03:04:05.678Z')
    const made = await leases.createNamespacedLease({ namespace: 'client', body: { metadata: { name: 'leader' }, spec: { holderIdentity: 'one', leaseDurationSeconds: 15, acquireTime: now, renewTime: now, leaseTransitions: 0 } } })
    deepStrictEqual([made.spec?.holderIdentity, plain(made.spec?.renewTime)], ['one', '2026-01-02T03:04:05.678000Z'])
    await leases.replaceNamespacedLease({ namespace: 'client', name: 'leader', body: changed(made, { spec: { holderIdentity: 'two' } }) })
    await rejects(leases.replaceNamespacedLease({ namespace: 'client', name: 'leader', body: made }), codeOf(409))
  })

  test('autoscaling/v1 shows what autoscaling/v2 keeps', DEADLINE, async () => {
    const scalers = config.makeApiClient(AutoscalingV1Api)
    const made = await scalers.createNamespacedHorizontalPodAutoscaler({ namespace: 'client', body: { metadata: { name: 'h' }, spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'patched' }, maxReplicas: 3, targetCPUUtilizationPercentage: 60 } } })
    deepStrictEqual([made.apiVersion, made.spec?.targetCPUUtilizationPercentage, made.spec?.minReplicas], ['autoscaling/v1', 60, 1])
    const kept = await config.makeApiClient(AutoscalingV2Api).readNamespacedHorizontalPodAutoscaler({ namespace: 'client', name: 'h' })
    deepStrictEqual(plain(kept.spec?.metrics), [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 60 } } }])
  })

  test('exec over WebSocket: streams kept apart, stdin to its end, exit codes, bytes unharmed', DEADLINE, async () => {
    const exec = new Exec(config)
    const run = async (command: string[], input?: Buffer): Promise<{ out: Buffer; error: string; status: V1Status }> => {
      const [out, error] = [new Heard(), new Heard()]
      const status = Promise.withResolvers<V1Status>()
      await exec.exec(NAMESPACE, POD, 'web', command, out, error, input ? Readable.from([input]) : null, false, status.resolve)
      return { status: await status.promise, out: Buffer.from(out.text, 'latin1'), error: error.text }
    }
    const both = await run(['sh', '-c', 'echo out; echo err >&2; exit 7'])
    deepStrictEqual([both.out.toString(), both.error, both.status.status, both.status.reason, both.status.details?.causes], ['out\n', 'err\n', 'Failure', 'NonZeroExitCode', [{ reason: 'ExitCode', message: '7' }]])
    const bytes = randomBytes(1_000_000)
    const summed = await run(['sh', '-c', `head -c ${bytes.length} | sha256sum`], bytes)
    deepStrictEqual([summed.status.status, summed.out.toString()], ['Success', `${createHash('sha256').update(bytes).digest('hex')}  -\n`])
    const sent = await run(['head', '-c', '500000', '/dev/zero'])
    strictEqual(sent.out.length, 500_000)
    match((await run(['/none'])).status.message ?? '', /none/)
  })

  test('attach hears the container; logs are followed to their end, limited, and refused', DEADLINE, async () => {
    const heard = new Heard()
    const socket = await new Attach(config).attach(NAMESPACE, POD, 'side', heard, null, null, false)
    await heard.until(/tick \d+\n/)
    socket.close()
    // To its end: whoever breaks off gets an error event that this client leaves unhandled.
    await core.createNamespacedPod({ namespace: 'client', body: { metadata: { name: 'short' }, spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'busybox:1', command: ['sh', '-c', 'echo one; sleep 1; echo two'] }] } } })
    const started = Promise.withResolvers<undefined>()
    const watching = await new Watch(config).watch('/api/v1/namespaces/client/pods', { fieldSelector: 'metadata.name=short' }, (_type, o: V1Pod) => { if (o.status?.phase === 'Running') started.resolve(undefined) }, () => undefined)
    await started.promise
    watching.abort()
    const followed = new Heard()
    const ended = once(followed, 'end')
    await new Log(config).log('client', 'short', 'c', followed, { follow: true, timestamps: true })
    await ended
    match(followed.text, /^\d{4}-\d\d-\d\dT\S+ one\n\d{4}-\d\d-\d\dT\S+ two\n$/)
    strictEqual(await core.readNamespacedPodLog({ namespace: NAMESPACE, name: POD, container: 'side', limitBytes: 14 }), 'tick 0\ntick 1\n')
    await rejects(core.readNamespacedPodLog({ namespace: NAMESPACE, name: POD, container: 'none' }), codeOf(400))
  })

  test('a port is forwarded over WebSocket, both ways', DEADLINE, async () => {
    const [out, errors, input] = [new Heard(), new Heard(), new PassThrough()]
    const socket = await new PortForward(config).portForward(NAMESPACE, POD, [8080], out, errors, input)
    input.write('GET / HTTP/1.0\r\n\r\n')
    strictEqual(await out.until(new RegExp(`\r\n\r\n${POD}\n`)), `\r\n\r\n${POD}\n`)
    strictEqual(errors.text, '')
    if (typeof socket !== 'function') socket.close()
  })

  test('pods, services and nodes are reached through the API server', DEADLINE, async () => {
    const pod: V1Pod = await core.readNamespacedPod({ namespace: NAMESPACE, name: POD })
    strictEqual(await core.connectGetNamespacedPodProxyWithPath({ namespace: NAMESPACE, name: `http:${POD}:8080`, path: 'index.html' }), `${POD}\n`)
    match(await core.connectGetNamespacedServiceProxy({ namespace: NAMESPACE, name: 'web:http' }), /^web-\S+\n$/)
    strictEqual(await core.connectGetNodeProxyWithPath({ name: pod.spec?.nodeName ?? '', path: 'healthz' }), 'ok')
    await rejects(core.connectGetNamespacedServiceProxy({ namespace: NAMESPACE, name: 'web:81' }), codeOf(503))
    await rejects(new Metrics(config).getNodeMetrics(), codeOf(404))
  })

  test('an eviction is an eviction, and a service account gets its token', DEADLINE, async () => {
    await core.createNamespacedPod({ namespace: 'client', body: { metadata: { name: 'evicted' }, spec: { nodeSelector: { none: 'such' }, containers: [{ name: 'c', image: 'busybox:1' }] } } })
    await core.createNamespacedPodEviction({ namespace: 'client', name: 'evicted', body: { metadata: { name: 'evicted' } } })
    await rejects(core.readNamespacedPod({ namespace: 'client', name: 'evicted' }), codeOf(404))
    const { status } = await core.createNamespacedServiceAccountToken({ namespace: 'client', name: 'default', body: { spec: { audiences: [], expirationSeconds: 3600 } } })
    const asAccount = new KubeConfig()
    const cluster = config.getCurrentCluster()
    ok(cluster && status?.token)
    asAccount.loadFromClusterAndUser(cluster, { name: 'sa', token: status.token })
    await rejects(asAccount.makeApiClient(CoreV1Api).listNamespacedPod({ namespace: 'client' }), (error) => codeOf(403)(error) && /system:serviceaccount:client:default/.test(String((error as ApiException<string>).body)))
  })
})
