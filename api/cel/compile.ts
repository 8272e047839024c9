/** Text to program: parse, check, plan. */
import { check } from './checker.ts'
import type { Environment } from './environment.ts'
import { kubernetesEnvironment } from './environment.ts'
import { formatIssues, SyntaxIssue } from './issue.ts'
import { checkLiterals } from './literals.ts'
import { KUBERNETES_MACROS } from './macros.ts'
import type { MacroSet } from './macros.ts'
import { parse } from './parser.ts'
import { plan } from './plan.ts'
import { Program } from './program.ts'
import type { CelObjectType, CelType } from './type.ts'
import { formatType, isDyn, sameType } from './type.ts'
import { EvalError } from './value.ts'

export interface CompileOptions {
  /** What the expression may name, with types. Dotted names (`authorizer.requestResource`) are allowed. */
  variables: Readonly<Record<string, CelType>>
  /** What the expression must evaluate to; one of. Absent: anything. dyn is not bool: where upstream demands bool, so does this. */
  resultTypes?: readonly CelType[]
  /** Types that may be constructed by name (mutating policies). */
  structType?: (name: string) => CelObjectType | undefined
  environment?: Environment
  macros?: MacroSet
}

export type Compilation =
  | { ok: true; program: Program }
  /** `error`: upstream's text. `syntax` and `check`: the drawn issues, to be put behind `compilation failed: `; `result`: `must evaluate to bool but got int`; `program`: to be put behind `program instantiation failed: `. */
  | { ok: false; error: string; kind: 'syntax' | 'check' | 'result' | 'program' }

export function compile(expression: string, options: CompileOptions): Compilation {
  const variables = new Map(Object.entries(options.variables))
  try {
    const ast = parse(expression, options.macros ?? KUBERNETES_MACROS)
    const environment = options.environment ?? kubernetesEnvironment()
    const issues = check(ast, { ...environment, variables, ...(options.structType && { structType: options.structType }) })
    if (issues.length === 0) issues.push(...checkLiterals(ast, environment.mixedLiterals))
    if (issues.length > 0) return { ok: false, kind: 'check', error: formatIssues(expression, issues) }
    const problem = options.resultTypes && resultProblem(ast.type ?? { kind: 'dyn' }, options.resultTypes)
    if (problem !== undefined) return { ok: false, kind: 'result', error: problem }
    return { ok: true, program: new Program(expression, ast, plan(ast, variables)) }
  } catch (thrown) {
    if (thrown instanceof SyntaxIssue) return { ok: false, kind: 'syntax', error: formatIssues(expression, [thrown.issue]) }
    // A constant part that fails whenever it is evaluated.
    if (thrown instanceof EvalError) return { ok: false, kind: 'program', error: thrown.message }
    throw thrown
  }
}

function resultProblem(actual: CelType, wanted: readonly CelType[]): string | undefined {
  if (wanted.some((t) => t.kind === 'any' || (isDyn(t) ? isDyn(actual) : sameType(t, actual)))) return undefined
  // Here upstream prints a type as it is called, not as it is written.
  const named = (type: CelType): string => (type.kind === 'null' ? 'null_type' : formatType(type))
  if (wanted.length === 1) return `must evaluate to ${named(wanted[0] as CelType)} but got ${named(actual)}`
  return `must evaluate to one of [${wanted.map(named).join(' ')}] but got ${named(actual)}`
}
