import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CERTIFICATE_SIGNING_REQUESTS, CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS, ROLES, ROLE_BINDINGS, SECRETS, type CertificateSigningRequest, type ClusterRole, type ClusterRoleBinding, type KubeObject, type PolicyRule, type ResourceRef, type UserInfo } from '#api/types/index.ts'
import { NO_ALT_NAMES, createRequest, generateKey } from '#base/x509/index.ts'
import { createMemoryClient } from '../authn/memory-client.test-support.ts'
import { admissionApi, admissionRequest } from '../admission.test-support.ts'
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts'
import type { Authorizer } from '../auth.ts'
import { createAuthorizer, nodeLink, rbacLink, webhookLink } from './authorizer.ts'
import { certificateSubjectRestriction } from '../admission/certificate-subject-restriction.ts'
import { certificateApproval, certificateSigning } from '../admission/certificates.ts'
import { NODE_RULES } from './default-cluster-roles.ts'
import { defaultPolicy } from './default-policy.ts'
import { createEscalationPlugin } from './escalation.ts'
import { createNodeAuthorizer } from './node-authorizer.ts'
import { createNodeGraph } from './node-graph.ts'
import { NODE_PASSWORD_ANNOTATION, nodePasswordPlugin } from './node-password.ts'
import { rule, urls } from './policy-rule.ts'
import { createRbacAuthorizer } from './rbac.ts'
import { reconcileDefaultPolicy } from './reconcile-policy.ts'
import { coversRules, isAllowedByRule } from './rules.ts'
import { binding, clusterBinding, clusterRole, rbacFromObjects, role, user } from './authz.test-support.ts'

test('the default policy is put in place once, completed where something is missing, and keeps what an admin added', async () => {
  const client = createMemoryClient()
  const policy = defaultPolicy()
  const total = policy.clusterRoles.length + policy.clusterRoleBindings.length + policy.roles.length + policy.roleBindings.length
  assert.deepStrictEqual(await reconcileDefaultPolicy(client), { created: total, updated: 0, recreated: 0 })
  assert.deepStrictEqual(await reconcileDefaultPolicy(client), { created: 0, updated: 0, recreated: 0 })

  const names = (ref: ResourceRef) => client.all(ref).map((o) => `${o.metadata.namespace ?? ''}/${o.metadata.name}`)
  for (const ref of [CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS, ROLES, ROLE_BINDINGS]) {
    assert.equal(new Set(names(ref)).size, names(ref).length)
    for (const o of client.all(ref)) assert.deepStrictEqual([o.metadata.labels?.['kubernetes.io/bootstrapping'], o.metadata.annotations?.['rbac.authorization.kubernetes.io/autoupdate']], ['rbac-defaults', 'true'])
  }
  for (const b of client.all<ClusterRoleBinding>(CLUSTER_ROLE_BINDINGS)) assert.ok(names(CLUSTER_ROLES).includes(`/${b.roleRef.name}`), b.metadata.name)

  const edit = async (name: string, change: (r: ClusterRole) => void) => {
    const r = await client.get<ClusterRole>(CLUSTER_ROLES, name)
    change(r)
    await client.update(CLUSTER_ROLES, r)
  }
  await edit('system:discovery', (r) => { r.rules = [urls('get', '/mine')] })
  await edit('system:basic-user', (r) => { r.rules = []; r.metadata = { ...r.metadata, annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'false' } } })
  await edit('admin', (r) => { r.rules = [rule('get', '', 'pods')] })
  await client.delete(CLUSTER_ROLES, 'view')
  const b = await client.get<ClusterRoleBinding>(CLUSTER_ROLE_BINDINGS, 'cluster-admin')
  await client.update(CLUSTER_ROLE_BINDINGS, { ...b, subjects: [{ kind: 'User', name: 'jane' }] })
  const other = await client.get<ClusterRoleBinding>(CLUSTER_ROLE_BINDINGS, 'system:discovery')
  await client.update(CLUSTER_ROLE_BINDINGS, { ...other, roleRef: { ...other.roleRef, name: 'cluster-admin' } })

  assert.deepStrictEqual(await reconcileDefaultPolicy(client), { created: 1, updated: 2, recreated: 1 })
  const rulesOf = async (name: string) => (await client.get<ClusterRole>(CLUSTER_ROLES, name)).rules
  assert.deepStrictEqual(await rulesOf('system:discovery'), [urls('get', '/mine'), ...(policy.clusterRoles.find((r) => r.metadata?.name === 'system:discovery')?.rules ?? [])])
  assert.deepStrictEqual(await rulesOf('system:basic-user'), [])
  assert.deepStrictEqual(await rulesOf('admin'), [rule('get', '', 'pods')])
  assert.deepStrictEqual((await client.get<ClusterRoleBinding>(CLUSTER_ROLE_BINDINGS, 'cluster-admin')).subjects, [{ kind: 'User', name: 'jane' }, { apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'system:masters' }])
  assert.equal((await client.get<ClusterRoleBinding>(CLUSTER_ROLE_BINDINGS, 'system:discovery')).roleRef.name, 'system:discovery')
})

test('law: rules cover others exactly when they allow every request that those allow', () => {
  const pick = (...words: string[]) => fc.uniqueArray(fc.constantFrom(...words), { minLength: 1, maxLength: 2 })
  const anyRule: fc.Arbitrary<PolicyRule> = fc.record({ verbs: pick('get', 'list', '*'), apiGroups: pick('', 'apps', '*'), resources: pick('pods', 'pods/log', 'scale', '*/log', '*'), resourceNames: fc.option(pick('a', 'b'), { nil: undefined }) })
    .map(({ resourceNames, ...r }) => ({ ...r, ...(resourceNames && { resourceNames }) }))
  const requests = ['get', 'list', 'other'].flatMap((verb) => ['', 'apps', 'other'].flatMap((group) => [['pods', ''], ['pods', 'log'], ['scale', ''], ['else', 'log'], ['else', '']].flatMap(([resource = '', subresource = '']) => ['', 'a', 'b', 'c'].map((name) => ({ user: user('x'), verb, resource: { group, version: 'v1', resource, subresource, namespace: '', name } })))))
  fc.assert(fc.property(fc.array(anyRule, { maxLength: 3 }), fc.array(anyRule, { maxLength: 2 }), (owner, wanted) => {
    if (!coversRules(owner, wanted).covered) return
    for (const request of requests) if (wanted.some((r) => isAllowedByRule(r, request))) assert.ok(owner.some((r) => isAllowedByRule(r, request)), JSON.stringify({ owner, wanted, request }))
  }), { numRuns: 500, seed: 3 })
  assert.equal(coversRules([rule('get', '', 'pods', 'a')], [rule('get', '', 'pods')]).covered, false)
  assert.equal(coversRules([rule('get', '', 'pods'), rule('list', '', 'pods')], [rule('get,list', '', 'pods', 'a')]).covered, true)
  assert.equal(coversRules([urls('get', '/a/*')], [urls('get', '/a/b')]).covered, true)
})

function authorization(...extra: Parameters<typeof rbacFromObjects>) {
  const source = rbacFromObjects(...extra)
  const rbac = createRbacAuthorizer(source)
  return { rbac, authorizer: createAuthorizer(() => [nodeLink(createNodeAuthorizer(createNodeGraph(), NODE_RULES)), rbacLink(rbac)]) }
}

function admit(plugin: AdmissionPlugin | undefined, who: UserInfo, ref: ResourceRef, object: KubeObject, over: Partial<AdmissionRequest> = {}, client = createMemoryClient(), authorizer?: Authorizer) {
  const request = admissionRequest({ ref, namespace: object.metadata?.namespace ?? '', name: object.metadata?.name ?? '', object, user: who, ...over })
  const api = admissionApi(client, authorizer && { authorizer })
  return Promise.resolve(plugin?.mutate ? plugin.mutate(request, api) : plugin?.validate?.(request, api))
}

test('what kept rules of a user from being found is told with the refusal', async () => {
  const { rbac, authorizer } = authorization({ clusterRoles: [], clusterRoleBindings: [clusterBinding('a', 'gone', { kind: 'User', name: 'jane' }), clusterBinding('b', 'lost', { kind: 'User', name: 'jane' })] })
  const plugin = createEscalationPlugin(rbac, authorizer)
  assert.equal((await admit(plugin, user('jane'), CLUSTER_ROLES, clusterRole('new', rule('get', '', 'pods'))))?.message,
    'clusterroles.rbac.authorization.k8s.io "new" is forbidden: user "jane" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["pods"], Verbs:["get"]}; resolution errors: [clusterrole.rbac.authorization.k8s.io "gone" not found, clusterrole.rbac.authorization.k8s.io "lost" not found]')
})

test('nobody writes or binds a role with more than they hold, unless they may escalate or bind', async () => {
  const jane = user('jane', 'dev')
  const { rbac, authorizer } = authorization({
    clusterRoles: [clusterRole('reader', rule('get,list', '', 'pods')), clusterRole('secrets', rule('get', '', 'secrets')), clusterRole('may-bind', rule('bind', 'rbac.authorization.k8s.io', 'clusterroles', 'secrets')), clusterRole('may-escalate', rule('escalate', 'rbac.authorization.k8s.io', 'roles'))],
    roles: [role('ns', 'own', rule('get', '', 'pods'))],
    clusterRoleBindings: [clusterBinding('r', 'reader', { kind: 'User', name: 'jane' }), clusterBinding('b', 'may-bind', { kind: 'User', name: 'binder' }), clusterBinding('e', 'may-escalate', { kind: 'User', name: 'climber' })],
  })
  const plugin = createEscalationPlugin(rbac, authorizer)
  const message = async (...args: Parameters<typeof admit> extends [unknown, ...infer R] ? R : never) => (await admit(plugin, ...args))?.message ?? 'ALLOWED'
  const missing = 'user "jane" (groups=["dev" "system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n'
  const pods = clusterRole('new', rule('get', '', 'pods'))
  const more = clusterRole('new', rule('get,delete', '', 'pods'), rule('list', 'apps', 'deployments', 'web'))
  assert.deepStrictEqual([
    await message(jane, CLUSTER_ROLES, pods),
    await message(jane, CLUSTER_ROLES, more),
    await message(jane, CLUSTER_ROLES, more, { operation: 'UPDATE', old: structuredClone(more) }),
    await message(user('root', 'system:masters'), CLUSTER_ROLES, more),
    await message(jane, CLUSTER_ROLES, { metadata: { name: 'agg' }, aggregationRule: { clusterRoleSelectors: [{}] } } as ClusterRole),
    await message(user('climber'), ROLES, role('ns', 'new', rule('*', '*', '*'))),
    await message(jane, CLUSTER_ROLE_BINDINGS, clusterBinding('x', 'reader', { kind: 'User', name: 'joe' })),
    await message(jane, CLUSTER_ROLE_BINDINGS, clusterBinding('x', 'secrets', { kind: 'User', name: 'joe' })),
    await message(user('binder'), CLUSTER_ROLE_BINDINGS, clusterBinding('x', 'secrets', { kind: 'User', name: 'joe' })),
    await message(jane, ROLE_BINDINGS, binding('ns', 'x', 'Role', 'own', { kind: 'User', name: 'joe' })),
    await message(jane, ROLE_BINDINGS, binding('ns', 'x', 'Role', 'gone', { kind: 'User', name: 'joe' })),
  ], [
    'ALLOWED',
    `clusterroles.rbac.authorization.k8s.io "new" is forbidden: ${missing}{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}\n{APIGroups:["apps"], Resources:["deployments"], ResourceNames:["web"], Verbs:["list"]}`,
    'ALLOWED', 'ALLOWED',
    'clusterroles.rbac.authorization.k8s.io "agg" is forbidden: must have cluster-admin privileges to use the aggregationRule',
    'ALLOWED', 'ALLOWED',
    `clusterrolebindings.rbac.authorization.k8s.io "x" is forbidden: ${missing}{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}`,
    'ALLOWED', 'ALLOWED',
    'rolebindings.rbac.authorization.k8s.io "gone" not found',
  ])
})

const bootstrapper = user('system:bootstrap:skiff-node', 'system:bootstrappers', 'system:bootstrappers:skiff:node')

async function nodeRequest(node: string, password?: string): Promise<CertificateSigningRequest> {
  return {
    metadata: { name: 'csr', annotations: { keep: 'me', ...(password !== undefined && { [NODE_PASSWORD_ANNOTATION]: password }) } },
    spec: { signerName: 'kubernetes.io/kube-apiserver-client-kubelet', request: Buffer.from(createRequest({ commonName: `system:node:${node}`, organizations: ['system:nodes'] }, NO_ALT_NAMES, await generateKey())).toString('base64') },
  }
}

test('node passwords: the first is kept as a hash, later ones must match, and the annotation never stays', async () => {
  const client = createMemoryClient()
  const ask = async (who: UserInfo, node: string, password?: string, over: Partial<AdmissionRequest> = {}) => {
    const csr = await nodeRequest(node, password)
    const refusal = await admit(nodePasswordPlugin, who, CERTIFICATE_SIGNING_REQUESTS, csr, over, client)
    assert.deepStrictEqual(csr.metadata?.annotations, { keep: 'me' })
    return refusal?.message.replace('certificatesigningrequests.certificates.k8s.io "csr" is forbidden: ', '') ?? 'ALLOWED'
  }
  assert.equal(await ask(bootstrapper, 'a', 'pw', { dryRun: true }), 'ALLOWED')
  assert.deepStrictEqual(client.all(SECRETS), [])
  assert.equal(await ask(bootstrapper, 'a', 'pw'), 'ALLOWED')
  assert.deepStrictEqual(client.all(SECRETS).map((s) => `${s.metadata.namespace}/${s.metadata.name}`), ['kube-system/a.node-password.skiff'])
  assert.equal(await ask(bootstrapper, 'a', 'pw'), 'ALLOWED')
  const taken = 'node name "a" is taken by a machine with another password; if this machine has been set up anew, let it in with: kubectl -n kube-system delete secret a.node-password.skiff'
  assert.equal(await ask(bootstrapper, 'a', 'other'), taken)
  assert.equal(await ask(user('eve', 'system:nodes'), 'a', 'other'), taken)
  assert.equal(await ask(bootstrapper, 'a'), 'node "a" must prove its name: annotation skiff.io/node-password is missing')
  assert.equal(await ask(bootstrapper, 'a', 'x'.repeat(300)), 'annotation skiff.io/node-password is longer than 256 characters')
  assert.equal(await ask(bootstrapper, '../b', 'pw'), '"../b" cannot be the name of a node')
  assert.equal(await ask({ name: 'system:node:a', groups: ['system:nodes'] }, 'a'), 'ALLOWED')
  assert.equal(await ask({ name: 'system:node:b', groups: ['system:nodes'] }, 'a', 'guess'), taken)
  assert.equal(await ask(user('admin', 'system:masters'), 'a'), 'ALLOWED')
  await client.update(SECRETS, { ...client.all(SECRETS)[0], data: { hash: 'Z2FyYmFnZQ==' } } as KubeObject)
  assert.equal(await ask(bootstrapper, 'a', 'pw'), taken)
})

test('approving and signing need the verb on the signer; nobody requests system:masters', async () => {
  const { authorizer } = authorization({
    clusterRoles: [clusterRole('approver', rule('approve', 'certificates.k8s.io', 'signers', 'kubernetes.io/kube-apiserver-client')), clusterRole('domain', rule('sign', 'certificates.k8s.io', 'signers', 'example.com/*'))],
    clusterRoleBindings: [clusterBinding('a', 'approver', { kind: 'User', name: 'jane' }), clusterBinding('d', 'domain', { kind: 'User', name: 'robot' })],
  })
  const csr = (signerName: string, status: object = {}): CertificateSigningRequest => ({ metadata: { name: 'csr' }, spec: { signerName, request: '' }, status })
  const ask = async (plugin: AdmissionPlugin | undefined, who: string, subresource: string, signerName: string, status = {}) => (await admit(plugin, user(who), CERTIFICATE_SIGNING_REQUESTS, csr(signerName, status), { operation: 'UPDATE', subresource, old: csr(signerName) }, createMemoryClient(), authorizer))?.message ?? 'ALLOWED'
  const forbidden = (why: string) => `user not permitted to ${why}`
  assert.deepStrictEqual([
    await ask(certificateApproval, 'jane', 'approval', 'kubernetes.io/kube-apiserver-client'), await ask(certificateApproval, 'jane', 'approval', 'kubernetes.io/kubelet-serving'), await ask(certificateApproval, 'joe', 'approval', 'kubernetes.io/kube-apiserver-client'),
    await ask(certificateSigning, 'robot', 'status', 'example.com/x', { certificate: 'x' }), await ask(certificateSigning, 'jane', 'status', 'example.com/x', { certificate: 'x' }), await ask(certificateSigning, 'jane', 'status', 'example.com/x'),
  ], [
    'ALLOWED', forbidden('approve requests with signerName "kubernetes.io/kubelet-serving"'), forbidden('approve requests with signerName "kubernetes.io/kube-apiserver-client"'),
    'ALLOWED', forbidden('sign requests with signerName "example.com/x"'), 'ALLOWED',
  ])
  const masters = createRequest({ commonName: 'x', organizations: ['dev', 'system:masters'] }, NO_ALT_NAMES, await generateKey())
  const object: CertificateSigningRequest = { metadata: { name: 'csr' }, spec: { signerName: 'kubernetes.io/kube-apiserver-client', request: Buffer.from(masters).toString('base64') } }
  assert.equal((await admit(certificateSubjectRestriction, user('jane'), CERTIFICATE_SIGNING_REQUESTS, object))?.message, 'use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed')
})

test('a webhook is asked about what roles do not allow, and its yes counts', async () => {
  const asked: string[] = []
  const { rbac } = authorization({ clusterRoles: [clusterRole('reader', rule('get', '', 'pods'))], clusterRoleBindings: [clusterBinding('r', 'reader', { kind: 'User', name: 'jane' })] })
  const union = createAuthorizer(() => [rbacLink(rbac), webhookLink(({ verb }) => { asked.push(verb); return Promise.resolve({ decision: verb === 'list' ? 'allow' : 'none', reason: 'says the webhook' }) })])
  const ask = (verb: string) => union.authorize({ user: user('jane'), verb, resource: { group: '', version: 'v1', resource: 'pods', subresource: '', namespace: 'ns', name: '' } })
  assert.deepStrictEqual([(await ask('get')).allowed, await ask('list'), (await ask('delete')).allowed, asked], [true, { allowed: true, reason: 'says the webhook' }, false, ['list', 'delete']])
  assert.equal((await union.rulesFor(user('jane'), 'ns')).incomplete, true)
})
