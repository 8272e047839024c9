import { deepStrictEqual, equal, ok } from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '#base/clock.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { seededRandom } from '#base/random.ts'
import type { KubeObject, Pod } from '#api/types/index.ts'
import { EVENTS, PODS as POD_REF } from '#api/types/index.ts'
import { admissionApi, admissionRequest } from '../admission.test-support.ts'
import type { Client } from '#api/client/client.ts'
import { cluster, MERGE, NS, pod, PODS, type Cluster } from '../kinds/kinds.test-support.ts'
import { choiceProblem, configProblem, isOn, parseAdmissionConfig, type AdmissionChoice, type ConfigFiles } from './choice.ts'
import { eventRateLimit } from './event-rate-limit.ts'
import { chooseAdmission } from './index.ts'
import { ownerReferencesPermissionEnforcement } from './owner-references-permission-enforcement.ts'

async function started(choice: Partial<AdmissionChoice> = {}): Promise<Cluster> {
  const c = cluster(chooseAdmission({ clock: systemClock, random: seededRandom(1), choice: { enabled: [], disabled: [], config: {}, ...choice } }))
  await c.create('/api/v1/namespaces', { metadata: { name: 'default' } })
  await c.create(`${NS}/serviceaccounts`, { metadata: { name: 'default' } })
  return c
}
const NO_FILES: ConfigFiles = { read: () => undefined, kubeconfig: () => ({ config: {}, identity: {} }), identities: () => () => undefined }
const message = async (c: Cluster, path: string, body: unknown) => String((await c.call('POST', path, body)).json['message'])

test('what is on is chosen by name, with kube-apiserver\'s words', () => {
  const choice = { enabled: ['AlwaysPullImages'], disabled: ['PodSecurity'] }
  deepStrictEqual(['AlwaysPullImages', 'PodSecurity', 'AlwaysDeny', 'NamespaceLifecycle', 'NodePassword', 'ValidatingAdmissionWebhook'].map((name) => isOn(name, choice)), [true, false, false, true, true, true])
  deepStrictEqual([choiceProblem(choice), choiceProblem({ enabled: ['Nope'], disabled: [] }), choiceProblem({ enabled: [], disabled: ['Nope'] }), choiceProblem({ enabled: ['PodSecurity'], disabled: ['PodSecurity'] }), configProblem({ enabled: ['EventRateLimit'], disabled: [], config: {} })], [
    undefined, 'enable-admission-plugins plugin "Nope" is unknown', 'disable-admission-plugins plugin "Nope" is unknown', '[PodSecurity] in enable-admission-plugins and disable-admission-plugins overlapped',
    'enable-admission-plugins plugin "EventRateLimit" needs a configuration in --admission-control-config-file',
  ])
})

test('an AdmissionConfiguration is read with the files it names, and says what is wrong', () => {
  const head = { apiVersion: 'apiserver.config.k8s.io/v1', kind: 'AdmissionConfiguration' }
  const quota = { apiVersion: 'apiserver.config.k8s.io/v1', kind: 'ResourceQuotaConfiguration', limitedResources: [{ resource: 'pods', matchScopes: [{ scopeName: 'PriorityClass', operator: 'In', values: ['high'] }] }] }
  const parsed = parseAdmissionConfig({ ...head, plugins: [{ name: 'ResourceQuota', path: 'quota.yaml' }, { name: 'PodNodeSelector', configuration: { podNodeSelectorPluginConfig: { clusterDefaultNodeSelector: 'a=b' } } }] }, { ...NO_FILES, read: (path) => (path === 'quota.yaml' ? quota : undefined) })
  ok(parsed.ok)
  deepStrictEqual(parsed.config, { limitedResources: [{ apiGroup: '', resource: 'pods', matchContains: [], matchScopes: [{ scopeName: 'PriorityClass', operator: 'In', values: ['high'] }] }], nodeSelectors: { clusterDefaultNodeSelector: 'a=b' } })
  const problem = (input: Record<string, unknown>) => {
    const result = parseAdmissionConfig(input, NO_FILES)
    return result.ok ? '' : result.message
  }
  deepStrictEqual([problem({}), problem({ ...head, plugins: [{ name: 'Nope' }] }), problem({ ...head, plugins: [{ name: 'EventRateLimit', configuration: { limits: [{ type: 'Server', qps: 0, burst: 1 }] } }] })], [
    'no kind "" is registered for version "": expected AdmissionConfiguration of apiserver.config.k8s.io/v1', 'plugins[0].name: "Nope" is unknown', 'plugin EventRateLimit: limits[0].qps: Invalid value: 0: must be positive',
  ])
})

test('plugins that are off by default do what upstream\'s do', async () => {
  const c = await started({ enabled: ['AlwaysPullImages', 'DenyServiceExternalIPs', 'LimitPodHardAntiAffinityTopology', 'ExtendedResourceToleration', 'NamespaceAutoProvision'] })
  const made = await c.create(PODS, pod({}, {}, { resources: { requests: { 'example.com/gpu': '1' }, limits: { 'example.com/gpu': '1' } } }))
  const spec = made.json['spec'] as unknown as NonNullable<Pod['spec']>
  deepStrictEqual([spec.containers[0]?.imagePullPolicy, spec.tolerations?.filter((t) => t.key === 'example.com/gpu')], ['Always', [{ key: 'example.com/gpu', operator: 'Exists', effect: 'NoSchedule' }]])
  equal(await message(c, `${NS}/services`, { metadata: { name: 's' }, spec: { ports: [{ port: 80 }], externalIPs: ['1.2.3.4'] } }), 'services "s" is forbidden: Use of external IPs is denied by admission control')
  const affinity = { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'zone', labelSelector: {} }] } }
  equal(await message(c, PODS, pod({ name: 'x' }, { affinity })), 'pods "x" is forbidden: affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey zone but only key kubernetes.io/hostname is allowed')
  equal((await c.call('POST', '/api/v1/namespaces/fresh/configmaps', { metadata: { name: 'c' } })).status, 201)
  const denied = await started({ enabled: ['NamespaceExists'] })
  equal(await message(denied, '/api/v1/namespaces/gone/configmaps', { metadata: { name: 'c' } }), 'namespaces "gone" not found')
})

test('namespaces choose nodes and tolerations of their pods', async () => {
  const c = await started({ enabled: ['PodNodeSelector', 'PodTolerationRestriction'] })
  const annotate = (annotations: Record<string, string>) => c.call('PATCH', NS, { metadata: { annotations } }, MERGE)
  await annotate({ 'scheduler.alpha.kubernetes.io/node-selector': 'env=dev', 'scheduler.alpha.kubernetes.io/defaultTolerations': '[{"key":"dev","operator":"Exists"}]' })
  const spec = (await c.create(PODS, pod())).json['spec'] as unknown as NonNullable<Pod['spec']>
  deepStrictEqual([spec.nodeSelector, spec.tolerations?.filter((t) => t.key === 'dev')], [{ env: 'dev' }, [{ key: 'dev', operator: 'Exists' }]])
  equal(await message(c, PODS, pod({ name: 'x' }, { nodeSelector: { env: 'prod' } })), 'pods "x" is forbidden: pod node label selector conflicts with its namespace node label selector')
  await annotate({ 'scheduler.alpha.kubernetes.io/tolerationsWhitelist': '[{"key":"dev","operator":"Exists"},{"key":"node.kubernetes.io/not-ready","operator":"Exists"},{"key":"node.kubernetes.io/unreachable","operator":"Exists"}]' })
  equal((await c.call('POST', PODS, pod({ name: 'y' }))).status, 201)
  equal(await message(c, PODS, pod({ name: 'x' }, { tolerations: [{ key: 'prod', operator: 'Exists' }] })), 'pods "x" is forbidden: pod tolerations (possibly merged with namespace default tolerations) conflict with its namespace whitelist')
})

test('a namespace\'s tolerations are merged into its pods\': what another one covers goes, nothing conflicts, and the whitelist holds for all', async () => {
  const c = await started({ enabled: ['PodTolerationRestriction'], disabled: ['DefaultTolerationSeconds'] })
  const annotate = (annotations: Record<string, string>) => c.call('PATCH', NS, { metadata: { annotations } }, MERGE)
  const merged = async (tolerations: unknown, container = {}) => (await c.call('POST', `${PODS}?dryRun=All`, pod({ name: 'x' }, { tolerations }, container))).json['spec']?.['tolerations'] as unknown
  await annotate({ 'scheduler.alpha.kubernetes.io/defaultTolerations': '[{"key":"a","operator":"Exists"},{"key":"b","operator":"Equal","value":"1","effect":"NoExecute","tolerationSeconds":9}]' })
  const [anyA, b9] = [{ key: 'a', operator: 'Exists' }, { key: 'b', operator: 'Equal', value: '1', effect: 'NoExecute', tolerationSeconds: 9 }]
  deepStrictEqual(await merged([{ key: 'a', operator: 'Exists', effect: 'NoSchedule' }]), [anyA, b9])
  deepStrictEqual(await merged([{ ...b9, tolerationSeconds: 20 }, anyA]), [{ ...b9, tolerationSeconds: 20 }, anyA])
  deepStrictEqual(await merged([{ operator: 'Exists' }]), [{ operator: 'Exists' }])
  const memory = { key: 'node.kubernetes.io/memory-pressure', operator: 'Exists', effect: 'NoSchedule' }
  deepStrictEqual(await merged([], { resources: { requests: { cpu: '1' } } }), [anyA, b9, memory])
  await annotate({ 'scheduler.alpha.kubernetes.io/tolerationsWhitelist': JSON.stringify([anyA, b9]) })
  equal((await c.call('POST', `${PODS}?dryRun=All`, pod({ name: 'x' }))).status, 201)
  equal(await message(c, PODS, pod({ name: 'x' }, {}, { resources: { requests: { cpu: '1' } } })), 'pods "x" is forbidden: pod tolerations (possibly merged with namespace default tolerations) conflict with its namespace whitelist')
})

test('tolerations for pods of namespaces that do not say come from the configuration', async () => {
  const of = (own: object) => parseAdmissionConfig({ apiVersion: 'apiserver.config.k8s.io/v1', kind: 'AdmissionConfiguration', plugins: [{ name: 'PodTolerationRestriction', configuration: own }] }, NO_FILES)
  const head = { apiVersion: 'podtolerationrestriction.admission.k8s.io/v1alpha1', kind: 'Configuration' }
  const [a, b] = [{ key: 'a', operator: 'Exists' }, { key: 'b', operator: 'Exists' }]
  const parsed = of({ ...head, default: [a], whitelist: [a] })
  ok(parsed.ok)
  deepStrictEqual([of({}), of({ ...head, Default: [] }), of({ ...head, default: [{ key: 1 }] }), of({ ...head, whitelist: [{ operator: 'Equal' }] })].map((r) => (r.ok ? '' : r.message)), [
    'plugin PodTolerationRestriction: no kind "" is registered for version "": expected Configuration of podtolerationrestriction.admission.k8s.io/v1alpha1', 'plugin PodTolerationRestriction: unknown field "Default"',
    'plugin PodTolerationRestriction: default, whitelist: must be lists of tolerations', 'plugin PodTolerationRestriction: invalid config: podtolerationrestriction.whitelist[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, which means "match all values and all keys"',
  ])
  const c = await started({ enabled: ['PodTolerationRestriction'], disabled: ['DefaultTolerationSeconds'], config: parsed.config })
  const annotate = (annotations: Record<string, string>) => c.call('PATCH', NS, { metadata: { annotations } }, MERGE)
  const merged = async (tolerations: unknown[] = []) => (await c.call('POST', `${PODS}?dryRun=All`, pod({ name: 'x' }, { tolerations }))).json['spec']?.['tolerations'] as unknown
  deepStrictEqual(await merged(), [a])
  equal(await message(c, PODS, pod({ name: 'x' }, { tolerations: [b] })), 'pods "x" is forbidden: pod tolerations (possibly merged with namespace default tolerations) conflict with its cluster whitelist')
  // An empty word is one, too.
  await annotate({ 'scheduler.alpha.kubernetes.io/defaultTolerations': '', 'scheduler.alpha.kubernetes.io/tolerationsWhitelist': '' })
  deepStrictEqual(await merged([b]), [b])
})

test('claims grow only when bound and of a class that can', async () => {
  const c = await started()
  await c.create('/apis/storage.k8s.io/v1/storageclasses', { metadata: { name: 'grows' }, provisioner: 'x', allowVolumeExpansion: true })
  const sized = (name: string, storageClassName: string, storage: string) => ({ metadata: { name }, spec: { accessModes: ['ReadWriteOnce'], storageClassName, resources: { requests: { storage } } } })
  const outcomes = []
  for (const [name, storageClass, phase] of [['a', 'grows', 'Pending'], ['b', 'none', 'Bound'], ['c', 'grows', 'Bound']] as const) {
    const path = `${NS}/persistentvolumeclaims`
    await c.create(path, sized(name, storageClass, '1Gi'))
    await c.call('PATCH', `${path}/${name}/status`, { status: { phase } }, MERGE)
    const answer = await c.call('PATCH', `${path}/${name}`, { spec: { resources: { requests: { storage: '2Gi' } } } }, MERGE)
    outcomes.push([answer.status, answer.status === 200 ? '' : String(answer.json['message'])])
  }
  deepStrictEqual(outcomes, [
    [422, 'PersistentVolumeClaim "a" is invalid: spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims'],
    [403, 'persistentvolumeclaims "b" is forbidden: only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize'],
    [200, ''],
  ])
})

test('a bound pod carries the zone and region of its node', async () => {
  const c = await started()
  await c.create('/api/v1/nodes', { metadata: { name: 'n', labels: { 'topology.kubernetes.io/zone': 'z', 'topology.kubernetes.io/region': 'r', other: 'x' } } })
  await c.create(PODS, pod({ labels: { app: 'a', 'topology.kubernetes.io/zone': 'mine' } }))
  equal((await c.call('POST', `${PODS}/p/binding`, { apiVersion: 'v1', kind: 'Binding', metadata: { name: 'p' }, target: { kind: 'Node', name: 'n' } })).status, 201)
  deepStrictEqual((await c.call('GET', `${PODS}/p`)).json['metadata']?.['labels'], { app: 'a', 'topology.kubernetes.io/region': 'r', 'topology.kubernetes.io/zone': 'z' })
})

test('an account may confine its pods to its secrets', async () => {
  const c = await started()
  await c.create(`${NS}/serviceaccounts`, { metadata: { name: 'tight', annotations: { 'kubernetes.io/enforce-mountable-secrets': 'true' } }, secrets: [{ name: 'own' }], imagePullSecrets: [{ name: 'pull' }] })
  const of = (spec: object, container: Record<string, unknown> = {}) => message(c, PODS, pod({ name: 'x' }, { serviceAccountName: 'tight', ...spec }, container))
  const because = 'is not allowed because service account tight does not reference that'
  deepStrictEqual([
    await of({ volumes: [{ name: 'v', secret: { secretName: 'other' } }] }), await of({}, { envFrom: [{ secretRef: { name: 'other' } }] }),
    await of({}, { env: [{ name: 'E', valueFrom: { secretKeyRef: { name: 'other', key: 'k' } } }] }), await of({ imagePullSecrets: [{ name: 'other' }] }), await of({ volumes: [{ name: 'v', secret: { secretName: 'own' } }] }),
  ], [
    `pods "x" is forbidden: volume with secret.secretName="other" ${because} secret`, `pods "x" is forbidden: container c with envFrom referencing secret.secretName="other" ${because} secret`,
    `pods "x" is forbidden: container c with envVar E referencing secret.secretName="other" ${because} secret`, `pods "x" is forbidden: imagePullSecrets[0].name="other" ${because} imagePullSecret`, 'undefined',
  ])
})

test('limits of a namespace: ratios, claims, and the first range that objects', async () => {
  const c = await started()
  const range = (name: string, ...limits: object[]) => c.create(`${NS}/limitranges`, { metadata: { name }, spec: { limits } })
  await range('a', { type: 'Container', maxLimitRequestRatio: { cpu: '2' } }, { type: 'PersistentVolumeClaim', max: { storage: '2Gi' }, min: { storage: '1Gi' } })
  await range('b', { type: 'Container', max: { memory: '1Gi' } })
  const of = (name: string, resources: object) => message(c, PODS, pod({ name }, {}, { resources }))
  deepStrictEqual([
    await of('x', { requests: { cpu: '100m' }, limits: { cpu: '300m', memory: '2Gi' } }), await of('x', { requests: { cpu: '100m' }, limits: { memory: '1Gi' } }), await of('x', { requests: { cpu: '100m' }, limits: { cpu: '200m', memory: '2Gi' } }),
    await message(c, `${NS}/persistentvolumeclaims`, { metadata: { name: 'x' }, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '3Gi' } } } }),
  ], [
    'pods "x" is forbidden: cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000', 'pods "x" is forbidden: cpu max limit to request ratio per Container is 2, but no limit is specified or limit is 0',
    'pods "x" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi', 'persistentvolumeclaims "x" is forbidden: maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi',
  ])
})

test('priorities with a quota only for some: nobody uses them without one', async () => {
  const parsed = parseAdmissionConfig({
    apiVersion: 'apiserver.config.k8s.io/v1', kind: 'AdmissionConfiguration',
    plugins: [{ name: 'ResourceQuota', configuration: { apiVersion: 'apiserver.config.k8s.io/v1', kind: 'ResourceQuotaConfiguration', limitedResources: [{ resource: 'pods', matchScopes: [{ scopeName: 'PriorityClass', operator: 'In', values: ['high'] }] }, { resource: 'persistentvolumeclaims', matchContains: ['requests.storage'] }] } }],
  }, NO_FILES)
  ok(parsed.ok)
  const c = await started({ config: parsed.config })
  await c.create('/apis/scheduling.k8s.io/v1/priorityclasses', { metadata: { name: 'high' }, value: 10 })
  equal((await c.call('POST', PODS, pod())).status, 201)
  equal(await message(c, PODS, pod({ name: 'x' }, { priorityClassName: 'high' })), 'insufficient quota to match these scopes: [{PriorityClass In [high]}]')
  equal(await message(c, `${NS}/persistentvolumeclaims`, { metadata: { name: 'x' }, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '3Gi' } } } }), 'persistentvolumeclaims "x" is forbidden: insufficient quota to consume: requests.storage')
})

test('who changes owners needs to be allowed to delete, and to hold up the owner\'s deletion', async () => {
  const { rows } = admissionApi({} as Client)
  const may = (...verbs: string[]) => admissionApi({} as Client, { rows, authorizer: { authorize: ({ verb }) => Promise.resolve({ allowed: verbs.includes(verb), reason: 'no' }), rulesFor: () => Promise.resolve({ resourceRules: [], nonResourceRules: [], incomplete: false }) } })
  const owned = (blockOwnerDeletion: boolean) => ({ metadata: { name: 'p', ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'o', uid: 'u', blockOwnerDeletion }] } }) as KubeObject
  const ask = async (operation: 'CREATE' | 'UPDATE', object: KubeObject, ...verbs: string[]) => (await ownerReferencesPermissionEnforcement.validate?.(admissionRequest({ ref: POD_REF, operation, object, old: { metadata: { name: 'p' } } as KubeObject }), may(...verbs)))?.message
  deepStrictEqual([await ask('UPDATE', owned(false)), await ask('UPDATE', owned(false), 'delete'), await ask('CREATE', owned(false)), await ask('CREATE', owned(true), 'update')], [
    "cannot set an ownerRef on a resource you can't delete: no, <nil>", undefined, undefined,
    'cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion v1 Kind Pod: no matches for kind "Pod" in version "v1"',
  ])
})

test('events come no faster than they may', async () => {
  const clock = new FakeClock()
  const plugin = eventRateLimit([{ type: 'Namespace', qps: 1, burst: 2 }], clock)
  const send = async (namespace: string) => (await plugin.validate?.(admissionRequest({ ref: EVENTS, namespace, object: {} as KubeObject }), admissionApi({} as Client)))?.message
  const first = [await send('a'), await send('a'), await send('a'), await send('b')]
  await clock.advance(1000)
  deepStrictEqual([...first, await send('a'), await send('a')], [undefined, undefined, 'limit reached on type Namespace for key a', undefined, undefined, 'limit reached on type Namespace for key a'])
})

test('webhooks may be configured with who this server is to them', () => {
  const own = (kind: string) => ({ apiVersion: 'apiserver.config.k8s.io/v1', kind, kubeConfigFile: 'hooks.yaml' })
  const of = (name: string, kind: string) => parseAdmissionConfig({ apiVersion: 'apiserver.config.k8s.io/v1', kind: 'AdmissionConfiguration', plugins: [{ name, configuration: own(kind) }] }, { ...NO_FILES, identities: (path) => () => ({ bearer: path }) })
  const parsed = of('ValidatingAdmissionWebhook', 'WebhookAdmissionConfiguration')
  deepStrictEqual([parsed.ok && parsed.config.webhookIdentities?.validating?.('h', 443), parsed.ok && parsed.config.webhookIdentities?.mutating], [{ bearer: 'hooks.yaml' }, undefined])
  deepStrictEqual(of('MutatingAdmissionWebhook', 'Other'), { ok: false, message: 'plugin MutatingAdmissionWebhook: no kind "Other" is registered: expected WebhookAdmissionConfiguration' })
})

test('device claims: expressions must compile, admin access needs a label of the namespace, quotas count devices by class', async () => {
  const c = await started()
  const CLAIMS = '/apis/resource.k8s.io/v1/namespaces/default/resourceclaims'
  const claim = (name: string, exactly: object) => ({ metadata: { name }, spec: { devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'gpio', ...exactly } }] } } })
  const cel = (expression: string) => ({ selectors: [{ cel: { expression } }] })
  const made = async (body: object) => (await c.call('POST', CLAIMS, body)).status
  equal(await made(claim('good', cel('device.driver == "d.example.com" && device.attributes["d.example.com"].pins > 3 && device.capacity["d.example.com"].memory.compareTo(quantity("1Gi")) >= 0'))), 201)
  equal(await message(c, CLAIMS, claim('a', cel('device.driver'))), 'ResourceClaim.resource.k8s.io "a" is invalid: spec.devices.requests[0].exactly.selectors[0].cel.expression: Invalid value: "device.driver": must evaluate to bool or the unknown type, not string')
  ok((await message(c, CLAIMS, claim('b', cel('device.color == "red"')))).startsWith('ResourceClaim.resource.k8s.io "b" is invalid: spec.devices.requests[0].exactly.selectors[0].cel.expression: Invalid value: "device.color == \\"red\\"": compilation failed: ERROR: <input>:1:7: undefined field \'color\''))
  equal((await c.call('POST', '/apis/resource.k8s.io/v1/deviceclasses', { metadata: { name: 'x' }, spec: { selectors: [{ cel: { expression: '1' } }] } })).status, 422)
  // Of each of 32 domains each of 32 names, over and over.
  const over = ['x', 'y', 'z', 'v', 'w'].reduceRight((inner, x) => `device.attributes.all(${x}, ${inner})`, 'true')
  equal(await message(c, CLAIMS, claim('dear', cel(over))), 'ResourceClaim.resource.k8s.io "dear" is invalid: spec.devices.requests[0].exactly.selectors[0].cel.expression: Forbidden: too complex, exceeds cost limit')
  equal(await message(c, CLAIMS, claim('admin', { adminAccess: true })), 'ResourceClaim.resource.k8s.io "admin" is invalid: spec.devices.requests[0].adminAccess: Forbidden: admin access to devices requires the `resource.kubernetes.io/admin-access: true` label on the containing namespace')
  await c.call('PATCH', NS, { metadata: { labels: { 'resource.kubernetes.io/admin-access': 'true' } } }, MERGE)
  equal(await made(claim('admin', { adminAccess: true })), 201)
  await c.create(`${NS}/resourcequotas`, { metadata: { name: 'q' }, spec: { hard: { 'gpio.deviceclass.resource.k8s.io/devices': '3' } } })
  await c.call('PUT', `${NS}/resourcequotas/q/status`, { metadata: { name: 'q' }, status: { hard: { 'gpio.deviceclass.resource.k8s.io/devices': '3' }, used: { 'gpio.deviceclass.resource.k8s.io/devices': '2' } } })
  equal(await message(c, CLAIMS, claim('many', { count: 2 })), 'resourceclaims.resource.k8s.io "many" is forbidden: exceeded quota: q, requested: gpio.deviceclass.resource.k8s.io/devices=2, used: gpio.deviceclass.resource.k8s.io/devices=2, limited: gpio.deviceclass.resource.k8s.io/devices=3')
  equal(await made(claim('one', { count: 1 })), 201)
})

test('a resize that the node must know of is refused unless it says that it does', async () => {
  const c = await started()
  const container = { name: 'c', image: 'i', resources: { requests: { cpu: '100m' }, limits: { cpu: '200m' } } }
  await c.create(PODS, { metadata: { name: 'p' }, spec: { nodeName: 'n1', resources: { requests: { cpu: '200m' }, limits: { cpu: '400m' } }, containers: [container] } })
  const resize = async (cpu: string) => {
    const { status, json } = await c.call('PATCH', `${PODS}/p/resize`, { spec: { resources: { requests: { cpu } } } }, MERGE)
    return [status, status === 200 ? '' : String(json['message'])]
  }
  deepStrictEqual(await resize('300m'), [403, 'pods "p" is forbidden: node "n1" not found'])
  await c.create('/api/v1/nodes', { metadata: { name: 'n1' } })
  await c.call('PATCH', '/api/v1/nodes/n1/status', { status: { allocatable: { cpu: '1', memory: '1Gi' } } }, MERGE)
  deepStrictEqual(await resize('300m'), [403, 'pods "p" is forbidden: pod update requires features InPlacePodLevelResourcesVerticalScaling which are not available on node "n1"'])
  deepStrictEqual((await c.call('PATCH', `${PODS}/p/resize`, { spec: { containers: [{ ...container, resources: { requests: { cpu: '110m' }, limits: { cpu: '200m' } } }] } }, MERGE)).status, 200)
  await c.call('PATCH', '/api/v1/nodes/n1/status', { status: { declaredFeatures: ['InPlacePodLevelResourcesVerticalScaling'] } }, MERGE)
  deepStrictEqual(await resize('300m'), [200, ''])
})

test('a bound pod is not resized to more than its node has, nor where nodes cannot', async () => {
  const c = await started()
  const resize = async (name: string, requests: object) => {
    const { status, json } = await c.call('PATCH', `${PODS}/${name}/resize`, { spec: { containers: [{ name: 'c', resources: { requests } }] } }, MERGE)
    return status === 200 ? 200 : [status, json['message'], (json['details'] as unknown as { causes?: object[] }).causes]
  }
  const nodeIs = (body: object) => c.call('PATCH', '/api/v1/nodes/n1/status', body, MERGE)
  for (const [name, nodeName] of [['bound', 'n1'], ['waiting', undefined]] as const) await c.create(PODS, { metadata: { name }, spec: { ...(nodeName && { nodeName }), containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '100m', memory: '64Mi' } } }] } })
  await c.create('/api/v1/nodes', { metadata: { name: 'n1' } })
  await nodeIs({ status: { allocatable: { cpu: '2', memory: '1Gi' } } })
  deepStrictEqual(await resize('bound', { cpu: '3', memory: '2Gi' }), [403, 'pods "bound" is forbidden: node didn\'t have enough allocatable resources: cpu, requested: 3000, allocatable: 2000; memory, requested: 2147483648, allocatable: 1073741824', [{ reason: 'NodeCapacity' }]])
  deepStrictEqual([await resize('bound', { cpu: '2', memory: '1Gi' }), await resize('waiting', { cpu: '3', memory: '64Mi' })], [200, 200])
  await c.call('PATCH', '/api/v1/nodes/n1', { metadata: { labels: { 'kubernetes.io/os': 'windows' } } }, MERGE)
  deepStrictEqual(await resize('bound', { cpu: '1', memory: '1Gi' }), [403, 'pods "bound" is forbidden: pod resize is only supported on linux nodes, node "n1" is "windows"', [{ reason: 'UnsupportedPlatform' }]])
})
