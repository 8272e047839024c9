import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { seededRandom } from '#base/random.ts'
import { initialConfiguration } from './configuration.ts'
import { defaultRaftOptions, Raft } from './raft.ts'
import { NOBODY } from './types.ts'
import type { Entry, MemberId, Message, RaftEvent, RaftOptions, Ready } from './types.ts'

/** Servers whose disks and wires are perfect and instant: what one step asks for is done before the next event. */
class PerfectCluster {
  readonly rafts = new Map<MemberId, Raft>()
  readonly applied = new Map<MemberId, Entry[]>()
  readonly outcomes: unknown[] = []
  nowMs = 0
  readonly #logs = new Map<MemberId, Entry[]>()

  constructor(ids: readonly MemberId[], options: Partial<RaftOptions> = {}) {
    const configuration = initialConfiguration(Object.fromEntries(ids.map((id) => [String(id), `server-${id}`])))
    for (const id of ids) {
      const log: Entry[] = []
      this.#logs.set(id, log)
      this.applied.set(id, [])
      this.rafts.set(id, new Raft(
        { ...defaultRaftOptions, ...options, id },
        { hardState: { term: 0, vote: NOBODY }, base: { index: 0, term: 0, configuration }, lastIndex: 0, terms: [], configurations: [], applied: 0, partialSnapshot: undefined },
        { entries: (low, high) => log.slice(low - 1, high - 1) },
        seededRandom(id),
        0,
      ))
    }
  }

  step(id: MemberId, ...events: RaftEvent[]): void {
    const work: { id: MemberId; events: RaftEvent[] }[] = [{ id, events }]
    for (let next = work.shift(); next; next = work.shift()) {
      const ready = this.rafts.get(next.id)?.step(next.events, this.nowMs)
      if (ready) work.push(...this.#do(next.id, ready))
    }
  }

  tick(times: number): void {
    for (let i = 0; i < times; i++) {
      this.nowMs += 100
      for (const id of this.rafts.keys()) this.step(id, { kind: 'tick' })
    }
  }

  leader(): Raft {
    const leader = [...this.rafts.values()].find((r) => r.status().role === 'leader')
    assert.ok(leader)
    return leader
  }

  #do(id: MemberId, ready: Ready): { id: MemberId; events: RaftEvent[] }[] {
    const out: { id: MemberId; events: RaftEvent[] }[] = []
    const deliver = (messages: readonly Message[]) => messages.forEach((message) => out.push({ id: message.to, events: [{ kind: 'message', message }] }))
    deliver(ready.messages)
    if (ready.persist) {
      const log = this.#logs.get(id) ?? []
      const first = ready.persist.entries[0]
      if (first) log.length = first.index - 1
      log.push(...ready.persist.entries)
      deliver(ready.persist.messages)
      out.push({ id, events: [{ kind: 'persisted', sequence: ready.persist.sequence }] })
    }
    const last = ready.committed.at(-1)
    this.applied.get(id)?.push(...ready.committed)
    if (last) out.push({ id, events: [{ kind: 'applied', index: last.index }] })
    this.outcomes.push(...ready.proposals, ...ready.reads)
    return out
  }
}

const texts = (entries: readonly Entry[] | undefined) => entries?.filter((e) => e.kind === 'normal').map((e) => e.data.toString())

describe('Raft', () => {
  it('elects one of three, replicates what any of them is given, and answers reads', () => {
    const cluster = new PerfectCluster([1, 2, 3])
    cluster.tick(25)
    const leader = cluster.leader().status()
    assert.deepEqual([...cluster.rafts.values()].map((r) => r.status().leader), [leader.id, leader.id, leader.id])
    const follower = leader.id === 1 ? 2 : 1
    cluster.step(leader.id, { kind: 'propose', id: 1, data: [Buffer.from('a'), Buffer.from('b')] })
    cluster.step(follower, { kind: 'propose', id: 2, data: [Buffer.from('c')] })
    cluster.step(follower, { kind: 'read', id: 3 })
    assert.deepEqual(cluster.outcomes, [
      { id: 1, ok: true, term: leader.term, index: 2 },
      { id: 2, ok: true, term: leader.term, index: 4 },
      { id: 3, ok: true, index: 4 },
    ])
    for (const id of [1, 2, 3]) assert.deepEqual(texts(cluster.applied.get(id)), ['a', 'b', 'c'])
  })

  it('commits in a cluster of one without ticks and messages', () => {
    const cluster = new PerfectCluster([7])
    cluster.step(7, { kind: 'propose', id: 1, data: [Buffer.from('a')] })
    cluster.step(7, { kind: 'propose', id: 2, data: [Buffer.from('b')] })
    cluster.step(7, { kind: 'read', id: 3 })
    assert.deepEqual(cluster.outcomes, [
      { id: 1, ok: true, term: 1, index: 2 },
      { id: 2, ok: true, term: 1, index: 3 },
      { id: 3, ok: true, index: 3 },
    ])
    assert.deepEqual(texts(cluster.applied.get(7)), ['a', 'b'])
  })
})
