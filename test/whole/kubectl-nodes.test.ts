/** How a user steers nodes: cordon, drain, taints, selectors, and what the scheduler says when nothing fits. */
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Cluster, until } from '../lab/cluster.ts'
import { openShop, runningPods } from './shop.ts'

describe('kubectl and nodes', () => {
  let cluster: Cluster
  const must = (...args: string[]) => cluster.must(['-n', 'shop', ...args])
  const says = async (...args: string[]) => (await must(...args)).trimEnd()
  const nodesOf = async (selector = 'app=web'): Promise<string[]> => {
    const list = JSON.parse(await must('get', 'pods', '-l', selector, '-o', 'json')) as { items: { metadata: { deletionTimestamp?: string }; spec: { nodeName?: string } }[] }
    return list.items.filter((p) => p.metadata.deletionTimestamp === undefined).map((p) => p.spec.nodeName ?? '').toSorted()
  }
  const pod = (name: string, spec: object) => ({ input: JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name, labels: { app: name } }, spec: { terminationGracePeriodSeconds: 0, containers: [{ name: 'c', image: 'busybox:1', command: ['sleep', '1000'] }], ...spec } }) })

  before(async () => {
    cluster = await Cluster.create({ hosts: 2 })
    await openShop(cluster, { namespace: 'shop' })
  })
  after(() => cluster?.destroy())

  test('a cordoned node takes no new pods and keeps those it has', async () => {
    const before = (await nodesOf()).filter((n) => n === 'h2').length
    ok(before > 0)
    strictEqual(await says('cordon', 'h2'), 'node/h2 cordoned')
    strictEqual(await says('cordon', 'h2'), 'node/h2 already cordoned')
    match(await must('get', 'node', 'h2'), /^h2 +Ready,SchedulingDisabled +/m)
    await must('scale', 'deploy/web', '--replicas=5')
    await must('rollout', 'status', 'deploy/web', '--timeout=30s')
    strictEqual((await nodesOf()).filter((n) => n === 'h2').length, before)
    match(await must('describe', 'node', 'h2'), /^Taints: +node\.kubernetes\.io\/unschedulable:NoSchedule\nUnschedulable: +true$/m)
    strictEqual(await says('uncordon', 'h2'), 'node/h2 uncordoned')
    await until('the taint is gone', 10_000, async () => /^Taints: +<none>$/m.test(await must('describe', 'node', 'h2')))
    await must('scale', 'deploy/web', '--replicas=3')
    await must('rollout', 'status', 'deploy/web', '--timeout=30s')
  })

  test('drain asks before it loses anything, then moves the pods to other nodes', async () => {
    await cluster.must(['-n', 'shop', 'apply', '-f', '-'], pod('lone', { nodeName: 'h2' }))
    await must('wait', 'pod/lone', '--for=condition=Ready', '--timeout=30s')
    const [first] = await runningPods(cluster, 'shop')
    ok(first)
    const refused = await cluster.kubectl(['drain', 'h2'])
    strictEqual(refused.code, 1)
    match(refused.stderr, /cannot delete Pods that declare no controller \(use --force to override\): shop\/lone/)
    match(refused.stderr, /cannot delete Pods with local storage \(use --delete-emptydir-data to override\): shop\/web-/)
    strictEqual((await cluster.kubectl(['-n', 'shop', 'get', 'pod', 'lone'])).code, 0)
    const told = await cluster.must(['drain', 'h2', '--ignore-daemonsets', '--delete-emptydir-data', '--force', '--timeout=60s'])
    match(told, /^node\/h2 already cordoned\nevicting pod shop\/[^]*pod\/lone evicted\n[^]*node\/h2 drained\n$/)
    await until('the Deployment is whole again, elsewhere', 30_000, async () => (await nodesOf()).join() === 'h1,h1,h1')
    await must('rollout', 'status', 'deploy/web', '--timeout=30s')
    strictEqual((await cluster.kubectl(['-n', 'shop', 'get', 'pod', 'lone'])).code, 1)
    await must('uncordon', 'h2')
    await must('rollout', 'restart', 'deploy/web')
    await must('rollout', 'status', 'deploy/web', '--timeout=60s')
    await until('new pods use the node again', 20_000, async () => (await nodesOf()).includes('h2'))
  })

  test('an eviction that a disruption budget forbids is refused with 429', async () => {
    await must('create', 'poddisruptionbudget', 'all', '--selector=app=web', '--min-available=100%')
    const [name = ''] = await runningPods(cluster, 'shop')
    const { code, stderr } = await cluster.kubectl(['create', '--raw', `/api/v1/namespaces/shop/pods/${name}/eviction`, '-f', '-'], { input: JSON.stringify({ apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace: 'shop' } }) })
    strictEqual(code, 1)
    match(stderr, /^Error from server \(TooManyRequests\): Cannot evict pod as it would violate the pod's disruption budget\./)
    await must('delete', 'pdb', 'all')
    strictEqual((await runningPods(cluster, 'shop')).includes(name), true)
  })

  test('evictions go on as fast as a budget allows: one at a time, the next when the first is replaced', async () => {
    await must('create', 'poddisruptionbudget', 'one', '--selector=app=web', '--max-unavailable=1')
    const allowed = () => must('get', 'pdb', 'one', '-o', 'jsonpath={.status.disruptionsAllowed}')
    await until('the budget knows its pods', 20_000, async () => await allowed() === '1')
    const evict = (name: string) => cluster.kubectl(['create', '--raw', `/api/v1/namespaces/shop/pods/${name}/eviction`, '-f', '-'], { input: JSON.stringify({ apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace: 'shop' } }) })
    const [first = '', second = ''] = await runningPods(cluster, 'shop')
    const codes = [(await evict(first)).code, (await evict(second)).code]
    deepStrictEqual(codes, [0, 1])
    await until('the evicted pod is replaced', 60_000, async () => await allowed() === '1')
    strictEqual((await evict(second)).code, 0)
    await until('all are there again', 60_000, async () => await allowed() === '1')
    await must('delete', 'pdb', 'one')
  })

  test('taints keep pods away, drive them out, and are tolerated', async () => {
    strictEqual(await says('taint', 'node', 'h2', 'for=experts:NoSchedule'), 'node/h2 tainted')
    deepStrictEqual(await cluster.kubectl(['taint', 'node', 'h2', 'for=experts:NoSchedule']).then((o) => [o.code, o.stderr.trim()]), [1, 'error: node h2 already has for taint(s) with same effect(s) and --overwrite is false'])
    const tolerations = [{ key: 'for', operator: 'Exists' }]
    await cluster.must(['-n', 'shop', 'apply', '-f', '-'], pod('stays', { nodeSelector: { 'kubernetes.io/hostname': 'h2' }, tolerations }))
    await cluster.must(['-n', 'shop', 'apply', '-f', '-'], pod('waits', { nodeSelector: { 'kubernetes.io/hostname': 'h2' } }))
    await must('wait', 'pod/stays', '--for=condition=Ready', '--timeout=30s')
    const why = () => must('get', 'events', '--field-selector=involvedObject.name=waits,reason=FailedScheduling', '-o', 'jsonpath={.items[0].message}')
    await until('the scheduler says why', 10_000, async () => (await why()) !== '')
    match(await why(), /^0\/2 nodes are available: 1 node\(s\) didn't match Pod's node affinity\/selector, 1 node\(s\) had untolerated taint\(s\)\.|^0\/2 nodes are available: 1 node\(s\) didn't match Pod's node affinity\/selector, 1 node\(s\) had untolerated taint \{for: experts\}\./)
    strictEqual(await must('get', 'pod', 'waits', '-o', 'jsonpath={.status.phase} {.status.conditions[0].reason}'), 'Pending Unschedulable')
    strictEqual(await says('taint', 'node', 'h2', 'for-'), 'node/h2 untainted')
    await must('wait', 'pod/waits', '--for=condition=Ready', '--timeout=30s')
    await must('taint', 'node', 'h2', 'for=nobody:NoExecute')
    await until('who does not tolerate it is gone', 20_000, async () => (await cluster.kubectl(['-n', 'shop', 'get', 'pod', 'waits'])).code === 1)
    strictEqual(await must('get', 'pod', 'stays', '-o', 'jsonpath={.status.phase}'), 'Running')
    await must('taint', 'node', 'h2', 'for:NoExecute-')
    await must('delete', 'pod', 'stays', '--now')
  })

  test('labels of nodes steer pods, and requests that fit nowhere are told in numbers', async () => {
    strictEqual(await says('label', 'node', 'h1', 'disk=fast'), 'node/h1 labeled')
    await cluster.must(['-n', 'shop', 'apply', '-f', '-'], pod('chooser', { nodeSelector: { disk: 'fast' } }))
    await must('wait', 'pod/chooser', '--for=condition=Ready', '--timeout=30s')
    deepStrictEqual(await nodesOf('app=chooser'), ['h1'])
    await cluster.must(['-n', 'shop', 'apply', '-f', '-'], pod('giant', { containers: [{ name: 'c', image: 'busybox:1', resources: { requests: { memory: '900Gi' } } }] }))
    await until('the scheduler says so', 10_000, async () => /0\/2 nodes are available: 2 Insufficient memory\./.test(await must('describe', 'pod', 'giant')))
    match(await must('get', 'pod', 'giant'), /^giant +0\/1 +Pending +0 +/m)
    await must('delete', 'pod', 'chooser', 'giant', '--now')
    await must('label', 'node', 'h1', 'disk-')
  })

  test('a node that is deleted comes back when its agent is started again, and its pods run on', async () => {
    const [, second] = cluster.lab.hosts
    ok(second)
    const containers = async () => (await must('get', 'pods', '-l', 'app=web', '-o', 'jsonpath={.items[*].status.containerStatuses[*].containerID}')).split(' ').toSorted()
    const before = await containers()
    strictEqual(await says('delete', 'node', 'h2'), 'node "h2" deleted')
    await cluster.stop(second)
    cluster.start(second)
    await until('it has registered again', 30_000, async () => (await cluster.kubectl(['get', 'node', 'h2', '-o', 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'])).stdout === 'True')
    await must('rollout', 'status', 'deploy/web', '--timeout=60s')
    deepStrictEqual(await containers(), before)
  })
})
