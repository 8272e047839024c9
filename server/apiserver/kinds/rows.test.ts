/** What `kubectl get` shows of states that need more than a field. */
import { deepStrictEqual } from 'node:assert'
import { test } from 'node:test'
import type { KubeObject } from '#api/types/index.ts'
import { rows } from '../registry.ts'
import { shapeOf, tableRow } from '../table/table.ts'

const NOW = Date.UTC(2026, 0, 1, 1)
const ago = (seconds: number): string => new Date(NOW - seconds * 1000).toISOString()

/** The cells of these columns, and what is said of the row. */
function shown(kind: string, object: object, ...names: string[]): unknown {
  const row = rows.find((r) => r.ref.kind === kind)
  if (!row) throw new Error(`no kind ${kind}`)
  const shape = shapeOf(row)
  const { cells, conditions } = tableRow(shape, { metadata: { name: 'a', creationTimestamp: ago(60) }, ...object } as KubeObject, 'None', 'v1', NOW)
  const picked = names.map((name) => cells[shape.columns.findIndex((c) => c.name === name)])
  return conditions ? [...picked, conditions] : picked
}

const ended = (name: string, exitCode: number, reason?: string): object => ({ name, ready: false, restartCount: 0, state: { terminated: { exitCode, ...(reason && { reason }) } } })
const running = (name: string): object => ({ name, ready: true, restartCount: 0, state: { running: {} } })
const pod = (phase: string, ready: boolean, ...containerStatuses: object[]): object => ({
  spec: { containers: containerStatuses }, status: { phase, containerStatuses, conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
})

test('a pod of which one container is done tells how the others fare', () => {
  const status = (object: object): unknown => shown('Pod', object, 'Status', 'Ready')
  deepStrictEqual(status(pod('Running', true, ended('a', 0, 'Completed'), running('b'))), ['Running', '1/2'])
  deepStrictEqual(status(pod('Running', false, ended('a', 0, 'Completed'), running('b'))), ['NotReady', '1/2'])
  deepStrictEqual(status(pod('Running', false, ended('a', 0, 'Completed'), ended('b', 3, 'Error'), running('c'))), ['Error', '1/3'])
  deepStrictEqual(status(pod('Running', false, ended('a', 0, 'Completed'), ended('b', 3))), ['ExitCode:3', '0/2'])
})

test('rows of finished pods say so', () => {
  deepStrictEqual(shown('Pod', pod('Succeeded', false, ended('a', 0, 'Completed')), 'Status'), ['Completed', [{ type: 'Completed', status: 'True', reason: 'Succeeded', message: 'The pod has completed successfully.' }]])
  deepStrictEqual(shown('Pod', pod('Failed', false, ended('a', 1, 'Error')), 'Status'), ['Error', [{ type: 'Completed', status: 'True', reason: 'Failed', message: 'The pod failed.' }]])
  deepStrictEqual(shown('Pod', pod('Pending', false), 'Status'), ['Pending'])
})

test('the newer kinds have columns of their own', () => {
  const conditions = (...types: string[]): object => ({ conditions: types.map((type) => ({ type, status: 'True', reason: `Because${type}`, lastTransitionTime: ago(5) })) })
  const group = (status: object, spec: object = { schedulingPolicy: { gang: { minCount: 2 } }, podGroupTemplateRef: { workload: { workloadName: 'w', podGroupTemplateName: 't' } } }): unknown => shown('PodGroup', { spec, status }, 'Policy', 'Workload', 'Status')
  deepStrictEqual([group({}), group(conditions('PodGroupScheduled')), group({ conditions: [{ type: 'PodGroupScheduled', status: 'False' }] }, { schedulingPolicy: { basic: {} } }), group(conditions('PodGroupScheduled', 'DisruptionTarget'))], [
    ['Gang', 'w', 'Pending'], ['Gang', 'w', 'Scheduled'], ['Basic', '<none>', 'Unschedulable'], ['Gang', 'w', 'BecauseDisruptionTarget'],
  ])
  const migration = (status: object): unknown => shown('StorageVersionMigration', { spec: { resource: { group: 'apps', resource: 'deployments' } }, status }, 'Resource', 'Status')
  deepStrictEqual([migration({}), migration(conditions('Running', 'Succeeded'))], [['deployments.apps', 'Unknown'], ['deployments.apps', 'Succeeded']])
  const request = { podName: 'p', serviceAccountName: 's', nodeName: 'n', signerName: 'example.com/x', unverifiedUserAnnotations: { b: '1', a: '2' } }
  deepStrictEqual(shown('PodCertificateRequest', { spec: request, status: conditions('Denied') }, 'PodName', 'ServiceAccountName', 'State', 'UnverifiedUserAnnotations'), ['p', 's', 'Denied', 'a=2,b=1'])
  const pools = (status: object | undefined): unknown => shown('ResourcePoolStatusRequest', { spec: { driver: 'd' }, ...(status && { status }) }, 'Driver', 'Total', 'Errors', 'Pools', 'Status', 'Completed')
  const listed = [{ totalDevices: 2 }, { totalDevices: 3, validationError: 'x' }]
  deepStrictEqual([pools(undefined), pools({ poolCount: 3, pools: listed, ...conditions('Complete') }), pools({ poolCount: 0, ...conditions('Failed') })], [
    ['d', '-', '-', 0, 'Pending', '<none>'], ['d', '5', '1', 3, 'Complete (2/3 pools)', '5s'], ['d', '-', '-', 0, 'Failed', '<none>'],
  ])
  deepStrictEqual(shown('DeviceTaintRule', { spec: { taint: { key: 'k', effect: 'NoExecute', timeAdded: ago(7) } } }, 'Key', 'Value', 'Effect', 'TimeAdded', 'Age'), ['k', '', 'NoExecute', '7s', '60s'])
  const versions = (count: number): object => ({ status: { storageVersions: Array.from({ length: count }, (_, i) => ({ apiServerID: `s${i}`, encodingVersion: 'v1' })) } })
  deepStrictEqual([shown('StorageVersion', versions(0), 'StorageVersions'), shown('StorageVersion', versions(5), 'StorageVersions')], [['<unset>'], ['s0=v1,s1=v1,s2=v1 + 2 more...']])
})

test('cells are what upstream prints of less usual states', () => {
  deepStrictEqual(shown('Node', { status: { nodeInfo: { kernelVersion: '6.1', architecture: 'arm64' } } }, 'Kernel-Version'), ['6.1 (arm64)'])
  deepStrictEqual(shown('Job', { status: { startTime: ago(50), conditions: [{ type: 'Failed', status: 'True', lastTransitionTime: ago(20) }] } }, 'Status', 'Duration'), ['Failed', '50s'])
  deepStrictEqual(shown('Ingress', { metadata: { name: 'a', annotations: { 'kubernetes.io/ingress.class': 'x' } }, spec: {} }, 'Class'), ['<none>'])
  deepStrictEqual(shown('IngressClass', { metadata: { name: 'a', annotations: { 'ingressclass.kubernetes.io/is-default-class': 'true' } }, spec: { controller: 'c' } }, 'Name'), ['a (default)'])
  deepStrictEqual(shown('PersistentVolumeClaim', { spec: { volumeName: 'v', volumeAttributesClassName: '' }, status: {} }, 'Capacity', 'VolumeAttributesClass'), ['0', ''])
  deepStrictEqual([shown('ResourceSlice', { spec: { allNodes: true } }, 'Node'), shown('ResourceSlice', { spec: { nodeName: 'n' } }, 'Node')], [[''], ['n']])
  const revision = (apiVersion: string): unknown => shown('ControllerRevision', { metadata: { name: 'a', ownerReferences: [{ apiVersion, kind: 'Foo', name: 'x', uid: 'u', controller: true }] }, revision: 1 }, 'Controller')
  deepStrictEqual([revision('apps/v1'), revision('v1')], [['foo.apps/x'], ['foo/x']])
  const binding = (paramRef: object): unknown => shown('ValidatingAdmissionPolicyBinding', { spec: { policyName: 'p', paramRef } }, 'ParamRef')
  deepStrictEqual([binding({ name: 'x' }), binding({ selector: { matchLabels: { a: 'b' }, matchExpressions: [{ key: 'k', operator: 'In', values: ['1', '2'] }] } }), binding({})], [
    ['*/x'], ['&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement{LabelSelectorRequirement{Key:k,Operator:In,Values:[1 2],},},}'], ['<unset>'],
  ])
})
