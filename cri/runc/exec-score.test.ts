import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { withOomScore } from './exec-session.ts'

test('a command by crun begins with its container\'s OOM score, with its own words; one by runc is left alone', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'exec-score-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const crun = join(dir, 'crun')
  writeFileSync(crun, '#!/bin/sh\ncat /proc/self/oom_score_adj; printf "%s," "$@"\n')
  chmodSync(crun, 0o755)
  const run = (score: number) => {
    const [program = '', ...args] = withOomScore(score, [crun, 'exec', 'a b', '$x'])
    return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  }
  assert.equal(run(700), '700\nexec,a b,$x,')
  // What may not be set is passed over.
  assert.match(run(5_000), /^-?\d+\nexec,a b,\$x,$/)
  assert.deepEqual([withOomScore(700, ['runc', 'exec']), withOomScore(undefined, ['crun', 'exec'])], [['runc', 'exec'], ['crun', 'exec']])
})
