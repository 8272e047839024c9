import { deepStrictEqual, match } from 'node:assert'
import { test } from 'node:test'
import { FakeClock } from '#base/clock-fake.ts'
import { generateKey, createRequest, NO_ALT_NAMES } from '#base/x509/index.ts'
import { ApiError, type Client } from '#api/client/client.ts'
import { createClient } from '#api/client/rest.ts'
import type { KubeObject, Pod, UserInfo } from '#api/types/index.ts'
import { NODES, PODS, LEASES, SERVICE_ACCOUNTS, CERTIFICATE_SIGNING_REQUESTS } from '#api/types/index.ts'
import { seededRandom } from '#base/random.ts'
import { admissionApi, admissionRequest } from '../admission.test-support.ts'
import type { AdmissionApi, AdmissionRequest } from '../admission.ts'
import { type Cluster, fullCluster, NS, pod, PODS as POD_PATH } from '../kinds/kinds.test-support.ts'
import { ensureBootstrap } from '../bootstrap/ensure.ts'
import { certificateSubjectRestriction } from './certificate-subject-restriction.ts'
import { nodeRestriction } from './node-restriction.ts'
import { serviceAccountPlugin } from './service-account.ts'

async function ready(): Promise<Cluster> {
  const c = fullCluster()
  await c.create('/api/v1/namespaces', { metadata: { name: 'default' } })
  await c.create(`${NS}/serviceaccounts`, { metadata: { name: 'default' }, imagePullSecrets: [{ name: 'pull' }] })
  return c
}

test('a pod gets account, token, tolerations, priority', async () => {
  const c = await ready()
  const { json } = await c.create(POD_PATH, pod({}, { initContainers: [{ name: 'i', image: 'b' }], containers: [{ name: 'c', image: 'b' }, { name: 'own', image: 'b', volumeMounts: [{ name: 'e', mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' }] }], volumes: [{ name: 'e', emptyDir: {} }] }))
  const spec = json['spec'] as unknown as NonNullable<Pod['spec']>
  const name = spec.volumes?.[1]?.name ?? ''
  match(name, /^kube-api-access-[bcdfghjklmnpqrstvwxz2456789]{5}$/)
  const mount = { name, readOnly: true, mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' }
  deepStrictEqual([spec.containers.map((x) => x.volumeMounts), spec.initContainers?.[0]?.volumeMounts], [[[mount], [{ name: 'e', mountPath: mount.mountPath }]], [mount]])
  deepStrictEqual(spec.volumes?.[1]?.projected, {
    defaultMode: 420,
    sources: [{ serviceAccountToken: { expirationSeconds: 3607, path: 'token' } }, { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } }, { downwardAPI: { items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }] } }],
  })
  deepStrictEqual([spec.serviceAccountName, spec.serviceAccount, spec.imagePullSecrets, spec.priority, spec.preemptionPolicy, spec.tolerations], ['default', 'default', [{ name: 'pull' }], 0, 'PreemptLowerPriority', [
    { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 }, { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
  ]])
})

test('no token where the pod or the account says so, and no pod without its account', async () => {
  const c = await ready()
  await c.create(`${NS}/serviceaccounts`, { metadata: { name: 'quiet' }, automountServiceAccountToken: false })
  const volumes = async (spec: Record<string, unknown>, name: string) => (await c.create(POD_PATH, pod({ name }, spec))).json['spec']?.['volumes']
  deepStrictEqual([await volumes({ automountServiceAccountToken: false }, 'a'), await volumes({ serviceAccountName: 'quiet' }, 'b')], [undefined, undefined])
  const refused = await c.call('POST', POD_PATH, pod({ name: 'x' }, { serviceAccountName: 'gone' }))
  deepStrictEqual([refused.status, refused.json['message']], [403, 'pods "x" is forbidden: error looking up service account default/gone: serviceaccount "gone" not found'])
})

test('the default account is waited for, a while', async () => {
  const clock = new FakeClock()
  const asked: number[] = []
  const client = { get: () => { asked.push(clock.monotonicMs()); return Promise.reject(new ApiError({ code: 404, reason: 'NotFound' })) } } as unknown as Client
  const plugin = serviceAccountPlugin({ clock, random: seededRandom(1) })
  const done = plugin.mutate?.(request({ object: pod() as KubeObject, ref: PODS }), admissionApi(client))
  await clock.advance(10_000)
  deepStrictEqual([await done, asked.length, asked.at(-1)], [{ code: 403, reason: 'Forbidden', message: 'error looking up service account default/default: serviceaccount "default" not found' }, 10, 900])
})

test('nothing goes into a namespace that is missing or going, and the system\'s own stay', async () => {
  const c = await ready()
  const missing = await c.call('POST', '/api/v1/namespaces/nope/configmaps', { metadata: { name: 'x' } })
  deepStrictEqual([missing.status, missing.json['reason'], missing.json['message'], missing.json['details']], [404, 'NotFound', 'namespaces "nope" not found', { name: 'nope', kind: 'namespaces' }])
  await c.create('/api/v1/namespaces', { metadata: { name: 'going' } })
  await c.call('DELETE', '/api/v1/namespaces/going')
  const going = await c.call('GET', '/api/v1/namespaces/going')
  deepStrictEqual(going.json['metadata']?.['deletionTimestamp'] !== undefined, true)
  await c.call('PUT', '/api/v1/namespaces/going/status', { ...going.json, status: { phase: 'Terminating' } })
  const refused = await c.call('POST', '/api/v1/namespaces/going/configmaps', { metadata: { name: 'x' } })
  deepStrictEqual([refused.status, refused.json['message'], refused.json['details']], [
    403, 'configmaps "x" is forbidden: unable to create new content in namespace going because it is being terminated',
    { name: 'x', kind: 'configmaps', causes: [{ reason: 'NamespaceTerminating', message: 'namespace going is being terminated', field: 'metadata.namespace' }] },
  ])
  const immortal = await c.call('DELETE', '/api/v1/namespaces/default')
  deepStrictEqual([immortal.status, immortal.json['message']], [403, 'namespaces "default" is forbidden: this namespace may not be deleted'])
})

test('priorities come from classes, not from pods', async () => {
  const c = await ready()
  await c.create('/apis/scheduling.k8s.io/v1/priorityclasses', { metadata: { name: 'high' }, value: 7, preemptionPolicy: 'Never' })
  const { json } = await c.create(POD_PATH, pod({ name: 'a' }, { priorityClassName: 'high' }))
  deepStrictEqual([json['spec']?.['priority'], json['spec']?.['preemptionPolicy']], [7, 'Never'])
  const refused = async (spec: Record<string, unknown>) => String((await c.call('POST', POD_PATH, pod({ name: 'x' }, spec))).json['message'])
  deepStrictEqual(await refused({ priorityClassName: 'gone' }), 'pods "x" is forbidden: no PriorityClass with name gone was found')
  deepStrictEqual(await refused({ priority: 9 }), 'pods "x" is forbidden: the integer value of priority (9) must not be provided in pod spec; priority admission controller computed 0 from the given PriorityClass name')
  await c.create('/apis/scheduling.k8s.io/v1/priorityclasses', { metadata: { name: 'usual' }, value: 3, globalDefault: true })
  const usual = await c.create(POD_PATH, pod({ name: 'b' }))
  deepStrictEqual([usual.json['spec']?.['priority'], usual.json['spec']?.['priorityClassName']], [3, 'usual'])
  const second = await c.call('POST', '/apis/scheduling.k8s.io/v1/priorityclasses', { metadata: { name: 'other' }, value: 3, globalDefault: true })
  deepStrictEqual(second.json['message'], 'priorityclasses.scheduling.k8s.io "other" is forbidden: PriorityClass usual is already marked as default. Only one default can exist')
})

test('limit ranges fill in and bound', async () => {
  const c = await ready()
  await c.create(`${NS}/limitranges`, { metadata: { name: 'l' }, spec: { limits: [{ type: 'Container', max: { cpu: '1' }, min: { cpu: '10m' }, default: { cpu: '500m' }, defaultRequest: { cpu: '100m' } }] } })
  const { json } = await c.create(POD_PATH, pod({ name: 'a' }))
  deepStrictEqual([(json['spec'] as unknown as Pod['spec'])?.containers[0]?.resources, json['metadata']?.['annotations']], [{ limits: { cpu: '500m' }, requests: { cpu: '100m' } }, { 'kubernetes.io/limit-ranger': 'LimitRanger plugin set: cpu request for container c; cpu limit for container c' }])
  const refused = await c.call('POST', POD_PATH, pod({ name: 'x' }, {}, { resources: { limits: { cpu: '2' } } }))
  deepStrictEqual(refused.json['message'], 'pods "x" is forbidden: maximum cpu usage per Container is 1, but limit is 2')
})

test('a new node is not ready; a runtime class brings its overhead', async () => {
  const c = await ready()
  deepStrictEqual((await c.create('/api/v1/nodes', { metadata: { name: 'n' } })).json['spec'], { taints: [{ key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' }] })
  await c.create('/apis/node.k8s.io/v1/runtimeclasses', { metadata: { name: 'vm' }, handler: 'kata', overhead: { podFixed: { memory: '64Mi' } }, scheduling: { nodeSelector: { vm: 'yes' } } })
  const { json } = await c.create(POD_PATH, pod({ name: 'a' }, { runtimeClassName: 'vm' }))
  deepStrictEqual([json['spec']?.['overhead'], json['spec']?.['nodeSelector']], [{ memory: '64Mi' }, { vm: 'yes' }])
  deepStrictEqual((await c.call('POST', POD_PATH, pod({ name: 'x' }, { runtimeClassName: 'gone' }))).json['message'], 'pods "x" is forbidden: pod rejected: RuntimeClass "gone" not found')
})

test('a node\'s agent changes its own things only', async () => {
  const user: UserInfo = { name: 'system:node:n', groups: ['system:nodes', 'system:authenticated'] }
  const mine: Pod = { metadata: { name: 'p', namespace: 'default', uid: 'u' }, spec: { containers: [], nodeName: 'n', serviceAccountName: 'sa', volumes: [{ name: 't', projected: { sources: [{ serviceAccountToken: { path: 't' } }, { serviceAccountToken: { path: 'v', audience: 'vault' } }] } }] } }
  const theirs: Pod = { ...mine, spec: { containers: [], nodeName: 'other' } }
  const mirror = (spec: object = {}, owner: object = {}): Pod => ({ metadata: { name: 'm', annotations: { 'kubernetes.io/config.mirror': 'x' }, ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: 'n', uid: 'u', controller: true, ...owner }] }, spec: { containers: [], nodeName: 'n', ...spec } })
  const claim = (status: object, labels = {}) => ({ metadata: { name: 'c', labels }, status }) as KubeObject
  const CLAIMS = { group: '', version: 'v1', resource: 'persistentvolumeclaims', kind: 'PersistentVolumeClaim', namespaced: true }
  const SLICES = { group: 'resource.k8s.io', version: 'v1', resource: 'resourceslices', kind: 'ResourceSlice', namespaced: false }
  const slice = (nodeName: string) => ({ spec: { nodeName } }) as KubeObject
  const api = (found: Pod): AdmissionApi => admissionApi({ get: () => Promise.resolve(found) } as unknown as Client)
  const ask = async (over: Partial<AdmissionRequest>, found: Pod = mine) => (await nodeRestriction.mutate?.(request({ user, ...over }), api(found)))?.message
  const token = (boundObjectRef?: object, audiences: string[] = []) => ({ ref: SERVICE_ACCOUNTS, subresource: 'token', name: 'sa', object: { spec: { audiences, boundObjectRef } } as KubeObject })
  const bound = { apiVersion: 'v1', kind: 'Pod', name: 'p', uid: 'u' }
  const node = (labels: Record<string, string>, taints: object[] = []) => ({ metadata: { name: 'n', labels }, spec: { taints } }) as KubeObject
  const table: [Partial<AdmissionRequest>, string | undefined, Pod?][] = [
    [{ ref: PODS, operation: 'UPDATE', subresource: 'status', object: mine, old: mine }, undefined],
    [{ ref: PODS, operation: 'UPDATE', subresource: 'status', object: theirs, old: theirs }, 'node "n" can only update pod status for pods with spec.nodeName set to itself'],
    [{ ref: PODS, operation: 'DELETE', old: theirs }, 'node "n" can only delete pods with spec.nodeName set to itself'],
    [{ ref: PODS, operation: 'DELETE', old: mine }, undefined],
    [{ ref: PODS, object: mine }, 'pod does not have "kubernetes.io/config.mirror" annotation, node "n" can only create mirror pods'],
    [{ ref: PODS, subresource: 'binding' }, 'unexpected pod subresource "binding", only \'status\' and \'eviction\' are allowed'],
    [{ ref: NODES, name: 'other', operation: 'UPDATE' }, 'node "n" is not allowed to modify node "other"'],
    [{ ref: NODES, name: 'n', object: node({ 'kubernetes.io/hostname': 'n', 'node-role.kubernetes.io/control-plane': '' }) }, 'node "n" is not allowed to set the following labels: node-role.kubernetes.io/control-plane'],
    [{ ref: NODES, name: 'n', object: node({ 'kubernetes.io/hostname': 'n', mine: 'x' }) }, undefined],
    [{ ref: NODES, name: 'n', operation: 'UPDATE', object: node({}, [{ key: 'a', effect: 'NoSchedule' }]), old: node({}) }, 'node "n" is not allowed to modify taints'],
    [{ ref: NODES, name: 'n', operation: 'UPDATE', object: node({ 'x.node-restriction.kubernetes.io/a': '' }), old: node({}) }, 'is not allowed to modify labels: x.node-restriction.kubernetes.io/a'],
    [{ ref: LEASES, namespace: 'default', name: 'n' }, 'can only access leases in the "kube-node-lease" system namespace'],
    [{ ref: LEASES, namespace: 'kube-node-lease', name: 'o', operation: 'UPDATE' }, 'can only access node lease with the same name as the requesting node'],
    [token(), 'node requested token not bound to a pod'],
    [token({ kind: 'Pod', name: 'p', uid: 'u' }), 'node requested token not bound to a pod'],
    [token(bound), undefined],
    [token(bound, ['vault']), undefined],
    [token(bound, ['other']), 'audience "other" not found in pod spec volume, system:node:n is not authorized to request tokens for this audience'],
    [token(bound, ['a', 'b']), 'node may only request 0 or 1 audiences'],
    [token(bound), 'node requested token bound to a pod scheduled on a different node', theirs],
    [{ ref: PODS, object: mirror() }, undefined],
    [{ ref: PODS, object: mirror({}, { name: 'other' }) }, 'node "n" can only create pods with an owner reference set to itself'],
    [{ ref: PODS, object: mirror({}, { uid: 'was' }) }, 'node n UID mismatch: expected was got u'],
    [{ ref: PODS, object: mirror({ containers: [{ name: 'c', envFrom: [{ secretRef: { name: 's' } }] }] }) }, 'node "n" can not create pods that reference secrets'],
    [{ ref: PODS, object: mirror({ volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'c' } }] }) }, 'node "n" can not create pods that reference persistentvolumeclaims'],
    [{ ref: CLAIMS, operation: 'UPDATE', object: claim({}), old: claim({}) }, 'may only update PVC status'],
    [{ ref: CLAIMS, operation: 'UPDATE', subresource: 'status', object: claim({ phase: 'Bound', capacity: { storage: '2Gi' } }), old: claim({ phase: 'Bound' }) }, undefined],
    [{ ref: CLAIMS, operation: 'UPDATE', subresource: 'status', object: claim({}, { a: 'b' }), old: claim({}) }, 'node "n" is not allowed to update fields other than status.capacity and status.conditions'],
    [{ ref: SLICES, object: slice('n') }, undefined],
    [{ ref: SLICES, object: slice('o') }, 'can only create ResourceSlice with the same NodeName as the requesting node'],
    [{ ref: SLICES, operation: 'DELETE', old: slice('o') }, 'can only delete ResourceSlice with the same NodeName as the requesting node'],
    [{ ref: PODS, object: mine, user: { name: 'system:node:n', groups: [] } }, undefined],
  ]
  const got: unknown[] = []
  for (const [over, , found] of table) got.push(await ask(over, found))
  deepStrictEqual(got, table.map(([, wanted]) => wanted))
})

test('what is missing between a pod and the audience that its node wants a token for is told, and no right makes up for it', async () => {
  const CLAIM: KubeObject & { spec: object } = { metadata: { name: 'c' }, spec: { volumeName: 'pv' } }
  const VOLUME: KubeObject & { spec: object } = { metadata: { name: 'pv' }, spec: { csi: { driver: 'd.example.com' } } }
  const ask = async (volume: object, there: Readonly<Record<string, KubeObject>>): Promise<string | undefined> => {
    const pod: Pod = { metadata: { name: 'p', namespace: 'default', uid: 'u' }, spec: { containers: [], nodeName: 'n', serviceAccountName: 'sa', volumes: [{ name: 'v', ...volume }] } }
    const get = (ref: { resource: string }) => (ref.resource === 'pods' ? Promise.resolve(pod) : there[ref.resource] ? Promise.resolve(there[ref.resource]) : Promise.reject(new ApiError({ code: 404, reason: 'NotFound', message: 'gone' })))
    const api: AdmissionApi = { ...admissionApi({ get } as unknown as Client), authorizer: { authorize: async () => ({ allowed: true, reason: '' }), rulesFor: async () => ({ resourceRules: [], nonResourceRules: [], incomplete: false }) } }
    const object = { spec: { audiences: ['a'], boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: 'p', uid: 'u' } } } as KubeObject
    return (await nodeRestriction.mutate?.(request({ user: { name: 'system:node:n', groups: ['system:nodes'] }, ref: SERVICE_ACCOUNTS, subresource: 'token', name: 'sa', object }), api))?.message
  }
  const claimed = { persistentVolumeClaim: { claimName: 'c' } }
  deepStrictEqual([
    await ask({ csi: { driver: 'd.example.com' } }, {}),
    await ask(claimed, {}),
    await ask(claimed, { persistentvolumeclaims: CLAIM }),
    await ask(claimed, { persistentvolumeclaims: { ...CLAIM, spec: {} } as KubeObject }),
    await ask(claimed, { persistentvolumeclaims: CLAIM, persistentvolumes: VOLUME }),
    await ask(claimed, { persistentvolumeclaims: CLAIM, persistentvolumes: VOLUME, csidrivers: { spec: { tokenRequests: [{ audience: 'a' }] } } as KubeObject }),
    await ask({ emptyDir: {} }, {}),
  ], [
    'error validating audience "a": csidriver.storage.k8s.io "d.example.com" not found', 'error validating audience "a": persistentvolumeclaim "c" not found', 'error validating audience "a": persistentvolume "pv" not found', 'error validating audience "a": persistentvolume "" not found',
    'error validating audience "a": csidriver.storage.k8s.io "d.example.com" not found', undefined, undefined,
  ])
})

test('nobody gets a client certificate of system:masters', async () => {
  const ask = async (organizations: string[], signerName = 'kubernetes.io/kube-apiserver-client') => {
    const pem = createRequest({ commonName: 'x', organizations }, NO_ALT_NAMES, await generateKey())
    const object = { spec: { signerName, request: Buffer.from(pem).toString('base64') } } as KubeObject
    return (await certificateSubjectRestriction.validate?.(request({ ref: CERTIFICATE_SIGNING_REQUESTS, object }), admissionApi({} as Client)))?.message
  }
  deepStrictEqual([await ask(['a']), await ask(['system:masters']), await ask(['system:masters'], 'example.com/own')], [undefined, 'use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed', undefined])
})

test('what every cluster starts with is made once and put right when it drifts', async () => {
  const c = fullCluster()
  const client = c.api.transportFor({ name: 'system:apiserver', groups: ['system:masters'] })
  const rest = createClient(client, { userAgent: 'test' })
  const server = { serviceCidr: '10.43.0.0/16', addresses: ['192.168.1.5'], port: 6443 }
  await ensureBootstrap(rest, server)
  const before = c.store.revision()
  await ensureBootstrap(rest, server)
  deepStrictEqual(c.store.revision(), before)
  const get = async (path: string) => (await c.call('GET', path)).json
  const names = ((await get('/api/v1/namespaces'))['items'] as unknown as { metadata: { name: string } }[]).map((n) => n.metadata.name)
  deepStrictEqual(names, ['default', 'kube-node-lease', 'kube-public', 'kube-system'])
  deepStrictEqual((await get(`${NS}/services/kubernetes`))['spec']?.['clusterIP'], '10.43.0.1')
  deepStrictEqual((await get('/apis/scheduling.k8s.io/v1/priorityclasses/system-node-critical'))['value'], 2_000_001_000)
  await ensureBootstrap(rest, { ...server, addresses: ['192.168.1.6', '192.168.1.5'] })
  deepStrictEqual((await get(`${NS}/endpoints/kubernetes`))['subsets'], [{ addresses: [{ ip: '192.168.1.5' }, { ip: '192.168.1.6' }], ports: [{ name: 'https', port: 6443, protocol: 'TCP' }] }])
  deepStrictEqual((await get('/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes'))['endpoints'], [{ addresses: ['192.168.1.5'], conditions: { ready: true } }, { addresses: ['192.168.1.6'], conditions: { ready: true } }])
})

function request(over: Partial<AdmissionRequest>): AdmissionRequest {
  return admissionRequest({ ref: PODS, ...over })
}
