/**
 * Cluster IPs and node ports of Services. The stored Services are the truth: `load` rebuilds everything from them at
 * start, there is no second record that could disagree.
 */
import type { Service, ServiceSpec } from '#api/types/index.ts'
import { keyOf } from '#api/types/index.ts'
import { CodedError } from '#base/errors.ts'
import type { Random } from '#base/random.ts'
import { type FieldError, invalid } from '../field-error.ts'
import type { Allocator, Reservation } from '../kind.ts'
import { type Cidr, ipv4Number, ipv4Text, parseCidr4 } from '../kinds/ip.ts'
import { isHeadless, needsClusterIp, needsNodePort } from '../kinds/service.ts'
import { bandSize, Pool } from './pool.ts'

export interface ServiceAllocatorOptions {
  /** IPv4. The first address is the `kubernetes` Service's. */
  serviceCidr: string
  /** Inclusive. Default 30000-32767. */
  nodePorts?: { first: number; last: number }
  /** Addresses only given to who asks for them: the cluster DNS. */
  reserved?: readonly string[]
  random: Random
}

/** What a Service holds. */
interface Holding { ips: number[]; ports: number[] }

export class ServiceAllocator implements Allocator<Service> {
  readonly #cidrText: string
  readonly #cidr: Cidr
  readonly #ports: { first: number; last: number }
  readonly #ips: Pool
  readonly #nodePorts: Pool
  readonly #random: Random

  /** Throws a CodedError `BAD_SERVICE_CIDR`. */
  constructor(options: ServiceAllocatorOptions) {
    const cidr = parseCidr4(options.serviceCidr)
    if (!cidr || cidr.size < 8) throw new CodedError('BAD_SERVICE_CIDR', `--service-cidr ${options.serviceCidr}: give an IPv4 network of at least 8 addresses, such as 10.43.0.0/16`)
    this.#cidrText = options.serviceCidr
    this.#cidr = cidr
    this.#ports = options.nodePorts ?? { first: 30_000, last: 32_767 }
    this.#random = options.random
    // Number 0 is the first address after the network's own; the last one, broadcast, is left out too.
    const size = cidr.size - 2
    this.#ips = new Pool({ size, band: bandSize(size, { min: 16, max: 256, fraction: 16 }), reserved: (options.reserved ?? []).flatMap((ip) => this.#ipNumber(ip) ?? []).concat(0) })
    const ports = this.#ports.last - this.#ports.first + 1
    this.#nodePorts = new Pool({ size: ports, band: bandSize(ports, { min: 16, max: 128, fraction: 32 }) })
  }

  /** Takes over what stored Services hold. Returns a sentence for each clash, for the log: two Services share what only one may have. */
  load(services: Iterable<Service>): string[] {
    const clashes: string[] = []
    for (const service of services) {
      const owner = keyOf(service)
      const { ips, ports } = this.#holding(service.spec)
      for (const ip of ips) if (!this.#ips.take(ip, owner)) clashes.push(`Services ${this.#ips.ownerOf(ip) ?? ''} and ${owner} both have the cluster IP ${this.#ipText(ip)}`)
      for (const port of ports) if (!this.#nodePorts.take(port, owner)) clashes.push(`Services ${this.#nodePorts.ownerOf(port) ?? ''} and ${owner} both have the node port ${this.#ports.first + port}`)
    }
    return clashes
  }

  allocate(service: Service, old: Service | undefined): { ok: true; reservation: Reservation } | { ok: false; errors: FieldError[] } {
    const owner = keyOf(service)
    const before = this.#holding(old?.spec)
    const taken: Holding = { ips: [], ports: [] }
    const spec = (service.spec ??= {})
    const errors = [...setFamilies(spec), ...this.#takeIps(spec, owner, before, taken), ...this.#takePorts(spec, owner, before, taken)]
    const undo = () => this.#free(taken, owner)
    if (errors.length > 0) {
      undo()
      return { ok: false, errors }
    }
    return { ok: true, reservation: { commit: () => this.#freeUnless(before, this.#holding(spec), owner), rollback: undo } }
  }

  release(service: Service): void {
    this.#free(this.#holding(service.spec), keyOf(service))
  }

  #takeIps(spec: ServiceSpec, owner: string, before: Holding, taken: Holding): FieldError[] {
    if (!needsClusterIp(spec) || isHeadless(spec)) return []
    if (!spec.clusterIP) {
      const number = this.#ips.takeAny(owner, this.#random)
      if (number === undefined) return [{ type: 'InternalError', field: 'spec.clusterIPs', message: 'Internal error: failed to allocate a serviceIP: range is full' }]
      taken.ips.push(number)
      spec.clusterIP = this.#ipText(number)
      spec.clusterIPs = [spec.clusterIP]
      return []
    }
    spec.clusterIPs ??= [spec.clusterIP]
    return spec.clusterIPs.flatMap((ip) => {
      const refuse = (why: string): FieldError[] => [invalid('spec.clusterIPs', spec.clusterIPs, `failed to allocate IP ${ip}: ${why}`)]
      const number = this.#ipNumber(ip)
      if (number === undefined) return refuse(`the provided IP (${ip}) is not in the valid range. The range of valid IPs is ${this.#cidrText}`)
      if (before.ips.includes(number)) return []
      if (!this.#take(this.#ips, number, owner)) return refuse('provided IP is already allocated')
      taken.ips.push(number)
      return []
    })
  }

  #takePorts(spec: ServiceSpec, owner: string, before: Holding, taken: Holding): FieldError[] {
    const errors: FieldError[] = []
    const named = (value: number, field: string) => {
      const number = this.#portNumber(value)
      if (number === undefined) errors.push(invalid(field, value, `provided port is not in the valid range. The range of valid ports is ${this.#ports.first}-${this.#ports.last}`))
      else if (before.ports.includes(number) || taken.ports.includes(number)) return
      else if (!this.#take(this.#nodePorts, number, owner)) errors.push(invalid(field, value, 'provided port is already allocated'))
      else taken.ports.push(number)
    }
    const any = (field: string): number | undefined => {
      const number = this.#nodePorts.takeAny(owner, this.#random)
      if (number === undefined) errors.push({ type: 'InternalError', field, message: 'Internal error: failed to allocate a nodePort: range is full' })
      else taken.ports.push(number)
      return number === undefined ? undefined : this.#ports.first + number
    }
    const ports = spec.ports ?? []
    for (const [i, port] of ports.entries()) if (port.nodePort) named(port.nodePort, `spec.ports[${i}].nodePort`)
    if (needsNodePort(spec)) {
      // One port served over TCP and UDP gets one node port.
      const given = new Map<number, number>()
      for (const port of ports) if (port.nodePort) given.set(port.port, port.nodePort)
      for (const [i, port] of ports.entries()) {
        if (port.nodePort) continue
        const shared = given.get(port.port)
        const usable = shared !== undefined && !ports.some((p) => p.nodePort === shared && (p.protocol ?? 'TCP') === (port.protocol ?? 'TCP'))
        const value = usable ? shared : any(`spec.ports[${i}].nodePort`)
        if (value === undefined) continue
        port.nodePort = value
        given.set(port.port, value)
      }
    }
    if (spec.healthCheckNodePort) named(spec.healthCheckNodePort, 'spec.healthCheckNodePort')
    else if (spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local') {
      const value = any('spec.healthCheckNodePort')
      if (value !== undefined) spec.healthCheckNodePort = value
    }
    return errors
  }

  /** A new reservation: what this owner already holds is somebody's too (a second request for the same Service under way). */
  #take(pool: Pool, number: number, owner: string): boolean {
    return pool.ownerOf(number) === undefined && pool.take(number, owner)
  }

  #free(what: Holding, owner: string): void {
    for (const ip of what.ips) this.#ips.release(ip, owner)
    for (const port of what.ports) this.#nodePorts.release(port, owner)
  }

  #freeUnless(what: Holding, kept: Holding, owner: string): void {
    this.#free({ ips: what.ips.filter((ip) => !kept.ips.includes(ip)), ports: what.ports.filter((p) => !kept.ports.includes(p)) }, owner)
  }

  #holding(spec: ServiceSpec | undefined): Holding {
    const ips = needsClusterIp(spec) ? (spec?.clusterIPs ?? (spec?.clusterIP ? [spec.clusterIP] : [])) : []
    const ports = [...(spec?.ports ?? []).map((p) => p.nodePort ?? 0), spec?.healthCheckNodePort ?? 0]
    return { ips: ips.flatMap((ip) => this.#ipNumber(ip) ?? []), ports: [...new Set(ports.flatMap((p) => this.#portNumber(p) ?? []))] }
  }

  #ipNumber(ip: string): number | undefined {
    const number = /^\d+\.\d+\.\d+\.\d+$/.test(ip) ? ipv4Number(ip) - this.#cidr.base - 1 : -1
    return number >= 0 && number < this.#cidr.size - 2 ? number : undefined
  }

  #ipText(number: number): string { return ipv4Text(this.#cidr.base + 1 + number) }

  #portNumber(port: number): number | undefined {
    return port >= this.#ports.first && port <= this.#ports.last ? port - this.#ports.first : undefined
  }
}

/** The cluster is IPv4 only; what Services say about families follows from that. */
function setFamilies(spec: ServiceSpec): FieldError[] {
  if (!needsClusterIp(spec)) return []
  // Who has no selector brings endpoints of any family.
  if (isHeadless(spec) && Object.keys(spec.selector ?? {}).length === 0) {
    spec.ipFamilyPolicy ??= spec.ipFamilies?.length ? (spec.ipFamilies.length > 1 ? 'RequireDualStack' : 'SingleStack') : 'RequireDualStack'
    const first = spec.ipFamilies?.[0] ?? 'IPv4'
    spec.ipFamilies = spec.ipFamilyPolicy === 'SingleStack' ? [first] : [first, first === 'IPv4' ? 'IPv6' : 'IPv4']
    return []
  }
  const errors: FieldError[] = []
  for (const [i, family] of (spec.ipFamilies ?? []).entries()) if (family !== 'IPv4') errors.push(invalid(`spec.ipFamilies[${i}]`, family, 'not configured on this cluster'))
  if (spec.ipFamilyPolicy === 'RequireDualStack') errors.push(invalid('spec.ipFamilyPolicy', spec.ipFamilyPolicy, 'this cluster is not configured for dual-stack services'))
  spec.ipFamilyPolicy ??= 'SingleStack'
  if (errors.length === 0) spec.ipFamilies = ['IPv4']
  return errors
}

/** The n-th address of a network: `serviceAddress('10.43.0.0/16', 1)` is the `kubernetes` Service's. */
export function serviceAddress(serviceCidr: string, n: number): string {
  const cidr = parseCidr4(serviceCidr)
  if (!cidr) throw new CodedError('BAD_SERVICE_CIDR', `--service-cidr ${serviceCidr}: give an IPv4 network such as 10.43.0.0/16`)
  return ipv4Text(cidr.base + n)
}
