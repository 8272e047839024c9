/** A step of a planned expression, and the steps whose values are known before evaluation. */
import type { Frame } from './frame.ts'
import type { CelValue } from './value.ts'

export type Eval = (f: Frame) => CelValue

/** Values known before evaluation cost nothing. */
const known = new WeakMap<Eval, { value: CelValue }>()

export function constant(value: CelValue): Eval {
  const run: Eval = () => value
  known.set(run, { value })
  return run
}

/** Undefined: it has to be evaluated. */
export const constantOf = (run: Eval): { value: CelValue } | undefined => known.get(run)
