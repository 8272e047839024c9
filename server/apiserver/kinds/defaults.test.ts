/** What the server fills in. */
import { deepStrictEqual } from 'node:assert'
import { test } from 'node:test'
import type { KubeObject } from '#api/types/index.ts'
import { rows } from '../registry.ts'

function defaulted(kind: string, object: object): Record<string, unknown> {
  const row = rows.find((r) => r.ref.kind === kind)
  const copy = structuredClone(object) as KubeObject
  row?.strategy.defaults?.(copy)
  return copy as unknown as Record<string, unknown>
}

test('sources that pods and volumes share have the same defaults in both', () => {
  const sources: [name: string, given: object, filled: object][] = [
    ['rbd', { image: 'i', monitors: ['m'] }, { image: 'i', monitors: ['m'], pool: 'rbd', user: 'admin', keyring: '/etc/ceph/keyring' }],
    ['azureDisk', { diskName: 'd', diskURI: 'u' }, { diskName: 'd', diskURI: 'u', cachingMode: 'ReadWrite', kind: 'Shared', fsType: 'ext4', readOnly: false }],
    ['scaleIO', { gateway: 'g', secretRef: { name: 'x' }, system: 's' }, { gateway: 'g', secretRef: { name: 'x' }, system: 's', storageMode: 'ThinProvisioned', fsType: 'xfs' }],
    ['iscsi', { iqn: 'q', lun: 0, targetPortal: 't' }, { iqn: 'q', lun: 0, targetPortal: 't', iscsiInterface: 'default' }],
    ['hostPath', { path: '/a' }, { path: '/a', type: '' }],
  ]
  for (const [name, given, filled] of sources) {
    const inPod = defaulted('Pod', { spec: { containers: [], volumes: [{ name: 'v', [name]: given }] } })['spec'] as { volumes: unknown[] }
    deepStrictEqual(inPod.volumes, [{ name: 'v', [name]: filled }])
    deepStrictEqual((defaulted('PersistentVolume', { spec: { [name]: given } })['spec'] as Record<string, unknown>)[name], filled)
  }
})

test('a phase is never left out', () => {
  deepStrictEqual(['PersistentVolume', 'PersistentVolumeClaim', 'Namespace'].map((kind) => defaulted(kind, { metadata: { name: 'a' } })['status']), [{ phase: 'Pending' }, { phase: 'Pending' }, { phase: 'Active' }])
  deepStrictEqual(defaulted('PersistentVolumeClaim', { status: { phase: 'Bound' } })['status'], { phase: 'Bound' })
})

test('only users and groups are of the group of roles', () => {
  const subjects = ['User', 'Group', 'ServiceAccount', 'Robot'].map((kind) => ({ kind, name: 'a' }))
  deepStrictEqual((defaulted('RoleBinding', { subjects, roleRef: { kind: 'Role', name: 'r' } })['subjects'] as { apiGroup?: string }[]).map((s) => s.apiGroup), ['rbac.authorization.k8s.io', 'rbac.authorization.k8s.io', undefined, undefined])
})
