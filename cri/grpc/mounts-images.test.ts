import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkMountsImages } from './mounts-images.ts'

test('a runtime that is too old to mount images is refused by name, one that is new enough or unknown is not', () => {
  const refusal = (runtimeName: string, runtimeVersion: string) => {
    try {
      checkMountsImages({ runtimeName, runtimeVersion })
      return ''
    } catch (error) {
      return (error as Error).message
    }
  }
  assert.equal(refusal('containerd', '1.6.20~ds1'), "ImageVolumeMountFailed: containerd 1.6.20~ds1 cannot mount images: image volumes need containerd 2.1 or newer, or skiff's own runtime")
  assert.deepStrictEqual(['v2.0.5', '2.1.0', 'v2.2.1', '10.0.0'].map((v) => refusal('containerd', v) === ''), [false, true, true, true])
  assert.deepStrictEqual(['1.30.9', '1.31.0', '2.0.0'].map((v) => refusal('cri-o', v) === ''), [false, true, true])
  assert.deepStrictEqual([refusal('skiff', '1.0.0'), refusal('containerd', 'dev')], ['', ''])
})
