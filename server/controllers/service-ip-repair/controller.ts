/** Wires the repair of cluster IPs. Keys: `services/<namespace>/<name>`, `ipaddresses/<ip>`. */
import { isReason } from '#api/client/client.ts'
import { IP_ADDRESSES, keyOf, SERVICE_CIDRS, SERVICES, type IPAddress, type Service, type ServiceCIDR, type Stored } from '#api/types/index.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { isOrdinary, recorderFor, unlessGone, type ControllerFactory } from '../controller.ts'
import { coverage } from '../service-networks.ts'
import { decideRepair, MANAGED_BY, MANAGED_BY_LABEL, type ClusterIp, type RepairAction, type RepairView } from './decide.ts'

const SERVICE = 'services/'
const ADDRESS = 'ipaddresses/'
const BY_PORT = 'nodePort'

const clusterIps = (service: Service | undefined): readonly string[] => {
  const spec = service?.spec
  return spec === undefined || spec.type === 'ExternalName' || spec.clusterIP === 'None' || !spec.clusterIP ? [] : (spec.clusterIPs ?? [spec.clusterIP])
}
const nodePorts = (service: Service): string[] => (service.spec?.ports ?? []).flatMap((p) => (p.nodePort ? [`${p.nodePort}/${p.protocol ?? 'TCP'}`] : []))

export const serviceIpRepairController: ControllerFactory = (deps) => {
  const { client, informers, clock } = deps
  const services = informers.of<Service>(SERVICES, { indexes: { [BY_PORT]: nodePorts } })
  const cidrs = informers.of<ServiceCIDR>(SERVICE_CIDRS)
  const addresses = informers.of<IPAddress>(IP_ADDRESSES)
  const recorder = recorderFor('ipallocator-repair-controller', deps)

  const clusterIp = (service: Stored<Service>, ip: string, covers: (ip: string) => boolean): ClusterIp => {
    const address = addresses.get(ip)
    const parent = address?.spec?.parentRef
    const named = parent?.resource === 'services' ? services.get(`${parent.namespace ?? ''}/${parent.name}`) : undefined
    const rival = named && keyOf(named) !== keyOf(service) && clusterIps(named).includes(ip) ? keyOf(named) : undefined
    return { ip, address, inRange: covers(ip), rival }
  }
  const observe = (key: string): RepairView | undefined => {
    if (key.startsWith(ADDRESS)) {
      const address = addresses.get(key.slice(ADDRESS.length))
      const parent = address?.spec?.parentRef
      return address && { of: 'address', address, service: services.get(`${parent?.namespace ?? ''}/${parent?.name ?? ''}`), nowMs: clock.nowMs() }
    }
    const service = services.get(key.slice(SERVICE.length))
    if (!service) return undefined
    const covers = coverage(cidrs.list().flatMap((c) => c.spec?.cidrs ?? []))
    const sharedPorts = nodePorts(service).filter((port) => services.byIndex(BY_PORT, port).some((other) => keyOf(other) !== keyOf(service)))
    return { of: 'service', service, ips: clusterIps(service).map((ip) => clusterIp(service, ip, covers)), sharedPorts }
  }

  const loop = createLoop<RepairView, RepairAction>({
    name: 'ipallocator-repair-controller',
    observe,
    decide: decideRepair,
    effects: (view) => ({
      async warn({ reason, message }) {
        if (view.of === 'service') recorder.event({ apiVersion: 'v1', kind: 'Service', ...view.service }, 'Warning', reason, message)
        else recorder.event({ apiVersion: 'networking.k8s.io/v1', kind: 'IPAddress', ...view.address }, 'Warning', reason, message)
      },
      async removeAddress({ ip }, signal) { await unlessGone(client.delete(IP_ADDRESSES, ip, '', { signal })) },
      async makeAddress({ ip, replace }, signal) {
        if (view.of !== 'service') return
        // Service and address are written at once and seen one after the other: look before anybody is warned.
        if (!replace && (await exists(ip, signal))) return
        const { namespace = '', name } = view.service.metadata
        const family = ip.includes(':') ? 'IPv6' : 'IPv4'
        if (replace) await unlessGone(client.delete(IP_ADDRESSES, ip, '', { signal }))
        else recorder.event({ apiVersion: 'v1', kind: 'Service', ...view.service }, 'Warning', 'ClusterIPNotAllocated', `Cluster IP [${family}]: ${ip} is not allocated; repairing`)
        await client.create<IPAddress>(IP_ADDRESSES, {
          metadata: { name: ip, labels: { 'ipaddress.kubernetes.io/ip-family': family, [MANAGED_BY_LABEL]: MANAGED_BY } },
          spec: { parentRef: { resource: 'services', namespace, name } },
        }, { signal })
      },
    }),
    isOrdinary,
  }, deps)

  const exists = async (ip: string, signal: AbortSignal): Promise<boolean> => {
    try {
      await client.get(IP_ADDRESSES, ip, '', signal)
      return true
    } catch (error) {
      if (isReason(error, 'NotFound')) return false
      throw error
    }
  }

  services.onChange((before, after) => {
    if (after) loop.queue.add(SERVICE + keyOf(after))
    // Whoever had the same; and the address, should it be left.
    if (before && !after) for (const ip of clusterIps(before)) loop.queue.add(ADDRESS + ip)
  })
  addresses.onChange((before, after) => {
    const parent = (after ?? before)?.spec?.parentRef
    if (after) loop.queue.add(ADDRESS + after.metadata.name)
    if (parent?.resource === 'services' && parent.namespace) loop.queue.add(`${SERVICE}${parent.namespace}/${parent.name}`)
  })
  // Until the default network has its object nothing is within any.
  cidrs.onChange((before, after) => {
    if (!before || !after) for (const service of services.list()) loop.queue.add(SERVICE + keyOf(service))
  })
  return { name: 'ipallocator-repair-controller', run: (signal) => loop.run(signal) }
}
