/** What a pod is bound, evicted and spoken for by, as kube-apiserver 1.36.2 answers it. */
import { deepStrictEqual } from 'node:assert/strict'
import { describe, test } from 'node:test'
import { causes, cluster, PODS } from '../kinds/kinds.test-support.ts'

const MERGE = { 'content-type': 'application/merge-patch+json' }
const APPLY = { 'content-type': 'application/apply-patch+yaml' }
const BUDGETS = '/apis/policy/v1/namespaces/default/poddisruptionbudgets'

type Owned = { manager?: string; operation?: string; subresource?: string; fieldsV1?: object }[]

async function withPod(spec: object = {}) {
  const c = cluster()
  await c.create(PODS, { metadata: { name: 'p', labels: { app: 'x' } }, spec: { containers: [{ name: 'c', image: 'i' }], ...spec } })
  const read = async (path: string) => (await c.call('GET', path)).json as unknown as { metadata: { uid: string; resourceVersion: string; managedFields: Owned }; status: Record<string, unknown> }
  const told = async (path: string, body: object) => { const { status, json } = await c.call('POST', path, body); return [status, json['message']] }
  return { ...c, read, told }
}

describe('pods/binding', () => {
  const binding = (metadata: object) => ({ metadata: { name: 'p', ...metadata }, target: { name: 'n1' } })

  test('another pod, or another state of it, is not bound; POST bindings does not look at the uid', async () => {
    const { told, read } = await withPod()
    const { metadata: { uid, resourceVersion } } = await read(`${PODS}/p`)
    const failed = (what: string) => `Operation cannot be fulfilled on pods "p": StorageError: invalid object, Code: 4, Key: /pods/default/p, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: ${what}`
    deepStrictEqual(await told(`${PODS}/p/binding`, binding({ uid: 'x' })), [409, failed(`UID in precondition: x, UID in object meta: ${uid}`)])
    deepStrictEqual(await told(`${PODS}/p/binding`, binding({ resourceVersion: '999' })), [409, failed(`ResourceVersion in precondition: 999, ResourceVersion in object meta: ${resourceVersion}`)])
    deepStrictEqual(await told(`${PODS}/p/binding`, binding({ namespace: 'other' })), [400, 'the namespace of the provided object does not match the namespace sent on the request'])
    deepStrictEqual(await told('/api/v1/namespaces/default/bindings', { target: { name: 'n1' } }), [400, 'Name parameter required.'])
    deepStrictEqual(await told('/api/v1/namespaces/default/bindings?dryRun=All', binding({ uid: 'x' })), [201, undefined])
  })

  test('nobody owns what a binding wrote, and the nomination is over', async () => {
    const { call, told, read } = await withPod()
    await call('PATCH', `${PODS}/p/status`, { status: { nominatedNodeName: 'n1' } }, MERGE)
    const before = await read(`${PODS}/p`)
    deepStrictEqual(await told(`${PODS}/p/binding`, binding({ labels: { z: 'y' } })), [201, undefined])
    const after = await read(`${PODS}/p`)
    deepStrictEqual([after.status['nominatedNodeName'], after.metadata.managedFields.map((f) => [f.manager, f.subresource])], [undefined, before.metadata.managedFields.map((f) => [f.manager, f.subresource])])
    deepStrictEqual(causes(await call('PATCH', `${PODS}/p/status`, { status: { nominatedNodeName: 'n2' } }, MERGE)), ['status.nominatedNodeName: Forbidden: may not be set on pods that are already bound to a node'])
  })
})

describe('a pod that is deleted at once', () => {
  test('is seen to be going before it is gone, and says so in the answer', async () => {
    const { call, watch } = await withPod()
    const seen = await watch(`${PODS}?watch=true`)
    deepStrictEqual(await seen.next(1), ['ADDED p'])
    const { json } = await call('DELETE', `${PODS}/p`, { gracePeriodSeconds: 0 })
    deepStrictEqual(await seen.next(2), ['MODIFIED p', 'DELETED p'])
    const said = ({ metadata }: typeof json) => [typeof metadata?.['deletionTimestamp'], metadata?.['deletionGracePeriodSeconds'], metadata?.['generation']]
    deepStrictEqual([said(json), ...seen.events.slice(1).map((event) => said(event['object'] as unknown as typeof json))], [['string', 0, 2], ['string', 0, 2], ['string', 0, 2]])
    seen.stop()
  })

  test('in a dry run, is shown as it would go, and stays', async () => {
    const { call, read } = await withPod()
    const { json } = await call('DELETE', `${PODS}/p?dryRun=All`)
    deepStrictEqual([typeof json['metadata']?.['deletionTimestamp'], json['metadata']?.['deletionGracePeriodSeconds'], 'deletionTimestamp' in (await read(`${PODS}/p`)).metadata], ['string', 0, false])
  })

  test('who sends owners or a time of deletion to its status owns neither', async () => {
    const { call, read } = await withPod()
    await call('PATCH', `${PODS}/p/status`, { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z', ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'o', uid: 'u' }] }, status: { message: 'm' } }, MERGE)
    const { metadata } = await read(`${PODS}/p`)
    deepStrictEqual(metadata.managedFields.filter(({ subresource }) => subresource === 'status').map(({ fieldsV1 }) => fieldsV1), [{ 'f:status': { 'f:message': {} } }])
  })
})

describe('pods/eviction', () => {
  async function guarded(status: object, ready = 'True') {
    const c = await withPod({ nodeName: 'n1' })
    await c.call('PATCH', `${PODS}/p/status`, { status: { phase: 'Running', conditions: [{ type: 'Ready', status: ready }] } }, MERGE)
    await c.create(BUDGETS, { metadata: { name: 'b' }, spec: { minAvailable: 1, selector: { matchLabels: { app: 'x' } } } })
    await c.call('PATCH', `${BUDGETS}/b/status`, { status: { observedGeneration: 1, ...status } }, MERGE)
    return { ...c, evict: (deleteOptions: object = {}, query = '') => c.told(`${PODS}/p/eviction${query}`, { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'p' }, deleteOptions }) }
  }

  test('options that no deletion takes are refused before a budget is touched', async () => {
    const { evict, read } = await guarded({ disruptionsAllowed: 1, currentHealthy: 2, desiredHealthy: 1 })
    const invalid = 'DeleteOptions.meta.k8s.io "" is invalid: '
    deepStrictEqual(await evict({ propagationPolicy: 'x' }), [422, `${invalid}propagationPolicy: Unsupported value: "x": supported values: "Foreground", "Background", "Orphan", "nil"`])
    deepStrictEqual(await evict({ ignoreStoreReadErrorWithClusterBreakingPotential: true }), [422, 'Eviction.policy "p" is invalid: deleteOptions.ignoreStoreReadErrorWithClusterBreakingPotential: Invalid value: true: can not be set for pod eviction, try after removing the option'])
    deepStrictEqual(await evict({ dryRun: ['x'] }, '?dryRun=All'), [500, 'Non-matching dry-run options in request and content: [All] and [x]'])
    const { metadata: { resourceVersion } } = await read(`${PODS}/p`)
    deepStrictEqual(await evict({ preconditions: { resourceVersion: '1' } }, '?dryRun=All'), [409, `Operation cannot be fulfilled on Pod "p": the ResourceVersion in the precondition (1) does not match the ResourceVersion in record (${resourceVersion}). The object might have been modified`])
    deepStrictEqual((await read(`${BUDGETS}/b`)).status['disruptionsAllowed'], 1)
  })

  test('the last disruption of a budget makes it say so, in the name of the API server', async () => {
    const { evict, read } = await guarded({ disruptionsAllowed: 1, currentHealthy: 2, desiredHealthy: 1 })
    deepStrictEqual(await evict(), [201, undefined])
    const { status, metadata } = await read(`${BUDGETS}/b`)
    const [{ lastTransitionTime: _when, ...condition } = {}] = status['conditions'] as Record<string, unknown>[]
    deepStrictEqual([status['disruptionsAllowed'], condition], [0, { type: 'DisruptionAllowed', status: 'False', observedGeneration: 1, reason: 'InsufficientPods', message: '' }])
    deepStrictEqual(metadata.managedFields.filter((f) => f.subresource === 'status').map((f) => f.manager).includes('kube-apiserver'), true)
  })

  test('a budget that could not be counted says why nobody may go', async () => {
    const of = async (status: object) => { const { call } = await guarded(status); const { json } = await call('POST', `${PODS}/p/eviction`, { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'p' } }); const { details } = json as unknown as { details: { causes: { message: string }[] } }; return details.causes.map((cause) => cause.message).join() }
    const condition = (reason: string) => ({ conditions: [{ type: 'DisruptionAllowed', status: 'False', reason, message: 'found no controller', lastTransitionTime: '2026-01-01T00:00:00Z' }] })
    deepStrictEqual(await of({ disruptionsAllowed: 0, ...condition('SyncFailed') }), 'The disruption budget b does not allow evicting pods currently because it failed sync: found no controller')
    deepStrictEqual(await of({ disruptionsAllowed: 0, currentHealthy: 2, desiredHealthy: 1, ...condition('X') }), 'The disruption budget b does not allow evicting pods currently (X): found no controller')
    deepStrictEqual(await of({ disruptionsAllowed: 0, currentHealthy: 2, desiredHealthy: 1 }), 'The disruption budget b does not allow evicting pods currently')
  })
})

describe('pods by parts', () => {
  test('who applies ephemeral containers or resources owns all that was applied, there', async () => {
    const { call } = await withPod()
    const applied = await call('PATCH', `${PODS}/p/ephemeralcontainers?fieldManager=a`, { apiVersion: 'v1', kind: 'Pod', metadata: { labels: { q: 'r' } }, spec: { ephemeralContainers: [{ name: 'd', image: 'x' }] } }, APPLY)
    const { managedFields, labels } = applied.json['metadata'] as unknown as { managedFields: Owned; labels: object }
    const { time: _time, ...own } = managedFields.find((f) => f.manager === 'a') as Record<string, unknown>
    deepStrictEqual([labels, own], [{ app: 'x' }, { manager: 'a', operation: 'Apply', subresource: 'ephemeralcontainers', apiVersion: 'v1', fieldsType: 'FieldsV1', fieldsV1: { 'f:metadata': { 'f:labels': { 'f:q': {} } }, 'f:spec': { 'f:ephemeralContainers': { 'k:{"name":"d"}': { '.': {}, 'f:image': {}, 'f:name': {} } } } } }])
    deepStrictEqual(causes(await call('PATCH', `${PODS}/p/ephemeralcontainers?fieldManager=a`, { apiVersion: 'v1', kind: 'Pod' }, APPLY)), ['spec.ephemeralContainers: Forbidden: existing ephemeral containers "d" may not be removed\n'])
    deepStrictEqual((await call('PATCH', `${PODS}/p/ephemeralcontainers`, { metadata: { uid: 'x' } }, MERGE)).json['message'], 'Pod "p" is invalid: metadata.uid: Invalid value: "x": field is immutable')
  })

  test('an update of the pod itself does not touch ephemeral containers: it is told', async () => {
    const { call } = await withPod()
    const [cause = ''] = causes(await call('PATCH', `${PODS}/p`, { spec: { ephemeralContainers: [{ name: 'd', image: 'x' }] } }, MERGE))
    deepStrictEqual(cause.slice(0, 72), 'spec: Forbidden: pod updates may not change fields other than `spec.cont')
  })
})

describe('namespaces', () => {
  const URL = '/api/v1/namespaces/going'
  test('finalize takes the metadata, too, and looks at both; deletion has no grace', async () => {
    const c = cluster()
    const call: typeof c.call = (...asked) => c.call(...asked)
    await c.create('/api/v1/namespaces', { metadata: { name: 'going' } })
    const finalize = (metadata: object, finalizers: string[]) => call('PUT', `${URL}/finalize`, { metadata: { name: 'going', ...metadata }, spec: { finalizers }, status: { phase: 'Odd' } })
    deepStrictEqual(causes(await finalize({}, ['bad'])), ['spec.finalizers[0]: Invalid value: "bad": name is neither a standard finalizer name nor is it fully qualified'])
    const { metadata, spec, status } = (await finalize({ labels: { a: 'b' } }, ['example.com/x'])).json
    deepStrictEqual([metadata?.['labels'], spec, status], [{ a: 'b', 'kubernetes.io/metadata.name': 'going' }, { finalizers: ['example.com/x'] }, { phase: 'Active' }])
    const gone = (await call('DELETE', URL)).json
    deepStrictEqual([gone['status'], gone['metadata']?.['deletionGracePeriodSeconds'], typeof gone['metadata']?.['deletionTimestamp']], [{ phase: 'Terminating' }, undefined, 'string'])
  })
})

test('a pod of Windows has no Linux user, and its devices are those it asks for, each told once', async () => {
  const { call } = await withPod({ os: { name: 'windows' } })
  const status = (c: object) => call('PATCH', `${PODS}/p/status`, { status: { containerStatuses: [{ name: 'c', image: 'i', imageID: '', ready: true, restartCount: 0, ...c }] } }, MERGE)
  deepStrictEqual(causes(await status({ user: { linux: { uid: 1, gid: 1 } } })), ['status.containerStatuses[0].user.linux: Forbidden: cannot be set for a windows pod'])
  const at = 'status.containerStatuses[0].allocatedResourcesStatus[0]'
  deepStrictEqual(causes(await status({ allocatedResourcesStatus: [{ name: 'a.b/c', resources: [{ resourceID: 'x', health: 'Fine' }, { resourceID: 'x', health: 'Healthy', message: '' }] }] })), [
    `${at}.name: Invalid value: "a.b/c": must match one of the container's resource requests`,
    `${at}.resources[0].health: Unsupported value: "Fine": supported values: "Healthy", "Unhealthy", "Unknown"`,
    `${at}.resources[1].message: Required value: must be non-empty if specified`,
    `${at}.resources[1].resourceID: Duplicate value: "x"`,
  ])
})

describe('pods/resize', () => {
  const resized = async (spec: object, pod: object = {}) => {
    const { call } = await withPod(pod)
    return causes(await call('PATCH', `${PODS}/p/resize`, { spec }, { 'content-type': 'application/strategic-merge-patch+json' }))
  }
  const asking = (requests: object, limits?: object) => ({ resources: { requests, ...(limits && { limits }) } })
  const container = (more: object) => ({ containers: [{ name: 'c', image: 'i', ...more }] })

  test('what a pod as a whole asks for is resized by rules of its own', async () => {
    const whole = { ...container(asking({ cpu: '1' })), ...asking({ cpu: '2' }) }
    deepStrictEqual(await resized(asking({ cpu: '3' }), whole), ['200 '])
    deepStrictEqual(await resized({ resources: null }, whole), ['spec.resources: Forbidden: pod-level resources cannot be removed'])
    deepStrictEqual(await resized(asking({ cpu: null, memory: '1Gi' }), whole), ['spec.resources.requests: Forbidden: pod-level resource requests cannot be removed'])
    deepStrictEqual(await resized({ resources: {} }, container(asking({ cpu: '1' }))), ['spec: Invalid value: "Burstable": Pod QOS Class may not change as a result of resizing'])
  })

  test('nothing that was asked for goes, of whatever resource; Windows is not resized', async () => {
    const disk = container(asking({ cpu: '1', 'ephemeral-storage': '1Gi' }))
    deepStrictEqual(await resized(container(asking({ 'ephemeral-storage': null })), disk), ['spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed', 'spec: Forbidden: only cpu and memory resources are mutable'])
    deepStrictEqual(await resized(container(asking({ cpu: '2' })), { ...container(asking({ cpu: '1' })), os: { name: 'windows' } }), ['[]: Forbidden: windows pods cannot be resized'])
  })
})

test('a claim for extended resources is told with containers that ask for them, each once', async () => {
  const { call } = await withPod({ containers: [{ name: 'c', image: 'i', resources: { limits: { 'example.com/gpu': '1' } } }] })
  const told = (extendedResourceClaimStatus: object) => call('PATCH', `${PODS}/p/status`, { status: { extendedResourceClaimStatus } }, MERGE)
  const at = 'status.extendedResourceClaimStatus'
  const mapping = { containerName: 'c', resourceName: 'example.com/gpu', requestName: 'container-0-request-0' }
  deepStrictEqual(causes(await told({ resourceClaimName: 'A', requestMappings: [mapping, mapping, { ...mapping, containerName: 'd' }, { ...mapping, resourceName: 'cpu' }] })).map((cause) => cause.slice(0, 90)), [
    `${at}.requestMappings[1].containerName: Duplicate value: "c"`, `${at}.requestMappings[1].resourceName: Duplicate value: "example.com/gpu"`, `${at}.requestMappings[1].requestName: Duplicate value: "container-0-request-0"`,
    `${at}.requestMappings[2].containerName: Invalid value: "d": must match the name of an entry in spec.initContainers.name or spec.containers.name`,
    `${at}.requestMappings[3].resourceName: Invalid value: "cpu": must match the extended resource name of an entry in spec.initContainers.resources.requests or spec.containers.resources.requests`,
    `${at}.resourceClaimName: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of`,
  ].map((cause) => cause.slice(0, 90)))
  deepStrictEqual((await told({ resourceClaimName: 'a', requestMappings: [mapping] })).status, 200)
})
