/** Shares of a device: how much of its capacities a request takes by the device's own policies, and whether so much is left (KEP-5075). Pure. */
import type { Device, DeviceCapacity } from '#api/types/index.ts'
import { parseQuantity, type Quantity } from '#api/types/quantity.ts'

/** By name of the capacity. */
export type Consumption = ReadonlyMap<string, Quantity>

export const isShared = ({ allowMultipleAllocations }: Device): boolean => allowMultipleAllocations === true

const UNIT = 1_000_000_000n

/** Undefined: something is asked for that the device does not have, or that its policy does not allow. */
export function consumptionBy(asked: Readonly<Record<string, string>> = {}, { capacity = {} }: Device): Consumption | undefined {
  if (Object.keys(asked).some((name) => !Object.hasOwn(capacity, name))) return undefined
  const taken = Object.entries(capacity).map(([name, of]) => [name, amountOf(asked[name], of), of] as const)
  return taken.some(([, amount, of]) => isAgainst(amount, of)) ? undefined : new Map(taken.map(([name, amount]) => [name, amount]))
}

/** Whether it fits beside what is used already, in thousand-millionths. */
export const isLeft = (consumption: Consumption, { capacity = {} }: Device, used: ReadonlyMap<string, bigint>): boolean =>
  [...consumption].every(([name, { nano }]) => nano + (used.get(name) ?? 0n) <= nanoOf(capacity[name]?.value))

const nanoOf = (text: string | undefined): bigint => parseQuantity(text ?? '0').nano
/** Whole ones, as upstream counts steps. */
const unitsOf = (nano: bigint): bigint => (nano + UNIT - 1n) / UNIT

function amountOf(asked: string | undefined, { value, requestPolicy }: DeviceCapacity): Quantity {
  if (asked === undefined) return parseQuantity(requestPolicy?.default ?? value)
  const wanted = parseQuantity(asked)
  const { validRange, validValues } = requestPolicy ?? {}
  if (validRange?.min !== undefined) {
    const min = parseQuantity(validRange.min)
    if (wanted.nano < min.nano) return min
    if (validRange.step === undefined) return wanted
    const [from, step] = [unitsOf(min.nano), unitsOf(nanoOf(validRange.step))]
    const steps = (unitsOf(wanted.nano) - from + step - 1n) / step
    return { nano: (from + steps * step) * UNIT, format: 'BinarySI' }
  }
  const next = validValues?.find((valid) => wanted.nano <= nanoOf(valid))
  return next === undefined ? wanted : parseQuantity(next)
}

function isAgainst({ nano }: Quantity, { requestPolicy }: DeviceCapacity): boolean {
  const { validRange, validValues = [] } = requestPolicy ?? {}
  if (requestPolicy?.default !== undefined && nano === nanoOf(requestPolicy.default)) return false
  if (validRange) {
    if (validRange.max !== undefined && nano > nanoOf(validRange.max)) return true
    return validRange.step !== undefined && (unitsOf(nano) - unitsOf(nanoOf(validRange.min))) % unitsOf(nanoOf(validRange.step)) !== 0n
  }
  return validValues.length > 0 && !validValues.some((valid) => nano === nanoOf(valid))
}
