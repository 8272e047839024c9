/** Named values that are computed when an expression first asks for them, once: `variables` of admission policies. */
import type { CelValue } from './value.ts'
import { CelMap, EvalError } from './value.ts'

export class LazyMap extends CelMap {
  readonly #names: ReadonlySet<string>
  readonly #compute: (name: string) => CelValue
  readonly #known = new Map<string, CelValue | EvalError>()

  /** `compute` may throw an EvalError, which is kept, and Pending, which is not. */
  constructor(names: ReadonlySet<string>, compute: (name: string) => CelValue) {
    super()
    this.#names = names
    this.#compute = compute
  }

  get size(): number { return this.#names.size }
  keys(): Iterable<CelValue> { return this.#names }
  find(key: CelValue): CelValue | undefined { return typeof key === 'string' ? this.field(key) : undefined }
  override hasField(name: string): boolean { return this.#names.has(name) }

  override field(name: string): CelValue | undefined {
    if (!this.#names.has(name)) return undefined
    const known = this.#known.get(name) ?? this.#first(name)
    if (known instanceof EvalError) throw known
    return known
  }

  #first(name: string): CelValue | EvalError {
    let value: CelValue | EvalError
    try {
      value = this.#compute(name)
    } catch (e) {
      if (!(e instanceof EvalError)) throw e
      value = e
    }
    this.#known.set(name, value)
    return value
  }
}
