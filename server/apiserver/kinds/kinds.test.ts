import { deepStrictEqual, match } from 'node:assert'
import { test } from 'node:test'
import { createRequest, generateKey, NO_ALT_NAMES } from '#base/x509/index.ts'
import { causes, cluster, NS, template } from './kinds.test-support.ts'

const MERGE = { 'content-type': 'application/merge-patch+json' }
const deployment = (spec: Record<string, unknown> = {}, labels: Record<string, string> = { app: 'a' }) => ({ metadata: { name: 'd' }, spec: { selector: { matchLabels: { app: 'a' } }, template: template(labels), ...spec } })
const DEPLOYMENTS = '/apis/apps/v1/namespaces/default/deployments'
const service = (spec: Record<string, unknown> = {}) => ({ metadata: { name: 's' }, spec: { ports: [{ port: 80 }], selector: { app: 'a' }, ...spec } })
const SERVICES = `${NS}/services`

test('deployments: defaults, generation, and what may not be', async () => {
  const c = cluster()
  const { json } = await c.create(DEPLOYMENTS, deployment())
  const { template: made, ...spec } = json['spec'] as unknown as Record<string, unknown> & { template: { spec: Record<string, unknown> } }
  deepStrictEqual(spec, { replicas: 1, selector: { matchLabels: { app: 'a' } }, strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '25%', maxSurge: '25%' } }, revisionHistoryLimit: 10, progressDeadlineSeconds: 600 })
  deepStrictEqual([made.spec['restartPolicy'], made.spec['enableServiceLinks'], json['metadata']?.['generation']], ['Always', undefined, 1])
  const patch = async (body: unknown) => c.call('PATCH', `${DEPLOYMENTS}/d`, body, MERGE)
  deepStrictEqual((await patch({ spec: { replicas: 3 } })).json['metadata']?.['generation'], 2)
  deepStrictEqual((await patch({ metadata: { labels: { x: 'y' } } })).json['metadata']?.['generation'], 2)
  deepStrictEqual((await patch({ metadata: { annotations: { x: 'y' } } })).json['metadata']?.['generation'], 3)
  deepStrictEqual(causes(await patch({ spec: { selector: { matchLabels: { app: 'b' } }, template: { metadata: { labels: { app: 'b' } } } } })), ['spec.selector: Invalid value: {"matchLabels":{"app":"b"}}: field is immutable'])
  const bad = async (body: unknown) => causes(await c.call('POST', DEPLOYMENTS, body))
  deepStrictEqual(await bad(deployment({}, { app: 'x' })), ['spec.template.metadata.labels: Invalid value: {"app":"x"}: `selector` does not match template `labels`'])
  deepStrictEqual(await bad(deployment({ strategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: 0 } } })), ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0'])
  deepStrictEqual(await bad(deployment({ strategy: { type: 'Recreate', rollingUpdate: {} } })).then((r) => r[0]?.split(':')[0]), 'spec.strategy.rollingUpdate')
  deepStrictEqual(await bad(deployment({ template: template({ app: 'a' }, { restartPolicy: 'Never' }) })), ['spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'])
  deepStrictEqual(await bad(deployment({ replicas: -1 })), ['spec.replicas: Invalid value: -1: must be greater than or equal to 0'])
})

test('services get addresses and ports, keep them over updates, and give them back', async () => {
  const c = cluster()
  const { json } = await c.create(SERVICES, service({ type: 'NodePort' }))
  const spec = json['spec'] as unknown as { clusterIP: string; ports: { nodePort: number }[] }
  deepStrictEqual(json['spec'], {
    type: 'NodePort', clusterIP: spec.clusterIP, clusterIPs: [spec.clusterIP], ipFamilies: ['IPv4'], ipFamilyPolicy: 'SingleStack', internalTrafficPolicy: 'Cluster', externalTrafficPolicy: 'Cluster', sessionAffinity: 'None',
    selector: { app: 'a' }, ports: [{ port: 80, protocol: 'TCP', targetPort: 80, nodePort: spec.ports[0]?.nodePort }],
  })
  deepStrictEqual(json['status'], { loadBalancer: {} })
  const put = await c.call('PUT', `${SERVICES}/s`, service({ type: 'NodePort', selector: { app: 'b' } }))
  deepStrictEqual([put.status, put.json['spec']?.['clusterIP'], put.json['spec']?.['ports']], [200, spec.clusterIP, json['spec']?.['ports']])
  const plain = await c.call('PATCH', `${SERVICES}/s`, { spec: { type: 'ClusterIP' } }, MERGE)
  deepStrictEqual([plain.json['spec']?.['ports'], plain.json['spec']?.['externalTrafficPolicy']], [[{ port: 80, protocol: 'TCP', targetPort: 80 }], undefined])
  deepStrictEqual(causes(await c.call('PATCH', `${SERVICES}/s`, { spec: { clusterIP: '10.43.0.9' } }, MERGE)), ['spec.clusterIPs[0]: Invalid value: ["10.43.0.9"]: may not change once set'])
  deepStrictEqual((await c.call('POST', SERVICES, { ...service({ clusterIP: spec.clusterIP }), metadata: { name: 't' } })).status, 422)
  deepStrictEqual((await c.call('DELETE', `${SERVICES}/s`)).status, 200)
  deepStrictEqual((await c.call('POST', SERVICES, { ...service({ clusterIP: spec.clusterIP }), metadata: { name: 't' } })).status, 201)
  const external = await c.call('PATCH', `${SERVICES}/t`, { spec: { type: 'ExternalName', externalName: 'x.org', ports: null, selector: null } }, MERGE)
  deepStrictEqual(external.json['spec'], { type: 'ExternalName', externalName: 'x.org', sessionAffinity: 'None' })
})

test('a dry run and a refused Service reserve nothing', async () => {
  const c = cluster()
  const at = (query = '') => c.call('POST', `${SERVICES}${query}`, { ...service({ type: 'NodePort', clusterIP: '10.43.0.77', ports: [{ port: 80, nodePort: 30_099 }] }) })
  deepStrictEqual([(await at('?dryRun=All')).status, (await at()).status, (await at()).status], [201, 201, 422])
})

test('bad services are refused with upstream\'s fields and words', async () => {
  const c = cluster()
  const table: [unknown, string[]][] = [
    [service({ ports: [] }), ['spec.ports: Required value']],
    [service({ ports: [{ port: 1 }, { port: 2 }] }), ['spec.ports[0].name: Required value', 'spec.ports[1].name: Required value']],
    [service({ ports: [{ port: 0 }] }), ['spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive', 'spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive']],
    [service({ ports: [{ port: 1, nodePort: 30_000 }] }), ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"]],
    [service({ type: 'ExternalName' }), ['spec.externalName: Required value']],
    [service({ clusterIP: 'None', type: 'NodePort' }), ["spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"]],
    [service({ type: 'Magic' }), ['spec.type: Unsupported value: "Magic": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"']],
    [{ ...service(), metadata: { name: 'a.b' } }, ['metadata.name: Invalid value: "a.b": must not contain dots']],
  ]
  const got: string[][] = []
  for (const [body] of table) got.push(causes(await c.call('POST', SERVICES, body)))
  deepStrictEqual(got, table.map(([, wanted]) => wanted))
})

test('namespaces carry their name as a label and wait for their finalizer', async () => {
  const c = cluster()
  const { json } = await c.create('/api/v1/namespaces', { metadata: { name: 'x' } })
  deepStrictEqual([json['metadata']?.['labels'], json['spec'], json['status']], [{ 'kubernetes.io/metadata.name': 'x' }, { finalizers: ['kubernetes'] }, { phase: 'Active' }])
  const gone = await c.call('DELETE', '/api/v1/namespaces/x')
  deepStrictEqual([gone.status, gone.json['metadata']?.['deletionTimestamp'] !== undefined], [200, true])
  const again = await c.call('GET', '/api/v1/namespaces/x')
  await c.call('PUT', '/api/v1/namespaces/x/finalize', { ...again.json, spec: { finalizers: [] } })
  deepStrictEqual((await c.call('GET', '/api/v1/namespaces/x')).status, 404)
})

test('configmaps and secrets: keys, size, types, stringData, immutability', async () => {
  const c = cluster()
  const secret = await c.create(`${NS}/secrets`, { metadata: { name: 's' }, stringData: { a: 'b' }, data: { a: 'eA==', c: 'ZA==' } })
  deepStrictEqual([secret.json['type'], secret.json['data'], secret.json['stringData']], ['Opaque', { a: 'Yg==', c: 'ZA==' }, undefined])
  const bad = async (kind: string, body: unknown) => causes(await c.call('POST', `${NS}/${kind}`, body))
  match((await bad('configmaps', { metadata: { name: 'c' }, data: { 'a/b': '' } }))[0] ?? '', /^data\[a\/b\]: Invalid value: "a\/b": a valid config key must consist of/)
  deepStrictEqual(await bad('configmaps', { metadata: { name: 'c' }, data: { a: 'x'.repeat(1024 * 1024 + 1) } }), ['[]: Too long: may not be more than 1048576 bytes'])
  deepStrictEqual(await bad('configmaps', { metadata: { name: 'c' }, data: { a: '' }, binaryData: { a: '' } }), ['data[a]: Invalid value: "a": duplicate of key present in binaryData'])
  deepStrictEqual(await bad('secrets', { metadata: { name: 't' }, type: 'kubernetes.io/tls', data: {} }), ['data[tls.crt]: Required value', 'data[tls.key]: Required value'])
  deepStrictEqual(causes(await c.call('PATCH', `${NS}/secrets/s`, { type: 'other' }, MERGE)), ['type: Invalid value: "other": field is immutable'])
  await c.create(`${NS}/configmaps`, { metadata: { name: 'i' }, immutable: true, data: { a: 'b' } })
  deepStrictEqual(causes(await c.call('PATCH', `${NS}/configmaps/i`, { data: { a: 'c' } }, MERGE)), ['data: Forbidden: field is immutable when `immutable` is set'])
  deepStrictEqual((await c.call('PATCH', `${NS}/configmaps/i`, { metadata: { labels: { a: 'b' } } }, MERGE)).status, 200)
})

test('an event written through either API is seen through both', async () => {
  const c = cluster()
  const core = { metadata: { name: 'e' }, involvedObject: { kind: 'Pod', name: 'p', namespace: 'default' }, reason: 'Pulled', message: 'done', type: 'Normal', count: 2, firstTimestamp: '2026-01-01T00:00:00Z', lastTimestamp: '2026-01-01T00:00:00Z', source: { component: 'kubelet', host: 'n' } }
  await c.create(`${NS}/events`, core)
  const view = (await c.call('GET', '/apis/events.k8s.io/v1/namespaces/default/events/e')).json
  deepStrictEqual([view['kind'], view['apiVersion'], view['regarding'], view['note'], view['deprecatedCount'], view['deprecatedSource'], view['involvedObject']], ['Event', 'events.k8s.io/v1', core.involvedObject, 'done', 2, core.source, undefined])
  await c.create('/apis/events.k8s.io/v1/namespaces/default/events', { metadata: { name: 'f' }, regarding: core.involvedObject, eventTime: '2026-01-01T00:00:00.000000Z', reason: 'R', action: 'A', reportingController: 'x/y', reportingInstance: 'i', type: 'Warning', note: 'n' })
  const back = (await c.call('GET', `${NS}/events/f`)).json
  deepStrictEqual([back['involvedObject'], back['message'], back['reportingComponent']], [core.involvedObject, 'n', 'x/y'])
  const found = async (path: string) => ((await c.call('GET', path)).json['items'] as unknown as unknown[]).length
  deepStrictEqual([await found(`${NS}/events?fieldSelector=involvedObject.name=p,type=Warning`), await found('/apis/events.k8s.io/v1/namespaces/default/events?fieldSelector=regarding.name=p')], [1, 2])
  deepStrictEqual(causes(await c.call('POST', `${NS}/events`, { ...core, metadata: { name: 'g' }, involvedObject: { ...core.involvedObject, namespace: 'other' } })), ['involvedObject.namespace: Invalid value: "other": does not match event.namespace'])
})

test('roles and bindings: shape, and a roleRef that stays', async () => {
  const c = cluster()
  const R = '/apis/rbac.authorization.k8s.io/v1'
  const { json } = await c.create(`${R}/clusterrolebindings`, { metadata: { name: 'system:x' }, roleRef: { kind: 'ClusterRole', name: 'a' }, subjects: [{ kind: 'User', name: 'u' }, { kind: 'ServiceAccount', name: 's', namespace: 'n' }] })
  deepStrictEqual([json['roleRef'], json['subjects']], [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'a' }, [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: 'u' }, { kind: 'ServiceAccount', name: 's', namespace: 'n' }]])
  deepStrictEqual(causes(await c.call('PATCH', `${R}/clusterrolebindings/system:x`, { roleRef: { name: 'b' } }, MERGE)), ['roleRef: Invalid value: {"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"b"}: cannot change roleRef'])
  deepStrictEqual(causes(await c.call('POST', `${R}/namespaces/default/roles`, { metadata: { name: 'r' }, rules: [{ apiGroups: [''], resources: ['pods'] }] })), ['rules[0].verbs: Required value: verbs must contain at least one value'])
  deepStrictEqual(causes(await c.call('POST', `${R}/namespaces/default/rolebindings`, { metadata: { name: 'r' }, roleRef: { kind: 'Role', name: 'a' }, subjects: [{ kind: 'Robot', name: 'x' }] })), ['subjects[0].kind: Unsupported value: "Robot": supported values: "ServiceAccount", "User", "Group"'])
})

test('jobs choose their own selector; cron schedules are read', async () => {
  const c = cluster()
  const { json } = await c.create('/apis/batch/v1/namespaces/default/jobs', { metadata: { name: 'j' }, spec: { template: template({}, { restartPolicy: 'Never' }) } })
  const uid = String(json['metadata']?.['uid'])
  const labels = { 'job-name': 'j', 'batch.kubernetes.io/job-name': 'j', 'controller-uid': uid, 'batch.kubernetes.io/controller-uid': uid }
  const { template: made, ...spec } = json['spec'] as unknown as Record<string, unknown> & { template: { metadata: { labels: unknown } } }
  deepStrictEqual(spec, { parallelism: 1, completions: 1, backoffLimit: 6, completionMode: 'NonIndexed', suspend: false, manualSelector: false, podReplacementPolicy: 'TerminatingOrFailed', selector: { matchLabels: { 'batch.kubernetes.io/controller-uid': uid } } })
  deepStrictEqual([made.metadata.labels, json['metadata']?.['labels']], [labels, labels])
  deepStrictEqual(causes(await c.call('PATCH', '/apis/batch/v1/namespaces/default/jobs/j', { spec: { parallelism: 2 } }, MERGE)), ['200 '])
  const cron = async (schedule: string, extra: object = {}) => causes(await c.call('POST', '/apis/batch/v1/namespaces/default/cronjobs?dryRun=All', { metadata: { name: 'c' }, spec: { schedule, jobTemplate: { spec: { template: template({}, { restartPolicy: 'OnFailure' }) } }, ...extra } }))
  deepStrictEqual([await cron('*/5 1-4,9 * jan mon-fri'), await cron('@daily'), await cron('* * * *'), await cron('61 * * * *'), await cron('@never'), await cron('* * * * *', { timeZone: 'Moon/Base' })], [
    ['201 '], ['201 '], ['spec.schedule: Invalid value: "* * * *": expected exactly 5 fields, found 4: [* * * *]'], ['spec.schedule: Invalid value: "61 * * * *": end of range (61) above maximum (59): 61'],
    ['spec.schedule: Invalid value: "@never": unrecognized descriptor: @never'], ['spec.timeZone: Invalid value: "Moon/Base": unknown time zone Moon/Base'],
  ])
})

test('certificate requests say who asked, whatever the body claims', async () => {
  const c = cluster()
  const pem = createRequest({ commonName: 'c', organizations: [] }, NO_ALT_NAMES, await generateKey())
  const request = Buffer.from(pem).toString('base64')
  const { json } = await c.create('/apis/certificates.k8s.io/v1/certificatesigningrequests', { metadata: { name: 'c' }, spec: { request, signerName: 'example.com/x', usages: ['client auth'], username: 'root', groups: ['system:masters'] }, status: { certificate: 'eA==' } })
  deepStrictEqual([json['spec']?.['username'], json['spec']?.['groups'], json['status']], ['admin', ['system:masters', 'system:authenticated'], {}])
  deepStrictEqual((await c.call('POST', '/apis/certificates.k8s.io/v1/certificatesigningrequests', { metadata: { name: 'd' }, spec: { request: 'eA==', signerName: 'x', usages: [] } })).status, 422)
  const asked = async (text: string): Promise<string[]> => causes(await c.call('POST', '/apis/certificates.k8s.io/v1/certificatesigningrequests?dryRun=All', { metadata: { name: 'd' }, spec: { request: Buffer.from(text).toString('base64'), signerName: 'example.com/x', usages: ['client auth'] } })).map((t) => t.replace(/"[^"]*"/, 'IT'))
  const broken = Buffer.from(pem.split('\n').slice(1, -2).join(''), 'base64')
  broken.writeUInt8(broken.readUInt8(broken.length - 1) ^ 1, broken.length - 1)
  const label = (bytes: string): string => `-----BEGIN CERTIFICATE REQUEST-----\n${bytes}\n-----END CERTIFICATE REQUEST-----\n`
  deepStrictEqual([await asked(pem), await asked(''), await asked(pem.replaceAll(' REQUEST', '')), await asked(label(broken.toString('base64'))), (await asked(label('MAA=')))[0]?.slice(0, 60)], [
    ['201 '], ['spec.request: Invalid value: null: PEM block type must be CERTIFICATE REQUEST'], ['spec.request: Invalid value: IT: PEM block type must be CERTIFICATE REQUEST'], ['spec.request: Invalid value: IT: x509: ECDSA verification failure'],
    'spec.request: Invalid value: IT: x509: malformed certificate',
  ])
})

test('every other kind takes its plain example and gives it its defaults', async () => {
  const c = cluster()
  const made = async (path: string, body: Record<string, unknown>) => {
    const { json } = await c.create(path, { metadata: { name: 'x' }, ...body })
    const { metadata: _m, kind: _k, apiVersion: _a, ...rest } = json
    return rest as unknown
  }
  const ns = (group: string, resource: string) => `/apis/${group}/v1/namespaces/default/${resource}`
  const selector = { matchLabels: { app: 'a' } }
  const pick = async (promise: Promise<unknown>, ...keys: string[]) => {
    const spec = (await promise) as { spec: Record<string, unknown> }
    return Object.fromEntries(keys.map((k) => [k, spec.spec[k]]))
  }
  deepStrictEqual(await pick(made(ns('apps', 'daemonsets'), { spec: { selector, template: template() } }), 'updateStrategy', 'revisionHistoryLimit'), { updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } }, revisionHistoryLimit: 10 })
  deepStrictEqual(await pick(made(ns('apps', 'statefulsets'), { spec: { selector, template: template(), serviceName: 'x' } }), 'updateStrategy', 'podManagementPolicy', 'persistentVolumeClaimRetentionPolicy', 'replicas'), { updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } }, podManagementPolicy: 'OrderedReady', persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' }, replicas: 1 })
  deepStrictEqual(await pick(made(`${NS}/replicationcontrollers`, { spec: { template: template() } }), 'selector', 'replicas'), { selector: { app: 'a' }, replicas: 1 })
  deepStrictEqual(await made(ns('discovery.k8s.io', 'endpointslices'), { addressType: 'IPv4', endpoints: [{ addresses: ['10.1.2.3'] }], ports: [{ port: 80 }] }), { addressType: 'IPv4', endpoints: [{ addresses: ['10.1.2.3'], conditions: {} }], ports: [{ name: '', port: 80, protocol: 'TCP' }] })
  deepStrictEqual(await made('/apis/scheduling.k8s.io/v1/priorityclasses', { value: 5 }), { value: 5, preemptionPolicy: 'PreemptLowerPriority' })
  deepStrictEqual(await made('/apis/storage.k8s.io/v1/storageclasses', { provisioner: 'a.b/c' }), { provisioner: 'a.b/c', reclaimPolicy: 'Delete', volumeBindingMode: 'Immediate' })
  deepStrictEqual(await pick(made(`${NS}/persistentvolumeclaims`, { spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } }), 'volumeMode'), { volumeMode: 'Filesystem' })
  deepStrictEqual(await pick(made('/api/v1/persistentvolumes', { spec: { accessModes: ['ReadWriteOnce'], capacity: { storage: '1Gi' }, hostPath: { path: '/x' } } }), 'volumeMode', 'persistentVolumeReclaimPolicy'), { volumeMode: 'Filesystem', persistentVolumeReclaimPolicy: 'Retain' })
  deepStrictEqual(await pick(made(`${NS}/limitranges`, { spec: { limits: [{ type: 'Container', max: { cpu: '2' }, min: { cpu: '1m' } }] } }), 'limits'), { limits: [{ type: 'Container', max: { cpu: '2' }, min: { cpu: '1m' }, default: { cpu: '2' }, defaultRequest: { cpu: '2' } }] })
  deepStrictEqual(await pick(made(ns('networking.k8s.io', 'networkpolicies'), { spec: { podSelector: {}, egress: [{ ports: [{ port: 53 }] }] } }), 'policyTypes', 'egress'), { policyTypes: ['Ingress', 'Egress'], egress: [{ ports: [{ port: 53, protocol: 'TCP' }] }] })
  deepStrictEqual(await pick(made('/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers', { spec: { maxReplicas: 3, scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'd' } } }), 'minReplicas', 'metrics'), { minReplicas: 1, metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } }] })
  await made(ns('networking.k8s.io', 'ingresses'), { spec: { rules: [{ host: 'a.b', http: { paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: 's', port: { number: 80 } } } }] } }] } })
  await made('/apis/networking.k8s.io/v1/ingressclasses', { spec: { controller: 'a.b/c' } })
  await made('/apis/node.k8s.io/v1/runtimeclasses', { handler: 'runc' })
  await made(ns('policy', 'poddisruptionbudgets'), { spec: { minAvailable: '50%', selector } })
  await made(ns('coordination.k8s.io', 'leases'), { spec: { holderIdentity: 'a', leaseDurationSeconds: 40 } })
  await made(`${NS}/resourcequotas`, { spec: { hard: { pods: '3' } } })
  await made(`${NS}/podtemplates`, { template: template() })
  await made(`${NS}/endpoints`, { subsets: [{ addresses: [{ ip: '10.1.1.1' }], ports: [{ port: 80 }] }] })
  await made('/api/v1/nodes', { spec: { podCIDR: '10.42.0.0/24' } })
  await made('/apis/storage.k8s.io/v1/csinodes', { spec: { drivers: [] } })
  await made('/apis/storage.k8s.io/v1/csidrivers', { spec: {} })
  await made('/apis/storage.k8s.io/v1/volumeattachments', { spec: { attacher: 'a.b', nodeName: 'n', source: { persistentVolumeName: 'v' } } })
  await made(ns('apps', 'controllerrevisions'), { revision: 1, data: { a: 1 } })
  await made(`${NS}/serviceaccounts`, {})
})

test('tables have upstream\'s columns', async () => {
  const c = cluster()
  await c.create(DEPLOYMENTS, deployment())
  await c.create(SERVICES, service())
  await c.create('/api/v1/nodes', { metadata: { name: 'n', labels: { 'node-role.kubernetes.io/control-plane': '', 'kubernetes.io/role': 'x' } }, spec: { unschedulable: true }, status: { conditions: [{ type: 'Ready', status: 'True' }], addresses: [{ type: 'InternalIP', address: '1.2.3.4' }] } })
  await c.create('/apis/rbac.authorization.k8s.io/v1/clusterroles', { metadata: { name: 'r' }, rules: [] })
  const table = async (path: string) => {
    const { json } = await c.call('GET', path, undefined, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' })
    const columns = json['columnDefinitions'] as unknown as { name: string; priority: number }[]
    return [columns.map((d) => (d.priority > 0 ? `(${d.name})` : d.name)).join(' '), (json['rows'] as unknown as { cells: unknown[] }[])[0]?.cells]
  }
  const ip = (await c.call('GET', `${SERVICES}/s`)).json['spec']?.['clusterIP']
  deepStrictEqual(await table(DEPLOYMENTS), ['Name Ready Up-to-date Available Age (Containers) (Images) (Selector)', ['d', '0/1', 0, 0, '0s', 'c', 'nginx', 'app=a']])
  deepStrictEqual(await table(SERVICES), ['Name Type Cluster-IP External-IP Port(s) Age (Selector)', ['s', 'ClusterIP', ip, '<none>', '80/TCP', '0s', 'app=a']])
  deepStrictEqual(await table('/api/v1/nodes'), ['Name Status Roles Age Version (Internal-IP) (External-IP) (OS-Image) (Kernel-Version) (Container-Runtime)', ['n', 'Ready,SchedulingDisabled', 'control-plane,x', '0s', '', '1.2.3.4', '<none>', '<unknown>', '<unknown>', '<unknown>']])
  deepStrictEqual((await table('/apis/rbac.authorization.k8s.io/v1/clusterroles'))[0], 'Name Created At')
})
