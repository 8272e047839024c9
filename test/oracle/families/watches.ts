/** What a watch tells of changes that were: which events in which order, bookmarks, forms, where it begins and where it may not. */
import type { Case, Json, Step } from '../exchange.ts'
import { patchType, world, type Family } from './begin.ts'

type FromLast = (last: Json) => string
const revisionOf: FromLast = (last) => (last['metadata'] as Json)['resourceVersion'] as string
const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io'
const METADATA = 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io'

const STARTS: readonly FromLast[] = [(last) => `resourceVersion=${revisionOf(last)}`, () => 'resourceVersion=0', () => '']
const INITIAL = ['', 'sendInitialEvents=true', 'sendInitialEvents=false', 'sendInitialEvents=true&resourceVersionMatch=NotOlderThan', 'sendInitialEvents=false&resourceVersionMatch=NotOlderThan', 'sendInitialEvents=true&resourceVersionMatch=Exact', 'resourceVersionMatch=NotOlderThan', 'sendInitialEvents=nope&resourceVersionMatch=NotOlderThan']
const BOOKMARKS = ['', 'allowWatchBookmarks=true']
const OTHERS = ['limit=1', 'continue=x', 'resourceVersion=x', 'resourceVersion=-1', 'labelSelector=stage%3Dnew', 'labelSelector=stage%3Dold', 'labelSelector=stage', 'labelSelector=!stage', 'fieldSelector=metadata.name%3Di1', 'fieldSelector=metadata.name!%3Di1', 'fieldSelector=nope%3D1', 'labelSelector=%3D', 'includeObject=None', 'timeoutSeconds=x', 'timeoutSeconds=-1']
const SECONDS = 'timeoutSeconds=1'

export const watches: Family = function* ({ next }) {
  for (const [kind, resource, object] of [['v1 configmaps', 'configmaps', { data: { a: 'b' } }], ['v1 pods', 'pods', { spec: { containers: [{ name: 'c', image: 'i' }] } }]] as const) {
    const begun = () => changed(next(), resource, object)
    const of = (form: string, path: (collection: string) => Step['path'], headers?: Record<string, string>): Case => {
      const { steps, object: namespace, collection } = begun()
      return { family: 'watches', kind, object: namespace, steps: [...steps, { form, method: 'GET', path: path(collection), ...(headers && { headers }) }] }
    }
    const query = (...parts: string[]): string => `watch=1&${[SECONDS, ...parts].filter((part) => part !== '').join('&')}`
    for (const start of STARTS) for (const initial of INITIAL) for (const bookmarks of BOOKMARKS) yield of('watch', (collection) => (last) => `${collection}?${query(start(last), initial, bookmarks)}`)
    for (const start of STARTS) for (const accept of [TABLE, METADATA, `${TABLE},application/json`, 'application/yaml', 'application/json;as=Nope;v=v1;g=meta.k8s.io', 'text/html']) {
      yield of(`watch, Accept: ${accept}`, (collection) => (last) => `${collection}?${query(start(last))}`, { accept })
      if (accept === TABLE) for (const included of ['None', 'Object', 'Metadata']) yield of(`watch of a table, ${included}`, (collection) => (last) => `${collection}?${query(start(last), `includeObject=${included}`)}`, { accept })
      yield of(`watch with initial events, Accept: ${accept}`, (collection) => () => `${collection}?${query('sendInitialEvents=true', 'resourceVersionMatch=NotOlderThan', 'allowWatchBookmarks=true')}`, { accept })
    }
    for (const other of OTHERS) yield of('watch', (collection) => (last) => `${collection}?${query(other.startsWith('resourceVersion=') ? '' : STARTS[0]?.(last) ?? '', other)}`)
    yield of('watch of one', (collection) => () => `${collection}/i1?${query('')}`)
    yield of('watch of one', (collection) => () => `${collection}/i0?${query('fieldSelector=metadata.name%3Di2')}`)
    yield of('watch, the old way', (collection) => (last) => `${collection.replace('/api/v1/', '/api/v1/watch/')}?${query(STARTS[0]?.(last) ?? '')}`)
    yield of('watch of one, the old way', (collection) => (last) => `${collection.replace('/api/v1/', '/api/v1/watch/')}/i2?${query(STARTS[0]?.(last) ?? '')}`)
    yield of('watch of one that is not there', (collection) => () => `${collection}/nope?${query('resourceVersion=0')}`)
  }
}

/** Three objects: one stays, one is changed twice and goes, one is changed. The last answer that counts is from before the changes. */
function changed(n: number, resource: string, object: Json): ReturnType<typeof world> {
  const { steps, object: namespace, collection } = world(n, resource, [0, 1].map((i) => ({ ...object, metadata: { name: `i${i}`, labels: { stage: 'old' } } })))
  const patch = (name: string, metadata: Json): Step => ({ form: 'merge patch', method: 'PATCH', path: `${collection}/${name}`, type: patchType('merge patch'), body: { metadata }, isSetUp: true, isAside: true })
  return {
    object: namespace, collection,
    steps: [
      ...steps, { form: 'POST', method: 'POST', path: collection, body: { ...object, metadata: { name: 'i2' } }, isSetUp: true, isAside: true },
      patch('i1', { labels: { stage: 'new' } }), patch('i2', { annotations: { a: 'b' } }), patch('i1', { labels: { stage: null } }),
      { form: 'DELETE', method: 'DELETE', path: `${collection}/i1`, body: { kind: 'DeleteOptions', apiVersion: 'v1', gracePeriodSeconds: 0 }, isSetUp: true, isAside: true },
    ],
  }
}
