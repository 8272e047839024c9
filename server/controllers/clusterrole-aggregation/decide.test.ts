import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ClusterRole, PolicyRule, Stored } from '#api/types/index.ts'
import { decideAggregation } from './decide.ts'

const role = (name: string, labels: Record<string, string>, rules: PolicyRule[], selector?: Record<string, string>): Stored<ClusterRole> => ({
  metadata: { name, labels, uid: name, resourceVersion: '1', creationTimestamp: '' }, rules, ...(selector && { aggregationRule: { clusterRoleSelectors: [{ matchLabels: selector }] } }),
})
const rule = (resource: string): PolicyRule => ({ verbs: ['get'], apiGroups: [''], resources: [resource] })

test('an aggregated role has the rules of all roles its selectors match, by name, each once', () => {
  const parts = [role('b', { to: 'x' }, [rule('b'), rule('shared')]), role('a', { to: 'x' }, [rule('a'), rule('shared')]), role('c', { to: 'y' }, [rule('c')])]
  const admin = role('admin', { to: 'x' }, [rule('old')], { to: 'x' })
  assert.deepStrictEqual(decideAggregation({ role: admin, all: [...parts, admin] }), { actions: [{ kind: 'writeRules', rules: [rule('a'), rule('shared'), rule('b')] }], because: 'the roles it is made of have changed' })
  const right = role('admin', {}, [rule('a'), rule('shared'), rule('b')], { to: 'x' })
  assert.deepStrictEqual(decideAggregation({ role: right, all: [...parts, right] }), { actions: [], because: 'rules are right' })
})

test('a role without aggregation rule is left alone', () => {
  assert.deepStrictEqual(decideAggregation({ role: role('own', {}, [rule('a')]), all: [] }), { actions: [], because: 'not aggregated' })
})
