/** The power of one of three servers fails: what it said it has is there, and it finds its way back. More cuts: scripts/power-loss.sh --member. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { MemberRecording } from '../power-loss/member.ts'
import { cutPower, straceMissing } from '../power-loss/power-loss.ts'
import { resetThenReopen } from '../power-loss/reopen.ts'

const missing = straceMissing()
const SEED = 5

describe('a power cut of one of three servers', { timeout: 600_000, ...(missing !== undefined && { skip: missing }) }, () => {
  let member: MemberRecording
  before(async () => { member = await MemberRecording.make({ writers: 6, writes: 60, seed: SEED }) })
  after(() => member?.[Symbol.asyncDispose]())

  it('leaves a log that holds all that anybody was told', async () => {
    const report = await cutPower(member.recording, { cuts: 60, seed: SEED, msMax: 60_000, open: resetThenReopen })
    assert.deepEqual(report.faults, [])
    assert.ok(report.cuts >= 15, JSON.stringify(report))
  })

  it('would be found out if the server did not sync', async () => {
    const { recording } = member
    const report = await cutPower({ ...recording, events: recording.events.filter((e) => e.kind !== 'sync') }, { cuts: 20, seed: SEED, msMax: 30_000, open: resetThenReopen })
    assert.ok(report.faults.length > 5, JSON.stringify(report))
  })

  it('is no reason to stay away: it comes back with some pages of what was not synced, and shows what the others wrote', async () => {
    assert.deepEqual(await member.rejoin('pages in any order', SEED), [])
  })

  it('may even lose what was synced: the others have it, and give it back', async () => {
    // The same disk once more: it knows nothing of what it has acknowledged since.
    assert.deepEqual(await member.rejoin('pages in any order', SEED), [])
  })
})
