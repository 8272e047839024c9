/** What selectors of device claims and classes may ask of a device: the variable `device`, as k8s.io/dynamic-resource-allocation/cel declares it. */
import { compile, type Compilation } from './compile.ts'
import { DEVICE_MACROS } from './macros.ts'
import { quantity, semver } from './library/quantities.ts'
import type { Program } from './program.ts'
import { estimateCost } from './static-cost.ts'
import { BOOL, DYN, map, object, opaque, type CelType } from './type.ts'
import { CelMap, EntryMap, EvalError, StructValue, type CelValue } from './value.ts'

/** As much of one as expressions see; names without a domain are in the driver's. */
export interface CelDevice {
  readonly driver: string
  readonly attributes?: Readonly<Record<string, { readonly string?: string; readonly int?: number; readonly bool?: boolean; readonly version?: string }>> | undefined
  readonly capacity?: Readonly<Record<string, { readonly value: string }>> | undefined
  readonly allowMultipleAllocations?: boolean | undefined
}

// Upstream's DriverNameMaxLength, DeviceMaxDomainLength, DeviceMaxIDLength, DeviceAttributeMaxValueLength and ResourceSliceMaxAttributesAndCapacitiesPerDevice.
const NAME_MAX = 63
const ID_MAX = 32
const VALUE_MAX = 64
const ENTRIES_MAX = 32
/** Upstream's CELSelectorExpressionMaxCost: as estimated before one is stored, and as it comes to be. */
export const SELECTOR_COST_MAX = 1_000_000

const text = (max: number): CelType => ({ kind: 'string', max })
const named = (values: CelType): CelType => map(text(ID_MAX), values, ENTRIES_MAX)
const byDomainOf = (values: CelType): CelType => map(text(NAME_MAX), values, ENTRIES_MAX)
const ATTRIBUTE: CelType = { kind: 'dyn', max: VALUE_MAX }
const ATTRIBUTES = named(ATTRIBUTE)
const DEVICE = object('kubernetes.DRADevice', { driver: text(NAME_MAX), attributes: byDomainOf(ATTRIBUTES), capacity: byDomainOf(named(opaque('kubernetes.Quantity'))), allowMultipleAllocations: { kind: 'bool', max: 1 } })

/** A selector; what it answers is bool or not known before. */
export const compileSelector = (expression: string): Compilation => compile(expression, { variables: { device: DEVICE }, resultTypes: [BOOL, DYN], macros: DEVICE_MACROS })

/** At worst. Of attributes the names are not known, but how long their values can be. */
export const selectorCost = ({ ast }: Program): number => estimateCost(ast, DEVICE, (type) => (type === ATTRIBUTES ? ATTRIBUTE : undefined)).max

/** Throws EvalError for an attribute whose value nobody knows. */
export function deviceValue({ driver, attributes = {}, capacity = {}, allowMultipleAllocations = false }: CelDevice): CelValue {
  return new StructValue(DEVICE.name, new Map<string, CelValue>([
    ['driver', driver], ['allowMultipleAllocations', allowMultipleAllocations],
    ['attributes', byDomain(driver, Object.entries(attributes), attributeValue)], ['capacity', byDomain(driver, Object.entries(capacity), (_, { value }) => quantity(value))],
  ]))
}

function attributeValue(name: string, value: NonNullable<CelDevice['attributes']>[string]): CelValue {
  if (value.int !== undefined) return BigInt(value.int)
  if (value.bool !== undefined) return value.bool
  if (value.string !== undefined) return value.string
  if (value.version !== undefined) return semver(value.version, false)
  throw new EvalError(`attribute ${name}: unsupported attribute value`)
}

function byDomain<T>(driver: string, entries: readonly (readonly [string, T])[], valueOf: (name: string, value: T) => CelValue): CelMap {
  const found = new Map<string, [CelValue, CelValue][]>()
  for (const [name, value] of entries) {
    const slash = name.indexOf('/')
    const domain = slash < 0 ? driver : name.slice(0, slash)
    found.set(domain, [...(found.get(domain) ?? []), [name.slice(slash + 1), valueOf(name, value)]])
  }
  return new DomainMap(new Map([...found].map(([domain, pairs]) => [domain, EntryMap.of(pairs)])))
}

const EMPTY = EntryMap.of([])

/** Of a domain that the device knows nothing of there is an empty map, though the domain is not `in` it. */
class DomainMap extends CelMap {
  readonly #domains: ReadonlyMap<string, CelMap>
  constructor(found: ReadonlyMap<string, CelMap>) { super(); this.#domains = found }
  get size(): number { return this.#domains.size }
  keys(): Iterable<CelValue> { return this.#domains.keys() }
  find(key: CelValue): CelValue | undefined { return typeof key === 'string' ? this.#domains.get(key) ?? EMPTY : undefined }
  override has(key: CelValue): boolean { return typeof key === 'string' && this.#domains.has(key) }
  override hasField(name: string): boolean { return this.#domains.has(name) }
}
