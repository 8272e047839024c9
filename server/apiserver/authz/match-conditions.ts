/** matchConditions of an authorization webhook: CEL over the SubjectAccessReview it would be asked (`apiserver/pkg/authorization/cel`). */
import type { CelType, Program } from '#api/cel/index.ts'
import type { Attributes } from '../auth.ts'
import { reviewSpec } from '../webhook-client/index.ts'

type Cel = typeof import('#api/cel/index.ts')

export interface ConditionCompiler {
  /** What is wrong with an expression; undefined: nothing. */
  problem(expression: string): string | undefined
  /** All must be valid. Undefined for none: it is always asked. */
  matcher(expressions: readonly string[]): ((attributes: Attributes) => Promise<{ matches: boolean } | { error: string }>) | undefined
}

export async function loadConditionCompiler(): Promise<ConditionCompiler> {
  return conditionCompiler(await import('#api/cel/index.ts'))
}

function conditionCompiler(cel: Cel): ConditionCompiler {
  const request = requestType(cel)
  const compile = (expression: string) => cel.compile(expression, { variables: { request }, resultTypes: [cel.BOOL] })
  return {
    problem(expression) {
      const made = compile(expression)
      if (made.ok) return undefined
      return made.kind === 'result' ? made.error : `${made.kind === 'program' ? 'program instantiation' : 'compilation'} failed: ${made.error}`
    },
    matcher(expressions) {
      const programs = expressions.map(compile).flatMap((made) => (made.ok ? [made.program] : []))
      return programs.length === 0 ? undefined : (attributes) => Promise.resolve(evaluate(programs, attributes, cel.PER_CALL_LIMIT))
    },
  }
}

/** One that is false decides, whatever fails beside it. */
function evaluate(programs: readonly Program[], attributes: Attributes, costLimit: number): { matches: boolean } | { error: string } {
  const bindings = { request: withStrings(reviewSpec(attributes, 'v1')) }
  const errors: string[] = []
  for (const program of programs) {
    const result = program.evaluate(bindings, { costLimit })
    if (result.ok && result.value === false) return { matches: false }
    if (!result.ok) errors.push(`cel evaluation error: expression '${program.expression}' resulted in error: ${result.error}`)
  }
  if (errors.length === 0) return { matches: true }
  return { error: errors.length === 1 ? (errors[0] ?? '') : `[${errors.join(', ')}]` }
}

/** As upstream binds it: texts that are not there are empty, objects that are not there are absent. */
function withStrings(spec: object): object {
  const { resourceAttributes, nonResourceAttributes, ...rest } = spec as { resourceAttributes?: object; nonResourceAttributes?: object }
  return {
    user: '', uid: '', groups: [], extra: {}, ...rest,
    ...(resourceAttributes && { resourceAttributes: { namespace: '', verb: '', group: '', version: '*', resource: '', subresource: '', name: '', ...resourceAttributes } }),
    ...(nonResourceAttributes && { nonResourceAttributes: { path: '', verb: '', ...nonResourceAttributes } }),
  }
}

function requestType({ object, list, map, STRING }: Cel): CelType {
  const requirement = (kind: string) => object(`kubernetes.${kind}SelectorRequirement`, { key: STRING, operator: STRING, values: list(STRING) })
  const selector = (kind: string) => object(`kubernetes.${kind}SelectorAttributes`, { rawSelector: STRING, requirements: list(requirement(kind)) })
  return object('kubernetes.SubjectAccessReviewSpec', {
    user: STRING, uid: STRING, groups: list(STRING), extra: map(STRING, list(STRING)),
    nonResourceAttributes: object('kubernetes.NonResourceAttributes', { path: STRING, verb: STRING }),
    resourceAttributes: object('kubernetes.ResourceAttributes', {
      namespace: STRING, verb: STRING, group: STRING, version: STRING, resource: STRING, subresource: STRING, name: STRING, fieldSelector: selector('Field'), labelSelector: selector('Label'),
    }),
  })
}
