/** What claims ask for, made plain: each request with its alternatives, and what the class says. Pure. */
import type { DeviceClass, DeviceRequest, DeviceSelector, DeviceToleration, Stored } from '#api/types/index.ts'

/** One way to meet a request. */
export interface Wanted {
  /** `request`, or `request/subrequest`: as results name it. */
  readonly name: string
  readonly request: string
  readonly className: string
  /** Undefined: all that there are. */
  readonly count: number | undefined
  readonly adminAccess: boolean
  readonly selectors: readonly DeviceSelector[]
  readonly tolerations: readonly DeviceToleration[]
  readonly deviceClass: Stored<DeviceClass> | undefined
  /** How much of which of a device's capacities is asked for. */
  readonly capacity: Readonly<Record<string, string>> | undefined
}

/** In the order in which they are tried. */
export function waysOf(request: DeviceRequest, classOf: (name: string) => Stored<DeviceClass> | undefined): Wanted[] {
  const { name, exactly, firstAvailable = [] } = request
  const wanted = (as: string, asked: NonNullable<DeviceRequest['exactly']>): Wanted => ({
    name: as, request: name, className: asked.deviceClassName, count: asked.allocationMode === 'All' ? undefined : asked.count ?? 1, adminAccess: asked.adminAccess ?? false,
    selectors: asked.selectors ?? [], tolerations: asked.tolerations ?? [], deviceClass: classOf(asked.deviceClassName), capacity: asked.capacity?.requests,
  })
  return exactly ? [wanted(name, exactly)] : firstAvailable.map((sub) => wanted(`${name}/${sub.name}`, sub))
}
