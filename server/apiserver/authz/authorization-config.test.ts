import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Attributes } from '../auth.ts'
import { parseAuthorizationConfig, parseDurationMs } from './authorization-config.ts'
import { alwaysAllow, alwaysDeny, createAuthorizer, webhookLink, type AuthorizerLink } from './authorizer.ts'
import { ask, user } from './authz.test-support.ts'
import { loadConditionCompiler } from './match-conditions.ts'
import { fieldRequirements, fieldSelectorText, labelRequirements, labelSelectorText } from './selectors.ts'

const conditions = await loadConditionCompiler()
const parse = (authorizers: unknown, rest: object = {}) => parseAuthorizationConfig({ apiVersion: 'apiserver.config.k8s.io/v1', kind: 'AuthorizationConfiguration', authorizers, ...rest }, (e) => conditions.problem(e))
const webhook = { timeout: '3s', subjectAccessReviewVersion: 'v1', matchConditionSubjectAccessReviewVersion: 'v1', failurePolicy: 'Deny', connectionInfo: { type: 'KubeConfigFile', kubeConfigFile: '/etc/hook.yaml' } }

test('authorizers are configured in order, with upstream\'s defaults', () => {
  assert.deepStrictEqual(parse([{ type: 'Webhook', name: 'a', webhook: { ...webhook, matchConditions: [{ expression: 'request.user == "x"' }], cacheUnauthorizedRequests: false } }, { type: 'Node', name: 'node' }, { type: 'RBAC', name: 'rbac' }]), { ok: true, authorizers: [
    { type: 'Webhook', name: 'a', kubeConfigFile: '/etc/hook.yaml', timeoutMs: 3_000, version: 'v1', failsClosed: true, matchConditions: ['request.user == "x"'], authorizedMs: 300_000, unauthorizedMs: 0 },
    { type: 'Node', name: 'node' }, { type: 'RBAC', name: 'rbac' },
  ] })
})

test('a configuration that is wrong is refused in upstream\'s words', () => {
  const say = (authorizers: unknown, rest?: object) => { const parsed = parse(authorizers, rest); return parsed.ok ? 'OK' : parsed.message }
  const hook = (over: object) => say([{ type: 'Webhook', name: 'a', webhook: { ...webhook, ...over } }])
  assert.deepStrictEqual([
    say([]), say([{ type: 'ABAC', name: 'a' }, {}, { type: 'RBAC', name: 'r' }, { type: 'RBAC', name: 'r2' }]), say([{ type: 'Node', name: 'A', webhook: {} }, { type: 'Webhook', name: 'w' }]),
    hook({ timeout: '31s', authorizedTTL: '-1s', subjectAccessReviewVersion: 'v2', failurePolicy: '', connectionInfo: { type: 'KubeConfigFile', kubeConfigFile: 'x' } }),
    hook({ matchConditions: [{ expression: 'request.usr == ""' }, { expression: ' ' }, { expression: '1' }] }), say([{ type: 'Node', name: 'a', webhok: {} }]), say([], { kind: 'X' }),
  ], [
    'authorizers: Required value: at least one authorization mode must be defined',
    '[authorizers[0].type: Unsupported value: "ABAC": supported values: "AlwaysAllow", "AlwaysDeny", "Node", "RBAC", "Webhook", authorizers[1].type: Required value, authorizers[3].type: Duplicate value: "RBAC"]',
    "[authorizers[0].name: Invalid value: \"A\": authorizer name is invalid: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'), authorizers[0].webhook: Invalid value: \"non-null\": may only be specified when type=Webhook, authorizers[1].webhook: Required value: required when type=Webhook]",
    '[authorizers[0].timeout: Invalid value: "31s": must be > 0s and <= 30s, authorizers[0].authorizedTTL: Invalid value: "-1s": must be > 0s, authorizers[0].subjectAccessReviewVersion: Unsupported value: "v2": supported values: "v1", "v1beta1", authorizers[0].failurePolicy: Required value, authorizers[0].connectionInfo.kubeConfigFile: Invalid value: "x": must be an absolute path]',
    '[authorizers[0].matchConditions[0].expression: Invalid value: "request.usr == \\"\\"": compilation failed: ERROR: <input>:1:8: undefined field \'usr\'\n | request.usr == ""\n | .......^, authorizers[0].matchConditions[1].expression: Required value, authorizers[0].matchConditions[2].expression: Invalid value: "1": must evaluate to bool but got int]',
    'strict decoding error: unknown field "authorizers[0].webhok"', 'expected AuthorizationConfiguration of apiserver.config.k8s.io/v1, got "X" of "apiserver.config.k8s.io/v1"',
  ])
  assert.deepStrictEqual(['1m30s', '500ms', '0', '-1.5s', '5', ''].map(parseDurationMs), [90_000, 500, 0, -1_500, undefined, undefined])
})

const jane = user('jane', 'dev')
const pods = ask(jane, 'list', 'pods', 'ns/')
const says = (reason: string, verdict: object = {}): AuthorizerLink => ({ authorize: () => ({ allowed: false, reason, ...verdict }), rulesFor: () => ({ resourceRules: [], nonResourceRules: [], incomplete: false }) })

test('the first authorizer with an opinion decides; without any, all reasons and errors are told', async () => {
  const decide = (...chain: AuthorizerLink[]) => createAuthorizer(() => chain).authorize(pods)
  assert.deepStrictEqual(await decide(says('a'), says('b', { error: 'e' }), alwaysDeny), { allowed: false, reason: 'a\nb\nEverything is forbidden.', error: 'e' })
  assert.deepStrictEqual(await decide(says('a', { error: 'e' }), alwaysAllow), { allowed: true, reason: '' })
  assert.deepStrictEqual(await decide(says('no', { denied: true }), alwaysAllow), { allowed: false, reason: 'no', denied: true })
  assert.deepStrictEqual(await createAuthorizer(() => [alwaysDeny]).authorize({ ...pods, user: user('root', 'system:masters') }), { allowed: true, reason: '' })
})

test('a webhook is asked only where its conditions hold, and its failure policy decides when that is not known', async () => {
  const asked: string[] = []
  const link = (expressions: string[], failsClosed: boolean) => webhookLink(({ verb }) => { asked.push(verb); return Promise.resolve(verb === 'get' ? { decision: 'none', reason: '', failed: 'timeout' } : { decision: 'deny', reason: 'never' }) }, { failsClosed, matches: conditions.matcher(expressions) })
  const forUsers = ["'dev' in request.groups", "has(request.resourceAttributes) && request.resourceAttributes.namespace == 'ns'"]
  assert.deepStrictEqual([
    await link(forUsers, true).authorize(pods), await link(forUsers, true).authorize(ask(jane, 'list', 'pods', 'other/')), await link(forUsers, true).authorize(ask(jane, 'get', 'pods', 'ns/p')), await link(forUsers, false).authorize(ask(jane, 'get', 'pods', 'ns/p')),
    await link(["request.extra['k'][0] == 'v'"], true).authorize(pods), await link(["request.extra['k'][0] == 'v'", 'false'], true).authorize(pods),
  ], [
    { allowed: false, reason: 'never', denied: true }, { allowed: false, reason: '' }, { allowed: false, reason: '', error: 'timeout', denied: true }, { allowed: false, reason: '', error: 'timeout' },
    { allowed: false, reason: '', error: "cel evaluation error: expression 'request.extra['k'][0] == 'v'' resulted in error: no such key: k", denied: true }, { allowed: false, reason: '' },
  ])
  assert.deepStrictEqual(asked, ['list', 'get', 'get'])
  const selecting: Attributes = { ...pods, labelSelector: 'app in (a, b),!old' }
  assert.equal((await link(["request.resourceAttributes.labelSelector.requirements.exists(r, r.key == 'app' && r.operator == 'In' && r.values == ['a', 'b'])"], true).authorize(selecting)).denied, true)
})

test('selectors become requirements and text again', () => {
  const fields = 'spec.nodeName=a,metadata.name!=x\\,y,junk'
  assert.deepStrictEqual(fieldRequirements(fields), [{ key: 'spec.nodeName', operator: 'In', values: ['a'] }, { key: 'metadata.name', operator: 'NotIn', values: ['x,y'] }])
  assert.equal(fieldSelectorText({ requirements: [...fieldRequirements(fields), { key: 'k', operator: 'In', values: ['a', 'b'] }, { key: 'k', operator: 'Exists' }] }), 'spec.nodeName=a,metadata.name!=x\\,y')
  const labels = 'a=b,c != d,e in (g,f),h notin (i),j,!k,l>1'
  const requirements = [{ key: 'a', operator: 'In', values: ['b'] }, { key: 'c', operator: 'NotIn', values: ['d'] }, { key: 'e', operator: 'In', values: ['f', 'g'] }, { key: 'h', operator: 'NotIn', values: ['i'] }, { key: 'j', operator: 'Exists' }, { key: 'k', operator: 'DoesNotExist' }]
  assert.deepStrictEqual(labelRequirements(labels), requirements)
  assert.deepStrictEqual(labelRequirements(labelSelectorText({ requirements }) ?? ''), requirements)
  assert.deepStrictEqual([fieldSelectorText(undefined), labelSelectorText({}), labelSelectorText({ rawSelector: 'x' })], [undefined, undefined, 'x'])
})
