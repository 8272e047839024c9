/** Exponential back-off as arithmetic: what to wait follows from how often it failed, not from a loop's variable. */
import type { Random } from './random.ts'

export interface BackoffPolicy { baseMs: number; maxMs: number; /** Part of the delay that is random, 0..1. */ jitter: number }

/** `failures` is how many attempts have failed in a row, at least 1. */
export function backoffMs(policy: BackoffPolicy, failures: number, random?: Random): number {
  const full = Math.min(policy.maxMs, policy.baseMs * 2 ** Math.min(30, Math.max(0, failures - 1)))
  return random ? full * (1 - policy.jitter * random.next()) : full
}
