/** Every operation the table of kinds serves, told once for OpenAPI v2 and v3. Names as upstream's. Pure. */
import type { GroupVersionKind } from '#api/schema/schema.ts'
import type { KindRow } from '../kind.ts'
import { listModelOf } from './definitions.ts'
import { nameParameter, parameter, proxyPathParameter, type Parameter, type ParameterName } from './parameters.ts'

export interface Operation {
  path: string
  method: 'get' | 'put' | 'post' | 'delete' | 'patch' | 'head' | 'options'
  id: string
  description: string
  tag: string
  /** x-kubernetes-action. */
  action?: string
  kind?: GroupVersionKind
  /** Those that all operations of a path have are told once, of the path. */
  parameters: readonly Parameter[]
  body?: { of: 'model'; model: string } | { of: 'patch'; /** Strategic merge patches are taken too: kinds with Go types. */ strategic: boolean } | { of: 'deleteOptions' }
  /** A model's name, or plain text. */
  answer: { model: string } | 'string'
  /** Codes besides 401. */
  codes: readonly number[]
  consumes: 'any' | 'object' | 'json' | 'nothing'
  produces: 'object' | 'list' | 'any' | 'text' | 'json' | 'keys'
  /** Kinds with Go types are served as protobuf, too; and whatever tells of them. */
  protobuf?: true
}

const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']
export const LIST_OPTIONS: ParameterName[] = ['allowWatchBookmarks', 'continue', 'fieldSelector', 'labelSelector', 'limit', 'resourceVersion', 'resourceVersionMatch', 'sendInitialEvents', 'shardSelector', 'timeoutSeconds', 'watch']
export const WRITE_OPTIONS: ParameterName[] = ['dryRun', 'fieldManager', 'fieldValidation']
export const DELETE_OPTIONS: ParameterName[] = ['dryRun', 'gracePeriodSeconds', 'ignoreStoreReadErrorWithClusterBreakingPotential', 'orphanDependents', 'propagationPolicy']
const DELETE_COLLECTION_OPTIONS: ParameterName[] = ['continue', 'dryRun', 'fieldSelector', 'gracePeriodSeconds', 'ignoreStoreReadErrorWithClusterBreakingPotential', 'labelSelector', 'limit', 'orphanDependents', 'propagationPolicy', 'resourceVersion', 'resourceVersionMatch', 'sendInitialEvents', 'shardSelector', 'timeoutSeconds']
/** Kinds whose deletion answers the object, as upstream's do. */
const ANSWERS_DELETED = new Set(['pods', 'services', 'serviceaccounts', 'persistentvolumes', 'persistentvolumeclaims', 'podtemplates', 'resourcequotas', 'storageclasses', 'csidrivers', 'csinodes', 'volumeattachments', 'volumeattributesclasses',
  'deviceclasses', 'devicetaintrules', 'resourceclaims', 'resourceclaimtemplates', 'resourcepoolstatusrequests', 'resourceslices'])

/** The dependency tells core/v1's struct of the same name apart; of lists there is one. */
const LIST_MODELS: Readonly<Record<string, string>> = { ResourceV1ResourceClaim: 'ResourceClaimList' }

export const params = (names: readonly ParameterName[]): Parameter[] => names.map(parameter)
export const capital = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1)

export const groupPath = (group: string, version: string): string => (group === '' ? `api/${version}` : `apis/${group}/${version}`)

/** `rbac.authorization.k8s.io` -> `rbacAuthorization`, `my-group.example.com` -> `myGroupExampleCom`. */
export function groupTag(group: string): string {
  if (group === '') return 'core'
  return group.replace(/\.k8s\.io$/, '').replace(/^\d|[^a-z\d]/g, ' ').replace(/ +(.?)/g, (_, letter: string) => letter.toUpperCase())
}

/** Operations of one group version on kinds with Go types, and of its discovery where there are any. */
export function operationsOf(group: string, version: string, rows: readonly KindRow[]): Operation[] {
  const builtIn = rows.filter(({ custom }) => !custom)
  if (builtIn.length === 0) return []
  const tag = `${groupTag(group)}_${version}`
  const discovery: Operation = {
    path: `/${groupPath(group, version)}/`, method: 'get', id: `get${capital(groupTag(group))}${capital(version)}APIResources`, description: 'get available resources', tag,
    parameters: [], answer: { model: 'APIResourceList' }, codes: [200], consumes: 'object', produces: 'object', protobuf: true,
  }
  return [discovery, ...builtIn.flatMap((row) => operationsOfRow(row, tag).map((operation): Operation => ({ ...operation, protobuf: true })))]
}

/** The names of a row's operations have all of this in them. */
export const operationId = ({ ref: { kind, namespaced } }: KindRow, tag: string) => (verb: string, infix = '', suffix = ''): string => `${verb}${capital(tag.replace(/_(.)/, (_, c: string) => c.toUpperCase()))}${infix}${namespaced ? 'Namespaced' : ''}${kind}${suffix}`

function operationsOfRow(row: KindRow, tag: string): Operation[] {
  const { ref, model } = row
  const { kind } = ref
  const verbs = row.verbs ?? VERBS
  const all = `/${groupPath(ref.group, ref.version)}/${ref.resource}`
  const collection = ref.namespaced ? `/${groupPath(ref.group, ref.version)}/namespaces/{namespace}/${ref.resource}` : all
  const gvk: GroupVersionKind = { group: ref.group, version: ref.version, kind }
  const namespaceParam = ref.namespaced ? params(['namespace']) : []
  const ofCollection = [...namespaceParam, parameter('pretty')]
  const ofObject = [nameParameter(kind), ...ofCollection]
  const onCollection = { path: collection, tag, kind: gvk, consumes: 'any' } as const
  const onObject = { path: `${collection}/{name}`, tag, kind: gvk, consumes: 'any' } as const
  const id = operationId(row, tag)
  const list = { model: LIST_MODELS[model] ?? listModelOf(row) }
  const own = { model }
  const body = { of: 'model', model } as const
  const deleted = ANSWERS_DELETED.has(ref.resource) ? own : { model: 'Status' }
  const operations: Operation[] = []
  if (verbs.includes('list')) {
    operations.push({ ...onCollection, method: 'get', id: id('list'), description: `list or watch objects of kind ${kind}`, action: 'list', parameters: [...params(LIST_OPTIONS), ...ofCollection], answer: list, codes: [200], produces: 'list' })
    if (ref.namespaced) operations.push({ ...onCollection, path: all, method: 'get', id: id('list', '', 'ForAllNamespaces').replace(`Namespaced${kind}`, kind), description: `list or watch objects of kind ${kind}`, action: 'list', parameters: params([...LIST_OPTIONS, 'pretty']), answer: list, codes: [200], produces: 'list' })
  }
  if (verbs.includes('create')) operations.push({ ...onCollection, method: 'post', id: id('create'), description: `create ${withArticle(kind)}`, action: 'post', parameters: [...params(WRITE_OPTIONS), ...ofCollection], body, answer: own, codes: [200, 201, 202], produces: 'object' })
  if (verbs.includes('deletecollection')) operations.push({ ...onCollection, method: 'delete', id: id('delete', 'Collection'), description: `delete collection of ${kind}`, action: 'deletecollection', parameters: [...params(DELETE_COLLECTION_OPTIONS), ...ofCollection], body: { of: 'deleteOptions' }, answer: { model: 'Status' }, codes: [200], produces: 'object' })
  if (verbs.includes('get')) operations.push({ ...onObject, method: 'get', id: id('read'), description: `read the specified ${kind}`, action: 'get', parameters: ofObject, answer: own, codes: [200], produces: 'object' })
  if (verbs.includes('update')) operations.push({ ...onObject, method: 'put', id: id('replace'), description: `replace the specified ${kind}`, action: 'put', parameters: [...params(WRITE_OPTIONS), ...ofObject], body, answer: own, codes: [200, 201], produces: 'object' })
  if (verbs.includes('patch')) operations.push({ ...onObject, method: 'patch', id: id('patch'), description: `partially update the specified ${kind}`, action: 'patch', parameters: [...params([...WRITE_OPTIONS, 'force']), ...ofObject], body: { of: 'patch', strategic: true }, answer: own, codes: [200, 201], produces: 'object' })
  if (verbs.includes('delete')) operations.push({ ...onObject, method: 'delete', id: id('delete'), description: `delete ${withArticle(kind)}`, action: 'delete', parameters: [...params(DELETE_OPTIONS), ...ofObject], body: { of: 'deleteOptions' }, answer: deleted, codes: [200, 202], produces: 'object' })
  if (verbs.includes('watch')) operations.push(...watchOperations(row, { tag, gvk, id }))
  const at: Place = { row, base: { ...onObject, parameters: ofObject }, id }
  return [...operations, ...row.subresources.toSorted().flatMap((name) => subresourceOperations(name, at))]
}

/** The old paths under `/watch/`, still served. */
function watchOperations({ ref }: KindRow, { tag, gvk, id }: { tag: string; gvk: GroupVersionKind; id: Place['id'] }): Operation[] {
  const root = `/${groupPath(ref.group, ref.version)}/watch`
  const collection = ref.namespaced ? `${root}/namespaces/{namespace}/${ref.resource}` : `${root}/${ref.resource}`
  const namespace = ref.namespaced ? params(['namespace']) : []
  const common = { tag, kind: gvk, method: 'get', answer: { model: 'WatchEvent' }, codes: [200], consumes: 'any', produces: 'list' } as const
  const many = { ...common, action: 'watchlist', description: `watch individual changes to a list of ${ref.kind}. deprecated: use the 'watch' parameter with a list operation instead.` }
  return [
    ...(ref.namespaced ? [{ ...many, path: `${root}/${ref.resource}`, id: id('watch', '', 'ListForAllNamespaces').replace(`Namespaced${ref.kind}`, ref.kind), parameters: params([...LIST_OPTIONS, 'pretty']) }] : []),
    { ...many, path: collection, id: id('watch', '', 'List'), parameters: [...params(LIST_OPTIONS), ...namespace, parameter('pretty')] },
    {
      ...common, path: `${collection}/{name}`, id: id('watch'), action: 'watch', parameters: [...params(LIST_OPTIONS), nameParameter(ref.kind), ...namespace, parameter('pretty')],
      description: `watch changes to an object of kind ${ref.kind}. deprecated: use the 'watch' parameter with a list operation instead, filtered to a single item with the 'fieldSelector' parameter.`,
    },
  ]
}

/** Plurals (Endpoints) have none; what ends in two of them is no plural. */
export function withArticle(kind: string): string {
  if (/[^s]s$/.test(kind)) return kind
  return `${/^[AEIOU]/i.test(kind) ? 'an' : 'a'} ${kind}`
}

interface Place {
  row: KindRow
  base: Pick<Operation, 'path' | 'tag' | 'kind' | 'consumes' | 'parameters'>
  id: (verb: string, infix?: string, suffix?: string) => string
}

/** What is posted to a subresource and answered by it. */
const POSTED: Readonly<Record<string, { model: string; kind: GroupVersionKind }>> = {
  binding: { model: 'Binding', kind: { group: '', version: 'v1', kind: 'Binding' } },
  eviction: { model: 'Eviction', kind: { group: 'policy', version: 'v1', kind: 'Eviction' } },
  token: { model: 'AuthenticationV1TokenRequest', kind: { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' } },
}
const CONNECT_PARAMETERS: Readonly<Record<string, ParameterName[]>> = {
  exec: ['command', 'container', 'stderr', 'stdin', 'stdout', 'tty'],
  attach: ['container', 'stderr', 'stdin', 'stdout', 'tty'],
  portforward: ['ports'],
}
const LOG: ParameterName[] = ['container', 'follow', 'insecureSkipTLSVerifyBackend', 'limitBytes', 'previous', 'sinceSeconds', 'stream', 'tailLines', 'timestamps']

function subresourceOperations(name: string, { row, base, id }: Place): Operation[] {
  const { kind } = row.ref
  const suffix = capital(name)
  const on = { ...base, path: `${base.path}/${name}` }
  const posted = POSTED[name]
  if (posted) {
    return [{
      ...on, parameters: [...params(WRITE_OPTIONS), nameParameter(posted.kind.kind), ...base.parameters.slice(1)], method: 'post', id: id('create', '', suffix), description: `create ${name} of a ${kind}`, action: 'post', kind: posted.kind,
      body: { of: 'model', model: posted.model }, answer: { model: posted.model }, codes: [200, 201, 202], produces: 'object',
    }]
  }
  const connected = CONNECT_PARAMETERS[name]
  if (connected) return connect(name, ['get', 'post'], params(connected), { row, base, id })
  if (name === 'proxy') {
    const methods = ['delete', 'get', 'head', 'options', 'patch', 'post', 'put'] as const
    const place = { row, base, id }
    const proxied = proxyPathParameter(kind.toLowerCase())
    return [
      ...connect(name, methods, [proxied], place),
      // The path parameter and the query of the same name are two things.
      ...connect(name, methods, [parameter('path'), proxied], place).map((o): Operation => ({ ...o, path: `${o.path}/{path}`, id: `${o.id}WithPath` })),
    ]
  }
  if (name === 'log') {
    return [{ ...on, parameters: [...params(LOG), ...base.parameters], method: 'get', id: id('read', '', suffix), description: `read log of the specified ${kind}`, action: 'get', answer: 'string', codes: [200], produces: 'text' }]
  }
  const scale = name === 'scale'
  const model = scale ? 'Scale' : row.model
  const gvk = scale ? { kind: { group: 'autoscaling', version: 'v1', kind: 'Scale' } } : {}
  const common = { ...on, ...gvk, answer: { model }, produces: 'object' } as const
  const own = scale ? [nameParameter('Scale'), ...base.parameters.slice(1)] : base.parameters
  const put: Operation = { ...common, method: 'put', id: id('replace', '', suffix), description: `replace ${name} of the specified ${kind}`, action: 'put', parameters: [...params(WRITE_OPTIONS), ...own], body: { of: 'model', model }, codes: [200, 201] }
  if (name === 'finalize') return [put]
  return [
    { ...common, method: 'get', id: id('read', '', suffix), description: `read ${name} of the specified ${kind}`, action: 'get', parameters: own, codes: [200] },
    put,
    { ...common, method: 'patch', id: id('patch', '', suffix), description: `partially update ${name} of the specified ${kind}`, action: 'patch', parameters: [...params([...WRITE_OPTIONS, 'force']), ...own], body: { of: 'patch', strategic: true }, codes: [200, 201] },
  ]
}

function connect(name: string, methods: readonly Operation['method'][], parameters: readonly Parameter[], { row, base, id }: Place): Operation[] {
  const options = `${row.ref.kind}${name === 'portforward' ? 'PortForward' : capital(name)}Options`
  const place = [nameParameter(options), ...base.parameters.slice(1).filter((p) => p.name !== 'pretty')]
  return methods.map((method): Operation => ({
    ...base, path: `${base.path}/${name}`, method, id: id('connect', capital(method), capital(name)),
    description: `connect ${method.toUpperCase()} requests to ${name} of ${row.ref.kind}`, action: 'connect', kind: { group: '', version: 'v1', kind: options },
    parameters: [...parameters, ...place], answer: 'string', codes: [200], produces: 'any',
  }))
}
