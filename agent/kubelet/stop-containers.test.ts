import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLog } from '#base/log.ts'
import type { ContainerStatus } from '#cri/index.ts'
import { shutdownGraceSeconds, stopContainers } from './stop-containers.ts'

const grace = (seconds?: string) => shutdownGraceSeconds({ annotations: seconds === undefined ? {} : { 'io.kubernetes.pod.terminationGracePeriod': seconds } })

test('on the way down a pod has its own grace, but five seconds at most', () => {
  assert.deepStrictEqual([grace('0'), grace('2'), grace('30'), grace(), grace('soon')], [0, 2, 5, 5, 5])
})

test('all containers are stopped, whatever becomes of one of them', async () => {
  const stopped: [string, number][] = []
  await stopContainers({
    listContainers: (filter) => Promise.resolve(filter?.state === 'running' ? ['a', 'b', 'c'].map((id) => ({ id, annotations: {} }) as unknown as ContainerStatus) : []),
    stopContainer: (id, seconds) => {
      stopped.push([id, seconds])
      return id === 'b' ? Promise.reject(new Error('stuck')) : Promise.resolve()
    },
  }, silentLog)
  assert.deepStrictEqual(stopped, [['a', 5], ['b', 5], ['c', 5]])
})
