/** What a node does besides running pods, on a real one: values out of files, what it says of volumes it cannot mount, whom it pushes out, what its own API answers. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Cluster, until } from '../lab/cluster.ts'

const container = (more: object = {}) => ({ name: 'main', image: 'busybox:1', command: ['sleep', '3600'], ...more })
const pod = (name: string, spec: object, namespace = 'default') => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace }, spec: { terminationGracePeriodSeconds: 1, containers: [container()], ...spec } })

describe('a node', { timeout: 600_000 }, () => {
  let cluster: Cluster
  let node = ''
  const apply = (...items: object[]) => cluster.must(['apply', '-f', '-'], { input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }) })
  const field = (path: string, ...of: string[]) => cluster.must(['get', ...of, '-o', `jsonpath=${path}`])
  const eventOf = (name: string, reason: string) => field('{.items[*].message}', 'events', '--field-selector', `involvedObject.name=${name},reason=${reason}`)

  before(async () => {
    cluster = await Cluster.create({ hosts: 1 })
    node = (await field('{.items[0].metadata.name}', 'nodes')).trim()
  })
  after(() => cluster.destroy())

  it('hands on what an init container wrote into a file, to a container that does not see the volume', async () => {
    const out = { volumeMounts: [{ name: 'out', mountPath: '/out' }] }
    await apply(pod('told', {
      volumes: [{ name: 'out', emptyDir: {} }], initContainers: [container({ name: 'first', command: ['sh', '-c', 'printf "# made here\\nTOKEN=\'two\nlines\'\\n" > /out/env'], ...out })],
      containers: [container({ env: [{ name: 'TOKEN', valueFrom: { fileKeyRef: { volumeName: 'out', path: 'env', key: 'TOKEN' } } }] })],
    }))
    await cluster.must(['wait', '--for=condition=Ready', '--timeout=60s', 'pod/told'], { timeoutMs: 70_000 })
    assert.equal((await cluster.kubectl(['exec', 'told', '--', 'sh', '-c', 'echo "$TOKEN"; ls / | grep -c "^out$"'])).stdout, 'two\nlines\n0\n')
  })

  it('says of each volume that cannot be mounted which it is and why; one that nobody mounts is not looked at', async () => {
    const claim = (name: string, volumeName?: string) => ({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name }, spec: { accessModes: ['ReadWriteOnce'], storageClassName: '', resources: { requests: { storage: '1Mi' } }, ...(volumeName !== undefined && { volumeName }) } })
    await apply(
      { apiVersion: 'v1', kind: 'PersistentVolume', metadata: { name: 'pv-lost' }, spec: { capacity: { storage: '1Mi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/nonexistent/lost', type: 'Directory' } } },
      claim('lost', 'pv-lost'), claim('unbound'),
    )
    await until('the claim is bound', 20_000, async () => (await field('{.status.phase}', 'pvc', 'lost')) === 'Bound')
    await apply(pod('stuck', {
      nodeName: node, volumes: [{ name: 'a', persistentVolumeClaim: { claimName: 'lost' } }, { name: 'b', persistentVolumeClaim: { claimName: 'unbound' } }, { name: 'c', configMap: { name: 'none' } }, { name: 'd', secret: { secretName: 'none' } }],
      containers: [container({ volumeMounts: ['a', 'b', 'c'].map((name) => ({ name, mountPath: `/${name}` })) })],
    }))
    const all = async () => await eventOf('stuck', 'FailedMount')
    await until('all of it is said', 30_000, async () => /failed to process volumes/.test(await all()))
    for (const words of [
      'MountVolume.SetUp failed for volume "pv-lost" : hostPath type check failed: /nonexistent/lost is not a directory', 'MountVolume.SetUp failed for volume "c" : configmap "none" not found',
      'Unable to attach or mount volumes: unmounted volumes=[a b c], unattached volumes=[], failed to process volumes=[b]: error processing PVC default/unbound: PVC is not bound',
    ]) assert.ok((await all()).includes(words), `${words}\n${await all()}`)
    assert.doesNotMatch(await all(), /volume "d"/)
    await cluster.must(['delete', 'pod', 'stuck', '--timeout=60s'], { timeoutMs: 70_000 })
  })

  it('gives a pod other resources as a whole while it runs', async () => {
    const all = (cpu: string) => ({ requests: { cpu, memory: '16Mi' }, limits: { cpu, memory: '64Mi' } })
    await apply(pod('whole', { resources: all('100m') }))
    await cluster.must(['wait', '--for=condition=Ready', '--timeout=60s', 'pod/whole'], { timeoutMs: 70_000 })
    await cluster.must(['patch', 'pod', 'whole', '--subresource=resize', '-p', JSON.stringify({ spec: { resources: all('150m') } })])
    await until('it has them', 30_000, async () => (await field('{.status.resources.limits.cpu} {.status.conditions[?(@.type=="PodResizeInProgress")].status}', 'pod', 'whole')).trim() === '150m')
    await until('it is said', 20_000, async () => (await eventOf('whole', 'ResizeCompleted')) !== '')
    assert.equal(await field('{.status.containerStatuses[0].restartCount}', 'pod', 'whole'), '0')
    await cluster.must(['delete', 'pod', 'whole', '--timeout=60s'], { timeoutMs: 70_000 })
  })

  it('makes room for a critical pod', async () => {
    const free = Number((await field('{.status.allocatable.cpu}', 'node', node)).trim()) * 1000
    const asking = (milli: number) => [container({ resources: { requests: { cpu: `${milli}m` } } })]
    await apply(pod('large', { containers: asking(free - 200) }), pod('small', { containers: asking(100) }))
    await cluster.must(['wait', '--for=condition=Ready', '--timeout=60s', 'pod/large', 'pod/small'], { timeoutMs: 70_000 })
    await apply(pod('critical', { nodeName: node, priorityClassName: 'system-node-critical', containers: asking(500) }, 'kube-system'))
    await cluster.must(['wait', '--for=condition=Ready', '--timeout=60s', '-n', 'kube-system', 'pod/critical'], { timeoutMs: 70_000 })
    await until('who made room has ended', 30_000, async () => (await field('{.status.phase} {.status.reason}', 'pod', 'large')) === 'Failed Preempting')
    assert.deepStrictEqual([await field('{.status.phase}', 'pod', 'small'), await eventOf('large', 'Preempting')], ['Running', 'Preempted in order to admit critical pod'])
  })

  it('its API tells how it is, and what does not run', async () => {
    const proxy = (path: string) => cluster.must(['get', '--raw', `/api/v1/nodes/${node}/proxy${path}`])
    assert.equal(await proxy('/healthz?verbose'), '[+]ping ok\n[+]log ok\n[+]syncloop ok\n[+]device-plugin ok\nhealthz check passed\n')
    assert.match(await proxy('/metrics/slis'), /^kubernetes_healthcheck\{name="syncloop",type="healthz"\} 1$/m)
    await apply(pod('over', { restartPolicy: 'Never', containers: [container(), container({ name: 'gone', command: ['true'] })] }))
    await until('one has ended', 60_000, async () => (await field('{.status.containerStatuses[?(@.name=="gone")].state.terminated.reason}', 'pod', 'over')) === 'Completed')
    assert.match((await cluster.kubectl(['exec', 'over', '-c', 'gone', '--', 'true'])).stderr, /unable to upgrade connection: container not found \("gone"\)/)
    assert.match((await cluster.kubectl(['logs', 'over', '-c', 'gone', '-p'])).stderr, /previous terminated container "gone" in pod "over" not found/)
  })
})
