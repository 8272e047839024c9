import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CONFIG_MAPS, type ConfigMap } from '#api/types/index.ts'
import { MemoryStore } from '#server/store/store-memory.ts'
import { harness } from './app.test-support.ts'
import { namespaceLifecycle } from './admission/namespace-lifecycle.ts'
import type { AdmissionPlugin } from './admission.ts'

/** One of several servers: it shows what is in it, and hears of `elsewhere` when it asks the others. */
class BehindStore extends MemoryStore {
  readonly asked: string[] = []
  elsewhere: (() => Promise<unknown>) | undefined

  override catchUp(): undefined { this.asked.push('catchUp') }

  override async get(key: string, revision?: number) {
    if (revision === undefined) {
      this.asked.push(key)
      await this.elsewhere?.()
    }
    return super.get(key, revision)
  }
}

const lists: AdmissionPlugin = {
  name: 'Lists',
  async validate(request, api) {
    await api.client.list<ConfigMap>(CONFIG_MAPS, { namespace: request.namespace })
    return undefined
  },
}

const configMap = (name: string) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } })

describe('what admission looks at', () => {
  it('is what this server shows: nobody else is asked before a write', async () => {
    const store = new BehindStore()
    const { call } = harness({ store, admission: [namespaceLifecycle, lists] })
    await call('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'here' } })
    store.asked.length = 0
    assert.equal((await call('POST', '/api/v1/namespaces/here/configmaps', configMap('a'))).status, 201)
    assert.deepEqual(store.asked, [])
  })

  it('is looked for among all servers where it is not here', async () => {
    const store = new BehindStore()
    const { call } = harness({ store, admission: [namespaceLifecycle] })
    const value = Buffer.from('{"metadata":{"name":"new","uid":"1"},"status":{"phase":"Active"}}')
    store.elsewhere = () => store.txn({ compare: [], ops: [{ kind: 'put', key: '/registry/core/namespaces/new', value }] })
    assert.equal((await call('POST', '/api/v1/namespaces/new/configmaps', configMap('a'))).status, 201)
    assert.deepEqual(store.asked.slice(0, 1), ['/registry/core/namespaces/new'])
  })

  it('is not there where no server has it', async () => {
    const { call } = harness({ admission: [namespaceLifecycle] })
    const { status, json } = await call('POST', '/api/v1/namespaces/none/configmaps', configMap('a'))
    assert.deepEqual([status, json['message']], [404, 'namespaces "none" not found'])
  })
})
