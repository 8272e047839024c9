import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeTexts } from './source.ts'

function readOverlay(file: string): Record<string, string> {
  const { Replace } = JSON.parse(readFileSync(file, 'utf8')) as { Replace: Record<string, string> }
  return Object.fromEntries(Object.entries(Replace).map(([place, copy]) => [place, readFileSync(copy, 'utf8')]))
}

test('trees with harnesses of their own share a cache: each has its own files there, and its programs beside them', (t) => {
  const cache = mkdtempSync(join(tmpdir(), 'skiff-overlay-'))
  t.after(() => { rmSync(cache, { recursive: true }) })
  const one = writeTexts('/src', new Map([['a/server.go', 'one'], ['b/server.go', 'same']]), cache)
  const other = writeTexts('/src', new Map([['a/server.go', 'other'], ['b/server.go', 'same']]), cache)
  assert.notStrictEqual(one.dir, other.dir)
  assert.deepStrictEqual([readOverlay(one.file), readOverlay(other.file)], [
    { '/src/a/server.go': 'one', '/src/b/server.go': 'same' },
    { '/src/a/server.go': 'other', '/src/b/server.go': 'same' },
  ])
  assert.deepStrictEqual(writeTexts('/src', new Map([['a/server.go', 'one'], ['b/server.go', 'same']]), cache), one)
  assert.notStrictEqual(writeTexts('/src2', new Map([['a/server.go', 'one'], ['b/server.go', 'same']]), cache).dir, one.dir)
})
