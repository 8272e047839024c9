/** The checker on histories that are known to be right or wrong: each wrong one is one fault away from a right one. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkHistory } from './check-history.ts'
import { parseHistory } from './history-text.ts'

const GOOD: Record<string, string> = {
  'one client, one thing after the other': `
    0-1 c1 get k1 -> nothing
    2-3 c1 create k1 a -> a @5
    4-5 c1 create k1 b -> conflict
    6-7 c1 put k1 c if a -> c @6
    8-9 c1 add k1 d -> c+d @7
    10-11 c1 list -> k1=c+d@7 @9
    12-13 c1 delete k1 if c -> conflict
    14-15 c1 delete k1 -> deleted
    16-17 c1 put k1 e -> missing`,
  'a read beside a write may see either': `
    0-10 c1 create k1 a -> a @5
    1-2 c2 get k1 -> nothing
    3-4 c3 get k1 -> a
    5-6 c2 get k1 -> a`,
  'a write of unknown outcome that was seen much later': `
    0-? c1 create k1 a -> unknown
    10-11 c2 get k1 -> nothing
    20-21 c2 get k1 -> a`,
  'a write of unknown outcome that never happened': `
    0-1 c1 create k1 a -> a @5
    2-? c1 put k1 b -> unknown
    10-11 c2 put k1 c if a -> c @6`,
  'a write of unknown outcome between two that are known': `
    0-1 c1 create k1 a -> a @5
    2-? c1 add k1 b -> unknown
    10-11 c2 add k1 c -> a+b+c @7`,
  'a put that lost against a deletion': `
    0-1 c1 create k1 a -> a @5
    2-10 c1 delete k1 -> deleted
    3-11 c2 put k1 b if a -> conflict`,
  'a deletion of unknown outcome': `
    0-1 c1 create k1 a -> a @5
    2-? c1 delete k1 -> unknown
    3-4 c2 get k1 -> a
    5-6 c2 create k1 b -> b @8`,
  'a write whose answer was lost and a second one that lost against it': `
    0-1 c1 create k1 a -> a @5
    2-? c1 put k1 b if a -> unknown
    3-4 c2 put k1 c if a -> conflict
    5-6 c2 get k1 -> b @6`,
  'an old list where an old one was asked for': `
    0-1 c1 create k1 a -> a @5
    2-3 c1 put k1 b -> b @7
    4-5 c2 list from 5 -> k1=a@5 @6
    w1 list @1
    w1 ADDED k1=a @5
    w1 MODIFIED k1=b @7`,
  'a watch over two servers': `
    0-1 c1 create k1 a -> a @5
    2-3 c1 put k1 b -> b @6
    4-5 c1 delete k1 -> deleted
    w1 list @1
    w1 ADDED k1=a @5
    w1 connected
    w1 MODIFIED k1=b @6
    w1 bookmark @6
    w1 connected
    w1 DELETED k1=b @7
    w2 list @5 k1=a@5
    w2 MODIFIED k1=b @6`,
}

const BAD: Record<string, [history: string, fault: RegExp]> = {
  'a stale read': [`
    0-1 c1 create k1 a -> a @5
    2-3 c1 put k1 b -> b @6
    4-5 c2 get k1 -> a`, /^k is not linearizable.*\n.*\n.*\n {2}cannot go on with any of\n {4}4.0\.\.5.0 c2 on s: get k1 -> a$/],
  'two readers who saw a change in opposite orders': [`
    0-1 c1 create k1 a -> a @5
    2-10 c1 put k1 b -> b @6
    3-4 c2 get k1 -> b
    5-6 c3 get k1 -> a`, /not linearizable/],
  'a stale list': [`
    0-1 c1 create k1 a -> a @5
    2-3 c2 list -> @5`, /not linearizable/],
  'a list that mixes two moments': [`
    0-1 c1 create k1 a -> a @5
    2-3 c1 create k2 b -> b @6
    4-20 c1 put k1 c -> c @7
    21-40 c1 put k2 d -> d @8
    5-39 c2 list -> k1=a@5 k2=d@8 @8`, /not linearizable/],
  'a lost update: two puts that both expected the same': [`
    0-1 c1 create k1 a -> a @5
    2-10 c1 put k1 b if a -> b @6
    3-11 c2 put k1 c if a -> c @7`, /not linearizable/],
  'a lost update: a patch that forgot another': [`
    0-1 c1 create k1 a -> a @5
    2-10 c1 add k1 b -> a+b @6
    3-11 c2 add k1 c -> a+c @7`, /not linearizable/],
  'a lost write': [`
    0-1 c1 create k1 a -> a @5
    10-11 c2 get k1 -> nothing`, /not linearizable/],
  'a dirty read: seen, and never there again': [`
    0-1 c1 create k1 a -> a @5
    2-? c1 put k1 b -> unknown
    3-4 c2 get k1 -> b
    5-6 c2 get k1 -> a`, /not linearizable/],
  'a read of what nobody wrote': [`
    0-1 c2 get k1 -> z`, /not linearizable/],
  'a write that happened twice': [`
    0-1 c1 create k1 a -> a @5
    2-? c1 put k1 b -> unknown
    3-4 c2 get k1 -> b
    5-6 c2 put k1 c -> c @7
    7-8 c3 get k1 -> b`, /not linearizable/],
  'a write that happened twice, which only its revisions tell': [`
    0-1 c1 create k1 a -> a @5
    2-3 c2 get k1 -> a @5
    4-5 c2 get k1 -> a @6`, /^a write happened twice: k1=a has the revisions 5 and 6/],
  'two creates that both succeeded': [`
    0-10 c1 create k1 a -> a @5
    1-11 c2 create k1 b -> b @6`, /not linearizable/],
  'a conflict with nothing': [`
    0-1 c1 create k1 a -> a @5
    2-3 c1 put k1 b if a -> conflict`, /not linearizable/],
  'a deletion that came back': [`
    0-1 c1 create k1 a -> a @5
    2-3 c1 delete k1 -> deleted
    4-5 c2 get k1 -> a`, /not linearizable/],
  'two deletions of one object': [`
    0-1 c1 create k1 a -> a @5
    2-10 c1 delete k1 -> deleted
    3-11 c2 delete k1 -> deleted`, /not linearizable/],
  'an unknown write that would have to happen before it was asked for': [`
    0-1 c2 get k1 -> a
    2-? c1 create k1 a -> unknown`, /not linearizable/],
  'revisions that go back between two keys': [`
    0-1 c1 create k1 a -> a @9
    2-3 c2 create k2 b -> b @6`, /^revisions went back: .*@9, then .*@6/],
  'a list of a revision below what was acknowledged': [`
    0-1 c1 create k1 a -> a @9
    2-3 c2 list -> k1=a@9 @8`, /^revisions went back/],
  'a list older than was asked for': [`
    0-1 c1 list from 7 -> @6`, /^a list is older than was asked for/],
  'one revision for two changes': [`
    0-10 c1 create k1 a -> a @5
    1-11 c2 create k2 b -> b @5`, /^revision 5 was given twice/],
  'a watch that skips': [`
    0-1 c1 create k1 a -> a @5
    2-3 c1 create k2 b -> b @6
    4-5 c1 create k3 c -> c @7
    w1 list @1
    w1 ADDED k1=a @5
    w1 ADDED k3=c @7`, /^w1 was not told of k2=b @6, which c1 was told is stored$/],
  'a watch that skips what another one was told': [`
    w1 list @1
    w1 ADDED k1=a @5
    w1 ADDED k2=b @6
    w2 list @1
    w2 ADDED k2=b @6`, /^w2 was not told of ADDED k1=a @5/],
  'a watch that skips over a reconnection, which a bookmark tells': [`
    w1 list @1
    w1 ADDED k1=a @5
    w1 MODIFIED k1=b @6
    w2 list @1
    w2 ADDED k1=a @5
    w2 connected
    w2 bookmark @8`, /^w2 was not told of MODIFIED k1=b @6/],
  'a watch that repeats': [`
    w1 list @1
    w1 ADDED k1=a @5
    w1 connected
    w1 ADDED k1=a @5`, /^w1 saw revision 5, then ADDED k1=a @5$/],
  'a watch out of order': [`
    w1 list @1
    w1 ADDED k2=b @6
    w1 ADDED k1=a @5`, /^w1 saw revision 6, then ADDED k1=a @5$/],
  'a change before its bookmark': [`
    w1 list @1
    w1 bookmark @8
    w1 ADDED k1=a @5`, /^w1 saw revision 8/],
  'a watch that tells of a change to what is not there': [`
    w1 list @1
    w1 MODIFIED k1=a @5`, /^w1 knew k1=nothing, then was told MODIFIED/],
  'watches that disagree': [`
    w1 list @1
    w1 ADDED k1=a @5
    w2 list @1
    w2 ADDED k1=b @5`, /^watchers were told differently/],
  'a watching client that lists an older state on another server': [`
    w1 list @1
    w1 ADDED k1=a @5
    w1 list @4`, /^w1 saw revision 5, then a list of 4/],
  'an old list that never was': [`
    0-1 c2 list from 1 -> k2=b@6 @6
    w1 list @1
    w1 ADDED k1=a @5
    w1 ADDED k2=b @6`, /^a list is not of its revision 6: k1 is nothing, was a/],
}

describe('the checker', () => {
  for (const [name, history] of Object.entries(GOOD)) it(`takes: ${name}`, () => assert.deepEqual(checkHistory(parseHistory(history)).faults, []))
  for (const [name, [history, fault]] of Object.entries(BAD)) it(`refuses: ${name}`, () => assert.match(checkHistory(parseHistory(history)).faults[0] ?? 'nothing is wrong', fault))

  it('leaves out writes of unknown outcome that a complete watch never told of', () => {
    const judged = checkHistory(parseHistory(`
      0-1 c1 create k1 a -> a @5
      2-? c1 put k1 b -> unknown
      3-? c1 put k1 c -> unknown
      4-5 c1 get k1 -> c @6
      w1 list @1
      w1 ADDED k1=a @5
      w1 MODIFIED k1=c @6`))
    assert.deepEqual(judged, { faults: [], operations: 4, unknown: 2, settled: 1, cells: 1, changes: 2 })
  })

  it('leaves none out where the watch does not reach so far', () => {
    const judged = checkHistory(parseHistory(`
      0-1 c1 create k1 a -> a @5
      2-? c1 put k1 b -> unknown
      4-5 c1 get k1 -> b @6
      w1 list @1
      w1 ADDED k1=a @5`))
    assert.deepEqual({ faults: judged.faults, settled: judged.settled }, { faults: [], settled: 0 })
  })

  it('first looks for an order in which nothing happened that nobody saw: writes without an answer do not cost it the decision', () => {
    const beside = Array.from({ length: 60 }, (_, i) => `2-? c${i} add k1 t${i} -> unknown`).join('\n')
    const told = `0-1 c0 create k1 a -> a @5\n${beside}\n900-901 c9 get k1 -> a\n902-903`
    assert.deepEqual(checkHistory(parseHistory(`${told} c9 get k1 -> a`), 10_000).faults, [])
    // Here one of them has to have happened.
    assert.deepEqual(checkHistory(parseHistory(`0-1 c0 create k1 a -> a @5\n2-? c1 put k1 b -> unknown\n4-5 c2 put k1 c if a -> conflict`)).faults, [])
  })

  it('says so when it cannot decide', () => {
    const beside = Array.from({ length: 60 }, (_, i) => `0-? c${i} add k1 t${i} -> unknown`).join('\n')
    assert.match(checkHistory(parseHistory(`0-1 c0 create k1 a -> a @5\n${beside}\n900-901 c9 get k1 -> z`), 10_000).faults[0] ?? '', /^k: not decided after 10000 steps/)
  })
})
