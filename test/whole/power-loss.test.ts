/** The power fails while a real server writes: its store opens and holds all that was acknowledged. More cuts: scripts/power-loss.sh. */
import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { cutPower, recordServer, straceMissing, type Recording } from '../power-loss/power-loss.ts'

const missing = straceMissing()
const SEED = 11

describe('a power cut', { timeout: 600_000, ...(missing !== undefined && { skip: missing }) }, () => {
  let recording: Recording
  before(async () => { recording = await recordServer({ writers: 8, writes: 150, seed: SEED, syncDelayMs: 5 }) })

  it('leaves a store that opens and holds what was acknowledged, whole', async () => {
    const report = await cutPower(recording, { cuts: 250, seed: SEED, msMax: 90_000 })
    assert.deepEqual(report.faults, [])
    // On a slow machine fewer; LevelDB must have gone on to another log at least once.
    assert.ok(report.cuts >= 100 && report.betweenLogs > 10, JSON.stringify(report))
  })

  it('while it is first made leaves one that is made anew, or whole', async () => {
    const made = recording.events.findIndex((e) => e.kind === 'rename' && e.to === 'CURRENT')
    assert.ok(made > 0 && recording.events.length > made + 100)
    const report = await cutPower({ ...recording, events: recording.events.slice(0, made + 100) }, { cuts: 150, seed: SEED, msMax: 60_000 })
    assert.deepEqual(report.faults, [])
    assert.ok(report.cuts >= 60, JSON.stringify(report))
  })

  it('would be found out if the server did not sync', async () => {
    const report = await cutPower({ ...recording, events: recording.events.filter((e) => e.kind !== 'sync') }, { cuts: 20, seed: SEED, msMax: 30_000 })
    assert.ok(report.faults.length > 5, JSON.stringify(report))
  })
})
