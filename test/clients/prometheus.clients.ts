/**
 * Prometheus, as Debian ships it, against a lab cluster: its service discovery in every role, and what the server and the nodes
 * measure. SKIFF_PROMETHEUS: the program; scripts/clients-test.sh unpacks them.
 */
import { deepStrictEqual, match, ok } from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Cluster, until } from '../lab/cluster.ts'
import { Program } from '../lab/program.ts'

const PROGRAM = process.env['SKIFF_PROMETHEUS'] ?? ''
const URL_OF_IT = 'http://127.0.0.1:9090'
/** Discovery hands over what it found every 5 s, a scrape is made every second; the machine may be busy. */
const SEEN_MS_MAX = 60_000
/** What it reads of every node. */
const NODE_PATHS = ['/metrics', '/metrics/cadvisor', '/metrics/probes', '/metrics/resource']

const ROLES = ['node', 'pod', 'service', 'endpoints', 'endpointslice', 'ingress']

/** The ServiceAccount and its rights are those of Prometheus' own example for Kubernetes. */
const OBJECTS = `
apiVersion: v1
kind: Namespace
metadata: {name: watched}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: prometheus, namespace: watched}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: prometheus}
rules:
- {apiGroups: [""], resources: [nodes, nodes/metrics, services, endpoints, pods], verbs: [get, list, watch]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [get, list, watch]}
- {apiGroups: [networking.k8s.io], resources: [ingresses], verbs: [get, list, watch]}
- {nonResourceURLs: [/metrics], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: prometheus}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: prometheus}
subjects: [{kind: ServiceAccount, name: prometheus, namespace: watched}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: watched}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}, annotations: {prometheus.io/scrape: "true", prometheus.io/port: "8080"}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: web
        image: busybox:1
        command: [sh, -c, 'mkdir /www; echo "sold_total 5" > /www/metrics; exec httpd -f -p 8080 -h /www']
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /metrics, port: http}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: watched, labels: {app: web}}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: watched}
spec: {rules: [{host: web.example.com, http: {paths: [{path: /shop, pathType: Prefix, backend: {service: {name: web, port: {name: http}}}}]}}]}
`

describe('Prometheus', { skip: PROGRAM === '' ? 'needs SKIFF_PROMETHEUS: run scripts/clients-test.sh' : false }, () => {
  let cluster: Cluster
  let program: Program

  before(async () => {
    cluster = await Cluster.create({ hosts: 2 })
    await cluster.must(['apply', '-f', '-'], { input: OBJECTS })
    await cluster.must(['-n', 'watched', 'rollout', 'status', 'deployment/web', '--timeout=60s'])
    const file = (name: string) => join(cluster.server.dir, name)
    writeFileSync(file('token'), await cluster.must(['-n', 'watched', 'create', 'token', 'prometheus']), { mode: 0o600 })
    writeFileSync(file('ca.crt'), await cluster.must(['-n', 'watched', 'get', 'configmap', 'kube-root-ca.crt', '-o', 'jsonpath={.data.ca\\.crt}']))
    writeFileSync(file('nodes-ca.crt'), await cluster.must(['-n', 'kube-system', 'get', 'configmap', 'kubelet-serving-ca.crt', '-o', 'jsonpath={.data.ca\\.crt}']))
    writeFileSync(file('prometheus.json'), JSON.stringify(configuration(file)))
    program = new Program(cluster.server, [PROGRAM, `--config.file=${file('prometheus.json')}`, `--storage.tsdb.path=${file('samples')}`, `--web.listen-address=${new URL(URL_OF_IT).host}`])
    await program.says('Server is ready to receive web requests')
  })
  after(async () => {
    await program?.[Symbol.asyncDispose]()
    await cluster?.destroy()
  })

  /** What a query answers, a line per series, sorted: `{job="x"} 1`. */
  async function query(text: string): Promise<string[]> {
    const said = await cluster.server.must(['curl', '-sSG', `${URL_OF_IT}/api/v1/query`, '--data-urlencode', `query=${text}`])
    const { status, error, data } = JSON.parse(said) as { status: string; error?: string; data?: { result: { metric: Record<string, string>; value: [number, string] }[] } }
    if (status !== 'success') throw new Error(`${text}: ${error}`)
    return (data?.result ?? []).map(({ metric, value }) => `{${Object.keys(metric).toSorted().map((name) => `${name}="${metric[name]}"`).join()}} ${value[1]}`).toSorted()
  }

  async function answers(text: string, expected: readonly string[]): Promise<void> {
    let last: string[] = []
    await until(`${text} is ${expected.join(' | ')}`, SEEN_MS_MAX, async () => {
      last = await query(text)
      return last.join() === expected.toSorted().join()
    }).catch((cause: unknown) => { throw new Error(`it answers ${last.join(' | ')}\n${program.output}`, { cause }) })
  }

  test('finds nodes, pods, services, endpoints, slices and ingresses', async () => {
    await answers('count by (role) (up{job="found"})', [
      '{role="endpoints"} 2', '{role="endpointslice"} 2', '{role="ingress"} 1', '{role="node"} 2', '{role="pod"} 2', '{role="service"} 1',
    ])
    match((await query('up{job="found",role="ingress"}')).join(), /instance="web\.example\.com:80".*path="\/shop"/)
    match((await query('up{job="found",role="endpointslice"}')).join(), /kind="Pod".*ready="true"/)
    match((await query('up{job="found",role="service"}')).join(), /instance="web\.watched\.svc:80"/)
    deepStrictEqual(await query('count by (hostname) (up{job="found",role="node"})'), ['{hostname="h1"} 1', '{hostname="h2"} 1'])
  })

  test('reads the server, every node and the pods that ask for it, with the rights of its ServiceAccount', async () => {
    await answers('sum by (job) (up{job!="found"})', ['{job="apiserver"} 1', ...NODE_PATHS.map((path) => `{job="${path}"} 2`), '{job="pods"} 2'])
    await answers('sum(sold_total{job="pods"})', ['{} 10'])
    await answers('count(container_memory_working_set_bytes{job="/metrics/cadvisor",namespace="watched",container="web"} > 0)', ['{} 2'])
    ok((await query('apiserver_request_total{resource="pods",verb="WATCH"}')).length > 0)
    match((await query('histogram_quantile(0.9, sum by (le) (apiserver_request_duration_seconds_bucket{verb="LIST"})) < 10')).join(), / [\d.]+$/)
    match((await query('sum(kubelet_running_pods)')).join(), / [1-9]/)
  })

  test('follows pods that come and go, over a kill of the server, too', async () => {
    await cluster.must(['-n', 'watched', 'scale', 'deployment/web', '--replicas=3'])
    await answers('sum(sold_total{job="pods"})', ['{} 15'])
    const before = program.output.length
    await cluster.stop(cluster.server, 'SIGKILL')
    cluster.start(cluster.server)
    await cluster.waitForApi(cluster.server)
    await cluster.must(['-n', 'watched', 'scale', 'deployment/web', '--replicas=1'])
    await answers('count by (role) (up{job="found",role=~"pod|endpoints|endpointslice"})', ['{role="endpoints"} 1', '{role="endpointslice"} 1', '{role="pod"} 1'])
    ok(!/level=error/.test(program.output.slice(0, before)), program.output)
  })
})

/** One job per thing that is read, and one, `found`, with all that each role finds in the namespace, whether it can be read or not. */
function configuration(file: (name: string) => string): object {
  const credentials = { authorization: { credentials_file: file('token') } }
  const discovery = (role: string) => ({ role, api_server: 'https://127.0.0.1:6443', ...credentials, tls_config: { ca_file: file('ca.crt') } })
  const nodes = { kubernetes_sd_configs: [discovery('node')], scheme: 'https', ...credentials, tls_config: { ca_file: file('nodes-ca.crt') } }
  const label = (source: string, target: string) => ({ source_labels: [`__meta_kubernetes_${source}`], target_label: target })
  const keep = (source: string, regex: string) => ({ source_labels: source.split(',').map((name) => `__meta_kubernetes_${name}`), action: 'keep', regex })
  return {
    global: { scrape_interval: '1s', scrape_timeout: '1s' },
    scrape_configs: [
      {
        job_name: 'apiserver', kubernetes_sd_configs: [discovery('endpoints')], scheme: 'https', ...credentials, tls_config: { ca_file: file('ca.crt') },
        relabel_configs: [keep('namespace,service_name,endpoint_port_name', 'default;kubernetes;https')],
      },
      ...NODE_PATHS.map((path) => ({ job_name: path, ...nodes, metrics_path: path })),
      {
        job_name: 'pods', kubernetes_sd_configs: [discovery('pod')],
        relabel_configs: [
          keep('pod_annotation_prometheus_io_scrape', 'true'),
          { source_labels: ['__address__', '__meta_kubernetes_pod_annotation_prometheus_io_port'], action: 'replace', regex: String.raw`([^:]+)(?::\d+)?;(\d+)`, replacement: '$1:$2', target_label: '__address__' },
        ],
      },
      ...ROLES.map((role) => ({
        job_name: `found-${role}`, kubernetes_sd_configs: [discovery(role)],
        relabel_configs: [
          ...(role === 'node' ? [label('node_label_kubernetes_io_hostname', 'hostname')] : [keep('namespace', 'watched')]),
          { target_label: 'job', replacement: 'found' }, { target_label: 'role', replacement: role },
          label('ingress_path', 'path'), label('endpointslice_endpoint_conditions_ready', 'ready'), label('endpointslice_address_target_kind', 'kind'),
        ],
      })),
    ],
  }
}
