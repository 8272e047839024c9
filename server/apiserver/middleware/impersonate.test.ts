import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { UserInfo } from '#api/types/index.ts'
import type { Attributes } from '../auth.ts'
import { ask, user } from '../authz/authz.test-support.ts'
import { StatusError } from '../http/status.ts'
import { createImpersonator } from './impersonate.ts'

/** `allowed`: `verb what name`, or with `*` for any name. */
function impersonator(...allowed: string[]) {
  const asked: string[] = []
  const shown = (a: Attributes) => `${a.verb} ${a.resource ? `${a.resource.group === '' ? '' : `${a.resource.group}/`}${a.resource.resource}${a.resource.subresource === '' ? '' : `/${a.resource.subresource}`} ${a.resource.namespace === '' ? '' : `${a.resource.namespace}/`}${a.resource.name}` : a.path}`
  const made = createImpersonator({
    authorize: (a) => { asked.push(shown(a)); return Promise.resolve({ allowed: allowed.includes(shown(a)) || allowed.includes(shown(a).replace(/ [^ ]*$/, ' *')), reason: '' }) },
    rulesFor: () => Promise.reject(new Error('not asked')),
  })
  const as = async (headers: Record<string, string>, requestor: UserInfo = user('alice'), wants: Attributes = ask(requestor, 'list', 'pods', 'ns/')) => {
    try {
      return await made.impersonate(headers, wants)
    } catch (error) {
      assert.ok(error instanceof StatusError)
      return `${error.body.code} ${error.body.message}`
    }
  }
  return { as, asked }
}

const bob = { 'impersonate-user': 'bob' }

test('the old way: the verb impersonate on everything that is asked for', async () => {
  const { as } = impersonator('impersonate users bob', 'impersonate groups dev', 'impersonate groups system:masters', 'impersonate authentication.k8s.io/uids 7', 'impersonate authentication.k8s.io/userextras/example.com/x *', 'impersonate serviceaccounts ns/sa', 'impersonate users system:anonymous')
  const groups = { 'impersonate-group': 'dev\nsystem:masters' }
  assert.deepStrictEqual([
    await as(bob), await as({ ...bob, ...groups, 'impersonate-uid': '7', 'impersonate-extra-example.com%2fx': 'a\nb' }), await as({ 'impersonate-user': 'system:serviceaccount:ns:sa' }), await as({ 'impersonate-user': 'system:anonymous' }), await as({}),
  ], [
    { user: { name: 'bob', groups: ['system:authenticated'] } },
    { user: { name: 'bob', groups: ['dev', 'system:masters', 'system:authenticated'], uid: '7', extra: { 'example.com/x': ['a', 'b'] } } },
    { user: { name: 'system:serviceaccount:ns:sa', groups: ['system:serviceaccounts', 'system:serviceaccounts:ns', 'system:authenticated'] } },
    { user: { name: 'system:anonymous', groups: ['system:unauthenticated'] } }, undefined,
  ])
})

test('constrained: who, and for what, are allowed apart', async () => {
  const { as } = impersonator('impersonate-on:user-info:list pods *', 'impersonate:user-info authentication.k8s.io/users bob', 'impersonate:user-info authentication.k8s.io/groups dev')
  const constraint = 'impersonate:user-info'
  const alice = user('alice')
  assert.deepStrictEqual([
    await as(bob), await as({ ...bob, 'impersonate-group': 'dev' }), await as(bob, alice, ask(alice, 'delete', 'pods', 'ns/p')), await as({ 'impersonate-user': 'carol' }), await as({ ...bob, 'impersonate-group': 'system:masters' }), await as(bob, alice, ask(alice, 'get', '/metrics')),
  ], [
    { user: { name: 'bob', groups: ['system:authenticated'] }, constraint }, { user: { name: 'bob', groups: ['dev', 'system:authenticated'] }, constraint },
    '403 pods "p" is forbidden: User "alice" cannot impersonate-on:user-info:delete resource "pods" in API group "" in the namespace "ns"',
    '403 users.authentication.k8s.io "carol" is forbidden: User "alice" cannot impersonate:user-info resource "users" in API group "authentication.k8s.io" at the cluster scope',
    '403 groups.authentication.k8s.io "system:masters" is forbidden: impersonating the system:masters group is not allowed',
    '403 forbidden: User "alice" cannot impersonate-on:user-info:get path "/metrics"',
  ])
})

test('constrained: service accounts, any node, and a pod\'s own node', async () => {
  const robot: UserInfo = { name: 'system:serviceaccount:ns:agent', groups: [], extra: { 'authentication.kubernetes.io/node-name': ['n1'] } }
  const { as, asked } = impersonator('impersonate-on:associated-node:list pods *', 'impersonate:associated-node authentication.k8s.io/nodes *', 'impersonate-on:serviceaccount:list pods *', 'impersonate:serviceaccount authentication.k8s.io/serviceaccounts ns/sa')
  const node = (name: string) => as({ 'impersonate-user': `system:node:${name}` }, robot)
  assert.deepStrictEqual([await node('n1'), await as({ 'impersonate-user': 'system:serviceaccount:ns:sa' }, robot)], [
    { user: { name: 'system:node:n1', groups: ['system:nodes', 'system:authenticated'] }, constraint: 'impersonate:associated-node' },
    { user: { name: 'system:serviceaccount:ns:sa', groups: ['system:serviceaccounts', 'system:serviceaccounts:ns', 'system:authenticated'] }, constraint: 'impersonate:serviceaccount' },
  ])
  assert.equal(await node('n2'), '403 pods is forbidden: User "system:serviceaccount:ns:agent" cannot impersonate-on:arbitrary-node:list resource "pods" in API group "" in the namespace "ns"')
  asked.length = 0
  await as({ 'impersonate-user': 'system:serviceaccount:ns:sa' }, robot)
  assert.deepStrictEqual(asked, ['impersonate-on:serviceaccount:list pods ns/', 'impersonate:serviceaccount authentication.k8s.io/serviceaccounts ns/sa'], 'the mode that worked last is tried first')
})

test('groups, ids and extra fields without a user are a mistake', async () => {
  const { as } = impersonator()
  assert.deepStrictEqual([await as({ 'impersonate-group': 'a' }), await as({ 'impersonate-uid': '7' }), await as({ 'impersonate-extra-k': 'v' })], [
    '400 requested &user.DefaultInfo{Name:"", UID:"", Groups:[]string{"a"}, Extra:map[string][]string(nil)} without impersonating a user name',
    '400 requested &user.DefaultInfo{Name:"", UID:"7", Groups:[]string(nil), Extra:map[string][]string(nil)} without impersonating a user name',
    '400 requested &user.DefaultInfo{Name:"", UID:"", Groups:[]string(nil), Extra:map[string][]string{"k":[]string{"v"}}} without impersonating a user name',
  ])
})
