import { deepStrictEqual } from 'node:assert'
import { test } from 'node:test'
import { causes, cluster, MERGE } from '../kinds/kinds.test-support.ts'

const MAPS = '/api/v1/namespaces/default/configmaps'
const SERVICES = '/api/v1/namespaces/default/services'
const JSON_PATCH = { 'content-type': 'application/json-patch+json' }
const STRATEGIC = { 'content-type': 'application/strategic-merge-patch+json' }
const APPLY = { 'content-type': 'application/apply-patch+yaml' }

async function withMap() {
  const c = cluster()
  const made = await c.call('POST', MAPS, { metadata: { name: 'a' }, data: { x: '1' } })
  return { c, made: made.json as unknown as { metadata: { creationTimestamp: string; uid: string } } }
}

test('nobody changes when an object was made', async () => {
  const { c, made } = await withMap()
  const { creationTimestamp } = made.metadata
  const stamp = async (answer: Promise<{ status: number; json: object }>): Promise<unknown> => {
    const { status, json } = await answer
    return [status, (json as typeof made).metadata.creationTimestamp]
  }
  deepStrictEqual(await stamp(c.call('PUT', `${MAPS}/a`, { metadata: { name: 'a', creationTimestamp: '2020-01-01T00:00:00Z' } })), [200, creationTimestamp])
  deepStrictEqual(await stamp(c.call('PATCH', `${MAPS}/a`, { metadata: { creationTimestamp: '2020-01-01T00:00:00Z' } }, MERGE)), [200, creationTimestamp])
})

test('an owner that is said twice is kept once', async () => {
  const { c } = await withMap()
  const owner = { apiVersion: 'v1', kind: 'Pod', name: 'p', uid: 'u' }
  const other = { ...owner, controller: true }
  const warning = (after: string): string => `.metadata.ownerReferences contains duplicate entries${after}; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: u`
  for (const [method, path, headers, after] of [['POST', MAPS, {}, ''], ['PUT', `${MAPS}/a`, {}, ''], ['PATCH', `${MAPS}/a`, MERGE, ' after mutating admission happens']] as const) {
    const { json, headers: told } = await c.call(method, path, { metadata: { ...(method !== 'PATCH' && { name: method === 'POST' ? 'b' : 'a' }), ownerReferences: [owner, owner, other] } }, headers)
    deepStrictEqual([method, (json as unknown as { metadata: { ownerReferences: unknown } }).metadata.ownerReferences, told['warning']], [method, [owner, other], `299 - "${warning(after)}"`])
  }
})

test('a patch leaves an object of the kind it was', async () => {
  const { c } = await withMap()
  const refused = async (body: unknown, headers: Record<string, string>): Promise<string[]> => causes(await c.call('PATCH', `${MAPS}/a`, body, headers))
  const unknown = 'no kind "ConfigMap" is registered for version "v2" in scheme "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"'
  deepStrictEqual(await refused({ apiVersion: 'v2' }, MERGE), [`patch: Invalid value: "{\\"apiVersion\\":\\"v2\\"}": ${unknown}`])
  deepStrictEqual((await refused([{ op: 'replace', path: '/kind', value: 'Pod' }], JSON_PATCH)).map((text) => text.split('": ').at(-1)), ['converting (v1.Pod) to (core.ConfigMap): unknown conversion'])
  deepStrictEqual(await refused({ data: 'x' }, MERGE), ['patch: Invalid value: "{\\"data\\":\\"x\\"}": json: cannot unmarshal string into Go struct field ConfigMap.data of type map[string]string'])
  // Nothing is a patch, too, but for a merge patch.
  deepStrictEqual(await Promise.all([JSON_PATCH, STRATEGIC, MERGE].map(async (headers) => {
    const { status, json } = await c.call('PATCH', `${MAPS}/a`, null, headers)
    return [status, (json as { message?: string }).message?.replace(/\d+ bytes/, 'more bytes')]
  })), [[200, undefined], [200, undefined], [400, 'Invalid JSON Patch']])
})

test('what is applied is of the URL\'s kind and means what is there', async () => {
  const { c } = await withMap()
  const refused = async (name: string, body: unknown): Promise<unknown> => {
    const { status, json } = await c.call('PATCH', `${MAPS}/${name}?fieldManager=m`, body, APPLY)
    return [status, (json as { message?: string }).message?.replace(/\d+ bytes/, 'more bytes')]
  }
  deepStrictEqual(await refused('a', { apiVersion: 'apps/v1', kind: 'Deployment' }), [400, 'invalid object type: apps/v1, Kind=Deployment'])
  deepStrictEqual(await refused('a', { kind: 'ConfigMap' }), [400, 'invalid object type: /, Kind=ConfigMap'])
  deepStrictEqual(await refused('a', { apiVersion: 'a/b/c', kind: 'ConfigMap' }), [400, 'invalid object type: /, Kind='])
  deepStrictEqual(await refused('a', []), [400, 'error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go value of type map[string]interface {}'])
  deepStrictEqual(await refused('a', { apiVersion: 'v1', kind: 'ConfigMap', metadata: { uid: 'x' } }), [422, 'ConfigMap "a" is invalid: metadata.uid: Invalid value: "x": field is immutable'])
  deepStrictEqual(await refused('b', { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'b', uid: 'x' } }), [409, 'Operation cannot be fulfilled on configmaps "b": uid mismatch: the provided object specified uid x, and no existing object was found'])
  deepStrictEqual(await refused('a', { apiVersion: 'v1', kind: 'ConfigMap', metadata: null }), [200, undefined])
})

test('a Service\'s port keeps its node port by name', async () => {
  const c = cluster()
  await c.call('POST', SERVICES, { metadata: { name: 's' }, spec: { type: 'NodePort', ports: [{ name: 'a', port: 80, nodePort: 30_080 }, { name: 'b', port: 81, nodePort: 30_081 }] } })
  const { json } = await c.call('PUT', `${SERVICES}/s`, { metadata: { name: 's' }, spec: { type: 'NodePort', ports: [{ name: 'b', port: 80 }, { name: 'a', port: 8080 }] } })
  deepStrictEqual((json as unknown as { spec: { ports: { name: string; nodePort: number }[] } }).spec.ports.map(({ name, nodePort }) => [name, nodePort]), [['b', 30_081], ['a', 30_080]])
})

test('a Service whose addresses are wrong hears of nothing else, of a change either', async () => {
  const c = cluster()
  await c.call('POST', SERVICES, { metadata: { name: 's' }, spec: { ports: [{ port: 80 }] } })
  const refused = async (spec: object): Promise<string[]> => causes(await c.call('PATCH', `${SERVICES}/s`, { spec }, MERGE))
  deepStrictEqual(await refused({ clusterIP: 'x', sessionAffinity: 'x' }), ['spec.clusterIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'])
  deepStrictEqual(await refused({ clusterIP: '10.43.9.9' }), ['spec.clusterIPs[0]: Invalid value: ["10.43.9.9"]: may not change once set'])
})

test('a time of nothing is none', async () => {
  const c = cluster()
  const { json } = await c.call('POST', '/api/v1/namespaces/default/events', { metadata: { name: 'e', namespace: 'default' }, involvedObject: { namespace: 'default' }, firstTimestamp: '0001-01-01T00:00:00Z', lastTimestamp: '2026-01-01T00:00:00Z' })
  const { firstTimestamp, lastTimestamp } = json as { firstTimestamp?: string; lastTimestamp?: string }
  deepStrictEqual([firstTimestamp, lastTimestamp], [undefined, '2026-01-01T00:00:00Z'])
})

test('a pod\'s status has one class of service, addresses of one mind and numbers that can be', async () => {
  const c = cluster()
  const PODS = '/api/v1/namespaces/default/pods'
  await c.call('POST', PODS, { metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'i' }] } })
  const patch = (status: object) => c.call('PATCH', `${PODS}/p/status`, { status }, MERGE)
  const addresses = async (status: object): Promise<unknown> => {
    const { podIP, podIPs } = ((await patch(status)).json as unknown as { status: { podIP?: string; podIPs?: unknown } }).status
    return [podIP, podIPs]
  }
  deepStrictEqual(await addresses({ podIP: '10.42.0.5' }), ['10.42.0.5', [{ ip: '10.42.0.5' }]])
  deepStrictEqual(await addresses({ podIP: '10.42.0.6' }), ['10.42.0.6', [{ ip: '10.42.0.6' }]])
  deepStrictEqual(await addresses({ podIP: null, podIPs: [{ ip: '10.42.0.7' }] }), ['10.42.0.7', [{ ip: '10.42.0.7' }]])
  deepStrictEqual(causes(await patch({ qosClass: 'Guaranteed', observedGeneration: -1, conditions: [{ type: 'Bad_Name!', status: 'True', observedGeneration: -2 }], containerStatuses: [{ name: 'c', user: { linux: { uid: -1, gid: 0, supplementalGroups: [5, -1] } } }] })).map((text) => text.split(' (e.g.')[0]), [
    'status.conditions[0].Type: Invalid value: "Bad_Name!": name part must consist of alphanumeric characters, \'-\', \'_\' or \'.\', and must start and end with an alphanumeric character',
    'status.conditions[0].observedGeneration: Invalid value: -2: must be a non-negative integer',
    'status.observedGeneration: Invalid value: -1: must be a non-negative integer',
    'status.qosClass: Invalid value: "Guaranteed": field is immutable',
    'status.containerStatuses[0].user.linux.uid: Invalid value: -1: must be between 0 and 2147483647, inclusive',
    'status.containerStatuses[0].user.linux.supplementalGroups[1]: Invalid value: -1: must be between 0 and 2147483647, inclusive',
  ])
})

test("a /status that puts metadata back holds what it does not put back to metadata's rules", async () => {
  const cidrs = '/apis/networking.k8s.io/v1/servicecidrs'
  const c = cluster()
  await c.create(cidrs, { metadata: { name: 'a', labels: { a: 'b' } }, spec: { cidrs: ['10.8.0.0/24'] } })
  const patched = (metadata: object): ReturnType<typeof c.call> => c.call('PATCH', `${cidrs}/a/status`, { metadata }, MERGE)
  deepStrictEqual(causes(await patched({ uid: 'x' })), ['metadata.uid: Invalid value: "x": field is immutable'])
  deepStrictEqual(causes(await patched({ deletionGracePeriodSeconds: 5 })), ['metadata.deletionGracePeriodSeconds: Invalid value: 5: field is immutable'])
  deepStrictEqual(causes(await patched({ generateName: 'a/b' })), ['metadata.generateName: Invalid value: "a/b": may not contain \'/\''])
  const { status, json } = await patched({ labels: null, annotations: { a: 'b' }, finalizers: ['a.b/c'], deletionTimestamp: '2026-01-01T00:00:00Z', generateName: 'a-' })
  const { metadata } = json as unknown as { metadata: Record<string, unknown> }
  deepStrictEqual([status, metadata['labels'], metadata['annotations'], metadata['finalizers'], metadata['deletionTimestamp'], metadata['generateName']], [200, { a: 'b' }, undefined, undefined, undefined, 'a-'])
})

test("an APIService's /status puts all back but when it goes", async () => {
  const services = '/apis/apiregistration.k8s.io/v1/apiservices'
  const c = cluster()
  await c.create(services, { metadata: { name: 'v1.example.com' }, spec: { group: 'example.com', version: 'v1', groupPriorityMinimum: 10, versionPriority: 10, service: { namespace: 'default', name: 's' } } })
  deepStrictEqual(causes(await c.call('PATCH', `${services}/v1.example.com/status`, { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z', labels: { a: 'b' } } }, MERGE)), ['metadata.deletionTimestamp: Invalid value: "2026-01-01T00:00:00Z": field is immutable'])
})

test("a node's podCIDR decides over its podCIDRs before it is said who wrote them", async () => {
  const c = cluster()
  await c.create('/api/v1/nodes', { metadata: { name: 'n' }, spec: { podCIDR: '10.42.7.0/24' } })
  const { json } = await c.call('PATCH', '/api/v1/nodes/n?fieldManager=other', { spec: { podCIDRs: ['10.42.8.0/24'] } }, MERGE)
  const { metadata, spec } = json as unknown as { metadata: { managedFields: { manager: string }[] }; spec: { podCIDRs: string[] } }
  deepStrictEqual([spec.podCIDRs, metadata.managedFields.some(({ manager }) => manager === 'other')], [['10.42.7.0/24'], false])
})

test('node ports of a load balancer that is to get no more stay, but for those that are taken away; a name has no policy of this cluster', async () => {
  const { c } = await withMap()
  type Spec = { ports?: { port: number; nodePort?: number }[]; internalTrafficPolicy?: string; clusterIP?: string }
  const specOf = ({ json }: { json: unknown }): Spec => (json as { spec: Spec }).spec
  const ports = [{ name: 'a', port: 80 }, { name: 'b', port: 81 }]
  const [a, b] = (specOf(await c.call('POST', SERVICES, { metadata: { name: 'l' }, spec: { type: 'LoadBalancer', ports } })).ports ?? []).map((port) => port.nodePort)
  const numbers = async (nodePorts: readonly (number | undefined)[]) => specOf(await c.call('PUT', `${SERVICES}/l`, { metadata: { name: 'l' }, spec: { type: 'LoadBalancer', allocateLoadBalancerNodePorts: false, ports: ports.map((port, i) => ({ ...port, nodePort: nodePorts[i] })) } })).ports?.map((port) => port.nodePort)
  deepStrictEqual([typeof a, await numbers([a, b]), await numbers([undefined, b])], ['number', [a, b], [undefined, b]])
  const named = specOf(await c.call('POST', SERVICES, { metadata: { name: 'n' }, spec: { type: 'ExternalName', externalName: 'a.b', internalTrafficPolicy: 'Cluster' } }))
  deepStrictEqual('internalTrafficPolicy' in named, false)
  await c.call('POST', SERVICES, { metadata: { name: 'h' }, spec: { clusterIP: 'None', ports: [{ port: 80 }] } })
  const renamed = await c.call('PUT', `${SERVICES}/h`, { metadata: { name: 'h' }, spec: { type: 'ExternalName', externalName: 'a.b', clusterIP: 'None', ports: [{ port: 80 }] } })
  deepStrictEqual([renamed.status, specOf(renamed).clusterIP], [200, undefined])
})

test('patches without a revision that meet at one object all come through', async () => {
  const { c } = await withMap()
  const names = Array.from({ length: 100 }, (_, i) => `k${i}`)
  const patched = await Promise.all(names.map((name, i) => c.call('PATCH', `${MAPS}/a${i % 2 === 0 ? '' : `?fieldManager=m${i}`}`, i % 2 === 0 ? { data: { [name]: 'v' } } : { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data: { [name]: 'v' } }, i % 2 === 0 ? MERGE : APPLY)))
  deepStrictEqual(patched.map(({ status }) => status), names.map(() => 200))
  deepStrictEqual(Object.keys((await c.call('GET', `${MAPS}/a`)).json['data'] ?? {}).length, 101)
})

test('patches do not make an object larger than one request may carry, nor does a dry run say that they would', async () => {
  const c = cluster()
  const ROLES = '/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles'
  await c.call('POST', ROLES, { metadata: { name: 'a' }, rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'], resourceNames: ['first'] }] })
  const grow = async (query = '') => {
    const { status, json } = await c.call('PATCH', `${ROLES}/a${query}`, [{ op: 'add', path: '/rules/0/resourceNames/-', value: 'x'.repeat(1024 * 1024) }] as never, JSON_PATCH)
    return status === 200 ? status : [status, (json as { message?: string }).message?.replace(/\d+ bytes/, 'more bytes')]
  }
  const tooLarge = [500, 'etcdserver: request is too large: Role a would have more bytes, the limit is 3145728']
  deepStrictEqual([await grow(), await grow(), await grow('?dryRun=All'), await grow()], [200, 200, tooLarge, tooLarge])
})
