import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { admissionRequest } from '../admission.test-support.ts'
import { parseReview, rejection } from './review.ts'
import { isExempt, isExemptFromPolicies, matchesRule, namespaceLabels } from './rules.ts'

const v1 = { uid: 'u', version: 'v1', mutating: true } as const
const review = (response: unknown, apiVersion = 'admission.k8s.io/v1') => ({ kind: 'AdmissionReview', apiVersion, response })

test('whatever a webhook answers is an answer or a reason, never a throw', () => {
  fc.assert(fc.property(fc.jsonValue(), fc.boolean(), (value, wrapped) => {
    const parsed = parseReview(wrapped ? review(value) : value, v1)
    assert.ok(parsed.ok ? typeof parsed.answer.allowed === 'boolean' : parsed.message !== '')
    if (parsed.ok) assert.ok(rejection('a.b.c', parsed.answer.status).code >= 400)
  }), { numRuns: 500 })
})

test('what is wrong with an answer is told in upstream\'s words', () => {
  const message = (value: unknown, expected: Parameters<typeof parseReview>[1] = v1) => { const parsed = parseReview(value, expected); return parsed.ok ? 'fine' : parsed.message }
  const table: [unknown, string][] = [
    [{ kind: 'Status', apiVersion: 'v1' }, 'expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got /v1, Kind=Status'],
    [review(undefined), 'webhook response was absent'],
    [review({ uid: 'other' }), 'expected response.uid="u", got "other"'],
    [review({ uid: 'u' }, 'admission.k8s.io/v1beta1'), 'expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got admission.k8s.io/v1beta1, Kind=AdmissionReview'],
    [{ response: { uid: 'u' } }, 'expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got /, Kind='],
    [review({ uid: 'u', patch: 'W10=', patchType: '' }), 'webhook returned invalid response.patchType of ""'],
    [review({ uid: 'u', patch: 'W10=', patchType: 'JSONPatch' }), 'fine'],
  ]
  assert.deepStrictEqual(table.map(([value]) => message(value)), table.map(([, text]) => text))
  assert.equal(message(review({ uid: 'other', patchType: 'x' }, 'admission.k8s.io/v1beta1'), { ...v1, version: 'v1beta1' }), 'fine', 'v1beta1 never looked closely')
  assert.equal(message({ response: { allowed: true } }, { ...v1, version: 'v1beta1' }), 'fine', 'an answer of v1beta1 need not say what it is')
})

test('a refusal has a code of its kind, whatever the webhook gave', () => {
  assert.deepStrictEqual([rejection('n', { code: 200, message: 'm' }), rejection('n', { code: 599, reason: 'R' }), rejection('n', { code: 1e9 }), rejection('n')].map(({ code, reason, message }) => [code, reason, message]), [
    [400, '', 'admission webhook "n" denied the request: m'], [599, 'R', 'admission webhook "n" denied the request: R'], [400, '', 'admission webhook "n" denied the request without explanation'], [400, '', 'admission webhook "n" denied the request without explanation'],
  ])
})

test('webhooks do not judge what admits; policies judge webhooks, but neither policies nor what is asked and not kept', () => {
  const judged = (exempt: typeof isExempt) => ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration', 'ValidatingAdmissionPolicy', 'ValidatingAdmissionPolicyBinding', 'MutatingAdmissionPolicy', 'MutatingAdmissionPolicyBinding'].filter((kind) => !exempt(admissionRequest({
    ref: { group: 'admissionregistration.k8s.io', version: 'v1', resource: `${kind.toLowerCase()}s`, kind, namespaced: false }, kind: { group: 'admissionregistration.k8s.io', version: 'v1', kind },
  })))
  assert.deepStrictEqual([judged(isExempt), judged(isExemptFromPolicies)], [[], ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration']])
  const review = admissionRequest({ ref: { group: 'authorization.k8s.io', version: 'v1', resource: 'subjectaccessreviews', kind: 'SubjectAccessReview', namespaced: false } })
  assert.deepStrictEqual([isExempt(review), isExemptFromPolicies(review)], [false, true])
})

test('rules: groups, versions, resources, subresources and scope', () => {
  const request = (over: object) => admissionRequest({ ref: { group: 'apps', version: 'v1', resource: 'deployments', kind: 'Deployment', namespaced: true }, ...over })
  const all = { operations: ['*'], apiGroups: ['*'], apiVersions: ['*'] }
  const table: [Parameters<typeof matchesRule>[0], object, boolean][] = [
    [{ ...all, resources: ['deployments'] }, {}, true],
    [{ ...all, resources: ['deployments'] }, { subresource: 'scale' }, false],
    [{ ...all, resources: ['deployments/*'] }, { subresource: 'scale' }, true],
    [{ ...all, resources: ['deployments/*'] }, {}, true],
    [{ ...all, resources: ['*/scale'] }, { subresource: 'scale' }, true],
    [{ ...all, resources: ['*'] }, { subresource: 'scale' }, false],
    [{ ...all, resources: ['*/*'] }, { subresource: 'scale' }, true],
    [{ ...all, apiGroups: [''], resources: ['*'] }, {}, false],
    [{ ...all, apiVersions: ['v1beta1'], resources: ['*'] }, {}, false],
    [{ ...all, operations: ['UPDATE', 'DELETE'], resources: ['*'] }, {}, false],
    [{ ...all, resources: ['*'], scope: 'Cluster' }, {}, false],
    [{ ...all, resources: ['*'], scope: 'Namespaced' }, {}, true],
    [{ ...all, resources: ['*'], scope: 'Cluster' }, { ref: { group: '', version: 'v1', resource: 'namespaces', kind: 'Namespace', namespaced: false }, namespace: '', name: 'n' }, true],
    [{}, {}, false],
  ]
  for (const [rule, over, expected] of table) assert.equal(matchesRule(rule, request(over)), expected, JSON.stringify([rule, over]))
})

test('which labels a namespaceSelector looks at', () => {
  const namespaces = { group: '', version: 'v1', resource: 'namespaces', kind: 'Namespace', namespaced: false }
  const nodes = { ...namespaces, resource: 'nodes', kind: 'Node' }
  const object = { metadata: { name: 'n', labels: { a: 'b' } } }
  assert.deepStrictEqual([
    namespaceLabels(admissionRequest({ ref: nodes, namespace: '', object })), namespaceLabels(admissionRequest({ ref: namespaces, namespace: '', name: 'n', object })),
    namespaceLabels(admissionRequest({ ref: namespaces, namespace: '', name: 'n', operation: 'DELETE' })), namespaceLabels(admissionRequest({ ref: namespaces, namespace: '', name: 'n', operation: 'UPDATE', subresource: 'status', object })),
    namespaceLabels(admissionRequest({ ref: { ...nodes, resource: 'pods', namespaced: true }, namespace: 'x' })),
  ], [undefined, { labels: { a: 'b' } }, { namespace: 'n' }, { namespace: 'n' }, { namespace: 'x' }])
})
