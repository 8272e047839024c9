/** What a list may be asked: how much of it, of which moment, how it goes on. */
import type { Case, Json, Step } from '../exchange.ts'
import { world, type Family, type World } from './begin.ts'

const ITEMS = 5
const CONFIG_MAPS = 'configmaps'

const LIMITS = ['', 'limit=2', 'limit=0', 'limit=-1', 'limit=x', 'limit=5', 'limit=9']
const MATCHES = ['', 'resourceVersionMatch=Exact', 'resourceVersionMatch=NotOlderThan', 'resourceVersionMatch=Nope']
type FromList = (list: Json) => string
const revisionOf: FromList = (list) => (list['metadata'] as Json)['resourceVersion'] as string
const REVISIONS: readonly FromList[] = [() => '', () => 'resourceVersion=0', (list) => `resourceVersion=${revisionOf(list)}`, () => 'resourceVersion=x', () => 'resourceVersion=-1', () => 'resourceVersion=99999999999999999999']
const OTHERS = [
  'continue=x', 'continue=', 'continue=e30', 'limit=2&continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJhIn0', 'timeoutSeconds=x', 'timeoutSeconds=1', 'sendInitialEvents=true', 'sendInitialEvents=false', 'allowWatchBookmarks=true', 'allowWatchBookmarks=nope', 'watch=nope&timeoutSeconds=1', 'watch=false', 'watch=0',
  'labelSelector=a%3Db', 'labelSelector=!a', 'labelSelector=a+in+(b,c)', 'labelSelector=a+in+', 'labelSelector=%3D', 'labelSelector=a%3D%3Db,c!%3Dd', 'labelSelector=a+gt+5', 'labelSelector=a%3E5', 'labelSelector=UPPER%20x', 'fieldSelector=metadata.name%3Di1', 'fieldSelector=metadata.name!%3Di1', 'fieldSelector=metadata.namespace%3Dx', 'fieldSelector=data.a%3Db', 'fieldSelector=nope', 'fieldSelector=metadata.name%3Di1,metadata.name%3Di2',
  'limit=2&labelSelector=parity%3Dodd', 'limit=1&fieldSelector=metadata.name!%3Di1', 'pretty=true', 'pretty=nope', 'unknown=1', 'limit=1&limit=2', 'resourceVersion=0&limit=2', 'dryRun=All', 'resourceVersionMatch=Exact&resourceVersion=0',
]
const ACCEPTS = ['application/json;as=Table;v=v1;g=meta.k8s.io', 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io', 'application/json;as=Table;v=v1beta1;g=meta.k8s.io']

export const lists: Family = function* ({ next }) {
  const begun = () => world(next(), CONFIG_MAPS, Array.from({ length: ITEMS }, (_, i) => ({ metadata: { name: `i${i}`, labels: { parity: i % 2 ? 'odd' : 'even' } }, data: { i: String(i) } })))
  const of = (kind: string, { steps, object, collection }: World, asked: readonly Step[]): Case => ({ family: 'lists', kind, object, steps: [...steps, { form: 'GET', method: 'GET', path: collection }, ...asked] })
  const one = begun()
  const { collection } = one
  const asking: Step[] = []
  for (const limit of LIMITS) for (const revision of REVISIONS) for (const match of MATCHES) asking.push({ form: 'GET of a list', method: 'GET', path: (last) => `${collection}?${[limit, revision(last), match].filter((part) => part !== '').join('&')}` })
  for (const query of OTHERS) asking.push({ form: 'GET of a list', method: 'GET', path: `${collection}?${query}` })
  for (const headers of ACCEPTS.map((accept) => ({ accept }))) for (const query of ['limit=2', 'includeObject=Metadata', 'includeObject=Object', 'includeObject=None', 'includeObject=Nope', 'limit=2&includeObject=None']) asking.push({ form: 'GET of a list, formed', method: 'GET', path: `${collection}?${query}`, headers })
  yield of('v1 configmaps', one, asking.map((step) => ({ ...step, isAside: true })))
  const other = begun()
  yield of('v1 configmaps, of all namespaces', other, ['labelSelector=nobody', `fieldSelector=metadata.namespace%3D${other.object.split('/').at(-1)},metadata.name%3Di1`].map((query) => ({ form: 'GET of all namespaces', method: 'GET', path: `/api/v1/${CONFIG_MAPS}?${query}` })))
  yield* pages(next())
}

/** Pages, with a change between them. */
function* pages(n: number): Iterable<Case> {
  const { steps, object, collection } = world(n, CONFIG_MAPS, Array.from({ length: ITEMS }, (_, i) => ({ metadata: { name: `i${i}` } })))
  const tokenOf: FromList = (list) => encodeURIComponent((list['metadata'] as { continue?: string }).continue ?? '')
  const first: Step = { form: 'GET of the first page', method: 'GET', path: `${collection}?limit=2` }
  const further = (query: FromList): Step => ({ form: 'GET of a further page', method: 'GET', path: (last) => `${collection}?${query(last)}` })
  const asking: Step[] = [
    first, further((last) => `limit=2&continue=${tokenOf(last)}`), further((last) => `limit=2&continue=${tokenOf(last)}`),
    ...['limit=0', 'limit=1', 'limit=-1', 'resourceVersion=0', 'resourceVersion=5', 'resourceVersion=0&resourceVersionMatch=Exact', 'resourceVersionMatch=NotOlderThan', 'labelSelector=a', 'fieldSelector=metadata.name%3Di3', 'sendInitialEvents=true'].flatMap((query) => [first, further((last) => `${query}&continue=${tokenOf(last)}`)]),
    ...ACCEPTS.flatMap((accept) => [first, { ...further((last) => `limit=2&continue=${tokenOf(last)}`), headers: { accept } }]),
  ]
  const late: Json = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'i3x' } }
  yield { family: 'lists', kind: 'v1 configmaps', object, steps: [...steps, ...asking] }
  const other = world(n + 0.5, CONFIG_MAPS, Array.from({ length: ITEMS }, (_, i) => ({ metadata: { name: `i${i}` } })))
  const page = (query: FromList): Step => ({ form: 'GET of a page after a change', method: 'GET', path: (last) => `${other.collection}?${query(last)}` })
  yield {
    family: 'lists', kind: 'v1 configmaps', object: other.object,
    steps: [
      ...other.steps, { ...first, path: `${other.collection}?limit=2` }, { form: 'POST between pages', method: 'POST', path: other.collection, body: late, isAside: true },
      page((last) => `limit=1&continue=${tokenOf(last)}`), page((last) => `limit=2&continue=${tokenOf(last)}`),
    ],
  }
}
