/** ResourceSlice (resource.k8s.io): the devices that a driver offers. */
import type { CapacityRequestPolicy, CapacityRequestPolicyRange, CounterSet, Device, DeviceAttribute, DeviceCapacity, ResourceSlice } from '#api/types/index.ts'
import { checkDnsLabel, checkDnsSubdomain, compareQuantity, formatQuantity, parseQuantity, addQuantity } from '#api/types/index.ts'
import { type FieldError, forbidden, invalid, notFound, required, tooLong } from '../field-error.ts'
import type { KindStrategy } from '../kind.ts'
import { immutable, named } from './check.ts'
import { stampTaints, validateBindingConditions, validateDevice, validateDriver, validateMap, validatePool, validateList, validateQualified, validateSet, validateTaint } from './device-names.ts'
import { validateNodeSelector } from './pod-spec-validation.ts'
import { semanticEqual } from './semantic-equal.ts'
import { ageColumn, column, nameColumn } from './table-columns.ts'

const DEVICES_MAX = 128
/** With taints, counters or lists of values each device costs more to look at. */
const ADVANCED_DEVICES_MAX = 64
const COUNTER_SETS_MAX = 8
const COUNTERS_MAX = 32
const CONSUMPTIONS_MAX = 2
const ATTRIBUTES_MAX = 32
const ATTRIBUTE_VALUES_MAX = 48
const VALUE_BYTES_MAX = 64
const TAINTS_MAX = 16
const POLICY_VALUES_MAX = 10

export const resourceSliceStrategy: KindStrategy<ResourceSlice> = {
  prepareCreate: (slice, ctx) => { for (const device of slice.spec?.devices ?? []) stampTaints(device.taints, ctx.nowMs) },
  prepareUpdate: (slice, _old, ctx) => { for (const device of slice.spec?.devices ?? []) stampTaints(device.taints, ctx.nowMs) },
  generation: (slice, old) => !semanticEqual(slice.spec, old.spec),
  validate: (slice) => validateSlice(slice, undefined),
  validateUpdate: validateSlice,
  columns: [
    nameColumn(),
    column('Node', 'NodeName identifies the node which provides the resources in this pool. A field selector can be used to list only ResourceSlice objects belonging to a certain node.', (o) => o.spec?.nodeName ?? ''),
    column('Driver', 'Driver identifies the DRA driver providing the capacity information. A field selector can be used to list only ResourceSlice objects with a certain driver name.', (o) => o.spec?.driver ?? ''),
    column('Pool', 'Name is used to identify the pool. For node-local devices, this is often the node name, but this is not required.', (o) => o.spec?.pool?.name ?? ''),
    ageColumn(),
  ],
  warnings: ({ spec }) => (spec?.driver && spec.driver !== spec.driver.toLowerCase() ? [`spec.driver: driver names should be lowercase; ${JSON.stringify(spec.driver)} contains uppercase characters`] : []),
  selectableFields: { 'spec.nodeName': (o) => o.spec?.nodeName ?? '', 'spec.driver': (o) => o.spec?.driver ?? '' },
}

function validateSlice(slice: ResourceSlice, old: ResourceSlice | undefined): FieldError[] {
  const spec: Partial<ResourceSlice['spec']> = slice.spec ?? {}
  const pool: Partial<ResourceSlice['spec']['pool']> = spec.pool ?? {}
  const out = [...validateDriver('spec.driver', spec.driver), ...validatePool('spec.pool.name', pool.name)]
  if ((pool.resourceSliceCount ?? 0) <= 0) out.push(invalid('spec.pool.resourceSliceCount', pool.resourceSliceCount ?? 0, 'must be greater than zero'))
  if ((pool.generation ?? 0) < 0) out.push(invalid('spec.pool.generation', pool.generation, 'must be greater than or equal to zero'))
  if (old) out.push(...immutable('spec.pool.name', pool.name, old.spec?.pool?.name), ...immutable('spec.driver', spec.driver, old.spec?.driver), ...immutable('spec.nodeName', spec.nodeName, old.spec?.nodeName))
  out.push(...validatePlace('spec', spec, ['nodeName', 'nodeSelector', 'allNodes', 'perDeviceNodeSelection']))
  const terms = spec.nodeSelector?.nodeSelectorTerms
  if (spec.nodeSelector && (terms ?? []).length !== 1) out.push(invalid('spec.nodeSelector.nodeSelectorTerms', (terms ?? []).length === 0 ? null : terms, 'must have exactly one node selector term'))
  if (spec.sharedCounters && spec.devices) out.push(invalid('spec', '', 'only one of `sharedCounters` or `devices` is allowed'))
  const devices = spec.devices ?? []
  return [
    ...out,
    ...validateSet('spec.devices', devices, devices.some(isAdvanced) ? ADVANCED_DEVICES_MAX : DEVICES_MAX, (d) => d.name, (at, device) => validateOffer(at, device, old?.spec?.devices?.find((o) => o.name === device.name), spec.perDeviceNodeSelection === true)),
    ...validateSet('spec.sharedCounters', spec.sharedCounters, COUNTER_SETS_MAX, (set) => set.name, validateCounterSet),
  ]
}

const listValues = (a: DeviceAttribute): number => (a.bools ?? []).length + (a.ints ?? []).length + (a.strings ?? []).length + (a.versions ?? []).length
const isAdvanced = (device: Device): boolean => (device.taints ?? []).length + (device.consumesCounters ?? []).length > 0 || Object.values(device.attributes ?? {}).some((a) => listValues(a) > 0)

interface Place { nodeName?: string; nodeSelector?: Parameters<typeof validateNodeSelector>[1]; allNodes?: boolean; perDeviceNodeSelection?: boolean }

/** Exactly one way to say on which nodes it is. */
function validatePlace(at: string, place: Place, keys: readonly (keyof Place)[]): FieldError[] {
  const out: FieldError[] = []
  const set: string[] = []
  for (const key of keys) {
    const value = place[key]
    if (value === undefined) continue
    if (value === '') out.push(invalid(`${at}.${key}`, value, keys.length === 4 ? 'must be either unset or set to a non-empty string' : 'must not be empty'))
    else if (value === false) out.push(invalid(`${at}.${key}`, value, 'must be either unset or set to true'))
    else set.push(`\`${key}\``)
    if (typeof value === 'string' && value !== '') out.push(...named(`${at}.${key}`, value, checkDnsSubdomain))
    if (typeof value === 'object') out.push(...validateNodeSelector(`${at}.${key}`, value))
  }
  const need = keys.length === 4 ? 'exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required' : 'exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec'
  if (set.length === 0) out.push(required(at, need))
  else if (set.length > 1) out.push(invalid(at, `{${set.join(', ')}}`, keys.length === 4 ? `${need}, but multiple fields are set` : need))
  return out
}

function validateCounterSet(at: string, set: CounterSet): FieldError[] {
  return [
    ...(set.name ? named(`${at}.name`, set.name, checkDnsLabel) : [required(`${at}.name`)]),
    ...(Object.keys(set.counters ?? {}).length === 0 ? [required(`${at}.counters`)] : validateMap(`${at}.counters`, set.counters, COUNTERS_MAX, (here, name) => named(here, name, checkDnsLabel), () => [])),
  ]
}

function validateOffer(at: string, device: Device, old: Device | undefined, perDevice: boolean): FieldError[] {
  const attributes = Object.values(device.attributes ?? {})
  const count = attributes.length + Object.keys(device.capacity ?? {}).length
  const values = attributes.reduce((sum, a) => sum + Math.max(1, listValues(a)), 0)
  const out = validateDevice(`${at}.name`, device.name)
  if (count > ATTRIBUTES_MAX) out.push(invalid(at, count, `the total number of attributes and capacities must not exceed ${ATTRIBUTES_MAX}`))
  if (values > ATTRIBUTE_VALUES_MAX) out.push(invalid(at, values, `the total number of attribute values must not exceed ${ATTRIBUTE_VALUES_MAX}`))
  out.push(...validateMap(`${at}.attributes`, device.attributes, Number.POSITIVE_INFINITY, validateQualified, validateAttribute))
  if (!old || !semanticEqual(old.capacity, device.capacity) || old.allowMultipleAllocations !== device.allowMultipleAllocations) out.push(...validateMap(`${at}.capacity`, device.capacity, Number.POSITIVE_INFINITY, validateQualified, (here, c) => validateCapacity(here, c, device.allowMultipleAllocations === true)))
  if (!old || !semanticEqual(old.taints, device.taints)) out.push(...validateList(`${at}.taints`, device.taints, TAINTS_MAX, (here, taint) => validateTaint(here, taint)))
  out.push(...validateSet(`${at}.consumesCounters`, device.consumesCounters, CONSUMPTIONS_MAX, (c) => c.counterSet, (here, c) => [
    ...(c.counterSet ? named(`${here}.counterSet`, c.counterSet, checkDnsLabel) : [required(`${here}.counterSet`)]),
    ...(Object.keys(c.counters ?? {}).length === 0 ? [required(`${here}.counters`)] : validateMap(`${here}.counters`, c.counters, COUNTERS_MAX, (key, name) => named(key, name, checkDnsLabel), () => [])),
  ]))
  if (perDevice) out.push(...validatePlace(at, device, ['nodeName', 'nodeSelector', 'allNodes']))
  else if (device.nodeName !== undefined || device.nodeSelector || device.allNodes !== undefined) out.push(invalid(at, null, '`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec'))
  for (const [name, mapping] of Object.entries(device.nodeAllocatableResourceMappings ?? {})) {
    const key = mapping.capacityKey
    if (key !== undefined && device.capacity?.[key] === undefined) out.push(notFound(`${at}.nodeAllocatableResourceMappings[${name}].capacityKey`, key))
  }
  return [...out, ...validateBindingConditions(at, device.bindingConditions, device.bindingFailureConditions)]
}

const NUMBER = '(0|[1-9]\\d*)'
const PRERELEASE = '(0|[1-9]\\d*|\\d*[a-zA-Z-][0-9a-zA-Z-]*)'
const BUILD = '[0-9a-zA-Z-]+'
const SEMVER = new RegExp(`^${NUMBER}\\.${NUMBER}\\.${NUMBER}(-${PRERELEASE}(\\.${PRERELEASE})*)?(\\+${BUILD}(\\.${BUILD})*)?$`)

function validateAttribute(at: string, attribute: DeviceAttribute): FieldError[] {
  const out: FieldError[] = []
  const text = (here: string, value: string, version: boolean): void => {
    if (version && !SEMVER.test(value)) out.push(invalid(here, value, 'must be a string compatible with semver.org spec 2.0.0'))
    if (Buffer.byteLength(value) > VALUE_BYTES_MAX) out.push(tooLong(here, VALUE_BYTES_MAX))
  }
  if (attribute.string !== undefined) text(`${at}.string`, attribute.string, false)
  if (attribute.version !== undefined) text(`${at}.version`, attribute.version, true)
  for (const key of ['bools', 'ints', 'strings', 'versions'] as const) {
    const list = attribute[key]
    if (list?.length === 0) out.push(invalid(`${at}.${key}`, list, 'must not be empty if specified'))
    for (const [i, value] of (list ?? []).entries()) if (typeof value === 'string') text(`${at}.${key}[${i}]`, value, key === 'versions')
  }
  const set = Object.keys(attribute).length
  return set === 1 ? out : [...out, invalid(at, set === 0 ? '' : attribute, 'exactly one value must be specified')]
}

function validateCapacity(at: string, capacity: DeviceCapacity, shared: boolean): FieldError[] {
  const policy = capacity.requestPolicy
  if (!policy) return []
  return shared ? validatePolicy(`${at}.requestPolicy`, (capacity as Partial<DeviceCapacity>).value ?? '0', policy) : [forbidden(`${at}.requestPolicy`, 'allowMultipleAllocations must be true')]
}

function validatePolicy(at: string, max: string, policy: CapacityRequestPolicy): FieldError[] {
  const { validValues = [], validRange, default: fallback } = policy
  if (validValues.length > 0 && validRange) return [forbidden(at, 'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time')]
  if (validValues.length > 0) return fallback === undefined ? [required(`${at}.default`, 'required when validValues is defined')] : validateValues(`${at}.validValues`, fallback, max, validValues)
  if (!validRange) return []
  return fallback === undefined ? [required(`${at}.default`, 'required when validRange is defined')] : validateRange(`${at}.validRange`, fallback, max, validRange)
}

function validateValues(at: string, fallback: string, max: string, values: readonly string[]): FieldError[] {
  const out = values.slice(1).flatMap((value, i) => (compareQuantity(values[i] ?? '0', value) > 0 ? [invalid(`${at}[${i + 1}]`, value, 'values must be sorted in ascending order')] : []))
  out.push(...validateSet(at, values, POLICY_VALUES_MAX, (v) => String(parseQuantity(v).nano), (here, value) => (compareQuantity(value, max) > 0 ? [invalid(here, value, `option is larger than capacity value: ${max}`)] : [])))
  if (!values.some((v) => compareQuantity(v, fallback) === 0)) out.push(invalid(at, fallback, 'default value is not valid according to the requestPolicy'))
  return out
}

function validateRange(at: string, fallback: string, capacity: string, { min, max, step }: Partial<CapacityRequestPolicyRange>): FieldError[] {
  if (min === undefined) return [required(`${at}.min`, 'required when validRange is defined')]
  const out: FieldError[] = []
  if (compareQuantity(min, capacity) > 0) out.push(invalid(`${at}.min`, min, `min is larger than capacity value: ${capacity}`))
  if (compareQuantity(fallback, min) < 0) out.push(invalid(`${at}.min`, fallback, `default is less than min: ${min}`))
  if (max !== undefined) {
    if (compareQuantity(min, max) > 0) out.push(invalid(`${at}.max`, min, `min is larger than max: ${max}`))
    if (compareQuantity(max, capacity) > 0) out.push(invalid(`${at}.max`, max, `max is larger than capacity value: ${capacity}`))
    if (compareQuantity(fallback, max) > 0) out.push(invalid(`${at}.max`, fallback, `default is more than max: ${max}`))
  }
  if (step === undefined) return out
  const { nano: stepNano } = parseQuantity(step)
  if (stepNano <= 0n) return [...out, invalid(`${at}.step`, step, 'must be greater than zero')]
  const first = formatQuantity(addQuantity(parseQuantity(min), parseQuantity(step)))
  if (compareQuantity(first, capacity) > 0) out.push(invalid(`${at}.step`, step, `one step ${first} is larger than capacity value: ${capacity}`))
  for (const value of [fallback, ...(max === undefined ? [] : [max])]) {
    if ((parseQuantity(value).nano - parseQuantity(min).nano) % stepNano !== 0n) out.push(invalid(`${at}.step`, value, `value is not a multiple of a given step (${step}) from (${min})`))
  }
  return out
}
