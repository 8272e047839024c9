/** Configuration files as people write them. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { readYamlMapping } from './config-file.ts'

test('a file that is empty, or all comments, sets nothing; two documents are refused', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'config-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const read = (text: string) => {
    writeFileSync(join(dir, 'c.yaml'), text)
    return readYamlMapping(join(dir, 'c.yaml'), { optional: false, what: 'the config file' })
  }
  assert.deepStrictEqual(['', '\n', '# node-name: shed\n', '---\n', '--- # nothing\n'].map(read), [{}, {}, {}, {}, {}])
  assert.deepStrictEqual(read('node-name: shed # mine\n'), { 'node-name': 'shed' })
  assert.throws(() => read('a: 1\n---\nb: 2\n'), /the config file .*c\.yaml holds 2 documents: it must be one/)
  assert.throws(() => read('- a\n'), /must be a mapping of names to values/)
})
