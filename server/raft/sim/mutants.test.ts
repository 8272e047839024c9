/** The simulation is worth as much as the faults it finds: each core that was broken on purpose has to fall in its seed, or one soon after; a few fall only in a script. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { play } from '../script.test-support.ts'
import { makeMutant, mutants } from './mutants.test-support.ts'
import { simulateSeed } from './simulate.ts'

/** A change to the core may let the same seed go another way. Should none of these do, look for a new one: `mutants.test-support.ts` says how. */
const SEEDS_TRIED = 150

describe('it is found when a core', () => {
  for (const mutant of mutants) {
    it(mutant.fault, async () => {
      const makeCore = await makeMutant(mutant)
      if (mutant.script) {
        const recorded = readFileSync(join(import.meta.dirname, '..', 'testdata', `${mutant.script}.txt`), 'utf8')
        assert.notEqual(play(recorded, makeCore), recorded, `the script ${mutant.script} does not find it`)
        return
      }
      let found: Error | undefined
      for (let seed = mutant.seed; !found && seed < mutant.seed + SEEDS_TRIED; seed++) found = simulateSeed(seed, makeCore)
      assert.ok(found, `no seed from ${mutant.seed} to ${mutant.seed + SEEDS_TRIED - 1} finds it`)
    })
  }
})
