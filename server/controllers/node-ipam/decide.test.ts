import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Node, Stored } from '#api/types/index.ts'
import { formatCidr, overlaps, parseCidr, type Cidr } from './cidr.ts'
import { decideNodeIpam } from './decide.ts'

const node: Stored<Node> = { metadata: { name: 'n', uid: 'n', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' } }
const cidr = (text: string): Cidr => parseCidr(text) ?? assert.fail(text)
const decide = (taken: string[], ranges: [string, number][]) => decideNodeIpam({ node, taken, ranges: ranges.map(([range, prefix]) => ({ range: cidr(range), prefix })) }).actions

test('the first free block of each family is given; what overlaps with another node’s is not', () => {
  assert.deepStrictEqual(decide([], [['10.42.0.0/16', 24], ['fd00:42::/48', 64]]), [{ kind: 'assign', podCIDRs: ['10.42.0.0/24', 'fd00:42::/64'] }])
  assert.deepStrictEqual(decide(['10.42.0.0/24', '10.42.2.0/23', '192.168.0.0/24'], [['10.42.0.0/16', 24]]), [{ kind: 'assign', podCIDRs: ['10.42.1.0/24'] }])
  assert.deepStrictEqual(decide(['10.42.0.0/22'], [['10.42.0.0/16', 24]]), [{ kind: 'assign', podCIDRs: ['10.42.4.0/24'] }])
  assert.deepStrictEqual(decide(['10.42.0.0/25', '10.42.0.128/25'], [['10.42.0.0/24', 25]]), [{ kind: 'noneLeft' }])
})

test('CIDRs are read and written as people write them', () => {
  for (const text of ['0.0.0.0/0', '10.42.3.0/24', '::/0', 'fd00::/8', '2001:db8:0:1::/64', '1:0:0:2::/64', '::1/128']) assert.equal(formatCidr(cidr(text)), text)
  assert.equal(formatCidr(cidr('10.1.2.3/16')), '10.1.0.0/16')
  for (const bad of ['', '10.0.0.0', '10.0.0/8', '10.0.0.256/8', '10.0.0.0/33', 'fd00::1::/64', 'g::/8', '1.2.3.4/8/9']) assert.equal(parseCidr(bad), undefined)
})

test('law: no two nodes ever overlap, and a network is used up only when it is full', () => {
  fc.assert(fc.property(fc.integer({ min: 20, max: 24 }), fc.array(fc.boolean(), { maxLength: 40 }), (prefix, steps) => {
    const taken: string[] = []
    for (const add of steps) {
      if (!add && taken.length > 0) { taken.splice(Math.floor(taken.length / 2), 1); continue }
      const [action] = decide(taken, [['10.0.0.0/20', prefix]])
      if (action?.kind !== 'assign') { assert.equal(taken.length, 2 ** (prefix - 20)); continue }
      const given = action.podCIDRs[0] ?? ''
      assert.ok(taken.every((t) => !overlaps(cidr(t), cidr(given))))
      taken.push(given)
    }
  }))
})
