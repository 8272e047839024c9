import { deepStrictEqual } from 'node:assert'
import { test } from 'node:test'
import { harness } from '../app.test-support.ts'
import type { Attributes, Verdict } from '../auth.ts'

const GROUP = '/apis/authorization.k8s.io/v1'

function reviewer(verdict: Verdict = { allowed: false, reason: '' }) {
  const asked: Omit<Attributes, 'user'>[] = []
  const h = harness({ authorizer: {
    authorize({ user, ...rest }) {
      if (rest.verb === 'create' && rest.resource?.group === 'authorization.k8s.io') return Promise.resolve({ allowed: true, reason: '' })
      asked.push(rest)
      return Promise.resolve(user.name === 'admin' || user.name === 'jane' ? verdict : { allowed: false, reason: '' })
    },
    rulesFor: () => Promise.resolve({ resourceRules: [], nonResourceRules: [], incomplete: true, evaluationError: 'not all' }),
  } })
  const review = async (path: string, spec: object, metadata: object = {}) => {
    const { status, json } = await h.call('POST', `${GROUP}/${path}`, { metadata, spec })
    return status === 201 ? json['status'] : `${status} ${String(json['message'])}`
  }
  return { review, asked }
}

const pods = { verb: 'list', resource: 'pods', namespace: 'ns' }

test('a review tells what the authorizers said: allowed, denied, why, and what went wrong', async () => {
  deepStrictEqual(await reviewer({ allowed: true, reason: 'a role' }).review('subjectaccessreviews', { user: 'jane', resourceAttributes: pods }), { allowed: true, reason: 'a role' })
  deepStrictEqual(await reviewer({ allowed: false, reason: 'never', denied: true, error: 'timeout' }).review('selfsubjectaccessreviews', { resourceAttributes: pods }), { allowed: false, denied: true, reason: 'never', evaluationError: 'timeout' })
  deepStrictEqual(await reviewer().review('selfsubjectrulesreviews', { namespace: 'ns' }), { resourceRules: [], nonResourceRules: [], incomplete: true, evaluationError: 'not all' })
})

test('selectors of a review reach the authorizers, as text or as requirements', async () => {
  const { review, asked } = reviewer()
  const resource = { group: '', version: '', resource: 'pods', subresource: '', namespace: 'ns', name: '' }
  await review('subjectaccessreviews', { user: 'jane', resourceAttributes: { ...pods, fieldSelector: { requirements: [{ key: 'spec.nodeName', operator: 'In', values: ['n'] }] }, labelSelector: { rawSelector: 'a in (b)' } } })
  await review('subjectaccessreviews', { user: 'jane', nonResourceAttributes: { path: '/metrics', verb: 'get' } })
  deepStrictEqual(asked, [{ verb: 'list', resource, fieldSelector: 'spec.nodeName=n', labelSelector: 'a in (b)' }, { verb: 'get', path: '/metrics' }])
})

test('reviews that ask nothing, or too much, are refused in upstream\'s words', async () => {
  const { review } = reviewer()
  const sar = (spec: object, metadata?: object) => review('subjectaccessreviews', spec, metadata)
  const prefix = '422 .authorization.k8s.io "" is invalid: '
  const selector = 'spec.resourceAttributes.fieldSelector'
  deepStrictEqual([
    await sar({ user: 'x' }), await sar({ resourceAttributes: pods }), await sar({ user: 'x', resourceAttributes: pods }, { labels: { a: 'b' } }),
    await sar({ user: 'x', resourceAttributes: { ...pods, fieldSelector: {} } }), await sar({ user: 'x', resourceAttributes: { ...pods, fieldSelector: { rawSelector: 'a=b', requirements: [{ key: '', operator: 'In' }] } } }),
    await sar({ user: 'x', resourceAttributes: { ...pods, labelSelector: { requirements: [{ key: 'a', operator: 'Exists', values: ['x'] }, { key: 'a', operator: 'Newer' }] } } }),
    await review('selfsubjectrulesreviews', {}), await review('selfsubjectaccessreviews', {}),
  ], [
    `${prefix}spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified`, `${prefix}spec.user: Invalid value: "": at least one of user or group must be specified`,
    `${prefix}metadata: Invalid value: {"labels":{"a":"b"}}: must be empty`, `${prefix}${selector}.requirements: Required value: when ${selector} is specified, requirements or rawSelector is required`,
    `${prefix}[${selector}.rawSelector: Invalid value: "a=b": may not specified at the same time as requirements, ${selector}.requirements[0].key: Required value: must be specified, ${selector}.requirements[0].values: Required value: must be specified when \`operator\` is 'In' or 'NotIn']`,
    `${prefix}spec.resourceAttributes.labelSelector.requirements[0].values: Forbidden: may not be specified when \`operator\` is 'Exists' or 'DoesNotExist'`,
    '400 no namespace on request', '422 .authorization.k8s.io "" is invalid: spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified',
  ])
  const at = async (path: string, body: object) => { const r = await harness().call('POST', `${GROUP}/namespaces/default/localsubjectaccessreviews${path}`, body); return `${r.status} ${String(r.json['message'] ?? '')}` }
  deepStrictEqual([
    await at('', { spec: { user: 'x', resourceAttributes: { ...pods, namespace: 'other' } } }), await at('', { metadata: { namespace: 'other' }, spec: { user: 'x', resourceAttributes: pods } }), await at('', { spec: { user: 'x', nonResourceAttributes: { path: '/', verb: 'get' } } }),
    await at('', { metadata: { namespace: 'default' }, spec: { user: 'x', resourceAttributes: { ...pods, namespace: 'default' } } }),
  ], [
    '422 .authorization.k8s.io "" is invalid: spec.resourceAttributes.namespace: Invalid value: "other": must match metadata.namespace',
    '400 the namespace of the provided object does not match the namespace sent on the request',
    '422 .authorization.k8s.io "" is invalid: spec.nonResourceAttributes: Invalid value: {"path":"/","verb":"get"}: disallowed on this kind of request', '201 ',
  ])
})

test('what of a selector nobody can use is decided without, and told; a review says who sent it', async () => {
  const ask = async (of: object) => (await harness().call('POST', `${GROUP}/subjectaccessreviews`, { spec: { user: 'x', resourceAttributes: { ...pods, ...of } } })).json
  const told = async (of: object) => (await ask(of))['status']?.['evaluationError']
  const newer = { key: 'a', operator: 'Newer' }
  deepStrictEqual([
    await told({ fieldSelector: { requirements: [{ key: 'a', operator: 'In', values: ['b'] }] } }), await told({ fieldSelector: { requirements: [newer] } }),
    await told({ labelSelector: { requirements: [{ key: 'a', operator: 'Exists' }, newer] }, fieldSelector: { requirements: [newer] } }), await told({ fieldSelector: { rawSelector: 'a=b,c' } }),
  ], [
    undefined, 'spec.resourceAttributes.fieldSelector ignored due to parse error',
    'spec.resourceAttributes.fieldSelector ignored due to parse error; spec.resourceAttributes.labelSelector partially ignored due to parse error', 'spec.resourceAttributes.fieldSelector ignored due to parse error',
  ])
  const managed = (await ask({}))['metadata']?.['managedFields'] as unknown as { operation: string; fieldsV1: object }[]
  deepStrictEqual(managed.map((m) => [m.operation, m.fieldsV1]), [['Update', { 'f:spec': { 'f:resourceAttributes': { '.': {}, ...Object.fromEntries(Object.keys(pods).map((k) => [`f:${k}`, {}])) }, 'f:user': {} } }]])
})

test('a review has no table: who accepts nothing else gets 406, YAML is answered as such', async () => {
  const { call } = harness()
  const ask = async (accept: string) => { const { status, headers } = await call('POST', `${GROUP}/selfsubjectaccessreviews`, { spec: { resourceAttributes: pods } }, { accept }); return [status, headers['content-type']] }
  const table = 'application/json;as=Table;v=v1;g=meta.k8s.io'
  deepStrictEqual([await ask(table), await ask(`${table}, application/json`), await ask('application/yaml')], [[406, 'application/json'], [201, 'application/json'], [201, 'application/yaml']])
})

test('a review is in no namespace, and who asks for itself is answered with nothing of what was sent', async () => {
  const { review } = reviewer({ allowed: true, reason: '' })
  deepStrictEqual(await review('subjectaccessreviews', { user: 'jane', resourceAttributes: pods }, { namespace: 'x' }), { allowed: true })
  const { json } = await harness().call('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', { metadata: { name: 'n', namespace: 'x', labels: { a: 'b' } }, status: { userInfo: { username: 'z' } } })
  deepStrictEqual([Object.keys(json['metadata'] ?? {}), json['status']?.['userInfo']?.['username']], [['creationTimestamp'], 'admin'])
})
