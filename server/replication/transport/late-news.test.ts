import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { AppendMessage, Message } from '../../raft/types.ts'
import { LateNews } from './late-news.ts'

const append = (over: Partial<AppendMessage>): AppendMessage => ({ kind: 'append', from: 1, to: 2, term: 1, prevIndex: 5, prevTerm: 1, entries: [], commit: 5, round: 1, ...over })
const entries = [{ term: 1, index: 6, kind: 'normal', data: Buffer.from('a') }] as const

/** What was said, as `2 +1 commit 5 round 1`. */
function sender() {
  const said: string[] = []
  const turns: (() => void)[] = []
  const news = new LateNews((m: Message) => said.push(m.kind === 'append' ? `${m.to} +${m.entries.length} commit ${m.commit} round ${m.round}` : `${m.to} ${m.kind}`), (turn) => turns.push(turn))
  const turn = (times: number) => {
    for (let i = 0; i < times; i++) for (const next of turns.splice(0)) next()
  }
  return { news, said, turn, get isWaiting() { return turns.length > 0 } }
}

describe('news of a commit', () => {
  it('go along with the entries that follow', () => {
    const { news, said, turn } = sender()
    news.send(append({ entries }))
    news.send(append({ commit: 6 }))
    turn(2)
    news.send(append({ prevIndex: 6, entries, commit: 6 }))
    turn(3)
    assert.deepEqual(said, ['2 +1 commit 5 round 1', '2 +1 commit 6 round 1'])
  })

  it('go by themselves where nothing follows, the newest to each, and then nothing runs', () => {
    const s = sender()
    for (const to of [2, 3]) s.news.send(append({ to, entries }))
    s.news.send(append({ commit: 6 }))
    s.news.send(append({ to: 3, commit: 6 }))
    s.news.send(append({ commit: 7 }))
    s.turn(3)
    assert.deepEqual([s.said.slice(2), s.isWaiting], [['2 +0 commit 7 round 1', '3 +0 commit 6 round 1'], false])
  })

  it('are no heartbeats: a new round, a new term and all else is said at once', () => {
    const { news, said } = sender()
    news.send(append({}))
    news.send(append({ round: 2 }))
    news.send(append({ term: 2, round: 2 }))
    news.send({ kind: 'timeoutNow', from: 1, to: 2, term: 2 })
    assert.deepEqual(said, ['2 +0 commit 5 round 1', '2 +0 commit 5 round 2', '2 +0 commit 5 round 2', '2 timeoutNow'])
  })
})
