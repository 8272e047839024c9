import { deepStrictEqual } from 'node:assert'
import { test } from 'node:test'
import { items } from '../app.test-support.ts'
import { causes, cluster, MERGE } from './kinds.test-support.ts'

const A = '/apis/admissionregistration.k8s.io/v1'
const hook = (over: Record<string, unknown> = {}) => ({ name: 'a.b.c', clientConfig: { service: { name: 's', namespace: 'n' } }, sideEffects: 'None', admissionReviewVersions: ['v1'], rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] }], ...over })

test('a webhook configuration gets upstream\'s defaults', async () => {
  const c = cluster()
  const { json } = await c.create(`${A}/mutatingwebhookconfigurations`, { metadata: { name: 'm' }, webhooks: [hook()] })
  deepStrictEqual(json['webhooks'], [{
    ...hook(), clientConfig: { service: { name: 's', namespace: 'n', port: 443 } }, failurePolicy: 'Fail', matchPolicy: 'Equivalent', namespaceSelector: {}, objectSelector: {}, reinvocationPolicy: 'Never', timeoutSeconds: 10,
    rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'], scope: '*' }],
  }])
})

test('a webhook that cannot be reached or is not harmless is refused in upstream\'s words', async () => {
  const c = cluster()
  const bad = async (over: Record<string, unknown>) => causes(await c.call('POST', `${A}/validatingwebhookconfigurations`, { metadata: { name: 'v' }, webhooks: [hook(over)] }))
  deepStrictEqual(await bad({ name: 'short' }), ['webhooks[0].name: Invalid value: "short": should be a domain with at least three segments separated by dots'])
  deepStrictEqual(await bad({ clientConfig: {} }), ['webhooks[0].clientConfig: Required value: exactly one of url or service is required'])
  deepStrictEqual(await bad({ clientConfig: { url: 'http://u@/x?a#b' } }), [
    'webhooks[0].clientConfig.url: Invalid value: "http": \'https\' is the only allowed URL scheme; desired format: https://host[/path]', 'webhooks[0].clientConfig.url: Invalid value: "": host must be specified; desired format: https://host[/path]',
    'webhooks[0].clientConfig.url: Invalid value: "u": user information is not permitted in the URL', 'webhooks[0].clientConfig.url: Invalid value: "b": fragments are not permitted in the URL', 'webhooks[0].clientConfig.url: Invalid value: "a": query parameters are not permitted in the URL',
  ])
  deepStrictEqual(await bad({ sideEffects: 'Some', timeoutSeconds: 31, admissionReviewVersions: ['v2'] }), [
    'webhooks[0].sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"', 'webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds',
    'webhooks[0].admissionReviewVersions: Invalid value: ["v2"]: must include at least one of v1, v1beta1',
  ])
  deepStrictEqual(await bad({ rules: [{ operations: ['*', 'CREATE'], apiGroups: ['*', ''], apiVersions: [''], resources: ['*/*', 'pods'], scope: 'x' }] }), [
    'webhooks[0].rules[0].operations: Invalid value: ["*","CREATE"]: if \'*\' is present, must not specify other operations', 'webhooks[0].rules[0].apiGroups: Invalid value: ["*",""]: if \'*\' is present, must not specify other API groups',
    'webhooks[0].rules[0].apiVersions[0]: Required value', 'webhooks[0].rules[0].resources: Invalid value: ["*/*","pods"]: if \'*/*\' is present, must not specify other resources', 'webhooks[0].rules[0].scope: Unsupported value: "x": supported values: "*", "Cluster", "Namespaced"',
  ])
})

test('admission policies: defaults, what must be there, and one store for all versions of a mutating one', async () => {
  const c = cluster()
  const rules = [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] }]
  const { json } = await c.create(`${A}/validatingadmissionpolicies`, { metadata: { name: 'p' }, spec: { matchConstraints: { resourceRules: rules }, validations: [{ expression: 'true' }] } })
  deepStrictEqual(json['spec'], { failurePolicy: 'Fail', matchConstraints: { matchPolicy: 'Equivalent', namespaceSelector: {}, objectSelector: {}, resourceRules: [{ ...rules[0], scope: '*' }] }, validations: [{ expression: 'true' }] })
  deepStrictEqual(causes(await c.call('POST', `${A}/validatingadmissionpolicies`, { metadata: { name: 'q' }, spec: {} })), [
    'spec.matchConstraints: Required value', 'spec.validations: Required value: validations or auditAnnotations must contain at least one item', 'spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one item',
  ])
  deepStrictEqual(causes(await c.call('POST', `${A}/validatingadmissionpolicybindings`, { metadata: { name: 'b' }, spec: { policyName: 'p', validationActions: ['Deny', 'Warn', 'Deny'], paramRef: { name: 'x', selector: {} } } })), [
    'spec.paramRef.name: Forbidden: name and selector are mutually exclusive', 'spec.paramRef.selector: Forbidden: name and selector are mutually exclusive', 'spec.paramRef.parameterNotFoundAction: Required value',
    'spec.validationActions[2]: Duplicate value: "Deny"', 'spec.validationActions: Invalid value: ["Deny","Warn","Deny"]: must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)',
  ])
  const mutating = { metadata: { name: 'm' }, spec: { reinvocationPolicy: 'Never', matchConstraints: { resourceRules: rules }, mutations: [{ patchType: 'JSONPatch', jsonPatch: { expression: '[JSONPatch{op: "add", path: "/x", value: "y"}]' } }] } }
  await c.create('/apis/admissionregistration.k8s.io/v1alpha1/mutatingadmissionpolicies', mutating)
  for (const version of ['v1', 'v1beta1', 'v1alpha1']) {
    const got = (await c.call('GET', `/apis/admissionregistration.k8s.io/${version}/mutatingadmissionpolicies/m`)).json
    deepStrictEqual([got['apiVersion'], got['kind'], got['spec']?.['reinvocationPolicy']], [`admissionregistration.k8s.io/${version}`, 'MutatingAdmissionPolicy', 'Never'])
  }
})

test('an APIService is named for what it serves; a local one is available at once', async () => {
  const c = cluster()
  const S = '/apis/apiregistration.k8s.io/v1/apiservices'
  const spec = { group: 'a.b', version: 'v1', groupPriorityMinimum: 1000, versionPriority: 10 }
  const { json } = await c.create(S, { metadata: { name: 'v1.a.b' }, spec })
  deepStrictEqual(items<{ type: string; status: string; reason: string }>(json['status']?.['conditions']).map((x) => [x.type, x.status, x.reason]), [['Available', 'True', 'Local']])
  deepStrictEqual(causes(await c.call('POST', S, { metadata: { name: 'v2.a.b' }, spec: { ...spec, versionPriority: 1001, caBundle: 'eA==' } })), [
    'metadata.name: Invalid value: "v2.a.b": must be `spec.version+"."+spec.group`: "v1.a.b"', 'spec.versionPriority: Invalid value: 1001: must be positive and less than 1000', 'spec.caBundle: Invalid value: "1 bytes": local APIServices may not have a caBundle',
  ])
  const remote = await c.create(S, { metadata: { name: 'v2.a.b' }, spec: { ...spec, version: 'v2', service: { name: 's', namespace: 'n' } } })
  deepStrictEqual([remote.json['spec']?.['service'], remote.json['status']], [{ name: 's', namespace: 'n', port: 443 }, {}])
  deepStrictEqual((await c.call('PATCH', `${S}/v2.a.b`, { spec: { insecureSkipTLSVerify: true } }, MERGE)).status, 200)
})
