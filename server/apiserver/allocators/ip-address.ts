/** The IPAddress object of a Service's cluster IP, as it is stored. */
import { IP_ADDRESSES, type IPAddress, type Service } from '#api/types/index.ts'
import { uuid } from '#base/random.ts'
import type { KindContext } from '../kind.ts'
import { encodeStored } from '../storage/bytes.ts'
import { storageKey } from '../storage/keys.ts'
import { timestamp } from '../storage/object-meta.ts'

/** Upstream's labels. */
export const FAMILY_LABEL = 'ipaddress.kubernetes.io/ip-family'
export const MANAGED_BY_LABEL = 'ipaddress.kubernetes.io/managed-by'
export const MANAGED_BY = 'ipallocator.k8s.io'

export const addressKey = (ip: string): string => storageKey(IP_ADDRESSES, '', ip)

export function addressOf(ip: string, service: Service): IPAddress {
  return {
    metadata: { name: ip, labels: { [FAMILY_LABEL]: ip.includes(':') ? 'IPv6' : 'IPv4', [MANAGED_BY_LABEL]: MANAGED_BY } },
    spec: { parentRef: { resource: 'services', namespace: service.metadata?.namespace ?? '', name: service.metadata?.name ?? '' } },
  }
}

export function encodeAddress(ip: string, service: Service, { nowMs, random }: KindContext): Buffer {
  const address = addressOf(ip, service)
  return encodeStored({ ...address, metadata: { ...address.metadata, uid: uuid(random), creationTimestamp: timestamp(nowMs) } }, 'IPAddress')
}
