import assert from 'node:assert/strict'
import { test } from 'node:test'
import { killMessage } from './messages.ts'

test('why a container is killed, in upstream\'s words: with what follows where that is certain, sidecars by another name', () => {
  const of = (because: Parameters<typeof killMessage>[1]) => [[false, true], [false, false], [true, true]].map(([isSidecar = false, isStartedAgain = false]) => killMessage('c', because, { isSidecar, isStartedAgain }))
  assert.deepStrictEqual([of('liveness'), of('startup'), of('definition'), of('resize'), of('stopping'), of('postStart')], [
    ['Container c failed liveness probe, will be restarted', 'Container c failed liveness probe', 'Init container c failed liveness probe'],
    ['Container c failed startup probe, will be restarted', 'Container c failed startup probe', 'Init container c failed startup probe'],
    ['Container c definition changed, will be restarted', 'Container c definition changed, will be restarted', 'Init container c definition changed'],
    Array.from({ length: 3 }, () => 'Container c resize requires restart'), Array.from({ length: 3 }, () => 'Stopping container c'), Array.from({ length: 3 }, () => 'FailedPostStartHook'),
  ])
})
