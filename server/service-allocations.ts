/** The allocator of Services' addresses and ports, rebuilt from the Services that are stored. */
import type { Service } from '#api/types/index.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import { ServiceAllocator } from './apiserver/allocators/service-allocator.ts'
import type { Allocator } from './apiserver/kind.ts'
import type { Store } from './store/store.ts'

const SERVICES_PREFIX = '/registry/core/services/'

export async function openServiceAllocator(store: Store, options: { serviceCidr: string; clusterDns: string; random: Random; log: Log }): Promise<Allocator> {
  const allocator = new ServiceAllocator({ serviceCidr: options.serviceCidr, reserved: [options.clusterDns], random: options.random })
  const { items } = await store.list({ prefix: SERVICES_PREFIX })
  for (const clash of allocator.load(items.map((i) => JSON.parse(i.value.toString()) as Service))) options.log.warn(clash)
  return allocator as unknown as Allocator
}
