/**
 * Cluster IPs and the IPAddress objects that stand for them, put right where somebody changed one by hand (upstream's
 * ipallocator-repair-controller). Pure.
 */
import type { IPAddress, Service, Stored } from '#api/types/index.ts'
import { nothing, type Decision } from '#base/reconcile/action.ts'

export const MANAGED_BY_LABEL = 'ipaddress.kubernetes.io/managed-by'
export const MANAGED_BY = 'ipallocator.k8s.io'
const FAMILY_LABEL = 'ipaddress.kubernetes.io/ip-family'
/** Between the writes of an address and of its Service by whoever writes them one after the other. */
const GRACE_MS = 60_000

/** A Service's cluster IP. */
export interface ClusterIp {
  ip: string
  address: Stored<IPAddress> | undefined
  inRange: boolean
  /** The Service that the address names, where it is another one that has the IP too. */
  rival: string | undefined
}

export type RepairView =
  | { of: 'service'; service: Stored<Service>; ips: readonly ClusterIp[]; /** Other Services with one of its node ports. */ sharedPorts: readonly string[] }
  | { of: 'address'; address: Stored<IPAddress>; service: Stored<Service> | undefined; nowMs: number }

export type RepairAction =
  | { kind: 'makeAddress'; ip: string; replace: boolean }
  | { kind: 'removeAddress'; ip: string }
  | { kind: 'warn'; reason: string; message: string }

const familyOf = (ip: string): string => (ip.includes(':') ? 'IPv6' : 'IPv4')

export function decideRepair(view: RepairView): Decision<RepairAction> {
  return view.of === 'service' ? decideService(view) : decideAddress(view)
}

function decideService({ service, ips, sharedPorts }: Extract<RepairView, { of: 'service' }>): Decision<RepairAction> {
  const { namespace = '', name } = service.metadata
  const actions = ips.flatMap(({ ip, address, inRange, rival }): RepairAction[] => {
    const family = familyOf(ip)
    if (!inRange) return [{ kind: 'warn', reason: 'ClusterIPOutOfRange', message: `Cluster IP [${family}]: ${ip} is not within any configured Service CIDR; please recreate service` }]
    if (!address) return [{ kind: 'makeAddress', ip, replace: false }]
    const parent = address.spec?.parentRef
    if (rival !== undefined) return [{ kind: 'warn', reason: 'ClusterIPAlreadyAllocated', message: `Cluster IP [${family}]:${ip} was assigned to multiple services; please recreate service` }]
    const isOurs = !parent?.group && parent?.resource === 'services' && parent.namespace === namespace && parent.name === name
    if (!isOurs) return [{ kind: 'warn', reason: 'ClusterIPNotAllocated', message: `the ClusterIP [${family}]: ${ip} for Service ${namespace}/${name} has a wrong reference; repairing` }, { kind: 'makeAddress', ip, replace: true }]
    return address.metadata.labels?.[MANAGED_BY_LABEL] === MANAGED_BY && address.metadata.labels[FAMILY_LABEL] === family ? [] : [{ kind: 'makeAddress', ip, replace: true }]
  })
  for (const port of sharedPorts) actions.push({ kind: 'warn', reason: 'PortAlreadyAllocated', message: `Port ${port} was assigned to multiple services; please recreate service` })
  return actions.length === 0 ? nothing('addresses and ports are its own') : { actions, because: 'somebody changed what the allocator keeps' }
}

function decideAddress({ address, service, nowMs }: Extract<RepairView, { of: 'address' }>): Decision<RepairAction> {
  const { name, labels, creationTimestamp } = address.metadata
  if (labels?.[MANAGED_BY_LABEL] !== MANAGED_BY) return nothing('not the allocator\'s')
  const parent = address.spec?.parentRef
  if (parent?.group || parent?.resource !== 'services') {
    return { actions: [{ kind: 'warn', reason: 'IPAddressNotAllocated', message: `IPAddress ${name} appears to have been modified, not referencing a Service: cleaning up` }, { kind: 'removeAddress', ip: name }], because: 'it is for no Service' }
  }
  if (service) return nothing('its Service is there')
  const orphanAtMs = Date.parse(creationTimestamp) + GRACE_MS
  if (nowMs <= orphanAtMs) return { actions: [], because: 'its Service may yet come', wakeAtMs: orphanAtMs + 1 }
  return { actions: [{ kind: 'warn', reason: 'IPAddressNotAllocated', message: `IPAddress: ${name} for Service ${parent.namespace ?? ''}/${parent.name} appears to have leaked: cleaning up` }, { kind: 'removeAddress', ip: name }], because: 'its Service is gone' }
}
