/** Deletions of one and of many, with all that may be said of how. */
import type { Case, Json, Step } from '../exchange.ts'
import { creation, world, type Family } from './begin.ts'

const OPTIONS: readonly Json[] = [
  {}, { propagationPolicy: 'Orphan' }, { propagationPolicy: 'Background' }, { propagationPolicy: 'Foreground' }, { propagationPolicy: 'Nope' }, { propagationPolicy: '' }, { orphanDependents: true }, { orphanDependents: false }, { orphanDependents: true, propagationPolicy: 'Orphan' }, { gracePeriodSeconds: 0 }, { gracePeriodSeconds: 7 }, { gracePeriodSeconds: -1 }, { gracePeriodSeconds: 'x' },
  { preconditions: { uid: 'x' } }, { preconditions: { resourceVersion: '1' } }, { preconditions: { uid: 'x', resourceVersion: '1' } }, { preconditions: {} }, { preconditions: 'x' }, { dryRun: ['All'] }, { dryRun: ['Nope'] }, { dryRun: [] }, { dryRun: ['All', 'All'] }, { dryRun: 'All' }, { unknown: 1 }, { kind: 'Pod', apiVersion: 'v1' }, { kind: 'DeleteOptions', apiVersion: 'apps/v1' }, { kind: 'DeleteOptions', apiVersion: 'v1' }, { kind: 'DeleteOptions' },
  { ignoreStoreReadErrorWithClusterBreakingPotential: true }, { ignoreStoreReadErrorWithClusterBreakingPotential: false }, { ignoreStoreReadErrorWithClusterBreakingPotential: true, dryRun: ['All'] },
]
const QUERIES = ['propagationPolicy=Orphan', 'propagationPolicy=Foreground', 'propagationPolicy=Nope', 'gracePeriodSeconds=5', 'gracePeriodSeconds=x', 'gracePeriodSeconds=-1', 'orphanDependents=true', 'orphanDependents=x', 'dryRun=All', 'dryRun=Nope', 'dryRun=', 'dryRun=All&propagationPolicy=Orphan', 'propagationPolicy=Orphan&orphanDependents=true', 'ignoreStoreReadErrorWithClusterBreakingPotential=true']
const COLLECTIONS = ['', 'labelSelector=parity%3Dodd', 'labelSelector=nope', 'labelSelector=%3D', 'fieldSelector=metadata.name%3Di1', 'fieldSelector=nope%3D1', 'limit=1', 'limit=x', 'resourceVersion=0', 'resourceVersion=x', 'dryRun=All', 'dryRun=Nope', 'propagationPolicy=Orphan', 'propagationPolicy=Nope', 'gracePeriodSeconds=0', 'timeoutSeconds=5', 'resourceVersionMatch=Exact', 'continue=x', 'sendInitialEvents=true']
const TEXTS = ['', '{', 'null', '[]', '"x"', 'a: b']
const KINDS = new Set(['v1 configmaps', 'v1 pods', 'apps/v1 deployments', 'apps/v1 replicasets', 'batch/v1 jobs', 'v1 replicationcontrollers', 'rbac.authorization.k8s.io/v1 clusterroles', 'v1 persistentvolumeclaims', 'v1 services', 'apps/v1 statefulsets'])

export const deletions: Family = function* ({ seeds, next }) {
  for (const seed of seeds.filter(({ kind }) => KINDS.has(kind))) {
    const of = (form: string, query: string, body?: unknown): Case => {
      const object = seed.object(next())
      const path = `${seed.collection}/${object.metadata.name}`
      const deletion: Step = { form, method: 'DELETE', path: path + query, ...(body !== undefined && { body }) }
      return { family: 'deletions', kind: seed.kind, object: path, steps: [creation(seed, object), deletion, { form: `GET after ${form}`, method: 'GET', path }, { ...deletion, form: `${form} again` }, { form: `GET after ${form} again`, method: 'GET', path }] }
    }
    for (const options of OPTIONS) yield of('DELETE with options', '', options)
    for (const query of QUERIES) yield of('DELETE with a query', `?${query}`)
    for (const text of TEXTS) yield of('DELETE with a text', '', text)
  }
  for (const asked of [...COLLECTIONS.map((query) => ({ query })), ...OPTIONS.map((body) => ({ query: '', body })), { query: 'labelSelector=parity%3Dodd', body: { dryRun: ['All'] } }, { query: 'dryRun=All', body: {} }]) {
    const { steps, object, collection } = world(next(), 'configmaps', [0, 1, 2].map((i) => ({ metadata: { name: `i${i}`, labels: { parity: i % 2 ? 'odd' : 'even' }, ...(i === 2 && { finalizers: ['example.com/f'] }) } })))
    yield { family: 'deletions', kind: 'v1 configmaps', object, others: [`${collection}/i2`], steps: [...steps, { form: 'DELETE of a collection', method: 'DELETE', path: `${collection}?${asked.query}`, ...('body' in asked && { body: asked.body }) }, { form: 'GET after it', method: 'GET', path: collection }] }
  }
}
