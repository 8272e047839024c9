/** Expressions of one policy: compiled together, because they share variables, and evaluated together, because they share a budget. */
import type { CelType, CelValue, Program } from '#api/cel/index.ts'

/** CEL is loaded by the first policy there is. */
export type Cel = typeof import('#api/cel/index.ts')

export type Expression = { text: string } & ({ ok: true; program: Program } | { ok: false; error: string })

export interface ExpressionOptions {
  params: boolean
  authorizer: boolean
  /** `Object{...}` and `JSONPatch{...}` may be made. */
  patches?: boolean
}

export interface NamedExpression { name: string; expression: string }

const VARIABLES = 'kubernetes.variables'

/** Compiles expressions of one policy; variables are known to those that come after them. */
export class ExpressionCompiler {
  readonly variables = new Map<string, Expression>()
  readonly #cel: Cel
  readonly #types = new Map<string, CelType>()
  /** What `object` and `params` are known to be (static type checking); default: anything. */
  readonly #known: Readonly<Record<string, CelType>>
  readonly #composes: boolean

  /** `composes`: there is `variables`. */
  constructor(cel: Cel, known: Readonly<Record<string, CelType>> = {}, composes = true) {
    this.#cel = cel
    this.#known = known
    this.#composes = composes
  }

  addVariables(variables: readonly NamedExpression[], options: ExpressionOptions): void {
    for (const { name, expression } of variables) {
      const compiled = this.compile(expression, options)
      this.variables.set(name, compiled)
      this.#types.set(name, compiled.ok ? compiled.program.resultType : this.#cel.DYN)
    }
  }

  compile(text: string, { params, authorizer, patches = false }: ExpressionOptions, resultTypes?: readonly CelType[]): Expression {
    const cel = this.#cel
    const made = cel.compile(text, {
      variables: { ...cel.admissionVariables({ params, authorizer }), ...this.#known, ...(this.#composes && { variables: cel.object(VARIABLES, Object.fromEntries(this.#types)) }) },
      ...(resultTypes && { resultTypes }),
      ...(patches && { structType: cel.patchType, environment: cel.kubernetesEnvironment({ patches: true }) }),
    })
    if (made.ok) return { text, ok: true, program: made.program.forgetAst() }
    const prefix = made.kind === 'result' ? '' : made.kind === 'program' ? 'program instantiation failed: ' : 'compilation failed: '
    return { text, ok: false, error: prefix + made.error }
  }
}

const OUT_OF_BUDGET = 'validation failed due to running out of cost budget, no further validation rules will be run'

/** Ends all of a policy's expressions at once. */
export class OutOfBudget extends Error {
  constructor() { super(OUT_OF_BUDGET) }
}

/** After so much, others get their turn: evaluation itself does not pause. Some ten milliseconds. */
const YIELD_COST = 200_000

export type Evaluated = { ok: true; value: CelValue } | { ok: false; error: string }

/** One run over expressions that share their variables' values and a budget. */
export class Evaluation {
  readonly #cel: Cel
  readonly #bindings: Record<string, unknown>
  #left: number
  #variablesCost = 0
  #unyielded = 0

  constructor(cel: Cel, variables: ReadonlyMap<string, Expression>, bindings: Readonly<Record<string, unknown>>, budget: number) {
    this.#cel = cel
    this.#left = budget
    this.#bindings = { ...bindings, variables: new cel.LazyMap(new Set(variables.keys()), (name) => this.#variable(name, variables.get(name))) }
  }

  get left(): number { return this.#left }

  #variable(name: string, expression: Expression | undefined): CelValue {
    const { EvalError } = this.#cel
    if (!expression?.ok) throw new EvalError(`composited variable ${JSON.stringify(name)} fails to compile: ${expression?.error ?? ''}`)
    try {
      const { value, cost } = expression.program.evaluateOrThrow(this.#bindings)
      this.#variablesCost += cost
      return value
    } catch (e) {
      if (e instanceof EvalError) throw new EvalError(`composited variable ${JSON.stringify(name)} fails to evaluate: ${e.message}`)
      throw e
    }
  }

  async #yield(): Promise<void> {
    this.#unyielded = 0
    await new Promise((resolve) => { setImmediate(resolve) })
  }

  /** Throws OutOfBudget. */
  async evaluate(expression: Expression): Promise<Evaluated> {
    if (!expression.ok) return { ok: false, error: `compilation error: ${expression.error}` }
    const result = await expression.program.evaluateAsync(this.#bindings)
    const cost = result.cost + this.#variablesCost
    this.#left -= cost
    this.#variablesCost = 0
    this.#unyielded += cost
    if (this.#unyielded > YIELD_COST) await this.#yield()
    if (this.#left < 0) throw new OutOfBudget()
    return result.ok ? { ok: true, value: result.value } : { ok: false, error: `expression '${expression.text}' resulted in error: ${result.error}` }
  }
}
