/** ResourceClaim and ResourceClaimTemplate (resource.k8s.io): which devices a pod asks for, and which it got. */
import type { AllocatedDeviceStatus, AllocationResult, DeviceClaim, DeviceConstraint, DeviceRequest, DeviceRequestAllocationResult, DeviceSubRequest, DeviceToleration, NetworkDeviceData, ResourceV1ResourceClaim as ResourceClaim, ResourceClaimStatus, ResourceClaimTemplate } from '#api/types/index.ts'
import { checkDnsLabel } from '#api/types/index.ts'
import { type FieldError, forbidden, invalid, notSupported, required, tooLong, tooMany } from '../field-error.ts'
import type { KindStrategy } from '../kind.ts'
import { keepSpec, keepStatus, RESET_FOR_STATUS } from './carry.ts'
import { immutable, named } from './check.ts'
import { validateConditions } from './conditions.ts'
import { DEVICE_CONFIGS_MAX, validateClassName, validateConfiguration, validateSelectors } from './device-class.ts'
import { validateBindingConditions, validateDevice, validateDriver, validateFullyQualified, validateList, validateParameters, validatePool, validateSet, validateShareId, validateToleration } from './device-names.ts'
import { isCidr } from './ip.ts'
import { validateNodeSelector } from './pod-spec-validation.ts'
import { ageColumn, column, nameColumn } from './table-columns.ts'
import { validateTemplateMeta } from './volume-validation.ts'

const REQUESTS_MAX = 32
const CONSTRAINTS_MAX = 32
const FIRST_AVAILABLE_MAX = 8
const RESULTS_MAX = 32
const RESERVED_MAX = 256
const DEVICE_CONDITIONS_MAX = 8
const DEVICE_DATA_BYTES_MAX = 10 * 1024
const NETWORK_IPS_MAX = 16
const INTERFACE_BYTES_MAX = 256
const HARDWARE_BYTES_MAX = 128
const MODES = ['All', 'ExactCount']

/** Names of requests, each with its alternatives. */
type RequestNames = ReadonlyMap<string, ReadonlySet<string>>

export const resourceClaimStrategy: KindStrategy<ResourceClaim> = {
  statusKeepsMetadata: RESET_FOR_STATUS,
  generation: false,
  defaults(claim) {
    defaultDevices(claim.spec?.devices)
    for (const { tolerations } of claim.status?.allocation?.devices?.results ?? []) defaultTolerations(tolerations)
  },
  prepareCreate: (claim) => { claim.status = {} },
  prepareUpdate: keepStatus,
  prepareStatusUpdate(claim, old) {
    keepSpec(claim, old)
    dropDeallocated(claim, old)
  },
  validate: (claim) => validateDevices('spec.devices', claim.spec?.devices ?? {}),
  validateUpdate: (claim, old) => immutable('spec', claim.spec, old.spec),
  validateStatusUpdate: (claim, old) => validateStatus(claim.status ?? {}, old.status ?? {}, claim.metadata?.deletionTimestamp !== undefined, requestNames(claim.spec?.devices)),
  columns: [nameColumn(), column('State', 'A summary of the current state (allocated, pending, reserved, etc.).', stateText), ageColumn()],
}

export const resourceClaimTemplateStrategy: KindStrategy<ResourceClaimTemplate> = {
  generation: false,
  defaults: (template) => defaultDevices(template.spec?.spec?.devices),
  validate: validateTemplate,
  validateUpdate: (template, old) => [...validateTemplate(template), ...immutable('spec', template.spec, old.spec)],
  columns: [nameColumn(), ageColumn()],
}

function validateTemplate({ spec }: ResourceClaimTemplate): FieldError[] {
  return [...validateTemplateMeta('spec.metadata', spec?.metadata ?? {}), ...validateDevices('spec.spec.devices', spec?.spec?.devices ?? {})]
}

function stateText(claim: ResourceClaim): string {
  const states: string[] = []
  if (claim.metadata?.deletionTimestamp) states.push('deleted')
  if (!claim.status?.allocation) {
    if (!claim.metadata?.deletionTimestamp) states.push('pending')
    return states.join(',')
  }
  states.push('allocated')
  if ((claim.status.reservedFor ?? []).length > 0) states.push('reserved')
  return states.join(',')
}

type Exact = Partial<Omit<DeviceSubRequest, 'name'>>

export function defaultDevices(devices: DeviceClaim | undefined): void {
  for (const request of devices?.requests ?? []) {
    for (const exact of [request.exactly, ...(request.firstAvailable ?? [])]) {
      if (!exact) continue
      exact.allocationMode ||= 'ExactCount'
      if (exact.allocationMode === 'ExactCount') exact.count ||= 1
      defaultTolerations(exact.tolerations)
    }
  }
}

function defaultTolerations(tolerations: readonly DeviceToleration[] | undefined): void {
  for (const toleration of tolerations ?? []) toleration.operator ||= 'Equal'
}

function requestNames(devices: DeviceClaim | undefined): RequestNames {
  return new Map((devices?.requests ?? []).map((r) => [r.name, new Set((r.firstAvailable ?? []).map((s) => s.name))]))
}

function validateDevices(at: string, devices: DeviceClaim): FieldError[] {
  const names = requestNames(devices)
  return [
    ...validateSet(`${at}.requests`, devices.requests, REQUESTS_MAX, (r) => r.name, validateRequest),
    ...validateList(`${at}.constraints`, devices.constraints, CONSTRAINTS_MAX, (here, constraint) => validateConstraint(here, constraint, names)),
    ...validateList(`${at}.config`, devices.config, DEVICE_CONFIGS_MAX, (here, config) => [...validateRequestRefs(`${here}.requests`, config.requests, names), ...validateConfiguration(here, config.opaque)]),
  ]
}

function validateRequest(at: string, request: DeviceRequest): FieldError[] {
  const out = named(`${at}.name`, request.name ?? '', checkDnsLabel)
  const several = (request.firstAvailable ?? []).length > 0
  if (!several && !request.exactly) return [...out, required(at, 'exactly one of `exactly` or `firstAvailable` is required')]
  if (several && request.exactly) return [...out, invalid(at, null, 'exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set')]
  if (request.exactly) return [...out, ...validateExact(`${at}.exactly`, request.exactly)]
  return [...out, ...validateSet(`${at}.firstAvailable`, request.firstAvailable, FIRST_AVAILABLE_MAX, (s) => s.name, (here, sub) => [...named(`${here}.name`, sub.name ?? '', checkDnsLabel), ...validateExact(here, sub)])]
}

function validateExact(at: string, request: Exact): FieldError[] {
  const { allocationMode: mode = '', count = 0 } = request
  const out = [...validateClassName(`${at}.deviceClassName`, request.deviceClassName), ...validateSelectors(`${at}.selectors`, request.selectors)]
  if (mode === 'All') out.push(...(count === 0 ? [] : [invalid(`${at}.count`, count, "must not be specified when allocationMode is 'All'")]))
  else if (mode === 'ExactCount') out.push(...(count > 0 ? [] : [invalid(`${at}.count`, count, 'must be greater than zero')]))
  else out.push(notSupported(`${at}.allocationMode`, mode, MODES))
  return [...out, ...(request.tolerations ?? []).flatMap((toleration, i) => validateToleration(`${at}.tolerations[${i}]`, toleration))]
}

const validateRequestRefs = (at: string, refs: readonly string[] | undefined, names: RequestNames): FieldError[] => validateSet(at, refs, REQUESTS_MAX, (r) => r, (here, ref) => validateRequestRef(here, ref, names))

function validateRequestRef(at: string, ref: string, names: RequestNames): FieldError[] {
  const unknown = invalid(at, ref, "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'")
  const parts = ref.split('/')
  if (parts.length > 2) return [unknown]
  const subs = names.get(parts[0] ?? '')
  const known = subs !== undefined && (parts.length === 1 || subs.has(parts[1] ?? ''))
  return [...parts.flatMap((part) => named(at, part, checkDnsLabel)), ...(known ? [] : [unknown])]
}

function validateConstraint(at: string, constraint: DeviceConstraint, names: RequestNames): FieldError[] {
  const out = validateRequestRefs(`${at}.requests`, constraint.requests, names)
  const { matchAttribute, distinctAttribute } = constraint
  if (matchAttribute !== undefined) return [...out, ...validateFullyQualified(`${at}.matchAttribute`, matchAttribute)]
  if (distinctAttribute !== undefined) return [...out, ...validateFullyQualified(`${at}.distinctAttribute`, distinctAttribute)]
  return [...out, required(at, 'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set')]
}

interface DeviceKey { driver?: string; pool?: string; device?: string; shareID?: string }
const shownId = (d: DeviceKey): DeviceKey => ({ driver: d.driver ?? '', pool: d.pool ?? '', device: d.device ?? '', shareID: d.shareID ?? '' })
const deviceId = (d: DeviceKey): string => `${d.driver ?? ''}/${d.pool ?? ''}/${d.device ?? ''}${d.shareID ? `/${d.shareID}` : ''}`

/** What a driver said of devices that the claim no longer has goes with them: who takes them away need not know of it. */
function dropDeallocated({ status }: ResourceClaim, old: ResourceClaim): void {
  if (!status?.devices) return
  const ids = (claim: ResourceClaimStatus | undefined): Set<string> => new Set((claim?.allocation?.devices?.results ?? []).map(deviceId))
  const [had, has] = [ids(old.status), ids(status)]
  status.devices = status.devices.filter((d) => !had.has(deviceId(d)) || has.has(deviceId(d)))
  if (status.devices.length === 0) delete status.devices
}

function validateStatus(status: ResourceClaimStatus, old: ResourceClaimStatus, deleted: boolean, names: RequestNames): FieldError[] {
  const { allocation, reservedFor = [], devices } = status
  const allocated = new Set((allocation?.devices?.results ?? []).map(deviceId))
  const out = [
    ...validateSet('status.reservedFor', reservedFor, RESERVED_MAX, (r) => r.uid, (at, r) => (['resource', 'name', 'uid'] as const).flatMap((key) => (r[key] ? [] : [required(`${at}.${key}`)]))),
    ...validateSet('status.devices', devices, Number.POSITIVE_INFINITY, deviceId, (at, d) => validateDeviceStatus(at, d, allocated), shownId),
  ]
  if (reservedFor.length > 0 && !allocation) out.push(forbidden('status.reservedFor', 'may not be specified when `allocated` is not set'))
  else if (deleted && reservedFor.some((r) => !old.reservedFor?.some((o) => o.uid === r.uid))) out.push(forbidden('status.reservedFor', 'new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set'))
  if (allocation && old.allocation) return [...out, ...immutable('status.allocation', allocation, old.allocation)]
  return allocation ? [...out, ...validateAllocation('status.allocation', allocation, names)] : out
}

function validateAllocation(at: string, allocation: AllocationResult, names: RequestNames): FieldError[] {
  return [
    ...validateList(`${at}.devices.results`, allocation.devices?.results, RESULTS_MAX, (here, result) => validateResult(here, result, names)),
    // Of the class and of the claim.
    ...validateList(`${at}.devices.config`, allocation.devices?.config, 2 * DEVICE_CONFIGS_MAX, (here, config) => [
      ...(config.source ? (['FromClaim', 'FromClass'].includes(config.source) ? [] : [notSupported(`${here}.source`, config.source, ['FromClaim', 'FromClass'])]) : [required(`${here}.source`)]),
      ...validateRequestRefs(`${here}.requests`, config.requests, names),
      ...validateConfiguration(here, config.opaque),
    ]),
    ...(allocation.nodeSelector ? validateNodeSelector(`${at}.nodeSelector`, allocation.nodeSelector) : []),
  ]
}

function validateResult(at: string, result: DeviceRequestAllocationResult, names: RequestNames): FieldError[] {
  return [
    ...validateRequestRef(`${at}.request`, result.request ?? '', names),
    ...validateDriver(`${at}.driver`, result.driver),
    ...validatePool(`${at}.pool`, result.pool),
    ...validateDevice(`${at}.device`, result.device),
    ...validateBindingConditions(at, result.bindingConditions, result.bindingFailureConditions),
    ...validateShareId(`${at}.shareID`, result.shareID),
  ]
}

function validateDeviceStatus(at: string, device: AllocatedDeviceStatus, allocated: ReadonlySet<string>): FieldError[] {
  const conditions = device.conditions ?? []
  return [
    ...validateDriver(`${at}.driver`, device.driver), ...validatePool(`${at}.pool`, device.pool), ...validateDevice(`${at}.device`, device.device), ...validateShareId(`${at}.shareID`, device.shareID),
    ...(allocated.has(deviceId(device)) ? [] : [invalid(at, shownId(device), 'must be an allocated device in the claim')]),
    ...(conditions.length > DEVICE_CONDITIONS_MAX ? [tooMany(`${at}.conditions`, conditions.length, DEVICE_CONDITIONS_MAX)] : []),
    ...validateConditions(`${at}.conditions`, conditions),
    ...(device.data === undefined || device.data === null ? [] : validateParameters(`${at}.data`, device.data, DEVICE_DATA_BYTES_MAX)),
    ...(device.networkData ? validateNetworkData(`${at}.networkData`, device.networkData) : []),
  ]
}

function validateNetworkData(at: string, { interfaceName = '', hardwareAddress = '', ips }: NetworkDeviceData): FieldError[] {
  const out: FieldError[] = []
  if (Buffer.byteLength(interfaceName) > INTERFACE_BYTES_MAX) out.push(tooLong(`${at}.interfaceName`, INTERFACE_BYTES_MAX))
  if (Buffer.byteLength(hardwareAddress) > HARDWARE_BYTES_MAX) out.push(tooLong(`${at}.hardwareAddress`, HARDWARE_BYTES_MAX))
  return [...out, ...validateSet(`${at}.ips`, ips, NETWORK_IPS_MAX, (ip) => ip, (here, ip) => (isCidr(ip) ? [] : [invalid(here, ip, 'must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)')]))]
}
