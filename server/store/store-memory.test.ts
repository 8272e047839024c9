import { storeContract } from './store.contract.ts'
import { MemoryStore } from './store-memory.ts'

storeContract('memory', () => ({ open: async () => new MemoryStore(), cleanUp: async () => {} }))
