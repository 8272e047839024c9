import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { CONTINUE_MS_MAX, ListAges } from './list-ages.ts'

describe('ages of paged lists', () => {
  it('are known from the moment a list in pages was asked for', () => {
    const ages = new ListAges()
    ages.note(0, 7)
    assert.deepEqual([ages.isOver(CONTINUE_MS_MAX - 1, 6), ages.isOver(CONTINUE_MS_MAX, 6), ages.isOver(CONTINUE_MS_MAX, 7)], [false, true, false])
  })

  it('nothing is over before its time, and all is a minute after it', () => {
    fc.assert(fc.property(fc.array(fc.record({ passMs: fc.integer({ min: 0, max: 200_000 }), writes: fc.integer({ min: 0, max: 3 }) }), { maxLength: 60 }), (steps) => {
      const ages = new ListAges()
      const noted: { atMs: number; revision: number }[] = []
      let nowMs = 0
      let revision = 1
      for (const { passMs, writes } of steps) {
        nowMs += passMs
        revision += writes
        ages.note(nowMs, revision)
        noted.push({ atMs: nowMs, revision })
        for (let asked = 1; asked <= revision; asked++) {
          const since = noted.find((n) => n.revision > asked)?.atMs ?? nowMs
          if (ages.isOver(nowMs, asked)) assert.ok(nowMs - since >= CONTINUE_MS_MAX)
          // A mark stands for what came within a minute after it, and the first list after that makes the next one.
          const mark = noted.find((n) => n.atMs >= since + 60_000)?.atMs ?? Infinity
          if (nowMs - mark >= CONTINUE_MS_MAX) assert.ok(ages.isOver(nowMs, asked))
        }
      }
    }))
  })
})
