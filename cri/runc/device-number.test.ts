import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deviceOf } from './device-number.ts'

test('numbers of devices are read as the C library puts them together, minors above 255 and large majors too', () => {
  assert.deepEqual([0x801n, 0x10_3000n, 0x0n | (1_234n & 0xffn) | ((1_234n & ~0xffn) << 12n), 0x0000_1000_0000_0000n, (0xfffn << 8n) | 0xffn | (0xfffffn << 20n)].map(deviceOf), [
    { major: 8, minor: 1 }, { major: 48, minor: 256 }, { major: 0, minor: 1_234 }, { major: 4_096, minor: 0 }, { major: 4_095, minor: 0xfff_ffff },
  ])
})
