import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { differenceOf, differingKernelSettings, putKernelSettings, sysctlOf } from './kernel-settings.ts'

describe('settings of the kernel', () => {
  let root: string
  beforeEach(() => { root = mkdtempSync(join(tmpdir(), 'skiff-kernel-')) })
  afterEach(() => rmSync(root, { recursive: true }))
  const has = (settings: Record<string, string>) => {
    for (const [name, value] of Object.entries(settings)) {
      mkdirSync(dirname(join(root, name)), { recursive: true })
      writeFileSync(join(root, name), `${value}\n`)
    }
  }
  /** As Debian starts. */
  const DEBIAN: Record<string, string> = { 'vm/overcommit_memory': '0', 'vm/panic_on_oom': '0', 'kernel/panic': '0', 'kernel/panic_on_oops': '0', 'kernel/keys/root_maxkeys': '1000000', 'kernel/keys/root_maxbytes': '25000000' }

  it('that a kubelet makes and that are otherwise are named, and put right', () => {
    has(DEBIAN)
    const differing = differingKernelSettings(root)
    assert.deepStrictEqual(differing.map(sysctlOf), ['vm.overcommit_memory=1', 'kernel.panic=10', 'kernel.panic_on_oops=1'])
    assert.deepStrictEqual(putKernelSettings(differing, root), [])
    assert.deepStrictEqual(['vm/overcommit_memory', 'kernel/panic', 'kernel/panic_on_oops', 'kernel/keys/root_maxkeys'].map((name) => Number(readFileSync(join(root, name), 'utf8'))), [1, 10, 1, 1_000_000])
    assert.deepStrictEqual(differingKernelSettings(root), [])
  })

  it('that the kernel lacks are told, and no file is made for them', () => {
    const { 'kernel/keys/root_maxkeys': _keys, 'kernel/keys/root_maxbytes': _bytes, ...rest } = DEBIAN
    has({ ...rest, 'vm/overcommit_memory': '1', 'kernel/panic': '10', 'kernel/panic_on_oops': '1' })
    const differing = differingKernelSettings(root)
    assert.deepStrictEqual(differing.map(differenceOf), [
      'invalid kernel flag: kernel/keys/root_maxkeys, expected value: 1000000, actual value: none, the kernel has no such setting',
      'invalid kernel flag: kernel/keys/root_maxbytes, expected value: 25000000, actual value: none, the kernel has no such setting',
    ])
    assert.deepStrictEqual(putKernelSettings(differing, root).map(({ setting, why }) => [setting.name, why.slice(0, 6)]), [['kernel/keys/root_maxkeys', 'ENOENT'], ['kernel/keys/root_maxbytes', 'ENOENT']])
    assert.deepStrictEqual(readdirSync(join(root, 'kernel')).toSorted(), ['panic', 'panic_on_oops'])
  })

  it('that cannot be written come back with why, and the others are put right all the same', () => {
    const { 'kernel/panic': _file, ...rest } = DEBIAN
    has({ ...rest, 'kernel/panic/no-file': '' })
    assert.deepStrictEqual(putKernelSettings(differingKernelSettings(root), root).map(({ setting, why }) => [setting.name, why.slice(0, 6)]), [['kernel/panic', 'EISDIR']])
    assert.deepStrictEqual(differingKernelSettings(root).map(sysctlOf), ['kernel.panic=10'])
  })
})
