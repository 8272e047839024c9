/** Leases that end with the process: for tests. */
import type { Prefix } from '../prefix.ts'
import { LeaseTable } from './lease-table.ts'
import type { Leases } from './leases.ts'

export function createMemoryLeases(prefix: Prefix): Leases {
  const table = new LeaseTable(prefix)
  return {
    get: (id) => table.get(id),
    list: () => table.list(),
    acquire: async (id, ports) => table.acquire(id, ports).lease,
    adopt: async (lease) => table.put(lease),
    async release(id) { table.remove(id) },
    async close() {},
    async destroy() { for (const lease of table.list()) table.remove(lease.id) },
  }
}
