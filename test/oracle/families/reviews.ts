/** What is asked of who may do what, of tokens, and of evictions: what is answered and not kept. */
import type { Case, Json, Step } from '../exchange.ts'
import { patchType, world, type Family } from './begin.ts'

const AUTHORIZATION = '/apis/authorization.k8s.io/v1'
const AUTHENTICATION = '/apis/authentication.k8s.io/v1'
const NAMESPACE = 'default'

const ACCESS: readonly Json[] = [
  {}, { spec: {} }, { spec: { user: 'a' } }, { spec: { user: 'a', resourceAttributes: {} } }, { spec: { user: 'a', nonResourceAttributes: {} } }, { spec: { user: 'a', nonResourceAttributes: { path: '/healthz', verb: 'get' } } }, { spec: { user: 'system:admin', groups: ['system:masters'], resourceAttributes: { verb: 'get', resource: 'pods' } } },
  { spec: { user: 'a', groups: ['system:authenticated'], nonResourceAttributes: { path: '/openapi/v2', verb: 'get' } } }, { spec: { user: 'a', resourceAttributes: { verb: 'get', resource: 'pods' }, nonResourceAttributes: { path: '/x', verb: 'get' } } }, { spec: { groups: ['g'], resourceAttributes: { namespace: 'default', verb: '*', group: '*', resource: '*' } } },
  { metadata: { name: 'x' }, spec: { user: 'a', resourceAttributes: { verb: 'get' } } }, { metadata: { namespace: 'x' }, spec: { user: 'a', resourceAttributes: { verb: 'get' } } }, { metadata: { labels: { a: 'b' } }, spec: { user: 'a', resourceAttributes: { verb: 'get' } } }, { spec: { user: 'a', resourceAttributes: { namespace: 'other', verb: 'get' } } }, { spec: { user: 'a', resourceAttributes: { namespace: 'default', verb: 'get', resource: 'pods' } } },
  { spec: { user: 'a', extra: { X: ['y'] }, uid: 'u', resourceAttributes: { verb: 'get', resource: 'pods', subresource: 'log', name: 'n', version: 'v1' } } }, { spec: { user: 'system:node:n', groups: ['system:nodes'], resourceAttributes: { verb: 'get', resource: 'secrets', namespace: 'default', name: 's' } } }, { spec: { user: 'system:node:n', groups: ['system:nodes'], resourceAttributes: { verb: 'get', resource: 'nodes', name: 'n' } } },
  { spec: { user: 'system:node:n', groups: ['system:nodes'], resourceAttributes: { verb: 'list', resource: 'pods' } } }, { spec: { user: 'system:kube-scheduler', resourceAttributes: { verb: 'update', resource: 'leases', group: 'coordination.k8s.io', namespace: 'kube-system', name: 'kube-scheduler' } } }, { spec: { user: 'system:kube-scheduler', groups: ['system:authenticated'], resourceAttributes: { verb: 'list', resource: 'nodes' } } },
  { spec: { user: 'a', resourceAttributes: { verb: 'list', resource: 'pods', fieldSelector: { rawSelector: 'a=b' } } } }, { spec: { user: 'a', resourceAttributes: { verb: 'list', resource: 'pods', fieldSelector: { requirements: [{ key: 'a', operator: 'In', values: ['b'] }] }, labelSelector: { rawSelector: 'a in (b,c)' } } } }, { spec: { user: 'a', resourceAttributes: { verb: 'list', resource: 'pods', fieldSelector: { rawSelector: 'a=b', requirements: [{ key: 'a', operator: 'In', values: ['b'] }] } } } },
  { spec: { user: 'a', resourceAttributes: { verb: 'list', resource: 'pods', labelSelector: { requirements: [{ key: '', operator: 'Nope', values: [] }] } } } }, { spec: { user: 'a', resourceAttributes: { verb: 'list', resource: 'pods', labelSelector: { rawSelector: 'a in (' } } } }, { spec: { user: 'a', resourceAttributes: { verb: 'list', resource: 'pods', labelSelector: {} } } },
  { spec: { user: 'a', nope: 1, resourceAttributes: { verb: 'get' } } }, { spec: null }, { spec: 'x' }, { status: { allowed: true }, spec: { user: 'a', resourceAttributes: { verb: 'get' } } }, { spec: { namespace: 'default' } }, { spec: { namespace: '' } },
]
const REVIEWS = ['subjectaccessreviews', 'selfsubjectaccessreviews', `namespaces/${NAMESPACE}/localsubjectaccessreviews`]
const KINDS: Readonly<Record<string, string>> = { subjectaccessreviews: 'SubjectAccessReview', selfsubjectaccessreviews: 'SelfSubjectAccessReview', localsubjectaccessreviews: 'LocalSubjectAccessReview' }
const QUERIES = ['', '?dryRun=All', '?fieldValidation=Strict', '?pretty=true', '?fieldManager=x']
const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io'

const TOKENS: readonly Json[] = [
  {}, { spec: {} }, { spec: { audiences: [] } }, { spec: { audiences: ['a'] } }, { spec: { audiences: ['a', 'a', ''] } }, { spec: { expirationSeconds: 600 } }, { spec: { expirationSeconds: 599 } }, { spec: { expirationSeconds: 0 } }, { spec: { expirationSeconds: -1 } }, { spec: { expirationSeconds: 4_294_967_296 } }, { spec: { expirationSeconds: 4_294_967_297 } }, { spec: { expirationSeconds: 31_536_000 } }, { spec: { expirationSeconds: 'x' } },
  { spec: { boundObjectRef: {} } }, { spec: { boundObjectRef: { kind: 'Pod' } } }, { spec: { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'absent' } } }, { spec: { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'p0' } } }, { spec: { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'p0', uid: 'x' } } }, { spec: { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'p1' } } }, { spec: { boundObjectRef: { kind: 'Secret', apiVersion: 'v1', name: 'absent' } } },
  { spec: { boundObjectRef: { kind: 'Node', apiVersion: 'v1', name: 'absent' } } }, { spec: { boundObjectRef: { kind: 'ConfigMap', apiVersion: 'v1', name: 'x' } } }, { spec: { boundObjectRef: { kind: 'Pod', apiVersion: 'apps/v1', name: 'p0' } } }, { spec: { boundObjectRef: { kind: 'Pod', name: 'p0' } } }, { metadata: { name: 'other' } }, { metadata: { namespace: 'other' } }, { metadata: { labels: { a: 'b' } }, spec: { audiences: ['x'] } }, { kind: 'Pod', apiVersion: 'v1' }, { kind: 'TokenRequest', apiVersion: 'authentication.k8s.io/v1' }, { status: { token: 'x' } },
  { spec: { nope: 1 } }, { spec: { audiences: 'x' } },
]
const TOKEN_REVIEWS: readonly Json[] = [{}, { spec: {} }, { spec: { token: '' } }, { spec: { token: 'x' } }, { spec: { token: 'a.b.c' } }, { spec: { token: 'x', audiences: ['a'] } }, { metadata: { name: 'x' }, spec: { token: 'x' } }, { metadata: { namespace: 'x' }, spec: { token: 'x' } }, { spec: { token: 5 } }, { status: { authenticated: true }, spec: { token: 'y' } }]

const EVICTIONS: readonly Json[] = [
  {}, { metadata: { name: 'p0' } }, { metadata: { name: 'other' } }, { metadata: { namespace: 'other' } }, { metadata: { name: 'p0' }, deleteOptions: { gracePeriodSeconds: 0 } }, { metadata: { name: 'p0' }, deleteOptions: { gracePeriodSeconds: -1 } }, { metadata: { name: 'p0' }, deleteOptions: { dryRun: ['All'] } }, { metadata: { name: 'p0' }, deleteOptions: { dryRun: ['Nope'] } }, { metadata: { name: 'p0' }, deleteOptions: { preconditions: { uid: 'x' } } },
  { metadata: { name: 'p0' }, deleteOptions: { preconditions: { resourceVersion: '1' } } }, { metadata: { name: 'p0' }, deleteOptions: { propagationPolicy: 'Orphan' } }, { metadata: { name: 'p0' }, deleteOptions: { propagationPolicy: 'Nope' } }, { kind: 'Eviction', apiVersion: 'policy/v1beta1', metadata: { name: 'p0' } }, { kind: 'Eviction', apiVersion: 'policy/v1', metadata: { name: 'p0' } }, { kind: 'Pod', apiVersion: 'v1', metadata: { name: 'p0' } }, { nope: 1, metadata: { name: 'p0' } },
]
/** The budgets that stand over a pod, and what their status says. */
const BUDGETS: Readonly<Record<string, readonly Json[]>> = {
  'no budget': [],
  'a budget that nobody has looked at': [{ spec: { minAvailable: 1, selector: { matchLabels: { app: 'a' } } } }],
  'a budget that allows none': [{ spec: { minAvailable: 1, selector: { matchLabels: { app: 'a' } } }, status: { observedGeneration: 1, disruptionsAllowed: 0, currentHealthy: 1, desiredHealthy: 1, expectedPods: 1 } }],
  'a budget that allows one': [{ spec: { minAvailable: 1, selector: { matchLabels: { app: 'a' } } }, status: { observedGeneration: 1, disruptionsAllowed: 1, currentHealthy: 2, desiredHealthy: 1, expectedPods: 2 } }],
  'a budget that always lets unhealthy ones go': [{ spec: { minAvailable: 1, unhealthyPodEvictionPolicy: 'AlwaysAllow', selector: { matchLabels: { app: 'a' } } }, status: { observedGeneration: 1, disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 1, expectedPods: 1 } }],
  'a budget of before': [{ spec: { minAvailable: 1, selector: { matchLabels: { app: 'a' } } }, status: { observedGeneration: 0, disruptionsAllowed: 1, currentHealthy: 2, desiredHealthy: 1, expectedPods: 2 } }],
  'two budgets': [{ spec: { minAvailable: 1, selector: { matchLabels: { app: 'a' } } } }, { spec: { maxUnavailable: 1, selector: {} } }],
  'a budget of everything': [{ spec: { maxUnavailable: 0, selector: {} } }],
}
const PHASES: readonly (Json | undefined)[] = [undefined, { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] }, { phase: 'Running', conditions: [{ type: 'Ready', status: 'False' }] }, { phase: 'Succeeded' }]

export const reviews: Family = function* ({ next }) {
  const of = (steps: readonly Step[], kind = '', object = ''): Case => ({ family: 'reviews', kind, object, steps })
  for (const review of REVIEWS) {
    const path = `${AUTHORIZATION}/${review}`
    const kind = KINDS[review.split('/').at(-1) ?? ''] ?? ''
    for (const body of ACCESS) yield of([{ form: 'POST of an access review', method: 'POST', path, body }], kind)
    for (const query of QUERIES) yield of([{ form: 'POST of an access review, query', method: 'POST', path: path + query, body: { kind, apiVersion: 'authorization.k8s.io/v1', nope: 1, spec: { resourceAttributes: { verb: 'get', resource: 'pods', namespace: NAMESPACE }, user: 'a' } } }], kind)
    yield of([{ form: 'POST of an access review, table', method: 'POST', path, body: ACCESS[6], headers: { accept: TABLE } }], kind)
    for (const body of ['', '{', 'null', '[]', { kind: 'Pod', apiVersion: 'v1' }, { kind, apiVersion: 'authorization.k8s.io/v1beta1' }]) yield of([{ form: 'POST of no access review', method: 'POST', path, body }], kind)
  }
  for (const body of TOKEN_REVIEWS) yield of([{ form: 'POST of a token review', method: 'POST', path: `${AUTHENTICATION}/tokenreviews`, body }])
  for (const body of [{}, { metadata: { name: 'x' } }, { status: { userInfo: { username: 'x' } } }, { nope: 1 }] satisfies Json[]) for (const query of QUERIES) yield of([{ form: 'POST of a self review', method: 'POST', path: `${AUTHENTICATION}/selfsubjectreviews${query}`, body }])
  for (const body of ACCESS.slice(-4)) yield of([{ form: 'POST of a rules review, code alone', method: 'POST', path: `${AUTHORIZATION}/selfsubjectrulesreviews`, body }])
  yield* tokens(next)
  yield* evictions(next)
}

function* tokens(next: () => number): Iterable<Case> {
  for (const [query, bodies] of [['', TOKENS], ['?dryRun=All', TOKENS.slice(0, 4)], ['?fieldValidation=Strict', TOKENS.slice(-3)]] as const) {
    for (const body of bodies) {
      const { steps, object, collection } = world(next(), 'serviceaccounts', [{ metadata: { name: 's' } }])
      const pods = collection.replace(/serviceaccounts$/, 'pods')
      const pod = (name: string, serviceAccountName: string): Step => ({ form: 'POST', method: 'POST', path: pods, body: { metadata: { name }, spec: { serviceAccountName, containers: [{ name: 'c', image: 'i' }] } }, isSetUp: true })
      yield { family: 'tokens', kind: 'v1 serviceaccounts', object, steps: [...steps, pod('p0', 's'), pod('p1', 'other'), { form: `POST of /token`, method: 'POST', path: `${collection}/s/token${query}`, body }] }
    }
  }
}

function* evictions(next: () => number): Iterable<Case> {
  const of = (budget: string, phase: Json | undefined, body: unknown, query = ''): Case => {
    const { steps, object, collection } = world(next(), 'pods', [{ metadata: { name: 'p0', labels: { app: 'a' } }, spec: { containers: [{ name: 'c', image: 'i' }] } }])
    const budgets = collection.replace('/api/v1/', '/apis/policy/v1/').replace(/pods$/, 'poddisruptionbudgets')
    const made = (BUDGETS[budget] ?? []).flatMap(({ spec, status }, i): Step[] => [
      { form: 'POST', method: 'POST', path: budgets, body: { metadata: { name: `b${i}` }, spec }, isSetUp: true },
      ...(status === undefined ? [] : [{ form: 'merge patch of /status', method: 'PATCH', path: `${budgets}/b${i}/status`, type: patchType('merge patch'), body: { status }, isSetUp: true } satisfies Step]),
    ])
    const said: Step[] = phase ? [{ form: 'merge patch of /status', method: 'PATCH', path: `${collection}/p0/status`, type: patchType('merge patch'), body: { status: phase }, isSetUp: true }] : []
    const eviction: Step = { form: `POST of /eviction, ${budget}`, method: 'POST', path: `${collection}/p0/eviction${query}`, body }
    return { family: 'evictions', kind: 'v1 pods', object, steps: [...steps, ...made, ...said, eviction, { form: 'GET after /eviction', method: 'GET', path: `${collection}/p0` }, { form: 'GET of the budgets after /eviction', method: 'GET', path: budgets }] }
  }
  for (const body of EVICTIONS) yield of('no budget', undefined, body)
  for (const query of ['?dryRun=All', '?dryRun=Nope', '?fieldValidation=Strict', '?pretty=true']) yield of('a budget that allows one', PHASES[1], { ...EVICTIONS[1], nope: 1 }, query)
  for (const budget of Object.keys(BUDGETS)) for (const phase of PHASES) yield of(budget, phase, EVICTIONS[1])
  for (const deleteOptions of [{ dryRun: ['All'] }, { preconditions: { resourceVersion: '1' } }, { gracePeriodSeconds: 0 }] satisfies Json[]) for (const budget of ['a budget that allows none', 'a budget that allows one']) yield of(budget, PHASES[1], { metadata: { name: 'p0' }, deleteOptions })
}
