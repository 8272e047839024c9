/** Names, lists and taints that all kinds of resource.k8s.io share. */
import type { DeviceTaint, DeviceToleration } from '#api/types/index.ts'
import { checkCIdentifier, checkDnsLabel, checkDnsSubdomain, checkLabelValue, checkQualifiedName } from '#api/types/index.ts'
import { duplicate, type FieldError, invalid, notSupported, required, tooLong, tooMany } from '../field-error.ts'
import { named } from './check.ts'
import { validateCsiDriverName } from './csi-driver-name.ts'

const POOL_BYTES_MAX = 253
const ID_BYTES_MAX = 32
const BINDING_CONDITIONS_MAX = 4
const EFFECTS = ['NoExecute', 'NoSchedule', 'None']

export const validateDriver = validateCsiDriverName

export function validatePool(at: string, name: string | undefined): FieldError[] {
  if (!name) return [required(at)]
  const out = Buffer.byteLength(name) > POOL_BYTES_MAX ? [tooLong(at, POOL_BYTES_MAX)] : []
  return [...out, ...name.split('/').flatMap((part) => named(at, part, checkDnsSubdomain))]
}

export const validateDevice = (at: string, name: string | undefined): FieldError[] => named(at, name ?? '', checkDnsLabel)

const UID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

export function validateShareId(at: string, uid: string | undefined): FieldError[] {
  if (uid === undefined || UID.test(uid)) return []
  return [invalid(at, uid, UID.test(uid.toLowerCase()) ? 'uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal characters' : `error validating uid: invalid UUID length: ${Buffer.byteLength(uid)}`)]
}

/** An attribute's or capacity's name: an identifier, with or without the domain of a driver. */
export function validateQualified(at: string, name: string): FieldError[] {
  const parts = name.split('/')
  const [first = '', second = ''] = parts
  if (parts.length === 1) return validateIdentifier(at, first)
  return [
    ...(first === '' ? [invalid(at, '', 'the domain must not be empty')] : validateDriver(at, first)),
    ...(second === '' ? [invalid(at, '', 'the name must not be empty')] : validateIdentifier(at, second)),
  ]
}

export function validateFullyQualified(at: string, name: string): FieldError[] {
  return [...validateQualified(at, name), ...(name.includes('/') ? [] : [invalid(at, name, 'a fully qualified name must be a domain and a name separated by a slash')])]
}

function validateIdentifier(at: string, id: string): FieldError[] {
  return [...(Buffer.byteLength(id) > ID_BYTES_MAX ? [tooLong(at, ID_BYTES_MAX)] : []), ...named(at, id, checkCIdentifier)]
}

/** Upstream's validateSlice: beyond the limit nothing else is looked at. */
export function validateList<T>(at: string, list: readonly T[] | undefined, max: number, each: (at: string, item: T) => FieldError[]): FieldError[] {
  const items = list ?? []
  if (items.length > max) return [tooMany(at, items.length, max)]
  return items.flatMap((item, i) => each(`${at}[${i}]`, item))
}

/** The same, where each item has a key of its own. */
export function validateSet<T>(at: string, list: readonly T[] | undefined, max: number, keyOf: (item: T) => string, each: (at: string, item: T) => FieldError[], shown: (item: T) => unknown = keyOf): FieldError[] {
  const items = list ?? []
  if (items.length > max) return [tooMany(at, items.length, max)]
  const seen = new Set<string>()
  return [
    ...items.flatMap((item, i) => each(`${at}[${i}]`, item)),
    ...items.flatMap((item, i) => {
      const key = keyOf(item)
      if (seen.has(key)) return [duplicate(`${at}[${i}]`, shown(item))]
      seen.add(key)
      return []
    }),
  ]
}

export function validateMap<T>(at: string, map: Readonly<Record<string, T>> | undefined, max: number, key: (at: string, name: string) => FieldError[], each: (at: string, value: T) => FieldError[]): FieldError[] {
  const entries = Object.entries(map ?? {})
  if (entries.length > max) return [tooMany(at, entries.length, max)]
  return entries.flatMap(([name, value]) => [...key(at, name), ...each(`${at}[${name}]`, value)])
}

/** A JSON object of bounded size. */
export function validateParameters(at: string, value: unknown, bytesMax: number): FieldError[] {
  if (value === undefined || value === null) return [required(at)]
  if (Buffer.byteLength(JSON.stringify(value)) > bytesMax) return [tooLong(at, bytesMax)]
  return typeof value === 'object' && !Array.isArray(value) ? [] : [invalid(at, '<value omitted>', 'must be a valid JSON object')]
}

export function validateTaint(at: string, taint: Partial<DeviceTaint>, old?: DeviceTaint): FieldError[] {
  const out = named(`${at}.key`, taint.key ?? '', checkQualifiedName)
  if (taint.value) out.push(...named(`${at}.value`, taint.value, checkLabelValue))
  if (old && old.effect === taint.effect) return out
  if (!taint.effect) return [...out, required(`${at}.effect`)]
  return EFFECTS.includes(taint.effect) ? out : [...out, notSupported(`${at}.effect`, taint.effect, EFFECTS)]
}

export function validateToleration(at: string, toleration: DeviceToleration): FieldError[] {
  const { key, operator, value = '', effect } = toleration
  const out = key ? named(`${at}.key`, key, checkQualifiedName) : []
  if (!operator) out.push(required(`${at}.operator`))
  else if (operator === 'Exists') out.push(...(value === '' ? [] : [invalid(`${at}.value`, value, 'must be empty for operator `Exists`')]))
  else if (operator === 'Equal') out.push(...named(`${at}.value`, value, checkLabelValue))
  else out.push(notSupported(`${at}.operator`, operator, ['Equal', 'Exists']))
  return !effect || EFFECTS.includes(effect) ? out : [...out, notSupported(`${at}.effect`, effect, EFFECTS)]
}

/** When a taint was put there, if whoever did it does not say. */
export function stampTaints(taints: readonly DeviceTaint[] | undefined, nowMs: number): void {
  for (const taint of taints ?? []) taint.timeAdded ??= `${new Date(nowMs).toISOString().slice(0, 19)}Z`
}

export function validateBindingConditions(at: string, given: readonly string[] | undefined, givenFailures: readonly string[] | undefined): FieldError[] {
  const [conditions, failures] = [given ?? [], givenFailures ?? []]
  const label = (here: string, name: string): FieldError[] => named(here, name, checkQualifiedName)
  const same = (name: string): string => name
  const out = [
    ...validateSet(`${at}.bindingConditions`, conditions, BINDING_CONDITIONS_MAX, same, label),
    ...validateSet(`${at}.bindingFailureConditions`, failures, BINDING_CONDITIONS_MAX, same, label),
  ]
  for (const [i, name] of failures.entries()) if (conditions.includes(name)) out.push(invalid(`${at}.bindingFailureConditions[${i}]`, name, 'bindingFailureConditions must not overlap with bindingConditions'))
  if (conditions.length === 0 && failures.length > 0) out.push(invalid(`${at}.bindingConditions`, given, 'bindingConditions are required to use bindingFailureConditions'))
  if (failures.length === 0 && conditions.length > 0) out.push(invalid(`${at}.bindingFailureConditions`, givenFailures, 'bindingFailureConditions are required to use bindingConditions'))
  return out
}
