import { deepStrictEqual, ok } from 'node:assert'
import { test } from 'node:test'
import { causes, cluster, MERGE } from './kinds.test-support.ts'

const refused = async (group: string, resource: string, object: Record<string, unknown>, namespace = 'namespaces/default/'): Promise<string[]> =>
  causes(await cluster().call('POST', `${group}/${namespace}${resource}`, { metadata: { name: 'a' }, ...object }))

const template = (spec: Record<string, unknown> = {}): unknown => ({ spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }], ...spec } })
const job = (spec: Record<string, unknown>): Promise<string[]> => refused('/apis/batch/v1', 'jobs', { spec: { template: template(), ...spec } })

test('a Job\'s failure policy, success policy, indexes and manager', async () => {
  deepStrictEqual(await job({ backoffLimitPerIndex: 1, maxFailedIndexes: 1, managedBy: 'me' }), [
    'spec.managedBy: Invalid value: "me": must be a domain-prefixed path (such as "acme.io/foo")', 'spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode', 'spec.maxFailedIndexes: Invalid value: 1: requires indexed completion mode',
  ])
  deepStrictEqual(await job({ podFailurePolicy: { rules: [{ action: 'FailIndex', onExitCodes: { operator: 'In', values: [3, 0], containerName: 'x' } }, { action: 'Ignore' }] } }), [
    'spec.podFailurePolicy.rules[0].action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set', 'spec.podFailurePolicy.rules[0].onExitCodes.containerName: Invalid value: "x": must be one of the container or initContainer names in the pod template',
    'spec.podFailurePolicy.rules[0].onExitCodes.values[1]: Invalid value: 0: must not be 0 for the In operator', 'spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [3,0]: must be ordered',
    'spec.podFailurePolicy.rules[1]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required',
  ])
  deepStrictEqual(await job({ completionMode: 'Indexed', completions: 5, successPolicy: { rules: [{ succeededIndexes: '0,2-9' }, { succeededIndexes: '0-1', succeededCount: 3 }, {}] } }), [
    'spec.successPolicy.rules[0].succeededIndexes: Invalid value: "0,2-9": error parsing succeededIndexes: too large index: "9"',
    'spec.successPolicy.rules[1].succeededCount: Invalid value: 3: must be less than or equal to 2 (the number of indexes in the specified succeededIndexes field)', 'spec.successPolicy.rules[2]: Required value: at least one of succeededCount or succeededIndexes must be specified',
  ])
  deepStrictEqual(await job({ template: template({ restartPolicy: 'Always' }) }), ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'])
})

test('what an autoscaler measures and how fast it moves', async () => {
  deepStrictEqual(await refused('/apis/autoscaling/v2', 'horizontalpodautoscalers', { spec: {
    maxReplicas: 2, scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'd' },
    metrics: [{ type: 'Pods', resource: { name: 'cpu', target: { type: 'Utilization' } } }, { type: 'Resource', resource: { name: 'cpu', target: { type: 'Odd', averageUtilization: 0 } } }],
    behavior: { scaleUp: { stabilizationWindowSeconds: 3601, policies: [{ type: 'Pods', value: 0, periodSeconds: 1801 }] } },
  } }), [
    'spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or a target utilization', 'spec.metrics[0].pods: Required value: must populate information for the given metric source',
    'spec.metrics[1].resource.target.type: Invalid value: "Odd": must be either Utilization, Value, or AverageValue',
    'spec.metrics[1].resource.target.averageUtilization: Invalid value: 0: must be greater than 0', 'spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600',
    'spec.behavior.scaleUp.policies[0].value: Invalid value: 0: must be greater than zero', 'spec.behavior.scaleUp.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800',
  ])
})

test('limit ranges and quotas', async () => {
  deepStrictEqual(await refused('/api/v1', 'limitranges', { spec: { limits: [{ type: 'Node' }, { type: 'Pod', default: { cpu: '1' } }, { type: 'Container', min: { cpu: '1' }, max: { cpu: '2' }, maxLimitRequestRatio: { cpu: '3' } }] } }), [
    'spec.limits[0].type: Invalid value: "Node": must be a standard limit type or fully qualified', "spec.limits[1].default: Forbidden: may not be specified when `type` is 'Pod'",
    'spec.limits[2].maxLimitRequestRatio[cpu]: Invalid value: "3": ratio 3 is greater than max/min = 2.000000',
  ])
  deepStrictEqual(await refused('/api/v1', 'resourcequotas', { spec: { hard: { services: '1', pods: '1500m', odd: '1' }, scopes: ['Terminating', 'NotTerminating'] } }), [
    'spec.hard[pods]: Invalid value: "1500m": must be an integer', 'spec.hard[odd]: Invalid value: "odd": must be a standard resource type or fully qualified',
    'spec.hard[odd]: Invalid value: "odd": must be a standard resource for quota',
    ...Array.from({ length: 2 }, () => 'spec.scopes: Invalid value: ["Terminating","NotTerminating"]: unsupported scope applied to resource'), 'spec.scopes: Invalid value: ["Terminating","NotTerminating"]: conflicting scopes',
  ])
})

test('network policies, ingress classes and budgets', async () => {
  deepStrictEqual(await refused('/apis/networking.k8s.io/v1', 'networkpolicies', { spec: { podSelector: {}, ingress: [{ ports: [{ endPort: 9 }, { port: 'http', endPort: 9 }], from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.0.0.0/8', '10.1.0.0/16'] } }] }] } }), [
    'spec.ingress[0].ports[0].endPort: Invalid value: 9: may not be specified when `port` is not specified', 'spec.ingress[0].ports[1].endPort: Invalid value: 9: may not be specified when `port` is non-numeric',
    'spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "10.0.0.0/8": must be a strict subset of `cidr`',
  ])
  deepStrictEqual(await refused('/apis/networking.k8s.io/v1', 'ingressclasses', { spec: { controller: 'a b/c d', parameters: { kind: 'K', name: 'n', scope: 'Namespace' } } }, ''), [
    "spec.controller: Invalid value: \"a b\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
    String.raw`spec.controller: Invalid value: "c d": Invalid path (regex used for validation is '[A-Za-z0-9/\-._~%!$&'()*+,;=:]+')`, "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'",
  ])
  deepStrictEqual(await refused('/apis/policy/v1', 'poddisruptionbudgets', { spec: { minAvailable: '101%' } }), ['spec.minAvailable: Invalid value: "101%": must not be greater than 100%'])
})

test('a claim keeps what it asked for until it is bound, and does not shrink', async () => {
  const { call } = cluster()
  const path = '/api/v1/namespaces/default/persistentvolumeclaims'
  const sized = (storage: string): unknown => ({ metadata: { name: 'a' }, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } } } })
  await call('POST', path, sized('2Gi'))
  const frozen = 'spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims'
  deepStrictEqual(causes(await call('PUT', `${path}/a`, sized('3Gi'))), [frozen])
  await call('PUT', `${path}/a/status`, { metadata: { name: 'a' }, status: { phase: 'Bound', capacity: { storage: '2Gi' } } })
  deepStrictEqual(causes(await call('PUT', `${path}/a`, sized('1Gi'))), ['spec.resources.requests.storage: Forbidden: field can not be less than status.capacity'])
  deepStrictEqual(causes(await call('PUT', `${path}/a`, sized('3Gi'))), ['200 '])
})

test('the two networks of a ServiceCIDR are of two families, which is told of those that are wrong otherwise, too', async () => {
  const of = (...cidrs: string[]): Promise<string[]> => refused('/apis/networking.k8s.io/v1', 'servicecidrs', { spec: { cidrs } }, '')
  const families = (text: string) => `spec.cidrs: Invalid value: ${text}: may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64`
  deepStrictEqual(await of('10.0.0.0/24', '10.1.0.0/24'), [families('["10.0.0.0/24","10.1.0.0/24"]')])
  deepStrictEqual(await of('10.0.0.1/24', '10.1.0.0/24'), ['spec.cidrs[0]: Invalid value: "10.0.0.1/24": must not have bits set beyond the prefix length', families('["10.0.0.1/24","10.1.0.0/24"]')])
  deepStrictEqual(await of('x', 'y'), ['x', 'y'].map((text, i) => `spec.cidrs[${i}]: Invalid value: "${text}": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)`))
})

test('a Service\'s addresses, ranges and families, and what a load balancer reports', async () => {
  deepStrictEqual(await refused('/api/v1', 'services', { spec: { type: 'LoadBalancer', externalIPs: ['127.0.0.1'], loadBalancerSourceRanges: [' 10.0.0.0/8 ', '10.0.0.1'], ports: [{ port: 80 }] } }), [
    'spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)', 'spec.LoadBalancerSourceRanges[1]: Invalid value: "10.0.0.1": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
  ])
  // What is wrong with addresses and families is said alone, as the oracle does.
  deepStrictEqual(await refused('/api/v1', 'services', { spec: { clusterIP: '10.43.0.7', clusterIPs: ['10.43.0.7', '10.43.0.8'], ipFamilies: ['IPv4', 'IPv6'], externalIPs: ['127.0.0.1'] } }), [
    'spec.clusterIPs: Invalid value: ["10.43.0.7","10.43.0.8"]: may specify no more than one IP for each IP family', 'spec.clusterIPs[1]: Invalid value: "10.43.0.8": expected an IPv6 value as indicated by `ipFamilies[1]`',
  ])
  const c = cluster()
  const path = '/api/v1/namespaces/default/services'
  await c.create(path, { metadata: { name: 'plain' }, spec: { ports: [{ port: 80 }] } })
  await c.create(path, { metadata: { name: 'balanced' }, spec: { type: 'LoadBalancer', ports: [{ port: 80 }] } })
  const status = (name: string, ingress: unknown): Promise<string[]> => c.call('PATCH', `${path}/${name}/status`, { status: { loadBalancer: { ingress } } }, MERGE).then(causes)
  deepStrictEqual(await status('plain', [{ ip: '1.2.3.4' }]), ["status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"])
  deepStrictEqual(await status('balanced', [{ ip: '1.2.3' }, { hostname: '1.2.3.4' }]), ['status.loadBalancer.ingress[0].ip: Invalid value: "1.2.3": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)', 'status.loadBalancer.ingress[1].hostname: Invalid value: "1.2.3.4": must be a DNS name, not an IP address'])
  deepStrictEqual(await status('balanced', [{ ip: '1.2.3.4' }]), ['200 '])
})

test('a StatefulSet says how many of its pods may be away', async () => {
  const spec = { selector: { matchLabels: { app: 'a' } }, template: { metadata: { labels: { app: 'a' } }, spec: { containers: [{ name: 'c', image: 'i' }] } } }
  deepStrictEqual(await refused('/apis/apps/v1', 'statefulsets', { spec: { ...spec, updateStrategy: { rollingUpdate: { maxUnavailable: '101%' } } } }), ['spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%'])
})

test('events of the new kind say who reports what', async () => {
  const base = { metadata: { name: 'e', namespace: 'default' }, involvedObject: { kind: 'Pod', name: 'p', namespace: 'default' } }
  deepStrictEqual(await refused('/api/v1', 'events', { ...base, eventTime: '2026-01-01T00:00:00.000000Z', reportingComponent: 'a@b' }), [
    "reportingComponent: Invalid value: \"a@b\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
    'reportingInstance: Required value', 'action: Required value', 'reason: Required value',
  ])
})

test('an Ingress says for each path how it is matched, and an update keeps what once was allowed', async () => {
  const path = (over: object) => ({ path: '/', pathType: 'Prefix', backend: { service: { name: 's', port: { number: 80 } } }, ...over })
  const rules = (...paths: object[]) => ({ spec: { rules: [{ host: 'a.example.com', http: { paths } }] } })
  deepStrictEqual(await refused('/apis/networking.k8s.io/v1', 'ingresses', rules(path({ pathType: undefined }), path({ path: '/a/..' }), path({ path: 'x', pathType: 'Exact' }), path({ backend: {} }))), [
    'spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified', "spec.rules[0].http.paths[1].path: Invalid value: \"/a/..\": cannot end with '/..'",
    'spec.rules[0].http.paths[2].path: Invalid value: "x": must be an absolute path', 'spec.rules[0].http.paths[3].backend: Invalid value: "": resource or service backend is required',
  ])
})

test('a node has each of its addresses once and one network of each family', async () => {
  const c = cluster()
  await c.create('/api/v1/nodes', { metadata: { name: 'n' } })
  const address = { type: 'InternalIP', address: '10.0.0.1' }
  deepStrictEqual(causes(await c.call('PATCH', '/api/v1/nodes/n/status', { status: { addresses: [address, address], capacity: { 'example.com/a': '500m' } } }, MERGE)), [
    'status.capacity.example.com/a: Invalid value: "500m": must be an integer', 'status.allocatable.example.com/a: Invalid value: "500m": must be an integer', 'status.addresses[1]: Duplicate value: {"type":"InternalIP","address":"10.0.0.1"}',
  ])
  deepStrictEqual(causes(await c.call('POST', '/api/v1/nodes', { metadata: { name: 'm' }, spec: { podCIDRs: ['10.0.0.0/24', '10.0.1.0/24'], taints: [{ key: 'a', effect: 'Odd' }] } })), [
    'metadata.taints[0].effect: Unsupported value: "Odd": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"', 'spec.podCIDRs: Invalid value: ["10.0.0.0/24","10.0.1.0/24"]: may specify no more than one CIDR for each IP family',
  ])
})

test('a suspended Job of which nothing runs may be given other resources, and another place; nothing else, and no other Job', async () => {
  const c = cluster()
  const { call } = c
  const JOBS = '/apis/batch/v1/namespaces/default/jobs'
  const merge = { 'content-type': 'application/strategic-merge-patch+json' }
  const containers = (requests: object, image = 'i') => ({ containers: [{ name: 'c', image, resources: { requests } }] })
  await c.create(JOBS, { metadata: { name: 'j' }, spec: { suspend: true, template: { spec: { restartPolicy: 'Never', initContainers: [{ name: 'i', image: 'i' }], ...containers({ cpu: '4' }) } } } })
  const patch = async (spec: object, at = '') => causes(await call('PATCH', `${JOBS}/j${at}`, at === '' ? { spec: { template: { spec } } } : { status: spec }, merge))
  const isFrozen = (found: string[], at = 'spec.template') => found.length === 1 && (found[0] ?? '').startsWith(`${at}: `) && (found[0] ?? '').endsWith(': field is immutable')
  deepStrictEqual(await patch({ ...containers({ cpu: '2', memory: '1Gi' }), initContainers: [{ name: 'i', resources: { limits: { cpu: '1' } } }] }), ['200 '])
  ok(isFrozen(await patch(containers({ cpu: '2' }, 'other')), 'spec.template.spec'))
  deepStrictEqual(await patch({ startTime: '2026-01-01T00:00:00Z', active: 1 }, '/status'), ['200 '])
  ok(isFrozen(await patch(containers({ cpu: '1' }))))
  deepStrictEqual(await patch({ active: 0 }, '/status'), ['200 '])
  ok(isFrozen(await patch(containers({ cpu: '1' }))))
  deepStrictEqual(await patch({ conditions: [{ type: 'Suspended', status: 'True' }] }, '/status'), ['200 '])
  deepStrictEqual(await patch({ ...containers({ cpu: '1' }), nodeSelector: { a: 'b' } }), ['200 '])
  deepStrictEqual(causes(await call('PATCH', `${JOBS}/j`, { spec: { suspend: false } }, merge)), ['200 '])
  ok(isFrozen(await patch(containers({ cpu: '3' }))))
})
