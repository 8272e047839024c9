import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { labMissing, NetnsLab } from '../testing/netns-lab.ts'
import { nftModel } from '../testing/nft-model.ts'
import { applyNft } from './apply.ts'
import { diffTable, settle } from './diff.ts'
import { observeTable } from './observe.ts'
import { emptyTable, ruleHash, type NftTable } from './table.ts'

/** Chains c0..c3 may jump to chains of a higher number; the map m leads to any; the set s is plain; d is dynamic. */
const tables: fc.Arbitrary<NftTable> = fc.record({
  chains: fc.subarray([0, 1, 2, 3]),
  rules: fc.array(fc.tuple(fc.nat(3), fc.nat(3), fc.nat(9)), { maxLength: 8 }),
  map: fc.array(fc.tuple(fc.nat(3), fc.nat(3)), { maxLength: 4 }),
  set: fc.subarray(['10.0.0.1', '10.0.0.2', '10.0.0.3']),
  dynamic: fc.boolean(),
}).map((shape) => {
  const table = emptyTable('t')
  table.chains.set('base', { hook: { type: 'filter', hook: 'input', priority: 0 }, rules: ['ip saddr @s counter', 'tcp dport vmap @m'] })
  table.sets.set('m', { key: ['inet_service'], map: ['verdict'], elements: new Map() })
  table.sets.set('s', { key: ['ipv4_addr'], elements: new Map(shape.set.map((k) => [k, ''])) })
  if (shape.dynamic) table.sets.set('d', { key: ['ipv4_addr'], timeoutSeconds: 60, elements: new Map() })
  for (const n of shape.chains) table.chains.set(`c${n}`, { rules: [] })
  for (const [from, to, port] of shape.rules) {
    const chain = table.chains.get(`c${from}`)
    if (!chain || !table.chains.has(`c${to}`) || to <= from) continue
    table.chains.set(`c${from}`, { rules: [...chain.rules, shape.dynamic ? `update @d { ip saddr }` : `tcp dport ${port + 1} goto c${to}`] })
  }
  for (const [port, to] of shape.map) if (table.chains.has(`c${to}`)) table.sets.get('m')?.elements.set(String(port), `goto c${to}`)
  return table
})

function hashedShape(table: NftTable | undefined, hash: boolean) {
  return {
    chains: Object.fromEntries([...table?.chains ?? []].map(([n, c]) => [n, c.rules.map((r) => hash ? ruleHash(r) : r)])),
    sets: Object.fromEntries([...table?.sets ?? []].map(([n, s]) => [n, Object.fromEntries(s.elements)])),
  }
}

test('from any table to any other: the kernel takes the transactions, at most two are needed, and then nothing differs', () => {
  fc.assert(fc.property(fc.array(tables, { minLength: 1, maxLength: 5 }), (wishes) => {
    const kernel = nftModel()
    let actual = kernel.read()
    for (const desired of wishes) {
      for (let round = 0; round < 2; round++) {
        const plan = diffTable(actual, desired)
        kernel.apply(plan.commands)
        actual = settle(actual, desired, plan)
        assert.deepEqual(hashedShape(actual, false), hashedShape(kernel.read(), false), 'what settle remembers is what the kernel has')
      }
      assert.deepEqual(diffTable(kernel.read(), desired), { kind: 'none', commands: [] })
      assert.deepEqual(hashedShape(kernel.read(), false), hashedShape(desired, true))
    }
  }), { numRuns: 300 })
})

test('a base chain that sits elsewhere, or a map of another type, is replaced with its whole table in one transaction', () => {
  const desired = emptyTable('t')
  desired.chains.set('in', { hook: { type: 'filter', hook: 'input', priority: 0 }, rules: ['counter'] })
  const kernel = nftModel()
  kernel.apply(diffTable(undefined, desired).commands)
  const moved = emptyTable('t')
  moved.chains.set('in', { hook: { type: 'filter', hook: 'input', priority: -5 }, rules: ['counter'] })
  const plan = diffTable(kernel.read(), moved)
  assert.deepEqual(plan.commands.slice(0, 2), ['delete table ip t', 'add table ip t'])
  kernel.apply(plan.commands)
  assert.deepEqual(diffTable(kernel.read(), moved).commands, [])
})

test('the kernel itself agrees: what was applied reads back as right', { skip: await labMissing() }, async () => {
  const lab = await NetnsLab.open()
  try {
    const { exec } = await lab.pod('kernel')
    assert.equal(await observeTable(exec, 't'), undefined)
    for (const desired of fc.sample(tables, { numRuns: 12, seed: 7 })) {
      for (let round = 0; round < 2; round++) await applyNft(exec, diffTable(await observeTable(exec, 't'), desired).commands)
      assert.deepEqual(diffTable(await observeTable(exec, 't'), desired).commands, [])
    }
  } finally {
    await lab.close()
  }
})
