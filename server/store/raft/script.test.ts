/** Plays `testdata/*.txt`, and compares with what is recorded there: `RECORD=1 node scripts/run-tests.ts server/store/raft` records anew, to be read before it is committed. */
import assert from 'node:assert/strict'
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { ScriptedCluster } from './script.test-support.ts'

const folder = join(import.meta.dirname, 'testdata')

/** Commands stand alone on their lines, `----` and what came of them follows up to the next empty line; `#` begins a comment. */
function play(text: string): string {
  const cluster = new ScriptedCluster()
  const blocks = text.trimEnd().split(/\n\n+/)
  return `${blocks.map((block) => {
    const lines = block.split('\n')
    const end = lines.indexOf('----')
    const given = end < 0 ? lines : lines.slice(0, end)
    const commands = given.filter((line) => !line.startsWith('#') && line.trim() !== '')
    if (commands.length === 0) return given.join('\n')
    const out = commands.flatMap((command) => cluster.run(command))
    return [...given, '----', ...(out.length > 0 ? out : ['nothing happens'])].join('\n')
  }).join('\n\n')}\n`
}

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
