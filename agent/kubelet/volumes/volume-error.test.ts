import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CodedError } from '#base/errors.ts'
import { ATTACH_LIMIT, attachLimitProblem, inStep, VolumeError, volumeFailures, VolumeStepError, type FailedVolume } from './volume-error.ts'

const failed = (volume: string, error: Error, isDevice = false): FailedVolume => ({ volume, isDevice, error })
const claim = (message: string) => new CodedError('VOLUME_CLAIM', message)

const table: [string, FailedVolume[], [string, string][]][] = [
  ['a volume of the pod itself by its name there', [failed('cfg', new Error('configmap "x" not found'))], [['FailedMount', 'MountVolume.SetUp failed for volume "cfg" : configmap "x" not found']]],
  ['one of a driver by its PersistentVolume, with the step', [failed('data', new VolumeStepError('MountDevice', 'pvc-1', new Error('rpc error: busy')))], [['FailedMount', 'MountVolume.MountDevice failed for volume "pvc-1" : rpc error: busy']]],
  ['a device', [failed('disk', new VolumeStepError('SetUpDevice', 'pv', new Error('no')), true), failed('raw', new Error('odd'), true)], [['FailedMapVolume', 'MapVolume.SetUpDevice failed for volume "pv" : no'], ['FailedMapVolume', 'MapVolume.MapPodDevice failed for volume "raw" : odd']]],
  ['what does not fit the node', [failed('data', new VolumeStepError('NodeAffinity check', 'pv', new Error('no matching NodeSelectorTerms')))], [['FailedMount', 'MountVolume.NodeAffinity check failed for volume "pv" : no matching NodeSelectorTerms']]],
  ['what cannot be made larger', [failed('data', new VolumeStepError('Setup', 'pv', new Error('no')))], [['FailedMount', 'MountVolume.Setup failed while expanding volume for volume "pv" : no']]],
  ['claims together, with all that is not mounted', [failed('b', claim('error processing PVC default/b: PVC is not bound')), failed('s', new Error('secret "x" not found')), failed('a', claim('error processing PVC default/a: PVC is being deleted'))], [
    ['FailedMount', 'MountVolume.SetUp failed for volume "s" : secret "x" not found'],
    ['FailedMount', 'Unable to attach or mount volumes: unmounted volumes=[a b s], unattached volumes=[], failed to process volumes=[a b]: error processing PVC default/b: PVC is not bound; error processing PVC default/a: PVC is being deleted'],
  ]],
]
for (const [what, volumes, events] of table) test(`told as upstream: ${what}`, () => assert.deepStrictEqual(volumeFailures(volumes).map(({ reason, message }) => [reason, message]), events))

test('an inner step that failed is not renamed by an outer one, and keeps code and message of its cause', async () => {
  const inner = inStep('SetUp', 'outer', () => inStep('WaitForAttach', 'pv', () => Promise.reject(new CodedError('CSI_ATTACH', 'no attacher'))))
  await assert.rejects(inner, { step: 'WaitForAttach', specName: 'pv', code: 'CSI_ATTACH', message: 'no attacher' })
  assert.equal(await inStep('SetUp', 'pv', () => Promise.resolve(1)), 1)
})

test('an error about several volumes says all of it', () => {
  assert.equal(new VolumeError(volumeFailures([failed('a', new Error('one')), failed('b', new Error('two'))])).message, 'MountVolume.SetUp failed for volume "a" : one; MountVolume.SetUp failed for volume "b" : two')
})

test('a pod that has waited for a volume that its node cannot attach is refused in upstream\'s words, not before, and not for another reason', () => {
  const full = (volume: string, waitedMs: number, code = ATTACH_LIMIT) => ({ ...failed(volume, new VolumeStepError('WaitForAttach', `pv-${volume}`, new CodedError(code, 'full'))), waitedMs })
  const other = { ...failed('b', new Error('configmap "x" not found')), waitedMs: 200_000 }
  assert.deepStrictEqual([attachLimitProblem([]), attachLimitProblem([full('a', 122_999), other]), attachLimitProblem([full('a', 200_000, 'CSI_ATTACH'), other])], [undefined, undefined, undefined])
  assert.equal(attachLimitProblem([full('c', 123_000), other, full('a', 0)]), 'Node has reached its volume attachment limit, rejecting pod. unmounted volumes=[a b c], unattached volumes=[a c], failed to process volumes=[]: context deadline exceeded')
})
