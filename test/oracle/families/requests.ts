/** What HTTP has for a request beside its path: encodings, types of bodies, headers, users, parameters; and what an answer says of itself in its headers. */
import type { Case, Json, Step } from '../exchange.ts'
import { creation, patchType, type Family } from './begin.ts'

/** Upstream compresses from 128 KiB on: one that is larger, one that is not. */
const LARGE = 200_000
const SMALL = 100_000
/** Over upstream's 3 MiB for a body; and within it, but more than a ConfigMap may have. */
const TOO_LARGE = 3_200_000
const TOO_MUCH = 1_200_000

const MAPS = '/api/v1/namespaces/default/configmaps'
const PODS = '/api/v1/namespaces/default/pods'
const ENCODINGS = ['', 'gzip', 'identity', 'deflate', 'gzip;q=0', '*', 'br, gzip', 'gzip, deflate']
const BODY_TYPES = ['text/plain', '', 'application/json; charset=utf-8', 'application/yaml', 'application/vnd.kubernetes.protobuf', 'application/cbor', 'a/b/c', 'application/x-www-form-urlencoded', 'application/merge-patch+json']
const PATCH_TYPES = ['application/json', '', 'application/merge-patch+json; charset=utf-8', 'application/merge-patch+yaml', 'application/apply-patch+cbor', 'text/plain']
const METHODS = ['OPTIONS', 'TRACE', 'PROPFIND', 'POST', 'PUT', 'PATCH', 'DELETE']
const FIELD_SELECTORS = ['spec.nope=x', 'status.phase=Running,spec.nodeName!=x', 'a=b=c', 'metadata.name in (a)', 'metadata.name>1', '\\', 'metadata.name=\\,x', 'metadata.name==x', 'metadata.name', '=x', ',', 'metadata.name=a,', 'spec.hostNetwork=true', 'status.podIP=', 'status.nominatedNodeName=n', 'spec.restartPolicy=Always', 'spec.schedulerName=x', 'spec.serviceAccountName=x', 'metadata.namespace=default']
const LABEL_SELECTORS = ['a in b', 'a = b c', '/a', `a=${'x'.repeat(70)}`, 'a..b/c', ',', 'a,,b', 'a notin ()', 'a in (b, c', '!', '!a=b', 'a>x', 'a<1', 'a in (b,,c)', 'a notin (b)', 'a in (b c)', 'a==b', 'a!=b', 'a,!b', 'a.b/c=d', 'a b', 'in', 'notin in (in)', '(a)', 'a=(b)', 'é=x', 'a=é']
const PARAMETERS = [
  'limit=99999999999999999999', 'limit=1.5', 'limit=0x1', 'timeoutSeconds=-1', 'timeoutSeconds=99999999999999999999', 'timeout=1s', 'timeout=x', 'timeout=-1s', 'timeout=100h', 'timeout=5', 'timeout=1h5x', 'timeout=1h1m1.5s', 'pretty', 'pretty=1', 'pretty=0', 'pretty=True', 'resourceVersion=99999999', 'resourceVersion=99999999&resourceVersionMatch=Exact',
  'resourceVersion=99999999&resourceVersionMatch=NotOlderThan', 'resourceVersion=99999999&limit=1', 'continue=e30%3D', 'labelSelector=a%3Db&labelSelector=c', 'fieldSelector=metadata.name%3Da&fieldSelector=nope%3D1', '%zz', 'limit=%31', 'a=b&&c', 'limit=1;watch=1',
]
const WRITE_PARAMETERS = [`fieldManager=${'x'.repeat(129)}`, 'fieldManager=%C3%A9', 'fieldManager=a%09b', 'fieldValidation=x', 'fieldValidation=strict', 'dryRun=x', 'dryRun=all', 'dryRun=All&dryRun=All', 'dryRun=All&dryRun=x', 'dryRun=All&pretty=true', 'dryRun=All&timeout=10s']
const DELETE_PARAMETERS = ['gracePeriodSeconds=x', 'gracePeriodSeconds=-1', 'gracePeriodSeconds=1.5', 'propagationPolicy=x', 'propagationPolicy=orphan', 'orphanDependents=x', 'orphanDependents=true&propagationPolicy=Orphan', 'uid=x', 'resourceVersion=1', 'dryRun=x', 'ignoreStoreReadErrorWithClusterBreakingPotential=maybe']
const LOG_PARAMETERS = ['', 'tailLines=x', 'tailLines=-1', 'container=x', 'sinceSeconds=0', 'sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z', 'sinceTime=x', 'limitBytes=0', 'follow=x', 'previous=true', 'timestamps=1', 'insecureSkipTLSVerifyBackend=true']
const USERS: readonly Record<string, string>[] = [
  { 'impersonate-user': 'jane' }, { 'impersonate-group': 'g' }, { 'impersonate-uid': 'u' }, { 'impersonate-extra-a': 'b' }, { 'impersonate-user': 'system:serviceaccount:default:default' }, { 'impersonate-user': 'system:node:n1', 'impersonate-group': 'system:nodes' }, { 'impersonate-user': 'system:anonymous' },
  { 'impersonate-user': 'jane', 'impersonate-group': 'system:masters' }, { 'impersonate-user': 'jane', 'impersonate-uid': 'u', 'impersonate-extra-a': 'b' }, { authorization: 'Bearer nope' }, { authorization: 'Bearer' }, { authorization: 'Basic YTpi' },
]
const ASKED_BY_OTHERS: readonly (readonly [method: string, path: string])[] = [
  ['GET', `${MAPS}/x`], ['GET', `${MAPS}?labelSelector=nobody`], ['GET', `${MAPS}?watch=1&timeoutSeconds=1&labelSelector=nobody`], ['GET', '/api/v1/pods?labelSelector=nobody'], ['POST', MAPS], ['PUT', `${MAPS}/x`], ['PATCH', `${MAPS}/x`], ['DELETE', `${MAPS}/x`], ['DELETE', `${MAPS}?labelSelector=nobody`], ['PUT', MAPS], ['PROPFIND', MAPS], ['GET', '/api/v1/nodes/n'], ['GET', '/apis/apps/v1/namespaces/default/deployments/x/scale'],
  ['GET', `${PODS}/x/log`], ['POST', `${PODS}/x/exec`], ['POST', `${PODS}/x/eviction`], ['GET', '/api/v1/namespaces/default/nope'], ['GET', '/apis/nope.example.com/v1/x'], ['GET', '/metrics'], ['GET', '/apis'], ['GET', '/healthz'], ['GET', '/version'], ['GET', '/openapi/v2'], ['POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews'],
]
const DOCUMENTS = ['/version', '/healthz', '/livez', '/readyz', '/healthz/ping', '/livez/ping', '/livez?exclude=nope', '/api', '/apis', '/api/v1', '/apis/apps', '/apis/apps/v1', '/openapi/v3/apis/apps/v1', '/openapi/v2', '/openid/v1/jwks', '/.well-known/openid-configuration']

export const requests: Family = function* ({ seeds, next }) {
  const of = (kind: string, steps: readonly Step[], object = ''): Case => ({ family: 'requests', kind, object, steps: steps.map((step) => ({ ...step, withHeaders: true })) })
  const alone = (form: string, method: string, path: string, more: Partial<Step> = {}): Case => of('', [{ form, method, path, ...more }])
  const map = (bytes: number): Json => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: `o${next()}` }, data: { a: 'x'.repeat(bytes) } })
  const nameOf = (object: Json): string => (object['metadata'] as { name: string }).name
  const maps = seeds.find(({ kind }) => kind === 'v1 configmaps')
  const pods = seeds.find(({ kind }) => kind === 'v1 pods')
  if (!maps || !pods) return

  for (const encoding of ENCODINGS) {
    for (const bytes of [1, SMALL, LARGE]) {
      const object = map(bytes)
      const path = `${MAPS}/${nameOf(object)}`
      const headers = { 'accept-encoding': encoding }
      const list = `${MAPS}?fieldSelector=metadata.name%3D${nameOf(object)}`
      yield of(maps.kind, [creation(maps, object), ...[path, list, `${list}&watch=1&timeoutSeconds=1&resourceVersion=0`].map((asked): Step => ({ form: `GET, Accept-Encoding: ${encoding}`, method: 'GET', path: asked, headers }))], path)
    }
  }
  for (const type of BODY_TYPES) {
    for (const [method, path] of [['POST', `${MAPS}?dryRun=All`], ['PUT', `${MAPS}/absent`], ['DELETE', `${MAPS}/absent`], ['POST', `${PODS}/absent/eviction`], ['POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews']] as const) {
      yield alone(`${method}, Content-Type: ${type}`, method, path, { type, body: JSON.stringify({ metadata: { name: 'absent' } }) })
    }
  }
  for (const type of PATCH_TYPES) {
    const object = map(1)
    const path = `${MAPS}/${nameOf(object)}`
    yield of(maps.kind, [creation(maps, object), { form: `PATCH, Content-Type: ${type}`, method: 'PATCH', path, type, body: '{}' }], path)
  }
  for (const bytes of [TOO_MUCH, TOO_LARGE]) {
    yield alone('POST of much', 'POST', MAPS, { body: map(bytes) })
    yield alone('PUT of much', 'PUT', `${MAPS}/absent`, { body: map(bytes) })
    yield alone('PATCH of much', 'PATCH', `${MAPS}/absent`, { type: patchType('merge patch'), body: map(bytes) })
    yield alone('DELETE of much', 'DELETE', `${MAPS}/absent`, { body: map(bytes) })
  }
  for (const method of METHODS) for (const path of [MAPS, `${MAPS}/absent`, `${PODS}/absent/log`, `${PODS}/absent/nope`, '/api/v1/configmaps', '/api/v1/namespaces/default/nodes', '/api/v1/componentstatuses', '/nope']) {
    // What would go is nobody's.
    const asked = method === 'DELETE' && !path.includes('/absent') ? `${path}?labelSelector=nobody` : path
    yield alone(`${method}, whatever is there`, method, asked, method.startsWith('P') && method !== 'PROPFIND' ? { body: '{}', ...(method === 'PATCH' && { type: patchType('merge patch') }) } : {})
  }
  for (const selector of FIELD_SELECTORS) yield alone('GET by fields', 'GET', `${PODS}?labelSelector=nobody&fieldSelector=${encodeURIComponent(selector)}`)
  for (const selector of LABEL_SELECTORS) yield alone('GET by labels', 'GET', `${PODS}?fieldSelector=metadata.name%3Dnobody&labelSelector=${encodeURIComponent(selector)}`)
  for (const parameters of PARAMETERS) yield alone('GET of a list', 'GET', `${PODS}?fieldSelector=metadata.name%3Dnobody&${parameters}`)
  for (const parameters of WRITE_PARAMETERS) {
    const object = map(1)
    yield of(maps.kind, [{ form: 'POST with parameters', method: 'POST', path: `${MAPS}?${parameters}`, body: object }], `${MAPS}/${nameOf(object)}`)
  }
  for (const parameters of DELETE_PARAMETERS) {
    const object = map(1)
    const path = `${MAPS}/${nameOf(object)}`
    yield of(maps.kind, [creation(maps, object), { form: 'DELETE with parameters', method: 'DELETE', path: `${path}?${parameters}` }], path)
  }
  for (const parameters of LOG_PARAMETERS) {
    const object = pods.object(next())
    const path = `${PODS}/${object.metadata.name}`
    yield of(pods.kind, [creation(pods, object), { form: 'GET of a log', method: 'GET', path: `${path}/log?${parameters}` }], path)
  }
  for (const what of ['exec', 'exec?command=ls', 'exec?command=ls&stdout=1&container=x', 'attach', 'portforward', 'portforward?ports=x']) {
    const object = pods.object(next())
    const path = `${PODS}/${object.metadata.name}`
    yield of(pods.kind, [creation(pods, object), { form: 'GET of a connection', method: 'GET', path: `${path}/${what}` }, { form: 'POST of a connection', method: 'POST', path: `${path}/${what}` }], path)
  }
  for (const headers of USERS) for (const [method, path] of ASKED_BY_OTHERS) yield alone(`${method} by somebody else${path.split('/').length === 2 || path.startsWith('/openapi') ? ', code and headers alone' : ''}`, method, path, { headers, ...(method.startsWith('P') && method !== 'PROPFIND' && { body: '{}', ...(method === 'PATCH' && { type: patchType('merge patch') }) }) })
  for (const path of DOCUMENTS) yield alone('GET of a document, code and headers alone', 'GET', path, { headers: { accept: '*/*' } })
}
