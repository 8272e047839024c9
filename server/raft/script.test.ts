/** Plays `testdata/*.txt`, and compares with what is recorded there: `RECORD=1 node scripts/run-tests.ts server/raft` records anew, to be read before it is committed. */
import assert from 'node:assert/strict'
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { play } from './script.test-support.ts'

const folder = join(import.meta.dirname, 'testdata')

describe('Raft, as scripts tell it', () => {
  for (const file of globSync('*.txt', { cwd: folder }).sort()) {
    it(`${file.replace('.txt', '')} goes as recorded`, () => {
      const path = join(folder, file)
      const recorded = readFileSync(path, 'utf8')
      const played = play(recorded)
      if (process.env.RECORD === '1') writeFileSync(path, played)
      else assert.equal(played, recorded)
    })
  }
})
