import { after, before, describe } from 'node:test'
import type { Store } from '../store.ts'
import { storeContract, type StoreHarness } from '../store.contract.ts'
import { noEtcd, since, startEtcd, storeOptions, type EtcdCluster } from './etcd.test-support.ts'
import { openEtcdStore } from './store-etcd.ts'

/** Each store under a prefix of its own, as if the cluster began with it. */
function harnessOn(cluster: () => EtcdCluster, counter: { next: number }): () => StoreHarness {
  return () => {
    const prefix = `/t${counter.next++}`
    const opened: Store[] = []
    const state: { base?: number } = {}
    const open = async () => {
      const store = await openEtcdStore(storeOptions(cluster().endpoints, {}, prefix))
      opened.push(store)
      state.base ??= store.revision() - 1
      return since(state.base, store)
    }
    return { open, reopen: open, revisionsAreForeign: true, cleanUp: async () => { await Promise.all(opened.map((s) => s.close())) } }
  }
}

describe('etcd, one member', { skip: noEtcd }, () => {
  const state: { cluster?: EtcdCluster } = {}
  before(async () => { state.cluster = await startEtcd() })
  after(() => state.cluster?.stop())
  storeContract('etcd', harnessOn(() => state.cluster as EtcdCluster, { next: 0 }))
})

describe('etcd, three members of which one is dead', { skip: noEtcd }, () => {
  const state: { cluster?: EtcdCluster } = {}
  before(async () => {
    state.cluster = await startEtcd({ members: 3 })
    await state.cluster.members[0]?.kill()
  })
  after(() => state.cluster?.stop())
  storeContract('etcd without its first endpoint', harnessOn(() => state.cluster as EtcdCluster, { next: 0 }))
})
