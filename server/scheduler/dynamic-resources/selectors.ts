/** Selectors of devices in CEL: compiled once each. CEL is loaded with the first pod that has claims. */
import type { CelDevice } from '#api/cel/index.ts'

/** `error`: upstream's words, without saying whose selector it is. */
export type Match = { ok: true; matches: boolean } | { ok: false; error: string }

export interface SelectorEngine { matches(expression: string, device: CelDevice): Match }

/** Most that are kept compiled: a class has a few, and classes are few. */
const COMPILED_MAX = 256

export async function loadSelectors(): Promise<SelectorEngine> {
  const { compileSelector, deviceValue, EvalError, SELECTOR_COST_MAX } = await import('#api/cel/index.ts')
  const compiled = new Map<string, ReturnType<typeof compileSelector>>()
  const made = (expression: string) => {
    const known = compiled.get(expression) ?? compileSelector(expression)
    // The one asked for last is forgotten last.
    compiled.delete(expression)
    compiled.set(expression, known)
    for (const oldest of compiled.keys()) if (compiled.size > COMPILED_MAX) compiled.delete(oldest)
    return known
  }
  return {
    matches(expression, device) {
      const selector = made(expression)
      if (!selector.ok) return { ok: false, error: `CEL compile error: ${selector.error}` }
      try {
        const outcome = selector.program.evaluate({ device: deviceValue(device) }, { costLimit: SELECTOR_COST_MAX })
        if (!outcome.ok) return { ok: false, error: `CEL runtime error: ${outcome.error}` }
        return typeof outcome.value === 'boolean' ? { ok: true, matches: outcome.value } : { ok: false, error: 'CEL runtime error: the result is no bool' }
      } catch (error) {
        if (error instanceof EvalError) return { ok: false, error: `CEL runtime error: ${error.message}` }
        throw error
      }
    },
  }
}
