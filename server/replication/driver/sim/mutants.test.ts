/** The simulation is worth as much as the faults it finds: each driver that was broken on purpose has to fall in its seed, or one soon after. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { makeMutant, mutants } from './mutants.test-support.ts'
import { World } from './world.ts'

/** A change to the driver may let the same seed go another way. Should none of these do, look for a new one. */
const SEEDS_TRIED = 60

describe('it is found when a driver', () => {
  for (const mutant of mutants) {
    it(mutant.fault, async () => {
      const open = await makeMutant(mutant)
      for (let seed = mutant.seed; seed < mutant.seed + SEEDS_TRIED; seed++) {
        try {
          await new World(seed, undefined, open).run()
        } catch {
          // Found.
          return
        }
      }
      assert.fail(`no seed from ${mutant.seed} to ${mutant.seed + SEEDS_TRIED - 1} finds it`)
    })
  }
})
