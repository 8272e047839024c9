import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from '#base/clock-fake.ts'
import { silentLog } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import { initialConfiguration } from '../../raft/configuration.ts'
import { emptyLogState, MemoryLog } from '../log/memory-log.ts'
import { MemoryCluster } from '../memory/memory-cluster.ts'
import { emptyMachineState, MemoryMachine } from '../memory/memory-machine.ts'
import { MemoryNetwork } from '../memory/memory-network.ts'
import { openReplica } from './replica.ts'

const bytes = (...values: string[]) => values.map((v) => Buffer.from(v))

function aloneParts(clock: FakeClock) {
  const log = emptyLogState(initialConfiguration({ 1: 'memory:1' }))
  const state = emptyMachineState()
  const open = () => openReplica({ id: 1, storage: new MemoryLog(log), machine: new MemoryMachine(state), transport: new MemoryNetwork({ clock, random: seededRandom(1) }).transport(1), clock, random: seededRandom(1), log: silentLog })
  return { log, state, open }
}

describe('a replica alone', () => {
  it('leads at once, applies what is proposed before it says so, and has no timer', async () => {
    const clock = new FakeClock()
    const { state, open } = aloneParts(clock)
    const node = open()
    assert.equal(node.status().role, 'leader')
    assert.deepEqual(await node.propose(bytes('a', 'b')), { term: 1, index: 2 })
    assert.deepEqual(state, { applied: 3, values: ['a', 'b'], partial: undefined })
    assert.equal(await node.readBarrier(), 3)
    assert.equal(clock.pending, 0)
    await node.close()
    await assert.rejects(node.propose(bytes('c')), { code: 'RAFT_STOPPED' })
  })

  it('applies the tail of its log again after a crash', async () => {
    const clock = new FakeClock()
    const { log, state, open } = aloneParts(clock)
    const before = open()
    await before.propose(bytes('a'))
    await before.propose(bytes('b'))
    await before.close()
    state.applied = 0
    state.values = []
    const node = open()
    await node.readBarrier()
    assert.deepEqual(state.values, ['a', 'b'])
    assert.deepEqual(log.entries.map((e) => [e.index, e.term, e.kind]), [[1, 1, 'empty'], [2, 1, 'normal'], [3, 1, 'normal'], [4, 2, 'empty']])
    await node.close()
  })
})

describe('three replicas', () => {
  it('elect a leader, take proposals anywhere and apply them everywhere', async () => {
    const cluster = new MemoryCluster({ members: 3 })
    await cluster.startAll()
    await cluster.leader()
    await Promise.all(cluster.nodes.map((n) => n.propose(bytes(`from ${n.id}`))))
    await Promise.all(cluster.nodes.map((n) => n.readBarrier()))
    const [first, ...others] = cluster.members.map((m) => m.machine.values)
    assert.deepEqual(first?.toSorted(), ['from 1', 'from 2', 'from 3'])
    for (const other of others) assert.deepEqual(other, first)
    await cluster.close()
  })

  it('go on without a leader that died, and bring it up to date when it is back', async () => {
    const cluster = new MemoryCluster({ members: 3 })
    await cluster.startAll()
    const old = await cluster.leader()
    await old.propose(bytes('before'))
    await cluster.kill(cluster.member(old.id))
    const next = await cluster.leader()
    await next.propose(bytes('after'))
    const back = await cluster.start(cluster.member(old.id))
    await cluster.leader()
    await back.readBarrier()
    assert.deepEqual(cluster.member(old.id).machine.values, ['before', 'after'])
    await cluster.close()
  })
})
