/** Arithmetic on lists of named quantities, as quota needs it (apiserver `quota/v1/resources.go`). Values are canonical text. Pure. */
import { compareQuantity, formatQuantity, parseQuantity, subtractQuantity } from '../types/quantity.ts'
import type { ResourceList } from '../types/pods.ts'

export type { ResourceList }

/** a - b for every name in either; nothing below zero. */
export function subtractToZero(a: ResourceList, b: ResourceList): Record<string, string> {
  const out: Record<string, string> = {}
  for (const [name, value] of Object.entries(a)) {
    const difference = b[name] === undefined ? parseQuantity(value) : subtractQuantity(parseQuantity(value), parseQuantity(b[name]))
    out[name] = difference.nano > 0n ? formatQuantity(difference) : '0'
  }
  for (const name of Object.keys(b)) out[name] ??= '0'
  return out
}

export function mask(list: ResourceList, names: readonly string[]): Record<string, string> {
  const wanted = new Set(names)
  return Object.fromEntries(Object.entries(list).filter(([name]) => wanted.has(name)))
}

export const withoutZeros = (list: ResourceList): Record<string, string> => Object.fromEntries(Object.entries(list).filter(([, value]) => parseQuantity(value).nano !== 0n))

/** The names whose value in a is over that in b, sorted. */
export const exceeding = (a: ResourceList, b: ResourceList): string[] => Object.keys(b).filter((name) => a[name] !== undefined && compareQuantity(a[name], b[name] ?? '0') > 0).sort()

export function equalResources(a: ResourceList, b: ResourceList): boolean {
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every((name) => b[name] !== undefined && compareQuantity(a[name] ?? '0', b[name]) === 0)
}

export const negativeNames = (list: ResourceList): string[] => Object.keys(list).filter((name) => parseQuantity(list[name] ?? '0').nano < 0n).sort()

/** `cpu=500m,pods=1`: as messages show them. */
export const showResources = (list: ResourceList): string => Object.keys(list).sort().map((name) => `${name}=${formatQuantity(parseQuantity(list[name] ?? '0'))}`).join(',')
