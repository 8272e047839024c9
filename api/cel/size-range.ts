/** Ranges of sizes and costs that saturate instead of overflowing, as upstream's uint64 estimates do. */

export interface SizeRange { readonly min: number; readonly max: number }

/** Unbounded. Beyond 2^53 the numbers are approximate, far above any limit. */
export const UNBOUNDED = 2 ** 64

export const UNKNOWN_SIZE: SizeRange = { min: 0, max: UNBOUNDED }
export const fixed = (n: number): SizeRange => ({ min: n, max: n })
const capped = (n: number): number => Math.min(n, UNBOUNDED)
export const plus = (a: SizeRange, b: SizeRange): SizeRange => ({ min: capped(a.min + b.min), max: capped(a.max + b.max) })
export const times = (a: SizeRange, b: SizeRange): SizeRange => ({ min: capped(a.min * b.min), max: capped(a.max * b.max) })
/** Rounded up. */
export const factor = (a: SizeRange, by: number): SizeRange => ({ min: capped(Math.ceil(a.min * by)), max: capped(Math.ceil(a.max * by)) })
export const union = (a: SizeRange, b: SizeRange): SizeRange => ({ min: Math.min(a.min, b.min), max: Math.max(a.max, b.max) })
