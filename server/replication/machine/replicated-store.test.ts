import { storeContract } from '#server/store/store.contract.ts'
import { StoreCluster } from './store-cluster.test-support.ts'

storeContract('replicated, one server', () => {
  const cluster = new StoreCluster({ members: 1 })
  const open = async () => {
    await cluster.startAll()
    return cluster.up[0]!
  }
  return { open, reopen: open, cleanUp: () => cluster.close() }
})

for (const asked of ['leader', 'follower'] as const) {
  storeContract(`replicated, three servers, asking a ${asked}`, () => {
    const cluster = new StoreCluster({ members: 3 })
    return {
      open: async () => {
        await cluster.startAll()
        const store = cluster.member(asked === 'leader' ? 1 : 2).store!
        await store.catchUp()
        return store
      },
      cleanUp: () => cluster.close(),
    }
  })
}
