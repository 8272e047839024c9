/** What a pure decision looks like, and what carries it out. */
import type { Random } from '../random.ts'

export interface Decision<A> {
  /** All may run now, in this order; what must wait for their result comes from the next pass. */
  actions: A[]
  /** Wall time (ms since 1970): look again then even if nothing changes. */
  wakeAtMs?: number
  /** One line for the log and the Event; tests may read it. */
  because: string
}

/** All that a decision may know besides its view. */
export interface DecideContext { nowMs: number; random: Random }

/** A new kind of action does not compile until it has an effect. Effects are small, idempotent and guarded by what the decision saw. */
export type Effects<A extends { kind: string }> = {
  [K in A['kind']]: (action: Extract<A, { kind: K }>, signal: AbortSignal) => Promise<void>
}

/** Runs one action through its effect. */
export function applyAction<A extends { kind: string }>(effects: Effects<A>, action: A, signal: AbortSignal): Promise<void> {
  // The mapped type pairs each kind with its own action; TypeScript cannot follow that through an index.
  const effect = effects[action.kind as A['kind']] as (action: A, signal: AbortSignal) => Promise<void>
  return effect(action, signal)
}

export function nothing<A>(because: string, wakeAtMs?: number): Decision<A> {
  return { actions: [], because, ...(wakeAtMs !== undefined && { wakeAtMs }) }
}
