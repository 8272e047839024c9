import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { readProviderFiles } from './provider-files.ts'

test('one file is read, of a directory all that are YAML or JSON, by name; the hash is of what they hold', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'provider-files-'))
  t.after(() => rmSync(dir, { recursive: true }))
  assert.throws(() => readProviderFiles(dir), /no configuration files found in directory/)
  writeFileSync(join(dir, 'b.yml'), 'n: 2\n')
  writeFileSync(join(dir, 'a.yaml'), 'n: 1\n')
  writeFileSync(join(dir, 'c.json'), '{"n":3}')
  writeFileSync(join(dir, 'README.md'), 'n: 4\n')
  mkdirSync(join(dir, 'd.yaml'))
  const all = readProviderFiles(dir)
  assert.deepEqual(all.files, [{ n: 1 }, { n: 2 }, { n: 3 }])
  const one = readProviderFiles(join(dir, 'a.yaml'))
  // As upstream counts: eight bytes of length, then the file.
  assert.deepEqual(one, { files: [{ n: 1 }], hash: `sha256:${createHash('sha256').update('\0\0\0\0\0\0\0\x05n: 1\n').digest('hex')}` })
  assert.notEqual(one.hash, all.hash)
  assert.throws(() => readProviderFiles(join(dir, 'none')), /the configuration of credential providers .* cannot be read: ENOENT/)
})
