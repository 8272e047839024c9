/** What metadata may become, and what it may not, in every kind and through `/status`. */
import type { Json } from '../exchange.ts'
import { creation, patchType, type Family } from './begin.ts'

const CHANGES: readonly Json[] = [
  { generateName: 'a/b%' }, { generateName: 'ok-' }, { finalizers: ['b'] }, { finalizers: ['25%/x'] }, { finalizers: ['kubernetes', 'a.b/c'] }, { finalizers: ['orphan', 'foregroundDeletion'] }, { deletionGracePeriodSeconds: 0 }, { deletionGracePeriodSeconds: 5 }, { deletionTimestamp: '2026-01-01T00:00:00Z' },
  { uid: 'x' }, { resourceVersion: null }, { resourceVersion: '' }, { resourceVersion: '0' }, { generation: 0 }, { generation: 99 }, { generation: null }, { creationTimestamp: null }, { selfLink: '/x' }, { labels: { 'a b': 'c' } }, { labels: { a: 'b c' } }, { labels: null }, { annotations: { 'a b': 'c' } }, { annotations: { a: '' } },
  { ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'p' }] }, { ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'p', uid: 'u' }] }, { managedFields: [] }, { managedFields: [{}] },
]

export const metadata: Family = function* ({ seeds, next }) {
  const kinds = new Set<string>()
  for (const seed of seeds) {
    // Once for each kind.
    if (kinds.has(seed.kind)) continue
    kinds.add(seed.kind)
    for (const change of CHANGES) {
      const object = seed.object(next())
      const made = { ...object, metadata: { ...object.metadata, ...change } }
      yield { family: 'metadata', kind: seed.kind, object: `${seed.collection}/${object.metadata.name}`, steps: [{ form: `POST with ${Object.keys(change).join()}`, method: 'POST', path: seed.collection, body: made }] }
    }
    for (const part of ['', ...(seed.subresources.includes('status') ? ['/status'] : [])]) {
      for (const change of CHANGES) {
        const object = seed.object(next())
        const path = `${seed.collection}/${object.metadata.name}`
        yield { family: 'metadata', kind: seed.kind, object: path, steps: [creation(seed, object), { form: `merge patch${part} of ${Object.keys(change).join()}`, method: 'PATCH', path: `${path}${part}`, type: patchType('merge patch'), body: { metadata: change } }] }
      }
    }
  }
}
