/** A node whose containers are containerd's: `--container-runtime-endpoint`. What a pod's user sees must be the same. */
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { CONTAINERD_MISSING, findContainerd, startContainerd, type TestContainerd } from '../images/containerd.ts'
import { REGISTRY_PORT, SWITCH_IP } from '../lab/lab.ts'
import { Cluster, until } from '../lab/cluster.ts'

const mirror = `http://${SWITCH_IP}:${REGISTRY_PORT}`
const WEB = ['sh', '-c', 'echo starting; mkdir -p /tmp/www; hostname > /tmp/www/index.html; trap "exit 0" TERM; httpd -f -p 8080 -h /tmp/www & wait']

describe('a node with containerd', { timeout: 600_000, skip: await findContainerd() === undefined && CONTAINERD_MISSING }, () => {
  let cluster: Cluster
  let containerd: TestContainerd
  const must = (...args: string[]) => cluster.must(args)
  const pods = async () => (JSON.parse(await must('get', 'pods', '-l', 'app=web', '-o', 'json')) as {
    items: { metadata: { name: string; uid: string }; status: { podIP: string; conditions?: { type: string; status: string }[]; containerStatuses: { restartCount: number; containerID: string; imageID: string }[] } }[]
  }).items
  const identity = async () => (await pods()).map((p) => `${p.metadata.name} ${p.status.podIP} ${JSON.stringify(p.status.containerStatuses.map((c) => [c.containerID, c.restartCount]))}`).toSorted()
  const fetched = (url: string) => cluster.server.run(['busybox', 'wget', '-q', '-O', '-', url], { timeoutMs: 3_000 })
  const waitReady = (count: number) => until(`${count} pods are Ready`, 60_000, async () => (await pods()).filter((p) => p.status.conditions?.some((c) => c.type === 'Ready' && c.status === 'True')).length === count)

  before(async () => {
    cluster = await Cluster.create({
      hosts: 1,
      async prepare(host) {
        containerd = await startContainerd({ dir: join(host.dir, 'containerd'), sandboxImage: 'docker.io/library/pause:1', prefix: host.wrap([]), mirrors: { 'docker.io': mirror } })
        return ['--container-runtime-endpoint', `unix://${containerd.socket}`]
      },
    })
    await cluster.must(['apply', '-f', '-'], { input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [
      {
        apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web' },
        spec: {
          replicas: 3, selector: { matchLabels: { app: 'web' } },
          template: {
            metadata: { labels: { app: 'web' } },
            spec: {
              terminationGracePeriodSeconds: 2,
              containers: [{
                name: 'web', image: 'busybox:1', command: WEB, ports: [{ containerPort: 8080 }],
                readinessProbe: { httpGet: { path: '/', port: 8080 }, periodSeconds: 1 }, livenessProbe: { exec: { command: ['test', '!', '-e', '/tmp/sick'] }, periodSeconds: 1, failureThreshold: 1 },
              }],
            },
          },
        },
      },
      { apiVersion: 'v1', kind: 'Service', metadata: { name: 'web' }, spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }] } },
    ] }) })
    await waitReady(3)
  })
  after(async () => {
    // What it mounted is seen from inside its host only: both end together.
    await cluster?.destroy({ keepFiles: true })
    await containerd?.stop()
    if (cluster) rmSync(cluster.lab.dir, { recursive: true, force: true })
  })

  test('says so: the node names containerd and its version, containers and images are containerd\'s', async () => {
    match(await must('get', 'node', 'h1', '-o', 'jsonpath={.status.nodeInfo.containerRuntimeVersion}'), /^containerd:\/\/\d/)
    for (const pod of await pods()) match(pod.status.containerStatuses[0]?.containerID ?? '', /^containerd:\/\/[0-9a-f]{64}$/)
  })

  test('a Service reaches all its pods, which have addresses of the pod network', async () => {
    const ip = await must('get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}')
    const names = (await pods()).map((p) => p.metadata.name).toSorted()
    for (const pod of await pods()) match(pod.status.podIP, /^10\.42\.0\.\d+$/)
    const seen = new Set<string>()
    await until('every pod has answered', 20_000, async () => {
      seen.add((await fetched(`http://${ip}/`)).stdout.trim())
      return names.every((name) => seen.has(name))
    })
    deepStrictEqual([...seen].filter((s) => s !== '').toSorted(), names)
  })

  test('logs, exec with its exit code and its input, and port-forward work', async () => {
    const [pod] = await pods()
    const name = pod?.metadata.name ?? ''
    strictEqual(await must('logs', name), 'starting\n')
    strictEqual(await must('exec', name, '--', 'hostname'), `${name}\n`)
    deepStrictEqual((await cluster.kubectl(['exec', name, '--', 'sh', '-c', 'echo to; echo err >&2; exit 7'])).stderr.includes('exit code 7'), true)
    strictEqual(await cluster.must(['exec', '-i', name, '--', 'wc', '-c'], { input: 'x'.repeat(200_000) }), '200000\n')
    await using _forward = cluster.follow(['port-forward', `pod/${name}`, '18080:8080'])
    await until('the forwarded port answers', 20_000, async () => (await fetched('http://127.0.0.1:18080/')).stdout.trim() === name)
  })

  test('a resize in place reaches the cgroup, and its status says so', async () => {
    await must('run', 'sized', '--image=busybox:1', '--overrides', JSON.stringify({ spec: { terminationGracePeriodSeconds: 0, containers: [{ name: 'sized', image: 'busybox:1', command: ['sleep', '100000'], resources: { requests: { cpu: '50m', memory: '32Mi' }, limits: { cpu: '100m', memory: '64Mi' } } }] } }))
    await must('wait', '--for=condition=Ready', 'pod/sized', '--timeout=60s')
    const changed = { requests: { cpu: '150m', memory: '48Mi' }, limits: { cpu: '300m', memory: '96Mi' } }
    await must('patch', 'pod', 'sized', '--subresource', 'resize', '-p', JSON.stringify({ spec: { containers: [{ name: 'sized', resources: changed }] } }))
    await until('the resize is told to be complete', 20_000, async () => (await must('get', 'events', '--field-selector', 'involvedObject.name=sized,reason=ResizeCompleted', '-o', 'name')) !== '')
    const { status } = JSON.parse(await must('get', 'pod', 'sized', '-o', 'json')) as { status: { containerStatuses: { restartCount: number; resources: unknown; allocatedResources: unknown }[] } }
    deepStrictEqual(status.containerStatuses.map(({ restartCount, resources, allocatedResources }) => ({ restartCount, resources, allocatedResources })), [{ restartCount: 0, resources: changed, allocatedResources: changed.requests }])
    const inside = 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null || cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max'
    strictEqual((await must('exec', 'sized', '--', 'sh', '-c', inside)).trim().split(/\s+/).slice(0, 2).join(' '), '100663296 30000')
    await must('delete', 'pod', 'sized', '--now')
  })

  test('a failed liveness probe restarts the container, and its log goes on in a new file', async () => {
    const [pod] = await pods()
    const name = pod?.metadata.name ?? ''
    await must('exec', name, '--', 'touch', '/tmp/sick')
    await until('the container was restarted', 30_000, async () => (await pods()).find((p) => p.metadata.name === name)?.status.containerStatuses[0]?.restartCount === 1)
    strictEqual(await must('logs', '--previous', name), 'starting\n')
    await waitReady(3)
  })

  test('nothing is restarted by a restart of skiff, nor by one of containerd; after both, pods come and go', async () => {
    const before = await identity()
    await cluster.stop(cluster.server, 'SIGKILL')
    cluster.start(cluster.server)
    await cluster.waitForApi()
    await waitReady(3)
    deepStrictEqual(await identity(), before)
    await containerd.kill('SIGKILL')
    await until('the node is not ready without its runtime', 60_000, async () => (await must('get', 'node', 'h1', '-o', 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')) !== 'True')
    await containerd.start()
    await until('the node is ready again', 60_000, async () => (await must('get', 'node', 'h1', '-o', 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')) === 'True')
    deepStrictEqual(await identity(), before)
    await must('scale', 'deployment/web', '--replicas=4')
    await waitReady(4)
    await must('scale', 'deployment/web', '--replicas=0')
    await until('all pods are gone', 30_000, async () => (await pods()).length === 0)
    const leases = (await cluster.server.must(['ip', '-o', 'link', 'show', 'master', 'skiff0'])).trim()
    ok(leases === '', `nothing is left on the bridge: ${leases}`)
  })
})
