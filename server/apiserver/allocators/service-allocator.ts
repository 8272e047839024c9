/**
 * Cluster IPs and node ports of Services. The store is the truth: for each cluster IP there is an IPAddress object, written
 * and removed in the transaction that writes or removes the Service, so that of two servers one gets an address and the
 * other finds it taken (KEP-1880). Of a node port there is a key of its own for the same reason. What is here follows the
 * store's changes (`service-networks.ts`).
 */
import type { Service, ServiceSpec } from '#api/types/index.ts'
import { keyOf } from '#api/types/index.ts'
import { CodedError } from '#base/errors.ts'
import type { Random } from '#base/random.ts'
import { type FieldError, invalid } from '../field-error.ts'
import type { Op } from '#server/store/store.ts'
import type { Allocator, KindContext, Reservation } from '../kind.ts'
import { type Address, addressText, parseAddress } from '../kinds/ip.ts'
import { isHeadless, needsClusterIp, needsNodePort } from '../kinds/service.ts'
import { AddressBook, isUsable, nthAddress, parseRange, type ServiceRange } from './address-book.ts'
import { addressKey, encodeAddress } from './ip-address.ts'
import { keepsBothFamilies, setFamilies } from './ip-families.ts'
import { bandSize, Pool } from './pool.ts'

export interface ServiceAllocatorOptions {
  /** One network, or two of both families with a comma between; the first family is the default, its first address the `kubernetes` Service's. */
  serviceCidr: string
  /** Inclusive. Default 30000-32767. */
  nodePorts?: { first: number; last: number }
  /** Addresses only given to who asks for them: the cluster DNS. */
  reserved?: readonly string[]
  random: Random
}

/** What a Service holds: ports as numbers from the first one on. */
interface Holding { ips: Address[]; ports: number[] }

/** The ServiceCIDR that stands for --service-cidr. */
export const DEFAULT_SERVICE_CIDR = 'kubernetes'
/** Keys of the node ports that are taken; upstream keeps a bitmap under a name like this. */
const NODE_PORTS = '/registry/ranges/servicenodeports/'
/** Of an address or port that another server was faster to take: whose it is will be seen. */
const SOMEBODY = '?'
/** Of eight addresses. */
const USABLE_MIN = 6

export class ServiceAllocator implements Allocator<Service> {
  /** Of the command line: one for each family of the cluster, the default family first. */
  readonly #defaults: readonly ServiceRange[]
  /** By the ServiceCIDR's name; the default one first. */
  readonly #ranges = new Map<string, readonly ServiceRange[]>()
  readonly #ports: { first: number; last: number }
  readonly #ips: AddressBook
  readonly #nodePorts: Pool
  readonly #random: Random

  /** Throws a CodedError `BAD_SERVICE_CIDR`. */
  constructor(options: ServiceAllocatorOptions) {
    this.#defaults = parseServiceCidr(options.serviceCidr)
    this.#ranges.set(DEFAULT_SERVICE_CIDR, this.#defaults)
    this.#ports = options.nodePorts ?? { first: 30_000, last: 32_767 }
    this.#random = options.random
    this.#ips = new AddressBook([...(options.reserved ?? []).flatMap((ip) => parseAddress(ip) ?? []), ...this.#defaults.slice(0, 1).map((range) => nthAddress(range, 1))])
    const ports = this.#ports.last - this.#ports.first + 1
    this.#nodePorts = new Pool({ size: ports, band: bandSize(ports, { min: 16, max: 128, fraction: 32 }) })
  }

  /** What a ServiceCIDR offers now; undefined: it is gone. Without its object the default network stays that of the command line. */
  setNetwork(name: string, cidrs: readonly string[] | undefined): void {
    const ranges = (cidrs ?? []).flatMap((text) => parseRange(name, text) ?? [])
    if (cidrs) this.#ranges.set(name, ranges)
    else if (name === DEFAULT_SERVICE_CIDR) this.#ranges.set(name, this.#defaults)
    else this.#ranges.delete(name)
  }

  /** An IPAddress was written (`owner`: what it is for) or removed. */
  addressSeen(ip: string, owner: string | undefined): void {
    const address = parseAddress(ip)
    if (address !== undefined) this.#ips.seen(address, owner)
  }

  /** A Service was written or removed, here or by another server. */
  serviceSeen(before: Service | undefined, after: Service | undefined): void {
    if (before) for (const owner of [keyOf(before), SOMEBODY]) this.#free({ ips: [], ports: this.#holding(before.spec).ports }, owner)
    if (after) for (const port of this.#holding(after.spec).ports) this.#nodePorts.seen(port, keyOf(after))
  }

  /** Takes over what stored Services hold. Returns a sentence for each clash, for the log: two Services share what only one may have. */
  load(services: Iterable<Service>): string[] {
    const clashes: string[] = []
    for (const service of services) {
      const owner = keyOf(service)
      const { ips, ports } = this.#holding(service.spec)
      for (const ip of ips) if (!this.#ips.take(ip, owner)) clashes.push(`Services ${this.#ips.ownerOf(ip) ?? ''} and ${owner} both have the cluster IP ${addressText(ip)}`)
      for (const port of ports) if (!this.#nodePorts.take(port, owner)) clashes.push(`Services ${this.#nodePorts.ownerOf(port) ?? ''} and ${owner} both have the node port ${this.#ports.first + port}`)
    }
    return clashes
  }

  allocate(service: Service, old: Service | undefined, ctx: KindContext): { ok: true; reservation: Reservation } | { ok: false; errors: FieldError[] } {
    const owner = keyOf(service)
    const before = this.#holding(old?.spec)
    const taken: Holding = { ips: [], ports: [] }
    const spec = (service.spec ??= {})
    const errors = [...this.#takeIps(spec, old?.spec, owner, before, taken), ...this.#takePorts(spec, owner, before, taken, old === undefined)]
    const undo = () => this.#free(taken, owner)
    if (errors.length > 0) {
      undo()
      return { ok: false, errors }
    }
    const after = this.#holding(spec)
    const gone: Holding = { ips: before.ips.filter((ip) => !after.ips.includes(ip)), ports: before.ports.filter((port) => !after.ports.includes(port)) }
    const fresh = taken.ips.map(addressText)
    const freshPorts = taken.ports.map((port) => this.#portKey(port))
    return {
      ok: true,
      reservation: {
        commit: () => this.#freeUnless(before, after, owner),
        rollback: undo,
        ...(fresh.length + freshPorts.length + gone.ips.length + gone.ports.length > 0 && {
          also: {
            compare: [...fresh.map(addressKey), ...freshPorts].map((key) => ({ key, modRevision: 0 })),
            ops: [
              ...fresh.map((ip): Op => ({ kind: 'put', key: addressKey(ip), value: encodeAddress(ip, service, ctx) })),
              ...freshPorts.map((key): Op => ({ kind: 'put', key, value: Buffer.from(owner) })),
              ...this.#removals(gone, owner),
            ],
          },
        }),
      },
    }
  }

  release(service: Service): void {
    this.#free(this.#holding(service.spec), keyOf(service))
  }

  alsoRemoved(service: Service): readonly Op[] {
    return this.#removals(this.#holding(service.spec), keyOf(service))
  }

  lost(key: string): void {
    const name = key.slice(key.lastIndexOf('/') + 1)
    const port = key.startsWith(NODE_PORTS) ? this.#portNumber(Number(name)) : undefined
    if (port !== undefined) this.#nodePorts.seen(port, SOMEBODY)
    else this.addressSeen(name, SOMEBODY)
  }

  /** What is somebody else's by now stays. */
  #removals({ ips, ports }: Holding, owner: string): Op[] {
    const addresses = ips.filter((ip) => this.#ips.ownerOf(ip) === owner).map((ip) => addressKey(addressText(ip)))
    const nodePorts = ports.filter((port) => this.#nodePorts.ownerOf(port) === owner).map((port) => this.#portKey(port))
    return [...addresses, ...nodePorts].map((key) => ({ kind: 'delete', key }))
  }

  #portKey(port: number): string { return NODE_PORTS + String(this.#ports.first + port) }

  #takeIps(spec: ServiceSpec, old: ServiceSpec | undefined, owner: string, before: Holding, taken: Holding): FieldError[] {
    if (!needsClusterIp(spec)) return []
    if (!keepsBothFamilies(spec, old)) {
      const errors = setFamilies(spec, old, this.#defaults.map(({ family }) => family))
      if (errors.length > 0) return errors
    }
    if (isHeadless(spec)) return []
    const given = spec.clusterIPs?.length ? spec.clusterIPs : spec.clusterIP ? [spec.clusterIP] : []
    const asked = (spec.ipFamilies ?? []).map((family, i) => ({ family, text: given[i] ?? '' }))
    const errors: FieldError[] = []
    const got = asked.map(({ family, text }) => {
      const ranges = [...this.#ranges.values()].flat().filter((range) => range.family === family)
      const result = text === '' ? this.#takeAny(ranges, owner, taken) : this.#takeNamed(text, given, ranges, owner, before, taken)
      if (typeof result === 'string') return result
      errors.push(result)
      return text
    })
    if (errors.length > 0) return errors
    spec.clusterIPs = got
    spec.clusterIP = got[0] ?? ''
    return []
  }

  /** The address, or why there is none. */
  #takeAny(ranges: readonly ServiceRange[], owner: string, taken: Holding): string | FieldError {
    const ip = this.#ips.takeAny(ranges, owner, this.#random)
    if (ip === undefined) return { type: 'InternalError', field: 'spec.clusterIPs', message: 'Internal error: failed to allocate a serviceIP: range is full' }
    taken.ips.push(ip)
    return addressText(ip)
  }

  #takeNamed(text: string, all: readonly string[], ranges: readonly ServiceRange[], owner: string, before: Holding, taken: Holding): string | FieldError {
    const refuse = (why: string): FieldError => invalid('spec.clusterIPs', all, `failed to allocate IP ${text}: ${why}`)
    const ip = parseAddress(text)
    if (ip !== undefined && before.ips.includes(ip)) return text
    if (ip === undefined || !ranges.some((range) => isUsable(range, ip))) return refuse(`the provided IP (${text}) is not in the valid range. The range of valid IPs is ${ranges.map((r) => r.text).join(', ')}`)
    if (this.#ips.ownerOf(ip) !== undefined) return refuse('provided IP is already allocated')
    this.#ips.take(ip, owner)
    taken.ips.push(ip)
    return text
  }

  #takePorts(spec: ServiceSpec, owner: string, before: Holding, taken: Holding, isNew: boolean): FieldError[] {
    const errors: FieldError[] = []
    /** Of a new Service only protocols of one port share a node port, as upstream gives them out. */
    const takers = new Map<number, number | undefined>()
    const named = (value: number, field: string, port?: number) => {
      const number = this.#portNumber(value)
      if (number === undefined) errors.push(invalid(field, value, `provided port is not in the valid range. The range of valid ports is ${this.#ports.first}-${this.#ports.last}`))
      else if (before.ports.includes(number) || (taken.ports.includes(number) && (!isNew || takers.get(number) === port))) return
      else if (taken.ports.includes(number) || !this.#take(this.#nodePorts, number, owner)) errors.push(invalid(field, value, 'provided port is already allocated'))
      else {
        taken.ports.push(number)
        takers.set(number, port)
      }
    }
    const any = (field: string): number | undefined => {
      const number = this.#nodePorts.takeAny(owner, this.#random)
      if (number === undefined) errors.push({ type: 'InternalError', field, message: 'Internal error: failed to allocate a nodePort: range is full' })
      else taken.ports.push(number)
      return number === undefined ? undefined : this.#ports.first + number
    }
    const ports = spec.ports ?? []
    for (const [i, port] of ports.entries()) if (port.nodePort) named(port.nodePort, `spec.ports[${i}].nodePort`, port.port)
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
    return { ips: ips.flatMap((ip) => parseAddress(ip) ?? []), ports: [...new Set(ports.flatMap((p) => this.#portNumber(p) ?? []))] }
  }

  #portNumber(port: number): number | undefined {
    return port >= this.#ports.first && port <= this.#ports.last ? port - this.#ports.first : undefined
  }
}

/** Throws a CodedError `BAD_SERVICE_CIDR` that names the flag. */
function parseServiceCidr(serviceCidr: string): ServiceRange[] {
  const ranges = serviceCidr.split(',').map((text) => parseRange(DEFAULT_SERVICE_CIDR, text.trim()))
  const isRight = ranges.length <= 2 && ranges.every((range) => range !== undefined && range.usable >= USABLE_MIN) && new Set(ranges.map((range) => range?.family)).size === ranges.length
  if (!isRight) throw new CodedError('BAD_SERVICE_CIDR', `--service-cidr ${serviceCidr}: give a network of at least 8 addresses, such as 10.43.0.0/16, or one of each family with a comma between`)
  return ranges.flatMap((range) => range ?? [])
}

/** The n-th address of a network, of the first of two: `serviceAddress('10.43.0.0/16', 1)` is the `kubernetes` Service's. */
export function serviceAddress(serviceCidr: string, n: number): string {
  return parseServiceCidr(serviceCidr).slice(0, 1).map((range) => addressText(nthAddress(range, n))).join()
}
