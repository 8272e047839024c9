import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Client } from '#api/client/client.ts'
import { CONFIG_MAPS, type ConfigMap, type KubeObject, type ResourceRef, type Stored } from '#api/types/index.ts'
import { systemClock } from '#base/clock.ts'
import { silentLog } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import { createObjectSource } from './objects.ts'
import { createApiMemory } from './testing/api-memory.ts'

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

  it('are not watched any more once they are immutable, and stay what they were for the pods that have them', async () => {
    const api = createApiMemory()
    const open = new Set<string>()
    const client: Client = {
      ...api.client,
      async *watch<T extends KubeObject>(ref: ResourceRef, params: Parameters<Client['watch']>[1], signal: AbortSignal) {
        const name = params.fieldSelector ?? ''
        open.add(name)
        try {
          yield* api.client.watch<T>(ref, params, signal)
        } finally {
          open.delete(name)
        }
      },
    }
    const put = (name: string, more: object) => api.put(CONFIG_MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' }, ...more } as KubeObject)
    const until = async (what: string, holds: () => boolean | Promise<boolean>) => {
      for (const end = Date.now() + 30_000; !(await holds()); await systemClock.sleep(2)) assert.ok(Date.now() < end, `not in time: ${what}`)
    }
    put('fixed', { data: { x: '1' } })
    put('free', { data: { x: '1' } })
    const source = createObjectSource(client, { clock: systemClock, random: seededRandom(1), log: silentLog })
    const value = async (name: string, uid = 'pod') => (await source.configMap(uid, 'default', name))?.data?.['x']
    assert.deepEqual([await value('fixed'), await value('free')], ['1', '1'])
    await until('both are watched', () => open.size === 2)
    put('fixed', { data: { x: '2' }, immutable: true })
    await until('only the other is', () => open.size === 1)
    assert.ok(open.has('metadata.name=free'))
    api.remove(CONFIG_MAPS, 'default/fixed')
    put('free', { data: { x: '3' } })
    await until('the other is followed', async () => (await value('free')) === '3')
    assert.deepEqual([await value('fixed'), await value('fixed', 'second')], ['2', '2'])
    source.release('pod')
    source.release('second')
    assert.equal(await value('fixed', 'third'), undefined)
    source.close()
  })
})
