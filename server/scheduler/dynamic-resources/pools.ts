/** Devices as their drivers tell of them: of each pool the latest generation, if all its slices are there. Pure. */
import { matchesNodeSelector } from '#api/types/node-selector.ts'
import type { Device, Node, NodeSelector, ResourceSlice, Stored } from '#api/types/index.ts'
import { parseQuantity } from '#api/types/quantity.ts'

export interface PoolDevice { readonly id: string; readonly driver: string; readonly pool: string; readonly device: Device; readonly slice: Stored<ResourceSlice> }

export interface Pool {
  /** `driver/pool`. */
  readonly name: string
  readonly problem: 'incomplete' | 'invalid' | undefined
  readonly slices: readonly Stored<ResourceSlice>[]
  /** All, of whatever node. */
  readonly devices: readonly PoolDevice[]
  /** What its devices share, in thousand-millionths, by `set/counter`. */
  readonly counters: ReadonlyMap<string, bigint>
}

/** As drivers name it, over the whole cluster. */
export const deviceId = (driver: string, pool: string, device: string): string => `${driver}/${pool}/${device}`
export const counterKey = (set: string, counter: string): string => `${set}/${counter}`

export function poolsOf(slices: readonly Stored<ResourceSlice>[]): Pool[] {
  const latest = new Map<string, Stored<ResourceSlice>[]>()
  for (const slice of slices) {
    const { driver, pool } = slice.spec
    const name = `${driver}/${pool.name}`
    const before = latest.get(name) ?? []
    const generation = before[0]?.spec.pool.generation ?? -Infinity
    if (pool.generation > generation) latest.set(name, [slice])
    else if (pool.generation === generation) before.push(slice)
  }
  // In an order that does not depend on who was heard of first.
  return [...latest].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, all]) => poolOf(name, all.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))))
}

function poolOf(name: string, slices: readonly Stored<ResourceSlice>[]): Pool {
  const devices = slices.flatMap((slice) => (slice.spec.devices ?? []).map((device) => ({ id: deviceId(slice.spec.driver, slice.spec.pool.name, device.name), driver: slice.spec.driver, pool: slice.spec.pool.name, device, slice })))
  const sets = slices.flatMap(({ spec }) => spec.sharedCounters ?? [])
  const counters = new Map(sets.flatMap((set) => Object.entries(set.counters).map(([counter, { value }]) => [counterKey(set.name, counter), parseQuantity(value).nano] as const)))
  const isInvalid = new Set(devices.map((d) => d.id)).size < devices.length || new Set(sets.map((set) => set.name)).size < sets.length || devices.some(({ device }) => consumption(device).some(([key]) => !counters.has(key)))
  const problem = slices.length !== slices[0]?.spec.pool.resourceSliceCount ? 'incomplete' : isInvalid ? 'invalid' : undefined
  return { name, problem, slices, devices, counters }
}

/** How much of what it takes while it is used. */
export const consumption = (device: Device): [string, bigint][] => (device.consumesCounters ?? []).flatMap(({ counterSet, counters }) => Object.entries(counters).map(([counter, { value }]): [string, bigint] => [counterKey(counterSet, counter), parseQuantity(value).nano]))

interface Place { nodeName?: string | undefined; allNodes?: boolean | undefined; nodeSelector?: NodeSelector | undefined }

const isAt = ({ nodeName, allNodes, nodeSelector }: Place, node: Node): boolean => (nodeName ? nodeName === node.metadata?.name : allNodes === true || (nodeSelector !== undefined && matchesNodeSelector(nodeSelector, node)))

/** Where a device is, by its own word or its slice's. */
export const placeOf = ({ device, slice }: PoolDevice): Place => (slice.spec.perDeviceNodeSelection ? device : slice.spec)

/** Of this node, or of a network that it reaches. */
export const devicesOn = (pool: Pool, node: Node): PoolDevice[] => pool.devices.filter((device) => isAt(placeOf(device), node))

/** Whether the pool is any matter of the node's, as far as one can tell. */
export const concerns = (pool: Pool, node: Node): boolean => pool.slices.some(({ spec }) => (spec.perDeviceNodeSelection ? (spec.devices ?? []).some((device) => isAt(device, node)) : isAt(spec, node)))
