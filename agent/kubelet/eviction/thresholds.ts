/** Eviction thresholds: upstream's signals, read from the configuration and held against what is measured. Pure. */
import { formatQuantity, parseQuantity, quantityValue } from '#api/types/quantity.ts'
import { UsageError } from '#base/errors.ts'
import type { KubeletConfig } from '../config.ts'

export const SIGNALS = ['memory.available', 'allocatableMemory.available', 'nodefs.available', 'nodefs.inodesFree', 'imagefs.available', 'imagefs.inodesFree', 'pid.available'] as const
export type Signal = (typeof SIGNALS)[number]
export type PressureCondition = 'MemoryPressure' | 'DiskPressure' | 'PIDPressure'

export interface Threshold {
  signal: Signal
  /** Of the capacity (0 to 1), or an amount: bytes, inodes, processes. */
  limit: { part: number } | { amount: number }
  /** Less than `limit` and this is not resolved yet. */
  minReclaim: { part: number } | { amount: number }
  /** 0: hard. */
  graceMs: number
}

export interface Observation { available: number; capacity: number }
export type Observations = Readonly<Partial<Record<Signal, Observation>>>

/** By signal: node condition, and the resource as messages name it. */
export const SIGNAL_FACTS: Readonly<Record<Signal, { condition: PressureCondition; resource: string }>> = {
  'memory.available': { condition: 'MemoryPressure', resource: 'memory' },
  // Of what all pods together may have.
  'allocatableMemory.available': { condition: 'MemoryPressure', resource: 'memory' },
  'nodefs.available': { condition: 'DiskPressure', resource: 'ephemeral-storage' },
  'nodefs.inodesFree': { condition: 'DiskPressure', resource: 'inodes' },
  'imagefs.available': { condition: 'DiskPressure', resource: 'ephemeral-storage' },
  'imagefs.inodesFree': { condition: 'DiskPressure', resource: 'inodes' },
  'pid.available': { condition: 'PIDPressure', resource: 'pids' },
}

/**
 * Of what containers write: as upstream has it no more than the images' file system, or the node's where that is the same; said in a configuration it is
 * checked and passed over.
 */
const IMPLIED_SIGNALS: readonly string[] = ['containerfs.available', 'containerfs.inodesFree']

export const isMemorySignal = (signal: Signal): boolean => SIGNAL_FACTS[signal].condition === 'MemoryPressure'

export type EvictionConfig = Pick<KubeletConfig, 'evictionHard' | 'evictionSoft' | 'evictionSoftGracePeriod' | 'evictionMinimumReclaim'> & Partial<Pick<KubeletConfig, 'enforcePods'>>

/**
 * Throws UsageError for signals and amounts that mean nothing, and for a soft threshold without its grace period. Where the kernel holds pods
 * to what is allocatable, a hard threshold of the node's memory is one of theirs, too, as upstream's.
 */
export function parseThresholds({ evictionHard, evictionSoft, evictionSoftGracePeriod, evictionMinimumReclaim, enforcePods = false }: EvictionConfig): Threshold[] {
  const threshold = (name: string, value: string, graceMs: number): Threshold[] => {
    const signal = SIGNALS.find((s) => s === name)
    if (!signal && !IMPLIED_SIGNALS.includes(name)) throw new UsageError(`unknown eviction signal ${JSON.stringify(name)}: there are ${SIGNALS.join(', ')}`)
    // They switch a threshold off, as upstream.
    if (value === '0%' || value === '100%') return []
    const [limit, reclaim] = [amountOf(name, value), evictionMinimumReclaim[name]]
    if ('amount' in limit && limit.amount === 0) throw new UsageError(`eviction threshold ${name} must be positive: ${value}`)
    const minReclaim = amountOf(name, reclaim ?? '0')
    if ('part' in minReclaim && minReclaim.part === 0) throw new UsageError(`eviction percentage minimum reclaim ${name} must be positive: ${reclaim ?? ''}`)
    return signal ? [{ signal, limit, minReclaim, graceMs }] : []
  }
  const hard = Object.entries(evictionHard).flatMap(([name, value]) => threshold(name, value, 0))
  return [
    ...hard,
    ...(enforcePods ? hard.filter((t) => t.signal === 'memory.available').map((t): Threshold => ({ ...t, signal: 'allocatableMemory.available' })) : []),
    ...Object.entries(evictionSoft).flatMap(([name, value]) => {
      const grace = evictionSoftGracePeriod[name]
      if (grace === undefined) throw new UsageError(`grace period must be specified for the soft eviction threshold ${name}`)
      return threshold(name, value, durationMs(grace))
    }),
  ]
}

function amountOf(signal: string, value: string): Threshold['limit'] {
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(value)?.[1]
  if (percent !== undefined && Number(percent) <= 100) return { part: Number(percent) / 100 }
  try {
    const { nano } = parseQuantity(value)
    if (nano >= 0n) return { amount: quantityValue(value) }
  } catch {
    // The sentence below says what is wrong with it.
  }
  throw new UsageError(`eviction threshold ${signal}: ${JSON.stringify(value)} is neither an amount (100Mi) nor a percentage (10%)`)
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }

/** Go's durations: `1m30s`. */
export function durationMs(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)]
  if (parts.length === 0 || parts.map((p) => p[0]).join('') !== text) throw new UsageError(`${JSON.stringify(text)} is not a duration such as 1m30s`)
  return parts.reduce((sum, [, value, unit]) => sum + Number(value) * (UNITS[unit ?? 's'] ?? 0), 0)
}

export function amountIn(limit: Threshold['limit'], { capacity }: Observation): number {
  return 'part' in limit ? capacity * limit.part : limit.amount
}

/** Those that are met; `toReclaim`: until the minimum reclaim is free, too. */
export function thresholdsMet(thresholds: readonly Threshold[], observations: Observations, toReclaim: boolean): Threshold[] {
  return thresholds.filter((t) => {
    const seen = observations[t.signal]
    return seen !== undefined && seen.capacity > 0 && seen.available < amountIn(t.limit, seen) + (toReclaim ? amountIn(t.minReclaim, seen) : 0)
  })
}

/** As messages show an amount: `1536Mi` for bytes, plain otherwise. */
export function amountText(signal: Signal, amount: number): string {
  const isBytes = isMemorySignal(signal) || signal.endsWith('fs.available')
  return formatQuantity({ nano: BigInt(Math.round(amount)) * 1_000_000_000n, format: isBytes ? 'BinarySI' : 'DecimalSI' })
}
