/** What a node does beyond running pods: resizes in place, users of their own, static pods, its own port, evictions. Real kernel, real containers. */
import { deepStrictEqual, match, ok, rejects, strictEqual } from 'node:assert/strict'
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Cluster, until } from '../lab/cluster.ts'

describe('a node agent', { timeout: 300_000 }, () => {
  let cluster: Cluster
  const must = (...args: string[]) => cluster.must(args)
  const run = async (name: string, spec: object) => {
    await cluster.must(['apply', '-f', '-'], { input: JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { terminationGracePeriodSeconds: 0, ...spec } }) })
  }
  const ready = (name: string) => must('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=60s')
  const container = (command: string, more: object = {}) => ({ name: 'c', image: 'busybox:1', command: ['sh', '-c', command], ...more })
  const reasons = async (name: string, prefix: string) => (await must('get', 'events', '--field-selector', `involvedObject.name=${name}`, '-o', 'jsonpath={range .items[*]}{.reason}{"\\n"}{end}')).split('\n').filter((r) => r.startsWith(prefix))

  before(async () => {
    // Users of a pod are nobody on the host: they reach their files by directories that all may pass, as /run is.
    cluster = await Cluster.create({ hosts: 1, prepare: async (host) => { for (const dir of [join(host.dir, '..'), host.dir]) chmodSync(dir, 0o711); return [] } })
  })
  after(() => cluster?.destroy())

  test('a resize reaches the cgroups of a running container; one whose policy asks for it is restarted; what cannot be is told', async () => {
    const sized = (cpu: string, memory: string) => ({ requests: { cpu, memory }, limits: { cpu, memory } })
    await run('sized', { containers: [container('sleep 100000', { resources: sized('100m', '64Mi') }), { ...container('sleep 100000', { resources: sized('100m', '64Mi'), resizePolicy: [{ resourceName: 'memory', restartPolicy: 'RestartContainer' }] }), name: 'd' }] })
    await ready('sized')
    const resize = (resources: object) => must('patch', 'pod', 'sized', '--subresource', 'resize', '-p', JSON.stringify({ spec: { containers: ['c', 'd'].map((name) => ({ name, resources })) } }))
    await resize(sized('200m', '96Mi'))
    await until('the resize is told to be complete', 30_000, async () => (await reasons('sized', 'Resize')).includes('ResizeCompleted'))
    const inside = (name: string) => must('exec', 'sized', '-c', name, '--', 'sh', '-c', 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null || cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max')
    for (const name of ['c', 'd']) strictEqual((await inside(name)).trim().split(/\s+/).slice(0, 2).join(' '), '100663296 20000')
    strictEqual(await must('get', 'pod', 'sized', '-o', 'jsonpath={.status.containerStatuses[*].restartCount}'), '0 1')
    await rejects(resize(sized('64', '96Mi')), /node didn't have enough allocatable resources: cpu, requested: 128000/)
    strictEqual(await must('get', 'pod', 'sized', '-o', 'jsonpath={.status.containerStatuses[0].allocatedResources.cpu}'), '200m')
  })

  test('hostUsers: false gives a pod users of its own, and its files to them', async (t) => {
    const can = await must('get', 'node', 'h1', '-o', 'jsonpath={.status.runtimeHandlers[0].features.userNamespaces}')
    const spec = { hostUsers: false, containers: [container('id -u; cat /proc/self/uid_map; cat /token/token | wc -c; touch /data/x; stat -c %u /data/x /bin; sleep 100000', { volumeMounts: [{ name: 'data', mountPath: '/data' }, { name: 'token', mountPath: '/token' }] })], volumes: [{ name: 'data', emptyDir: {} }, { name: 'token', projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } }] }
    await run('own', spec)
    if (can !== 'true') {
      await until('it is refused', 20_000, async () => (await reasons('own', 'FailedCreatePodSandBox')).length > 0)
      return t.skip('this kernel cannot: the pod is refused')
    }
    await ready('own')
    // Ready is a container that was started: it may have said nothing yet.
    let lines: string[] = []
    await until('it has told all', 30_000, async () => (lines = (await must('logs', 'own')).trim().split('\n').map((l) => l.trim().replace(/\s+/g, ' '))).length >= 5)
    strictEqual(lines[0], '0')
    match(lines[1] ?? '', /^0 [1-9]\d* 65536$/)
    ok(Number(lines[2]) > 100)
    deepStrictEqual(lines.slice(3), ['0', '0'])
    await must('delete', 'pod', 'own')
  })

  test('a container that asks for nothing has the runtime\'s seccomp profile; who asks for none, and who is privileged, has none', async () => {
    const says = (more: object) => container('grep ^Seccomp: /proc/self/status; sleep 100000', more)
    await run('filtered', { containers: [says({ name: 'plain' }), says({ name: 'open', securityContext: { seccompProfile: { type: 'Unconfined' } } }), says({ name: 'mighty', securityContext: { privileged: true } })] })
    for (const [name, mode] of [['plain', '2'], ['open', '0'], ['mighty', '0']] as const) {
      await until(`${name} has told`, 30_000, async () => (await cluster.kubectl(['logs', 'filtered', '-c', name])).stdout !== '')
      strictEqual(await must('logs', 'filtered', '-c', name), `Seccomp:\t${mode}\n`)
    }
    await must('delete', 'pod', 'filtered')
  })

  test('a file makes a static pod, shown by a mirror that cannot be deleted away; without the file it ends', async () => {
    const file = join(cluster.server.dataDir, 'agent/pod-manifests/fixed.yaml')
    writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'fixed' }, spec: { terminationGracePeriodSeconds: 1, containers: [container('echo here; sleep 100000')] } }))
    const uid = () => cluster.kubectl(['get', 'pod', 'fixed-h1', '-o', 'jsonpath={.metadata.uid}']).then((r) => r.stdout)
    await until('it is shown', 30_000, async () => await uid() !== '')
    await ready('fixed-h1')
    strictEqual(await must('logs', 'fixed-h1'), 'here\n')
    const [before, started] = [await uid(), await must('get', 'pod', 'fixed-h1', '-o', 'jsonpath={.status.containerStatuses[0].containerID}')]
    await must('delete', 'pod', 'fixed-h1', '--wait=false')
    await until('it is shown anew', 30_000, async () => ![before, ''].includes(await uid()))
    await ready('fixed-h1')
    strictEqual(await must('get', 'pod', 'fixed-h1', '-o', 'jsonpath={.status.containerStatuses[0].containerID}'), started)
    rmSync(file)
    await until('it is gone', 30_000, async () => await uid() === '')
  })

  test('the node\'s port answers those who may: certificates, tokens with the right role, nobody else', async () => {
    const { server } = cluster
    const tls = join(server.dataDir, 'server/tls')
    const ask = async (path: string, ...how: string[]) => {
      const { stdout } = await server.run(['curl', '-s', '--max-time', '10', '--cacert', join(tls, 'kubelet-serving-ca.crt'), '-w', '\n%{http_code}', ...how, `https://${server.ip}:10250${path}`])
      const at = stdout.lastIndexOf('\n')
      return { status: stdout.slice(at + 1), body: stdout.slice(0, at) }
    }
    await until('it is served', 30_000, async () => (await ask('/healthz')).status === '401')
    deepStrictEqual(await ask('/healthz', '--cert', join(tls, 'client-admin.crt'), '--key', join(tls, 'client-admin.key')), { status: '200', body: 'ok' })
    await must('create', 'serviceaccount', 'prom')
    const token = ['-H', `Authorization: Bearer ${(await must('create', 'token', 'prom')).trim()}`]
    const refused = await ask('/metrics/resource', ...token)
    deepStrictEqual([refused.status, refused.body.trim()], ['403', 'Forbidden (user=system:serviceaccount:default:prom, verb=get, resource=nodes, subresource(s)=[metrics])'])
    await must('create', 'clusterrole', 'scrape', '--verb=get', '--resource=nodes/metrics,nodes/stats')
    await must('create', 'clusterrolebinding', 'scrape', '--clusterrole=scrape', '--serviceaccount=default:prom')
    await must('create', 'serviceaccount', 'prom2')
    await must('create', 'clusterrolebinding', 'scrape2', '--clusterrole=scrape', '--serviceaccount=default:prom2')
    const allowed = ['-H', `Authorization: Bearer ${(await must('create', 'token', 'prom2')).trim()}`]
    match((await ask('/metrics/resource', ...allowed)).body, /^node_memory_working_set_bytes \d+ \d+$/m)
    match((await ask('/metrics/cadvisor', ...allowed)).body, /^container_memory_working_set_bytes\{container="c",.*pod="sized"\} \d+ \d+$/m)
    strictEqual((await ask('/pods', ...allowed)).status, '403')
    const summary = JSON.parse((await ask('/stats/summary', ...allowed)).body) as {
      node: { nodeName: string; swap?: { swapUsageBytes: number }; systemContainers: { name: string; memory: { workingSetBytes: number } }[] }
      pods: { podRef: { name: string }; memory: { workingSetBytes: number }; network?: { name: string; rxBytes: number }; volume: { name: string; usedBytes: number }[] }[]
    }
    match((await ask('/metrics', ...allowed)).body, /^kubelet_container_log_filesystem_used_bytes\{container="c",namespace="default",pod="sized",uid="[-0-9a-f]+"\} \d+$/m)
    const sized = summary.pods.find((p) => p.podRef.name === 'sized')
    deepStrictEqual([summary.node.nodeName, (sized?.memory.workingSetBytes ?? 0) > 0, sized?.network?.name, sized?.volume.map((v) => [v.name.startsWith('kube-api-access-'), v.usedBytes > 0])], ['h1', true, 'eth0', [[true, true]]])
    deepStrictEqual([(summary.node.swap?.swapUsageBytes ?? -1) >= 0, summary.node.systemContainers.filter((s) => s.memory.workingSetBytes > 0).map((s) => s.name)], [true, ['kubelet', 'pods']])
    ok(readFileSync(join(server.dataDir, 'agent/tls/serving-kubelet.pem'), 'utf8').includes('CERTIFICATE'))
  })

  test('a pod that fills its emptyDir beyond the limit is evicted, and its message says which', async () => {
    await run('full', { containers: [container('dd if=/dev/zero of=/data/x bs=1M count=20 2>/dev/null; sleep 100000', { volumeMounts: [{ name: 'data', mountPath: '/data' }] })], volumes: [{ name: 'data', emptyDir: { sizeLimit: '10Mi' } }] })
    await until('it is evicted', 60_000, async () => await must('get', 'pod', 'full', '-o', 'jsonpath={.status.phase} {.status.reason} {.status.message}') === 'Failed Evicted Usage of EmptyDir volume "data" exceeds the limit "10Mi". ')
    deepStrictEqual(await reasons('full', 'Evicted'), ['Evicted'])
  })
})
