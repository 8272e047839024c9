/** What upstream's strategies demand of metadata, revisions and selectors, kind by kind. */
import { deepStrictEqual } from 'node:assert'
import { test } from 'node:test'
import { items } from '../app.test-support.ts'
import { causes, cluster, MERGE, NS } from './kinds.test-support.ts'

const CM = `${NS}/configmaps`
const MAC = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations'

test('owners are told of without their number, and what is missing of them is invalid', async () => {
  const made = await cluster().call('POST', CM, { metadata: { name: 'a', ownerReferences: [{ apiVersion: 'a/b/c', kind: '', name: 'x', uid: '' }, { apiVersion: 'v1', kind: 'Event', name: 'e', uid: 'u' }] } })
  deepStrictEqual(causes(made).map((c) => c.replace(/\{.*\}/, '{}')), [
    'metadata.ownerReferences.apiVersion: Invalid value: "a/b/c": version must not be empty', 'metadata.ownerReferences.kind: Invalid value: "": must not be empty', 'metadata.ownerReferences.uid: Invalid value: "": must not be empty',
    'metadata.ownerReferences: Invalid value: {}: /v1, Kind=Event is disallowed from being an owner',
  ])
})

test('finalizers have qualified names with a slash, or a standard name, of which two exclude each other; a few groups want no slash', async () => {
  const c = cluster()
  const plain = (finalizers: string[]) => ({ metadata: { name: 'a', finalizers } })
  deepStrictEqual(causes(await c.call('POST', CM, plain(['a b/c', 'plain']))), [
    "metadata.finalizers: Invalid value: \"a b/c\": prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
    'metadata.finalizers[1]: Invalid value: "plain": name is neither a standard finalizer name nor is it fully qualified',
  ])
  await c.create(CM, plain(['orphan']))
  deepStrictEqual(causes(await c.call('PATCH', `${CM}/a`, plain(['a_b/c', 'orphan', 'foregroundDeletion']), MERGE)).map((cause) => cause.slice(0, 85)), [
    'metadata.finalizers: Invalid value: "a_b/c": prefix part a lowercase RFC 1123 subdoma', 'metadata.finalizers: Invalid value: ["a_b/c","orphan","foregroundDeletion"]: finalize',
  ])
  deepStrictEqual(causes(await c.call('PATCH', `${CM}/a`, plain(['plain']), MERGE)), ['metadata.finalizers[0]: Invalid value: "plain": name is neither a standard finalizer name nor is it fully qualified'])
  deepStrictEqual((await c.call('POST', MAC, plain(['plain']))).status, 201)
  deepStrictEqual(causes(await c.call('POST', '/api/v1/namespaces', { metadata: { name: 'n' }, spec: { finalizers: ['odd'] } })), ['spec.finalizers: Invalid value: "odd": name is neither a standard finalizer name nor is it fully qualified'])
})

test('an update, through /status as well, is held to the rules of metadata', async () => {
  const c = cluster()
  await c.create(`${NS}/services`, { metadata: { name: 'a' }, spec: { ports: [{ port: 80 }] } })
  const refused: readonly (readonly [change: object, cause: RegExp])[] = [
    [{ generateName: 'a/b' }, /^metadata\.generateName: Invalid value: "a\/b": may not contain '\/'$/],
    [{ finalizers: ['b'] }, /^metadata\.finalizers\[0\]: Invalid value: "b": name is neither a standard finalizer name nor is it fully qualified$/],
    [{ deletionGracePeriodSeconds: 0 }, /^metadata\.deletionGracePeriodSeconds: Invalid value: 0: field is immutable$/],
    [{ deletionTimestamp: '2026-01-01T00:00:00Z' }, /^metadata\.deletionTimestamp: Invalid value: "2026-01-01T00:00:00Z": field is immutable$/],
    [{ labels: { 'a b': 'c' } }, /^metadata\.labels: Invalid value: "a b": name part must consist of/],
    [{ annotations: { 'a b': 'c' } }, /^metadata\.annotations: Invalid value: "a b": name part must consist of/],
    [{ ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'p' }] }, /^metadata\.ownerReferences\.uid: Invalid value: "": must not be empty$/],
  ]
  for (const path of [`${NS}/services/a`, `${NS}/services/a/status`]) {
    for (const [metadata, cause] of refused) {
      const told = causes(await c.call('PATCH', path, { metadata }, MERGE))
      deepStrictEqual([path, metadata, told.length, cause.test(told[0] ?? '')], [path, metadata, 1, true], told.join())
    }
    const taken = await c.call('PATCH', path, { metadata: { selfLink: '/x' } }, MERGE)
    deepStrictEqual([taken.status, taken.json['metadata']?.['selfLink']], [200, undefined])
  }
})

test('names of finalizers need no slash in budgets, and in the status of a CronJob', async () => {
  const c = cluster()
  const budgets = '/apis/policy/v1/namespaces/default/poddisruptionbudgets'
  const cronJobs = '/apis/batch/v1/namespaces/default/cronjobs'
  await c.create(budgets, { metadata: { name: 'a' }, spec: { minAvailable: 1 } })
  await c.create(cronJobs, { metadata: { name: 'a' }, spec: { schedule: '* * * * *', jobTemplate: { spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }] } } } } } })
  const codes = async (path: string) => (await c.call('PATCH', path, { metadata: { finalizers: ['b'] } }, MERGE)).status
  deepStrictEqual([(await c.call('POST', budgets, { metadata: { name: 'b', finalizers: ['b'] }, spec: { minAvailable: 1 } })).status, await codes(`${budgets}/a`), await codes(`${budgets}/a/status`), await codes(`${cronJobs}/a`), await codes(`${cronJobs}/a/status`)], [201, 200, 200, 422, 200])
})

test('a pod is not made to end by its status', async () => {
  const c = cluster()
  await c.create(`${NS}/pods`, { metadata: { name: 'a' }, spec: { containers: [{ name: 'c', image: 'i' }] } })
  const changed = await c.call('PATCH', `${NS}/pods/a/status`, { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } }, MERGE)
  deepStrictEqual([changed.status, changed.json['metadata']?.['deletionTimestamp']], [200, undefined])
})

const REVISED: readonly (readonly [path: string, object: Record<string, unknown>])[] = [
  [MAC, {}],
  ['/apis/coordination.k8s.io/v1/namespaces/default/leases', { spec: {} }],
  ['/apis/policy/v1/namespaces/default/poddisruptionbudgets', { spec: { minAvailable: 1 } }],
  ['/apis/node.k8s.io/v1/runtimeclasses', { handler: 'h' }],
  ['/apis/storage.k8s.io/v1/csidrivers', { spec: {} }],
  ['/apis/storage.k8s.io/v1/csinodes', { spec: { drivers: [] } }],
  ['/apis/storage.k8s.io/v1/volumeattachments', { spec: { attacher: 'a', nodeName: 'n', source: { persistentVolumeName: 'p' } } }],
  ['/apis/storage.k8s.io/v1/namespaces/default/csistoragecapacities', { storageClassName: 's' }],
]

test('kinds that a PUT without a resourceVersion does not change', async () => {
  const c = cluster()
  for (const [path, object] of REVISED) {
    const made = await c.create(path, { metadata: { name: 'a' }, ...object })
    deepStrictEqual([path, causes(await c.call('PUT', `${path}/a`, { metadata: { name: 'a' }, ...object }))], [path, ['metadata.resourceVersion: Invalid value: 0: must be specified for an update']])
    deepStrictEqual([path, (await c.call('PUT', `${path}/a`, made.json)).status], [path, 200])
  }
  deepStrictEqual((await c.call('PUT', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/a', { metadata: { name: 'a' }, addressType: 'IPv4', endpoints: [] })).status, 404)
})

test('kinds without a generation have none, and a driver gets its first one by a change', async () => {
  const c = cluster()
  const generation = async (path: string, object: Record<string, unknown>, patch: Record<string, unknown>): Promise<unknown[]> => {
    const made = await c.create(path, { metadata: { name: 'a' }, ...object })
    const changed = await c.call('PATCH', `${path}/a`, patch, MERGE)
    return [changed.status, made.json['metadata']?.['generation'], changed.json['metadata']?.['generation']]
  }
  const scale = { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'd' }, maxReplicas: 3 }
  deepStrictEqual(await generation('/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers', { spec: scale }, { spec: { maxReplicas: 4 } }), [200, undefined, undefined])
  deepStrictEqual(await generation('/apis/storage.k8s.io/v1/csidrivers', { spec: {} }, { spec: { requiresRepublish: true } }), [200, undefined, 1])
})

test('each kind offers its own fields for selectors, and says so in its own words', async () => {
  const c = cluster()
  const told = async (path: string, field: string): Promise<string> => {
    const answer = await c.call('GET', `${path}?fieldSelector=${field}%3Da`)
    return answer.status === 200 ? `${items(answer.json['items']).length} items` : `${answer.status} ${String(answer.json['message'])}`
  }
  const table: [string, string, string][] = [
    ['/apis/apps/v1/replicasets', 'status.replicas', '400 "status.replicas" is not a known field selector: only "metadata.name", "metadata.namespace"'],
    ['/api/v1/replicationcontrollers', 'status.replicas', '0 items'],
    ['/apis/batch/v1/jobs', 'spec.x', '400 field label "spec.x" not supported for Job'],
    ['/api/v1/namespaces', 'name', '400 field label not supported: name'],
    ['/api/v1/nodes', 'metadata.namespace', '400 field label not supported: metadata.namespace'],
    ['/apis/rbac.authorization.k8s.io/v1/clusterroles', 'metadata.namespace', '0 items'],
    ['/apis/certificates.k8s.io/v1beta1/podcertificaterequests', 'metadata.namespace', '400 field label not supported: metadata.namespace'],
    ['/apis/resource.k8s.io/v1/resourceslices', 'spec.x', '400 field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: spec.x'],
    ['/api/v1/pods', 'spec.host', '0 items'],
  ]
  const seen: typeof table = []
  for (const [path, field] of table) seen.push([path, field, await told(path, field)])
  deepStrictEqual(seen, table)
})

test('nodes: the one pod network that old clients know wins, features are in order', async () => {
  const c = cluster()
  const made = await c.create('/api/v1/nodes', { metadata: { name: 'a' }, spec: { podCIDR: '10.1.0.0/24', podCIDRs: ['10.2.0.0/24', 'fd00::/64'] } })
  deepStrictEqual(made.json['spec'], { podCIDR: '10.1.0.0/24', podCIDRs: ['10.1.0.0/24'] })
  deepStrictEqual(causes(await c.call('PATCH', '/api/v1/nodes/a/status', { status: { declaredFeatures: ['B', 'A', 'A', 'c'] } }, MERGE)), [
    'status.declaredFeatures[1]: Invalid value: "A": list must be sorted alphabetically', 'status.declaredFeatures[2]: Duplicate value: "A"',
    'status.declaredFeatures[3]: Invalid value: "c": invalid feature name "c": must start with an UpperCamelCase segment, with subsequent segments separated by \'/\' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes',
  ])
})

test('quotas: scopes in any order are the same, those of a selector must not contradict each other, and the status is looked at', async () => {
  const c = cluster()
  const path = `${NS}/resourcequotas`
  await c.create(path, { metadata: { name: 'a' }, spec: { hard: { pods: '1' }, scopes: ['NotTerminating', 'NotBestEffort'] } })
  deepStrictEqual((await c.call('PATCH', `${path}/a`, { spec: { scopes: ['NotBestEffort', 'NotTerminating'] } }, MERGE)).status, 200)
  deepStrictEqual(causes(await c.call('PATCH', `${path}/a`, { spec: { scopes: ['NotBestEffort'] } }, MERGE)), ['spec.scopes: Invalid value: ["NotBestEffort"]: field is immutable'])
  const exists = (scopeName: string) => ({ scopeName, operator: 'Exists' })
  deepStrictEqual(causes(await c.call('POST', path, { metadata: { name: 'b' }, spec: { hard: { pods: '1' }, scopeSelector: { matchExpressions: [exists('BestEffort'), exists('NotBestEffort')] } } })), ['spec.scopeSelector.matchExpressions: Invalid value: null: conflicting scopes'])
  deepStrictEqual(causes(await c.call('PATCH', `${path}/a/status`, { status: { used: { pods: '0.5' } } }, MERGE)), ['status.used[pods]: Invalid value: "500m": must be an integer'])
})

test('leases: a strategy is known or qualified, and a preferred holder needs one', async () => {
  const c = cluster()
  const lease = async (spec: Record<string, unknown>): Promise<string[]> => causes(await c.call('POST', '/apis/coordination.k8s.io/v1/namespaces/default/leases', { metadata: { name: 'a' }, spec }))
  deepStrictEqual(await lease({ preferredHolder: 'x' }), ['spec.preferredHolder: Forbidden: may only be specified if `strategy` is defined'])
  deepStrictEqual(await lease({ strategy: 'Odd', holderIdentity: '' }), ['spec.strategy.strategy: Unsupported value: "Odd": supported values: "OldestEmulationVersion"'])
})

test('of the Secrets that a service account names, only the names are kept', async () => {
  const made = await cluster().create(`${NS}/serviceaccounts`, { metadata: { name: 'a' }, secrets: [{ kind: 'Secret', namespace: 'x', name: 's' }] })
  deepStrictEqual(made.json['secrets'], [{ name: 's' }])
})

test('the annotation that binds an account to its secrets is warned of where it is new', async () => {
  const c = cluster()
  const annotated = (more: object = {}) => ({ metadata: { name: 'a', annotations: { 'kubernetes.io/enforce-mountable-secrets': 'true', ...more } } })
  const warned = async (method: string, path: string, body: object): Promise<string | undefined> => (await c.call(method, path, body)).headers['warning']
  const text = '299 - "metadata.annotations[kubernetes.io/enforce-mountable-secrets]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets"'
  deepStrictEqual([
    await warned('POST', `${NS}/serviceaccounts`, annotated()), await warned('PUT', `${NS}/serviceaccounts/a`, annotated({ b: 'c' })), await warned('PUT', `${NS}/serviceaccounts/a`, { metadata: { name: 'a' } }), await warned('PUT', `${NS}/serviceaccounts/a`, annotated()),
  ], [text, undefined, undefined, text])
})

test('a PUT that may create: of which revision it was does not matter, but not in place of an object that is gone', async () => {
  const c = cluster()
  const path = '/apis/coordination.k8s.io/v1/namespaces/default/leases/a'
  const gone = await c.call('PUT', path, { metadata: { name: 'a', uid: 'u', resourceVersion: '7' }, spec: {} })
  deepStrictEqual([gone.status, String(gone.json['message']).replace(/Key: [^,]*/, 'Key: K')], [409, 'Operation cannot be fulfilled on leases.coordination.k8s.io "a": StorageError: invalid object, Code: 4, Key: K, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: u, UID in object meta: '])
  deepStrictEqual((await c.call('PUT', path, { metadata: { name: 'a', resourceVersion: '7' }, spec: {} })).status, 201)
})

test('claims: both names of a source are kept, odd ones of the old name dropped; what is applied of attributes stays', async () => {
  const c = cluster()
  const path = `${NS}/persistentvolumeclaims`
  const claim = (name: string, spec: object) => ({ metadata: { name }, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...spec } })
  const sources = async (name: string, spec: object): Promise<unknown> => {
    const { json } = await c.create(path, claim(name, spec))
    return [json['spec']?.['dataSource'], json['spec']?.['dataSourceRef']]
  }
  const [plain, snapshot, odd] = [{ kind: 'PersistentVolumeClaim', name: 'x' }, { apiGroup: 'snapshot.storage.k8s.io', kind: 'VolumeSnapshot', name: 's' }, { apiGroup: 'a.b', kind: 'Odd', name: 'o' }]
  deepStrictEqual([await sources('a', { dataSource: plain }), await sources('b', { dataSourceRef: odd }), await sources('c', { dataSource: odd }), await sources('d', { dataSource: snapshot }), await sources('e', { dataSourceRef: { ...odd, namespace: 'n' } })], [
    [plain, plain], [odd, odd], [undefined, undefined], [snapshot, snapshot], [undefined, { ...odd, namespace: 'n' }],
  ])
  // An old client sends only what it knows.
  deepStrictEqual((await c.call('PUT', `${path}/b`, claim('b', { dataSource: odd }))).status, 200)
  await c.call('PATCH', `${path}/a/status`, { status: { phase: 'Bound', currentVolumeAttributesClassName: 'gold', capacity: { storage: '-1' } } }, MERGE)
  deepStrictEqual(causes(await c.call('PATCH', `${path}/a/status`, { status: { capacity: { storage: '-1' } } }, MERGE)), ['status.capacity[storage]: Invalid value: -1: must be a valid resource quantity'])
  await c.call('PATCH', `${path}/a/status`, { status: { phase: 'Bound', currentVolumeAttributesClassName: 'gold' } }, MERGE)
  deepStrictEqual((await c.call('PATCH', `${path}/a`, { spec: { volumeAttributesClassName: 'gold' } }, MERGE)).status, 200)
  deepStrictEqual(causes(await c.call('PATCH', `${path}/a`, { spec: { volumeAttributesClassName: null } }, MERGE)), ['spec.volumeAttributesClassName: Forbidden: update to nil is forbidden when status.currentVolumeAttributesClassName is not nil'])
})

test('volumes tell when their phase changed last', async () => {
  const c = cluster()
  const path = '/api/v1/persistentvolumes'
  const time = (answer: { json: Record<string, unknown> }): unknown => (answer.json['status'] as Record<string, unknown>)['lastPhaseTransitionTime']
  const made = await c.create(path, { metadata: { name: 'v' }, spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/x' } } })
  await c.clock.advance(5000)
  const same = await c.call('PUT', `${path}/v/status`, { ...made.json, status: { phase: 'Pending' } })
  const bound = await c.call('PUT', `${path}/v/status`, { ...same.json, status: { ...(same.json['status'] as object), phase: 'Bound' } })
  deepStrictEqual([time(same) === time(made), Date.parse(String(time(bound))) - Date.parse(String(time(made)))], [true, 5000])
})

test('storage: what may not change is immutable, longer ids of nodes are taken, attachments say what is missing', async () => {
  const c = cluster()
  const classes = '/apis/storage.k8s.io/v1/storageclasses'
  await c.create(classes, { metadata: { name: 'a' }, provisioner: 'p/q', parameters: { a: '1' } })
  deepStrictEqual(causes(await c.call('PATCH', `${classes}/a`, { provisioner: 'o', parameters: { a: '2' }, reclaimPolicy: 'Retain' }, MERGE)), [
    'parameters: Invalid value: {"a":"2"}: field is immutable', 'provisioner: Invalid value: "o": field is immutable', 'reclaimPolicy: Invalid value: "Retain": field is immutable',
  ])
  const nodes = '/apis/storage.k8s.io/v1/csinodes'
  await c.create(nodes, { metadata: { name: 'a' }, spec: { drivers: [{ name: 'd', nodeID: 'n'.repeat(256) }] } })
  deepStrictEqual(causes(await c.call('PATCH', `${nodes}/a`, { spec: { drivers: [{ name: 'd', nodeID: 'x', topologyKeys: ['a b'] }] } }, MERGE)).map((cause) => cause.replace(/: name part.*/, '')), [
    'spec.drivers[0]: Invalid value: "a b"', 'spec.drivers: Invalid value: {"name":"d","nodeID":"x","topologyKeys":["a b"]}: field is immutable',
  ])
  const attachment = (spec: object) => c.call('POST', '/apis/storage.k8s.io/v1/volumeattachments', { metadata: { name: 'a' }, spec: { attacher: 'a', nodeName: 'n', ...spec } })
  deepStrictEqual(causes(await attachment({ source: {} })), ['spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName'])
  deepStrictEqual((await attachment({ source: { persistentVolumeName: 'p' } })).status, 201)
  deepStrictEqual(causes(await c.call('PATCH', '/apis/storage.k8s.io/v1/volumeattachments/a/status', { status: { attached: false, attachError: { message: 'x'.repeat(1025), errorCode: -1 } } }, MERGE)), [
    'status.attachError.message: Too long: may not be more than 262144 bytes', 'status.attachError.errorCode: Invalid value: -1: must be between 0 and 2147483647, inclusive',
  ])
  deepStrictEqual(causes(await c.call('POST', '/apis/storage.k8s.io/v1/csidrivers', { metadata: { name: 'a' }, spec: { nodeAllocatableUpdatePeriodSeconds: 9, serviceAccountTokenInSecrets: true } })), [
    'spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 9: must be greater than or equal to 10 seconds', 'spec.serviceAccountTokenInSecrets: Invalid value: true: serviceAccountTokenInSecrets is set but no tokenRequests are specified',
  ])
  deepStrictEqual((await c.call('POST', '/apis/storage.k8s.io/v1/volumeattributesclasses', { metadata: { name: 'a' }, driverName: 'Vendor.io/Driver', parameters: { a: 'b' } })).status, 201)
})

test('runtime and priority classes', async () => {
  const c = cluster()
  deepStrictEqual(causes(await c.call('POST', '/apis/node.k8s.io/v1/runtimeclasses', { metadata: { name: 'a' }, handler: '', scheduling: { tolerations: [{ key: 'a', operator: 'Exists' }, { key: 'a', operator: 'Exists', tolerationSeconds: 5 }] } })).map((cause) => cause.replace(/\{.*\}/, '{}')), [
    'handler: Required value', 'scheduling.tolerations[1].effect: Invalid value: "": effect must be \'NoExecute\' when `tolerationSeconds` is set', 'scheduling.tolerations[1]: Duplicate value: {}',
  ])
  await c.create('/apis/scheduling.k8s.io/v1/priorityclasses', { metadata: { name: 'a' }, value: 5 })
  deepStrictEqual(causes(await c.call('PATCH', '/apis/scheduling.k8s.io/v1/priorityclasses/a', { value: 6 }, MERGE)), ['value: Forbidden: may not be changed in an update.'])
})

test('autoscalers name the group of what they scale, unless it stays as it is; none of nothing', async () => {
  const c = cluster()
  const path = '/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers'
  const made = async (spec: object): Promise<string[]> => causes(await c.call('POST', path, { metadata: { name: 'a' }, spec: { maxReplicas: 3, ...spec } }))
  const target = (kind: string, apiVersion?: string) => ({ scaleTargetRef: { kind, name: 'd', ...(apiVersion !== undefined && { apiVersion }) } })
  deepStrictEqual(await made(target('Deployment')), ['spec.scaleTargetRef.apiVersion: Invalid value: "": apiVersion must specify API group'])
  deepStrictEqual(await made(target('Deployment', 'a/b/c')), ['spec.scaleTargetRef.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c'])
  deepStrictEqual(await made({ ...target('Deployment', 'apps/v1'), maxReplicas: 0 }), ['spec.maxReplicas: Required value: must be set and greater than 0', 'spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`'])
  deepStrictEqual(await made(target('ReplicationController', 'v1')), ['201 '])
})

test('a limit range without a name is given one', async () => {
  const made = await cluster().create(`${NS}/limitranges`, { spec: { limits: [] } })
  deepStrictEqual(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(String(made.json['metadata']?.['name'])), true)
})

test('pods: keys of spreading become part of its selector; generations that a writer does not tell stay', async () => {
  const c = cluster()
  const constraint = { maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule', labelSelector: { matchLabels: { app: 'a' } }, matchLabelKeys: ['hash', 'none'] }
  const made = await c.create(`${NS}/pods`, { metadata: { name: 'p', labels: { app: 'a', hash: '1' } }, spec: { containers: [{ name: 'c', image: 'i' }], topologySpreadConstraints: [constraint] } })
  deepStrictEqual(made.json['spec']?.['topologySpreadConstraints'], [{ ...constraint, labelSelector: { ...constraint.labelSelector, matchExpressions: [{ key: 'hash', operator: 'In', values: ['1'] }] } }])
  const write = (status: object) => c.call('PATCH', `${NS}/pods/p/status`, { status }, MERGE)
  await write({ observedGeneration: 1, conditions: [{ type: 'Ready', status: 'True', observedGeneration: 1 }] })
  const { status } = (await write({ observedGeneration: null, conditions: [{ type: 'Ready', status: 'False' }] })).json as unknown as { status: { observedGeneration: number; conditions: { observedGeneration: number }[] } }
  deepStrictEqual([status.observedGeneration, status.conditions[0]?.observedGeneration], [1, 1])
})

test('names of budgets and Events need only fit into a path; what is put before a generated name is held to the rule of its kind', async () => {
  const c = cluster()
  const budgets = '/apis/policy/v1/namespaces/default/poddisruptionbudgets'
  deepStrictEqual((await c.call('POST', budgets, { metadata: { name: 'Bad_Name' }, spec: { minAvailable: 1, selector: {} } })).status, 201)
  deepStrictEqual((await c.call('POST', `${NS}/events`, { metadata: { name: 'Bad_Name' }, involvedObject: { namespace: 'default' } })).status, 201)
  const classes = '/apis/resource.k8s.io/v1/deviceclasses'
  const wrong = async (path: string, metadata: object, rest: object) => causes(await c.call('POST', path, { metadata, ...rest })).map((cause) => cause.slice(0, 70))
  deepStrictEqual((await c.call('POST', classes, { metadata: { name: 'a', generateName: 'Bad_' }, spec: {} })).status, 201)
  deepStrictEqual(await wrong(classes, { name: 'b', generateName: 'a/b%' }, { spec: {} }), ['metadata.generateName: Invalid value: "a/b%": may not contain \'/\'', 'metadata.generateName: Invalid value: "a/b%": may not contain \'%\''])
  deepStrictEqual(await wrong(classes, { name: 'Bad_Name' }, { spec: {} }), ['metadata.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdoma'])
  deepStrictEqual(await wrong('/apis/networking.k8s.io/v1/ipaddresses', { name: '10.9.8.7', generateName: 'ok-' }, { spec: { parentRef: { resource: 'services', namespace: 'default', name: 'a' } } }), ['metadata.generateName: Invalid value: "ok-": must be a valid IP addres'])
})

test('a PUT that means another object is told the key as the storage has it; a uid sent to a status that keeps its metadata is not looked at', async () => {
  const c = cluster()
  await c.create(CM, { metadata: { name: 'a' } })
  const { json } = await c.call('PUT', `${CM}/a`, { metadata: { name: 'a', uid: 'x' } })
  deepStrictEqual(/Key: ([^,]*),/.exec(String(json['message']))?.[1], '/registry/configmaps/default/a')
  const schemas = '/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas'
  await c.create(schemas, { metadata: { name: 'f' }, spec: { priorityLevelConfiguration: { name: 'exempt' } } })
  deepStrictEqual((await c.call('PATCH', `${schemas}/f/status`, { metadata: { uid: 'x' } }, MERGE)).status, 200)
})

test('a patch that names another uid is told all else that is wrong with it, too', async () => {
  const c = cluster()
  await c.create(CM, { metadata: { name: 'a' } })
  deepStrictEqual(causes(await c.call('PATCH', `${CM}/a`, { metadata: { uid: 'x' }, data: { 'a b': 'c' } }, MERGE)).map((cause) => cause.slice(0, 40)), ['metadata.uid: Invalid value: "x": field ', 'data[a b]: Invalid value: "a b": a valid'])
})

test('a list that is always written and empty is nobody\'s where nobody is known before the first apply', async () => {
  const c = cluster()
  const nodes = '/apis/storage.k8s.io/v1/csinodes'
  await c.create(nodes, { metadata: { name: 'a' }, spec: { drivers: [] } })
  await c.call('PATCH', `${nodes}/a`, { metadata: { managedFields: [{}] } }, MERGE)
  const { json } = await c.call('PATCH', `${nodes}/a?fieldManager=m`, { apiVersion: 'storage.k8s.io/v1', kind: 'CSINode', metadata: { name: 'a', labels: { l: 'v' } } }, { 'content-type': 'application/apply-patch+yaml' })
  deepStrictEqual(items<{ manager: string; fieldsV1: object }>(json['metadata']?.['managedFields']).map(({ manager, fieldsV1 }) => [manager, fieldsV1]), [['m', { 'f:metadata': { 'f:labels': { 'f:l': {} } } }]])
})

test('ranges of a node that are none are told with their place', async () => {
  const made = await cluster().call('POST', '/api/v1/nodes', { metadata: { name: 'n' }, spec: { podCIDRs: ['10.1.0.0/24', 'x'] } })
  deepStrictEqual(causes(made).find((cause) => cause.includes('dual stack')), 'spec.podCIDRs: Internal error: invalid PodCIDRs. failed to check with dual stack with error:invalid CIDR[1]: <nil> (invalid CIDR address: x)')
})

test('counts of a status that nobody told are shown as 0 in complaints', async () => {
  const c = cluster()
  const deployments = '/apis/apps/v1/namespaces/default/deployments'
  await c.create(deployments, { metadata: { name: 'a' }, spec: { selector: { matchLabels: { a: 'b' } }, template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } } } })
  deepStrictEqual(causes(await c.call('PATCH', `${deployments}/a/status`, { status: { replicas: -1 } }, MERGE)).at(-1), 'status.availableReplicas: Invalid value: 0: cannot be greater than status.replicas')
})

test('the value of an audit annotation is text or null, in the name that upstream has for it', async () => {
  const matches = { resourceRules: [{ apiGroups: ['apps'], apiVersions: ['v1'], operations: ['CREATE'], resources: ['deployments'] }] }
  const made = await cluster().call('POST', '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies', { metadata: { name: 'a' }, spec: { matchConstraints: matches, auditAnnotations: [{ key: 'k', valueExpression: '1' }] } })
  deepStrictEqual(causes(made), ['spec.auditAnnotations[0].valueExpression: Invalid value: "1": must evaluate to one of [string null_type] but got int'])
})
