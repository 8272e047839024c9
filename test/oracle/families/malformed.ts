/** Patches that are no patches, or of something else. */
import type { Json } from '../exchange.ts'
import { creation, patchType, type Family, type Form } from './begin.ts'

const KINDS = new Set(['v1 configmaps', 'v1 pods', 'apps/v1 deployments', 'v1 services', 'rbac.authorization.k8s.io/v1 clusterroles', 'admissionregistration.k8s.io/v1 validatingwebhookconfigurations'])

type PatchForm = Exclude<Form, 'PUT'>

/** Texts go as they are. */
const BODIES: Readonly<Record<PatchForm, readonly unknown[]>> = {
  'JSON patch': [
    '', '{', 'null', '{}', '[]', '"x"', '[1]', '[null]', [{}], [{ op: 'add' }], [{ op: 'nope', path: '/x' }], [{ op: 'add', path: 'x', value: 1 }], [{ op: 'add', path: '', value: {} }], [{ op: 'remove', path: '' }], [{ op: 'replace', path: '/metadata/nope', value: 1 }],
    [{ op: 'test', path: '/metadata/name', value: 'other' }], [{ op: 'test', path: '/metadata/nope', value: null }], [{ op: 'move', from: '/metadata/labels', path: '/metadata/annotations' }], [{ op: 'copy', from: '/metadata/name', path: '/metadata/labels' }], [{ op: 'copy', from: '/nope', path: '/x' }],
    [{ op: 'add', path: '/metadata/labels/x', value: 'y' }], [{ op: 'replace', path: '/kind', value: 'Other' }], [{ op: 'replace', path: '/apiVersion', value: 'x/v1' }], [{ op: 'replace', path: '/metadata/name', value: 'other' }], [{ op: 'replace', path: '/metadata/uid', value: 'other' }],
    [{ op: 'remove', path: '/metadata' }], [{ op: 'add', path: '/metadata/resourceVersion', value: '1' }], [{ op: 'add', path: '/unknown', value: 1 }], [{ op: 'add', path: '/spec/containers/99', value: {} }], [{ op: 'add', path: '/spec/containers/-1', value: {} }], [{ op: 'add', path: '/spec/containers/01', value: {} }],
  ],
  'merge patch': ['', '{', 'null', '[]', '1', '"x"', {}, { metadata: null }, { metadata: [] }, { metadata: { name: 'other' } }, { metadata: { namespace: 'other' } }, { metadata: { uid: 'x' } }, { metadata: { resourceVersion: '1' } }, { metadata: { resourceVersion: 'x' } }, { metadata: { generation: 7 } }, { metadata: { creationTimestamp: '2026-01-01T00:00:00Z' } }, { metadata: { labels: 'x' } }, { metadata: { labels: { a: 1 } } }, { metadata: { managedFields: [] } }, { metadata: { managedFields: [{}] } }, { metadata: { ownerReferences: [{}] } }, { kind: 'Other' }, { kind: null }, { apiVersion: 'x/v1' }, { apiVersion: null }, { unknown: 1 }, { spec: null }, { spec: [] }, { status: { phase: 'x' } }],
  'strategic merge patch': [
    '', '{', 'null', '[]', '1', {}, { $patch: 'replace' }, { $patch: 'delete' }, { $patch: 'nope' }, { metadata: { $patch: 'replace', name: 'x' } }, { metadata: { $patch: 'delete' } }, { metadata: { labels: { $patch: 'replace', a: 'b' } } }, { metadata: { labels: { $patch: 'delete' } } }, { metadata: { labels: { $retainKeys: ['a'], a: 'b' } } }, { metadata: { $retainKeys: ['name'] } },
    { metadata: { finalizers: ['a.b/c'] } }, { metadata: { '$deleteFromPrimitiveList/finalizers': ['example.com/f'] } }, { metadata: { '$deleteFromPrimitiveList/finalizers': 'x' } }, { metadata: { '$setElementOrder/finalizers': ['a.b/c'], finalizers: ['a.b/c'] } }, { metadata: { '$setElementOrder/finalizers': 'x' } }, { '$nope/x': [] }, { metadata: { ownerReferences: [{ uid: 'x' }] } }, { metadata: { ownerReferences: [{}] } },
    { spec: { containers: [{}] } }, { spec: { containers: [{ name: 'a', $patch: 'delete' }] } }, { spec: { containers: [{ $patch: 'replace' }] } }, { spec: { containers: 'x' } }, { spec: { containers: { name: 'x' } } }, { spec: { containers: null } }, { spec: { '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }] } }, { spec: { '$setElementOrder/containers': [{}] } }, { spec: { ports: [{ port: 80 }] } }, { spec: { ports: [{ port: 80, $patch: 'delete' }] } }, { spec: { $retainKeys: ['type'], type: 'ClusterIP' } }, { spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } } },
    { data: { $retainKeys: ['z'], z: 'y' } }, { unknown: 1 }, { kind: null }, { metadata: { name: 'other' } },
  ],
  apply: ['', '{', 'null', '[]', 'x', 'a: b: c', {}, { kind: 'x' }, { metadata: { managedFields: [{}] } }, { metadata: { managedFields: [] } }, { metadata: { name: 'other' } }, { metadata: { namespace: 'other' } }, { metadata: { uid: 'x' } }, { metadata: { resourceVersion: '1' } }, { metadata: { labels: 'x' } }, { metadata: { labels: { a: null } } }, { metadata: { finalizers: ['a.b/c', 'a.b/c'] } }, { unknown: 1 }, { spec: null }, { spec: { containers: [{}] } }, { spec: { containers: [{ name: 'a' }, { name: 'a' }] } }, { spec: { ports: [{ port: 80 }, { port: 80 }] } }, { status: { phase: 'x' } }],
  'apply --force': [{}],
}
/** What an apply says of what it is. */
const withKind = (body: unknown, object: Json, form: PatchForm): unknown => (form.startsWith('apply') && typeof body === 'object' ? { apiVersion: object['apiVersion'], kind: object['kind'], ...body } : body)

export const malformed: Family = function* ({ seeds, next }) {
  for (const seed of seeds.filter(({ kind }) => KINDS.has(kind))) {
    for (const [form, bodies] of Object.entries(BODIES) as [PatchForm, readonly unknown[]][]) {
      for (const body of bodies) {
        for (const query of ['fieldManager=oracle', 'fieldManager=oracle&fieldValidation=Strict']) {
          const object = seed.object(next())
          const path = `${seed.collection}/${object.metadata.name}`
          const step = { form, method: 'PATCH', path: `${path}?${query}`, type: patchType(form), body: withKind(body, object, form) }
          yield { family: 'malformed', kind: seed.kind, object: path, steps: [creation(seed, object), step] }
        }
      }
    }
  }
}
