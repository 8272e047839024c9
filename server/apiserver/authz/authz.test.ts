import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { UserInfo } from '#api/types/index.ts'
import { createAuthorizer, nodeLink, rbacLink } from './authorizer.ts'
import { NODE_RULES } from './default-cluster-roles.ts'
import { defaultPolicy } from './default-policy.ts'
import { createNodeAuthorizer } from './node-authorizer.ts'
import { createNodeGraph } from './node-graph.ts'
import { rule, urls } from './policy-rule.ts'
import { createRbacAuthorizer } from './rbac.ts'
import { ask, binding, clusterBinding, clusterRole, rbacFromObjects, role, user } from './authz.test-support.ts'

const jane = user('jane', 'dev')
const robot: UserInfo = { name: 'system:serviceaccount:ci:builder', groups: ['system:serviceaccounts', 'system:serviceaccounts:ci', 'system:authenticated'] }

test('RBAC: bindings reach users, groups and service accounts, cluster-wide or in one namespace, and the reason names the way', async () => {
  const rbac = createRbacAuthorizer(rbacFromObjects({
    clusterRoles: [clusterRole('pods-reader', rule('get,list', '', 'pods'), rule('get', '', 'pods/log')), clusterRole('health', urls('get', '/healthz,/metrics/*'))],
    roles: [role('ci', 'deployer', rule('*', 'apps', 'deployments', 'web'), rule('get', '*', '*/scale'))],
    clusterRoleBindings: [clusterBinding('devs', 'pods-reader', { kind: 'Group', name: 'dev' }), clusterBinding('h', 'health', { kind: 'User', name: 'jane' })],
    roleBindings: [binding('ci', 'b', 'Role', 'deployer', { kind: 'User', name: 'nobody' }, { kind: 'ServiceAccount', name: 'builder' }), binding('qa', 'c', 'ClusterRole', 'pods-reader', { kind: 'ServiceAccount', name: 'builder', namespace: 'ci' })],
  }))
  const cases: [Parameters<typeof ask>, string | false][] = [
    [[jane, 'list', 'pods', 'x/'], 'RBAC: allowed by ClusterRoleBinding "devs" of ClusterRole "pods-reader" to Group "dev"'],
    [[jane, 'list', 'pods'], 'RBAC: allowed by ClusterRoleBinding "devs" of ClusterRole "pods-reader" to Group "dev"'],
    [[jane, 'get', 'pods/log', 'x/p'], 'RBAC: allowed by ClusterRoleBinding "devs" of ClusterRole "pods-reader" to Group "dev"'],
    [[jane, 'get', 'pods/exec', 'x/p'], false],
    [[jane, 'watch', 'pods', 'x/'], false],
    [[jane, 'get', 'apps/pods', 'x/p'], false],
    [[jane, 'get', '/healthz'], 'RBAC: allowed by ClusterRoleBinding "h" of ClusterRole "health" to User "jane"'],
    [[jane, 'get', '/metrics/cadvisor'], 'RBAC: allowed by ClusterRoleBinding "h" of ClusterRole "health" to User "jane"'],
    [[jane, 'get', '/healthz/x'], false],
    [[robot, 'patch', 'apps/deployments', 'ci/web'], 'RBAC: allowed by RoleBinding "b/ci" of Role "deployer" to ServiceAccount "builder/ci"'],
    [[robot, 'patch', 'apps/deployments', 'ci/db'], false],
    [[robot, 'list', 'apps/deployments', 'ci/'], false],
    [[robot, 'patch', 'apps/deployments', 'qa/web'], false],
    [[robot, 'get', 'apps/statefulsets/scale', 'ci/any'], 'RBAC: allowed by RoleBinding "b/ci" of Role "deployer" to ServiceAccount "builder/ci"'],
    [[robot, 'get', 'pods', 'qa/p'], 'RBAC: allowed by RoleBinding "c/qa" of ClusterRole "pods-reader" to ServiceAccount "builder/ci"'],
    [[robot, 'get', 'pods', 'ci/p'], false],
    [[user('builder'), 'get', 'pods', 'qa/p'], false],
  ]
  for (const [args, want] of cases) assert.deepStrictEqual(await rbac.authorize(ask(...args)), want === false ? { allowed: false, reason: '' } : { allowed: true, reason: want }, JSON.stringify(args))
})

test('RBAC: a change of roles or bindings counts at once; a binding to a role that is missing says so', async () => {
  const source = rbacFromObjects({ clusterRoleBindings: [clusterBinding('devs', 'reader', { kind: 'Group', name: 'dev' })] })
  const rbac = createRbacAuthorizer(source)
  assert.deepStrictEqual(await rbac.authorize(ask(jane, 'get', 'pods', 'a/b')), { allowed: false, reason: 'RBAC: clusterrole.rbac.authorization.k8s.io "reader" not found' })
  source.objects.clusterRoles.push(clusterRole('reader', rule('get', '', 'pods')))
  source.changed()
  assert.equal((await rbac.authorize(ask(jane, 'get', 'pods', 'a/b'))).allowed, true)
  source.objects.clusterRoleBindings.length = 0
  source.changed()
  assert.deepStrictEqual(await rbac.authorize(ask(jane, 'get', 'pods', 'a/b')), { allowed: false, reason: '' })
})

test('RBAC: the rules of a user are listed for one namespace', async () => {
  const rbac = createRbacAuthorizer(rbacFromObjects({
    clusterRoles: [clusterRole('v', rule('get', '', 'pods'), urls('get', '/version'))], roles: [role('a', 'r', rule('update', 'apps', 'deployments', 'web'))],
    clusterRoleBindings: [clusterBinding('v', 'v', { kind: 'User', name: 'jane' })], roleBindings: [binding('a', 'r', 'Role', 'r', { kind: 'User', name: 'jane' }), binding('b', 'x', 'Role', 'gone', { kind: 'User', name: 'jane' })],
  }))
  const pods = { verbs: ['get'], apiGroups: [''], resources: ['pods'] }
  const version = { verbs: ['get'], nonResourceURLs: ['/version'] }
  assert.deepStrictEqual(await rbac.rulesFor(jane, 'a'), { resourceRules: [pods, { verbs: ['update'], apiGroups: ['apps'], resources: ['deployments'], resourceNames: ['web'] }], nonResourceRules: [version], incomplete: false })
  assert.deepStrictEqual(await rbac.rulesFor(jane, 'b'), { resourceRules: [pods], nonResourceRules: [version], incomplete: true, evaluationError: 'role.rbac.authorization.k8s.io "gone" not found' })
})

const node = (name: string): UserInfo => ({ name: `system:node:${name}`, groups: ['system:nodes', 'system:authenticated'] })

function nodeWorld() {
  const graph = createNodeGraph()
  const pod = (nodeName: string, name = 'p', extra: object = {}) => ({
    metadata: { namespace: 'ns', name }, spec: {
      nodeName, serviceAccountName: 'sa', imagePullSecrets: [{ name: 'pull' }],
      containers: [{ name: 'c', env: [{ name: 'E', valueFrom: { secretKeyRef: { name: 'env-secret', key: 'k' } } }], envFrom: [{ configMapRef: { name: 'env-map' } }] }],
      volumes: [{ name: 'v', projected: { sources: [{ secret: { name: 'proj-secret' } }, { configMap: { name: 'kube-root-ca.crt' } }] } }, { name: 'd', persistentVolumeClaim: { claimName: 'data' } }], ...extra,
    },
  })
  return { graph, pod, authorizer: createNodeAuthorizer(graph, NODE_RULES) }
}

test('Node: a node reads what its own pods use, as long as they are there, and nothing else', () => {
  const { graph, pod, authorizer } = nodeWorld()
  const may = (name: string, ...args: [string, string, string?]) => authorizer.check(ask(node(name), ...args)).allowed
  const own: [string, string, string][] = [
    ['get', 'secrets', 'ns/pull'], ['watch', 'secrets', 'ns/env-secret'], ['list', 'secrets', 'ns/proj-secret'], ['get', 'configmaps', 'ns/env-map'], ['get', 'configmaps', 'ns/kube-root-ca.crt'],
    ['get', 'persistentvolumeclaims', 'ns/data'], ['create', 'serviceaccounts/token', 'ns/sa'], ['get', 'serviceaccounts', 'ns/sa'], ['get', 'pods', 'ns/p'],
  ]
  for (const args of own) assert.equal(may('a', ...args), false, `before: ${args.join(' ')}`)
  graph.podChanged(undefined, pod(''))
  assert.equal(graph.size, 0)
  graph.podChanged(pod(''), pod('a'))
  graph.podChanged(undefined, pod('a', 'q'))
  for (const args of own) assert.deepStrictEqual([may('a', ...args), may('b', ...args)], [true, false], args.join(' '))
  graph.podChanged(pod('a'), undefined)
  assert.deepStrictEqual([may('a', 'get', 'secrets', 'ns/pull'), may('a', 'get', 'pods', 'ns/p')], [true, false])
  graph.podChanged(pod('a', 'q'), undefined)
  for (const args of own) assert.equal(may('a', ...args), false, `after: ${args.join(' ')}`)
  assert.equal(graph.size, 0)
})

test('Node: a volume and its secrets are reached through the claim of an own pod', () => {
  const { graph, pod, authorizer } = nodeWorld()
  const volume = { metadata: { name: 'pv1' }, spec: { claimRef: { namespace: 'ns', name: 'data' }, csi: { driver: 'd', volumeHandle: 'h', nodeStageSecretRef: { namespace: 'storage', name: 'stage' } } } }
  const may = (name: string) => ['persistentvolumes pv1', 'secrets storage/stage'].map((w) => authorizer.check(ask(node(name), 'get', ...(w.split(' ') as [string, string]))).allowed)
  graph.podChanged(undefined, pod('a'))
  assert.deepStrictEqual(may('a'), [false, false])
  graph.volumeChanged(undefined, volume)
  assert.deepStrictEqual([may('a'), may('b')], [[true, true], [false, false]])
  graph.volumeChanged(volume, structuredClone(volume))
  assert.deepStrictEqual(may('a'), [true, true])
  graph.volumeChanged(volume, undefined)
  assert.deepStrictEqual(may('a'), [false, false])
})

test('Node: claims of devices, attachments and slices belong to the node they are for', () => {
  const { graph, pod, authorizer } = nodeWorld()
  const say = (name: string, verb: string, what: string, where: string, fieldSelector?: string) => {
    const verdict = authorizer.check({ ...ask(node(name), verb, what, where), ...(fieldSelector !== undefined && { fieldSelector }) })
    return verdict.allowed ? 'ALLOWED' : verdict.reason
  }
  const claims = { ...pod('a', 'p', { resourceClaims: [{ name: 'x', resourceClaimName: 'named' }, { name: 'y', resourceClaimTemplateName: 't' }, { name: 'z', resourceClaimTemplateName: 't' }] }), status: { resourceClaimStatuses: [{ name: 'y', resourceClaimName: 'made' }, { name: 'z' }] } }
  graph.podChanged(undefined, claims)
  graph.nodeObjectChanged('volumeAttachment', 'va', undefined, 'a')
  graph.nodeObjectChanged('resourceSlice', 's', undefined, 'a')
  const own = (name: string) => [say(name, 'get', 'resource.k8s.io/resourceclaims', 'ns/named'), say(name, 'get', 'resource.k8s.io/resourceclaims', 'ns/made'), say(name, 'get', 'storage.k8s.io/volumeattachments', 'va'), say(name, 'delete', 'resource.k8s.io/resourceslices', 's')]
  const unrelated = "no relationship found between node 'b' and this object"
  assert.deepStrictEqual([own('a'), own('b')], [Array(4).fill('ALLOWED'), Array(4).fill(unrelated)])
  assert.deepStrictEqual([
    say('a', 'create', 'resource.k8s.io/resourceslices', ''), say('a', 'list', 'resource.k8s.io/resourceslices', '', 'spec.nodeName=a'), say('a', 'list', 'resource.k8s.io/resourceslices', '', 'spec.nodeName=b'), say('a', 'list', 'resource.k8s.io/resourceclaims', 'ns/'), say('a', 'proxy', 'resource.k8s.io/resourceslices', 's'),
  ], ['ALLOWED', 'ALLOWED', 'can only list/watch/deletecollection resourceslices with nodeName field selector', 'can only get individual resources of this type', 'only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection'])
  graph.podChanged(claims, undefined)
  graph.nodeObjectChanged('volumeAttachment', 'va', 'a', undefined)
  graph.nodeObjectChanged('resourceSlice', 's', 'a', undefined)
  assert.deepStrictEqual([own('a'), graph.size], [Array(4).fill("no relationship found between node 'a' and this object"), 0])
})

test('Node: a mirror pod, which the node makes itself, opens nothing but itself', () => {
  const { graph, pod, authorizer } = nodeWorld()
  const mirror = pod('a')
  Object.assign(mirror.metadata, { annotations: { 'kubernetes.io/config.mirror': 'x' } })
  graph.podChanged(undefined, mirror)
  assert.equal(graph.size, 1)
  assert.equal(authorizer.check(ask(node('a'), 'get', 'secrets', 'ns/pull')).allowed, false)
})

test('Node: refusals are worded as upstream words them', () => {
  const { authorizer } = nodeWorld()
  const reason = (args: Parameters<typeof ask>, fieldSelector?: string) => {
    const verdict = authorizer.check({ ...ask(...args), ...(fieldSelector !== undefined && { fieldSelector }) })
    return verdict.allowed ? 'ALLOWED' : verdict.reason
  }
  const a = node('a')
  assert.deepStrictEqual([
    reason([a, 'get', 'secrets', 'ns/x']), reason([a, 'list', 'secrets', 'ns/']), reason([a, 'update', 'secrets', 'ns/x']), reason([a, 'list', 'persistentvolumeclaims', 'ns/']),
    reason([a, 'list', 'nodes']), reason([a, 'get', 'nodes', 'b']), reason([a, 'get', 'nodes', 'a']), reason([a, 'patch', 'nodes/status', 'a']),
    reason([a, 'list', 'pods']), reason([a, 'list', 'pods'], 'spec.nodeName=a'), reason([a, 'watch', 'pods'], 'status.phase!=Failed,spec.nodeName==a'), reason([a, 'list', 'pods'], 'spec.nodeName=b'), reason([a, 'list', 'pods'], 'spec.nodeName!=a'),
    reason([a, 'update', 'coordination.k8s.io/leases', 'kube-node-lease/a']), reason([a, 'update', 'coordination.k8s.io/leases', 'kube-node-lease/b']), reason([a, 'get', 'coordination.k8s.io/leases', 'default/a']),
    reason([a, 'create', 'certificates.k8s.io/certificatesigningrequests']), reason([a, 'list', 'services']), reason([a, 'create', 'events', 'ns/e']), reason([a, 'delete', 'apps/deployments', 'ns/d']),
    reason([{ name: 'system:node:', groups: ['system:nodes'] }, 'get', 'pods', 'ns/p']), reason([{ name: 'system:node:a', groups: [] }, 'list', 'services']),
  ], [
    "no relationship found between node 'a' and this object", 'No Object name found', 'can only read resources of this type', 'can only get individual resources of this type',
    "node 'a' cannot read all nodes, only its own Node object", "node 'a' cannot read 'b', only its own Node object", 'ALLOWED', 'ALLOWED',
    'can only list/watch pods with spec.nodeName field selector', 'ALLOWED', 'ALLOWED', 'can only list/watch pods with spec.nodeName field selector', 'can only list/watch pods with spec.nodeName field selector',
    'ALLOWED', 'can only access node lease with the same name as the requesting node', 'can only access leases in the "kube-node-lease" system namespace',
    'ALLOWED', 'ALLOWED', 'ALLOWED', '',
    'unknown node for user "system:node:"', '',
  ])
})

test('with the default policy: anonymous sees health and version only, masters everything, a joiner asks for its certificate only', async () => {
  const policy = defaultPolicy()
  const source = rbacFromObjects({ clusterRoles: [...policy.clusterRoles], clusterRoleBindings: [...policy.clusterRoleBindings], roles: [...policy.roles], roleBindings: [...policy.roleBindings] })
  const authorizer = createAuthorizer(() => [nodeLink(createNodeAuthorizer(createNodeGraph(), NODE_RULES)), rbacLink(createRbacAuthorizer(source))])
  const may = async (who: UserInfo, ...args: [string, string, string?]) => (await authorizer.authorize(ask(who, ...args))).allowed
  const anonymous = { name: 'system:anonymous', groups: ['system:unauthenticated'] }
  assert.deepStrictEqual(await Promise.all(['/livez', '/readyz', '/version', '/api', '/openapi/v2', '/metrics', '/'].map((p) => may(anonymous, 'get', p))), [true, true, true, false, false, false, false])
  assert.equal(await may(anonymous, 'get', 'pods', 'a/b'), false)
  const joiner = user('system:bootstrap:skiff-node', 'system:bootstrappers', 'system:bootstrappers:skiff:node')
  assert.deepStrictEqual([
    await may(joiner, 'create', 'certificates.k8s.io/certificatesigningrequests'), await may(joiner, 'watch', 'certificates.k8s.io/certificatesigningrequests'), await may(joiner, 'create', 'certificates.k8s.io/certificatesigningrequests/nodeclient'),
    await may(joiner, 'get', 'secrets', 'kube-system/x'), await may(joiner, 'list', 'nodes'), await may(joiner, 'create', 'certificates.k8s.io/certificatesigningrequests/selfnodeclient'),
  ], [true, true, true, false, false, false])
  assert.deepStrictEqual(await Promise.all([may(node('a'), 'list', 'nodes'), may(node('a'), 'watch', 'discovery.k8s.io/endpointslices'), may(node('a'), 'list', 'secrets', 'ns/'), may(node('a'), 'create', 'certificates.k8s.io/certificatesigningrequests/selfnodeclient')]), [true, true, false, true])
  assert.deepStrictEqual(await authorizer.authorize(ask(user('root', 'system:masters'), 'delete', 'namespaces', 'kube-system')), { allowed: true, reason: '' })
  // What lets them do everything knows no rules: those listed are of the roles they are bound to, as everybody's.
  const [masters, others] = [await authorizer.rulesFor(user('root', 'system:masters'), 'x'), await authorizer.rulesFor(user('root'), 'x')]
  assert.deepStrictEqual(masters.resourceRules, [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }, ...others.resourceRules])
  assert.deepStrictEqual(masters.nonResourceRules, [{ verbs: ['*'], nonResourceURLs: ['*'] }, ...others.nonResourceRules])
  assert.equal((await authorizer.rulesFor(node('a'), 'x')).incomplete, true)
})
