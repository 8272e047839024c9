/**
 * Keeps the allocator of Services' addresses and ports at what is stored: by this server, by others, by whoever writes
 * IPAddress and ServiceCIDR objects.
 */
import { IP_ADDRESSES, type IPAddress, keyOf, type KubeObject, type ResourceRef, type Service, SERVICE_CIDRS, type ServiceCIDR, SERVICES } from '#api/types/index.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import { ServiceAllocator } from './apiserver/allocators/service-allocator.ts'
import type { Allocator } from './apiserver/kind.ts'
import { prefixOf } from './apiserver/storage/keys.ts'
import type { KeyValue, Store } from './store/store.ts'

export async function openServiceAllocator(store: Store, options: { serviceCidr: string; clusterDns: string; random: Random; log: Log }): Promise<Allocator> {
  const allocator = new ServiceAllocator({ serviceCidr: options.serviceCidr, reserved: [options.clusterDns], random: options.random })
  await follow<ServiceCIDR>(store, SERVICE_CIDRS, (before, after) => {
    const name = (after ?? before)?.metadata?.name ?? ''
    allocator.setNetwork(name, after && (isReady(after) ? (after.spec?.cidrs ?? []) : []))
  })
  await follow<IPAddress>(store, IP_ADDRESSES, (before, after) => allocator.addressSeen((after ?? before)?.metadata?.name ?? '', after && ownerOf(after)))
  const services = await follow<Service>(store, SERVICES, (before, after) => allocator.serviceSeen(before, after))
  // Also those that were written before cluster IPs had objects.
  for (const clash of allocator.load(services)) options.log.warn(clash)
  return allocator as unknown as Allocator
}

/** What is there now, as if it was just written, then every change. Resolves with what was there. */
async function follow<T extends KubeObject>(store: Store, ref: ResourceRef, changed: (before: T | undefined, after: T | undefined) => void): Promise<T[]> {
  const prefix = prefixOf(ref, '')
  const parse = (kv: KeyValue): T => JSON.parse(kv.value.toString()) as T
  const read = (kv: KeyValue | undefined): T | undefined => kv && parse(kv)
  const { items, revision } = await store.list({ prefix })
  const present = items.map(parse)
  for (const object of present) changed(undefined, object)
  store.watch({ prefix, afterRevision: revision }, (events) => {
    for (const event of events) changed(read(event.previous), read(event.current))
  })
  return present
}

/** A network that is going away gives out nothing more; one that nobody has looked at yet does. */
function isReady(cidr: ServiceCIDR): boolean {
  return cidr.metadata?.deletionTimestamp === undefined && cidr.status?.conditions?.find((c) => c.type === 'Ready')?.status !== 'False'
}

function ownerOf(address: IPAddress): string {
  const parent = address.spec?.parentRef
  if (parent?.resource !== 'services' || parent.group) return `${parent?.group ?? ''}/${parent?.resource ?? ''}/${parent?.namespace ?? ''}/${parent?.name ?? ''}`
  return keyOf({ metadata: { namespace: parent.namespace ?? '', name: parent.name } })
}
