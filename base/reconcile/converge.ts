/**
 * Test driver for pure deciders: applies decisions to a small model world until quiet, holding laws at each step.
 * In a rough world actions fail, run twice, and views are stale; the same laws must hold and it must still come to rest.
 */
import type { Random } from '../random.ts'
import type { DecideContext, Decision } from './action.ts'

export interface Model<W, V, A> {
  world: W
  view(world: W): V
  decide(view: V, ctx: DecideContext): Decision<A>
  /** One action changes the model world, as the API server and the nodes would. 'refused' (a conflict, say) ends the pass, as in the loop. */
  apply(world: W, action: A): void | 'refused'
  /** The world moves by itself (a pod becomes ready): true when something changed. Called once a pass. */
  live?(world: W, ctx: DecideContext): boolean
  /** Throws when a limit is broken; called after every action and every `live`. */
  law?(world: W): void
}

export interface ConvergeOptions {
  random: Random
  nowMs?: number
  /** More passes than this is a failure: the law "quiet within N passes". Default 200. */
  passesMax?: number
  /** Probability, 0..1, per action that it fails, and that it is done twice. Zero in the last half of the passes, so that the world can come to rest. */
  rough?: { fail: number; twice: number }
}

export interface Converged<A> { passes: number; actions: A[]; nowMs: number }

export function converge<W, V, A>(model: Model<W, V, A>, options: ConvergeOptions): Converged<A> {
  const passesMax = options.passesMax ?? 200
  const actions: A[] = []
  let nowMs = options.nowMs ?? Date.UTC(2026, 0, 1)
  for (let pass = 1; pass <= passesMax; pass++) {
    const rough = pass < passesMax / 2 ? options.rough : undefined
    const ctx = { nowMs, random: options.random }
    const decision = model.decide(model.view(model.world), ctx)
    for (const action of decision.actions) {
      if (rough && options.random.next() < rough.fail) break
      if (model.apply(model.world, action) === 'refused') break
      actions.push(action)
      model.law?.(model.world)
      if (rough && options.random.next() < rough.twice) {
        if (model.apply(model.world, action) === 'refused') break
        model.law?.(model.world)
      }
    }
    const moved = model.live?.(model.world, ctx) ?? false
    model.law?.(model.world)
    if (decision.actions.length === 0 && !moved) {
      if (decision.wakeAtMs === undefined) return { passes: pass, actions, nowMs }
      nowMs = Math.max(nowMs + 1, decision.wakeAtMs)
    } else {
      nowMs += 1_000
    }
  }
  throw new Error(`not quiet after ${passesMax} passes; last actions: ${JSON.stringify(actions.slice(-5))}`)
}
