import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Client } from '#api/client/client.ts'
import type { ConfigMap, Stored } from '#api/types/index.ts'
import { systemClock } from '#base/clock.ts'
import { silentLog } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import { createObjectSource } from './objects.ts'

describe('the ConfigMaps and Secrets of pods', () => {
  it('are still answered after the end, but no longer watched: nothing keeps a stopped agent alive', async () => {
    const watched: string[] = []
    const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', namespace: 'default', uid: 'u', resourceVersion: '1', creationTimestamp: '' }, data: { x: 'y' } } as unknown as Stored<ConfigMap>
    const refuse = () => Promise.reject(new Error('the API transport is closed'))
    const client = {
      get: () => Promise.resolve(object),
      list: (ref: { resource: string }) => { watched.push(ref.resource); return refuse() },
      watch: (ref: { resource: string }) => { watched.push(ref.resource); throw new Error('the API transport is closed') },
    } as unknown as Client
    const source = createObjectSource(client, { clock: systemClock, random: seededRandom(1), log: silentLog })
    source.close()
    assert.equal((await source.configMap('pod', 'default', 'a'))?.data?.['x'], 'y')
    assert.deepEqual(watched, [])
  })
})
