import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from '#base/clock-fake.ts'
import { CodedError } from '#base/errors.ts'
import { silentLog } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import { initialConfiguration } from '../../raft/configuration.ts'
import { Raft } from '../../raft/raft.ts'
import type { Persist, RaftEvent } from '../../raft/types.ts'
import { emptyLogState, MemoryLog } from '../log/memory-log.ts'
import { MemoryCluster } from '../memory/memory-cluster.ts'
import { emptyMachineState, MemoryMachine } from '../memory/memory-machine.ts'
import { MemoryNetwork } from '../memory/memory-network.ts'
import { openReplica, type ReplicaOptions } from './replica.ts'

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

describe('a replica and its disk', () => {
  /** A log whose writes end when the test says so. */
  class HeldLog extends MemoryLog {
    readonly writes: { readonly persists: readonly Persist[]; readonly end: (error?: Error) => void }[] = []
    isFull = false

    override assertRoom(): void {
      if (this.isFull) throw new CodedError('DISK_FULL', 'no room')
    }

    override async write(persists: readonly Persist[]): Promise<void> {
      await new Promise<void>((resolve, reject) => this.writes.push({ persists, end: (error) => { if (error) reject(error); else resolve() } }))
      await super.write(persists)
    }

    async end(error?: Error): Promise<void> {
      this.writes.at(-1)?.end(error)
      for (let i = 0; i < 5; i++) await new Promise((r) => setImmediate(r))
    }
  }

  async function heldReplica() {
    const clock = new FakeClock()
    const storage = new HeldLog(emptyLogState(initialConfiguration({ 1: 'memory:1' })))
    const state = emptyMachineState()
    const node = openReplica({ id: 1, storage, machine: new MemoryMachine(state), transport: new MemoryNetwork({ clock, random: seededRandom(1) }).transport(1), clock, random: seededRandom(1), log: silentLog })
    await storage.end()
    return { clock, storage, state, node }
  }

  it('writes all that came during a sync with the next one', async () => {
    const { storage, state, node } = await heldReplica()
    const first = node.propose(bytes('first'))
    await new Promise((r) => setImmediate(r))
    await storage.end()
    assert.deepEqual(await first, { term: 1, index: 2 })
    const second = node.propose(bytes('second'))
    await new Promise((r) => setImmediate(r))
    const others = Array.from({ length: 30 }, (_, i) => node.propose(bytes(String(i))))
    await storage.end()
    await second
    assert.equal(storage.writes.length, 4)
    await storage.end()
    await Promise.all(others)
    assert.equal(storage.writes.length, 4)
    assert.equal(state.values.length, 32)
    await node.close()
  })

  it('takes nothing new while there is little room, says so, and goes on by itself', async () => {
    const { clock, storage, node } = await heldReplica()
    storage.isFull = true
    await assert.rejects(node.propose(bytes('a')), { code: 'DISK_FULL', message: 'the disk of the leading server is full' })
    await assert.rejects(node.propose(bytes('b')), { code: 'DISK_FULL' })
    assert.equal(clock.pending, 1)
    await clock.advance(3_000)
    storage.isFull = false
    await assert.rejects(node.propose(bytes('c')), { code: 'DISK_FULL' })
    await clock.advance(1_000)
    assert.equal(clock.pending, 0)
    const done = node.propose(bytes('d'))
    await new Promise((r) => setImmediate(r))
    await storage.end()
    await done
    await node.close()
  })

  it('waits with a write that finds no room, and makes it when there is some', async () => {
    const { clock, storage, state, node } = await heldReplica()
    const waits = node.propose(bytes('waits'))
    await new Promise((r) => setImmediate(r))
    await storage.end(new CodedError('DISK_FULL', 'no room'))
    await assert.rejects(node.propose(bytes('not now')), { code: 'DISK_FULL' })
    await clock.advance(1_000)
    await storage.end()
    await waits
    assert.deepEqual(state.values, ['waits'])
    assert.equal(clock.pending, 0)
    await node.close()
  })

  it('ends with a write that failed: nobody knows what is on the disk', async () => {
    const { storage, state, node } = await heldReplica()
    const open = node.propose(bytes('a'))
    await new Promise((r) => setImmediate(r))
    const broken = new CodedError('RAFT_LOG_WRITE_FAILED', 'the disk is broken')
    const ended = assert.rejects(node.failed, broken)
    const unknown = assert.rejects(open, { code: 'RAFT_UNKNOWN' })
    await storage.end(broken)
    await Promise.all([ended, unknown])
    await assert.rejects(node.propose(bytes('b')), { code: 'RAFT_STOPPED' })
    await assert.rejects(node.readBarrier(), { code: 'RAFT_STOPPED' })
    assert.deepEqual(state.values, [])
    await node.close()
  })

  it('ends with a state that could not be written', async () => {
    const clock = new FakeClock()
    const fail = Promise.withResolvers<never>()
    const machine = Object.assign(new MemoryMachine(emptyMachineState()), { failed: fail.promise })
    const node = openReplica({ id: 1, storage: new MemoryLog(emptyLogState(initialConfiguration({ 1: 'memory:1' }))), machine, transport: new MemoryNetwork({ clock, random: seededRandom(1) }).transport(1), clock, random: seededRandom(1), log: silentLog })
    await node.propose(bytes('a'))
    const broken = new CodedError('STORE_WRITE_FAILED', 'no space left on device')
    fail.reject(broken)
    await assert.rejects(node.failed, broken)
    await assert.rejects(node.propose(bytes('b')), { code: 'RAFT_STOPPED' })
    await node.close()
  })

  it('does not begin with a state that its log does not lead to', () => {
    const { log, state, open } = aloneParts(new FakeClock())
    state.applied = 5
    assert.throws(open, { code: 'RAFT_LOG_DAMAGED', message: /the state on disk is that of entry 5, the replicated log has 1 to 0.*kubectl delete node.*restore a snapshot/ })
    state.applied = 0
    log.base = { ...log.base, index: 3 }
    assert.throws(open, { code: 'RAFT_LOG_DAMAGED' })
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

  it('say of a write whose leader was replaced that it was not made', async () => {
    const cluster = new MemoryCluster({ members: 3 })
    await cluster.startAll()
    const old = await cluster.leader()
    cluster.network.partition(new Set([old.id]))
    const lost = Promise.allSettled([old.propose(bytes('one')), old.propose(bytes('two', 'three'))])
    const others = cluster.nodes.filter((n) => n !== old)
    const next = await until(() => others.find((n) => n.status().role === 'leader'))
    await next.propose(bytes('instead'))
    // Before the old one, parted for too long, says that it does not know.
    cluster.network.heal()
    assert.deepEqual((await lost).map((r) => (r.status === 'rejected' ? (r.reason as CodedError).code : r.status)), ['RAFT_LOST', 'RAFT_LOST'])
    await old.readBarrier()
    assert.deepEqual(cluster.member(old.id).machine.values, ['instead'])
    await cluster.close()
  })

  it('let nobody wait for ever who is parted from the others', async () => {
    const cluster = new MemoryCluster({ members: 3 })
    await cluster.startAll()
    const leader = await cluster.leader()
    const follower = cluster.nodes.find((n) => n !== leader)
    cluster.network.partition(new Set([leader.id]))
    await assert.rejects(leader.propose(bytes('a')), { code: 'RAFT_UNKNOWN' })
    await assert.rejects(leader.readBarrier(), { code: 'RAFT_NO_LEADER' })
    cluster.network.partition(new Set(cluster.nodes.map((n) => n.id)))
    cluster.network.partition(new Set([follower?.id ?? 0]))
    await until(() => follower?.status().leader === 0)
    await assert.rejects(follower?.readBarrier() ?? Promise.resolve(), { code: 'RAFT_NO_LEADER' })
    await assert.rejects(follower?.propose(bytes('b')) ?? Promise.resolve(), { code: 'RAFT_NO_LEADER' })
    await cluster.close()
  })

  it('have another leader at once when theirs is stopped', async () => {
    const cluster = new MemoryCluster({ members: 3, options: { raft: { tickMs: 100, electionTicks: 6_000 } } })
    await cluster.startAll()
    // Only one that is asked campaigns before ten minutes are over.
    cluster.nodes[0]?.campaign()
    await until(() => cluster.nodes[0]?.status().role !== 'leader' ? undefined : true)
    const leader = await cluster.leader(20_000)
    await leader.propose(bytes('a'))
    await cluster.stop(cluster.member(leader.id))
    const next = await cluster.leader()
    assert.notEqual(next.id, leader.id)
    await next.propose(bytes('b'))
    await cluster.close()
  })

  it('share one question among all reads that come at a time', async () => {
    const questions: number[] = []
    const makeCore: ReplicaOptions['makeCore'] = (options, recovered, reader, random, nowMs) => {
      const core = new Raft(options, recovered, reader, random, nowMs)
      return new Proxy(core, {
        get(target, name) {
          if (name === 'step') return (events: readonly RaftEvent[], now: number) => {
            const reads = events.filter((e) => e.kind === 'read').length
            if (reads > 0) questions.push(reads)
            return target.step(events, now)
          }
          const value: unknown = Reflect.get(target, name, target)
          return typeof value === 'function' ? (value.bind(target) as unknown) : value
        },
      })
    }
    const cluster = new MemoryCluster({ members: 3, options: { makeCore } })
    await cluster.startAll()
    const leader = await cluster.leader()
    const { index } = await leader.propose(bytes('a'))
    const follower = cluster.nodes.find((n) => n !== leader)
    assert.ok(follower)
    questions.length = 0
    const answers = await Promise.all(Array.from({ length: 100 }, () => follower.readBarrier()))
    assert.deepEqual(questions, [1])
    assert.ok(answers.every((a) => a === answers[0] && a >= index))
    await cluster.close()
  })
})

describe('members that come and go', () => {
  it('make three of one, which get what is no longer in the log as a snapshot, and one of three', async () => {
    const cluster = new MemoryCluster({ members: 1, options: { logBytesMax: 4_000, logBytesKept: 1_000, aloneLogBytesMax: 2_000, raft: { tickMs: 10, electionTicks: 10, snapshotChunkBytes: 100 } } })
    const first = await cluster.start(cluster.member(1))
    const values = Array.from({ length: 200 }, (_, i) => `value ${i}`)
    for (const value of values) await first.propose(bytes(value))
    const { log } = cluster.member(1)
    assert.ok(log.base.index > 100 && log.entries.length < 60, `the log has ${log.base.index + 1} to ${log.base.index + log.entries.length}`)
    for (const id of [2, 3]) {
      await cluster.start(cluster.addMember())
      await first.changeMembers([{ kind: 'addVoter', member: id, address: `memory:${id}` }])
      await until(() => first.status().configuration.voters.includes(id) && first.status().configuration.outgoing.length === 0)
    }
    await first.propose(bytes('of three'))
    await Promise.all(cluster.nodes.map((n) => n.readBarrier()))
    for (const { machine } of cluster.members) assert.deepEqual(machine.values, [...values, 'of three'])
    await first.changeMembers([{ kind: 'remove', member: 2 }, { kind: 'remove', member: 3 }])
    assert.deepEqual(first.status().configuration.voters, [1])
    await until(() => cluster.members[1]?.node?.status().removed)
    await first.propose(bytes('alone again'))
    await assert.rejects(cluster.members[1]?.node?.changeMembers([{ kind: 'remove', member: 1 }]) ?? Promise.resolve(), { code: 'RAFT_NO_LEADER' })
    await cluster.close()
  })

  it('bring up to date who was away, from the log where it reaches back so far', async () => {
    const cluster = new MemoryCluster({ members: 3, options: { logBytesMax: 8_000, logBytesKept: 4_000 } })
    await cluster.startAll()
    const leader = await cluster.leader()
    const away = cluster.members.find((m) => m.id !== leader.id)
    assert.ok(away)
    for (const [count, isByLog] of [[20, true], [300, false]] as const) {
      await cluster.kill(away)
      for (let i = 0; i < count; i++) await leader.propose(bytes(`value ${i}`))
      const baseBefore: number = away.log.base.index
      const node = await cluster.start(away)
      await until(() => node.status().leader === leader.id)
      await node.readBarrier()
      assert.deepEqual(away.machine.values, cluster.member(leader.id).machine.values)
      assert.equal(away.log.base.index === baseBefore, isByLog, `${count} behind`)
    }
    await cluster.close()
  })

  it('hand changes out one at a time, and refuse those that cannot be', async () => {
    const cluster = new MemoryCluster({ members: 1 })
    const node = await cluster.start(cluster.member(1))
    await node.readBarrier()
    await assert.rejects(node.changeMembers([{ kind: 'remove', member: 1 }]), { code: 'RAFT_INVALID_CHANGE' })
    const first = node.changeMembers([{ kind: 'addLearner', member: 2, address: 'memory:2' }])
    await assert.rejects(node.changeMembers([{ kind: 'addLearner', member: 3, address: 'memory:3' }]), { code: 'RAFT_CHANGING' })
    await first
    assert.deepEqual(node.status().configuration.learners, [2])
    await cluster.close()
  })
})

async function until<T>(find: () => T | undefined | false, msMax = 60_000): Promise<T> {
  const endMs = performance.now() + msMax
  for (;;) {
    const found = find()
    if (found) return found
    assert.ok(performance.now() < endMs, `not within ${msMax} ms: ${String(find)}`)
    await new Promise((r) => setTimeout(r, 2))
  }
}
