/** `kubectl top`, with a metrics API that does what metrics-server does and has no more than it: its service account. */
import { deepStrictEqual, match, ok } from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { testAuthority, testCertificate } from '#server/apiserver/webhook-client/https-server.test-support.ts'
import { Cluster, until } from '../lab/cluster.ts'

const PROGRAM = join(import.meta.dirname, 'metrics-extension.ts')
const PORT = 4443
const METADATA = { name: 'metrics-server', namespace: 'kube-system' }
const SUBJECTS = [{ kind: 'ServiceAccount', ...METADATA }]
const RBAC = 'rbac.authorization.k8s.io'
const bind = (kind: 'Role' | 'ClusterRole', role: string, name: string, namespace?: string) => ({
  apiVersion: `${RBAC}/v1`, kind: namespace === undefined ? 'ClusterRoleBinding' : 'RoleBinding', metadata: { name, ...(namespace !== undefined && { namespace }) }, roleRef: { apiGroup: RBAC, kind, name: role }, subjects: SUBJECTS,
})

describe('kubectl top', { timeout: 600_000 }, () => {
  let cluster: Cluster
  const apply = (...objects: object[]) => cluster.must(['apply', '-f', '-'], { input: objects.map((o) => JSON.stringify(o)).join('\n') })
  const rows = async (...args: string[]) => (await cluster.must(args)).trimEnd().split('\n').map((line) => line.trimEnd().split(/ {2,}/))

  before(async () => {
    cluster = await Cluster.create({ hosts: 2 })
    const { server } = cluster
    const ca = await testAuthority()
    const { cert, key } = await testCertificate(ca, ['metrics-server.kube-system.svc'], [server.ip])
    // The rights that metrics-server's own manifests give it.
    await apply(
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata: METADATA },
      { apiVersion: `${RBAC}/v1`, kind: 'ClusterRole', metadata: { name: 'system:aggregated-metrics-reader', labels: { 'rbac.authorization.k8s.io/aggregate-to-view': 'true' } }, rules: [{ apiGroups: ['metrics.k8s.io'], resources: ['pods', 'nodes'], verbs: ['get', 'list', 'watch'] }] },
      { apiVersion: `${RBAC}/v1`, kind: 'ClusterRole', metadata: { name: 'system:metrics-server' }, rules: [{ apiGroups: [''], resources: ['nodes/metrics'], verbs: ['get'] }, { apiGroups: [''], resources: ['pods', 'nodes'], verbs: ['get', 'list', 'watch'] }] },
      bind('Role', 'extension-apiserver-authentication-reader', 'metrics-server-auth-reader', 'kube-system'),
      bind('ClusterRole', 'system:auth-delegator', 'metrics-server:system:auth-delegator'),
      bind('ClusterRole', 'system:metrics-server', 'system:metrics-server'),
      { apiVersion: 'v1', kind: 'Service', metadata: METADATA, spec: { ports: [{ name: 'https', port: 443, targetPort: PORT }] } },
      { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata: { ...METADATA, name: 'metrics-server-1', labels: { 'kubernetes.io/service-name': 'metrics-server' } }, addressType: 'IPv4', endpoints: [{ addresses: [server.ip] }], ports: [{ name: 'https', port: PORT }] },
      { apiVersion: 'apiregistration.k8s.io/v1', kind: 'APIService', metadata: { name: 'v1beta1.metrics.k8s.io' }, spec: { group: 'metrics.k8s.io', version: 'v1beta1', groupPriorityMinimum: 100, versionPriority: 100, service: METADATA, caBundle: Buffer.from(ca.pem).toString('base64') } },
      ...['h1', 'h2'].map((node) => ({
        apiVersion: 'v1', kind: 'Pod', metadata: { name: `on-${node}`, labels: { on: node } }, spec: { nodeName: node, terminationGracePeriodSeconds: 1, containers: [
          { name: 'busy', image: 'busybox:1', command: ['sh', '-c', 'held=$(head -c 8000000 /dev/zero | tr "\\0" a); while true; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; usleep 20000; done'] },
          { name: 'still', image: 'busybox:1', command: ['sleep', '100000'] },
        ] },
      })),
    )
    const directory = join(server.dir, 'metrics')
    mkdirSync(directory)
    const ofConfigMap = (name: string) => cluster.must(['-n', 'kube-system', 'get', 'configmap', name, '-o', 'jsonpath={.data.ca\\.crt}'])
    const files = { 'token': await cluster.must(['-n', 'kube-system', 'create', 'token', 'metrics-server']), 'ca.crt': await ofConfigMap('kube-root-ca.crt'), 'kubelet-ca.crt': await ofConfigMap('kubelet-serving-ca.crt'), 'tls.crt': cert, 'tls.key': key }
    for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text, { mode: 0o600 })
    server.start('metrics', [process.execPath, PROGRAM, `https://${server.ip}:6443`, server.ip, String(PORT), directory])
    await cluster.must(['wait', '--for=condition=Available', 'apiservice/v1beta1.metrics.k8s.io', '--timeout=60s'], { timeoutMs: 70_000 }).catch((error: unknown) => { throw new Error(`${String(error)}\n${server.log('metrics')}`, { cause: error }) })
    await cluster.must(['wait', '--for=condition=Ready', 'pod', '--all', '--timeout=60s'], { timeoutMs: 70_000 })
    await until('both nodes and pods have been read twice', 60_000, async () => (await cluster.kubectl(['top', 'pods', '--no-headers'])).stdout.split('\n').length === 3 && (await cluster.kubectl(['top', 'nodes', '--no-headers'])).stdout.split('\n').length === 3)
      .catch((error: unknown) => { throw new Error(`${String(error)}\n${server.log('metrics').split('\n').slice(-20).join('\n')}`, { cause: error }) })
  })
  after(async () => { await cluster.destroy() })

  it('top nodes shows each node, with its share of what it has', async () => {
    const [header, ...nodes] = await rows('top', 'nodes')
    deepStrictEqual(header, ['NAME', 'CPU(cores)', 'CPU(%)', 'MEMORY(bytes)', 'MEMORY(%)'])
    deepStrictEqual(new Set(nodes.map(([name]) => name)), new Set(['h1', 'h2']))
    for (const row of nodes) match(row.join(' '), /^h\d [1-9]\d*m [1-9]\d*% [1-9]\d*Mi [1-9]\d*%$/)
  })

  it('top pods shows what each container uses: the busy one more of a processor than the still one', async () => {
    const containers = await rows('top', 'pods', '--containers', '--no-headers', '-l', 'on=h2')
    deepStrictEqual(new Set(containers.map(([pod, name]) => `${pod} ${name}`)), new Set(['on-h2 busy', 'on-h2 still']))
    const milli = (name: string) => Number(containers.find((c) => c[1] === name)?.[2]?.replace('m', ''))
    ok(milli('busy') > milli('still'), `busy ${milli('busy')}m, still ${milli('still')}m`)
    deepStrictEqual(new Set((await rows('top', 'pods', '--no-headers', '--sort-by=cpu')).map(([name]) => name)), new Set(['on-h1', 'on-h2']))
    match(await cluster.must(['top', 'pod', 'on-h1', '--no-headers']), /^on-h1 +[1-9]\d*m +[1-9]\d*Mi *\n$/)
    match((await cluster.kubectl(['top', 'pod', 'nobody'])).stderr, /NotFound/)
  })

  it('the server tells of its scheduler and its controllers, too, and of what each pod asks for', async () => {
    const lines = (await cluster.must(['get', '--raw', '/metrics'])).split('\n')
    const value = (series: string) => Number(lines.find((line) => line.startsWith(`${series} `))?.slice(series.length + 1))
    deepStrictEqual(['kube-controller-manager', 'kube-scheduler'].map((name) => value(`leader_election_master_status{name="${name}"}`)), [1, 1])
    deepStrictEqual([value('node_collector_zone_size{zone=""}'), value('scheduler_cache_size{type="nodes"}'), value('running_managed_controllers{manager="kube-controller-manager",name="job-controller"}')], [2, 2, 1])
    ok(value('scheduler_cache_size{type="pods"}') >= 2)
    ok(value('workqueue_adds_total{name="serviceaccount"}') > 0 && value('workqueue_work_duration_seconds_count{name="serviceaccount"}') > 0)
    await cluster.must(['run', 'asks', '--image=busybox:1', '--overrides', JSON.stringify({ spec: { terminationGracePeriodSeconds: 0, containers: [{ name: 'asks', image: 'busybox:1', command: ['sleep', '100000'], resources: { requests: { cpu: '150m' } } }] } })])
    await cluster.must(['wait', '--for=condition=PodScheduled', 'pod/asks', '--timeout=60s'], { timeoutMs: 70_000 })
    match(await cluster.must(['get', '--raw', '/metrics/resources']), /^kube_pod_resource_request\{namespace="default",node="h\d",pod="asks",priority="0",resource="cpu",scheduler="default-scheduler",unit="cores"\} 0\.15$/m)
    const scheduled = async () => Number(/^scheduler_schedule_attempts_total\{profile="default-scheduler",result="scheduled"\} (\d+)$/m.exec(await cluster.must(['get', '--raw', '/metrics']))?.[1] ?? 0)
    await until('its placement is counted', 20_000, async () => (await scheduled()) >= 1)
    await cluster.must(['delete', 'pod', 'asks', '--now', '--wait=false'])
  })

  it('who may read it is asked of the API server: the right is aggregated into view', async () => {
    const as = (user: string) => cluster.kubectl(['top', 'pods', `--as=${user}`])
    match((await as('ada')).stderr, /pods\.metrics\.k8s\.io is forbidden: User "ada" cannot list resource "pods"/)
    await cluster.must(['create', 'rolebinding', 'ada', '--clusterrole=view', '--user=ada'])
    await until('ada may', 10_000, async () => (await as('ada')).code === 0)
  })
})
