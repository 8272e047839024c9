/** Methods, paths and media types that fit or do not; objects that are not there. */
import type { Case, Json, Step } from '../exchange.ts'
import type { Seed } from '../seeds.ts'
import { creation, patchType, type Family } from './begin.ts'

const APPLY = patchType('apply')
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const
const ACCEPTS = [
  '', '*/*', 'application/json', 'application/*', 'text/html', 'text/html, */*;q=0.1', 'application/yaml', 'application/json;as=Table;v=v1;g=meta.k8s.io', 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json', 'application/json;as=Table;v=v9;g=meta.k8s.io', 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io',
  'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io', 'application/json;as=Nope;v=v1;g=meta.k8s.io', 'application/cbor', 'application/json;stream=watch', 'application/json;pretty=1', 'nonsense', 'application/json;', 'application/apply-patch+yaml',
]
const PLAIN_PATHS = ['/version', '/api', '/apis', '/api/v1', '/apis/apps', '/apis/apps/v1', '/openapi/v3', '/healthz']
const KINDS = new Set(['v1 configmaps', 'apps/v1 deployments', 'rbac.authorization.k8s.io/v1 clusterroles', 'v1 pods', 'autoscaling/v1 horizontalpodautoscalers'])

export const addresses: Family = function* ({ seeds, next }) {
  for (const seed of seeds.filter(({ kind }) => KINDS.has(kind))) {
    const object = seed.object(next())
    const item = `${seed.collection}/there`
    const absent = `${seed.collection}/absent`
    // An apply makes what is not there.
    const named = (path: string, body: unknown, name: string): { path: string; body: unknown } => ({ path: path.replace('/absent', `/${name}`), body: JSON.parse((JSON.stringify(body) ?? 'null').replaceAll('"absent"', JSON.stringify(name))) as unknown })
    for (const method of METHODS) {
      // Who lists sees what other cases make; what a POST makes, where such names are allowed, goes again.
      for (const path of [...(method === 'DELETE' ? [] : [method === 'GET' ? `${seed.collection}?labelSelector=nobody` : seed.collection]), absent, `${absent}/status`, `${absent}/scale`, `${absent}/nope`, `${seed.collection}/Bad_Name`]) {
        const n = next()
        // A PUT makes what may be made so.
        const made = method === 'POST' ? `Bad_${n}` : `absent${n}`
        yield alone(seed, { form: `${method} where nothing is`, method, path: path.replace('/absent', `/absent${n}`), ...(method === 'PATCH' && { type: 'application/merge-patch+json' }), ...(method !== 'GET' && method !== 'DELETE' && { body: { ...object, metadata: { name: made } } }) }, method === 'POST' || method === 'PUT' ? `${seed.collection}/${made}` : '')
      }
    }
    for (const path of [absent, `${absent}/status`, `${absent}/scale`]) {
      for (const body of ['', '{', 'null', '[]', {}, { kind: 'X', apiVersion: 'v1' }, { ...object, metadata: { name: 'other' } }, { ...object, metadata: { name: 'absent', uid: 'x' } }, { ...object, metadata: { name: 'absent', resourceVersion: '5' } }, { ...object, metadata: 'x' }, { ...object, metadata: { name: 'absent', namespace: 'other' } }, { ...object, unknown: 1, metadata: { name: 'absent', managedFields: [] } }]) {
        for (const query of ['?fieldManager=a', '', '?fieldManager=a&fieldValidation=Strict', '?fieldManager=a&force=maybe']) {
          const made = named(path, body, `absent${next()}`)
          yield alone(seed, { form: 'apply where nothing is', method: 'PATCH', path: made.path + query, type: APPLY, body: made.body }, made.path.replace(/\/(status|scale)$/, ''))
        }
      }
    }
    for (const accept of ACCEPTS) for (const path of [seed.collection, item, absent]) yield reading(seed, accept, path, seed.object(next()))
  }
  const nobody = { kind: '' }
  for (const accept of ACCEPTS) for (const path of PLAIN_PATHS) yield alone(nobody, { form: `GET, Accept: ${accept}, code alone`, method: 'GET', path, headers: { accept } })
  for (const method of METHODS) for (const path of ['/api/v1/namespaces/default/bindings', '/api/v1/namespaces/default/bindings/x', '/api/v1/bindings', '/api/v1/componentstatuses/x', '/apis/authorization.k8s.io/v1/subjectaccessreviews', '/apis/authorization.k8s.io/v1/subjectaccessreviews/x', '/apis/authentication.k8s.io/v1/tokenreviews', '/api/v1/namespaces/default/pods/x/eviction', '/api/v1/namespaces/default/pods/x/binding', '/api/v1/namespaces/default/pods/x/log', '/api/v1/namespaces/default/serviceaccounts/x/token', '/api/v1/namespaces/x/finalize', '/api/v2', '/apis/nope/v1/x', '/apis/apps/v9/deployments', '/nope']) {
    yield alone(nobody, { form: `${method} of what is no object`, method, path, ...(method !== 'GET' && method !== 'DELETE' && { body: {} satisfies Json }) })
  }
}

const alone = ({ kind }: Pick<Seed, 'kind'>, step: Step, object = ''): Case => ({ family: 'addresses', kind, object, steps: [step] })

function reading(seed: Seed, accept: string, at: string, object: ReturnType<Seed['object']>): Case {
  const { name } = object.metadata
  const path = at === seed.collection ? `${at}?fieldSelector=metadata.name%3D${name}` : at.endsWith('/absent') ? at : `${seed.collection}/${name}`
  return { family: 'addresses', kind: seed.kind, object: `${seed.collection}/${name}`, steps: [creation(seed, object), { form: `GET, Accept: ${accept}`, method: 'GET', path, headers: { accept } }] }
}
