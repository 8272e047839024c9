/**
 * resource.k8s.io/v1beta1 as a view of v1: there a request's fields stand in the request itself and not under `exactly`,
 * and a device's under `basic`.
 */
import type { Device, DeviceClaim, DeviceRequest, KubeObject, ResourceV1ResourceClaim as ResourceClaim, ResourceClaimTemplate, ResourceSlice, V1beta1BasicDevice, V1beta1Device, V1beta1DeviceClaim, V1beta1DeviceRequest, V1beta1ResourceClaim, V1beta1ResourceClaimTemplate, V1beta1ResourceSlice } from '#api/types/index.ts'
import type { KindContext, KindStrategy } from '../kind.ts'

const EXACT_FIELDS = ['adminAccess', 'allocationMode', 'capacity', 'count', 'deviceClassName', 'selectors', 'tolerations'] as const

function requestToV1({ name, firstAvailable, ...exactly }: V1beta1DeviceRequest): DeviceRequest {
  const isExact = EXACT_FIELDS.some((key) => exactly[key] !== undefined && exactly[key] !== '' && exactly[key] !== 0)
  return { name, ...(firstAvailable && { firstAvailable }), ...(isExact && { exactly: { ...exactly, deviceClassName: exactly.deviceClassName ?? '' } }) }
}

function requestFromV1({ name, firstAvailable, exactly }: DeviceRequest): V1beta1DeviceRequest {
  return { name, ...exactly, ...(firstAvailable && { firstAvailable }) }
}

const claimToV1 = (devices: V1beta1DeviceClaim): DeviceClaim => ({ ...devices, ...(devices.requests && { requests: devices.requests.map(requestToV1) }) })
const claimFromV1 = (devices: DeviceClaim): V1beta1DeviceClaim => ({ ...devices, ...(devices.requests && { requests: devices.requests.map(requestFromV1) }) })

export function resourceClaimToV1(claim: V1beta1ResourceClaim): ResourceClaim {
  return claim.spec?.devices ? { ...claim, spec: { ...claim.spec, devices: claimToV1(claim.spec.devices) } } as ResourceClaim : (claim as ResourceClaim)
}
export function resourceClaimFromV1(claim: ResourceClaim): V1beta1ResourceClaim {
  return claim.spec?.devices ? { ...claim, spec: { ...claim.spec, devices: claimFromV1(claim.spec.devices) } } as V1beta1ResourceClaim : (claim as V1beta1ResourceClaim)
}

export function resourceClaimTemplateToV1(template: V1beta1ResourceClaimTemplate): ResourceClaimTemplate {
  const devices = template.spec?.spec?.devices
  return devices ? { ...template, spec: { ...template.spec, spec: { ...template.spec.spec, devices: claimToV1(devices) } } } : (template as ResourceClaimTemplate)
}
export function resourceClaimTemplateFromV1(template: ResourceClaimTemplate): V1beta1ResourceClaimTemplate {
  const devices = template.spec?.spec?.devices
  return devices ? { ...template, spec: { ...template.spec, spec: { ...template.spec.spec, devices: claimFromV1(devices) } } } : (template as V1beta1ResourceClaimTemplate)
}

const deviceToV1 = ({ name, basic }: V1beta1Device): Device => ({ name, ...basic })
function deviceFromV1({ name, ...basic }: Device): V1beta1Device {
  return { name, basic: basic as V1beta1BasicDevice }
}

export function resourceSliceToV1(slice: V1beta1ResourceSlice): ResourceSlice {
  return slice.spec?.devices ? { ...slice, spec: { ...slice.spec, devices: slice.spec.devices.map(deviceToV1) } } : (slice as ResourceSlice)
}
export function resourceSliceFromV1(slice: ResourceSlice): V1beta1ResourceSlice {
  return slice.spec?.devices ? { ...slice, spec: { ...slice.spec, devices: slice.spec.devices.map(deviceFromV1) } } : (slice as V1beta1ResourceSlice)
}

/** The rules of the stored form, run on it (complaints name its fields); what they fill in or reset is put back into the view. */
export function strategyOfView<V extends KubeObject, S extends KubeObject>(stored: KindStrategy<S>, toStored: (view: V) => S, fromStored: (object: S) => V): KindStrategy<V> {
  const through = (view: V, run: (object: S) => void): void => {
    const object = toStored(view)
    run(object)
    const back = fromStored(object) as unknown as Record<string, unknown>
    const target = view as unknown as Record<string, unknown>
    for (const key of Object.keys(target)) if (!Object.hasOwn(back, key)) delete target[key]
    Object.assign(target, back)
  }
  const { generation, columns, selectableFields } = stored
  return {
    ...(stored.defaults && { defaults: (view: V) => through(view, (o) => stored.defaults?.(o)) }),
    ...(stored.prepareCreate && { prepareCreate: (view: V, ctx: KindContext) => through(view, (o) => stored.prepareCreate?.(o, ctx)) }),
    ...(stored.prepareUpdate && { prepareUpdate: (view: V, old: V, ctx: KindContext) => through(view, (o) => stored.prepareUpdate?.(o, toStored(old), ctx)) }),
    ...(stored.warnings && { warnings: (view: V, old?: V) => stored.warnings?.(toStored(view), old && toStored(old)) ?? [] }),
    ...(stored.validate && { validate: (view: V, ctx: KindContext) => stored.validate?.(toStored(view), ctx) ?? [] }),
    ...(stored.validateUpdate && { validateUpdate: (view: V, old: V, ctx: KindContext) => stored.validateUpdate?.(toStored(view), toStored(old), ctx) ?? [] }),
    ...(stored.validateStatusUpdate && { validateStatusUpdate: (view: V, old: V, ctx: KindContext) => stored.validateStatusUpdate?.(toStored(view), toStored(old), ctx) ?? [] }),
    ...(generation === false && { generation }),
    ...(stored.statusKeepsMetadata && { statusKeepsMetadata: stored.statusKeepsMetadata }),
    ...(typeof generation === 'function' && { generation: (view: V, old: V) => generation(toStored(view), toStored(old)) }),
    ...(columns && { columns: columns.map((c) => ({ ...c, value: (view: V, nowMs: number) => c.value(toStored(view), nowMs) })) }),
    ...(selectableFields && { selectableFields: Object.fromEntries(Object.entries(selectableFields).map(([name, read]) => [name, (view: V) => read(toStored(view))])) }),
  }
}
