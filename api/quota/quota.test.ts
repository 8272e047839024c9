import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Pod, ResourceV1ResourceClaim } from '../types/generated/models.ts'
import type { KubeObject } from '../types/object.ts'
import { compareQuantity } from '../types/quantity.ts'
import { sumResources } from '../types/pods.ts'
import { countedBy, countName, evaluatorOf, matchesScopes } from './index.ts'
import { equalResources, exceeding, showResources, subtractToZero, withoutZeros } from './resource-list.ts'

const NOW = Date.UTC(2026, 0, 1)
const of = (object: object): KubeObject => object as KubeObject
const pods = evaluatorOf('', 'pods')
const pod = (spec: object, status: object = {}, metadata: object = {}) => of({ metadata, spec: { containers: [], ...spec }, status })

test('a pod is charged for what it asks, hugepages and devices by their request, until it ends or hangs in its deletion', () => {
  const asking = { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '500m', memory: '1Gi', 'hugepages-2Mi': '4Mi', 'example.com/gpu': '2', 'deviceclass.resource.kubernetes.io/gpus': '1' }, limits: { cpu: '1', 'ephemeral-storage': '1Gi' } } }] }
  assert.deepStrictEqual(pods.usage(pod(asking), NOW), {
    'count/pods': '1', pods: '1', cpu: '500m', 'requests.cpu': '500m', 'limits.cpu': '1', memory: '1Gi', 'requests.memory': '1Gi', 'limits.ephemeral-storage': '1Gi',
    'hugepages-2Mi': '4Mi', 'requests.hugepages-2Mi': '4Mi', 'requests.example.com/gpu': '2', 'requests.deviceclass.resource.kubernetes.io/gpus': '1',
  })
  const ended = { 'count/pods': '1' }
  const going = (deletionTimestamp: string) => pods.usage(pod(asking, {}, { deletionTimestamp, deletionGracePeriodSeconds: 30 }), NOW)
  assert.deepStrictEqual([pods.usage(pod(asking, { phase: 'Failed' }), NOW), going('2025-12-31T23:59:00Z'), going('2026-01-01T00:00:30Z')['pods']], [ended, ended, '1'])
})

test('a pod is looked at when it is made or resized, and when a deadline takes it from one quota to another', () => {
  const [plain, ending] = [pod({}), pod({ activeDeadlineSeconds: 60 })]
  const handles = (operation: 'CREATE' | 'UPDATE' | 'DELETE', subresource: string, old: KubeObject | undefined, object: KubeObject) => pods.handles({ operation, subresource, object, old })
  assert.deepStrictEqual([
    handles('CREATE', '', undefined, plain), handles('CREATE', 'binding', undefined, plain), handles('UPDATE', 'resize', plain, plain), handles('DELETE', '', plain, plain),
    handles('UPDATE', '', plain, plain), handles('UPDATE', '', plain, ending), handles('UPDATE', 'status', plain, ending), handles('UPDATE', '', ending, pod({ activeDeadlineSeconds: 30 })),
  ], [true, false, true, false, false, true, false, false])
  assert.deepStrictEqual([pods.isReplenishing?.(plain, ending), pods.isReplenishing?.(plain, plain)], [true, false])
})

test('names are matched by kind, prefix and suffix', () => {
  const names = ['pods', 'requests.example.com/gpu', 'requests.deviceclass.resource.kubernetes.io/gpus', 'hugepages-1Gi', 'requests.hugepages-1Gi', 'limits.memory', 'count/pods', 'services', 'gold.storageclass.storage.k8s.io/requests.storage', 'requests.storage', 'count/persistentvolumeclaims', 'count/things.example.com', 'secrets']
  const matched = (group: string, resource: string) => evaluatorOf(group, resource).matchingResources(names)
  assert.deepStrictEqual([matched('', 'pods'), matched('', 'services'), matched('', 'persistentvolumeclaims'), matched('example.com', 'things'), matched('', 'secrets')], [
    ['pods', 'requests.example.com/gpu', 'requests.deviceclass.resource.kubernetes.io/gpus', 'hugepages-1Gi', 'requests.hugepages-1Gi', 'limits.memory', 'count/pods'], ['services'],
    ['gold.storageclass.storage.k8s.io/requests.storage', 'requests.storage', 'count/persistentvolumeclaims'], ['count/things.example.com'], ['secrets'],
  ])
  assert.deepStrictEqual([countedBy('count/things.example.com'), countedBy('count/pods'), countedBy('configmaps'), countedBy('requests.cpu')], [{ group: 'example.com', resource: 'things' }, { group: '', resource: 'pods' }, { group: '', resource: 'configmaps' }, undefined])
  for (const [group, resource] of [['', 'pods'], ['a.b', 'cs']] as const) assert.deepStrictEqual(countedBy(countName(group, resource)), { group, resource })
})

test('scopes', () => {
  const high = pod({ priorityClassName: 'high', activeDeadlineSeconds: 5, containers: [{ name: 'c', resources: { requests: { cpu: '1' } } }], affinity: { podAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, podAffinityTerm: { topologyKey: 'z', namespaces: ['x'] } }] } } })
  const plain = pod({ containers: [{ name: 'c' }] })
  const fits = (spec: object) => [high, plain].map((p) => matchesScopes(pods, of({ spec }), p))
  const priority = (operator: string, values?: string[]) => fits({ scopeSelector: { matchExpressions: [{ scopeName: 'PriorityClass', operator, ...(values && { values }) }] } })
  assert.deepStrictEqual([
    fits({ scopes: ['Terminating'] }), fits({ scopes: ['NotTerminating'] }), fits({ scopes: ['BestEffort'] }), fits({ scopes: ['NotBestEffort', 'Terminating'] }), fits({ scopes: ['CrossNamespacePodAffinity'] }), fits({ scopes: ['PriorityClass'] }),
    priority('In', ['high', 'low']), priority('NotIn', ['high']), priority('Exists'), priority('DoesNotExist'), fits({ scopes: ['VolumeAttributesClass'] }), fits({}),
  ], [[true, false], [false, true], [false, true], [true, false], [true, false], [true, false], [true, false], [false, true], [true, false], [false, true], [false, false], [true, true]])
  const claims = evaluatorOf('', 'persistentvolumeclaims')
  const gold = { spec: { scopeSelector: { matchExpressions: [{ scopeName: 'VolumeAttributesClass', operator: 'In', values: ['gold'] }] } } }
  assert.deepStrictEqual([of({ spec: { volumeAttributesClassName: 'gold' } }), of({ spec: {}, status: { modifyVolumeStatus: { targetVolumeAttributesClassName: 'gold' } } }), of({ spec: {} })].map((claim) => matchesScopes(claims, of(gold), claim)), [true, true, false])
})

test('Services use node ports by intent; claims use whole bytes, in all and by class', () => {
  const service = (spec: object) => evaluatorOf('', 'services').usage(of({ spec: { ports: [{ port: 1 }, { port: 2, nodePort: 30000 }], ...spec } }), NOW)
  const used = (nodePorts: string, balancers: string) => ({ 'count/services': '1', services: '1', 'services.nodeports': nodePorts, 'services.loadbalancers': balancers })
  assert.deepStrictEqual([service({ type: 'ClusterIP' }), service({ type: 'NodePort' }), service({ type: 'LoadBalancer' }), service({ type: 'LoadBalancer', allocateLoadBalancerNodePorts: false })], [used('0', '0'), used('2', '0'), used('2', '1'), used('1', '1')])
  const claim = (storage: string, status: object = {}) => evaluatorOf('', 'persistentvolumeclaims').usage(of({ spec: { storageClassName: 'gold', resources: { requests: { storage } } }, status }), NOW)
  const base = { 'count/persistentvolumeclaims': '1', persistentvolumeclaims: '1', 'gold.storageclass.storage.k8s.io/persistentvolumeclaims': '1' }
  const sized = (storage: string) => ({ ...base, 'requests.storage': storage, 'gold.storageclass.storage.k8s.io/requests.storage': storage })
  assert.deepStrictEqual([claim('1500m'), claim('1Gi', { allocatedResources: { storage: '2Gi' } }), claim('3Gi', { allocatedResources: { storage: '2Gi' } })], [sized('2'), sized('2Gi'), sized('3Gi')])
})

test('device claims use devices by class, as many as they may get', () => {
  const usage = (requests: object[]) => evaluatorOf('resource.k8s.io', 'resourceclaims').usage(of({ spec: { devices: { requests } } }), NOW)
  const by = (deviceClassName: string, more: object = {}) => ({ deviceClassName, allocationMode: 'ExactCount', count: 1, ...more })
  assert.deepStrictEqual(usage([{ exactly: by('gpio', { count: 2 }) }, { exactly: by('gpu', { allocationMode: 'All', count: undefined }) }, { firstAvailable: [by('gpio', { count: 3 }), by('gpio'), by('cam')] }]), {
    'count/resourceclaims.resource.k8s.io': '1', 'gpio.deviceclass.resource.k8s.io/devices': '5', 'gpu.deviceclass.resource.k8s.io/devices': '32', 'cam.deviceclass.resource.k8s.io/devices': '1',
    'requests.deviceclass.resource.kubernetes.io/gpio': '5', 'requests.deviceclass.resource.kubernetes.io/gpu': '32', 'requests.deviceclass.resource.kubernetes.io/cam': '1',
  })
  assert.deepStrictEqual(countedBy('gpio.deviceclass.resource.k8s.io/devices'), { group: 'resource.k8s.io', resource: 'resourceclaims' })
})

test('device claims use extended resources of their classes, but for what their pod was charged for already', () => {
  const classes = [{ metadata: { name: 'gpus' }, spec: { extendedResourceName: 'example.com/gpu' } }, { metadata: { name: 'cams' }, spec: {} }]
  const owner = { apiVersion: 'v1', kind: 'Pod', name: 'p', uid: 'u', controller: true }
  const claimOf = (name: string, more: object = {}) => ({ metadata: { name, namespace: 'n', creationTimestamp: '2026-01-01T00:00:01Z', annotations: { 'resource.kubernetes.io/extended-resource-claim': 'true' }, ownerReferences: [owner], ...more }, spec: { devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'gpus', allocationMode: 'ExactCount', count: 3 } }] } } })
  const own = claimOf('own')
  const asking = (status: object = {}, requests: object = { 'example.com/gpu': '2', 'deviceclass.resource.kubernetes.io/gpus': '1' }, uid = 'u') => pod({ containers: [{ name: 'c', resources: { requests } }] }, status, { name: 'p', uid })
  const evaluator = (p: KubeObject | undefined, claims: object[] = [own]) => evaluatorOf('resource.k8s.io', 'resourceclaims', { classes, pod: (namespace, name) => (namespace === 'n' && name === 'p' ? (p as Pod | undefined) : undefined), claims: () => claims as ResourceV1ResourceClaim[] })
  const [implicit, explicit] = ['requests.deviceclass.resource.kubernetes.io/gpus', 'requests.example.com/gpu']
  const used = (p: KubeObject | undefined, claim: object = own, claims?: object[]) => {
    const { 'count/resourceclaims.resource.k8s.io': count, 'gpus.deviceclass.resource.k8s.io/devices': devices, ...extended } = evaluator(p, claims).usage(of(claim), NOW)
    assert.deepStrictEqual([count, devices], ['1', '3'])
    return [extended[implicit ?? ''] ?? '0', extended[explicit ?? ''] ?? '0', Object.keys(extended).length]
  }
  const [all, rest] = [['3', '3', 2], ['2', '1', 2]]
  const rows: [string, unknown, unknown][] = [
    ['of a pod that asked for less', used(asking()), rest],
    ['of one that asked for all of it', used(asking({}, { 'example.com/gpu': '3', 'deviceclass.resource.kubernetes.io/gpus': '4' })), ['0', '0', 0]],
    ['nobody\'s', used(undefined, claimOf('own', { ownerReferences: [] })), all],
    ['of a pod that is gone', used(undefined), all],
    ['of another pod of the name', used(asking({}, undefined, 'other')), all],
    ['of one that has ended', used(asking({ phase: 'Succeeded' })), all],
    ['not made for such resources', used(asking(), claimOf('own', { annotations: {} })), all],
    ['named by its pod', used(asking({ extendedResourceClaimStatus: { resourceClaimName: 'own' } }), own, [claimOf('a'), own]), rest],
    ['not the one that its pod names', used(asking({ extendedResourceClaimStatus: { resourceClaimName: 'a' } })), all],
    ['made before another', used(asking(), own, [claimOf('a', { creationTimestamp: '2026-01-01T00:00:02Z' }), own]), rest],
    ['made after another', used(asking(), own, [claimOf('z', { creationTimestamp: '2026-01-01T00:00:00Z' }), own]), all],
    ['made with another, first by its name', used(asking(), own, [claimOf('z'), own]), rest],
    ['made with another, second by its name', used(asking(), own, [claimOf('a'), own]), all],
  ]
  for (const [name, got, wanted] of rows) assert.deepStrictEqual(got, wanted, name)
  const names = ['count/resourceclaims.resource.k8s.io', 'x.deviceclass.resource.k8s.io/devices', 'requests.example.com/gpu', 'requests.example.com/other', 'requests.deviceclass.resource.kubernetes.io/cams', 'requests.deviceclass.resource.kubernetes.io/none', 'requests.cpu', 'example.com/gpu']
  assert.deepStrictEqual(evaluator(undefined).matchingResources(names), ['count/resourceclaims.resource.k8s.io', 'x.deviceclass.resource.k8s.io/devices', 'requests.example.com/gpu', 'requests.deviceclass.resource.kubernetes.io/cams'])
})

test('what is charged can be taken back to the last unit', () => {
  const list = fc.dictionary(fc.constantFrom('cpu', 'pods', 'memory'), fc.integer({ min: 0, max: 10_000 }).map((n) => `${n}m`))
  fc.assert(fc.property(list, list, (a, b) => {
    const sum = sumResources(a, b)
    assert.ok(equalResources(withoutZeros(subtractToZero(sum, b)), withoutZeros(a)))
    assert.deepStrictEqual(exceeding(a, sum), [])
    for (const name of Object.keys(subtractToZero(a, b))) assert.ok(compareQuantity(subtractToZero(a, b)[name] ?? '0', '0') >= 0)
  }))
  assert.equal(showResources({ pods: '1000m', cpu: '0.5' }), 'cpu=500m,pods=1')
})
