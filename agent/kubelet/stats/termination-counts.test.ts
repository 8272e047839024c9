import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ContainerStatus } from '#api/types/index.ts'
import { createTerminationCounts } from './termination-counts.ts'

const status = (name: string, exitCode?: number): ContainerStatus => ({ name, image: '', imageID: '', ready: false, restartCount: 0, state: exitCode === undefined ? { running: {} } : { terminated: { exitCode, reason: exitCode === 0 ? 'Completed' : 'Error' } } })

test('an end counts once a status first says so, by list, code and reason', () => {
  const counts = createTerminationCounts()
  assert.deepStrictEqual(counts.metrics(), [])
  counts.note({}, { initContainerStatuses: [status('i', 0)], containerStatuses: [status('a'), status('b', 139)] })
  counts.note({ initContainerStatuses: [status('i', 0)], containerStatuses: [status('a'), status('b', 139)] }, { initContainerStatuses: [status('i', 0)], containerStatuses: [status('a', 139), status('b', 139)], ephemeralContainerStatuses: [status('e', 1)] })
  assert.deepStrictEqual(counts.metrics()[0]?.samples, [
    { labels: { container_type: 'init_container', exit_code: '0', reason: 'Completed' }, value: 1 },
    { labels: { container_type: 'container', exit_code: '139', reason: 'Error' }, value: 2 },
    { labels: { container_type: 'ephemeral_container', exit_code: '1', reason: 'Error' }, value: 1 },
  ])
})
