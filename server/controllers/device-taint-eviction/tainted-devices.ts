/** Devices whose drivers taint them with NoExecute, by pool: of the latest generation, as slices come and go. Other devices cost nothing. */
import type { DeviceTaint, ResourceSlice, Stored } from '#api/types/index.ts'
import { jsonEqual } from '../json-equal.ts'

type ByDevice = ReadonlyMap<string, readonly DeviceTaint[]>

const NONE: ByDevice = new Map()

export class TaintedDevices {
  /** By pool and name: all slices, for an old one counts as long as there is no newer. */
  readonly #slices = new Map<string, Map<string, Stored<ResourceSlice>>>()
  readonly #tainted = new Map<string, ByDevice>()

  of(driver: string, pool: string, device: string): readonly DeviceTaint[] { return this.#tainted.get(poolKey(driver, pool))?.get(device) ?? [] }

  /** The pools in which taints are not what they were. */
  change(before: Stored<ResourceSlice> | undefined, after: Stored<ResourceSlice> | undefined): { driver: string; pool: string }[] {
    const pools = new Map([before, after].flatMap((slice) => (slice ? [[poolKey(slice.spec.driver, slice.spec.pool.name), { driver: slice.spec.driver, pool: slice.spec.pool.name }] as const] : [])))
    if (before) this.#slices.get(poolKey(before.spec.driver, before.spec.pool.name))?.delete(before.metadata.name)
    if (after) {
      const key = poolKey(after.spec.driver, after.spec.pool.name)
      this.#slices.set(key, (this.#slices.get(key) ?? new Map<string, Stored<ResourceSlice>>()).set(after.metadata.name, after))
    }
    return [...pools].flatMap(([key, pool]) => (this.#look(key) ? [pool] : []))
  }

  #look(key: string): boolean {
    const slices = [...(this.#slices.get(key)?.values() ?? [])]
    if (slices.length === 0) this.#slices.delete(key)
    const latest = Math.max(...slices.map(({ spec }) => spec.pool.generation))
    const devices = slices.filter(({ spec }) => spec.pool.generation === latest).flatMap(({ spec }) => spec.devices ?? [])
    const now = new Map(devices.flatMap(({ name, taints = [] }) => {
      const evicting = taints.filter((taint) => taint.effect === 'NoExecute')
      return evicting.length === 0 ? [] : [[name, evicting] as const]
    }))
    const was = this.#tainted.get(key) ?? NONE
    if (now.size === 0) this.#tainted.delete(key)
    else this.#tainted.set(key, now)
    return !jsonEqual(sorted(was), sorted(now))
  }
}

const poolKey = (driver: string, pool: string): string => `${driver}/${pool}`
const sorted = (of: ByDevice): unknown => [...of].toSorted(([a], [b]) => (a < b ? -1 : 1))
