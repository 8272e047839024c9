/**
 * Devices for claims on one node: the first choice, in order of pools and devices, that meets all requests and constraints of all claims (upstream's
 * structured allocator, k8s.io/dynamic-resource-allocation/structured). Pure; a search that grows out of hand is given up.
 */
import { keyOf, type AllocationResult, type Device, type DeviceAttribute, type DeviceConstraint, type DeviceRequest, type DeviceTaint, type DeviceToleration, type Node, type Stored } from '#api/types/index.ts'
import { allocationOf, type Choice } from './allocation-result.ts'
import type { Claim, DeviceLookup } from './device-lookup.ts'
import { consumptionBy, isLeft, isShared, type Consumption } from './capacity.ts'
import { addTo, type DevicesInUse } from './in-use.ts'
import { concerns, consumption, devicesOn, type Pool, type PoolDevice } from './pools.ts'
import { waysOf, type Wanted } from './requests.ts'

/** `message`: why not, in upstream's words; `isError`: what is asked for is wrong, or not known well enough to look at any node. */
export type Allocation = { ok: true; results: readonly AllocationResult[] } | { ok: false; message: string; isError: boolean }

export interface AllocationInput {
  node: Stored<Node>
  claims: readonly Claim[]
  pools: readonly Pool[]
  /** What claims have already. */
  inUse: DevicesInUse
  newShareId: () => string
  lookup: Pick<DeviceLookup, 'deviceClass' | 'selectors'>
}

/** Upstream's AllocationResultsMaxSize, of one claim. */
const DEVICES_MAX = 32
/** Devices tried for one pod on one node: upstream gives a search ten seconds. */
const STEPS_MAX = 100_000

/** Ends the search: no other choice could help. */
class Hopeless extends Error {}

export function allocate(input: AllocationInput): Allocation {
  try {
    const search = new Search(input)
    if (search.run()) return { ok: true, results: input.claims.map((claim, i) => allocationOf(claim, search.choices[i] ?? [], search.selected(i), { on: input.node.metadata.name, newShareId: input.newShareId })) }
    return { ok: false, message: search.pools.some((pool) => pool.problem === 'invalid') ? 'invalid resource pools were encountered' : 'cannot allocate all claims', isError: false }
  } catch (error) {
    if (error instanceof Hopeless) return { ok: false, message: error.message, isError: true }
    throw error
  }
}

class Search {
  readonly pools: readonly Pool[]
  /** Of each claim, so far. */
  readonly choices: Choice[][]
  readonly #input: AllocationInput
  /** Of each pool that can be chosen from, what is on this node. */
  readonly #devices: readonly PoolDevice[]
  readonly #poolOf = new Map<string, Pool>()
  readonly #ways: Wanted[][][]
  /** Of each claim's requests, the way that was taken. */
  readonly #taken: (Wanted | undefined)[][]
  readonly #matches = new Map<Wanted, Map<string, boolean>>()
  readonly #all = new Map<Wanted, readonly PoolDevice[]>()
  /** Of shares that were given out, and of those chosen so far, how much they take of their device. */
  readonly #used: Map<string, Map<string, bigint>>
  /** Of each way and device, what a share would take. */
  readonly #consumption = new Map<Wanted, Map<string, Consumption | undefined>>()
  /** Shared counters that are left, by pool. */
  readonly #left = new Map<Pool, Map<string, bigint>>()
  #steps = 0

  constructor(input: AllocationInput) {
    this.#input = input
    this.pools = input.pools.filter((pool) => concerns(pool, input.node))
    for (const pool of this.pools) for (const { id } of pool.devices) this.#poolOf.set(id, pool)
    this.#devices = this.pools.filter((pool) => pool.problem === undefined).flatMap((pool) => devicesOn(pool, input.node))
    this.#used = new Map([...input.inUse.shares].map(([id, used]) => [id, new Map(used)]))
    this.choices = input.claims.map(() => [])
    this.#taken = input.claims.map(() => [])
    this.#ways = input.claims.map((claim) => (claim.spec.devices?.requests ?? []).map((request: DeviceRequest) => waysOf(request, input.lookup.deviceClass)))
    for (const [i, requests] of this.#ways.entries()) this.#checkSize(i, requests)
  }

  run(): boolean { return this.#request(0, 0) }

  selected(claim: number): readonly Wanted[] { return (this.#taken[claim] ?? []).filter((way) => way !== undefined) }

  #named(claim: number): string { return keyOf(this.#input.claims[claim] ?? {}) }

  #checkSize(claim: number, requests: readonly (readonly Wanted[])[]): void {
    const least = requests.reduce((sum, ways) => sum + Math.min(...ways.map((way) => way.count ?? this.#allFor(claim, way).length)), 0)
    if (least > DEVICES_MAX) throw new Hopeless(`claim ${this.#named(claim)}: number of requested devices ${least} exceeds the claim limit of ${DEVICES_MAX}`)
  }

  #request(claim: number, request: number): boolean {
    const requests = this.#ways[claim]
    if (!requests) return true
    const ways = requests[request]
    if (!ways) return this.#request(claim + 1, 0)
    return ways.some((way) => {
      const taken = this.#taken[claim] ?? []
      taken[request] = way
      if (way.count === undefined ? this.#every(claim, request, way) : this.#some(claim, request, way, way.count, 0)) return true
      taken[request] = undefined
      return false
    })
  }

  /** So many more of those from `from` on: in which order they are chosen makes no difference. */
  #some(claim: number, request: number, way: Wanted, count: number, from: number): boolean {
    if (count === 0) return this.#request(claim, request + 1)
    if ((this.choices[claim]?.length ?? 0) + count > DEVICES_MAX) return false
    for (const [i, device] of this.#devices.entries()) {
      if (i < from) continue
      if (++this.#steps > STEPS_MAX) throw new Hopeless(`node ${this.#input.node.metadata.name}: timed out trying to allocate devices`)
      if (!this.#isFree(claim, way, device) || !this.#fits(claim, way, device) || !this.#take(claim, way, device)) continue
      if (this.#some(claim, request, way, count - 1, i + 1)) return true
      this.#giveBack(claim)
    }
    return false
  }

  #every(claim: number, request: number, way: Wanted): boolean {
    const all = this.#allFor(claim, way)
    const before = this.choices[claim]?.length ?? 0
    if (all.length === 0 || before + all.length > DEVICES_MAX) return false
    if (all.every((device) => this.#isFree(claim, way, device) && this.#take(claim, way, device)) && this.#request(claim, request + 1)) return true
    while ((this.choices[claim]?.length ?? 0) > before) this.#giveBack(claim)
    return false
  }

  #allFor(claim: number, way: Wanted): readonly PoolDevice[] {
    const known = this.#all.get(way)
    if (known) return known
    for (const { name, problem } of this.pools) {
      if (problem !== undefined) throw new Hopeless(`claim ${this.#named(claim)}, request ${way.name}: asks for all devices, but resource pool ${name} is currently ${problem === 'incomplete' ? 'being updated' : 'invalid'}`)
    }
    // Those that have nothing left are not among all that there are.
    const all = this.#devices.filter((device) => this.#fits(claim, way, device) && this.#hasLeft(way, device))
    this.#all.set(way, all)
    return all
  }

  /** An administrator may look at what others have, but not twice by one claim. */
  #isFree(claim: number, { adminAccess }: Wanted, { id, device }: PoolDevice): boolean {
    const { whole, shares } = this.#input.inUse
    if (isShared(device)) return adminAccess || !whole.has(id)
    if (adminAccess) return !this.choices[claim]?.some((c) => c.device.id === id)
    return !whole.has(id) && !shares.has(id) && !this.choices.some((of) => of.some((c) => c.device.id === id))
  }

  #consumptionBy(way: Wanted, { id, device }: PoolDevice): Consumption | undefined {
    const known = this.#consumption.get(way) ?? new Map<string, Consumption | undefined>()
    this.#consumption.set(way, known)
    if (!known.has(id)) known.set(id, consumptionBy(way.capacity, device))
    return known.get(id)
  }

  /** One that is given as a whole must be as large as is asked for, too. */
  #hasLeft(way: Wanted, device: PoolDevice): boolean {
    const consumption = this.#consumptionBy(way, device)
    return consumption !== undefined && isLeft(consumption, device.device, this.#used.get(device.id) ?? new Map<string, bigint>())
  }

  /** By what the class and the request say of it. */
  #fits(claim: number, way: Wanted, device: PoolDevice): boolean {
    const known = this.#matches.get(way) ?? new Map<string, boolean>()
    this.#matches.set(way, known)
    const before = known.get(device.id)
    if (before !== undefined) return before
    const fits = this.#selected(`class ${way.className}`, way.deviceClass?.spec.selectors ?? [], device) && this.#selected(`claim ${this.#named(claim)}`, way.selectors, device)
    known.set(device.id, fits)
    return fits
  }

  #selected(whose: string, selectors: Wanted['selectors'], { driver, device: { attributes, capacity, allowMultipleAllocations } }: PoolDevice): boolean {
    return selectors.every(({ cel }, i) => {
      const match = this.#input.lookup.selectors.matches(cel?.expression ?? '', { driver, attributes, capacity, allowMultipleAllocations })
      if (!match.ok) throw new Hopeless(`${whose}: selector #${i}: ${match.error}`)
      return match.matches
    })
  }

  #take(claim: number, way: Wanted, device: PoolDevice): boolean {
    if (isTainted(device.device, way.tolerations) || !this.#hasLeft(way, device)) return false
    const chosen = this.choices[claim] ?? []
    if (!(this.#input.claims[claim]?.spec.devices?.constraints ?? []).every((constraint) => satisfies(constraint, way, device, chosen))) return false
    const share = isShared(device.device) ? this.#consumptionBy(way, device) : undefined
    // What shares take together, the first of them took.
    const counts = !share || !this.#used.has(device.id)
    if (counts && !this.#count(device, -1n)) return false
    const used = this.#used.get(device.id)
    if (share) this.#used.set(device.id, addTo(used ?? new Map<string, bigint>(), amountsOf(share)))
    chosen.push({ way, device, share, counts })
    return true
  }

  #giveBack(claim: number): void {
    const last = this.choices[claim]?.pop()
    if (!last) return
    const { device, share, counts } = last
    if (counts) this.#count(device, 1n)
    if (share && counts) this.#used.delete(device.id)
    else if (share) addTo(this.#used.get(device.id) ?? new Map<string, bigint>(), amountsOf(share), -1n)
  }

  /** False: there is not enough left, and nothing was taken. */
  #count({ id, device }: PoolDevice, sign: bigint): boolean {
    const pool = this.#poolOf.get(id)
    if (!pool || !device.consumesCounters) return true
    const left = this.#left.get(pool) ?? this.#leftOf(pool)
    const needs = consumption(device)
    if (sign < 0n && needs.some(([key, amount]) => (left.get(key) ?? 0n) < amount)) return false
    for (const [key, amount] of needs) left.set(key, (left.get(key) ?? 0n) + sign * amount)
    return true
  }

  #leftOf(pool: Pool): Map<string, bigint> {
    const left = new Map(pool.counters)
    const { whole, shares } = this.#input.inUse
    for (const { id, device } of pool.devices) if (whole.has(id) || shares.has(id)) for (const [key, amount] of consumption(device)) left.set(key, (left.get(key) ?? 0n) - amount)
    this.#left.set(pool, left)
    return left
  }
}

const amountsOf = (share: Consumption): [string, bigint][] => [...share].map(([name, { nano }]) => [name, nano])

const isTainted = ({ taints = [] }: Device, tolerations: readonly DeviceToleration[]): boolean => taints.some((taint) => (taint.effect === 'NoSchedule' || taint.effect === 'NoExecute') && !tolerations.some((toleration) => tolerates(toleration, taint)))

function tolerates({ effect, key, operator = 'Equal', value = '' }: DeviceToleration, taint: DeviceTaint): boolean {
  if ((effect && effect !== taint.effect) || (key && key !== taint.key)) return false
  return operator === 'Exists' || (operator === 'Equal' && value === (taint.value ?? ''))
}

/** Of those requests that a constraint names (all, where it names none), all devices have one value, or each its own. */
function satisfies({ requests = [], matchAttribute, distinctAttribute }: DeviceConstraint, way: Wanted, device: PoolDevice, chosen: readonly Choice[]): boolean {
  const isMeant = (of: Wanted): boolean => requests.length === 0 || requests.includes(of.request) || requests.includes(of.name)
  const attribute = matchAttribute ?? distinctAttribute
  if (attribute === undefined || !isMeant(way)) return true
  const own = attributeOf(device, attribute)
  if (own === undefined) return false
  const others = chosen.filter((c) => isMeant(c.way)).map((c) => attributeOf(c.device, attribute))
  return matchAttribute === undefined ? !others.includes(own) : others.every((other) => other === own)
}

/** By its qualified name, or by the driver's own. With its type: 1 is not "1". */
function attributeOf({ driver, device: { attributes = {} } }: PoolDevice, name: string): string | undefined {
  const slash = name.indexOf('/')
  const found: DeviceAttribute | undefined = attributes[name] ?? (name.slice(0, slash) === driver ? attributes[name.slice(slash + 1)] : undefined)
  return found && JSON.stringify([found.string, found.int, found.bool, found.version])
}

